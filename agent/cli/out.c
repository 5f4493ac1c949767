/* SPDX-License-Identifier: Apache-2.0 */
/* out.c - what svid prints: escaped values, and errors that say what, where, why and what to do next. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/cli/cli.h"

#define LINE_MAX_BYTES 8192

static int write_all(int fd, struct slice s)
{
	while (s.len) {
		ssize_t n = write(fd, s.p, s.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			(void)slice_get_bytes(&s, (size_t)n);
	}
	return 0;
}

void cli_error(const char *what, const char *subject, const char *why, const char *next)
{
	AUTO(buf) struct buf b = BUF_INIT(LINE_MAX_BYTES);

	buf_printf(&b, "svid: %s", what);
	if (*subject) {
		buf_put_str(&b, " ");
		buf_put_esc(&b, slice_str(subject));
	}
	buf_put_str(&b, ": ");
	buf_put_esc(&b, slice_str(why));
	buf_put_str(&b, "\n");
	if (next)
		buf_printf(&b, "  %s\n", next);
	/* Nobody is left to tell when stderr is closed. */
	(void)!write_all(STDERR_FILENO, buf_slice(&b));
}

int cli_print(struct buf *out, int code)
{
	int err = buf_ok(out);

	if (!err)
		err = write_all(STDOUT_FILENO, buf_slice(out));
	buf_done(out);
	if (!err)
		return code;
	/* Who reads in a pipe may leave when they have what they want. */
	if (err != -EPIPE)
		cli_error("cannot write", "standard output", err_text(err), NULL);
	return CLI_LOCAL;
}

void cli_field(struct buf *out, size_t width, const char *name, struct slice value)
{
	buf_printf(out, "%-*s  ", (int)width, name);
	buf_put_esc(out, value);
	buf_put_str(out, "\n");
}

/* The first line of @lines, which loses it. */
static struct slice take_line(struct slice *lines)
{
	const uint8_t *end = memchr(lines->p, '\n', lines->len);
	struct slice line = slice_get_bytes(lines, end ? (size_t)(end - lines->p) : lines->len);

	if (end)
		(void)slice_get_u8(lines);
	return line;
}

void cli_lines(struct buf *out, size_t width, const char *name, struct slice lines)
{
	while (lines.len)
		cli_field(out, width, name, take_line(&lines));
}

void cli_left(struct buf *out, int64_t until, int64_t now)
{
	int64_t s = until - now;

	if (s < 0)
		buf_put_str(out, "expired");
	else if (s < 120)
		buf_printf(out, "%lld s left", (long long)s);
	else if (s < 7200)
		buf_printf(out, "%lld min left", (long long)s / 60);
	else
		buf_printf(out, "%lld h left", (long long)s / 3600);
}

void cli_json(struct buf *out, const char *name, struct slice value)
{
	buf_printf(out, ", \"%s\": ", name);
	buf_put_json(out, value);
}

void cli_json_lines(struct buf *out, const char *name, struct slice lines)
{
	buf_printf(out, ", \"%s\": [", name);
	for (bool first = true; lines.len; first = false) {
		buf_put_str(out, first ? "" : ", ");
		buf_put_json(out, take_line(&lines));
	}
	buf_put_str(out, "]");
}

int cli_env_error(const struct cli *c)
{
	if (!c->bad_env)
		return CLI_DONE;
	cli_error("SPIFFE_ENDPOINT_SOCKET is not usable:", c->bad_env, "it must be unix:///absolute/path",
		  "unset it, or name the socket with --socket");
	return CLI_USAGE;
}

void cli_write_error(const struct cli *c, const char *name, int err)
{
	AUTO(buf) struct buf path = BUF_INIT(2 * LIM_PATH);

	buf_printf(&path, "%s/%s", c->write_dir, name);
	cli_error("cannot write", buf_cstr(&path), err_text(err), "does the directory of --write exist, and is it yours?");
}

int cli_agent_error(const char *socket, int err)
{
	const char *next = "look at the agent's log: journalctl -u svidd";
	int code = CLI_AGENT;

	switch (err) {
	case -ENOENT:
	case -ECONNREFUSED:
		next = "is svidd running? try: systemctl status svidd, then: svid doctor";
		code = CLI_UNREACHABLE;
		break;
	case -EACCES:
	case -EPERM:
		next = "you may not use this socket; admin.sock is for root, api.sock must be mode 0777";
		code = CLI_UNREACHABLE;
		break;
	case -EPROTOTYPE:
		next = "a socket of another kind: --socket wants api.sock, --admin wants admin.sock";
		code = CLI_UNREACHABLE;
		break;
	case -ERR_CLOSED:
		next = "the agent ends connections before it answers; see: svid status, and: journalctl -u svidd";
		break;
	case -EAGAIN:
		next = "its queue is full; try again, and see: svid status";
		code = CLI_UNREACHABLE;
		break;
	case -ERR_DEADLINE:
		next = "the agent did not answer in time; try --timeout SECONDS, and see: svid status";
		break;
	case -ENOMEM:
		next = NULL;
		code = CLI_LOCAL;
		break;
	default:
		break;
	}
	cli_error(code == CLI_UNREACHABLE ? "cannot connect to" : "no usable answer from", socket, err_text(err), next);
	return code;
}

int cli_status_error(const char *socket, int status, struct slice message)
{
	AUTO(buf) struct buf why = BUF_INIT(LINE_MAX_BYTES);
	const char *next = "look at the agent's log: journalctl -u svidd";

	if (status == GRPC_PERMISSION_DENIED)
		next = "see why with: svid whoami   (as root, for another process: svid explain PID)";
	else if (status == GRPC_UNAVAILABLE)
		next = "the agent cannot answer now; see: svid status, then: svid doctor";
	else if (status == GRPC_UNIMPLEMENTED)
		next = "an optional part that is off here (WIT: see svid.yaml(5)), or a server that does not know this call";
	else if (status == GRPC_INVALID_ARGUMENT)
		next = "the request is at fault, so asking again will not help; see: svid help";
	buf_put_slice(&why, message);
	buf_printf(&why, " (gRPC status %d)", status);
	cli_error("refused by", socket, buf_cstr(&why), next);
	return status == GRPC_PERMISSION_DENIED ? CLI_NO : CLI_AGENT;
}
