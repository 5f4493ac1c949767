// SPDX-License-Identifier: Apache-2.0
/*
 * watch.c - `svid watch`: follows a stream as a good client does and says with each update what changed. It comes again
 * after every end, later each time, unless the server says that asking again cannot help. svid, anybody.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/pb.h"
#include "agent/cli/cli.h"
#include "agent/cli/grpc.h"
#include "agent/cli/watch_items.h"

#define OUT_MAX (8u << 20)
#define RETRY_FIRST_MS 100   /* a connection that ended: come again at once, but not all at the same moment */
#define RETRY_MS 1000	     /* then from here */
#define RETRY_MAX_MS 30000   /* to here */
#define RENEW_MIN_MS 1000

static const struct kind {
	const char *name;
	const char *method;
} kinds[] = {
	[WATCH_X509] = { "x509", "/SpiffeWorkloadAPI/FetchX509SVID" },
	[WATCH_JWT] = { "jwt", "/SpiffeWorkloadAPI/FetchJWTSVID" },
	[WATCH_WIT] = { "wit", "/SpiffeWorkloadAPI/FetchWITSVID" },
	[WATCH_BUNDLES] = { "bundles", "/SpiffeWorkloadAPI/FetchX509Bundles" },
	[WATCH_JWT_BUNDLES] = { "jwt-bundles", "/SpiffeWorkloadAPI/FetchJWTBundles" },
	[WATCH_WIT_BUNDLES] = { "wit-bundles", "/SpiffeWorkloadAPI/FetchWITBundles" },
};

struct watcher {
	const struct cli *cli;
	enum watch_kind kind;
	struct watch_items items; /* of the last message */
	unsigned int updates;
	unsigned int failures; /* since the last message */
	bool connected;	       /* ever */
	int printed;	       /* CLI_DONE, or that nobody listens */
};

static void begin_line(const struct watcher *w, struct buf *out, const char *event)
{
	char now[32];

	clock_rfc3339(clock_wall_s(), now);
	if (w->cli->output == OUT_JSON)
		buf_printf(out, "{\"time\": \"%s\", \"event\": \"%s\"", now, event);
	else
		buf_printf(out, "%s  %s", now, event);
}

static int on_message(void *arg, struct slice message)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
	struct watcher *w = arg;
	bool as_json = w->cli->output == OUT_JSON;
	struct watch_items now = { 0 };
	int err = watch_items_read(w->kind, message, w->cli->audiences, w->cli->n_audiences, &now);

	if (err)
		return err;
	begin_line(w, &out, "update");
	buf_printf(&out, as_json ? ", \"number\": %u, \"changes\": [" : " %u: ", ++w->updates);
	watch_items_diff(&out, &w->items, &now, as_json);
	buf_put_str(&out, as_json ? "]}\n" : "\n");
	watch_items_done(&w->items);
	w->items = now;
	w->failures = 0;
	w->connected = true;
	w->printed = cli_print(&out, CLI_DONE);
	return w->printed ? -ECANCELED : 0;
}

/* Half to all of the time that this many failures in a row are worth. */
static unsigned int retry_ms(unsigned int failures)
{
	unsigned int ms = failures < 6 ? RETRY_MS << (failures ? failures - 1 : 0) : RETRY_MAX_MS;

	if (!failures)
		return (unsigned int)clock_random(RETRY_FIRST_MS);
	ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
	return ms / 2 + (unsigned int)clock_random(ms / 2 + 1);
}

static void put_end(struct watcher *w, int status, struct slice why, unsigned int ms)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);

	begin_line(w, &out, "ended");
	if (w->cli->output == OUT_JSON) {
		buf_printf(&out, ", \"status\": %d, \"retry_ms\": %u", status, ms);
		cli_json(&out, "why", why);
		buf_put_str(&out, "}\n");
	} else {
		buf_put_str(&out, ": ");
		buf_put_esc(&out, why);
		if (status >= 0)
			buf_printf(&out, " (gRPC status %d)", status);
		if (status == GRPC_PERMISSION_DENIED && w->items.n)
			buf_put_str(&out, "; what was given before must not be used any more");
		buf_printf(&out, "; again in %u.%u s\n", ms / 1000, ms % 1000 / 100);
	}
	w->printed = cli_print(&out, CLI_DONE);
}

/* Says why it ended and waits. Returns CLI_DONE to go on, else the exit code. */
static int after_end(struct watcher *w, int err, const struct grpc_reply *reply)
{
	struct slice why = err ? slice_str(err_text(err)) : buf_slice(&reply->message);
	int status = err ? -1 : reply->status;
	unsigned int ms;

	if (w->printed)
		return w->printed;
	if (err && err != -ERR_CLOSED && !w->connected)
		return cli_agent_error(w->cli->socket, err);
	/* Workload Endpoint 6: these two will be the same next time. */
	if (status == GRPC_INVALID_ARGUMENT || status == GRPC_UNIMPLEMENTED)
		return cli_status_error(w->cli->socket, status, buf_slice(&reply->message));
	if (status == GRPC_PERMISSION_DENIED && !w->failures)
		w->failures = 1; /* it will not change within a moment */
	ms = retry_ms(w->failures++);
	w->connected = true;
	put_end(w, status, why, ms);
	if (status == GRPC_PERMISSION_DENIED)
		watch_items_done(&w->items);
	if (!w->printed)
		(void)poll(NULL, 0, (int)ms);
	return w->printed;
}

/* A JWT-SVID has no stream: it is asked for again at half of what is left of it. */
static int fetch_again(struct watcher *w, struct slice request, struct grpc_reply *reply)
{
	int err = grpc_call(w->cli->socket, kinds[w->kind].method, request, false, w->cli->timeout_ms, reply);
	int64_t ms;

	if (err || reply->status)
		return err;
	err = on_message(w, reply->body);
	if (err)
		return err;
	ms = (w->items.not_after - clock_wall_s()) * 1000 / 2;
	ms = ms < RENEW_MIN_MS ? RENEW_MIN_MS : ms > INT32_MAX ? INT32_MAX : ms;
	(void)poll(NULL, 0, (int)ms);
	return 0;
}

static int once(struct watcher *w, struct slice request)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	int err;

	if (w->kind == WATCH_JWT) {
		err = fetch_again(w, request, &reply);
		if (!err && !reply.status)
			return CLI_DONE;
	} else {
		err = grpc_watch(w->cli->socket, kinds[w->kind].method, request, w->cli->timeout_ms, on_message, w, &reply);
	}
	return after_end(w, err, &reply);
}

/* The end that people choose is a good one. Nothing is half-written: each line is one write(2). */
static void on_interrupt(int signal)
{
	(void)signal;
	_exit(CLI_DONE);
}

static int kind_of(const struct cli *c, enum watch_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(c->args[0], kinds[i].name) == 0) {
			*ret_kind = (enum watch_kind)i;
			return 0;
		}
	cli_error("nothing to watch is called", c->args[0], "not in the list", "svid help watch");
	return CLI_USAGE;
}

int watch(const struct cli *c)
{
	struct watcher w = { .cli = c };
	AUTO(buf) struct buf request = BUF_INIT(LIM_GRPC_MESSAGE);
	int code = kind_of(c, &w.kind);

	if (!code && w.kind == WATCH_JWT && !c->n_audiences) {
		cli_error("option", "--audience", "a JWT-SVID is made for somebody, and this says for whom",
			  "svid watch jwt --audience NAME-OF-THE-RECEIVER");
		code = CLI_USAGE;
	}
	if (w.kind == WATCH_JWT)
		fetch_jwt_request(c, &request);
	else if (w.kind == WATCH_WIT)
		pb_put(&request, 1, slice_str(c->spiffe_id));
	if (!code && (signal(SIGINT, on_interrupt) == SIG_ERR || signal(SIGTERM, on_interrupt) == SIG_ERR))
		code = CLI_LOCAL;
	while (!code)
		code = once(&w, buf_slice(&request));
	watch_items_done(&w.items);
	return code;
}
