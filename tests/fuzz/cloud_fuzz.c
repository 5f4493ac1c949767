/* SPDX-License-Identifier: Apache-2.0 */
/* links: federation/exchange.c federation/exchange_parts.c federation/aws.c federation/roles_anywhere.c federation/gcp.c */
/* links: federation/azure.c federation/xml.c federation/wiped.c federation/leaf.c */
/*
 * cloud_fuzz.c - any bytes as the answer of a token service: STS's XML, IAM Roles Anywhere's, Google's and Entra's JSON. The
 * first byte says whose, the second its status and step, the rest is the body. A credential is whole or there is none.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/base/err.h"
#include "federation/exchange_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const specs[] = {
	[CLOUD_AWS] = "{\"roleArn\":\"r\",\"endpoint\":\"https://e\",\"audience\":\"a\",\"lifetime\":900}",
	[CLOUD_AWS_ROLES_ANYWHERE] = ("{\"trustAnchorArn\":\"a:b:c:d:e\",\"profileArn\":\"p\",\"roleArn\":\"r\","
				      "\"endpoint\":\"https://e\"}"),
	[CLOUD_GCP] = ("{\"oidcProviderId\":\"p\",\"stsEndpoint\":\"https://e\",\"iamEndpoint\":\"https://i\",\"audience\":\"a\","
		      "\"serviceAccount\":\"s@p\",\"idTokenAudience\":\"x\",\"lifetime\":900}"),
	[CLOUD_AZURE] = "{\"tenantID\":\"t\",\"clientID\":\"c\",\"scope\":\"s\",\"audience\":\"a\",\"authority\":\"https://e\"}",
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool is_whole(const struct credential *c, enum cloud_kind kind)
{
	if (kind == CLOUD_GCP || kind == CLOUD_AZURE)
		return c->access_token.len > 0;
	return c->key_id.len && c->key_id.len <= AWS_KEY_ID_MAX && c->secret_key.len && c->session_token.len;
}

/* What goes on to svid-core fits its messages. */
static void check(const struct exchange *x, const struct outcome *o)
{
	must(o->verdict <= VERDICT_PERMANENT && o->retry_after <= 3600);
	must(!buf_ok(&o->code) && !buf_ok(&o->message) && !buf_ok(&o->request_id) && !buf_ok(&o->principal));
	must(o->principal.len <= 2048);
	if (o->verdict == VERDICT_DONE)
		must(is_whole(&x->got, x->kind) && x->got.expires_at > x->now);
	if (o->verdict == VERDICT_NEXT)
		must(x->kind == CLOUD_GCP && x->step > 0 && x->bearer.len > 0);
}

static void next_request(const struct exchange *x)
{
	AUTO(http_request) struct http_request r = { .n_headers = 0 };
	int err = exchange_request(x, &r);

	must(err == 0 || err == -ERR_SIZE);
	must(err || r.url.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int statuses[] = { 200, 201, 400, 403, 429, 503 };
	struct slice in = slice_of(data, size);
	unsigned int kind = slice_get_u8(&in) % CLOUD_JWT, how = slice_get_u8(&in);
	AUTO(json_t) json_t *spec = json_loads(specs[kind], 0, NULL);
	struct exchange x = { .kind = kind, .spec = spec, .spiffe_id = slice_str("spiffe://d/p"), .now = 1000000000,
			      .jwt = slice_str("a.b.c") };
	AUTO(outcome) struct outcome o = { .verdict = VERDICT_RETRY };
	struct http_response r = { .status = statuses[how % ARRAY_SIZE(statuses)], .body = in };

	if (!slice_ok(&in))
		return 0;
	exchange_init(&x);
	x.step = how / 8 % 4;
	if (x.step)
		must(secret_set(&x.bearer, slice_str("t")) == 0);
	if (how & 128)
		r.retry_after = r.error_type = slice_cut(in, 256);
	must(exchange_response(&x, &r, &o) == 0);
	check(&x, &o);
	if (o.verdict == VERDICT_NEXT)
		next_request(&x);
	exchange_done(&x);
	return 0;
}
