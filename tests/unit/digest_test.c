/* links: agent/core/digest.c agent/core/attest.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest_test.c - which digests are believed, remembered, shared and paid for. svid-attest is faked at the other ends of the
 * workers' channels; the real one is in tests/role/attest_digest_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/core/digest.h"

#define CALLERS 8

struct caller {
	struct digest_want want;
	struct svid_conn record;
	unsigned int told;
};

static struct rig {
	struct loop *loop;
	struct attest *attest;
	struct digests *ds;
	int worker[LIM_ATTEST_WORKERS]; /* the workers' ends */
	struct buf scratch;
	struct caller callers[CALLERS];
	/* how workers answer */
	int open_err, hash_err;
	bool unsettled, hold;
	/* what they were asked */
	unsigned int opens, hashes;
	int pending[LIM_ATTEST_WORKERS]; /* held questions, by worker */
} g;

static void on_kill(void *owner, uint32_t index)
{
	(void)owner;
	(void)index;
}

static const struct attest_ops ops = { .kill = on_kill };

static void give_worker(uint32_t index)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(attest_peer(g.attest, index, pair[0]), 0);
	g.worker[index] = pair[1];
}

static int setup(void **state)
{
	(void)state;
	memset(&g, 0, sizeof(g));
	g.scratch = (struct buf)BUF_INIT(LIM_IPC_BODY);
	assert_int_equal(loop_new(&g.loop), 0);
	assert_int_equal(attest_new(g.loop, &ops, NULL, &g.attest), 0);
	assert_int_equal(digests_new(g.loop, g.attest, &g.ds), 0);
	for (uint32_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		give_worker(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < CALLERS; i++)
		digest_cancel(&g.callers[i].want);
	digests_free(g.ds);
	attest_free(g.attest);
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		if (g.worker[i] >= 0)
			close(g.worker[i]);
	buf_done(&g.scratch);
	loop_free(g.loop);
	return 0;
}

static void answer_open(int fd)
{
	int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);

	g.opens++;
	if (g.open_err)
		assert_int_equal(ipc_put(fd, A_NOT_OPENED, 0, .err = g.open_err), 0);
	else
		assert_int_equal(ipc_put_fds(fd, A_OPENED, 0, &exe, 1), 0);
	close(exe);
}

static void answer_digest(int fd)
{
	static const uint8_t sha256[32] = { 0xab, 0x01 };

	assert_int_equal(ipc_put(fd, A_DIGESTED, 0, .err = g.hash_err, .settled = !g.unsettled,
				 .sha256 = slice_of(sha256, g.hash_err ? 0 : 32)), 0);
}

static bool serve(size_t i)
{
	struct pollfd p = { .fd = g.worker[i], .events = POLLIN };
	struct chan_msg m;

	if (g.worker[i] < 0 || poll(&p, 1, 0) != 1)
		return false;
	assert_int_equal(ipc_recv(g.worker[i], &g.scratch, &m), 0);
	if (m.type == MSG_A_OPEN) {
		assert_true(i < LIM_ATTEST_LOOKERS);
		answer_open(g.worker[i]);
	} else {
		assert_int_equal(m.type, MSG_A_DIGEST);
		assert_true(i >= LIM_ATTEST_LOOKERS);
		g.hashes++;
		g.pending[i] += g.hold;
		if (!g.hold)
			answer_digest(g.worker[i]);
	}
	ipc_msg_done(&m);
	return true;
}

/* Until nobody has anything to say. */
static void run(void)
{
	for (int quiet = 0; quiet < 4; quiet++) {
		for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
			if (serve(i))
				quiet = 0;
		assert_int_equal(loop_once(g.loop, 0), 0);
	}
}

static void let_go(void)
{
	g.hold = false;
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		for (; g.pending[i]; g.pending[i]--)
			answer_digest(g.worker[i]);
	run();
}

static void on_done(struct digest_want *w)
{
	container_of(w, struct caller, want)->told++;
}

/* A caller of whom nothing is in doubt: an old file of root's on ext4. */
static struct caller *caller(size_t i)
{
	struct caller *c = &g.callers[i];

	*c = (struct caller){ .want.done = on_done };
	c->record.flags = SVID_CONN_VALID;
	c->record.creds.flags = SVID_CRED_USERNS_INIT | SVID_CRED_MNTNS_INIT;
	c->record.creds.ids.uid = 1000;
	c->record.image.exec_time = clock_boot_ns();
	c->record.image.exe = (struct svid_exe){ .ino = 7, .dev = 8, .generation = 9, .size = 100, .magic = 0xef53,
						 .mode = 0100755, .ctime_sec = clock_wall_s() - 100, .ctime_nsec = 5 };
	return c;
}

static struct caller *same_file(size_t i, const struct caller *as)
{
	struct caller *c = caller(i);

	c->record.image.exe = as->record.image.exe;
	return c;
}

static bool ask(struct caller *c)
{
	return digest_ask(g.ds, &c->want, &c->record, 100, true);
}

static void ask_and_run(struct caller *c)
{
	if (ask(c))
		c->told++;
	else
		run();
	assert_int_equal(c->told, 1);
}

static void one_file_is_hashed_once(void **state)
{
	struct caller *first = caller(0);

	(void)state;
	g.hold = true;
	assert_false(ask(first));
	for (size_t i = 1; i < CALLERS; i++)
		assert_false(ask(same_file(i, first)));
	run();
	assert_int_equal(g.opens, CALLERS); /* each process is looked at */
	assert_int_equal(g.hashes, 1);
	let_go();
	for (size_t i = 0; i < CALLERS; i++) {
		assert_int_equal(g.callers[i].told, 1);
		assert_int_equal(g.callers[i].want.err, 0);
		assert_string_equal(g.callers[i].want.hex, "ab01000000000000000000000000000000000000000000000000000000000000");
	}
	assert_true(ask(same_file(1, first)));
	assert_string_equal(g.callers[1].want.hex, first->want.hex);
	assert_int_equal(g.opens + g.hashes, CALLERS + 1);
}

static void any_change_of_the_record_is_another_file(void **state)
{
	struct caller *first = caller(0);

	(void)state;
	ask_and_run(first);
	for (int i = 0; i < 8; i++) {
		struct caller *c = same_file(1, first);
		struct svid_exe *e = &c->record.image.exe;

		e->ino += i == 0;
		e->dev += i == 1;
		e->generation += i == 2;
		e->size += i == 3;
		e->mtime_sec += i == 4;
		e->mtime_nsec += i == 5;
		e->ctime_sec += i == 6;
		e->ctime_nsec += i == 7;
		ask_and_run(c);
		assert_int_equal(g.hashes, 2 + i);
	}
}

/* A19 */
static void what_was_hashed_too_early_is_not_remembered(void **state)
{
	struct caller *first = caller(0);

	(void)state;
	g.unsettled = true;
	ask_and_run(first);
	assert_int_equal(first->want.err, 0);
	ask_and_run(same_file(1, first));
	assert_int_equal(g.hashes, 2);
	g.unsettled = false;
	ask_and_run(same_file(2, first));
	assert_int_equal(g.hashes, 3);
	ask_and_run(same_file(3, first));
	assert_int_equal(g.hashes, 3);
}

static void overlay_is_looked_at_again_each_time(void **state)
{
	struct caller *first = caller(0), *c;

	(void)state;
	first->record.image.flags = SVID_IMG_OVERLAY;
	ask_and_run(first);
	c = same_file(1, first);
	c->record.image.flags = SVID_IMG_OVERLAY;
	ask_and_run(c);
	assert_int_equal(c->want.err, 0);
	assert_int_equal(g.opens, 2);
	assert_int_equal(g.hashes, 1);
	g.open_err = -ERR_CHANGED;
	c = same_file(2, first);
	c->record.image.flags = SVID_IMG_OVERLAY;
	ask_and_run(c);
	assert_int_equal(c->want.err, -ERR_CHANGED);
	assert_string_equal(c->want.hex, "");
}

static void another_process_of_that_number_gets_nothing_and_spoils_nothing(void **state)
{
	struct caller *first = caller(0), *gone = same_file(1, first);

	(void)state;
	g.open_err = -ESRCH;
	ask_and_run(gone);
	assert_int_equal(gone->want.err, -ESRCH);
	g.open_err = 0;
	ask_and_run(first);
	assert_int_equal(first->want.err, 0);
}

static void failure_of_a_file_is_remembered_for_a_while(void **state)
{
	struct caller *first = caller(0);

	(void)state;
	g.hash_err = -EIO;
	ask_and_run(first);
	assert_int_equal(first->want.err, -EIO);
	ask_and_run(same_file(1, first));
	assert_int_equal(g.callers[1].want.err, -EIO);
	assert_int_equal(g.hashes, 1);
}

static void failure_of_the_moment_is_not(void **state)
{
	struct caller *first = caller(0);

	(void)state;
	g.hash_err = -ERR_CHANGED;
	ask_and_run(first);
	assert_int_equal(first->want.err, -ERR_CHANGED);
	g.hash_err = 0;
	ask_and_run(same_file(1, first));
	assert_int_equal(g.callers[1].want.err, 0);
}

static void too_large_a_file_is_not_even_tried(void **state)
{
	struct caller *c = caller(0);

	(void)state;
	c->record.image.exe.size = (uint64_t)LIM_DIGEST_FILE + 1;
	ask_and_run(c);
	assert_int_equal(c->want.err, -ERR_SIZE);
	assert_int_equal(g.hashes, 0);
}

/* A8: 5 s of hashing at 200 MB/s is a little less than 1 GiB. */
static void each_user_has_a_share(void **state)
{
	struct caller *big = caller(0), *next = caller(1), *other = caller(2);

	(void)state;
	g.hold = true;
	big->record.image.exe.size = LIM_DIGEST_FILE;
	next->record.image.exe.ino++;
	other->record.image.exe.ino += 2;
	other->record.creds.ids.uid = 1001;
	assert_false(ask(big));
	run();
	ask_and_run(next);
	assert_int_equal(next->want.err, -ERR_RATE);
	assert_false(ask(other));
	run();
	assert_int_equal(g.hashes, 2);
	let_go();
	assert_int_equal(other->want.err, 0);
	/* It took no time after all: what was set aside comes back. */
	next = same_file(3, next);
	ask_and_run(next);
	assert_int_equal(next->want.err, 0);
}

static void one_user_keeps_one_hasher_at_most(void **state)
{
	(void)state;
	g.hold = true;
	for (size_t i = 0; i < 4; i++) {
		caller(i)->record.image.exe.ino += i;
		assert_false(ask(&g.callers[i]));
	}
	run();
	assert_int_equal(g.opens, 4); /* looking is not held up */
	assert_int_equal(g.hashes, 1);
	caller(4)->record.image.exe.ino += 4;
	g.callers[4].record.creds.ids.uid = 1001;
	assert_false(ask(&g.callers[4]));
	run();
	assert_int_equal(g.hashes, 2);
	let_go();
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(g.callers[i].told, 1);
}

/* Who asks first must not be able to keep a file that others wait for at the end of his own queue. */
static void a_file_that_another_user_waits_for_too_leaves_the_queue_of_the_first(void **state)
{
	struct caller *slow = caller(0), *wanted = caller(1), *other, *third;

	(void)state;
	g.hold = true;
	wanted->record.image.exe.ino++;
	assert_false(ask(slow));
	run();
	assert_false(ask(wanted));
	run();
	assert_int_equal(g.hashes, 1);
	third = same_file(3, wanted); /* of the same user: no reason */
	assert_false(ask(third));
	run();
	assert_int_equal(g.hashes, 1);
	other = same_file(2, wanted);
	other->record.creds.ids.uid = 1001;
	assert_false(ask(other));
	run();
	assert_int_equal(g.hashes, 2);
	let_go();
	assert_int_equal(g.hashes, 2);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(g.callers[i].told, 1);
	assert_string_equal(other->want.hex, wanted->want.hex);
}

static void who_leaves_is_not_told_and_the_digest_is_kept(void **state)
{
	struct caller *first = caller(0);

	(void)state;
	g.hold = true;
	assert_false(ask(first));
	run();
	digest_cancel(&first->want);
	let_go();
	assert_int_equal(first->told, 0);
	assert_true(ask(same_file(1, first)));
	assert_int_equal(g.callers[1].want.err, 0);
}

/* A24 */
static void dead_hashers_are_a_named_failure(void **state)
{
	struct caller *c = caller(0);

	(void)state;
	g.hold = true;
	assert_false(ask(c));
	run();
	for (int i = 0; i < LIM_ATTEST_HASHERS; i++) {
		size_t busy = g.pending[LIM_ATTEST_LOOKERS] ? LIM_ATTEST_LOOKERS : LIM_ATTEST_LOOKERS + 1;

		assert_int_equal(c->told, 0);
		g.pending[busy] = 0;
		close(g.worker[busy]);
		g.worker[busy] = -1;
		run();
	}
	assert_int_equal(c->told, 1);
	assert_int_equal(c->want.err, -ERR_CLOSED);
	assert_string_equal(c->want.hex, "");
	assert_non_null(strstr(digest_why(c->want.err), "svid-attest"));
}

static void what_is_known_is_bounded(void **state)
{
	struct digest_stats stats;

	(void)state;
	for (uint64_t i = 0; i < LIM_DIGESTS + 100; i++) {
		struct caller *c = caller(0);

		c->record.image.exe.ino = 1000 + i;
		c->record.image.exe.ctime_sec = 1000000;
		ask_and_run(c);
		assert_int_equal(c->want.err, 0);
	}
	digests_get_stats(g.ds, &stats);
	assert_int_equal(stats.known, LIM_DIGESTS);
}

static void without_a_record_nothing_is_remembered(void **state)
{
	struct caller *c;

	(void)state;
	for (unsigned int i = 1; i < 3; i++) {
		c = caller(0);
		c->record.image.exe = (struct svid_exe){ .ino = 7, .dev = 8 };
		assert_false(digest_ask(g.ds, &c->want, &c->record, 100, false));
		run();
		assert_int_equal(c->want.err, 0);
		assert_int_equal(g.hashes, i);
	}
}

/* ---- what is believed ---- */

static void doubtful_executables_have_no_digest(void **state)
{
	static const struct {
		uint32_t image, creds_off;
	} rows[] = {
		{ SVID_IMG_FS_UNPRIV, 0 }, { SVID_IMG_FS_REMOTE, 0 },	 { SVID_IMG_MEMFD, 0 },
		{ SVID_IMG_MNT_USERNS, 0 }, { 0, SVID_CRED_USERNS_INIT }, { 0, SVID_CRED_MNTNS_INIT },
		{ SVID_IMG_SCANNED, SVID_CRED_USERNS_INIT },
	};

	(void)state;
	assert_null(digest_doubt(&caller(0)->record));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct caller *c = caller(0);

		c->record.image.flags |= rows[i].image;
		c->record.creds.flags &= ~rows[i].creds_off;
		assert_non_null(digest_doubt(&c->record));
	}
	caller(0)->record.image.flags = SVID_IMG_DELETED | SVID_IMG_OVERLAY | SVID_IMG_SCRIPT | SVID_IMG_TRACED;
	assert_null(digest_doubt(&g.callers[0].record));
}

/* tmpfs does not stamp what is written through a mapping. */
static void where_writes_leave_no_trace_only_root_may_write(void **state)
{
	static const struct {
		uint64_t magic;
		uint32_t uid, mode;
		bool good;
	} rows[] = {
		{ 0xef53, 1000, 0100777, true },       { 0x58465342, 1000, 0100755, true },
		{ 0x01021994, 0, 0100755, true },      { 0x01021994, 1000, 0100755, false },
		{ 0x01021994, 0, 0100775, false },     { 0x01021994, 0, 0100757, false },
		{ 0x2fc12fc1, 1000, 0100755, false },  { 0x2fc12fc1, 0, 0100755, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct caller *c = caller(0);

		c->record.image.exe.magic = rows[i].magic;
		c->record.image.exe.uid = rows[i].uid;
		c->record.image.exe.mode = rows[i].mode;
		assert_int_equal(!digest_doubt(&c->record), rows[i].good);
	}
}

/* K9: written, executed and written again within a tick, a file keeps its times. */
static void executable_changed_just_before_its_exec_is_in_doubt(void **state)
{
	struct caller *c = caller(0);
	int64_t now_ms = clock_wall_ms();
	struct svid_exe *e = &c->record.image.exe;

	(void)state;
	e->ctime_sec = (now_ms - 5) / 1000;
	e->ctime_nsec = (uint32_t)((now_ms - 5) % 1000 * 1000000 + 1);
	assert_non_null(digest_doubt(&c->record));
	e->ctime_sec = now_ms / 1000 - 9; /* this process may be late by some of that */
	assert_null(digest_doubt(&c->record));
	e->ctime_sec = now_ms / 1000;
	e->ctime_nsec = 0; /* whole seconds: it may be up to one later */
	assert_non_null(digest_doubt(&c->record));
	e->ctime_sec -= 10;
	assert_null(digest_doubt(&c->record));
	e->ctime_sec = now_ms / 1000 + 60; /* the clock was set back */
	assert_non_null(digest_doubt(&c->record));
	c->record.image.exec_time = 0;
	c->record.image.flags |= SVID_IMG_SCANNED;
	assert_null(digest_doubt(&c->record));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(one_file_is_hashed_once),
		T(any_change_of_the_record_is_another_file),
		T(what_was_hashed_too_early_is_not_remembered),
		T(overlay_is_looked_at_again_each_time),
		T(another_process_of_that_number_gets_nothing_and_spoils_nothing),
		T(failure_of_a_file_is_remembered_for_a_while),
		T(failure_of_the_moment_is_not),
		T(too_large_a_file_is_not_even_tried),
		T(each_user_has_a_share),
		T(one_user_keeps_one_hasher_at_most),
		T(a_file_that_another_user_waits_for_too_leaves_the_queue_of_the_first),
		T(who_leaves_is_not_told_and_the_digest_is_kept),
		T(dead_hashers_are_a_named_failure),
		T(what_is_known_is_bounded),
		T(without_a_record_nothing_is_remembered),
		T(doubtful_executables_have_no_digest),
		T(where_writes_leave_no_trace_only_root_may_write),
		T(executable_changed_just_before_its_exec_is_in_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
