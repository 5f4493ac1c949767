/* SPDX-License-Identifier: Apache-2.0 */
/* https.c - the server of https.h: a thread that accepts, one for each connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/lib/certs.h"
#include "tests/lib/https.h"

#include <openssl/ssl.h>

#define CONNS_MAX 4096
#define HEAD_MAX (64 << 10)
#define BODY_MAX (256 << 10)
#define DAY 86400

struct https {
	int fd, stop[2];
	char url[64];
	struct buf ca;
	SSL_CTX *ctx;
	https_answer *answer;
	void *arg;
	pthread_mutex_t lock;
	pthread_t thread, conns[CONNS_MAX];
	size_t n_conns;
	unsigned int requests, handshakes;
};

struct conn {
	struct https *h;
	SSL *ssl;
	int fd;
};

/* ---- certificates ---- */

static EVP_PKEY *new_key(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");

	assert_non_null(key);
	return key;
}

static X509 *new_ca(EVP_PKEY *key, const char *name)
{
	const struct cert_form form = { .basic = "critical,CA:TRUE", .usage = "critical,keyCertSign", .from = -DAY, .to = DAY };

	return cert_make(&form, clock_wall_s(), key, name, NULL, key);
}

static void put_pem(struct buf *out, X509 *cert)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_X509(b, cert), 1);
	len = BIO_get_mem_data(b, &text);
	buf_put(out, text, (size_t)len);
	BIO_free(b);
}

static void certify(struct https *h, enum https_cert kind)
{
	const struct cert_form form = {
		.san = kind == HTTPS_OTHER_NAME ? "DNS:elsewhere.example" : "DNS:localhost,IP:127.0.0.1",
		.extended = "serverAuth", .from = -2 * DAY, .to = kind == HTTPS_EXPIRED ? -DAY : DAY,
	};
	EVP_PKEY *ca_key = new_key(), *key = new_key(), *other_key = new_key();
	X509 *ca = new_ca(ca_key, "token service CA"), *other = new_ca(other_key, "another CA"), *cert;
	bool by_other = kind == HTTPS_OTHER_CA;

	cert = cert_make(&form, clock_wall_s(), key, "token service", by_other ? other : ca, by_other ? other_key : ca_key);
	put_pem(&h->ca, ca);
	buf_put_u8(&h->ca, 0);
	assert_int_equal(SSL_CTX_use_certificate(h->ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(h->ctx, key), 1);
	X509_free(cert);
	X509_free(ca);
	X509_free(other);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(key);
}

/* ---- one connection ---- */

/* One byte at least, false at the end of the connection or of the server. */
static bool fill(struct conn *c, struct buf *in)
{
	struct pollfd p[] = { { .fd = c->fd, .events = POLLIN }, { .fd = c->h->stop[0], .events = POLLIN } };
	char bytes[4096];
	int n;

	if (!SSL_pending(c->ssl) && (poll(p, 2, -1) < 0 || p[1].revents))
		return false;
	n = SSL_read(c->ssl, bytes, sizeof(bytes));
	if (n > 0)
		buf_put(in, bytes, (size_t)n);
	return n > 0 && !buf_ok(in);
}

static size_t length_of(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");

	return at ? strtoul(at + 17, NULL, 10) : 0;
}

/* "line", "head" and "body" borrow from @in, each ended by a NUL. */
static bool read_request(struct conn *c, struct buf *in, struct https_request *q)
{
	uint8_t *end, *line;
	size_t head, body;

	while (!(end = in->len ? memmem(in->data, in->len, "\r\n\r\n", 4) : NULL))
		if (!fill(c, in))
			return false;
	head = (size_t)(end - in->data) + 4;
	end[2] = 0;
	body = length_of((char *)in->data);
	while (in->len < head + body)
		if (!fill(c, in))
			return false;
	buf_put_u8(in, 0);
	line = memmem(in->data, in->len, "\r\n", 2);
	snprintf(q->line, sizeof(q->line), "%.*s", (int)(line - in->data), (char *)in->data);
	q->head = (char *)line;
	q->body = (char *)in->data + head;
	return !buf_ok(in);
}

static bool stopped(struct https *h, int ms)
{
	struct pollfd p = { .fd = h->stop[0], .events = POLLIN };

	return poll(&p, 1, ms) != 0;
}

static bool put_bytes(struct conn *c, struct slice s, unsigned int drip_ms)
{
	size_t step = drip_ms ? 1 : s.len;

	while (s.len) {
		if (SSL_write(c->ssl, s.p, (int)step) <= 0 || (drip_ms && stopped(c->h, (int)drip_ms)))
			return false;
		s = slice_of(s.p + step, s.len - step);
	}
	return true;
}

static bool put_reply(struct conn *c, const struct https_reply *r)
{
	AUTO(buf) struct buf out = BUF_INIT(BODY_MAX + HEAD_MAX * 8);
	bool cut = r->cut && r->cut < BODY_MAX;

	if (r->wait_ms && stopped(c->h, (int)r->wait_ms))
		return false;
	buf_printf(&out, "HTTP/1.1 %u X\r\nContent-Length: %zu\r\n%s", r->status ? r->status : 200,
		   r->declared ? r->declared : r->body.len, r->headers);
	for (unsigned int i = 0; i < r->fillers; i++)
		buf_printf(&out, "X-%u: %01000d\r\n", i, 0);
	buf_put_str(&out, "\r\n");
	buf_put_slice(&out, buf_slice(&r->body));
	assert_int_equal(buf_ok(&out), 0);
	return put_bytes(c, slice_of(out.data, cut && r->cut < out.len ? r->cut : out.len), r->drip_ms) && !cut;
}

static bool serve_one(struct conn *c)
{
	AUTO(buf) struct buf in = BUF_INIT(BODY_MAX + HEAD_MAX);
	struct https_reply r = { .body = BUF_INIT(BODY_MAX * 4) };
	struct https_request q;
	bool go_on;

	if (!read_request(c, &in, &q))
		return false;
	pthread_mutex_lock(&c->h->lock);
	c->h->requests++;
	c->h->answer(c->h->arg, &q, &r);
	pthread_mutex_unlock(&c->h->lock);
	go_on = r.silent ? !stopped(c->h, -1) : put_reply(c, &r);
	buf_done(&r.body);
	return go_on;
}

static void *serve(void *arg)
{
	struct conn *c = arg;
	struct timeval tv = { .tv_sec = 20 };
	sigset_t pipe;

	sigemptyset(&pipe); /* of this thread alone: what the test starts must not inherit it */
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, NULL);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	SSL_set_fd(c->ssl, c->fd);
	if (SSL_accept(c->ssl) == 1) {
		pthread_mutex_lock(&c->h->lock);
		c->h->handshakes++;
		pthread_mutex_unlock(&c->h->lock);
		while (serve_one(c))
			;
	}
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
	return NULL;
}

/* ---- the server ---- */

static void *accept_all(void *arg)
{
	struct https *h = arg;
	struct pollfd p[] = { { .fd = h->fd, .events = POLLIN }, { .fd = h->stop[0], .events = POLLIN } };

	while (poll(p, 2, -1) >= 0 && !p[1].revents && h->n_conns < CONNS_MAX) {
		struct conn *c = calloc(1, sizeof(*c));

		*c = (struct conn){ .h = h, .fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC), .ssl = SSL_new(h->ctx) };
		if (c->fd < 0 || pthread_create(&h->conns[h->n_conns], NULL, serve, c))
			abort();
		h->n_conns++;
	}
	return NULL;
}

static unsigned int listen_on(int *ret_fd)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*ret_fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(*ret_fd, 512), 0);
	assert_int_equal(getsockname(*ret_fd, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
}

struct https *https_start(enum https_cert cert, bool tls11, https_answer *answer, void *arg)
{
	struct https *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	h->ca = (struct buf)BUF_INIT(8192);
	h->answer = answer;
	h->arg = arg;
	h->ctx = SSL_CTX_new(TLS_server_method());
	pthread_mutex_init(&h->lock, NULL);
	if (tls11) { /* OpenSSL 3 signs with SHA-1, as TLS 1.1 does, only at level 0 */
		SSL_CTX_set_security_level(h->ctx, 0);
		assert_int_equal(SSL_CTX_set_cipher_list(h->ctx, "ALL:@SECLEVEL=0"), 1);
		SSL_CTX_set_min_proto_version(h->ctx, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(h->ctx, TLS1_1_VERSION);
	}
	certify(h, cert);
	snprintf(h->url, sizeof(h->url), "https://localhost:%u", listen_on(&h->fd));
	assert_int_equal(pipe2(h->stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&h->thread, NULL, accept_all, h), 0);
	return h;
}

void https_stop(struct https *h)
{
	close(h->stop[1]); /* its readers see the end */
	pthread_join(h->thread, NULL);
	for (size_t i = 0; i < h->n_conns; i++)
		pthread_join(h->conns[i], NULL);
	close(h->stop[0]);
	close(h->fd);
	SSL_CTX_free(h->ctx);
	buf_done(&h->ca);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

const char *https_url(const struct https *h)
{
	return h->url;
}

const char *https_ca(const struct https *h)
{
	return (const char *)h->ca.data;
}

unsigned int https_count(struct https *h)
{
	unsigned int n;

	pthread_mutex_lock(&h->lock);
	n = h->requests;
	pthread_mutex_unlock(&h->lock);
	return n;
}

unsigned int https_handshakes(struct https *h)
{
	unsigned int n;

	pthread_mutex_lock(&h->lock);
	n = h->handshakes;
	pthread_mutex_unlock(&h->lock);
	return n;
}
