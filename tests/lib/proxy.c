/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - the proxy of https.h: CONNECT, then bytes both ways, looked at for what must not be seen in the clear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/https.h"

#define CONNS_MAX 256

struct proxy {
	int fd, stop[2];
	char url[64], target[256];
	const char *secret;
	pthread_mutex_t lock;
	pthread_t thread, conns[CONNS_MAX];
	size_t n_conns;
	unsigned int tunnels;
	bool leaked;
};

struct tunnel {
	struct proxy *p;
	int fd;
};

/* What a proxy that would like a say in it may answer. */
static const char opened[] = "HTTP/1.1 200 OK\r\nRetry-After: 3000\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
			     "x-amzn-RequestId: of-the-proxy\r\n\r\n";

static int connect_to(const char *target)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const char *colon = strrchr(target, ':');
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_port = htons((uint16_t)(colon ? strtoul(colon + 1, NULL, 10) : 0));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Byte by byte: what follows the head is the tunnel's. */
static bool read_head(int fd, char head[static 4096])
{
	size_t n = 0;

	while (n < 4095 && recv(fd, head + n, 1, 0) == 1) {
		head[++n] = 0;
		if (n >= 4 && !memcmp(head + n - 4, "\r\n\r\n", 4))
			return true;
	}
	return false;
}

static bool pass(struct proxy *p, int from, int to)
{
	char bytes[8192];
	ssize_t n = recv(from, bytes, sizeof(bytes), 0);

	if (n <= 0)
		return false;
	if (memmem(bytes, (size_t)n, p->secret, strlen(p->secret))) {
		pthread_mutex_lock(&p->lock);
		p->leaked = true;
		pthread_mutex_unlock(&p->lock);
	}
	return send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

static void tunnel(struct proxy *p, int a, int b)
{
	struct pollfd f[] = { { .fd = a, .events = POLLIN }, { .fd = b, .events = POLLIN },
			      { .fd = p->stop[0], .events = POLLIN } };

	while (poll(f, 3, -1) > 0 && !f[2].revents)
		if ((f[0].revents && !pass(p, a, b)) || (f[1].revents && !pass(p, b, a)))
			return;
}

static void *serve(void *arg)
{
	struct tunnel *t = arg;
	char head[4096] = "", target[256] = "";
	int to = -1;

	if (read_head(t->fd, head) && !strncmp(head, "CONNECT ", 8)) {
		snprintf(target, sizeof(target), "%.*s", (int)strcspn(head + 8, " "), head + 8);
		pthread_mutex_lock(&t->p->lock);
		t->p->tunnels++;
		memcpy(t->p->target, target, sizeof(target));
		pthread_mutex_unlock(&t->p->lock);
		to = connect_to(target);
	}
	if (to >= 0 && send(t->fd, opened, strlen(opened), MSG_NOSIGNAL) == (ssize_t)strlen(opened))
		tunnel(t->p, t->fd, to);
	if (to >= 0)
		close(to);
	close(t->fd);
	free(t);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct proxy *p = arg;
	struct pollfd f[] = { { .fd = p->fd, .events = POLLIN }, { .fd = p->stop[0], .events = POLLIN } };

	while (poll(f, 2, -1) > 0 && !f[1].revents && p->n_conns < CONNS_MAX) {
		struct tunnel *t = calloc(1, sizeof(*t));

		*t = (struct tunnel){ .p = p, .fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC) };
		if (t->fd < 0 || pthread_create(&p->conns[p->n_conns], NULL, serve, t))
			abort();
		p->n_conns++;
	}
	return NULL;
}

struct proxy *proxy_start(const char *secret)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct proxy *p = calloc(1, sizeof(*p));
	socklen_t len = sizeof(at);

	assert_non_null(p);
	p->secret = secret;
	pthread_mutex_init(&p->lock, NULL);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(p->fd, 64), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&at, &len), 0);
	snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(pipe2(p->stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&p->thread, NULL, accept_all, p), 0);
	return p;
}

void proxy_stop(struct proxy *p)
{
	close(p->stop[1]);
	pthread_join(p->thread, NULL);
	for (size_t i = 0; i < p->n_conns; i++)
		pthread_join(p->conns[i], NULL);
	close(p->stop[0]);
	close(p->fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

const char *proxy_url(const struct proxy *p)
{
	return p->url;
}

unsigned int proxy_tunnels(struct proxy *p, char *ret_target)
{
	unsigned int n;

	pthread_mutex_lock(&p->lock);
	n = p->tunnels;
	memcpy(ret_target, p->target, sizeof(p->target));
	pthread_mutex_unlock(&p->lock);
	return n;
}

bool proxy_leaked(struct proxy *p)
{
	bool leaked;

	pthread_mutex_lock(&p->lock);
	leaked = p->leaked;
	pthread_mutex_unlock(&p->lock);
	return leaked;
}
