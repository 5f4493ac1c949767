/* SPDX-License-Identifier: Apache-2.0 */
/* whoami.c - `svid whoami`: what the kernel recorded of this very process, and what that gives. svid, anybody. */
#include "agent/base/err.h"
#include "agent/base/pb.h"
#include "agent/cli/cli.h"
#include "agent/cli/grpc.h"
#include "agent/cli/view.h"

int who_am_i(const struct cli *c)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	int err = grpc_call(c->socket, "/svid.v1.Self/WhoAmI", slice_of(NULL, 0), false, c->timeout_ms, &reply);
	struct slice json;

	if (err)
		return cli_agent_error(c->socket, err);
	if (reply.status)
		return cli_status_error(c->socket, reply.status, buf_slice(&reply.message));
	err = pb_strings(reply.body, &json, 1);
	if (err)
		return cli_agent_error(c->socket, err);
	return view_show(json, c->output == OUT_JSON, true, "whoami");
}
