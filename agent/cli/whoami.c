/* SPDX-License-Identifier: Apache-2.0 */
/* whoami.c - `svid whoami`: what the kernel recorded of this very process, and what that gives. svid, anybody. */
#include "agent/base/err.h"
#include "agent/cli/cli.h"
#include "agent/cli/grpc.h"
#include "agent/cli/view.h"
#include "gen/self.pb-c.h"

int who_am_i(const struct cli *c)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	Svid__V1__WhoAmIResponse *answer;
	int err = grpc_call(c->socket, "/svid.v1.Self/WhoAmI", slice_of(NULL, 0), false, c->timeout_ms, &reply);
	int code;

	if (err)
		return cli_agent_error(c->socket, err);
	if (reply.status)
		return cli_status_error(c->socket, reply.status, buf_slice(&reply.message));
	answer = svid__v1__who_am_iresponse__unpack(NULL, reply.body.len, reply.body.p);
	if (!answer)
		return cli_agent_error(c->socket, -ERR_FORMAT);
	code = view_show(slice_of(answer->json.data, answer->json.len), c->output == OUT_JSON, true, "whoami");
	svid__v1__who_am_iresponse__free_unpacked(answer, NULL);
	return code;
}
