/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.c - `svid bundle show`: as root what the agent holds (admin.sock), else what the Workload API
 * gives to the caller, which needs an identity. svid, anybody.
 */
#include <jansson.h>
#include <unistd.h>

#include "agent/base/limits.h"
#include "agent/cli/admin.h"
#include "agent/cli/cli.h"
#include "agent/cli/grpc.h"
#include "agent/cli/view.h"
#include "agent/cli/x509.h"
#include "gen/workload.pb-c.h"

#define OUT_MAX (32u << 20)

/* One trust domain. @id: its SPIFFE ID. */
static int put_bundle(const struct cli *c, struct buf *out, struct slice id, struct slice der, bool first)
{
	AUTO(buf) struct buf pem = BUF_INIT(OUT_MAX);
	int err = x509_put_pem(&pem, der);

	if (err)
		return err;
	if (c->output == OUT_PEM) {
		buf_put_slice(out, buf_slice(&pem));
	} else if (c->output == OUT_JSON) {
		buf_put_str(out, first ? "" : ",\n  ");
		buf_put_str(out, "{\"trust_domain\": ");
		buf_put_json(out, id);
		buf_put_str(out, ", \"bundle_pem\": ");
		buf_put_json(out, buf_slice(&pem));
		buf_put_str(out, "}");
	} else {
		buf_put_str(out, first ? "" : "\n");
		cli_field(out, 12, "trust domain", id);
		err = x509_put_list(out, der);
	}
	return err ? err : buf_ok(out);
}

static void begin(const struct cli *c, struct buf *out)
{
	buf_put_str(out, c->output == OUT_JSON ? "{\"bundles\": [" : "");
}

static int end(const struct cli *c, struct buf *out, bool any)
{
	buf_put_str(out, c->output == OUT_JSON ? "]}\n" : "");
	return cli_print(out, any ? CLI_DONE : CLI_NO);
}

static int from_hex(struct slice hex, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	while (hex.len) {
		const char *high = strchr(digits, slice_get_u8(&hex));
		const char *low = strchr(digits, slice_get_u8(&hex));

		if (!slice_ok(&hex) || !high || !low || !*high || !*low)
			return -ERR_FORMAT;
		buf_put_u8(out, (uint8_t)((high - digits) << 4 | (low - digits)));
	}
	return buf_ok(out);
}

static int show_held(const struct cli *c, const json_t *held)
{
	const json_t *td = json_object_get(held, "trust_domain");
	const json_t *hex = json_object_get(held, "x509_authorities_der");
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
	AUTO(buf) struct buf der = BUF_INIT(LIM_BUNDLE);
	AUTO(buf) struct buf id = BUF_INIT(LIM_SPIFFE_ID);
	int err;

	buf_put_str(&id, "spiffe://");
	buf_put_slice(&id, slice_of(json_string_value(td), json_string_length(td)));
	err = from_hex(slice_of(json_string_value(hex), json_string_length(hex)), &der);
	begin(c, &out);
	if (!err && der.len)
		err = put_bundle(c, &out, buf_slice(&id), buf_slice(&der), true);
	if (err)
		return cli_agent_error(c->admin, err);
	return end(c, &out, der.len > 0);
}

/* Root's way. Returns -1 when admin.sock gives no answer: then the other way may. */
static int try_admin(const struct cli *c)
{
	AUTO(buf) struct buf body = BUF_INIT(VIEW_MAX);
	int code = -1, refused = 0;
	json_t *held = NULL;

	if (geteuid() == 0 && !admin_call(c->admin, ADMIN_BUNDLE, 0, c->timeout_ms, &body, &refused) && !refused)
		held = json_loadb((const char *)body.data, body.len, 0, NULL);
	if (held)
		code = show_held(c, held);
	json_decref(held);
	return code;
}

static int show(const struct cli *c, const X509BundlesResponse *m)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);

	begin(c, &out);
	for (size_t i = 0; i < m->n_bundles; i++) {
		const X509BundlesResponse__BundlesEntry *e = m->bundles[i];
		int err = put_bundle(c, &out, slice_str(e->key), slice_of(e->value.data, e->value.len), i == 0);

		if (err)
			return cli_agent_error(c->socket, err);
	}
	return end(c, &out, m->n_bundles > 0);
}

int bundle_show(const struct cli *c)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	X509BundlesResponse *answer;
	int code = try_admin(c), err;

	if (code >= 0)
		return code;
	code = cli_env_error(c);
	if (code)
		return code;
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
