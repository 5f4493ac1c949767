// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c */
/* h2_test.c - frames that no library sends: what ends a stream, what ends the connection, what is ignored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "tests/lib/workload.h"
#include "workloadapi/encode.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define NONE (-1)

struct raw {
	struct api api;
	struct grpc_conn g;
	struct buf out;	   /* everything sent */
	int goaway;	   /* code of the last, or NONE */
	int reset;	   /* code of the last RST_STREAM, or NONE */
	unsigned int acks; /* of SETTINGS */
	unsigned int pongs;
	unsigned int trailers;
	unsigned int updates[2]; /* WINDOW_UPDATE of the connection, of a stream */
	size_t data;
};

static void count_frame(struct raw *r, uint8_t type, uint8_t flags, uint32_t id, struct slice body)
{
	switch (type) {
	case H2_GOAWAY:
		(void)slice_get_be32(&body);
		r->goaway = (int)slice_get_be32(&body);
		break;
	case H2_RST_STREAM:
		r->reset = (int)slice_get_be32(&body);
		break;
	case H2_SETTINGS:
		r->acks += flags & H2_ACK;
		break;
	case H2_PING:
		r->pongs += flags & H2_ACK;
		break;
	case H2_HEADERS:
		r->trailers += flags & H2_END_STREAM;
		break;
	case H2_WINDOW_UPDATE:
		r->updates[id != 0]++;
		break;
	case H2_DATA:
		r->data += body.len;
		break;
	}
}

static void look(struct raw *r)
{
	struct slice in = buf_slice(&r->out);
	struct test_frame f;

	while (test_frame_get(&in, &f))
		count_frame(r, f.type, f.flags, f.id, f.body);
	assert_int_equal(in.len, 0);
	buf_reset(&r->out);
}

static void drain(struct raw *r)
{
	struct iovec iov;
	int err = r->g.h2.err ? r->g.h2.err : h2_pump(&r->g.h2);

	while (out_iov(&r->g.h2.out, &iov, 1)) {
		buf_put(&r->out, iov.iov_base, iov.iov_len);
		out_sent(&r->g.h2.out, iov.iov_len);
		if (!err)
			err = h2_pump(&r->g.h2);
	}
	look(r);
}

static void give(struct raw *r, struct slice bytes)
{
	(void)!h2_in(&r->g.h2, bytes);
	drain(r);
}

static void give_frame(struct raw *r, uint8_t type, uint8_t flags, uint32_t id, struct slice body)
{
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);

	test_frame_put(&b, type, flags, id, body);
	give(r, buf_slice(&b));
}

static void put_request(struct buf *b, const char *path)
{
	hpack_put(b, ":method", slice_str("POST"));
	hpack_put(b, ":scheme", slice_str("http"));
	hpack_put(b, ":path", slice_str(path));
	hpack_put(b, "content-type", slice_str("application/grpc"));
	hpack_put(b, "workload.spiffe.io", slice_str("true"));
}

static void give_request(struct raw *r, uint32_t id, uint8_t flags)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);

	put_request(&b, "/SpiffeWorkloadAPI/FetchX509SVID");
	give_frame(r, H2_HEADERS, flags, id, buf_slice(&b));
}

static void give_empty_message(struct raw *r, uint32_t id)
{
	give_frame(r, H2_DATA, H2_END_STREAM, id, slice_of("\0\0\0\0\0", 5));
}

static int set_up(void **state)
{
	struct raw *r = mem_new(struct raw);
	struct message *whoami;

	assert_non_null(r);
	assert_int_equal(api_init(&r->api), 0);
	r->api.now = NS_PER_S;
	test_api_serve(&r->api, 1, 1, 200);
	assert_int_equal(encode_whoami(slice_str("{}"), &whoami), 0);
	grpc_init(&r->g, &r->api);
	grpc_set_whoami(&r->g, whoami);
	r->out = (struct buf)BUF_INIT(8u << 20);
	r->goaway = r->reset = NONE;
	give(r, slice_str(PREFACE));
	give_frame(r, H2_SETTINGS, 0, 0, slice_of(NULL, 0));
	assert_int_equal(r->acks, 1);
	*state = r;
	return 0;
}

static int tear_down(void **state)
{
	struct raw *r = *state;

	grpc_done(&r->g);
	assert_int_equal(r->g.buffered, 0);
	api_done(&r->api);
	buf_done(&r->out);
	mem_free(r);
	return 0;
}

static void settings_leave_before_anything_is_read(void **state)
{
	struct raw *r = *state;
	struct grpc_conn g;
	struct iovec iov;

	grpc_init(&g, &r->api);
	assert_int_equal(out_iov(&g.h2.out, &iov, 1), 1);
	assert_int_equal(((uint8_t *)iov.iov_base)[3], H2_SETTINGS);
	grpc_done(&g);
}

struct bad_frame {
	const char *what;
	uint8_t type, flags;
	uint32_t id;
	const char *body;
	size_t len;
	int code;
};

/* Each of these ends the connection with GOAWAY and this code (RFC 9113). */
static const struct bad_frame fatal[] = {
	{ "DATA on stream 0", H2_DATA, 0, 0, "x", 1, H2_PROTOCOL_ERROR },
	{ "DATA on an idle stream", H2_DATA, 0, 7, "x", 1, H2_PROTOCOL_ERROR },
	{ "HEADERS on stream 0", H2_HEADERS, H2_END_HEADERS, 0, "", 0, H2_PROTOCOL_ERROR },
	{ "HEADERS on an even stream", H2_HEADERS, H2_END_HEADERS, 2, "\x82", 1, H2_PROTOCOL_ERROR },
	{ "padding longer than the frame", H2_HEADERS, H2_END_HEADERS | H2_PADDED, 1, "\x09\x82", 2, H2_PROTOCOL_ERROR },
	{ "priority fields cut", H2_HEADERS, H2_END_HEADERS | H2_PRIORITY_FLAG, 1, "\0\0", 2, H2_FRAME_SIZE_ERROR },
	{ "index out of the table", H2_HEADERS, H2_END_HEADERS, 1, "\xff\xff\x03", 3, H2_COMPRESSION_ERROR },
	{ "block ends in a field", H2_HEADERS, H2_END_HEADERS, 1, "\x00\x05" "ab", 4, H2_COMPRESSION_ERROR },
	{ "PRIORITY on stream 0", H2_PRIORITY, 0, 0, "12345", 5, H2_PROTOCOL_ERROR },
	{ "RST_STREAM on an idle stream", H2_RST_STREAM, 0, 9, "\0\0\0\x08", 4, H2_PROTOCOL_ERROR },
	{ "RST_STREAM of 3 bytes", H2_RST_STREAM, 0, 1, "\0\0\0", 3, H2_FRAME_SIZE_ERROR },
	{ "SETTINGS on a stream", H2_SETTINGS, 0, 1, "", 0, H2_PROTOCOL_ERROR },
	{ "SETTINGS of 5 bytes", H2_SETTINGS, 0, 0, "12345", 5, H2_FRAME_SIZE_ERROR },
	{ "SETTINGS ACK with a body", H2_SETTINGS, H2_ACK, 0, "123456", 6, H2_FRAME_SIZE_ERROR },
	{ "ENABLE_PUSH of 2", H2_SETTINGS, 0, 0, "\0\2\0\0\0\2", 6, H2_PROTOCOL_ERROR },
	{ "INITIAL_WINDOW_SIZE of 2^31", H2_SETTINGS, 0, 0, "\0\4\x80\0\0\0", 6, H2_FLOW_CONTROL_ERROR },
	{ "MAX_FRAME_SIZE of 16383", H2_SETTINGS, 0, 0, "\0\5\0\0\x3f\xff", 6, H2_PROTOCOL_ERROR },
	{ "MAX_FRAME_SIZE of 2^24", H2_SETTINGS, 0, 0, "\0\5\1\0\0\0", 6, H2_PROTOCOL_ERROR },
	{ "PUSH_PROMISE", H2_PUSH_PROMISE, 0, 1, "\0\0\0\2", 4, H2_PROTOCOL_ERROR },
	{ "PING on a stream", H2_PING, 0, 1, "12345678", 8, H2_PROTOCOL_ERROR },
	{ "PING of 7 bytes", H2_PING, 0, 0, "1234567", 7, H2_FRAME_SIZE_ERROR },
	{ "GOAWAY of 4 bytes", H2_GOAWAY, 0, 0, "1234", 4, H2_FRAME_SIZE_ERROR },
	{ "WINDOW_UPDATE of 3 bytes", H2_WINDOW_UPDATE, 0, 0, "\0\0\1", 3, H2_FRAME_SIZE_ERROR },
	{ "WINDOW_UPDATE of 0", H2_WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4, H2_PROTOCOL_ERROR },
	{ "WINDOW_UPDATE on an idle stream", H2_WINDOW_UPDATE, 0, 5, "\0\0\0\1", 4, H2_PROTOCOL_ERROR },
	{ "WINDOW_UPDATE above 2^31 - 1", H2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4, H2_FLOW_CONTROL_ERROR },
	{ "CONTINUATION of nothing", H2_CONTINUATION, H2_END_HEADERS, 1, "\x82", 1, H2_PROTOCOL_ERROR },
};

static void broken_frames_end_the_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		const struct bad_frame *f = &fatal[i];
		void *one;
		struct raw *r;

		set_up(&one);
		r = one;
		give_frame(r, f->type, f->flags, f->id, slice_of(f->body, f->len));
		if (r->goaway != f->code)
			fail_msg("%s: GOAWAY %d instead of %d", f->what, r->goaway, f->code);
		assert_int_equal(r->g.h2.err, -ERR_REQUEST);
		assert_int_equal(h2_in(&r->g.h2, slice_of("x", 1)), -ERR_REQUEST);
		tear_down(&one);
	}
}

/* Each of these changes nothing: a request afterwards is served. */
static const struct bad_frame harmless[] = {
	{ "PRIORITY", H2_PRIORITY, 0, 7, "\0\0\0\0\1", 5, 0 },
	{ "unknown frame type", 0x2a, 0xff, 77, "anything", 8, 0 },
	{ "unknown setting", H2_SETTINGS, 0, 0, "\xfe\x03\0\0\0\1", 6, 0 },
	{ "settings of grpc-core", H2_SETTINGS, 0, 0, "\0\2\0\0\0\0\0\3\0\0\0\0\0\5\0\x3f\xff\xff\0\6\0\0\x20\0", 24, 0 },
	{ "GOAWAY of the client", H2_GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0client transport shutdown", 33, 0 },
	{ "PING ACK", H2_PING, H2_ACK, 0, "12345678", 8, 0 },
	{ "reserved bit", H2_SETTINGS, 0, 0x80000000u, "", 0, 0 },
};

static void harmless_frames_are_ignored(void **state)
{
	struct raw *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		give_frame(r, harmless[i].type, harmless[i].flags, harmless[i].id,
			   slice_of(harmless[i].body, harmless[i].len));
	give_request(r, 1, H2_END_HEADERS);
	give_empty_message(r, 1);
	assert_int_equal(r->goaway, NONE);
	assert_true(r->data > 0);
	assert_int_equal(r->pongs, 0);
}

static void ping_is_answered_with_its_bytes(void **state)
{
	struct raw *r = *state;

	give_frame(r, H2_PING, 0, 0, slice_of("\x02\x04\x10\x10\x09\x0e\x07\x07", 8));
	assert_int_equal(r->pongs, 1);
}

static void wrong_preface_or_first_frame_ends_the_connection(void **state)
{
	static const char *const starts[] = { "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
					      PREFACE "\0\0\0\1\4\0\0\0\1", PREFACE "\0\0\0\4\1\0\0\0\0" };
	static const size_t lens[] = { 18, 24, 33, 33 };
	struct raw *r = *state;

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++) {
		grpc_done(&r->g);
		grpc_init(&r->g, &r->api);
		r->goaway = NONE;
		give(r, slice_of(starts[i], lens[i]));
		assert_int_equal(r->goaway, H2_PROTOCOL_ERROR);
	}
}

static void frame_above_the_limit_is_refused_by_its_head(void **state)
{
	struct raw *r = *state;

	give(r, slice_of("\0\x40\1\0\0\0\0\0\1", 9));
	assert_int_equal(r->goaway, H2_FRAME_SIZE_ERROR);
}

static void header_block_may_come_in_pieces(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct raw *r = *state;

	put_request(&b, "/SpiffeWorkloadAPI/FetchX509SVID");
	give_frame(r, H2_HEADERS, 0, 1, slice_of(b.data, 10));
	for (size_t i = 10; i + 1 < b.len; i++)
		give_frame(r, H2_CONTINUATION, 0, 1, slice_of(b.data + i, 1));
	give_frame(r, H2_CONTINUATION, H2_END_HEADERS, 1, slice_of(b.data + b.len - 1, 1));
	give_empty_message(r, 1);
	assert_true(r->data > 0);
}

static void nothing_may_come_between_the_pieces(void **state)
{
	struct raw *r = *state;

	give_request(r, 1, 0);
	give_frame(r, H2_PING, 0, 0, slice_of("12345678", 8));
	assert_int_equal(r->goaway, H2_PROTOCOL_ERROR);
}

static void endless_header_block_is_bounded(void **state)
{
	uint8_t piece[1000] = { 0 };
	struct raw *r = *state;

	give_request(r, 1, 0);
	for (int i = 0; i < 20; i++)
		give_frame(r, H2_CONTINUATION, 0, 1, slice_of(piece, sizeof(piece)));
	assert_int_equal(r->goaway, H2_ENHANCE_YOUR_CALM);
}

static void empty_continuations_are_not_endless(void **state)
{
	struct raw *r = *state;

	give_request(r, 1, 0);
	give_frame(r, H2_CONTINUATION, 0, 1, slice_of(NULL, 0));
	assert_int_equal(r->goaway, H2_ENHANCE_YOUR_CALM);
}

static void header_list_above_the_limit_fails_only_its_stream(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(64u << 10);
	struct raw *r = *state;

	put_request(&b, "/SpiffeWorkloadAPI/FetchX509SVID");
	for (int i = 0; i < LIM_HEADERS; i++)
		hpack_put(&b, "x", slice_str("y"));
	give_frame(r, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, buf_slice(&b));
	assert_int_equal(r->trailers, 1);
	assert_int_equal(r->data, 0);
	give_request(r, 3, H2_END_HEADERS);
	give_empty_message(r, 3);
	assert_true(r->data > 0);
	assert_int_equal(r->goaway, NONE);
}

/* Before the client applied our table size of 0 its blocks may refer to each other; afterwards not. */
static void dynamic_table_lives_until_settings_are_acknowledged(void **state)
{
	static const uint8_t first[] = { 0x83, 0x86, 0x04, 1, '/', 0x40, 1, 'k', 1, 'v' };
	static const uint8_t again[] = { 0x83, 0x86, 0x04, 1, '/', 0xbe };
	static const uint8_t update[] = { 0x20, 0x83, 0x86, 0x04, 1, '/' };
	struct raw *r = *state;

	give_frame(r, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, slice_of(first, sizeof(first)));
	give_frame(r, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 3, slice_of(again, sizeof(again)));
	assert_int_equal(r->trailers, 2);
	assert_non_null(r->g.h2.hpack.own);
	give_frame(r, H2_SETTINGS, H2_ACK, 0, slice_of(NULL, 0));
	assert_null(r->g.h2.hpack.own);
	give_frame(r, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 5, slice_of(update, sizeof(update)));
	assert_int_equal(r->trailers, 3);
	assert_int_equal(r->goaway, NONE);
	give_frame(r, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 7, slice_of(again, sizeof(again)));
	assert_int_equal(r->goaway, H2_COMPRESSION_ERROR);
}

/* An error in one connection must not spoil the decoder that all connections share. */
static void shared_decoder_survives_a_broken_block(void **state)
{
	struct raw *r = *state;
	void *other_state;
	struct raw *other;

	set_up(&other_state);
	other = other_state;
	give_frame(r, H2_SETTINGS, H2_ACK, 0, slice_of(NULL, 0));
	give_frame(other, H2_SETTINGS, H2_ACK, 0, slice_of(NULL, 0));
	give_frame(r, H2_HEADERS, H2_END_HEADERS, 1, slice_of("\x00\x05" "ab", 4));
	assert_int_equal(r->goaway, H2_COMPRESSION_ERROR);
	give_request(other, 1, H2_END_HEADERS);
	give_empty_message(other, 1);
	assert_true(other->data > 0);
	tear_down(&other_state);
}

static void stream_errors_leave_the_others_alone(void **state)
{
	AUTO(buf) struct buf upper = BUF_INIT(4096);
	struct raw *r = *state;

	give_request(r, 1, H2_END_HEADERS);
	hpack_put(&upper, "X-Upper", slice_str("no"));
	put_request(&upper, "/x");
	give_frame(r, H2_HEADERS, H2_END_HEADERS, 3, buf_slice(&upper));
	assert_int_equal(r->reset, H2_PROTOCOL_ERROR);
	give_frame(r, H2_WINDOW_UPDATE, 0, 1, slice_of("\0\0\0\1", 4));
	give_empty_message(r, 1);
	assert_true(r->data > 0);
	r->reset = NONE;
	give_frame(r, H2_DATA, 0, 1, slice_of("x", 1)); /* after END_STREAM */
	assert_int_equal(r->reset, H2_STREAM_CLOSED);
	give_request(r, 5, H2_END_HEADERS);
	give_frame(r, H2_WINDOW_UPDATE, 0, 5, slice_of("\0\0\0\0", 4));
	assert_int_equal(r->reset, H2_PROTOCOL_ERROR);
	give_request(r, 7, H2_END_HEADERS);
	give_frame(r, H2_WINDOW_UPDATE, 0, 7, slice_of("\x7f\xff\xff\xff", 4));
	assert_int_equal(r->reset, H2_FLOW_CONTROL_ERROR);
	assert_int_equal(r->goaway, NONE);
}

static void trailers_of_the_client_end_its_request(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(128);
	struct raw *r = *state;

	hpack_put(&b, "x-checksum", slice_str("1"));
	give_request(r, 1, H2_END_HEADERS);
	give_frame(r, H2_DATA, 0, 1, slice_of("\0\0\0\0\0", 5));
	give_frame(r, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, buf_slice(&b));
	assert_true(r->data > 0);
	give_request(r, 3, H2_END_HEADERS);
	give_frame(r, H2_HEADERS, H2_END_HEADERS, 3, buf_slice(&b)); /* trailers must end the stream */
	assert_int_equal(r->reset, H2_PROTOCOL_ERROR);
}

static void windows_are_given_back_also_for_streams_that_are_gone(void **state)
{
	uint8_t zeros[8000] = { 0 };
	struct raw *r = *state;

	give_request(r, 1, H2_END_HEADERS);
	give_frame(r, H2_RST_STREAM, 0, 1, slice_of("\0\0\0\x08", 4));
	for (int i = 0; i < 40; i++)
		give_frame(r, H2_DATA, 0, 1, slice_of(zeros, sizeof(zeros)));
	assert_int_equal(r->goaway, NONE);
	assert_true(r->updates[0] >= 7);
	assert_int_equal(r->updates[1], 0);
}

static void client_that_ignores_the_window_is_cut(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(256u << 10);
	struct raw *r = *state;

	/* Six whole frames in one read: no chance to give anything back in between. */
	r->g.h2.recv_window = 1000;
	give_request(r, 1, H2_END_HEADERS);
	for (int i = 0; i < 1001; i++)
		buf_put_u8(&b, 0);
	give_frame(r, H2_DATA, 0, 1, buf_slice(&b));
	assert_int_equal(r->goaway, H2_FLOW_CONTROL_ERROR);
}

static void control_flood_to_a_silent_reader_is_bounded(void **state)
{
	AUTO(buf) struct buf pings = BUF_INIT(1u << 20);
	struct raw *r = *state;
	int err = 0;

	for (int i = 0; i < 1000; i++)
		buf_put(&pings, "\0\0\x08\6\0\0\0\0\0" "12345678", 17);
	for (int i = 0; i < 100 && !err; i++)
		err = h2_in(&r->g.h2, buf_slice(&pings));
	assert_int_equal(err, -ERR_SIZE);
	assert_true(r->g.h2.out.own.len <= LIM_CONN_OUT);
}

static void rapid_resets_hold_no_memory(void **state)
{
	struct raw *r = *state;

	for (uint32_t id = 1; id < 20000; id += 2) {
		give_request(r, id, H2_END_HEADERS);
		give_frame(r, H2_RST_STREAM, 0, id, slice_of("\0\0\0\x08", 4));
		assert_int_equal(r->g.h2.n_streams, 0);
	}
	assert_int_equal(r->goaway, NONE);
}

static void padding_is_dropped(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct raw *r = *state;

	buf_put_u8(&b, 4);
	buf_put(&b, "\0\0\0\0\x10", 5); /* priority fields */
	put_request(&b, "/SpiffeWorkloadAPI/FetchX509SVID");
	buf_put(&b, "\0\0\0\0", 4);
	give_frame(r, H2_HEADERS, H2_END_HEADERS | H2_PADDED | H2_PRIORITY_FLAG, 1, buf_slice(&b));
	give_frame(r, H2_DATA, H2_END_STREAM | H2_PADDED, 1, slice_of("\3\0\0\0\0\0\0\0\0", 9));
	assert_true(r->data > 0);
}

static void window_change_reaches_open_streams(void **state)
{
	struct raw *r = *state;
	size_t whole;

	give_frame(r, H2_SETTINGS, 0, 0, slice_of("\0\4\0\0\0\x0a", 6));
	give_request(r, 1, H2_END_HEADERS);
	give_empty_message(r, 1);
	assert_int_equal(r->data, 10);
	give_frame(r, H2_SETTINGS, 0, 0, slice_of("\0\4\0\0\0\x02", 6)); /* 8 below zero */
	give_frame(r, H2_WINDOW_UPDATE, 0, 1, slice_of("\0\0\0\x08", 4));
	assert_int_equal(r->data, 10);
	give_frame(r, H2_WINDOW_UPDATE, 0, 1, slice_of("\0\0\0\x05", 4));
	assert_int_equal(r->data, 15);
	give_frame(r, H2_SETTINGS, 0, 0, slice_of("\0\4\0\0\xff\xff", 6));
	whole = message_bytes(r->api.feeds[FEED_SVIDS].msg).len;
	assert_int_equal(r->data, whole);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(settings_leave_before_anything_is_read),
		cmocka_unit_test(broken_frames_end_the_connection),
		T(harmless_frames_are_ignored),
		T(ping_is_answered_with_its_bytes),
		T(wrong_preface_or_first_frame_ends_the_connection),
		T(frame_above_the_limit_is_refused_by_its_head),
		T(header_block_may_come_in_pieces),
		T(nothing_may_come_between_the_pieces),
		T(endless_header_block_is_bounded),
		T(empty_continuations_are_not_endless),
		T(header_list_above_the_limit_fails_only_its_stream),
		T(dynamic_table_lives_until_settings_are_acknowledged),
		T(shared_decoder_survives_a_broken_block),
		T(stream_errors_leave_the_others_alone),
		T(trailers_of_the_client_end_its_request),
		T(windows_are_given_back_also_for_streams_that_are_gone),
		T(client_that_ignores_the_window_is_cut),
		T(control_flood_to_a_silent_reader_is_bounded),
		T(rapid_resets_hold_no_memory),
		T(padding_is_dropped),
		T(window_change_reaches_open_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
