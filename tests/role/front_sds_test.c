// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c */
/* front_sds_test.c - Envoy's secrets from the real svid-front, in its cage: requests as large as Envoy's, rotations, evidence. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/limits.h"
#include "agent/base/pb.h"
#include "tests/lib/front_rig.h"

#define STREAM "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
#define DELTA "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets"
#define FETCH "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets"
#define NODE_BYTES 61000 /* Envoy 1.40's */
#define KEY "-----BEGIN PRIVATE KEY-----\n"
#define CERT "-----BEGIN CERTIFICATE-----\n"

static int call(struct rig *r, uint64_t number, const char *path, bool delta)
{
	AUTO(buf) struct buf node = BUF_INIT(LIM_GRPC_MESSAGE);
	AUTO(buf) struct buf m = BUF_INIT(LIM_GRPC_MESSAGE);
	int fd = rig_connect(r, number, getpid());

	while (node.len < NODE_BYTES)
		pb_put(&node, 9, slice_str("\x0a\x10" "envoy.of.a.kind.\x12\x18" "envoy.filters.of.a.kind."));
	pb_put(&m, delta ? 1 : 2, buf_slice(&node));
	pb_put(&m, 3, slice_str("default"));
	rig_call(fd, path, buf_slice(&m));
	return fd;
}

static size_t count(const struct seen *s, const char *text)
{
	struct slice in = buf_slice(&s->raw);
	size_t n = 0;

	for (; in.len; (void)slice_get_u8(&in))
		n += slice_starts(in, slice_str(text));
	return n;
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r);
	rig_serve(&r, 1, 2);
	*state = &r;
	return 0;
}

static int stop(void **state)
{
	rig_stop(*state);
	return 0;
}

static void follow(struct rig *r, uint64_t number, const char *path, bool delta)
{
	int fd = call(r, number, path, delta);
	struct chan_msg m;
	struct seen s;

	seen_init(&s);
	seen_read(&s, fd, 1);
	assert_int_equal(s.messages, 1);
	assert_int_equal(count(&s, CERT), 1);
	assert_int_equal(count(&s, KEY), 1);
	rig_serve(r, number + 10, 2);
	seen_read(&s, fd, 2);
	assert_int_equal(s.messages, 2);
	assert_int_equal(count(&s, KEY), 2);
	seen_done(&s);
	close(fd);
	rig_receive(r, r->core, MSG_FR_CLOSED, &m);
}

static void certificate_and_key_come_and_rotate_in_one_message(void **state)
{
	follow(*state, 1, STREAM, false);
	follow(*state, 2, DELTA, true);
}

static void fetch_ends_with_ok(void **state)
{
	int fd = call(*state, 1, FETCH, false);
	struct seen s;

	seen_init(&s);
	seen_read(&s, fd, SIZE_MAX);
	assert_int_equal(s.messages, 1);
	assert_int_equal(s.grpc_status, 0);
	seen_done(&s);
	close(fd);
}

/* The kernel says that the caller is not who it was: the next push is none. */
static void no_secret_is_pushed_to_whom_has_changed(void **state)
{
	struct rig *r = *state;
	int fd = call(r, 1, STREAM, false);
	struct seen s;

	seen_init(&s);
	seen_read(&s, fd, 1);
	__atomic_add_fetch(&r->words[2], 1, __ATOMIC_RELEASE);
	rig_serve(r, 2, 2);
	seen_to_end(&s, fd);
	assert_int_equal(s.messages, 1);
	assert_int_equal(count(&s, KEY), 1);
	seen_done(&s);
	close(fd);
}

/* An ordered end: a status that Envoy takes for a reason to come again. */
static void an_ended_connection_says_unavailable(void **state)
{
	struct rig *r = *state;
	int fd = call(r, 1, STREAM, false);
	struct seen s;

	seen_init(&s);
	seen_read(&s, fd, 1);
	assert_int_equal(ipc_put(r->core, F_END, 0, .conn = 1, .err = -ERR_IDENTITIES), 0);
	seen_to_end(&s, fd);
	assert_int_equal(s.grpc_status, GRPC_UNAVAILABLE);
	assert_true(s.whole && s.goaway);
	seen_done(&s);
	close(fd);
}

/* It waits for the first identity set, and for its keys. */
static void a_stream_may_be_there_before_the_set(void **state)
{
	struct rig r;
	struct seen s;
	int fd;

	(void)state;
	rig_start(&r);
	fd = call(&r, 1, STREAM, false);
	seen_init(&s);
	rig_serve(&r, 1, 1);
	seen_read(&s, fd, 1);
	assert_int_equal(s.messages, 1);
	seen_done(&s);
	close(fd);
	rig_stop(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(certificate_and_key_come_and_rotate_in_one_message),
		TEST(fetch_ends_with_ok),
		TEST(no_secret_is_pushed_to_whom_has_changed),
		TEST(an_ended_connection_says_unavailable),
		cmocka_unit_test(a_stream_may_be_there_before_the_set),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
