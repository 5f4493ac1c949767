/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/grpc.c agent/cli/frame.c agent/cli/endpoint.c */
/* cli_grpc_test.c - svid's gRPC client: framing, and calls against a small server that may misbehave. */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/cli/frame.h"
#include "agent/cli/grpc.h"

#define TIMEOUT_MS 5000

static int get(const char *bytes, size_t n, struct slice *ret_message)
{
	struct buf in = { .data = (uint8_t *)(uintptr_t)bytes, .len = n, .max = n };

	return frame_get(&in, ret_message);
}

static void frames_are_taken_whole(void **state)
{
	struct slice m;

	(void)state;
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(get("\0\0\0\0\3abc", n, &m), -EAGAIN);
	assert_int_equal(get("\0\0\0\0\3abc", 8, &m), 0);
	assert_true(slice_eq_str(m, "abc"));
	assert_int_equal(get("\0\0\0\0\3abcdef", 11, &m), 0);
	assert_true(slice_eq_str(m, "abc"));
	assert_int_equal(get("\0\0\0\0\0", 5, &m), 0);
	assert_int_equal(m.len, 0);
}

static void bad_frames_are_refused(void **state)
{
	struct slice m;

	(void)state;
	assert_int_equal(get("\1\0\0\0\0", 5, &m), -ERR_COMPRESSED);
	assert_int_equal(get("\2\0\0\0\0", 5, &m), -ERR_FORMAT);
	assert_int_equal(get("\0\xff\xff\xff\xff", 5, &m), -ERR_SIZE);
	assert_int_equal(get("\0\0\x40\0\1", 5, &m), -ERR_SIZE);
}

static void frames_are_written_and_dropped(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(64);
	struct slice m;

	(void)state;
	frame_put(&b, slice_str("one"));
	frame_put(&b, slice_str(""));
	frame_put(&b, slice_str("two"));
	assert_int_equal(frame_get(&b, &m), 0);
	frame_drop(&b, m);
	assert_int_equal(frame_get(&b, &m), 0);
	assert_int_equal(m.len, 0);
	frame_drop(&b, m);
	assert_int_equal(frame_get(&b, &m), 0);
	assert_true(slice_eq_str(m, "two"));
}

static void status_texts_are_decoded(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = { { "plain", "plain" }, { "a%20b", "a b" }, { "%E2%82%AC", "\xe2\x82\xac" }, { "100%", "100%" },
		      { "%zz", "%zz" }, { "%4", "%4" }, { "%25", "%" }, { "", "" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf) struct buf b = BUF_INIT(64);

		percent_decode(&b, slice_str(cases[i].in));
		assert_string_equal(buf_cstr(&b), cases[i].out);
	}
}

/* How the server below answers. */
struct script {
	const char *content_type;
	const char *status;  /* NULL: no trailers, and the stream stays open */
	const char *message; /* NULL: none */
	const char *body;    /* framed */
	size_t body_len;
	bool trailers_only;
	bool silent;  /* reads and never answers */
	bool garbage; /* answers with something that is not HTTP/2 */
	bool hang_up;
	bool goodbye; /* GOAWAY before it read anything, then it hangs up */
	const struct script *next; /* how it answers the next connection; NULL: as this one */
};

struct server {
	const struct script *script;
	size_t sent;
	unsigned int good; /* request header fields that were as they must be */
};

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value), 0 };
}

static ssize_t on_read(nghttp2_session *s, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
		       nghttp2_data_source *source, void *user)
{
	struct server *v = user;
	const struct script *t = v->script;
	size_t n = t->body_len - v->sent < 3 ? t->body_len - v->sent : 3; /* in crumbs */
	nghttp2_nv trailers[2];
	size_t count = 0;

	(void)room;
	(void)source;
	memcpy(to, t->body + v->sent, n);
	v->sent += n;
	if (v->sent < t->body_len)
		return (ssize_t)n;
	if (!t->status)
		return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	trailers[count++] = nv("grpc-status", t->status);
	if (t->message)
		trailers[count++] = nv("grpc-message", t->message);
	nghttp2_submit_trailer(s, id, trailers, count);
	return (ssize_t)n;
}

static int on_request_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
			     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	static const char *const want[][2] = { { ":method", "POST" },
					       { ":path", "/svid.v1.Self/WhoAmI" },
					       { "te", "trailers" },
					       { "content-type", "application/grpc" },
					       { "workload.spiffe.io", "true" },
					       { "grpc-timeout", "5000m" } };
	struct server *v = user;

	(void)s;
	(void)f;
	(void)flags;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (slice_eq_str(slice_of(name, name_len), want[i][0]) && slice_eq_str(slice_of(value, value_len), want[i][1]))
			v->good++;
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct server *v = user;
	const struct script *t = v->script;
	nghttp2_data_provider body = { .read_callback = on_read };
	nghttp2_nv headers[4];
	size_t n = 0;

	if (t->silent || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    (f->hd.type != NGHTTP2_DATA && f->hd.type != NGHTTP2_HEADERS))
		return 0;
	headers[n++] = nv(":status", "200");
	headers[n++] = nv("content-type", t->content_type ? t->content_type : "application/grpc");
	if (t->trailers_only) {
		headers[n++] = nv("grpc-status", v->good == 6 ? t->status : "99");
		headers[n++] = nv("grpc-message", t->message);
		nghttp2_submit_response(s, f->hd.stream_id, headers, n, NULL);
	} else {
		nghttp2_submit_response(s, f->hd.stream_id, headers, n, &body);
	}
	return 0;
}

static void serve(int fd, const struct script *script)
{
	struct server v = { .script = script };
	nghttp2_session_callbacks *callbacks;
	nghttp2_session *s;
	const uint8_t *out;
	uint8_t in[4096];
	ssize_t n;

	if (script->garbage)
		n = send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_request_header);
	nghttp2_session_server_new(&s, callbacks, &v);
	nghttp2_submit_settings(s, 0, NULL, 0);
	if (script->goodbye) {
		nghttp2_submit_goaway(s, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
		while ((n = nghttp2_session_mem_send(s, &out)) > 0)
			(void)!send(fd, out, (size_t)n, MSG_NOSIGNAL);
	}
	while (!script->hang_up && !script->goodbye && (n = recv(fd, in, sizeof(in), 0)) > 0) {
		if (nghttp2_session_mem_recv(s, in, (size_t)n) < 0)
			break;
		while (!script->garbage && (n = nghttp2_session_mem_send(s, &out)) > 0)
			if (send(fd, out, (size_t)n, MSG_NOSIGNAL) < 0)
				break;
	}
	nghttp2_session_del(s);
	nghttp2_session_callbacks_del(callbacks);
	close(fd);
}

/* One connection after the other until the listener is shut down: how many there were. */
static int serve_all(int listener, const struct script *script)
{
	int fd, n;

	for (n = 0; (fd = accept(listener, NULL, NULL)) >= 0; n++) {
		serve(fd, script);
		script = script->next ? script->next : script;
	}
	return n;
}

static int asked; /* connections of the last call or watch */

struct taken {
	char text[64];
	size_t n;
	int answer; /* what the watcher says to each message */
};

static int on_message(void *arg, struct slice message)
{
	struct taken *t = arg;

	t->n += (size_t)snprintf(t->text + t->n, sizeof(t->text) - t->n, "%.*s;", (int)message.len, (const char *)message.p);
	return t->answer;
}

/* One call, or one watch where @taken is given, against a server that follows @script. */
static int call_or_watch(const struct script *script, bool stream, unsigned int timeout_ms, struct taken *taken,
			 struct grpc_reply *reply)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/svid-grpc-XXXXXX";
	int listener, err, status;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", dir);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 1), 0);
	pid = fork();
	if (pid == 0)
		_exit(serve_all(listener, script));
	if (taken)
		err = grpc_watch(at.sun_path, "/svid.v1.Self/WhoAmI", slice_of(NULL, 0), timeout_ms, on_message, taken, reply);
	else
		err = grpc_call(at.sun_path, "/svid.v1.Self/WhoAmI", slice_of(NULL, 0), stream, timeout_ms, reply);
	shutdown(listener, SHUT_RDWR);
	close(listener);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	asked = WEXITSTATUS(status);
	unlink(at.sun_path);
	rmdir(dir);
	return err;
}

static int call(const struct script *script, bool stream, unsigned int timeout_ms, struct grpc_reply *reply)
{
	return call_or_watch(script, stream, timeout_ms, NULL, reply);
}

static void unary_call_takes_message_and_status(void **state)
{
	const struct script s = { .body = "\0\0\0\0\5hello", .body_len = 10, .status = "0" };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

	(void)state;
	assert_int_equal(call(&s, false, TIMEOUT_MS, &r), 0);
	assert_int_equal(r.status, 0);
	assert_true(slice_eq_str(r.body, "hello"));
}

static void stream_is_left_after_its_first_message(void **state)
{
	const struct script s = { .body = "\0\0\0\0\5hello", .body_len = 10 };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

	(void)state;
	assert_int_equal(call(&s, true, TIMEOUT_MS, &r), 0);
	assert_int_equal(r.status, 0);
	assert_true(slice_eq_str(r.body, "hello"));
}

static void request_headers_are_right_and_refusal_is_reported(void **state)
{
	const struct script s = { .trailers_only = true, .status = "7", .message = "no%20identity issued" };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

	(void)state;
	assert_int_equal(call(&s, true, TIMEOUT_MS, &r), 0);
	assert_int_equal(r.status, 7); /* 2 if a header was not as the server wants it */
	assert_string_equal(buf_cstr(&r.message), "no identity issued");
	assert_false(r.has_body);
}

static void refusal_in_trailers_is_reported(void **state)
{
	const struct script s = { .status = "14", .message = "later", .body = "", .body_len = 0 };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

	(void)state;
	assert_int_equal(call(&s, false, TIMEOUT_MS, &r), 0);
	assert_int_equal(r.status, 14);
}

static void silence_ends_at_the_deadline(void **state)
{
	const struct script s = { .silent = true };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;
	uint64_t start = clock_boot_ns();

	(void)state;
	assert_int_equal(call(&s, false, 200, &r), -ERR_DEADLINE);
	assert_in_range(clock_boot_ns() - start, 190 * NS_PER_MS, 4000 * NS_PER_MS);
}

static void what_is_not_grpc_is_an_error(void **state)
{
	static const struct {
		struct script script;
		int err;
	} cases[] = {
		{ { .garbage = true }, -ERR_FORMAT },
		{ { .hang_up = true }, -ERR_CLOSED },
		{ { .content_type = "text/html", .body = "\0\0\0\0\1x", .body_len = 6, .status = "0" }, -ERR_FORMAT },
		{ { .body = "\1\0\0\0\1x", .body_len = 6, .status = "0" }, -ERR_COMPRESSED },
		{ { .body = "\0\x7f\0\0\1x", .body_len = 6, .status = "0" }, -ERR_SIZE },
		{ { .body = "\0\0\0\0\5he", .body_len = 7, .status = "0" }, -ERR_SHORT },
		{ { .body = "", .body_len = 0, .status = "0" }, -ERR_SHORT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

		assert_int_equal(call(&cases[i].script, false, TIMEOUT_MS, &r), cases[i].err);
		assert_int_equal(asked, cases[i].err == -ERR_CLOSED ? 3 : 1);
	}
}

/* An agent ends connections when what their caller may have changes; the answer is on the next one. */
static void call_that_was_ended_is_asked_again(void **state)
{
	static const struct script good = { .body = "\0\0\0\0\5hello", .body_len = 10, .status = "0" };
	static const struct script ends[] = {
		{ .hang_up = true, .next = &good },
		{ .goodbye = true, .next = &good },
		{ .status = "14", .message = "later", .body = "", .next = &good },
		{ .trailers_only = true, .status = "14", .message = "later", .next = &good },
		{ .status = "14", .message = "later", .body = "\0\0\0\0\3old", .body_len = 8, .next = &good },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

		assert_int_equal(call(&ends[i], false, TIMEOUT_MS, &r), 0);
		assert_int_equal(r.status, 0);
		assert_true(slice_eq_str(r.body, "hello"));
		assert_int_equal(r.message.len, 0);
		assert_int_equal(asked, 2);
	}
}

static void what_goes_on_ending_is_the_answer(void **state)
{
	static const struct script unavailable = { .status = "14", .message = "later", .body = "" };
	static const struct script denied = { .status = "7", .message = "no", .body = "" };
	static const struct script silent = { .silent = true };
	const struct script ends_then_hangs = { .hang_up = true, .next = &silent };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;
	AUTO(grpc_reply) struct grpc_reply no = GRPC_REPLY_INIT;
	AUTO(grpc_reply) struct grpc_reply late = GRPC_REPLY_INIT;
	uint64_t start;

	(void)state;
	assert_int_equal(call(&unavailable, false, TIMEOUT_MS, &r), 0);
	assert_int_equal(r.status, GRPC_UNAVAILABLE);
	assert_string_equal(buf_cstr(&r.message), "later");
	assert_int_equal(asked, 3);
	assert_int_equal(call(&denied, false, TIMEOUT_MS, &no), 0);
	assert_int_equal(asked, 1);
	start = clock_boot_ns();
	assert_int_equal(call(&ends_then_hangs, false, 300, &late), -ERR_DEADLINE);
	assert_in_range(clock_boot_ns() - start, 290 * NS_PER_MS, 4000 * NS_PER_MS);
}

/* A watcher comes again by itself, and says so. */
static void watch_that_was_ended_is_not_asked_again(void **state)
{
	static const struct script ends = { .hang_up = true };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;
	struct taken t = { .n = 0 };

	(void)state;
	assert_int_equal(call_or_watch(&ends, true, TIMEOUT_MS, &t, &r), -ERR_CLOSED);
	assert_int_equal(asked, 1);
}

static void nonsense_status_is_unknown(void **state)
{
	const struct script s = { .status = "banana", .body = "", .body_len = 0 };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

	(void)state;
	assert_int_equal(call(&s, false, TIMEOUT_MS, &r), 0);
	assert_int_equal(r.status, GRPC_UNKNOWN);
}

static void watch_takes_every_message_until_the_stream_ends(void **state)
{
	const struct script s = { .body = "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\3two", .body_len = 21, .status = "7",
				  .message = "no identity issued" };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;
	struct taken t = { .n = 0 };

	(void)state;
	assert_int_equal(call_or_watch(&s, true, TIMEOUT_MS, &t, &r), 0);
	assert_string_equal(t.text, "one;;two;");
	assert_int_equal(r.status, 7);
	assert_string_equal(buf_cstr(&r.message), "no identity issued");
	assert_true(r.has_body);
}

static void watcher_may_end_its_watch(void **state)
{
	const struct script s = { .body = "\0\0\0\0\3one\0\0\0\0\3two", .body_len = 16 };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;
	struct taken t = { .answer = -ECANCELED };

	(void)state;
	assert_int_equal(call_or_watch(&s, true, TIMEOUT_MS, &t, &r), -ECANCELED);
	assert_string_equal(t.text, "one;");
}

static void watch_waits_so_long_for_its_first_message_only(void **state)
{
	static const struct script silent = { .silent = true }, broken = { .body = "\0\x7f\0\0\1x", .body_len = 6 };
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;
	AUTO(grpc_reply) struct grpc_reply other = GRPC_REPLY_INIT;
	struct taken t = { .n = 0 };

	(void)state;
	assert_int_equal(call_or_watch(&silent, true, 100, &t, &r), -ERR_DEADLINE);
	assert_int_equal(call_or_watch(&broken, true, TIMEOUT_MS, &t, &other), -ERR_SIZE);
	assert_int_equal(t.n, 0);
}

static void missing_socket_is_reported(void **state)
{
	AUTO(grpc_reply) struct grpc_reply r = GRPC_REPLY_INIT;

	(void)state;
	assert_int_equal(grpc_call("/nonexistent/api.sock", "/x/y", slice_of(NULL, 0), false, 100, &r), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_taken_whole),
		cmocka_unit_test(bad_frames_are_refused),
		cmocka_unit_test(frames_are_written_and_dropped),
		cmocka_unit_test(status_texts_are_decoded),
		cmocka_unit_test(unary_call_takes_message_and_status),
		cmocka_unit_test(stream_is_left_after_its_first_message),
		cmocka_unit_test(request_headers_are_right_and_refusal_is_reported),
		cmocka_unit_test(refusal_in_trailers_is_reported),
		cmocka_unit_test(silence_ends_at_the_deadline),
		cmocka_unit_test(what_is_not_grpc_is_an_error),
		cmocka_unit_test(call_that_was_ended_is_asked_again),
		cmocka_unit_test(what_goes_on_ending_is_the_answer),
		cmocka_unit_test(watch_that_was_ended_is_not_asked_again),
		cmocka_unit_test(nonsense_status_is_unknown),
		cmocka_unit_test(watch_takes_every_message_until_the_stream_ends),
		cmocka_unit_test(watcher_may_end_its_watch),
		cmocka_unit_test(watch_waits_so_long_for_its_first_message_only),
		cmocka_unit_test(missing_socket_is_reported),
	};

	return cmocka_run_group_tests_name("unit/cli_grpc", tests, NULL, NULL);
}
