// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c */
/* front_slow_test.c - clients that say too little or read nothing lose their connection in time; others do not notice. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "tests/lib/front_rig.h"

#define MUCH_MS 5000 /* the machine may be busy */

static uint64_t now_ms(void)
{
	return clock_boot_ns() / NS_PER_MS;
}

/* The next connection that the front says is over. */
static struct msg_FR_CLOSED next_closed(struct rig *r, uint64_t by_ms)
{
	struct msg_FR_CLOSED closed;
	struct chan_msg m;

	for (;;) {
		struct pollfd p = { .fd = r->core, .events = POLLIN };
		uint64_t now = now_ms();

		assert_int_equal(poll(&p, 1, by_ms > now ? (int)(by_ms - now) : 0), 1);
		assert_int_equal(ipc_recv(r->core, &r->in, &m), 0);
		assert_int_equal(m.type, MSG_FR_CLOSED);
		assert_int_equal(msg_get_FR_CLOSED(m.body, &closed), 0);
		return closed;
	}
}

static void connection_without_a_request_ends(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	uint64_t start = now_ms();
	struct seen watch, silent;
	struct rig r;
	int fds[4];

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	rig_request(&b, RIG_FETCH);
	seen_init(&watch);
	seen_init(&silent);
	for (uint64_t i = 0; i < 4; i++)
		fds[i] = rig_connect(&r, i + 1, getpid());
	assert_int_equal(send(fds[1], b.data, 30, 0), 30);			      /* preface and a bit */
	assert_int_equal(send(fds[2], b.data, b.len - 14, 0), (ssize_t)b.len - 14); /* headers, no message */
	rig_fetch(fds[3]);
	seen_read(&watch, fds[3], 1);
	for (int i = 0; i < 3; i++) {
		struct msg_FR_CLOSED closed = next_closed(&r, start + LIM_FIRST_REQUEST_MS + MUCH_MS);

		assert_in_range(closed.conn, 1, 3);
		assert_int_equal(closed.err, -ERR_DEADLINE);
	}
	assert_true(now_ms() - start >= LIM_FIRST_REQUEST_MS);
	seen_to_end(&silent, fds[0]);
	assert_true(silent.goaway);
	rig_serve(&r, 2, 1);
	seen_read(&watch, fds[3], 2);
	assert_int_equal(watch.messages, 2);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	seen_done(&watch);
	seen_done(&silent);
	rig_stop(&r);
}

static void client_that_reads_nothing_ends(void **state)
{
	static const uint8_t ping[] = { 0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };
	struct msg_FR_CLOSED closed;
	uint64_t start;
	size_t sent = 0;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	fd = rig_connect(&r, 1, getpid());
	rig_fetch(fd);
	start = now_ms();
	/* The front stops reading when its own answers are not taken: pings pile up on this side. */
	while (now_ms() - start < 2000)
		if (send(fd, ping, sizeof(ping), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(ping))
			sent += sizeof(ping);
		else
			usleep(1000);
	assert_true(sent < 4u << 20);
	closed = next_closed(&r, start + LIM_STALL_MS + MUCH_MS);
	assert_int_equal(closed.conn, 1);
	assert_int_equal(closed.err, -ERR_LIMIT);
	close(fd);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connection_without_a_request_ends),
		cmocka_unit_test(client_that_reads_nothing_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
