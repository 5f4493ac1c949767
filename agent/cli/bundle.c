// SPDX-License-Identifier: Apache-2.0
/*
 * bundle.c - `svid bundle show`: as root what the agent holds (admin.sock), else what the Workload API gives to the caller,
 * which needs an identity. svid, anybody. Next: bundle_out.c prints, bundle_set.c changes.
 */
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/pb.h"
#include "agent/cli/admin.h"
#include "agent/cli/bundle_out.h"
#include "agent/cli/cli.h"
#include "agent/cli/dump.h"
#include "agent/cli/grpc.h"
#include "agent/cli/view.h"

static struct slice text_of(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return slice_of(json_string_value(v), json_string_length(v));
}

/* A bundle as admin.sock has it. "jwks" is null when there is none. */
static int add_held(struct bundle_list *list, const json_t *held)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_BUNDLE);
	AUTO(buf) struct buf id = BUF_INIT(LIM_SPIFFE_ID);
	AUTO(buf) struct buf jwks = BUF_INIT(LIM_JWKS * 2);
	const json_t *keys = json_object_get(held, "jwks");
	int err = hex_get(text_of(held, "x509_authorities_der"), &der);

	buf_put_str(&id, "spiffe://");
	buf_put_slice(&id, text_of(held, "trust_domain"));
	if (json_is_object(keys))
		json_put(&jwks, keys, JSON_ENSURE_ASCII);
	if (!err)
		err = bundle_list_x509(list, buf_slice(&id), buf_slice(&der));
	if (!err && jwks.len)
		err = bundle_list_jwks(list, buf_slice(&id), buf_slice(&jwks));
	return err;
}

static int ask_admin(const struct cli *c, enum admin_what what, json_t **ret_answer)
{
	AUTO(buf) struct buf body = BUF_INIT(VIEW_MAX);
	int refused = 0;
	int err = admin_call(c->admin, what, 0, c->timeout_ms, &body, &refused);

	if (err || refused)
		return err ? err : refused;
	*ret_answer = json_loadb((const char *)body.data, body.len, 0, NULL);
	return *ret_answer ? 0 : -ERR_FORMAT;
}

/* Root's way. -errno or -ERR_x when admin.sock gives no answer: then the other way may. */
static int read_admin(const struct cli *c, struct bundle_list *list)
{
	json_t *own = NULL, *foreign = NULL;
	const json_t *item;
	size_t i;
	int err = geteuid() == 0 ? ask_admin(c, ADMIN_BUNDLE, &own) : -ERR_NOT_FOUND;

	if (!err)
		err = add_held(list, own);
	/* An agent that keeps none may have no word for them. */
	if (!err && !ask_admin(c, ADMIN_BUNDLES, &foreign))
		json_array_foreach(json_object_get(foreign, "bundles"), i, item)
			if (!err && text_of(item, "x509_authorities_der").p)
				err = add_held(list, item);
	json_decref(own);
	json_decref(foreign);
	return err;
}

/* X509BundlesResponse has its map in field 2, JWTBundlesResponse in field 1. */
static int read_map(struct bundle_list *list, struct slice message, uint32_t number)
{
	int err = 0;

	for (struct pb_field f; !err && pb_next(&message, &f);) {
		struct slice entry[2];

		if (f.number != number)
			continue;
		err = f.wire == PB_BYTES ? pb_strings(f.bytes, entry, ARRAY_SIZE(entry)) : -ERR_FORMAT;
		if (!err)
			err = number == 2 ? bundle_list_x509(list, entry[0], entry[1]) :
					    bundle_list_jwks(list, entry[0], entry[1]);
	}
	return err ? err : slice_ok(&message) ? 0 : -ERR_FORMAT;
}

/* Returns the exit code, after saying why. */
static int read_api(const struct cli *c, struct bundle_list *list, const char *method, uint32_t number)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	int err = grpc_call(c->socket, method, slice_of(NULL, 0), true, c->timeout_ms, &reply);

	if (!err && reply.status)
		return cli_status_error(c->socket, reply.status, buf_slice(&reply.message));
	if (!err)
		err = read_map(list, reply.body, number);
	return err ? cli_agent_error(c->socket, err) : CLI_DONE;
}

static int read_workload_api(const struct cli *c, struct bundle_list *list)
{
	int code = cli_env_error(c);

	if (!code && c->output != OUT_JWKS)
		code = read_api(c, list, "/SpiffeWorkloadAPI/FetchX509Bundles", 2);
	if (!code && c->output != OUT_PEM)
		code = read_api(c, list, "/SpiffeWorkloadAPI/FetchJWTBundles", 1);
	return code;
}

int bundle_show(const struct cli *c)
{
	AUTO(bundle_list) struct bundle_list list = { 0 };
	int code = CLI_DONE;

	if (c->n_args && bundle_trust_domain(c->args[0], &(struct slice){ 0 }))
		return CLI_USAGE;
	if (read_admin(c, &list)) {
		bundle_list_done(&list);
		code = read_workload_api(c, &list);
	}
	return code ? code : bundle_print(c, &list);
}
