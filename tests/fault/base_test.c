/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/lib/fault.c */
/*
 * base_test.c - scenarios of agent/base and agent/ipc, repeated with the nth allocation failing until
 * none fails any more. Each run must end in an error or in the right result, and leak nothing (SAN=1).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/mem.h"
#include "agent/base/secret.h"
#include "agent/base/spare.h"
#include "agent/ipc/chan.h"
#include "tests/lib/fault.h"

static unsigned int open_fds(void)
{
	unsigned int n = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static unsigned int fds_before;

static bool is_fine(int err)
{
	return err <= 0 && open_fds() == fds_before;
}

static void with_every_allocation_failing(int (*scenario)(void))
{
	fds_before = open_fds();
	fault_each(scenario, 5, is_fine);
	assert_int_equal(open_fds(), fds_before);
}

static int fill_buf(void)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 16), s = BUF_INIT_SECRET(1 << 16);
	int err;

	for (unsigned int i = 0; i < 1000; i++) {
		buf_put_u32(&b, i);
		buf_printf(&s, "%u", i);
	}
	buf_put_json(&b, slice_str("x\n\xff"));
	err = buf_ok(&b);
	if (err)
		return err == -ENOMEM ? err : 1;
	if (b.len != 4000 + 11)
		return 1;
	return buf_ok(&s);
}

static int copies(void)
{
	AUTO_FREE char *a = mem_strdup("one");
	AUTO_FREE char *b = slice_dup(slice_str("two"));
	AUTO(secret) struct secret *s = secret_new(32);
	AUTO(secret) struct secret *back = NULL;
	int fd, err;

	if (!a || !b || !s)
		return -ENOMEM;
	secret_bytes(s)[31] = 7;
	err = secret_to_fd(s, &fd);
	if (err)
		return err;
	err = secret_from_fd(fd, 32, &back);
	close(fd);
	if (err)
		return err;
	return secret_bytes(back)[31] == 7 ? 0 : 1;
}

static unsigned int n_fired;

static void on_timer(struct loop_timer *t)
{
	(void)t;
	n_fired++;
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
	(void)events;
	loop_del(w);
}

static int use_loop(struct loop *loop)
{
	struct loop_timer timers[40];
	struct loop_watch watches[10];
	int err = 0, fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], "x", 1) != 1)
		return 1;
	n_fired = 0;
	for (size_t i = 0; i < ARRAY_SIZE(timers) && !err; i++) {
		timers[i] = (struct loop_timer){ .cb = on_timer };
		err = loop_timer_in(loop, &timers[i], 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(watches) && !err; i++) {
		watches[i] = (struct loop_watch){ .fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 3), .cb = on_ready };
		err = loop_add(loop, &watches[i], EPOLLIN);
		if (err)
			close(watches[i].fd);
		else
			err = loop_once(loop, 0);
		if (!err)
			close(watches[i].fd);
	}
	if (!err && n_fired != ARRAY_SIZE(timers))
		err = 1;
	close(fds[0]);
	close(fds[1]);
	return err;
}

static int run_loop(void)
{
	struct loop *loop = NULL;
	int err = loop_new(&loop);

	if (!err)
		err = use_loop(loop);
	loop_free(loop);
	return err;
}

static void timers_are_armed_whatever_allocation_failed(void **state)
{
	unsigned int hits = 0;

	(void)state;
	for (long n = 0; n < 4; n++) {
		struct loop_timer timers[200];
		struct loop *loop = NULL;

		assert_int_equal(loop_new(&loop), 0);
		mem_fail_after(n);
		n_fired = 0;
		for (size_t i = 0; i < ARRAY_SIZE(timers); i++) {
			timers[i] = (struct loop_timer){ .cb = on_timer };
			assert_int_equal(loop_timer_in(loop, &timers[i], 0), 0);
		}
		hits += mem_fail_after(-1);
		assert_int_equal(loop_once(loop, 0), 0);
		assert_int_equal(n_fired, ARRAY_SIZE(timers));
		loop_free(loop);
	}
	assert_true(hits >= 3);
}

/* Long strings, escapes, many members: each way in which jansson's lexer asks for memory, at each size of its buffer. */
static void put_json(struct buf *b)
{
	buf_put_str(b, "{\"list\":[1,2.5,true,null,[[{}]]]");
	for (unsigned int i = 1; i < 40; i++) {
		buf_printf(b, ",\"k%u\":\"\\u00e9\\n", i);
		for (unsigned int k = 0; k < i * i; k++)
			buf_put_u8(b, (uint8_t)('a' + k % 26));
		buf_put_str(b, "\"");
	}
	buf_put_str(b, "}");
	assert_int_equal(buf_ok(b), 0);
}

/* Without the reserve it writes behind its own buffers. */
static void jansson_reads_all_or_nothing(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(1 << 16);
	long n;
	int hit = 1;

	(void)state;
	put_json(&text);
	json_set_alloc_funcs(spare_alloc, spare_free);
	for (n = 0; hit; n++) {
		struct slice s = buf_slice(&text);
		json_t *doc;

		assert_int_equal(spare_begin(), 0);
		mem_fail_after(n);
		doc = json_load_callback(spare_feed, &s, 0, NULL);
		hit = mem_fail_after(-1);
		assert_int_equal(spare_used(), hit);
		if (!hit)
			assert_int_equal(json_string_length(json_object_get(doc, "k39")), 39 * 39 + 3);
		json_decref(doc);
	}
	assert_true(n > 100);
}

static unsigned int n_got, n_dead;

static int on_message(struct chan *c, struct chan_msg *m)
{
	(void)c;
	(void)m;
	n_got++;
	return 0;
}

static void on_dead(struct chan *c, int err)
{
	(void)c;
	(void)err;
	n_dead++;
}

static const struct chan_rule rules[] = {
	{ MSG_P_EXIT, 1, on_message }, { MSG_P_FD, 1, on_message }, { MSG_AD_REPLY, 1, on_message }
};
static const struct chan_ops ops = { "peer", rules, ARRAY_SIZE(rules), on_dead };

/* Enough for the queue, a descriptor in it, and a body that travels as a memfd. */
static int talk(struct loop *loop, struct chan *a, int null)
{
	static const char big[100000];
	int err = 0;

	for (uint32_t i = 0; i < 400 && !err; i++)
		err = chan_put(a, P_EXIT, i, .index = i);
	if (!err)
		err = chan_put_fds(a, P_FD, 0, &null, 1, .kind = 1);
	if (!err)
		err = chan_put(a, AD_REPLY, 0, .json = slice_of(big, sizeof(big)));
	for (int i = 0; i < 50 && !err && !n_dead && n_got < 402; i++)
		err = loop_once(loop, 0);
	if (err || n_dead)
		return err ? err : -EPIPE;
	return n_got == 402 ? 0 : 1;
}

static int open_and_talk(struct loop *loop)
{
	struct chan *a = NULL, *b = NULL;
	int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC), err;

	n_got = n_dead = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return 1;
	err = chan_new(loop, pair[0], &ops, NULL, &a); /* closes its end on error too */
	if (err) {
		close(pair[1]);
	} else {
		err = chan_new(loop, pair[1], &ops, NULL, &b);
	}
	if (!err)
		err = talk(loop, a, null);
	chan_free(a);
	chan_free(b);
	close(null);
	return err;
}

static int channels(void)
{
	struct loop *loop = NULL;
	int err = loop_new(&loop);

	if (!err)
		err = open_and_talk(loop);
	loop_free(loop);
	return err;
}

static void buffers_survive(void **state)
{
	(void)state;
	with_every_allocation_failing(fill_buf);
}

static void copies_survive(void **state)
{
	(void)state;
	with_every_allocation_failing(copies);
}

static void loops_survive(void **state)
{
	(void)state;
	with_every_allocation_failing(run_loop);
}

static void channels_survive(void **state)
{
	(void)state;
	with_every_allocation_failing(channels);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_survive),
		cmocka_unit_test(copies_survive),
		cmocka_unit_test(jansson_reads_all_or_nothing),
		cmocka_unit_test(loops_survive),
		cmocka_unit_test(timers_are_armed_whatever_allocation_failed),
		cmocka_unit_test(channels_survive),
	};

	return cmocka_run_group_tests_name("base_fault", tests, NULL, NULL);
}
