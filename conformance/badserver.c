/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badserver.c - a Workload API server of one page over libnghttp2, good or with one flaw; one process
 * per connection. Only for --selftest: it attests nobody and serves a canned answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

#include "agent/base/mem.h"
#include "conformance/sds.h"
#include "conformance/selftest.h"

/* What the server knows of one stream. */
struct stream {
	char path[1024];
	unsigned int good_headers, other_headers;
	struct buf request; /* with its prefix */
	struct buf *answer, own; /* own: of a call that is answered by itself */
	struct bad_sds *sds; /* NULL: another service */
	bool unary;
	char status[12]; /* of a unary call, and of a stream that ends */
	size_t sent;
	bool answered, repeated;
};

struct server {
	enum flaw flaw;
	struct buf svids, bundles;
};

static int on_begin(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
	(void)arg;
	struct stream *st = mem_new(struct stream);

	st->request = (struct buf)BUF_INIT(4 << 20);
	st->own = (struct buf)BUF_INIT(1 << 20);
	st->status[0] = '0';
	return nghttp2_session_set_stream_user_data(s, frame->hd.stream_id, st) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t namelen,
		     const uint8_t *value, size_t valuelen, uint8_t flags, void *arg)
{
	struct stream *st = nghttp2_session_get_stream_user_data(s, frame->hd.stream_id);
	const struct server *server = arg;

	(void)flags;
	if (slice_eq_str(slice_of(name, namelen), ":path"))
		snprintf(st->path, sizeof(st->path), "%.*s", (int)valuelen, (const char *)value);
	if (!slice_eq_str(slice_of(name, namelen), "workload.spiffe.io"))
		return 0;
	bool good = slice_eq_str(slice_of(value, valuelen), "true");

	if (server->flaw == FLAW_ANY_CASE)
		good = valuelen == 4 && strncasecmp((const char *)value, "true", 4) == 0;
	if (good)
		st->good_headers++;
	else
		st->other_headers++;
	return 0;
}

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0 };
}

static int end(nghttp2_session *s, int32_t id, struct stream *st, const char *status, const char *message)
{
	nghttp2_nv headers[] = { nv(":status", "200"), nv("content-type", "application/grpc"),
				 nv("grpc-status", status), nv("grpc-message", message) };

	if (st->answered)
		return 0;
	st->answered = true;
	return nghttp2_submit_response(s, id, headers, ARRAY_SIZE(headers), NULL);
}

static ssize_t give_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t room, uint32_t *data_flags,
			 nghttp2_data_source *source, void *arg)
{
	struct stream *st = source->ptr;
	const struct server *server = arg;
	size_t n = st->answer->len - st->sent;

	if (n == 0 && server->flaw == FLAW_REPEATS && !st->repeated) {
		st->repeated = true;
		st->sent = 0;
		n = st->answer->len;
	}
	if (n == 0 && st->unary) {
		nghttp2_nv trailers[] = { nv("grpc-status", st->status) };

		*data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		return nghttp2_submit_trailer(s, id, trailers, ARRAY_SIZE(trailers));
	}
	if (n == 0 && server->flaw == FLAW_ENDS_WATCH)
		*data_flags |= NGHTTP2_DATA_FLAG_EOF;
	else if (n == 0)
		return NGHTTP2_ERR_DEFERRED;
	n = n < room ? n : room;
	memcpy(to, st->answer->data + st->sent, n);
	st->sent += n;
	return (ssize_t)n;
}

static int serve(nghttp2_session *s, int32_t id, struct server *server, struct stream *st)
{
	nghttp2_nv headers[] = { nv(":status", "200"), nv("content-type", "application/grpc") };
	nghttp2_data_provider body = { .source.ptr = st, .read_callback = give_body };
	size_t n = server->flaw == FLAW_NO_CONTENT_TYPE ? 1 : 2;

	if (server->flaw == FLAW_LATE)
		usleep(300000);
	st->answered = true;
	if (!st->answer)
		st->answer = strstr(st->path, "Bundles") ? &server->bundles : &server->svids;
	return nghttp2_submit_response(s, id, headers, n, &body);
}

static bool is_known(const char *path)
{
	return strcmp(path, "/SpiffeWorkloadAPI/FetchX509SVID") == 0 ||
	       strcmp(path, "/SpiffeWorkloadAPI/FetchX509Bundles") == 0;
}

static const char service[] = "/SpiffeWorkloadAPI/";

static bool is_jwt_call(const char *path)
{
	return strncmp(path, service, sizeof(service) - 1) == 0 && (strstr(path, "JWT") || strstr(path, "WIT"));
}

static int answer_jwt(nghttp2_session *s, int32_t id, struct server *server, struct stream *st)
{
	struct slice request = buf_slice(&st->request);
	char status[8];

	slice_get_bytes(&request, 5);
	int code = jwt_serve(st->path + sizeof(service) - 1, request, &st->own);

	if (code) {
		snprintf(status, sizeof(status), "%d", server->flaw == FLAW_UNKNOWN_IS_OK && code == 12 ? 0 : code);
		return end(s, id, st, status, code == 7 ? "no identity issued" : "refused");
	}
	st->answer = &st->own;
	st->unary = !strstr(st->path, "Bundles") && !strstr(st->path, "FetchWIT");
	return serve(s, id, server, st);
}

static bool header_is_fine(const struct server *server, const struct stream *st)
{
	if (server->flaw == FLAW_ANY_CALLER)
		return true;
	if (server->flaw == FLAW_HEADER_TWICE)
		return st->good_headers > 0;
	return st->good_headers == 1 && st->other_headers == 0;
}

static bool is_sds(const char *path)
{
	return strncmp(path, SDS_SERVICE, sizeof(SDS_SERVICE) - 1) == 0;
}

/* Requests come and answers go while the stream is open. */
static int answer_sds(nghttp2_session *s, int32_t id, struct server *server, struct stream *st)
{
	int code;

	if (!st->sds)
		st->sds = mem_new(struct bad_sds);
	if (server->flaw == FLAW_SDS_WANTS_HEADER && !st->good_headers)
		return end(s, id, st, "3", "security header missing from request");
	code = sds_serve(st->sds, st->path, &st->request, &st->own);
	if (code >= 0)
		snprintf(st->status, sizeof(st->status), "%d", code);
	if (code > 0 && !st->own.len)
		return end(s, id, st, st->status, "refused");
	if (code < 0 && !st->own.len)
		return 0;
	st->unary = code >= 0;
	st->answer = &st->own;
	if (st->answered) {
		(void)nghttp2_session_resume_data(s, id); /* an error: it is not waiting */
		return 0;
	}
	return serve(s, id, server, st);
}

static int answer(nghttp2_session *s, int32_t id, struct server *server, struct stream *st)
{
	static char long_message[1200];

	if (server->flaw == FLAW_LONG_MESSAGE)
		memset(long_message, 'x', sizeof(long_message) - 1);
	if (!is_known(st->path) && !is_jwt_call(st->path))
		return end(s, id, st, server->flaw == FLAW_UNKNOWN_IS_OK ? "0" : "12", long_message);
	if (!header_is_fine(server, st))
		return end(s, id, st, "3", "security header missing from request");
	if (st->request.len && st->request.data[0] && server->flaw != FLAW_COMPRESSED_IS_OK)
		return end(s, id, st, "12", "compressed");
	if (is_jwt_call(st->path))
		return answer_jwt(s, id, server, st);
	return serve(s, id, server, st);
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct stream *st = nghttp2_session_get_stream_user_data(s, id);
	const struct server *server = arg;

	(void)flags;
	if (!st)
		return 0;
	buf_put(&st->request, data, len);
	if (st->request.len >= 5 && (st->request.data[1] || st->request.data[2] > 2) && server->flaw != FLAW_WAITS_FOR_HUGE)
		return end(s, id, st, "8", "too large");
	return is_sds(st->path) ? answer_sds(s, id, arg, st) : 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *arg)
{
	bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
	struct stream *st = nghttp2_session_get_stream_user_data(s, frame->hd.stream_id);

	if (!request || !st || st->answered || is_sds(st->path) || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	return answer(s, frame->hd.stream_id, arg, st);
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
	struct stream *st = nghttp2_session_get_stream_user_data(s, id);

	(void)code;
	(void)arg;
	if (st) {
		buf_done(&st->request);
		buf_done(&st->own);
		mem_free(st->sds);
	}
	mem_free(st);
	return 0;
}

static ssize_t give_bytes(nghttp2_session *s, const uint8_t *data, size_t len, int flags, void *arg)
{
	int fd = *(const int *)arg;

	(void)s;
	(void)flags;
	return send(fd, data, len, MSG_NOSIGNAL);
}

static nghttp2_session *new_session(struct server *server)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *option;
	nghttp2_session *s;
	uint32_t streams = server->flaw == FLAW_ONE_STREAM_LIMIT ? UINT32_MAX : 100;
	nghttp2_settings_entry limit = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams };

	if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&option))
		abort();
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_option_set_no_http_messaging(option, server->flaw != FLAW_STRICT_AUTHORITY);
	if (nghttp2_session_server_new2(&s, cb, server, option) ||
	    nghttp2_submit_settings(s, NGHTTP2_FLAG_NONE, &limit, server->flaw == FLAW_ONE_STREAM_LIMIT ? 0 : 1))
		abort();
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(option);
	return s;
}

/* Writes what the session has to say; false when the peer is gone. */
static bool flush(nghttp2_session *s, int fd)
{
	const uint8_t *p;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(s, &p)) > 0) {
		if (give_bytes(s, p, (size_t)n, 0, &fd) != n)
			return false;
	}
	return n == 0;
}

static NORETURN void serve_connection(int fd, struct server *server)
{
	nghttp2_session *s = new_session(server);
	uint8_t in[16384];
	bool up = server->flaw == FLAW_WAITS_FOR_CLIENT || flush(s, fd);

	while (up) {
		ssize_t n = recv(fd, in, sizeof(in), 0);

		up = n > 0 && nghttp2_session_mem_recv(s, in, (size_t)n) == n && flush(s, fd);
	}
	_exit(0);
}

void server_run(int listener, enum flaw flaw)
{
	static struct server server;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	server.flaw = flaw;
	server.svids = (struct buf)BUF_INIT(1 << 20);
	server.bundles = (struct buf)BUF_INIT(1 << 20);
	answer_make(flaw, &server.svids, &server.bundles);
	sds_server_make(flaw, &server.svids);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0 && fork() == 0)
			serve_connection(fd, &server);
		if (fd >= 0)
			close(fd);
	}
}
