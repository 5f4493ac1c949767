/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_kernel.c - what this kernel allows: evidence tiers and what stands in their way. svid doctor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/cli/doctor.h"

#define LINE_BYTES 4096

static void path_of(const struct patient *p, const char *path, struct buf *out)
{
	buf_printf(out, "%s%s", p->root, path);
}

int doctor_read(const struct patient *p, const char *path, struct buf *line)
{
	AUTO(buf) struct buf full = BUF_INIT(LINE_BYTES);
	char text[LINE_BYTES];
	ssize_t n;
	int fd;

	path_of(p, path, &full);
	fd = open(buf_cstr(&full), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	buf_put_str(line, text);
	return buf_ok(line);
}

static bool exists(const struct patient *p, const char *path)
{
	AUTO(buf) struct buf full = BUF_INIT(LINE_BYTES);

	path_of(p, path, &full);
	return access(buf_cstr(&full), F_OK) == 0;
}

/* A word in a list like "lockdown,capability,bpf" or "a b c". */
static bool has_word(struct slice list, const char *word, const char *separators)
{
	while (list.len) {
		size_t n = 0;

		while (n < list.len && !strchr(separators, list.p[n]))
			n++;
		if (slice_eq_str(slice_get_bytes(&list, n), word))
			return true;
		if (list.len)
			(void)slice_get_u8(&list);
	}
	return false;
}

bool doctor_mounted(const struct patient *p, const char *path, const char *type)
{
	AUTO(buf) struct buf full = BUF_INIT(LINE_BYTES);
	char line[LINE_BYTES], where[LINE_BYTES];
	bool found = false;
	FILE *f;

	path_of(p, "/proc/self/mounts", &full);
	f = fopen(buf_cstr(&full), "re");
	if (!f)
		return false;
	snprintf(where, sizeof(where), " %s %s ", path, type);
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, where) != NULL;
	fclose(f);
	return found;
}

/* "6.12.3-amd64" as 6012. */
static unsigned int kernel_number(const char *release)
{
	unsigned int part[2] = { 0, 0 };

	for (int i = 0; i < 2 && *release; i++) {
		while (*release >= '0' && *release <= '9' && part[i] < 1000)
			part[i] = part[i] * 10 + (unsigned int)(*release++ - '0');
		if (*release == '.')
			release++;
	}
	return part[0] * 1000 + part[1];
}

static enum finding check_kernel(const struct patient *p, struct buf *what, struct buf *todo)
{
	unsigned int n = kernel_number(p->kernel);

	buf_printf(what, "kernel %s", p->kernel);
	if (n >= 6001)
		return FINDING_OK;
	buf_put_str(todo, "svidd needs Linux 6.1 or newer");
	return FINDING_FAIL;
}

static enum finding check_btf(const struct patient *p, struct buf *what, struct buf *todo)
{
	bool there = exists(p, "/sys/kernel/btf/vmlinux");

	buf_printf(what, "kernel type information (BTF) is %s", there ? "there" : "missing");
	if (there)
		return FINDING_OK;
	buf_put_str(todo, "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (all distribution kernels are)");
	return FINDING_FAIL;
}

static enum finding check_lsm(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf list = BUF_INIT(LINE_BYTES);
	int err = doctor_read(p, "/sys/kernel/security/lsm", &list);

	if (err) {
		buf_put_str(what, "list of security modules cannot be read");
		buf_put_str(todo, "mount securityfs: mount -t securityfs securityfs /sys/kernel/security");
		return FINDING_WARN;
	}
	buf_put_str(what, "security modules: ");
	buf_put_esc(what, buf_slice(&list));
	if (has_word(buf_slice(&list), "bpf", ","))
		return FINDING_OK;
	buf_put_str(todo, "tier bpf-lsm (refusal in the kernel) needs bpf there: boot with lsm=");
	buf_put_esc(todo, buf_slice(&list));
	buf_put_str(todo, ",bpf");
	return FINDING_WARN;
}

static enum finding check_lockdown(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_BYTES);

	if (doctor_read(p, "/sys/kernel/security/lockdown", &line)) {
		buf_put_str(what, "lockdown: off");
		return FINDING_OK;
	}
	buf_put_str(what, "lockdown: ");
	buf_put_esc(what, buf_slice(&line));
	if (!has_word(buf_slice(&line), "[confidentiality]", " "))
		return FINDING_OK;
	buf_put_str(todo, "confidentiality forbids BPF to read kernel memory: boot with lockdown=integrity, or use svid.ko");
	return FINDING_FAIL;
}

static enum finding check_ftrace(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_BYTES);

	if (doctor_read(p, "/proc/sys/kernel/ftrace_enabled", &line)) {
		buf_put_str(what, "ftrace: not in this kernel, so no fentry; tier bpf-tp at best");
		buf_put_str(todo, "use a kernel with CONFIG_DYNAMIC_FTRACE=y for bpf-lsm and bpf-fentry");
		return FINDING_WARN;
	}
	buf_printf(what, "kernel.ftrace_enabled = %s", buf_cstr(&line));
	if (slice_eq_str(buf_slice(&line), "1"))
		return FINDING_OK;
	/* K8: it silences LSM and fentry programs without any error. */
	buf_put_str(todo, "sysctl kernel.ftrace_enabled=1; while it is 0 the kernel does not call our programs");
	return FINDING_FAIL;
}

static enum finding check_yama(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_BYTES);

	if (doctor_read(p, "/proc/sys/kernel/yama/ptrace_scope", &line)) {
		buf_put_str(what, "yama is off: a process may trace others of its user");
		buf_put_str(todo, "in tier bpf-tp tracing is not seen; boot with yama in lsm=, set kernel.yama.ptrace_scope=1");
		return FINDING_WARN;
	}
	buf_printf(what, "kernel.yama.ptrace_scope = %s", buf_cstr(&line));
	if (!slice_eq_str(buf_slice(&line), "0"))
		return FINDING_OK;
	buf_put_str(todo, "sysctl kernel.yama.ptrace_scope=1 keeps programs of one user out of each other");
	return FINDING_WARN;
}

static enum finding check_userns(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf clone = BUF_INIT(LINE_BYTES);
	AUTO(buf) struct buf most = BUF_INIT(LINE_BYTES);
	int no_switch = doctor_read(p, "/proc/sys/kernel/unprivileged_userns_clone", &clone);
	int no_limit = doctor_read(p, "/proc/sys/user/max_user_namespaces", &most);
	bool off = (!no_switch && slice_eq_str(buf_slice(&clone), "0")) || (!no_limit && slice_eq_str(buf_slice(&most), "0"));

	(void)todo;
	/* Nothing to do: paths below such namespaces never match (A10), it only widens the kernel's surface. */
	buf_printf(what, "unprivileged user namespaces are %s", off ? "off" : "on; callers inside them match no path");
	return FINDING_OK;
}

static enum finding check_cgroup(const struct patient *p, struct buf *what, struct buf *todo)
{
	if (doctor_mounted(p, "/sys/fs/cgroup", "cgroup2")) {
		buf_put_str(what, "control groups: version 2");
		return FINDING_OK;
	}
	if (doctor_mounted(p, "/sys/fs/cgroup/unified", "cgroup2")) {
		buf_put_str(what, "control groups: hybrid, systemd's groups are in version 1");
		buf_put_str(todo, "cgroup and systemd selectors are off; boot with systemd.unified_cgroup_hierarchy=1");
		return FINDING_WARN;
	}
	buf_put_str(what, "control groups: no version 2 hierarchy");
	buf_put_str(todo, "boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2 at /sys/fs/cgroup/unified");
	return FINDING_FAIL;
}

static enum finding check_bpffs(const struct patient *p, struct buf *what, struct buf *todo)
{
	if (doctor_mounted(p, "/sys/fs/bpf", "bpf")) {
		buf_put_str(what, "BPF file system at /sys/fs/bpf");
		return FINDING_OK;
	}
	buf_put_str(what, "no BPF file system at /sys/fs/bpf");
	buf_put_str(todo, "mount -t bpf bpf /sys/fs/bpf; without it a restart of svidd is a gap");
	return FINDING_WARN;
}

static enum finding check_unprivileged_bpf(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_BYTES);

	if (doctor_read(p, "/proc/sys/kernel/unprivileged_bpf_disabled", &line)) {
		buf_put_str(what, "BPF: no switch for unprivileged use");
		return FINDING_OK;
	}
	buf_printf(what, "kernel.unprivileged_bpf_disabled = %s", buf_cstr(&line));
	if (!slice_eq_str(buf_slice(&line), "0"))
		return FINDING_OK;
	buf_put_str(todo, "sysctl kernel.unprivileged_bpf_disabled=1; svidd does not need it open");
	return FINDING_WARN;
}

/* Nothing to do without it: BPF gives the evidence, FUSE shows the tree. What is better with it is in its INSTALL.md. */
static enum finding check_module(const struct patient *p, struct buf *what, struct buf *todo)
{
	bool loaded = exists(p, "/sys/module/svid");

	buf_printf(what, "kernel module svid.ko is %s", loaded ? "loaded" : "not loaded (kmod/INSTALL.md)");
	if (!loaded || exists(p, "/dev/svid"))
		return FINDING_OK;
	buf_put_str(what, ", but there is no /dev/svid");
	buf_put_str(todo, "mount devtmpfs at /dev, or let udev make the device that /sys/class/misc/svid/dev names");
	return FINDING_FAIL;
}

/* What these settings alone allow; svidd finds out by loading its programs, which a kernel may still refuse. */
static enum finding check_tier(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf list = BUF_INIT(LINE_BYTES);
	AUTO(buf) struct buf lockdown = BUF_INIT(LINE_BYTES);
	bool reads = doctor_read(p, "/sys/kernel/security/lockdown", &lockdown) ||
		     !has_word(buf_slice(&lockdown), "[confidentiality]", " ");
	bool hooks = reads && exists(p, "/sys/kernel/btf/vmlinux") && exists(p, "/proc/sys/kernel/ftrace_enabled");
	bool lsm = !doctor_read(p, "/sys/kernel/security/lsm", &list) && has_word(buf_slice(&list), "bpf", ",");
	const char *tier = NULL;

	if (hooks && kernel_number(p->kernel) >= 6001)
		tier = lsm ? "bpf-lsm" : "bpf-fentry";
	else if (exists(p, "/dev/svid"))
		tier = "kmod";
	else if (reads && exists(p, "/sys/kernel/btf/vmlinux") && kernel_number(p->kernel) >= 6007)
		tier = "bpf-tp";
	buf_printf(what, "strongest evidence tier to expect here: %s", tier ? tier : "none");
	if (tier)
		return FINDING_OK;
	buf_put_str(todo, "svidd will not start; the lines above say what is in the way");
	return FINDING_FAIL;
}

/* The same of the credential tree. */
static enum finding check_delivery(const struct patient *p, struct buf *what, struct buf *todo)
{
	const char *how = exists(p, "/dev/svid") ? "sysfs" : exists(p, "/dev/fuse") ? "fuse" : "none";

	buf_printf(what, "SVIDs as files to expect here: %s", how);
	if (strcmp(how, "none") != 0)
		return FINDING_OK;
	buf_put_str(todo, "modprobe fuse, or modprobe svid (kmod/INSTALL.md)");
	return FINDING_WARN;
}

/* A date before this source was written is a clock that was never set. */
#define PLAUSIBLE_S 1790000000

static enum finding check_clock(const struct patient *p, struct buf *what, struct buf *todo)
{
	char now[32];

	clock_rfc3339(p->now, now);
	buf_printf(what, "clock: %s, %s", now, p->clock_synced ? "synchronised" : "not synchronised");
	if (p->now < PLAUSIBLE_S) {
		buf_put_str(todo, "set the clock: certificates made now would be wrong");
		return FINDING_FAIL;
	}
	if (p->clock_synced)
		return FINDING_OK;
	buf_put_str(todo, "run a time service: peers compare certificate times with their own clocks");
	return FINDING_WARN;
}

const struct check doctor_kernel_checks[] = {
	{ "kernel", check_kernel },
	{ "btf", check_btf },
	{ "lsm", check_lsm },
	{ "lockdown", check_lockdown },
	{ "ftrace", check_ftrace },
	{ "yama", check_yama },
	{ "user-namespaces", check_userns },
	{ "cgroup", check_cgroup },
	{ "bpffs", check_bpffs },
	{ "unprivileged-bpf", check_unprivileged_bpf },
	{ "module", check_module },
	{ "clock", check_clock },
	{ NULL, NULL },
};

const struct check doctor_guess_checks[] = {
	{ "tier-expected", check_tier },
	{ "delivery-expected", check_delivery },
	{ NULL, NULL },
};
