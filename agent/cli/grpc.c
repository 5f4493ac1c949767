/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.c - a synchronous gRPC client over an nghttp2 client session: one connection, one call or watch.
 * nghttp2 does no I/O here; drive() moves bytes between it and the socket. svid.
 */
#include "agent/cli/grpc.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/cli/endpoint.h"
#include "agent/cli/frame.h"

#define READ_BYTES 16384
#define WINDOW_BYTES (8 << 20) /* a bundle must not need a second round trip */

/*
 * An agent ends connections whenever it likes, and clients come again at once (Workload API 4.2): new documents move the
 * caller to another front, say. What goes on ending is the answer; so is what was ended after a long wait.
 */
#define ASK_TIMES 3
#define ASK_AGAIN_MS 50	 /* doubled each time */
#define ASK_QUICK_MS 2000 /* a call that ended within this, that is: long, for a machine that is busy */

struct call {
	struct grpc_reply *reply;
	struct buf request; /* framed */
	size_t sent;
	bool stream;
	/* A watch: takes each message, which ends when it returns; not 0 ends the watch. */
	int (*on_message)(void *arg, struct slice message);
	void *arg;
	uint64_t deadline; /* CLOCK_BOOTTIME, ns */
	bool grpc; /* the content type says so */
	bool goodbye; /* the server wants no more calls here: this one may be older than that, or not */
	bool done;
	int err;
};

void grpc_reply_done(struct grpc_reply *r)
{
	buf_done(&r->data);
	buf_done(&r->message);
}

static ssize_t on_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
		       nghttp2_data_source *source, void *user)
{
	struct call *c = source->ptr;
	size_t n = c->request.len - c->sent < room ? c->request.len - c->sent : room;

	(void)s;
	(void)id;
	(void)user;
	memcpy(to, c->request.data + c->sent, n);
	c->sent += n;
	if (c->sent == c->request.len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct slice n = slice_of(name, name_len), v = slice_of(value, value_len);
	struct call *c = user;
	uint64_t status;

	(void)s;
	(void)frame;
	(void)flags;
	if (slice_eq_str(n, "content-type"))
		c->grpc = slice_starts(v, slice_str("application/grpc"));
	else if (slice_eq_str(n, "grpc-message"))
		percent_decode(&c->reply->message, v);
	else if (slice_eq_str(n, "grpc-status"))
		c->reply->status = slice_u64_dec(v, &status) || status > 16 ? GRPC_UNKNOWN : (int)status;
	return 0;
}

/* Every whole message of a watch; the first one is what its deadline is for. */
static int take_messages(struct call *c)
{
	struct slice message;
	int err;

	while (!(err = frame_get(&c->reply->data, &message))) {
		c->deadline = UINT64_MAX;
		c->reply->has_body = true;
		err = c->on_message(c->arg, message);
		frame_drop(&c->reply->data, message);
		if (err)
			break;
	}
	return err == -EAGAIN ? 0 : err;
}

static int take_first(struct call *c)
{
	int err = frame_get(&c->reply->data, &c->reply->body);

	if (err == -EAGAIN)
		return 0;
	c->reply->has_body = !err;
	c->done = !err && c->stream;
	return err;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
	struct call *c = user;

	(void)s;
	(void)flags;
	(void)id;
	if (c->done || (c->reply->has_body && !c->on_message))
		return 0;
	buf_put(&c->reply->data, data, len);
	c->err = buf_ok(&c->reply->data);
	if (!c->err)
		c->err = c->on_message ? take_messages(c) : take_first(c);
	c->done = c->done || c->err;
	return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
	struct call *c = user;

	(void)s;
	(void)id;
	c->done = true;
	if (c->reply->status < 0 && !c->err)
		c->err = code ? -ERR_CLOSED : -ERR_FORMAT;
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *user)
{
	struct call *c = user;

	(void)s;
	c->goodbye = c->goodbye || frame->hd.type == NGHTTP2_GOAWAY;
	return 0;
}

static int session_new(struct call *c, nghttp2_session **ret_session)
{
	nghttp2_session_callbacks *callbacks;
	int err;

	if (nghttp2_session_callbacks_new(&callbacks))
		return -ENOMEM;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	err = nghttp2_session_client_new(ret_session, callbacks, c);
	nghttp2_session_callbacks_del(callbacks);
	return err ? -ENOMEM : 0;
}

#define HEADER(n, v)                                                                          \
	{                                                                                     \
		.name = (uint8_t *)(uintptr_t)(n), .namelen = strlen(n),                      \
		.value = (uint8_t *)(uintptr_t)(v), .valuelen = strlen(v)                     \
	}

static int submit(nghttp2_session *s, struct call *c, const char *method, unsigned int timeout_ms)
{
	const nghttp2_settings_entry settings[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
						    { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES } };
	nghttp2_data_provider body = { .source.ptr = c, .read_callback = on_body };
	char timeout[16];
	const nghttp2_nv headers[] = {
		HEADER(":method", "POST"),	   HEADER(":scheme", "http"),
		HEADER(":path", method),	   HEADER(":authority", "localhost"),
		HEADER("te", "trailers"),	   HEADER("content-type", "application/grpc"),
		HEADER("user-agent", "svid/" SVID_VERSION),
		HEADER("workload.spiffe.io", "true"), /* Workload Endpoint 6.1 */
		{ (uint8_t *)(uintptr_t) "grpc-timeout", (uint8_t *)timeout, 12, 0, 0 },
	};
	nghttp2_nv with_timeout[ARRAY_SIZE(headers)];

	memcpy(with_timeout, headers, sizeof(headers));
	/* At most eight digits (gRPC over HTTP/2, "Timeout"). A watch has no end that the server should know. */
	snprintf(timeout, sizeof(timeout), "%um", timeout_ms < 99999999u ? timeout_ms : 99999999u);
	with_timeout[ARRAY_SIZE(headers) - 1].valuelen = strlen(timeout);
	if (nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, settings, ARRAY_SIZE(settings)) ||
	    nghttp2_session_set_local_window_size(s, NGHTTP2_FLAG_NONE, 0, WINDOW_BYTES) ||
	    nghttp2_submit_request(s, NULL, with_timeout, ARRAY_SIZE(headers) - !!c->on_message, &body, NULL) < 0)
		return -ENOMEM;
	return 0;
}

/* Wait for the socket; the deadline is a point in time, so that a server that drips bytes gains nothing. */
static int wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	uint64_t now = clock_boot_ns();
	int n;

	if (now >= deadline)
		return -ERR_DEADLINE;
	n = poll(&p, 1, deadline == UINT64_MAX ? -1 : (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ERR_DEADLINE;
}

static int send_pending(nghttp2_session *s, int fd, uint64_t deadline)
{
	const uint8_t *data;
	ssize_t len;

	while ((len = nghttp2_session_mem_send(s, &data)) > 0) {
		struct slice rest = slice_of(data, (size_t)len);

		while (rest.len) {
			ssize_t n = send(fd, rest.p, rest.len, MSG_DONTWAIT | MSG_NOSIGNAL);
			int err = 0;

			if (n >= 0)
				(void)slice_get_bytes(&rest, (size_t)n);
			else if (errno == EAGAIN)
				err = wait_for(fd, POLLOUT, deadline);
			else
				err = errno == EPIPE || errno == ECONNRESET ? -ERR_CLOSED : -errno;
			if (err)
				return err;
		}
	}
	return len < 0 ? -ERR_FORMAT : 0;
}

static int receive_some(nghttp2_session *s, int fd, uint64_t deadline)
{
	AUTO(buf) struct buf in = BUF_INIT_SECRET(READ_BYTES);
	int err = wait_for(fd, POLLIN, deadline);
	uint8_t *to = buf_reserve(&in, READ_BYTES);
	ssize_t n;

	if (err)
		return err;
	if (!to)
		return -ENOMEM;
	n = recv(fd, to, READ_BYTES, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : errno == ECONNRESET ? -ERR_CLOSED : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	buf_added(&in, (size_t)n);
	return nghttp2_session_mem_recv(s, to, (size_t)n) < 0 ? -ERR_FORMAT : 0;
}

static int drive(nghttp2_session *s, struct call *c, int fd)
{
	int err = 0;

	while (!err && !c->done) {
		err = send_pending(s, fd, c->deadline);
		/* A server that refuses may close while we still write: its answer is worth reading. */
		if (err == -ERR_CLOSED)
			err = 0;
		/* It answers what is not HTTP/2 with GOAWAY, too, and then wants no more. */
		if (!err && !nghttp2_session_want_read(s))
			err = c->goodbye ? -ERR_CLOSED : -ERR_FORMAT;
		if (!err)
			err = receive_some(s, fd, c->deadline);
	}
	return c->done ? c->err : err;
}

static int converse(struct call *c, int fd, const char *method, unsigned int timeout_ms)
{
	nghttp2_session *s;
	int err = session_new(c, &s);

	if (err)
		return err;
	err = submit(s, c, method, timeout_ms);
	if (!err)
		err = drive(s, c, fd);
	/* A polite end: the server frees the connection at once. What it costs does not matter any more. */
	if (!err && !nghttp2_session_terminate_session(s, NGHTTP2_NO_ERROR))
		(void)!send_pending(s, fd, c->deadline);
	nghttp2_session_del(s);
	return err;
}

static int check(const struct call *c)
{
	const struct grpc_reply *r = c->reply;

	if (!c->grpc)
		return -ERR_FORMAT;
	return r->status == GRPC_OK && !r->has_body ? -ERR_SHORT : 0;
}

static int ask(const char *socket, const char *method, struct slice request, unsigned int timeout_ms, struct call *c)
{
	int fd, err;

	c->deadline = clock_boot_ns() + timeout_ms * NS_PER_MS;
	frame_put(&c->request, request);
	err = buf_ok(&c->request);
	if (!err)
		err = endpoint_connect(socket, 0, &fd);
	if (!err) {
		err = converse(c, fd, method, timeout_ms);
		close(fd);
	}
	buf_done(&c->request);
	return err;
}

static int ask_once(const char *socket, const char *method, struct slice request, bool stream, unsigned int timeout_ms,
		    struct grpc_reply *reply)
{
	struct call c = { .reply = reply, .request = BUF_INIT_SECRET(LIM_GRPC_MESSAGE + FRAME_HEAD), .stream = stream };
	int err = ask(socket, method, request, timeout_ms, &c);

	if (err)
		return err;
	if (stream && reply->has_body && reply->status < 0)
		reply->status = GRPC_OK;
	return check(&c);
}

static bool was_ended(int err, const struct grpc_reply *r)
{
	return err ? err == -ERR_CLOSED : r->status == GRPC_UNAVAILABLE;
}

static void forget(struct grpc_reply *r)
{
	buf_reset(&r->data);
	buf_reset(&r->message);
	r->body = slice_of(NULL, 0);
	r->has_body = false;
	r->status = -1;
}

int grpc_call(const char *socket, const char *method, struct slice request, bool stream,
	      unsigned int timeout_ms, struct grpc_reply *reply)
{
	unsigned int again_ms = ASK_AGAIN_MS;

	for (int i = 1;; i++) {
		uint64_t began = clock_boot_ns(), took_ms;
		int err = ask_once(socket, method, request, stream, timeout_ms, reply);

		took_ms = (clock_boot_ns() - began) / NS_PER_MS;
		if (i == ASK_TIMES || !was_ended(err, reply) || took_ms > ASK_QUICK_MS || took_ms + again_ms >= timeout_ms)
			return err;
		forget(reply);
		(void)poll(NULL, 0, (int)again_ms);
		timeout_ms -= (unsigned int)took_ms + again_ms;
		again_ms *= 2;
	}
}

int grpc_watch(const char *socket, const char *method, struct slice request, unsigned int first_ms,
	       int (*on_message)(void *arg, struct slice message), void *arg, struct grpc_reply *reply)
{
	struct call c = { .reply = reply, .request = BUF_INIT_SECRET(LIM_GRPC_MESSAGE + FRAME_HEAD),
			  .on_message = on_message, .arg = arg };
	int err = ask(socket, method, request, first_ms, &c);

	if (err)
		return err;
	return c.grpc ? 0 : -ERR_FORMAT;
}
