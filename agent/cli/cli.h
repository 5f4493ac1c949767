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
#include "agent/base/limits.h"

/* Exit codes, documented in `svid help` and svid(1): exits.c has the words. */
enum cli_exit {
	CLI_DONE = 0,
	CLI_NO = 1,	     /* the answer is no: no identity, a check failed, a document is refused */
	CLI_USAGE = 2,
	CLI_UNREACHABLE = 3, /* no agent, or no permission to speak with it */
	CLI_AGENT = 4,	     /* the agent answered with an error, or not in time */
	CLI_LOCAL = 5,	     /* this machine: a file cannot be written, memory is out */
};

enum cli_output { OUT_TEXT, OUT_JSON, OUT_PEM, OUT_TOKEN, OUT_JWKS, OUT_SPIFFE, OUT_COUNT };

struct cli {
	const char *socket;  /* path of the Workload API socket */
	const char *bad_env; /* NULL, or SPIFFE_ENDPOINT_SOCKET that names no socket; socket is the default then */
	const char *admin;   /* path of admin.sock */
	enum cli_output output;
	const char *write_dir; /* NULL: do not write files */
	unsigned int timeout_ms;
	const char *audiences[LIM_AUDIENCES];
	size_t n_audiences;
	const char *spiffe_id; /* the one that is meant; NULL: all */
	const char *exec;      /* explain: an executable instead of a process */
	const char *since;     /* audit */
	const char *form;      /* env: NULL or a name that env_form_at() knows */
	bool follow;
	bool denied;
	bool man; /* help: as a manual page */
	const char **args; /* what follows the verb */
	size_t n_args;
};

#define CLI_SOCKET "unix:///run/svid/public/api.sock"
#define CLI_ADMIN "/run/svid/private/admin.sock"

/* Each returns enum cli_exit. */

/** fetch_x509() - `svid fetch x509`. */
int fetch_x509(const struct cli *c);

/** fetch_jwt() - `svid fetch jwt`. */
int fetch_jwt(const struct cli *c);

/** fetch_jwt_request() - the JWTSVIDRequest that the options ask for. */
void fetch_jwt_request(const struct cli *c, struct buf *out);

/** fetch_wit() - `svid fetch wit`. */
int fetch_wit(const struct cli *c);

/** validate_jwt() - `svid validate jwt [TOKEN|-]`. */
int validate_jwt(const struct cli *c);

/** watch() - `svid watch KIND`. */
int watch(const struct cli *c);

/** who_am_i() - `svid whoami`. */
int who_am_i(const struct cli *c);

/** admin_status() - `svid status`. */
int admin_status(const struct cli *c);

/** admin_explain() - `svid explain PID`, `svid explain --exec PATH`. */
int admin_explain(const struct cli *c);

/** bundle_show() - `svid bundle show`. */
int bundle_show(const struct cli *c);

/** bundle_list() - `svid bundle list`. */
int bundle_list(const struct cli *c);

/** bundle_set() - `svid bundle set TRUSTDOMAIN FILE|-`. */
int bundle_set(const struct cli *c);

/** bundle_delete() - `svid bundle delete TRUSTDOMAIN`. */
int bundle_delete(const struct cli *c);

/** credentials() - `svid credentials [NAME]`. */
int credentials(const struct cli *c);

/** credentials_refresh() - `svid credentials refresh NAME`. */
int credentials_refresh(const struct cli *c);

/** cloud_env() - `svid env WORKLOADID`. */
int cloud_env(const struct cli *c);

/** cloud_setup() - `svid cloud setup aws|gcp|azure SOURCE`. */
int cloud_setup(const struct cli *c);

/** oidc_export() - `svid oidc export DIR`. */
int oidc_export(const struct cli *c);

/** audit() - `svid audit [FILE]`. */
int audit(const struct cli *c);

/** doctor() - `svid doctor`. */
int doctor(const struct cli *c);

/** completion() - `svid completion bash|zsh`. */
int completion(const struct cli *c);

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

/** cli_lines() - cli_field() for each line of @lines. */
void cli_lines(struct buf *out, size_t width, const char *name, struct slice lines);

/** cli_left() - "59 min left", what a person wants to know first; "expired". Seconds since 1970. */
void cli_left(struct buf *out, int64_t until, int64_t now);

/** cli_json() - a member of a JSON object that is not its first: , "name": "value". */
void cli_json(struct buf *out, const char *name, struct slice value);

/** cli_json_lines() - the same with an array, one string for each line of @lines. */
void cli_json_lines(struct buf *out, const char *name, struct slice lines);

/** cli_env_error() - say that SPIFFE_ENDPOINT_SOCKET names no socket; returns the exit code, CLI_DONE when it does. */
int cli_env_error(const struct cli *c);

/** cli_agent_error() - say what a failed call to the agent means; returns the exit code. @err: -errno or -ERR_x. */
int cli_agent_error(const char *socket, int err);

/** cli_write_error() - say that file @name of --write could not be written. */
void cli_write_error(const struct cli *c, const char *name, int err);

/** cli_status_error() - the same for a gRPC status other than OK, with the agent's message. */
int cli_status_error(const char *socket, int status, struct slice message);

#endif
