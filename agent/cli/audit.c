// SPDX-License-Identifier: Apache-2.0
/*
 * audit.c - `svid audit`: reads the audit log, once or for ever. A file that is renamed away is read on beside the next one
 * of its name, because svid-core may have it open still; one that is cut short is read from its beginning. svid, root.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/cli/admin.h"
#include "agent/cli/audit_line.h"
#include "agent/cli/cli.h"
#include "agent/cli/dump.h"

#define AUDIT_FILE "/var/log/svid-audit.jsonl"
#define READ_BYTES 65536
#define LINE_BYTES (2 * LIM_AUDIT_LINE)
#define OUT_BYTES (4u << 20)
#define POLL_MS 200

/* One open file. */
struct tail {
	int fd;		    /* -1: none */
	struct buf pending; /* a line that is not whole yet */
	bool skip;	    /* the rest of a line that is longer than any record */
};

#define TAIL_INIT { .fd = -1, .pending = BUF_INIT(LINE_BYTES) }

struct reader {
	const struct cli *cli;
	const char *path;
	struct audit_filter filter;
	struct tail now;
	struct tail before; /* what had this name before it */
	uint64_t unreadable;
};

static void tail_done(struct tail *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	buf_done(&t->pending);
	t->skip = false;
}

static int print_record(struct reader *r, json_t *record, struct buf *out)
{
	if (r->cli->output == OUT_JSON) {
		json_put(out, record, JSON_ENSURE_ASCII | JSON_COMPACT);
		buf_put_str(out, "\n");
	} else {
		audit_put(out, record);
	}
	return buf_ok(out);
}

static int take_line(struct reader *r, struct slice line, struct buf *out)
{
	json_t *record = line.len ? json_loadb((const char *)line.p, line.len, 0, NULL) : NULL;
	int err = 0;

	if (!json_is_object(record))
		r->unreadable += line.len > 0;
	else if (audit_wanted(record, &r->filter))
		err = print_record(r, record, out);
	json_decref(record);
	return err;
}

/* Every whole line of what was read. */
static int take_block(struct reader *r, struct tail *t, struct slice block, struct buf *out)
{
	int err = 0;

	while (!err && block.len) {
		const uint8_t *end = memchr(block.p, '\n', block.len);
		struct slice part = slice_get_bytes(&block, end ? (size_t)(end - block.p) : block.len);

		buf_put_slice(&t->pending, part);
		if (buf_ok(&t->pending)) {
			t->skip = true;
			buf_reset(&t->pending);
		}
		if (!end)
			break;
		(void)slice_get_u8(&block);
		if (t->skip)
			r->unreadable++;
		else
			err = take_line(r, buf_slice(&t->pending), out);
		t->skip = false;
		buf_reset(&t->pending);
	}
	return err;
}

/* To the end of the file as it is now. Returns the exit code. */
static int read_on(struct reader *r, struct tail *t)
{
	uint8_t block[READ_BYTES];
	ssize_t n;

	while (t->fd >= 0 && (n = read(t->fd, block, sizeof(block))) != 0) {
		AUTO(buf) struct buf out = BUF_INIT(OUT_BYTES);
		int err = n < 0 ? (errno == EINTR ? 0 : -errno) : take_block(r, t, slice_of(block, (size_t)n), &out);

		if (err) {
			cli_error("cannot read", r->path, err_text(err), NULL);
			return CLI_LOCAL;
		}
		if (out.len && cli_print(&out, CLI_DONE))
			return CLI_LOCAL;
	}
	return CLI_DONE;
}

/* Cut short: what is there now is new. */
static int begin_anew(struct tail *t)
{
	buf_reset(&t->pending);
	t->skip = false;
	return lseek(t->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

/* The file of this name may be another one now. */
static int follow_name(struct reader *r)
{
	struct stat here, there;
	int fd;

	if (fstat(r->now.fd, &here) < 0)
		return -errno;
	if (lseek(r->now.fd, 0, SEEK_CUR) > here.st_size)
		return begin_anew(&r->now);
	/* Between the two names of a rotation there may be none. */
	if (stat(r->path, &there) < 0 || (here.st_ino == there.st_ino && here.st_dev == there.st_dev))
		return 0;
	fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	tail_done(&r->before);
	r->before = r->now;
	r->now = (struct tail)TAIL_INIT;
	r->now.fd = fd;
	return 0;
}

static void on_interrupt(int signal)
{
	(void)signal;
	_exit(CLI_DONE);
}

static int follow(struct reader *r)
{
	int code = CLI_DONE, err = 0;

	if (signal(SIGINT, on_interrupt) == SIG_ERR || signal(SIGTERM, on_interrupt) == SIG_ERR)
		return CLI_LOCAL;
	while (!code && !err) {
		(void)poll(NULL, 0, POLL_MS);
		err = follow_name(r);
		if (!err)
			code = read_on(r, &r->before);
		if (!err && !code)
			code = read_on(r, &r->now);
	}
	if (err)
		cli_error("cannot follow", r->path, err_text(err), NULL);
	return err ? CLI_LOCAL : code;
}

static int read_all(struct reader *r)
{
	int code;

	r->now.fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (r->now.fd < 0) {
		cli_error("cannot read", r->path, err_text(-errno),
			  errno == EACCES ? "the audit log is root's"
					  : "is it in another place (svidd --audit FILE)? then: svid audit FILE");
		return CLI_LOCAL;
	}
	code = read_on(r, &r->now);
	if (!code && r->cli->follow)
		code = follow(r);
	else if (!code && r->now.pending.len) /* the last line may lack its newline */
		r->unreadable++;
	return code;
}

/* Where this very agent writes it, when it says so. */
static json_t *ask_path(const struct cli *c, const char **ret_path)
{
	AUTO(buf) struct buf body = BUF_INIT(8u << 20);
	int refused = 0;
	int err = admin_call(c->admin, ADMIN_STATUS, 0, c->timeout_ms, &body, &refused);
	json_t *status = err || refused ? NULL : json_loadb((const char *)body.data, body.len, 0, NULL);
	const char *path = json_string_value(json_object_get(json_object_get(status, "paths"), "audit"));

	*ret_path = path ? path : AUDIT_FILE;
	return status;
}

int audit(const struct cli *c)
{
	struct reader r = { .cli = c, .now = TAIL_INIT, .before = TAIL_INIT,
			    .filter = { .identity = c->spiffe_id, .denied = c->denied } };
	json_t *status = NULL;
	int code;

	if (c->since && audit_since(c->since, clock_wall_s(), &r.filter.since)) {
		cli_error("option --since:", c->since, "not a time", "2026-11-22T10:00:00Z, or 90s, 30m, 2h, 7d before now");
		return CLI_USAGE;
	}
	r.path = c->n_args ? c->args[0] : NULL;
	if (!r.path)
		status = ask_path(c, &r.path);
	code = read_all(&r);
	if (r.unreadable)
		cli_error("warning:", r.path, "some of its lines are no records, or not whole", NULL);
	tail_done(&r.now);
	tail_done(&r.before);
	json_decref(status);
	return code;
}
