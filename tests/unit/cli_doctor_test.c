/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/doctor_kernel.c agent/cli/doctor_agent.c agent/cli/doctor_status.c agent/cli/audit_line.c agent/cli/jwt.c agent/cli/jwt_verify.c agent/cli/jwk.c agent/cli/dump.c agent/cli/endpoint.c */
/* cli_doctor_test.c - each check of `svid doctor` on a machine made of files, healthy and ill. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/cli/doctor.h"

#define RUNS(yes, states) "{\"cloud\":{\"wanted\":true,\"running\":" yes ",\"credentials\":{" states "}}}"

static char root[] = "/tmp/svid-doctor-XXXXXX";
static struct patient patient;

static void path_to(const char *path, char out[static 256])
{
	assert_in_range(snprintf(out, 256, "%s%s", root, path), 1, 255);
}

static void make_dirs(const char *path)
{
	char full[256];

	path_to(path, full);
	for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		mkdir(full, 0755);
		*at = '/';
	}
}

static void file(const char *path, const char *content)
{
	char full[256];
	FILE *f;

	make_dirs(path);
	path_to(path, full);
	f = fopen(full, "we");
	assert_non_null(f);
	fputs(content, f);
	fclose(f);
}

static void gone(const char *path)
{
	char full[256];

	path_to(path, full);
	unlink(full);
}

static void mode(const char *path, unsigned int bits)
{
	char full[256];

	path_to(path, full);
	assert_int_equal(chmod(full, bits), 0);
}

static const struct check *find(const char *name)
{
	for (const struct check *c = doctor_kernel_checks; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	for (const struct check *c = doctor_agent_checks; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	for (const struct check *c = doctor_guess_checks; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	for (const struct check *c = doctor_status_checks; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	fail_msg("no check %s", name);
	return NULL;
}

/* The finding of one check; what is not ok says what to do, what is ok does not. */
static enum finding examine(const char *name)
{
	AUTO(buf) struct buf what = BUF_INIT(1 << 16);
	AUTO(buf) struct buf todo = BUF_INIT(1 << 16);
	enum finding f = find(name)->run(&patient, &what, &todo);

	assert_true(what.len > 0);
	assert_true(f == FINDING_OK ? todo.len == 0 : todo.len > 0 || strcmp(name, "socket-directory") == 0);
	return f;
}

static void kernel_age_counts(void **state)
{
	static const struct {
		const char *release;
		enum finding want;
	} cases[] = { { "6.1.0-25-amd64", FINDING_OK }, { "6.12.3", FINDING_OK }, { "7.0", FINDING_OK },
		      { "5.15.0", FINDING_FAIL }, { "6.0.9", FINDING_FAIL }, { "?", FINDING_FAIL } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		patient.kernel = cases[i].release;
		assert_int_equal(examine("kernel"), cases[i].want);
	}
	patient.kernel = "6.1.0";
}

static void settings_of_the_kernel_are_read(void **state)
{
	static const struct {
		const char *check, *path, *good, *bad;
		enum finding want;
	} cases[] = {
		{ "btf", "/sys/kernel/btf/vmlinux", "x", NULL, FINDING_FAIL },
		{ "lsm", "/sys/kernel/security/lsm", "lockdown,capability,bpf", "lockdown,capability,yama", FINDING_WARN },
		{ "lsm", "/sys/kernel/security/lsm", "bpf", "bpfx,xbpf", FINDING_WARN },
		{ "lsm", "/sys/kernel/security/lsm", "bpf\n", NULL, FINDING_WARN },
		{ "lockdown", "/sys/kernel/security/lockdown", "none [integrity] confidentiality\n",
		  "none integrity [confidentiality]\n", FINDING_FAIL },
		{ "ftrace", "/proc/sys/kernel/ftrace_enabled", "1\n", "0\n", FINDING_FAIL },
		{ "ftrace", "/proc/sys/kernel/ftrace_enabled", "1\n", NULL, FINDING_WARN },
		{ "yama", "/proc/sys/kernel/yama/ptrace_scope", "1\n", "0\n", FINDING_WARN },
		{ "yama", "/proc/sys/kernel/yama/ptrace_scope", "2\n", NULL, FINDING_WARN },
		{ "unprivileged-bpf", "/proc/sys/kernel/unprivileged_bpf_disabled", "2\n", "0\n", FINDING_WARN },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		file(cases[i].path, cases[i].good);
		assert_int_equal(examine(cases[i].check), FINDING_OK);
		if (cases[i].bad)
			file(cases[i].path, cases[i].bad);
		else
			gone(cases[i].path);
		assert_int_equal(examine(cases[i].check), cases[i].want);
	}
}

static void mounts_decide_on_cgroups_and_bpffs(void **state)
{
	(void)state;
	file("/proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n");
	assert_int_equal(examine("cgroup"), FINDING_OK);
	assert_int_equal(examine("bpffs"), FINDING_OK);
	file("/proc/self/mounts", "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
	assert_int_equal(examine("cgroup"), FINDING_WARN);
	assert_int_equal(examine("bpffs"), FINDING_WARN);
	file("/proc/self/mounts", "cgroup /sys/fs/cgroup/memory cgroup rw 0 0\n");
	assert_int_equal(examine("cgroup"), FINDING_FAIL);
}

static enum finding tier(const char *kernel, const char *lsm, const char *lockdown, bool ftrace)
{
	file("/sys/kernel/btf/vmlinux", "x");
	file("/sys/kernel/security/lsm", lsm);
	file("/sys/kernel/security/lockdown", lockdown);
	if (ftrace)
		file("/proc/sys/kernel/ftrace_enabled", "1");
	else
		gone("/proc/sys/kernel/ftrace_enabled");
	patient.kernel = kernel;
	return examine("tier-expected");
}

static void expected_tier_follows_from_the_settings(void **state)
{
	(void)state;
	assert_int_equal(tier("6.1.0", "capability,bpf", "[none] integrity confidentiality", true), FINDING_OK);
	assert_int_equal(tier("6.1.0", "capability", "[none] integrity confidentiality", true), FINDING_OK);
	assert_int_equal(tier("6.8.0", "capability,bpf", "[none] integrity confidentiality", false), FINDING_OK);
	assert_int_equal(tier("6.1.0", "capability,bpf", "[none] integrity confidentiality", false), FINDING_FAIL);
	assert_int_equal(tier("6.12.0", "capability,bpf", "none integrity [confidentiality]", true), FINDING_FAIL);
	patient.kernel = "6.1.0";
}

static void module_and_fuse_decide_on_the_tree(void **state)
{
	(void)state;
	assert_int_equal(examine("module"), FINDING_OK);
	assert_int_equal(examine("delivery-expected"), FINDING_WARN);
	file("/dev/fuse", "");
	assert_int_equal(examine("delivery-expected"), FINDING_OK);
	file("/sys/module/svid/refcnt", "0");
	assert_int_equal(examine("module"), FINDING_FAIL);
	file("/dev/svid", "");
	assert_int_equal(examine("module"), FINDING_OK);
	/* and it is a tier where BPF is not */
	assert_int_equal(tier("6.1.0", "capability,bpf", "none integrity [confidentiality]", true), FINDING_OK);
	patient.kernel = "6.1.0";
	gone("/dev/svid");
	gone("/dev/fuse");
	gone("/sys/module/svid/refcnt");
}

static void what_the_agent_says_of_itself_counts(void **state)
{
	static const struct {
		const char *check, *status;
		enum finding want;
	} cases[] = {
		{ "serving", "{\"serving\":true}", FINDING_OK },
		{ "serving", "{\"serving\":false,\"holds\":[{\"what\":\"audit\",\"why\":\"\\u001b\"}]}", FINDING_FAIL },
		{ "tree", "{\"tree\":{\"delivery\":\"sysfs\",\"path\":\"/sys/kernel/svid/credentials\"}}", FINDING_OK },
		{ "tree", "{\"tree\":{\"delivery\":\"none\",\"path\":\"\"}}", FINDING_OK },
		{ "tree", "{\"tree\":{\"delivery\":\"none\",\"path\":\"/x\",\"err\":\"Input/output error\"}}", FINDING_FAIL },
		{ "tree", "{}", FINDING_OK },
		{ "clouds", "{}", FINDING_OK },
		{ "clouds", RUNS("true", "\"ready\":2,\"waiting\":1"), FINDING_OK },
		{ "clouds", RUNS("true", "\"ready\":2,\"slow\":1"), FINDING_WARN },
		{ "clouds", RUNS("false", "\"ready\":2"), FINDING_FAIL },
		{ "documents", "{\"documents\":{\"stale\":[]}}", FINDING_OK },
		{ "documents", "{\"documents\":{\"stale\":[\"a\"]}}", FINDING_WARN },
		{ "errors", "{\"documents\":{\"errors\":[]}}", FINDING_OK },
		{ "errors", "{\"documents\":{\"errors\":[{\"severity\":\"warning\",\"text\":\"t\"}]}}", FINDING_OK },
		{ "errors", "{\"documents\":{\"errors\":[{\"severity\":\"error\"}]}}", FINDING_WARN },
		{ "settings", "{\"restart_needed\":[]}", FINDING_OK },
		{ "settings", "{\"restart_needed\":[{\"setting\":\"spec.attestation\"}]}", FINDING_WARN },
		{ "authority", "{\"authority\":{\"not_after\":\"2029-01-01T00:00:00Z\"}}", FINDING_OK },
		{ "authority", "{\"authority\":{\"not_after\":\"2027-01-20T00:00:00Z\"}}", FINDING_WARN },
		{ "authority", "{\"authority\":{\"not_after\":\"2027-01-10T00:00:00Z\"}}", FINDING_FAIL },
		{ "jwt-keys", "{\"authority\":{\"jwt_keys\":[\"k\"]}}", FINDING_OK },
		{ "jwt-keys", "{\"authority\":{\"jwt_keys\":[]}}", FINDING_WARN },
		{ "audit", "{\"audit\":{\"working\":true,\"mode\":\"required\"}}", FINDING_OK },
		{ "audit", "{\"audit\":{\"working\":false,\"mode\":\"required\"}}", FINDING_FAIL },
		{ "penalties", "{\"penalties\":[]}", FINDING_OK },
		{ "penalties", "{\"penalties\":[{\"whose\":\"uid\",\"id\":7}]}", FINDING_WARN },
		/* What an agent of another version does not say is no finding. */
		{ "serving", "{}", FINDING_OK },   { "documents", "{}", FINDING_OK }, { "settings", "{}", FINDING_OK },
		{ "authority", "{}", FINDING_OK }, { "jwt-keys", "{}", FINDING_OK },  { "audit", "{}", FINDING_OK },
		{ "penalties", "{}", FINDING_OK },
	};

	const struct patient before = patient;

	(void)state;
	patient.now = 1800000000; /* 2027-01-15 */
	patient.config = patient.policy_dir = "/x";
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *status = json_loads(cases[i].status, 0, NULL);

		assert_non_null(status);
		patient.status = status;
		assert_int_equal(examine(cases[i].check), cases[i].want);
		json_decref(status);
	}
	patient = before;
}

/* status and doctor begin with it: what failed before what only warns, and the file of an error by name. */
static void trouble_is_said_worst_first(void **state)
{
	static const char ill[] = "{\"documents\":{\"errors\":[{\"file\":\"a.yaml\",\"line\":3,\"column\":5,"
				  "\"severity\":\"error\",\"text\":\"bad\\u001b\"},{\"severity\":\"error\"}]},"
				  "\"audit\":{\"mode\":\"required\",\"working\":false}}";
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);
	struct patient p = { .config = "/c", .policy_dir = "/p", .now = 1800000000 };
	json_t *status = json_loads(ill, 0, NULL), *fine = json_loads("{\"serving\":true}", 0, NULL);

	(void)state;
	p.status = status;
	doctor_trouble(&out, &p);
	assert_string_equal(buf_cstr(&out),
			    "fail  audit log, required: cannot be written\n"
			    "      \xe2\x86\x92 is its disk full? svid status says where it is\n"
			    "warn  errors in configuration and documents: 2, the first in a.yaml:3:5: bad\\x1b\n"
			    "      \xe2\x86\x92 what has an error is not in force: svid policy check -c /c /p\n");
	buf_reset(&out);
	p.status = fine;
	doctor_trouble(&out, &p);
	assert_string_equal(buf_cstr(&out), "ok    identities are served\n");
	json_decref(status);
	json_decref(fine);
}

static void clock_must_be_plausible_and_should_be_synchronised(void **state)
{
	(void)state;
	patient.now = 1800000000;
	patient.clock_synced = true;
	assert_int_equal(examine("clock"), FINDING_OK);
	patient.clock_synced = false;
	assert_int_equal(examine("clock"), FINDING_WARN);
	patient.now = 1000;
	assert_int_equal(examine("clock"), FINDING_FAIL);
}

static void make_socket(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	make_dirs(path);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s%s", root, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
}

static void socket_must_be_open_to_all_in_a_closed_directory(void **state)
{
	(void)state;
	assert_int_equal(examine("socket"), FINDING_FAIL);
	make_socket("/run/svid/public/api.sock");
	mode("/run/svid/public/api.sock", 0777);
	assert_int_equal(examine("socket"), FINDING_OK);
	assert_int_equal(examine("socket-directory"), FINDING_OK);
	mode("/run/svid/public/api.sock", 0700);
	assert_int_equal(examine("socket"), FINDING_FAIL);
	mode("/run/svid/public", 0777);
	assert_int_equal(examine("socket-directory"), FINDING_FAIL);
	gone("/run/svid/public/api.sock");
	file("/run/svid/public/api.sock", "no socket");
	mode("/run/svid/public/api.sock", 0777);
	assert_int_equal(examine("socket"), FINDING_FAIL);
}

static void directories_must_not_be_open(void **state)
{
	static const struct {
		const char *check, *path;
		unsigned int good, bad;
	} cases[] = { { "admin-directory", "/run/svid/private", 0700, 0755 },
		      { "state-directory", "/var/lib/svid", 0770, 0755 },
		      { "configuration", "/etc/svid/svid.yaml", 0644, 0664 },
		      { "policy-directory", "/etc/svid/policy.d", 0755, 0775 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char full[256];

		assert_int_equal(examine(cases[i].check), FINDING_WARN); /* not there */
		make_dirs(cases[i].path);
		path_to(cases[i].path, full);
		assert_int_equal(mkdir(full, cases[i].good), 0);
		mode(cases[i].path, cases[i].good);
		/* Owners are compared with root's; elsewhere only the mode can be tested. */
		if (geteuid() == 0)
			assert_int_equal(examine(cases[i].check), FINDING_OK);
		mode(cases[i].path, cases[i].bad);
		assert_int_equal(examine(cases[i].check), FINDING_FAIL);
	}
}

static int set_up(void **state)
{
	(void)state;
	patient = (struct patient){ .root = root, .kernel = "6.1.0", .socket = "/run/svid/public/api.sock",
				    .admin = "/run/svid/private/admin.sock", .state_dir = "/var/lib/svid",
				    .config = "/etc/svid/svid.yaml", .policy_dir = "/etc/svid/policy.d" };
	return mkdtemp(root) ? 0 : -1;
}

static void remove_tree(const char *dir)
{
	char *const argv[] = { "rm", "-rf", "--", (char *)(uintptr_t)dir, NULL };
	pid_t pid = fork();

	if (pid == 0) {
		execvp("rm", argv);
		_exit(127);
	}
}

static int tear_down(void **state)
{
	(void)state;
	remove_tree(root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_age_counts),
		cmocka_unit_test(settings_of_the_kernel_are_read),
		cmocka_unit_test(mounts_decide_on_cgroups_and_bpffs),
		cmocka_unit_test(expected_tier_follows_from_the_settings),
		cmocka_unit_test(module_and_fuse_decide_on_the_tree),
		cmocka_unit_test(what_the_agent_says_of_itself_counts),
		cmocka_unit_test(trouble_is_said_worst_first),
		cmocka_unit_test(clock_must_be_plausible_and_should_be_synchronised),
		cmocka_unit_test(socket_must_be_open_to_all_in_a_closed_directory),
		cmocka_unit_test(directories_must_not_be_open),
	};

	umask(022);
	return cmocka_run_group_tests_name("unit/cli_doctor", tests, set_up, tear_down);
}
