// SPDX-License-Identifier: Apache-2.0
/* validate.c - `svid validate jwt`: the agent checks a token with its trust domain's bundle. svid, who has an identity. */
#include <jansson.h>

#include "agent/base/pb.h"
#include "agent/cli/cli.h"
#include "agent/cli/files.h"
#include "agent/cli/grpc.h"
#include "agent/cli/pb_struct.h"
#include "agent/cli/view.h"

#define SPACE " \t\r\n"

static int usage(const char *what, const char *why)
{
	cli_error("option", what, why, "svid validate jwt --audience MY-NAME < token");
	return CLI_USAGE;
}

/* From standard input unless it was given on the command line. */
static int get_token(const struct cli *c, struct buf *token)
{
	const char *arg = c->n_args ? c->args[0] : "-";
	int err;

	if (strcmp(arg, "-") != 0) {
		cli_error("warning: the token is in", "argv", "every process of this machine can read it there",
			  "give it on standard input: svid validate jwt --audience MY-NAME < FILE");
		buf_put_str(token, arg);
		err = buf_ok(token);
	} else {
		err = file_read("-", token);
	}
	while (!err && token->len && strchr(SPACE, token->data[token->len - 1]))
		token->len--;
	if (!err && token->len)
		return CLI_DONE;
	cli_error("cannot use", strcmp(arg, "-") ? "the token" : "standard input", err ? err_text(err) : "it is empty",
		  "a JWT-SVID is wanted: three parts of base64url with dots between");
	return CLI_USAGE;
}

/* {"spiffe_id": ..., "claims": {...}} */
static int show(const struct cli *c, struct slice message)
{
	AUTO(buf) struct buf json = BUF_INIT(VIEW_MAX);
	struct slice v[2];
	int err = pb_strings(message, v, ARRAY_SIZE(v));

	buf_put_str(&json, "{\"valid\": true");
	if (!err)
		cli_json(&json, "spiffe_id", v[0]);
	buf_put_str(&json, ", \"claims\": ");
	if (!err)
		err = pb_struct_json(&json, v[1]);
	buf_put_str(&json, "}");
	if (!err)
		err = buf_ok(&json);
	return err ? cli_agent_error(c->socket, err) :
		     view_show(buf_slice(&json), c->output == OUT_JSON, false, "the claims");
}

static int refused(const struct cli *c, const struct grpc_reply *reply)
{
	AUTO(buf) struct buf why = BUF_INIT(LIM_HEADER_BYTES);

	if (reply->status != GRPC_INVALID_ARGUMENT)
		return cli_status_error(c->socket, reply->status, buf_slice(&reply->message));
	buf_put_slice(&why, buf_slice(&reply->message));
	if (c->output == OUT_JSON) {
		AUTO(buf) struct buf json = BUF_INIT(VIEW_MAX);

		buf_put_str(&json, "{\"valid\": false");
		cli_json(&json, "why", buf_slice(&why));
		buf_put_str(&json, "}\n");
		return cli_print(&json, CLI_NO);
	}
	cli_error("not valid:", "the token", buf_cstr(&why), "whoever received it must refuse it");
	return CLI_NO;
}

int validate_jwt(const struct cli *c)
{
	AUTO(buf) struct buf token = BUF_INIT_SECRET(LIM_JWT);
	AUTO(buf) struct buf request = BUF_INIT_SECRET(2 * LIM_JWT);
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	int err;

	if (c->n_audiences != 1)
		return usage("--audience", c->n_audiences ? "one is enough: who received it" : "it says who received the token");
	err = get_token(c, &token);
	if (err)
		return err;
	pb_put(&request, 1, slice_str(c->audiences[0]));
	pb_put(&request, 2, buf_slice(&token));
	err = buf_ok(&request);
	if (!err)
		err = grpc_call(c->socket, "/SpiffeWorkloadAPI/ValidateJWTSVID", buf_slice(&request), false, c->timeout_ms,
				&reply);
	if (err)
		return cli_agent_error(c->socket, err);
	return reply.status ? refused(c, &reply) : show(c, reply.body);
}
