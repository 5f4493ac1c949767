/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan_test.c - a channel hands over what its rules permit and closes on everything else: both ends in
 * one process, the hostile one bare. agent/ipc/chan.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/mem.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"

enum { CLOSED_STATE, OPEN_STATE };

static struct loop *loop;
static struct chan *chan;
static int peer; /* the other end, bare */
static int dead_err;
static unsigned int n_dead, n_handled;
static int handler_err;
static bool free_in_handler, free_in_dead = true;
static int kept_fd = -1;
static size_t last_len;
static uint32_t last_id;

static int on_message(struct chan *c, struct chan_msg *m)
{
	assert_ptr_equal(c, chan);
	assert_ptr_equal(chan_owner(c), &loop);
	n_handled++;
	last_len = m->body.len;
	last_id = m->id;
	if (free_in_handler) {
		chan_free(c);
		chan = NULL;
	}
	return handler_err;
}

static int on_fd(struct chan *c, struct chan_msg *m)
{
	int err = on_message(c, m);

	kept_fd = m->fds[0];
	m->fds[0] = -1;
	return err;
}

static void on_dead(struct chan *c, int err)
{
	dead_err = err;
	n_dead++;
	if (free_in_dead) {
		chan_free(c);
		chan = NULL;
	}
}

static const struct chan_rule rules[] = {
	{ MSG_C_READY, 1u << CLOSED_STATE | 1u << OPEN_STATE, on_message },
	{ MSG_C_KILL, 1u << OPEN_STATE, on_message },
	{ MSG_AD_REPLY, 1u << OPEN_STATE, on_message },
	{ MSG_P_FD, 1u << OPEN_STATE, on_fd },
	{ MSG_C_DRAINED, 0, on_message },
};

static const struct chan_ops ops = { "peer", rules, ARRAY_SIZE(rules), on_dead };

static int setup(void **state)
{
	int pair[2];

	(void)state;
	n_dead = n_handled = 0;
	handler_err = dead_err = 0;
	free_in_handler = false;
	kept_fd = -1;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	peer = pair[1];
	assert_int_equal(chan_new(loop, pair[0], &ops, &loop, &chan), 0);
	chan_set_state(chan, OPEN_STATE);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	chan_free(chan);
	chan = NULL;
	if (peer >= 0)
		close(peer);
	if (kept_fd >= 0)
		close(kept_fd);
	loop_free(loop);
	return 0;
}

static void turn(void)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_once(loop, 10), 0);
}

static void assert_dead(int err)
{
	turn();
	assert_int_equal(n_handled, 0);
	assert_int_equal(n_dead, 1);
	assert_int_equal(dead_err, err);
}

static void send_raw(const void *bytes, size_t len)
{
	assert_int_equal(send(peer, bytes, len, 0), len);
}

/* type, flags, id, length, then what is said to be the body */
static void send_framed(uint16_t type, uint16_t flags, uint32_t length, const char *body, size_t len)
{
	AUTO(buf) struct buf b = BUF_INIT(1000);

	buf_put_u16(&b, type);
	buf_put_u16(&b, flags);
	buf_put_u32(&b, 5);
	buf_put_u32(&b, length);
	buf_put(&b, body, len);
	assert_int_equal(buf_ok(&b), 0);
	send_raw(b.data, b.len);
}

static void unknown_type_closes(void **state)
{
	(void)state;
	send_framed(9999, 0, 0, "", 0);
	assert_dead(-ERR_FORMAT);
}

static void type_without_rule_closes(void **state)
{
	(void)state;
	assert_int_equal(ipc_put(peer, P_STOP, 0), 0);
	assert_dead(-ERR_PERMIT);
}

static void type_of_another_state_closes(void **state)
{
	(void)state;
	chan_set_state(chan, CLOSED_STATE);
	assert_int_equal(ipc_put(peer, C_KILL, 0, .role = 1), 0);
	assert_dead(-ERR_PERMIT);
}

static void rule_without_states_is_never_permitted(void **state)
{
	(void)state;
	assert_int_equal(ipc_put(peer, C_DRAINED, 0), 0);
	assert_dead(-ERR_PERMIT);
}

static void short_header_closes(void **state)
{
	(void)state;
	send_raw("12345678901", 11);
	assert_dead(-ERR_FORMAT);
}

static void unknown_flag_closes(void **state)
{
	(void)state;
	send_framed(MSG_C_READY, 2, 0, "", 0);
	assert_dead(-ERR_FORMAT);
}

static void length_that_lies_closes(void **state)
{
	(void)state;
	send_framed(MSG_C_READY, 0, 5, "abcd", 4);
	assert_dead(-ERR_FORMAT);
}

static void huge_length_closes(void **state)
{
	(void)state;
	send_framed(MSG_C_READY, 0, 0xffffffff, "", 0);
	assert_dead(-ERR_FORMAT);
}

static void oversized_datagram_closes(void **state)
{
	static char big[LIM_IPC_INLINE + 200];

	(void)state;
	send_raw(big, sizeof(big));
	assert_dead(-ERR_FORMAT);
}

static void descriptor_where_none_belongs_closes(void **state)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), next;

	(void)state;
	assert_int_equal(ipc_send(peer, MSG_C_READY, 0, slice_of(NULL, 0), &null, 1), 0);
	close(null);
	next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(next);
	assert_dead(-ERR_FORMAT);
	/* and it was not left open in us */
	assert_int_equal(fcntl(next, F_GETFD), -1);
}

static void missing_descriptor_closes(void **state)
{
	(void)state;
	assert_int_equal(ipc_put(peer, P_FD, 0, .kind = 1), 0);
	assert_dead(-ERR_FORMAT);
}

static void send_body_as(int fd, uint32_t length)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = "" };
	uint8_t head[12] = { MSG_AD_REPLY & 0xff, MSG_AD_REPLY >> 8, 1 };
	struct iovec iov = { head, sizeof(head) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);

	memcpy(head + 8, &length, 4);
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	assert_int_equal(sendmsg(peer, &mh, 0), 12);
}

static void body_that_can_still_change_closes(void **state)
{
	int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, 40000), 0);
	send_body_as(fd, 40000);
	assert_dead(-ERR_FORMAT);
	close(fd);
}

static void sealed_body_of_another_size_closes(void **state)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, 40000), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	send_body_as(fd, 40001);
	assert_dead(-ERR_SIZE);
	close(fd);
}

static void file_instead_of_a_body_closes(void **state)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	(void)state;
	send_body_as(fd, 40000);
	assert_dead(-ERR_FORMAT);
	close(fd);
}

static void handler_that_refuses_closes(void **state)
{
	(void)state;
	handler_err = -ERR_EXISTS;
	assert_int_equal(ipc_put(peer, C_READY, 0), 0);
	assert_int_equal(ipc_put(peer, C_READY, 0), 0);
	turn();
	assert_int_equal(n_handled, 1);
	assert_int_equal(n_dead, 1);
	assert_int_equal(dead_err, -ERR_EXISTS);
}

static void handlers_eagain_is_not_mistaken_for_an_empty_socket(void **state)
{
	(void)state;
	handler_err = -EAGAIN;
	assert_int_equal(ipc_put(peer, C_READY, 0), 0);
	turn();
	assert_int_equal(n_dead, 1);
}

static void end_of_the_peer_is_told_after_its_last_message(void **state)
{
	(void)state;
	assert_int_equal(ipc_put(peer, C_READY, 0), 0);
	close(peer);
	peer = -1;
	turn();
	assert_int_equal(n_handled, 1);
	assert_int_equal(n_dead, 1);
	assert_int_equal(dead_err, -ERR_CLOSED);
}

static void message_arrives_with_id_and_body(void **state)
{
	(void)state;
	assert_int_equal(ipc_put(peer, C_KILL, 77, .role = 2, .index = 3), 0);
	turn();
	assert_int_equal(n_handled, 1);
	assert_int_equal(last_id, 77);
	assert_int_equal(last_len, 8);
	assert_int_equal(n_dead, 0);
}

static void long_body_arrives(void **state)
{
	AUTO_FREE char *big = mem_calloc(1, 1 << 20);

	(void)state;
	assert_int_equal(ipc_put(peer, AD_REPLY, 1, .json = slice_of(big, 1 << 20)), 0);
	turn();
	assert_int_equal(n_handled, 1);
	assert_int_equal(last_len, (1 << 20) + 8);
}

static void descriptor_arrives_and_can_be_kept(void **state)
{
	struct stat st, null;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ipc_put_fds(peer, P_FD, 0, &fd, 1, .kind = 1), 0);
	close(fd);
	turn();
	assert_int_equal(fstat(kept_fd, &st), 0);
	assert_int_equal(stat("/dev/null", &null), 0);
	assert_int_equal(st.st_rdev, null.st_rdev);
	assert_true(fcntl(kept_fd, F_GETFD) & FD_CLOEXEC);
}

static void free_inside_a_handler_is_allowed(void **state)
{
	(void)state;
	free_in_handler = true;
	assert_int_equal(ipc_put(peer, C_READY, 0), 0);
	assert_int_equal(ipc_put(peer, C_READY, 0), 0);
	turn();
	assert_int_equal(n_handled, 1);
	assert_int_equal(n_dead, 0);
	assert_null(chan);
}

static void queue_keeps_the_order_when_the_peer_is_slow(void **state)
{
	enum { MESSAGES = 3000 };
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
	struct chan_msg m;

	(void)state;
	for (uint32_t i = 0; i < MESSAGES; i++)
		assert_int_equal(chan_put(chan, P_EXIT, i, .index = i), 0);
	assert_false(chan_idle(chan));
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct msg_P_EXIT e = { 0 };
		int err;

		while ((err = recv(peer, &e, 1, MSG_PEEK | MSG_DONTWAIT)) < 0 && errno == EAGAIN)
			assert_int_equal(loop_once(loop, 10), 0);
		assert_int_equal(ipc_recv(peer, &scratch, &m), 0);
		assert_int_equal(msg_get_P_EXIT(m.body, &e), 0);
		assert_int_equal(m.id, i);
		assert_int_equal(e.index, i);
	}
	turn();
	assert_true(chan_idle(chan));
}

/* Whoever makes us answer and does not read must not get more of our memory by small answers. */
static void small_messages_that_wait_cost_what_they_take(void **state)
{
	enum { HEAD = 32 }; /* bytes at the least that keeping one takes, besides its body */
	unsigned int n = 0;
	int err = 0;

	(void)state;
	while (!err && n <= LIM_IPC_QUEUE / HEAD)
		err = chan_put(chan, F_NOJWT, 0, .order = ++n, .err = -ERR_RATE);
	assert_int_equal(err, -ERR_SIZE);
	turn();
	assert_int_equal(n_dead, 1);
}

static void queued_descriptors_survive_their_owner(void **state)
{
	enum { MESSAGES = 600 };
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
	struct chan_msg m;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	for (uint32_t i = 0; i < MESSAGES; i++)
		assert_int_equal(chan_put_fds(chan, P_FD, i, &fd, 1, .kind = 1), 0);
	assert_false(chan_idle(chan));
	close(fd);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		assert_int_equal(loop_once(loop, 0), 0);
		assert_int_equal(ipc_recv(peer, &scratch, &m), 0);
		assert_int_equal(m.n_fds, 1);
		assert_true(fcntl(m.fds[0], F_GETFD) >= 0);
		ipc_msg_done(&m);
	}
}

static void peer_that_never_reads_is_given_up(void **state)
{
	AUTO_FREE char *big = mem_calloc(1, LIM_IPC_BODY - 100);
	int err = 0;

	(void)state;
	for (int i = 0; i < 1000 && !err; i++)
		err = chan_put(chan, AD_REPLY, 0, .json = slice_of(big, LIM_IPC_BODY - 100));
	assert_int_equal(err, -ERR_SIZE);
	assert_int_equal(n_dead, 0); /* told from the loop, never from inside the send */
	assert_dead(-ERR_SIZE);
}

static void too_long_a_body_is_refused_and_harmless(void **state)
{
	AUTO_FREE char *big = mem_calloc(1, LIM_IPC_BODY + 1);

	(void)state;
	assert_int_equal(chan_send(chan, MSG_AD_REPLY, 0, slice_of(big, LIM_IPC_BODY + 1), NULL, 0), -ERR_SIZE);
	turn();
	assert_int_equal(n_dead, 0);
}

static void sending_to_a_closed_peer_is_told_once(void **state)
{
	(void)state;
	close(peer);
	peer = -1;
	assert_int_equal(chan_put(chan, P_STOP, 0), -ERR_CLOSED);
	assert_int_equal(chan_put(chan, P_STOP, 0), -ERR_CLOSED);
	assert_dead(-ERR_CLOSED);
}

/* Every message type, filled with what its fields can hold, comes back equal; one byte less or more does not. */
static void all_messages_refuse_other_lengths(void **state)
{
	(void)state;
#define MSG(name, number, route, fds_)                                                       \
	{                                                                                    \
		AUTO(buf) struct buf b = BUF_INIT(LIM_IPC_BODY);                             \
		struct msg_##name in, out;                                                   \
		memset(&in, 0, sizeof(in));
#define U32(f) in.f = 0x01020304;
#define U64(f) in.f = 0x0102030405060708ull;
#define I32(f) in.f = -5;
#define I64(f) in.f = -6;
#define STR(f, max) in.f = slice_str("text");
#define BLOB(f, max) in.f = slice_of("b\0b", 3);
#define END(name)                                                                            \
		msg_put_##name(&b, &in);                                                     \
		assert_int_equal(buf_ok(&b), 0);                                             \
		assert_int_equal(msg_get_##name(buf_slice(&b), &out), 0);                    \
		for (size_t cut = 0; cut < b.len; cut++)                                     \
			assert_int_not_equal(msg_get_##name(slice_of(b.data, cut), &out), 0); \
		buf_put_u8(&b, 0);                                                           \
		assert_int_equal(msg_get_##name(buf_slice(&b), &out), -ERR_TRAILING);        \
	}
#include "agent/ipc/msg.def"
#undef MSG
#undef U32
#undef U64
#undef I32
#undef I64
#undef STR
#undef BLOB
#undef END
}

static void fields_respect_their_maximum(void **state)
{
	AUTO_FREE char *big = mem_calloc(1, 109);
	AUTO(buf) struct buf b = BUF_INIT(1000);
	struct msg_A_CANARY in = { .public_path = slice_of(memset(big, 'x', 109), 109) }, out;

	(void)state;
	msg_put_A_CANARY(&b, &in);
	assert_int_equal(msg_get_A_CANARY(buf_slice(&b), &out), -ERR_SHORT);
	buf_reset(&b);
	in.public_path.len = 108;
	msg_put_A_CANARY(&b, &in);
	assert_int_equal(msg_get_A_CANARY(buf_slice(&b), &out), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(unknown_type_closes),
		TEST(type_without_rule_closes),
		TEST(type_of_another_state_closes),
		TEST(rule_without_states_is_never_permitted),
		TEST(short_header_closes),
		TEST(unknown_flag_closes),
		TEST(length_that_lies_closes),
		TEST(huge_length_closes),
		TEST(oversized_datagram_closes),
		TEST(descriptor_where_none_belongs_closes),
		TEST(missing_descriptor_closes),
		TEST(body_that_can_still_change_closes),
		TEST(sealed_body_of_another_size_closes),
		TEST(file_instead_of_a_body_closes),
		TEST(handler_that_refuses_closes),
		TEST(handlers_eagain_is_not_mistaken_for_an_empty_socket),
		TEST(end_of_the_peer_is_told_after_its_last_message),
		TEST(message_arrives_with_id_and_body),
		TEST(long_body_arrives),
		TEST(descriptor_arrives_and_can_be_kept),
		TEST(free_inside_a_handler_is_allowed),
		TEST(queue_keeps_the_order_when_the_peer_is_slow),
		TEST(small_messages_that_wait_cost_what_they_take),
		TEST(queued_descriptors_survive_their_owner),
		TEST(peer_that_never_reads_is_given_up),
		TEST(too_long_a_body_is_refused_and_harmless),
		TEST(sending_to_a_closed_peer_is_told_once),
		cmocka_unit_test(all_messages_refuse_other_lengths),
		cmocka_unit_test(fields_respect_their_maximum),
	};

	return cmocka_run_group_tests_name("chan", tests, NULL, NULL);
}
