// SPDX-License-Identifier: Apache-2.0
/* links: agent/parent/bpf.c agent/parent/bpf_tier.c agent/parent/bpf_pin.c agent/parent/bpf_why.c agent/parent/module.c agent/core/provider.c agent/core/provider_attach.c agent/core/provider_bpf.c agent/core/provider_kmod.c agent/core/provider_socket.c tests/lib/evidence_caller.c tests/lib/evidence_world.c */
/* provider_reader_test.c - who reads an entry of the credential tree: what is said of a thread that waits. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "tests/lib/evidence_world.h"

static void reader_is_described_as_its_connection_would_be(void **state)
{
	struct svid_conn who;
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(provider_reader(world.p, (uint32_t)g.c.pid, &who), 0);
	assert_memory_equal(&who.image, &g.conn.image, sizeof(who.image));
	assert_memory_equal(&who.creds, &g.conn.creds, sizeof(who.creds));
	assert_int_equal(who.tid, g.conn.tid);
	assert_int_equal(who.tier, g.conn.tier);
	assert_int_equal(who.flags, g.conn.flags);
	assert_int_equal(who.size, g.conn.size);
	assert_int_equal(who.marks | who.conn_slot | who.holder_slot | who.listener | who.conn_word, 0);
	assert_int_equal(who.cookie, 0);
	guest_close(&g);
}

static void exec_makes_another_reader(void **state)
{
	struct svid_conn before, after;
	struct caller c;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_SOCKET), 0);
	assert_int_equal(provider_reader(world.p, (uint32_t)c.pid, &before), 0);
	assert_int_equal(caller_do(&c, CALLER_LINGER), 0);
	assert_int_equal(caller_do(&c, CALLER_EXEC), 0);
	assert_int_equal(provider_reader(world.p, (uint32_t)c.pid, &after), 0);
	assert_memory_equal(&before.image.key, &after.image.key, sizeof(before.image.key));
	assert_int_not_equal(before.image.exec_id, after.image.exec_id);
	assert_int_not_equal(before.image.change, after.image.change);
	caller_end(&c);
}

struct waiting_thread {
	pthread_t thread;
	int ready[2];
	int go[2];
};

static void *wait_with_other_ids(void *arg)
{
	struct waiting_thread *w = arg;
	uint32_t tid = (uint32_t)syscall(SYS_gettid);
	char byte;

	(void)setfsuid(4242);
	if (write(w->ready[1], &tid, sizeof(tid)) != sizeof(tid) || read(w->go[0], &byte, 1) != 1)
		return arg;
	return NULL;
}

static void credentials_are_the_threads_own(void **state)
{
	struct waiting_thread w;
	struct svid_conn who;
	uint32_t tid = 0;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(pipe(w.ready) | pipe(w.go), 0);
	assert_int_equal(pthread_create(&w.thread, NULL, wait_with_other_ids, &w), 0);
	assert_int_equal(read(w.ready[0], &tid, sizeof(tid)), sizeof(tid));
	assert_int_not_equal(tid, getpid());
	assert_int_equal(provider_reader(world.p, tid, &who), 0);
	assert_int_equal(who.creds.ids.fsuid, 4242);
	assert_int_equal(who.tid - who.image.key.tgid, tid - (uint32_t)getpid());
	assert_int_equal(provider_reader(world.p, (uint32_t)getpid(), &who), 0);
	assert_int_equal(who.creds.ids.fsuid, geteuid());
	assert_int_equal(write(w.go[1], "", 1), 1);
	pthread_join(w.thread, NULL);
	while (syscall(SYS_tgkill, getpid(), tid, 0) == 0) /* joined a little before its number is free */
		sched_yield();
	assert_int_equal(provider_reader(world.p, tid, &who), -ESRCH);
	close(w.ready[0]);
	close(w.ready[1]);
	close(w.go[0]);
	close(w.go[1]);
}

/* Whatever it calls itself there, we know it by our number; by its own, 1, it would be somebody else. */
static void reader_in_another_pid_namespace_is_found_by_our_number(void **state)
{
	struct svid_conn who;
	pid_t child;

	(void)state;
	NEED_KERNEL();
	child = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (child == 0) {
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(provider_reader(world.p, (uint32_t)child, &who), 0);
	assert_int_not_equal(who.creds.pid_ns, 0);
	assert_true(who.image.flags & SVID_IMG_FORKED);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(provider_reader(world.p, (uint32_t)child, &who), -ESRCH);
}

static void numbers_of_nobody_are_told_apart(void **state)
{
	struct svid_conn who;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(provider_reader(world.p, 0, &who), -ESRCH);
	assert_int_equal(provider_reader(world.p, UINT32_MAX, &who), -ESRCH);
	assert_int_equal(provider_reader(world.p, 2, &who), -ENOENT); /* kthreadd, which runs no program */
}

static void connections_go_on_beside_readers(void **state)
{
	struct svid_conn who;
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	for (int i = 0; i < 100; i++)
		assert_int_equal(provider_reader(world.p, (uint32_t)g.c.pid, &who), 0);
	assert_int_equal(provider_peek(world.p, g.fd, &who), 0);
	assert_int_equal(who.conn_slot, g.t.conn_slot);
	assert_true(provider_valid(world.p, &g.t));
	guest_close(&g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_is_described_as_its_connection_would_be),
		cmocka_unit_test(exec_makes_another_reader),
		cmocka_unit_test(credentials_are_the_threads_own),
		cmocka_unit_test(reader_in_another_pid_namespace_is_found_by_our_number),
		cmocka_unit_test(numbers_of_nobody_are_told_apart),
		cmocka_unit_test(connections_go_on_beside_readers),
	};

	caller_main(argc, argv);
	return cmocka_run_group_tests(tests, world_up, world_down);
}
