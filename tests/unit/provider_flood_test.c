// SPDX-License-Identifier: Apache-2.0
/* links: agent/parent/bpf.c agent/parent/bpf_tier.c agent/parent/bpf_pin.c agent/parent/bpf_why.c agent/parent/module.c */
/* links: agent/core/provider.c agent/core/provider_attach.c agent/core/provider_bpf.c agent/core/provider_kmod.c agent/core/provider_socket.c */
/* links: tests/lib/evidence_caller.c tests/lib/evidence_world.c */
/* provider_flood_test.c - who may not connect just now (bpf-lsm), and for whom a connection counts (A14). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/lib/evidence_world.h"

#define BACKLOG 1024
#define MAKER 1000
#define MAPPED 100000

/* Elsewhere nothing can be refused: tests/vm/evidence_test.sh runs this where it can. */
#define ONLY_IN_LSM()                                   \
	do {                                            \
		if (!world_tier_is(SVID_TIER_LSM))      \
			return;                         \
	} while (0)

/* 0 and *@ret_fd, or -errno. */
static int try_connect(int *ret_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;

	assert_true(fd >= 0);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", world.path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		err = -errno;
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

static uint64_t counted(unsigned int what)
{
	struct svid_stats s;

	provider_stats(world.p, &s);
	return s.n[what];
}

static void connections_that_core_has_not_seen_are_bounded(void **state)
{
	uint64_t before;
	int fds[SVID_QUEUE_EXE + 2], accepted;
	struct svid_conn conn;

	(void)state;
	NEED_KERNEL();
	ONLY_IN_LSM();
	assert_int_equal(listen(world.listener, BACKLOG), 0);
	before = counted(SVID_STAT_QUEUE);
	for (size_t i = 0; i < SVID_QUEUE_EXE; i++)
		assert_int_equal(try_connect(&fds[i]), 0);
	assert_int_equal(try_connect(&fds[SVID_QUEUE_EXE]), -EAGAIN);
	assert_int_equal(counted(SVID_STAT_QUEUE), before + 1);
	accepted = world_accept();
	assert_int_equal(try_connect(&fds[SVID_QUEUE_EXE]), -EAGAIN); /* accepted is not seen */
	provider_leave(world.p, accepted);
	provider_leave(world.p, accepted); /* once */
	close(accepted);
	assert_int_equal(try_connect(&fds[SVID_QUEUE_EXE]), 0);
	assert_int_equal(try_connect(&fds[SVID_QUEUE_EXE + 1]), -EAGAIN);
	accepted = world_accept();
	assert_int_equal(provider_adopt(world.p, accepted, 1, &conn), 0);
	close(accepted);
	assert_int_equal(try_connect(&fds[SVID_QUEUE_EXE + 1]), 0);
	for (size_t i = 0; i < SVID_QUEUE_EXE + 2; i++)
		close(fds[i]);
	for (size_t i = 0; i < SVID_QUEUE_EXE; i++) {
		accepted = world_accept();
		provider_leave(world.p, accepted); /* dead clients leave the queue, too */
		close(accepted);
	}
	assert_int_equal(try_connect(&fds[0]), 0);
	close(fds[0]);
	close(world_accept());
}

static void a_shut_door_refuses_until_it_opens(void **state)
{
	const struct svid_who me = { .id = geteuid(), .kind = SVID_WHO_UID };
	const struct svid_who other = { .id = geteuid() + 1, .kind = SVID_WHO_UID };
	uint64_t before;
	int fd;

	(void)state;
	NEED_KERNEL();
	ONLY_IN_LSM();
	before = counted(SVID_STAT_DOOR);
	provider_door(world.p, &other, clock_boot_ns() + 3600 * NS_PER_S);
	assert_int_equal(try_connect(&fd), 0);
	close(fd);
	close(world_accept());
	provider_door(world.p, &me, clock_boot_ns() + 3600 * NS_PER_S);
	assert_int_equal(try_connect(&fd), -EAGAIN);
	assert_int_equal(counted(SVID_STAT_DOOR), before + 1);
	provider_door(world.p, &me, 0);
	assert_int_equal(try_connect(&fd), 0);
	close(fd);
	close(world_accept());
	provider_door(world.p, &me, clock_boot_ns() - 1); /* it opens by itself */
	assert_int_equal(try_connect(&fd), 0);
	close(fd);
	close(world_accept());
	provider_door(world.p, &other, 0);
}

static void write_map(pid_t pid, const char *what, const char *map)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, map, strlen(map)), strlen(map));
	close(fd);
}

/* A user of a namespace that MAKER made makes another in it, and connects from there. */
static void nested(int from_parent, int to_parent)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte = 0;

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", world.path);
	if (setresgid(MAKER, MAKER, MAKER) || setresuid(MAKER, MAKER, MAKER) || unshare(CLONE_NEWUSER))
		_exit(1);
	if (write(to_parent, &byte, 1) != 1 || read(from_parent, &byte, 1) != 1)
		_exit(2);
	if (setresgid(1, 1, 1) || setresuid(1, 1, 1) || unshare(CLONE_NEWUSER))
		_exit(3);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		_exit(4);
	(void)!write(to_parent, &byte, 1);
	(void)!read(from_parent, &byte, 1);
	_exit(0);
}

static void namespaces_in_namespaces_count_for_who_made_the_outermost(void **state)
{
	int down[2], up[2], fd, status;
	struct svid_conn conn;
	char byte = 0;
	pid_t pid;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(pipe(down) | pipe(up), 0);
	assert_int_equal(chmod(world.dir, 0755) | chmod(world.path, 0777), 0);
	pid = fork();
	if (pid == 0) {
		close(down[1]);
		close(up[0]);
		nested(down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	if (read(up[0], &byte, 1) != 1) {
		waitpid(pid, &status, 0);
		skip(); /* no user namespaces for users here */
	}
	write_map(pid, "gid_map", "0 1000 1\n1 100000 1\n");
	write_map(pid, "uid_map", "0 1000 1\n1 100000 1\n");
	assert_int_equal(write(down[1], &byte, 1), 1);
	assert_int_equal(read(up[0], &byte, 1), 1);
	fd = world_accept();
	assert_int_equal(provider_peek(world.p, fd, &conn), 0);
	assert_int_equal(conn.creds.ids.uid, MAPPED);
	assert_int_equal(conn.creds.userns_level, 2);
	assert_int_equal(conn.creds.userns_owner, MAKER);
	close(down[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(up[0]);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_that_core_has_not_seen_are_bounded),
		cmocka_unit_test(a_shut_door_refuses_until_it_opens),
		cmocka_unit_test(namespaces_in_namespaces_count_for_who_made_the_outermost),
	};

	return cmocka_run_group_tests_name("provider_flood", tests, world_up, world_down);
}
