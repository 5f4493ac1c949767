// SPDX-License-Identifier: Apache-2.0
/*
 * oidc.c - the two documents by which clouds check our JWT-SVIDs, as plain HTTP/1.1 on loopback for a proxy to carry. Public
 * bytes only; one request for each connection. svid-cloud.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "federation/cloud.h"
#include "federation/oidc.h"
#include "agent/oidc/oidc_documents.h"

#define REQUEST_MAX 4096
#define CLIENT_MS 5000

struct oidc {
	struct cloud *cloud;
	struct loop_watch accept;
	struct list clients;
	unsigned int n;
};

struct client {
	struct list node;
	struct oidc *oidc;
	struct loop_watch watch;
	struct loop_timer deadline;
	struct buf in, out;
	size_t sent;
};

static void client_free(struct client *cl)
{
	loop_timer_stop(&cl->deadline);
	loop_del(&cl->watch);
	close(cl->watch.fd);
	list_del(&cl->node);
	cl->oidc->n--;
	buf_done(&cl->in);
	buf_done(&cl->out);
	mem_free(cl);
}

static void on_deadline(struct loop_timer *t)
{
	client_free(container_of(t, struct client, deadline));
}

static void put_answer(struct client *cl, const char *status, struct slice body, bool head)
{
	buf_printf(&cl->out, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
			     "Cache-Control: no-store\r\nConnection: close\r\n\r\n", status, body.len);
	if (!head)
		buf_put_slice(&cl->out, body);
}

/* "GET /keys HTTP/1.1" */
static void serve(struct client *cl, struct slice line)
{
	const struct cloud *c = cl->oidc->cloud;
	AUTO(buf) struct buf body = BUF_INIT(LIM_JWKS + 4096);
	bool head = slice_starts(line, slice_str("HEAD "));
	size_t word = head ? 5 : slice_starts(line, slice_str("GET ")) ? 4 : line.len;
	struct slice rest = slice_of(line.p + word, line.len - word);
	int err = 0;

	if (!rest.len) {
		put_answer(cl, "405 Method Not Allowed", slice_of(NULL, 0), false);
		return;
	}
	if (slice_starts(rest, slice_str(OIDC_DISCOVERY_PATH " ")))
		err = oidc_put_discovery(slice_str(c->issuer), &body);
	else if (slice_starts(rest, slice_str(OIDC_KEYS_PATH " ")))
		err = oidc_put_keys(buf_slice(&c->jwks), &body);
	else
		err = -ERR_NOT_FOUND;
	if (err == -ERR_NOT_FOUND)
		put_answer(cl, "404 Not Found", slice_of(NULL, 0), head);
	else if (err)
		put_answer(cl, "503 Service Unavailable", slice_of(NULL, 0), head);
	else
		put_answer(cl, "200 OK", buf_slice(&body), head);
}

static int send_more(struct client *cl)
{
	ssize_t n = send(cl->watch.fd, cl->out.data + cl->sent, cl->out.len - cl->sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	cl->sent += (size_t)n;
	return cl->sent == cl->out.len ? -ERR_CLOSED : 0;
}

static int take_request(struct client *cl)
{
	char bytes[1024];
	ssize_t n = recv(cl->watch.fd, bytes, sizeof(bytes), 0);
	const uint8_t *end;

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -ERR_CLOSED;
	buf_put(&cl->in, bytes, (size_t)n);
	if (buf_ok(&cl->in))
		return -ERR_SIZE;
	if (!memmem(cl->in.data, cl->in.len, "\r\n\r\n", 4))
		return 0;
	end = memmem(cl->in.data, cl->in.len, "\r\n", 2);
	serve(cl, slice_of(cl->in.data, (size_t)(end - cl->in.data)));
	if (buf_ok(&cl->out))
		return buf_ok(&cl->out);
	return loop_mod(&cl->watch, EPOLLOUT);
}

static void on_client(struct loop_watch *w, uint32_t events)
{
	struct client *cl = container_of(w, struct client, watch);
	int err = events & (EPOLLERR | EPOLLHUP) ? -ERR_CLOSED : 0;

	if (!err)
		err = cl->out.len ? send_more(cl) : take_request(cl);
	if (err)
		client_free(cl);
}

static int client_new(struct oidc *o, int fd)
{
	struct client *cl = mem_new(struct client);
	int err;

	if (!cl) {
		close(fd);
		return -ENOMEM;
	}
	*cl = (struct client){ .oidc = o, .in = BUF_INIT(REQUEST_MAX), .out = BUF_INIT(LIM_JWKS + 8192),
			       .watch = { .fd = fd, .cb = on_client }, .deadline = { .cb = on_deadline } };
	list_init(&cl->node);
	list_add_tail(&o->clients, &cl->node);
	o->n++;
	err = loop_add(o->cloud->loop, &cl->watch, EPOLLIN);
	if (!err)
		err = loop_timer_in(o->cloud->loop, &cl->deadline, CLIENT_MS * NS_PER_MS);
	if (err)
		client_free(cl);
	return err;
}

/* The oldest makes room: nobody can keep others from the documents by holding connections. */
static void on_accept(struct loop_watch *w, uint32_t events)
{
	struct oidc *o = container_of(w, struct oidc, accept);
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (o->n >= LIM_OIDC_CONNS)
		client_free(list_entry(o->clients.next, struct client, node));
	if (client_new(o, fd))
		log_warn(EV_CLOUD, KV("what", V_S("no memory for a client of the OIDC documents")));
}

int oidc_start(struct cloud *c, int fd)
{
	struct oidc *o = mem_new(struct oidc);

	if (!o)
		return -ENOMEM;
	o->cloud = c;
	o->accept = (struct loop_watch){ .fd = fd, .cb = on_accept };
	list_init(&o->clients);
	c->oidc = o;
	return loop_add(c->loop, &o->accept, EPOLLIN);
}

void oidc_free(struct oidc *o)
{
	struct client *cl, *tmp;

	if (!o)
		return;
	list_for_each_safe(cl, tmp, &o->clients, node)
		client_free(cl);
	loop_del(&o->accept);
	mem_free(o);
}
