/* links: agent/sandbox tests/lib/child.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox_test.c - what sandbox_enter() and role_start() stop, each in a child of its own. Next: agent/sandbox/README.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/ipc/plan.h"
#include "agent/sandbox/sandbox.h"
#include "tests/lib/child.h"

static const struct sandbox_call base[] = { SANDBOX_BASE };
static const struct sandbox_call base_open[] = { SANDBOX_BASE, CALL("openat"), CALL("open"), CALL("rename"), CALL("renameat"),
						 CALL("renameat2"), CALL("unlink"), CALL("unlinkat"), CALL("kill") };
static const struct sandbox_plan bare = { .calls = base, .n_calls = ARRAY_SIZE(base) };

static int enter_bare(void)
{
	return sandbox_enter(&bare) ? 100 : 0;
}

static int call_unlisted(void)
{
	if (sandbox_enter(&bare))
		return 100;
	syscall(SYS_getppid);
	return 0;
}

static int call_socket(void)
{
	if (sandbox_enter(&bare))
		return 100;
	(void)!socket(AF_UNIX, SOCK_STREAM, 0);
	return 0;
}

#ifndef SVID_SAN /* the sanitizers' runtime is allowed more */
static int map_executable(void)
{
	if (sandbox_enter(&bare))
		return 100;
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int make_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sandbox_enter(&bare))
		return 100;
	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}
#endif

static int unlisted_fcntl(void)
{
	if (sandbox_enter(&bare))
		return 100;
	return fcntl(0, F_SETOWN, getpid());
}

static int use_what_is_listed(void)
{
	void *p;
	int fd;

	if (sandbox_enter(&bare))
		return 100;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || munmap(p, 4096) < 0)
		return 1;
	fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
	return fd < 0 || close(fd) < 0;
}

static int is_sealed_off(void)
{
	static const struct sandbox_call more[] = { SANDBOX_BASE, CALL("prctl") };
	const struct sandbox_plan plan = { .calls = more, .n_calls = ARRAY_SIZE(more) };

	if (sandbox_enter(&plan))
		return 100;
	return prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_SECCOMP) != 2;
}

static char allowed_dir[64], other_file[128];

static struct sandbox_plan plan_of_dir(struct sandbox_path *path, unsigned int access)
{
	*path = (struct sandbox_path){ .path = allowed_dir, .access = access };
	return (struct sandbox_plan){ .calls = base_open, .n_calls = ARRAY_SIZE(base_open), .paths = path, .n_paths = 1 };
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags, 0600);
	return fd < 0 ? errno : 0;
}

static int write_inside(void)
{
	struct sandbox_path path;
	struct sandbox_plan plan = plan_of_dir(&path, SANDBOX_READ | SANDBOX_WRITE);

	return sandbox_enter(&plan) ? 100 : open_in(allowed_dir, "new", O_RDWR | O_CREAT);
}

static int write_where_only_reading_is_allowed(void)
{
	struct sandbox_path path;
	struct sandbox_plan plan = plan_of_dir(&path, SANDBOX_READ);

	return sandbox_enter(&plan) ? 100 : open_in(allowed_dir, "new2", O_RDWR | O_CREAT);
}

static int read_outside(void)
{
	struct sandbox_path path;
	struct sandbox_plan plan = plan_of_dir(&path, SANDBOX_READ | SANDBOX_WRITE);

	return sandbox_enter(&plan) ? 100 : open_in("/", "etc/passwd", O_RDONLY);
}

static int read_with_no_paths(void)
{
	const struct sandbox_plan plan = { .calls = base_open, .n_calls = ARRAY_SIZE(base_open) };

	return sandbox_enter(&plan) ? 100 : open_in("/", "etc/passwd", O_RDONLY);
}

static int read_without_landlock(void)
{
	const struct sandbox_plan plan = { .calls = base_open, .n_calls = ARRAY_SIZE(base_open), .no_landlock = "test" };

	return sandbox_enter(&plan) ? 100 : open_in("/", "etc/passwd", O_RDONLY);
}

static const struct sandbox_call tcp[] = { SANDBOX_BASE, CALL("socket"), CALL("connect"), CALL("bind"), CALL("listen"),
					   CALL("getsockname") };

/* A listener of our own from before; 0, or the errno of connect() or bind() within. */
static int tcp_within(bool connects, bool binds)
{
	const struct sandbox_plan plan = { .calls = tcp, .n_calls = ARRAY_SIZE(tcp), .connects = connects };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	socklen_t len = sizeof(at);

	if (bind(listener, (struct sockaddr *)&at, len) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &len) < 0 || sandbox_enter(&plan))
		return 100;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (binds)
		at.sin_port = 0;
	return (binds ? bind(fd, (struct sockaddr *)&at, len) : connect(fd, (struct sockaddr *)&at, len)) < 0 ? errno : 0;
}

static int connect_without(void)
{
	return tcp_within(false, false);
}

static int connect_with(void)
{
	return tcp_within(true, false);
}

static int bind_with(void)
{
	return tcp_within(true, true);
}

static int limits_are_lowered(void)
{
	static const struct sandbox_call more[] = { SANDBOX_BASE, CALL("getrlimit"), CALL("prlimit64") };
	static const struct sandbox_limit limits[] = { { RLIMIT_NOFILE, 7 }, { RLIMIT_FSIZE, 1u << 30 } };
	const struct sandbox_plan plan = { .calls = more, .n_calls = ARRAY_SIZE(more), .limits = limits, .n_limits = 2 };
	struct rlimit now;

	if (sandbox_enter(&plan) || getrlimit(RLIMIT_NOFILE, &now) < 0)
		return 100;
	return now.rlim_cur != 7 || now.rlim_max != 7;
}

static int with_args(const char *arg, bool channel, int n_fds)
{
	char *argv[] = { (char *)(uintptr_t)"role", (char *)(uintptr_t)arg, NULL };
	int pair[2];

	close(FD_CHANNEL);
	if (socketpair(AF_UNIX, channel ? SOCK_SEQPACKET : SOCK_STREAM, 0, pair) < 0 || pair[0] != FD_CHANNEL)
		return 100;
	(void)role_start(arg ? 2 : 1, argv, "role", (unsigned int)n_fds);
	return fcntl(pair[1], F_GETFD) >= 0 ? 3 : 0; /* what is not in the plan must be closed */
}

static int start_well(void)
{
	return with_args("--index=7", true, 1);
}

static int start_with_two(void)
{
	return with_args(NULL, true, 2);
}

static int start_with_unknown_argument(void)
{
	return with_args("--help", true, 1);
}

static int start_with_bad_number(void)
{
	return with_args("--index=x", true, 1);
}

static int start_on_a_stream(void)
{
	return with_args(NULL, false, 1);
}

static int start_without_a_descriptor(void)
{
	return with_args(NULL, true, 3);
}

static int unlisted_in_debug_mode(void)
{
	char *argv[] = { (char *)(uintptr_t)"role", (char *)(uintptr_t)"--sandbox=log", NULL };

	(void)role_start(2, argv, "role", 0);
	if (sandbox_enter(&bare))
		return 100;
	return syscall(SYS_getppid) > 0 ? 0 : 1;
}

static void unlisted_calls_kill(void **state)
{
	(void)state;
	assert_int_equal(child_run(call_unlisted), CHILD_KILLED);
	assert_int_equal(child_run(call_socket), CHILD_KILLED);
	assert_int_equal(child_run(unlisted_fcntl), CHILD_KILLED);
}

#ifndef SVID_SAN
static void executable_memory_kills(void **state)
{
	(void)state;
	assert_int_equal(child_run(map_executable), CHILD_KILLED);
	assert_int_equal(child_run(make_executable), CHILD_KILLED);
}
#endif

static void listed_calls_work(void **state)
{
	(void)state;
	assert_int_equal(child_run(enter_bare), 0);
	assert_int_equal(child_run(use_what_is_listed), 0);
	assert_int_equal(child_run(is_sealed_off), 0);
	assert_int_equal(child_run(limits_are_lowered), 0);
}

static void debug_mode_does_not_kill(void **state)
{
	(void)state;
	assert_int_equal(child_run(unlisted_in_debug_mode), 0);
}

static int landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
}

static bool have_landlock(void)
{
	return landlock_abi() >= 1;
}

/* A role that seccomp leaves these calls to has no business with TCP, but for svid-cloud, which only connects. */
static void only_who_must_connects_and_nobody_listens(void **state)
{
	(void)state;
	if (landlock_abi() < 4)
		skip();
	assert_int_equal(child_run(connect_without), EACCES);
	assert_int_equal(child_run(connect_with), 0);
	assert_int_equal(child_run(bind_with), EACCES);
}

static void only_listed_paths_open(void **state)
{
	(void)state;
	if (!have_landlock())
		skip();
	assert_int_equal(child_run(write_inside), 0);
	assert_int_equal(child_run(write_where_only_reading_is_allowed), EACCES);
	assert_int_equal(child_run(read_outside), EACCES);
	assert_int_equal(child_run(read_with_no_paths), EACCES);
	assert_int_equal(child_run(read_without_landlock), 0); /* the control: it was Landlock */
}

static void role_start_takes_the_plan_and_nothing_else(void **state)
{
	(void)state;
	assert_int_equal(child_run(start_with_unknown_argument), 1);
	assert_int_equal(child_run(start_with_bad_number), 1);
	assert_int_equal(child_run(start_on_a_stream), 1);
	assert_int_equal(child_run(start_without_a_descriptor), 1);
	assert_int_equal(child_run(start_with_two), 3); /* the second is part of this plan */
	assert_int_equal(child_run(start_well), 0);
}

static int make_files(void **state)
{
	(void)state;
	snprintf(allowed_dir, sizeof(allowed_dir), "/tmp/svid-sandbox-XXXXXX");
	return mkdtemp(allowed_dir) ? 0 : -1;
}

static int remove_files(void **state)
{
	(void)state;
	snprintf(other_file, sizeof(other_file), "%s/new", allowed_dir);
	unlink(other_file);
	return rmdir(allowed_dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(unlisted_calls_kill),
#ifndef SVID_SAN
		cmocka_unit_test(executable_memory_kills),
#endif
		cmocka_unit_test(listed_calls_work),
		cmocka_unit_test(debug_mode_does_not_kill),
		cmocka_unit_test(only_listed_paths_open),
		cmocka_unit_test(only_who_must_connects_and_nobody_listens),
		cmocka_unit_test(role_start_takes_the_plan_and_nothing_else),
	};

	return cmocka_run_group_tests_name("sandbox", tests, make_files, remove_files);
}
