// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_why.c - sentences for people: why a tier is not used on this kernel, and after " -> " what to do. svidd as root;
 * doctor prints them.
 * securityfs may not be mounted; it is read through a mount that nobody else sees.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/bpf_parts.h"

#define WHY 256

static int securityfs_open(void)
{
	int fs, mnt;

	if (access("/sys/kernel/security/lsm", R_OK) == 0)
		return open("/sys/kernel/security", O_PATH | O_CLOEXEC);
	fs = fsopen("securityfs", FSOPEN_CLOEXEC);
	if (fs < 0)
		return -1;
	mnt = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0 ? -1 : fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	return mnt;
}

/* At most @size - 1 bytes of a small file into @ret; false when there is none. */
static bool read_at(int dir, const char *name, char *ret, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, ret, size - 1);
	close(fd);
	ret[n > 0 ? n : 0] = 0;
	return n > 0;
}

static bool security_read(const char *name, char *ret, size_t size)
{
	int dir = securityfs_open();
	bool ok;

	if (dir < 0)
		return false;
	ok = read_at(dir, name, ret, size);
	close(dir);
	return ok;
}

static bool list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',') && (p[n] == ',' || p[n] == 0 || p[n] == '\n'))
			return true;
	return false;
}

static bool trampolines_off(char *why)
{
	char text[16];

	if (!read_at(AT_FDCWD, "/proc/sys/kernel/ftrace_enabled", text, sizeof(text)) || text[0] != '0')
		return false;
	(void)snprintf(why, WHY, "kernel.ftrace_enabled is 0, which silences these hooks -> sysctl kernel.ftrace_enabled=1");
	return true;
}

static bool no_bpf_lsm(char *why)
{
	char list[96];

	if (!security_read("lsm", list, sizeof(list)) || list_has(list, "bpf"))
		return false;
	list[strcspn(list, "\n")] = 0;
	(void)snprintf(why, WHY, "bpf is not in the kernel's LSM list (%s) -> boot with lsm=%s,bpf", list, list);
	return true;
}

bool bpf_why_not(uint32_t tier, char *why)
{
	char text[128];

	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0) {
		(void)snprintf(why, WHY, "the kernel has no type information -> use a kernel built with CONFIG_DEBUG_INFO_BTF=y");
		return true;
	}
	if (security_read("lockdown", text, sizeof(text)) && strstr(text, "[confidentiality]")) {
		(void)snprintf(why, WHY, "%s",
			       "kernel lockdown is at confidentiality, which forbids BPF to read kernel memory -> "
			       "boot with lockdown=integrity");
		return true;
	}
	if (tier == SVID_TIER_LSM && no_bpf_lsm(why))
		return true;
	return tier != SVID_TIER_TP && trampolines_off(why);
}

static const char *usual_cause(uint32_t tier, const char *program, int err)
{
	if (tier == SVID_TIER_TP && strcmp(program, "tp_connect") == 0 && err == -EINVAL)
		return "cgroup/connect_unix needs Linux 6.7";
	if (tier == SVID_TIER_TP && strcmp(program, "tp_connect") == 0 && err == -ENOENT)
		return "no cgroup v2 is mounted";
	if (tier != SVID_TIER_TP && (err == -EPERM || err == -EBUSY || err == -EOPNOTSUPP || err == -524))
		return "this kernel refuses LSM and fentry programs";
	if (err == -EPERM)
		return "CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed";
	return "see the kernel log, and svidd's with libbpf's words at debug level";
}

void bpf_why_reused(uint32_t tier, char *why)
{
	if (!bpf_why_not(tier, why))
		(void)snprintf(why, WHY, "%s",
			       "not tried: the pinned programs of an earlier svidd are in use, which had to do without it -> "
			       "to try again: stop svidd, svidd --remove-pins, start it");
}

void bpf_why_failed(uint32_t tier, const char *what, const char *program, int err, char *why)
{
	(void)snprintf(why, WHY, "%s %s: %s (%s)", what, program, err_name(err), usual_cause(tier, program, err));
}
