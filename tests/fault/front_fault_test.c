// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c */
/*
 * front_fault_test.c - the whole life of a front with its nth allocation failing, for every n: it may refuse,
 * it may leave, but it never crashes, never hangs a client, and never sends a part of a message.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "tests/lib/front_rig.h"
#include "tests/lib/workload.h"
#include "workloadapi/front.h"

#define NOT_REACHED 7 /* exit code: the run needed fewer allocations */

static NORETURN void run_front(int core, int keys, const uint32_t *words, long nth)
{
	struct front *front = NULL;
	struct loop *loop = NULL;
	int err;

	log_init("svid-front", LOG_ERROR);
	if (!freopen("/dev/null", "w", stderr))
		_exit(3);
	mem_fail_after(nth);
	err = loop_new(&loop);
	if (!err)
		err = front_new(loop, core, keys, words, &front);
	if (!err)
		err = loop_run(loop);
	front_free(front);
	loop_free(loop);
	_exit(mem_fail_after(-1) ? 0 : NOT_REACHED);
}

static void start(struct rig *r, long nth)
{
	int core[2], keys[2];

	*r = (struct rig){ .in = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64) };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, core), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, keys), 0);
	r->words = mmap(NULL, sizeof(struct svid_words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(r->words != MAP_FAILED);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		close(core[0]);
		close(keys[0]);
		run_front(core[1], keys[1], r->words, nth);
	}
	close(core[1]);
	close(keys[1]);
	r->core = core[0];
	r->keys = keys[0];
}

/* The next message on either channel; 0 when the front is gone (or its keys channel, which is as good). */
static uint16_t next_message(struct rig *r, int *ret_fd, struct chan_msg *m)
{
	struct pollfd p[2] = { { .fd = r->core, .events = POLLIN }, { .fd = r->keys, .events = POLLIN } };

	assert_true(poll(p, 2, RIG_WAIT_MS) > 0);
	*ret_fd = p[1].revents & POLLIN ? r->keys : r->core;
	return ipc_recv(*ret_fd, &r->in, m) ? 0 : m->type;
}

/* Send a set and its keys; whether the front serves it. */
static bool serve(struct rig *r, uint64_t version)
{
	const struct test_set want = { .version = version, .n = 2, .n_fed = 1, .der_bytes = 300, .wit = true };
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);
	struct msg_FR_SET set;
	struct chan_msg m;
	int fd;

	test_set_put(&body, &want);
	if (ipc_send(r->core, MSG_F_SET, 0, buf_slice(&body), NULL, 0))
		return false;
	for (;;) {
		struct msg_FK_GET get;

		switch (next_message(r, &fd, &m)) {
		case MSG_FK_GET:
			assert_int_equal(msg_get_FK_GET(m.body, &get), 0);
			if (rig_key(r->keys, &get))
				return false;
			break;
		case MSG_FR_SET:
			assert_int_equal(msg_get_FR_SET(m.body, &set), 0);
			return set.err == 0;
		case MSG_FR_FILE: /* that was asked for before the first set */
		case MSG_FR_NOFILE:
			ipc_msg_done(&m);
			break;
		case MSG_FR_READY:
			break;
		default:
			return false;
		}
	}
}

/* One client through a fetch, a rotation and an ordered end. What it saw must make sense at any point. */
static void one_client(struct rig *r)
{
	struct seen s;
	int fd;

	seen_init(&s);
	fd = rig_try_connect(r, 1, getpid());
	if (fd < 0)
		return;
	if (rig_try_call(fd, RIG_FETCH) == 0) {
		seen_read(&s, fd, 1);
		if (!s.eof && s.messages == 1 && serve(r, 2))
			seen_read(&s, fd, 2);
		if (!s.eof && !ipc_put(r->core, F_END, 0, .conn = 1, .err = -ERR_CHANGED))
			seen_to_end(&s, fd);
	}
	assert_true(s.whole || s.grpc_status < 0);
	close(fd);
	seen_done(&s);
}

/* Sign what the front orders until the client's answer comes, or the front is gone, or the connection. */
static void sign_until_answered(struct rig *r, int client)
{
	int64_t now = clock_wall_s();
	struct msg_FR_JWT o;
	struct chan_msg m;

	for (;;) {
		struct pollfd p[2] = { { .fd = r->core, .events = POLLIN }, { .fd = client, .events = POLLIN } };

		assert_true(poll(p, 2, RIG_WAIT_MS) > 0);
		if (p[1].revents)
			return;
		if (ipc_recv(r->core, &r->in, &m))
			return;
		if (m.type != MSG_FR_JWT || msg_get_FR_JWT(m.body, &o))
			continue;
		if (ipc_put(r->keys, FK_JWT, 0, .order = o.order, .issued_at = now, .not_after = now + 300,
			    .token = slice_str("a.b.c")))
			return;
	}
}

/* A JWT-SVID of each of two identities, and the WIT-SVID of one. */
static void one_call(struct rig *r, uint64_t conn, const char *path, const char *field, size_t messages)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct seen s;
	int fd;

	seen_init(&s);
	fd = rig_try_connect(r, conn, getpid());
	if (fd < 0)
		return;
	pb_put(&b, 1, slice_str(field));
	if (rig_try_send(fd, path, buf_slice(&b)) == 0) {
		/* SETTINGS come first, the answer when it is there. */
		sign_until_answered(r, fd);
		while (!s.eof && s.messages < messages && s.grpc_status < 0 && !s.reset) {
			seen_once(&s, fd);
			if (!s.eof && s.messages < messages && s.grpc_status < 0 && !s.reset)
				sign_until_answered(r, fd);
		}
	}
	assert_true(s.whole || s.grpc_status < 0);
	close(fd);
	seen_done(&s);
}

/* A file is asked for: there is an answer with this number, or the front is gone. */
static bool ask_file(struct rig *r, uint32_t order)
{
	return !ipc_put(r->core, F_FILE, 0, .order = order, .identity = 1, .what = SVID_FILE_CREDENTIAL_BUNDLE);
}

static void expect_file(struct rig *r, uint32_t order)
{
	struct msg_FR_NOFILE none;
	struct msg_FR_FILE file;
	struct chan_msg m;

	while (!ipc_recv(r->core, &r->in, &m)) {
		bool made = m.type == MSG_FR_FILE;

		if (made)
			assert_int_equal(msg_get_FR_FILE(m.body, &file), 0);
		else if (m.type == MSG_FR_NOFILE)
			assert_int_equal(msg_get_FR_NOFILE(m.body, &none), 0);
		ipc_msg_done(&m);
		if (made ? file.order == order : m.type == MSG_FR_NOFILE && none.order == order)
			return;
	}
}

/* The exit code of a front whose @nth allocation fails. */
static int one_life(long nth)
{
	struct rig r;
	int status;

	start(&r, nth);
	/* Its answer comes before that of the set, or after. */
	if (ask_file(&r, 1) && serve(&r, 1)) {
		one_client(&r);
		one_call(&r, 2, "/SpiffeWorkloadAPI/FetchJWTSVID", "x", 1);
		one_call(&r, 3, "/SpiffeWorkloadAPI/FetchJWTSVID", "x", 1);
		one_call(&r, 4, "/SpiffeWorkloadAPI/FetchWITSVID", "spiffe://td.test/w1", 1);
		one_call(&r, 5, "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets", "1", 1);
		if (ask_file(&r, 2))
			expect_file(&r, 2);
		one_call(&r, 6, "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets", "", 1);
	}
	close(r.core);
	r.core = -1;
	status = rig_exit_status(&r);
	if (!WIFEXITED(status))
		fail_msg("allocation %ld: ended by signal %d", nth, WTERMSIG(status));
	rig_stop(&r);
	return WEXITSTATUS(status);
}

static void every_allocation_may_fail(void **state)
{
	long n = 0;

	(void)state;
	while (one_life(n) != NOT_REACHED)
		n++;
	print_message("%ld allocations in the life of a front\n", n);
	assert_true(n > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation_may_fail) };

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
