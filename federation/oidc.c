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

static int send_more(struct client *cl)
{
	ssize_t n = send(cl->watch.fd, cl->out.data + cl->sent, cl->out.len - cl->sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	cl->sent += (size_t)n;
	if (cl->sent < cl->out.len)
		return 0;
	/* Closed with bytes unread, the connection would be reset, and the answer lost with it. */
	if (shutdown(cl->watch.fd, SHUT_WR) < 0)
		return -errno;
	return loop_mod(&cl->watch, EPOLLIN);
}

static int take_request(struct client *cl)
{
	const struct cloud *c = cl->oidc->cloud;
	const struct oidc_facts facts = { .issuer = slice_str(c->issuer), .jwks = buf_slice(&c->jwks) };
	char bytes[1024];
	ssize_t n = recv(cl->watch.fd, bytes, sizeof(bytes), 0);
	int err;

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -ERR_CLOSED;
	if (cl->sent)
		return 0; /* answered: only its end is waited for */
	buf_put(&cl->in, bytes, (size_t)n);
	err = buf_ok(&cl->in);
	if (!err)
		err = oidc_answer(&facts, buf_slice(&cl->in), &cl->out);
	return err || !cl->out.len ? err : loop_mod(&cl->watch, EPOLLOUT);
}

static void on_client(struct loop_watch *w, uint32_t events)
{
	struct client *cl = container_of(w, struct client, watch);
	int err = events & (EPOLLERR | EPOLLHUP) ? -ERR_CLOSED : 0;

	if (!err)
		err = events & EPOLLOUT ? send_more(cl) : take_request(cl);
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
