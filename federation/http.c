// SPDX-License-Identifier: Apache-2.0
/*
 * http.c - one POST over TLS, by libcurl in our loop: certificates checked, no redirect followed, bounded in size and time.
 * svid-cloud. What it means is for exchange.h.
 */
#include <curl/curl.h>
#include <errno.h>
#include <strings.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "federation/cloud.h"
#include "federation/http.h"
#include "federation/trust.h"

#define HEADER_MAX 256 /* bytes kept of one */
#define HEADERS_MAX (64u << 10) /* bytes of all of an answer, and of a proxy's before it */
#define IDLE_CONNS 32 /* kept open for the next exchange */
#define CA_FILE "/etc/ssl/certs/ca-certificates.crt" /* where libcurl knows of none */

struct http {
	struct loop *loop;
	CURLM *multi;
	struct trust *trust;
	struct loop_timer timer;
	struct list calls;
	struct list socks;
};

/* A socket of libcurl's in our loop. */
struct sock {
	struct list node;
	struct http *http;
	struct loop_watch watch;
};

struct http_call {
	struct list node;
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	struct http_request request; /* libcurl reads the body from here */
	struct buf body;
	struct buf retry_after, request_id, error_type;
	int64_t date;
	size_t header_bytes;
	bool too_long;
	char why[CURL_ERROR_SIZE]; /* libcurl's own sentence, "" when it has none */
	http_done *done;
	void *arg;
};

static void call_free(struct http_call *c)
{
	list_del(&c->node);
	if (c->easy) {
		curl_multi_remove_handle(c->http->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	curl_slist_free_all(c->headers);
	http_request_done(&c->request);
	buf_done(&c->body);
	buf_done(&c->retry_after);
	buf_done(&c->request_id);
	buf_done(&c->error_type);
	mem_free(c);
}

void http_cancel(struct http_call *c)
{
	if (c)
		call_free(c);
}

/* ---- what comes back ---- */

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	buf_put(&c->body, p, size * n);
	c->too_long = buf_ok(&c->body) != 0;
	return c->too_long ? 0 : size * n;
}

static struct slice value_of(struct slice line, const char *name)
{
	size_t len = strlen(name);

	if (line.len <= len || line.p[len] != ':' || strncasecmp((const char *)line.p, name, len) != 0)
		return slice_of(NULL, 0);
	line = slice_of(line.p + len + 1, line.len - len - 1);
	while (line.len && strchr(" \t", line.p[0]))
		line = slice_of(line.p + 1, line.len - 1);
	while (line.len && strchr(" \t\r\n", line.p[line.len - 1]))
		line.len--;
	line.len = line.len < HEADER_MAX ? line.len : HEADER_MAX;
	return line;
}

static void keep(struct buf *b, struct slice value)
{
	if (!value.len)
		return;
	buf_reset(b);
	buf_put_slice(b, value);
}

/* A proxy's answer to CONNECT came before, or one of 1xx: whoever gave it has no say in when we ask again, or what time it is. */
static void forget_headers(struct http_call *c)
{
	buf_reset(&c->retry_after);
	buf_reset(&c->request_id);
	buf_reset(&c->error_type);
	c->date = 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;
	struct slice line = slice_of(p, size * n);

	c->header_bytes += size * n;
	c->too_long = c->header_bytes > HEADERS_MAX;
	if (c->too_long)
		return 0;
	if (slice_starts(line, slice_str("HTTP/")))
		forget_headers(c);
	keep(&c->retry_after, value_of(line, "retry-after"));
	keep(&c->request_id, value_of(line, "x-amzn-requestid"));
	keep(&c->request_id, value_of(line, "x-ms-request-id"));
	keep(&c->error_type, value_of(line, "x-amzn-errortype"));
	if (value_of(line, "date").len) {
		char text[HEADER_MAX + 1];
		struct slice value = value_of(line, "date");

		memcpy(text, value.p, value.len);
		text[value.len] = 0;
		c->date = curl_getdate(text, NULL) > 0 ? curl_getdate(text, NULL) : 0;
	}
	return size * n;
}

/* libcurl's sentence for what happened, then its or OpenSSL's for this case. */
static void put_reason(const struct http_call *c, CURLcode rc, struct buf *why)
{
	buf_put_str(why, c->too_long ? "the answer is longer than any that is documented" : curl_easy_strerror(rc));
	if (!c->too_long && c->why[0])
		buf_printf(why, ": %s", c->why);
}

static void finish(struct http_call *c, CURLcode rc)
{
	struct http_response r = { .body = buf_slice(&c->body), .retry_after = buf_slice(&c->retry_after),
				   .request_id = buf_slice(&c->request_id), .error_type = buf_slice(&c->error_type),
				   .date = c->date };
	AUTO(buf) struct buf why = BUF_INIT(1024);
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	r.status = (unsigned int)status;
	if (rc != CURLE_OK)
		put_reason(c, rc, &why);
	if (rc == CURLE_OK)
		c->done(c->arg, &r, NULL);
	else
		c->done(c->arg, NULL, buf_cstr(&why));
	call_free(c);
}

/* done() may cancel others, or start new ones: the list is libcurl's, read anew each time. */
static void take_finished(struct http *h)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(h->multi, &left))) {
		struct http_call *c = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, m->data.result);
	}
}

/* ---- our loop for libcurl ---- */

static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct http *h = container_of(w, struct sock, watch)->http;
	int flags = 0, running;

	if (events & EPOLLIN)
		flags |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		flags |= CURL_CSELECT_ERR;
	curl_multi_socket_action(h->multi, w->fd, flags, &running);
	take_finished(h);
}

static void sock_free(struct http *h, struct sock *s)
{
	curl_multi_assign(h->multi, s->watch.fd, NULL);
	loop_del(&s->watch);
	list_del(&s->node);
	mem_free(s);
}

static struct sock *sock_new(struct http *h, curl_socket_t fd)
{
	struct sock *s = mem_new(struct sock);

	if (!s)
		return NULL;
	s->http = h;
	s->watch = (struct loop_watch){ .fd = fd, .cb = on_ready };
	list_init(&s->node);
	if (loop_add(h->loop, &s->watch, 0)) {
		mem_free(s);
		return NULL;
	}
	list_add_tail(&h->socks, &s->node);
	curl_multi_assign(h->multi, fd, s);
	return s;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
	struct http *h = arg;
	struct sock *s = sock;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s)
			sock_free(h, s);
		return 0;
	}
	if (!s)
		s = sock_new(h, fd);
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	/* Told of a failure, libcurl ends every transfer; not told, this one alone runs into its deadline. */
	if (!s || loop_mod(&s->watch, events))
		log_error(EV_CLOUD, KV("what", V_S("a connection cannot be watched")));
	return 0;
}

static void on_time(struct loop_timer *t)
{
	struct http *h = container_of(t, struct http, timer);
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	take_finished(h);
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_stop(&h->timer);
	else if (loop_timer_in(h->loop, &h->timer, (uint64_t)ms * NS_PER_MS))
		log_error(EV_CLOUD, KV("err", V_S("ENOMEM"))); /* the next event of any transfer sets it again */
	return 0;
}

static const char *ca_file(void)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);

	return v->age >= CURLVERSION_SEVENTH && v->cainfo ? v->cainfo : CA_FILE;
}

int http_new(struct loop *loop, struct http **ret_http)
{
	struct http *h = mem_new(struct http);

	if (!h)
		return -ENOMEM;
	h->loop = loop;
	h->timer.cb = on_time;
	list_init(&h->calls);
	list_init(&h->socks);
	h->multi = curl_multi_init();
	if (!h->multi || trust_new(ca_file(), &h->trust)) {
		http_free(h);
		return -ENOMEM;
	}
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNS);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	*ret_http = h;
	return 0;
}

void http_free(struct http *h)
{
	struct http_call *c, *tmp;
	struct sock *s, *next;

	if (!h)
		return;
	list_for_each_safe(c, tmp, &h->calls, node)
		call_free(c);
	curl_multi_cleanup(h->multi);
	list_for_each_safe(s, next, &h->socks, node) {
		loop_del(&s->watch);
		list_del(&s->node);
		mem_free(s);
	}
	loop_timer_stop(&h->timer);
	trust_free(h->trust);
	mem_free(h);
}

/* ---- a request ---- */

static CURLcode set_headers(struct http_call *c)
{
	for (size_t i = 0; i < c->request.n_headers; i++) {
		struct curl_slist *more = curl_slist_append(c->headers, buf_cstr(&c->request.headers[i]));

		if (!more)
			return CURLE_OUT_OF_MEMORY;
		c->headers = more;
	}
	return curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
}

static CURLcode on_ssl(CURL *easy, void *ssl_ctx, void *arg)
{
	struct http *h = arg;

	(void)easy;
	trust_apply(h->trust, ssl_ctx);
	return CURLE_OK;
}

/* Those of @ca and no others: a private cloud's issuer must not be one of the public ones. Without any, the system's. */
static CURLcode set_cas(struct http_call *c, struct slice ca)
{
	struct curl_blob blob = { .data = (void *)ca.p, .len = ca.len, .flags = CURL_BLOB_COPY };
	CURLcode rc = curl_easy_setopt(c->easy, CURLOPT_CAINFO, NULL);

	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL);
	if (!rc && ca.len)
		return curl_easy_setopt(c->easy, CURLOPT_CAINFO_BLOB, &blob);
	trust_refresh(c->http->trust);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_SSL_CTX_DATA, c->http);
	return rc;
}

static CURLcode set_trust(struct http_call *c, struct slice ca)
{
	CURLcode rc = curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "https");

	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYPEER, 1L);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	return rc ? rc : set_cas(c, ca);
}

/* Never from the environment: what svidd was started with must not send tokens another way. */
static CURLcode set_way(struct http_call *c, struct slice proxy)
{
	AUTO_FREE char *url = slice_dup(proxy);
	CURLcode rc = url ? curl_easy_setopt(c->easy, CURLOPT_PROXY, url) : CURLE_OUT_OF_MEMORY;

	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_NOPROXY, "");
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, 0L);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)LIM_CLOUD_MS);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->why);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_USERAGENT, "svidd/" SVID_VERSION);
	return rc;
}

static CURLcode set_body(struct http_call *c)
{
	CURLcode rc = curl_easy_setopt(c->easy, CURLOPT_URL, buf_cstr(&c->request.url));

	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)c->request.body.len);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, buf_cstr(&c->request.body));
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	if (!rc)
		rc = curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	return rc;
}

int http_post(struct http *h, struct http_request *r, struct slice proxy, struct slice ca, http_done *done, void *arg,
	      struct http_call **ret_call)
{
	struct http_call *c = mem_new(struct http_call);
	CURLcode rc;

	if (!c)
		return -ENOMEM;
	*c = (struct http_call){ .http = h, .done = done, .arg = arg, .body = BUF_INIT_SECRET(LIM_CLOUD_RESPONSE),
				 .retry_after = BUF_INIT(HEADER_MAX), .request_id = BUF_INIT(HEADER_MAX),
				 .error_type = BUF_INIT(HEADER_MAX), .request = *r };
	*r = (struct http_request){ .n_headers = 0 };
	list_init(&c->node);
	list_add_tail(&h->calls, &c->node);
	c->easy = curl_easy_init();
	rc = c->easy ? set_body(c) : CURLE_OUT_OF_MEMORY;
	if (!rc)
		rc = set_headers(c);
	if (!rc)
		rc = set_trust(c, ca);
	if (!rc)
		rc = set_way(c, proxy);
	if (!rc && curl_multi_add_handle(h->multi, c->easy) != CURLM_OK)
		rc = CURLE_OUT_OF_MEMORY;
	if (rc) {
		log_error(EV_CLOUD, KV("what", V_S("request")), KV("why", V_S(curl_easy_strerror(rc))));
		call_free(c);
		return -ENOMEM;
	}
	*ret_call = c;
	return 0;
}
