/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.c - `svid bundle show`: the trust bundles that the Workload API gives to whoever asks. svid, anybody. */
#include "agent/cli/cli.h"
#include "agent/cli/grpc.h"
#include "agent/cli/x509.h"
#include "gen/workload.pb-c.h"

#define OUT_MAX (32u << 20)

static int put_bundle(const struct cli *c, struct buf *out, const X509BundlesResponse__BundlesEntry *e, bool first)
{
	AUTO(buf) struct buf pem = BUF_INIT(OUT_MAX);
	struct slice der = slice_of(e->value.data, e->value.len);
	int err = x509_put_pem(&pem, der);

	if (err)
		return err;
	if (c->output == OUT_PEM) {
		buf_put_slice(out, buf_slice(&pem));
	} else if (c->output == OUT_JSON) {
		buf_put_str(out, first ? "" : ",\n  ");
		buf_put_str(out, "{\"trust_domain\": ");
		buf_put_json(out, slice_str(e->key));
		buf_put_str(out, ", \"bundle_pem\": ");
		buf_put_json(out, buf_slice(&pem));
		buf_put_str(out, "}");
	} else {
		buf_put_str(out, first ? "" : "\n");
		cli_field(out, 12, "trust domain", slice_str(e->key));
		err = x509_put_list(out, der);
	}
	return err ? err : buf_ok(out);
}

static int show(const struct cli *c, const X509BundlesResponse *m)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);

	buf_put_str(&out, c->output == OUT_JSON ? "{\"bundles\": [" : "");
	for (size_t i = 0; i < m->n_bundles; i++) {
		int err = put_bundle(c, &out, m->bundles[i], i == 0);

		if (err)
			return cli_agent_error(c->socket, err);
	}
	buf_put_str(&out, c->output == OUT_JSON ? "]}\n" : "");
	return cli_print(&out, m->n_bundles ? CLI_DONE : CLI_NO);
}

int bundle_show(const struct cli *c)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	X509BundlesResponse *answer;
	int code, err;

	err = grpc_call(c->socket, "/SpiffeWorkloadAPI/FetchX509Bundles", slice_of(NULL, 0), true, c->timeout_ms,
			&reply);
	if (err)
		return cli_agent_error(c->socket, err);
	if (reply.status)
		return cli_status_error(c->socket, reply.status, buf_slice(&reply.message));
	answer = x509_bundles_response__unpack(NULL, reply.body.len, reply.body.p);
	if (!answer)
		return cli_agent_error(c->socket, -ERR_FORMAT);
	code = show(c, answer);
	x509_bundles_response__free_unpacked(answer, NULL);
	return code;
}
