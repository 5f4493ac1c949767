/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - svid: what every verb is given, how it ends, and how it says what went wrong.
 * Start reading at main.c (the table of verbs); out.c prints, grpc.c and admin.c ask the agent.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/buf.h"

/* Exit codes, documented in `svid help`. */
enum cli_exit {
	CLI_DONE = 0,
	CLI_NO = 1,	     /* the answer is no: no identity, a check failed, a document is refused */
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3, /* no agent, or no permission to speak with it */
	CLI_AGENT = 4,	     /* the agent answered with an error, or not in time */
	CLI_LOCAL = 5,	     /* this machine: a file cannot be written, memory is out */
};

enum cli_output { OUT_TEXT, OUT_JSON, OUT_PEM };

struct cli {
	const char *socket;  /* path of the Workload API socket */
	const char *bad_env; /* NULL, or SPIFFE_ENDPOINT_SOCKET that names no socket; socket is the default then */
	const char *admin;   /* path of admin.sock */
	enum cli_output output;
	const char *write_dir; /* NULL: do not write files */
	unsigned int timeout_ms;
	const char **args; /* what follows the verb */
	size_t n_args;
};

#define CLI_SOCKET "unix:///run/svid/public/api.sock"
#define CLI_ADMIN "/run/svid/private/admin.sock"

/* Each returns enum cli_exit. */

/** fetch_x509() - `svid fetch x509`. */
int fetch_x509(const struct cli *c);

/** who_am_i() - `svid whoami`. */
int who_am_i(const struct cli *c);

/** admin_status() - `svid status`. */
int admin_status(const struct cli *c);

/** admin_explain() - `svid explain PID`. */
int admin_explain(const struct cli *c);

/** bundle_show() - `svid bundle show`. */
int bundle_show(const struct cli *c);

/** doctor() - `svid doctor`. */
int doctor(const struct cli *c);

/* out.c */

/**
 * cli_error() - two lines on stderr: "svid: WHAT SUBJECT: WHY", then what to do next.
 * @subject: path, number or SPIFFE ID; escaped; may be empty.
 * @next:    NULL when there is nothing better to say.
 */
void cli_error(const char *what, const char *subject, const char *why, const char *next);

/** cli_print() - @out to stdout, and forget it. Returns CLI_LOCAL when it cannot be written, else @code. */
int cli_print(struct buf *out, int code);

/** cli_field() - "name" padded to @width, the escaped value, a newline. */
void cli_field(struct buf *out, size_t width, const char *name, struct slice value);

/** cli_env_error() - say that SPIFFE_ENDPOINT_SOCKET names no socket; returns the exit code, CLI_DONE when it does. */
int cli_env_error(const struct cli *c);

/** cli_agent_error() - say what a failed call to the agent means; returns the exit code. @err: -errno or -ERR_x. */
int cli_agent_error(const char *socket, int err);

/** cli_status_error() - the same for a gRPC status other than OK, with the agent's message. */
int cli_status_error(const char *socket, int status, struct slice message);

#endif
