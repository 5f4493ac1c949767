/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c - which cloud an exchange is with; the life of its buffers. svid-cloud. Next: aws.c. */
#include "federation/exchange_parts.h"

#include <errno.h>

#include "agent/base/err.h"

#define LIFE_MAX_S (2 * 86400) /* no cloud gives more; what says so is asked again in time */

static const struct cloud_ops *const clouds[CLOUD_KIND_COUNT] = {
	[CLOUD_AWS] = &aws_ops,
	[CLOUD_AWS_ROLES_ANYWHERE] = &roles_anywhere_ops,
	[CLOUD_GCP] = &gcp_ops,
	[CLOUD_AZURE] = &azure_ops,
};

static const struct buf no_secret = BUF_INIT_SECRET(LIM_CLOUD_SECRET);

void exchange_session(enum cloud_kind kind, struct slice spiffe_id, struct slice node,
		      char ret_name[static SESSION_NAME_MAX + 1])
{
	ret_name[0] = 0;
	if (kind == CLOUD_AWS || kind == CLOUD_AWS_ROLES_ANYWHERE)
		session_name(spiffe_id, node, ret_name);
}

void exchange_init(struct exchange *x)
{
	x->step = 0;
	exchange_session(x->kind, x->spiffe_id, x->node, x->session);
	x->bearer = no_secret;
	x->got = (struct credential){ .key_id = no_secret, .secret_key = no_secret, .session_token = no_secret,
				      .access_token = no_secret, .id_token = no_secret };
}

void exchange_done(struct exchange *x)
{
	buf_done(&x->bearer);
	buf_done(&x->got.key_id);
	buf_done(&x->got.secret_key);
	buf_done(&x->got.session_token);
	buf_done(&x->got.access_token);
	buf_done(&x->got.id_token);
}

void http_request_done(struct http_request *r)
{
	buf_done(&r->url);
	for (size_t i = 0; i < r->n_headers; i++)
		buf_done(&r->headers[i]);
	buf_done(&r->body);
	r->n_headers = 0;
}

void outcome_done(struct outcome *o)
{
	buf_done(&o->code);
	buf_done(&o->message);
	buf_done(&o->request_id);
	buf_done(&o->principal);
}

int exchange_check(enum cloud_kind kind, const json_t *spec)
{
	if (kind == CLOUD_JWT)
		return json_is_object(spec) ? 0 : -ERR_FORMAT;
	if (kind >= CLOUD_KIND_COUNT || !json_is_object(spec))
		return -ERR_FORMAT;
	for (const char *const *name = clouds[kind]->texts; *name; name++)
		if (!json_string_length(json_object_get(spec, *name)))
			return -ERR_FORMAT;
	return 0;
}

int exchange_request(const struct exchange *x, struct http_request *r)
{
	int err;

	if (x->kind == CLOUD_JWT || x->kind >= CLOUD_KIND_COUNT)
		return -ERR_FORMAT;
	r->url = (struct buf)BUF_INIT(LIM_CLOUD_CLAIMS);
	r->body = (struct buf)BUF_INIT_SECRET(2 * LIM_CLOUD_SECRET);
	err = clouds[x->kind]->request(x, r);
	return err ? err : request_ok(r);
}

/* By our clock; what a cloud just gave cannot be over by its own. */
static void outcome_over(struct outcome *o)
{
	outcome_put(&o->message, slice_str("what the cloud gave has expired already"));
	o->verdict = VERDICT_RETRY;
	o->next_step = "check this machine's clock";
}

/*
 * Secrets go into headers, and into files that SDKs read line by line: a line break in one would be a setting, such as
 * credential_process, which the workload runs.
 */
static bool is_visible(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] <= ' ' || b->data[i] >= 0x7f)
			return false;
	return true;
}

static bool all_visible(const struct exchange *x)
{
	const struct credential *c = &x->got;

	return is_visible(&x->bearer) && is_visible(&c->key_id) && is_visible(&c->secret_key) && is_visible(&c->session_token) &&
	       is_visible(&c->access_token) && is_visible(&c->id_token);
}

int exchange_response(struct exchange *x, const struct http_response *r, struct outcome *o)
{
	int err;

	if (x->kind == CLOUD_JWT || x->kind >= CLOUD_KIND_COUNT)
		return -ERR_FORMAT;
	outcome_put(&o->request_id, r->request_id);
	err = clouds[x->kind]->response(x, r, o);
	if (!err && (o->verdict == VERDICT_DONE || o->verdict == VERDICT_NEXT) && !all_visible(x))
		outcome_nonsense(o, r, "the credential has characters that none has");
	else if (!err && o->verdict == VERDICT_DONE && x->got.expires_at <= x->now)
		outcome_over(o);
	if (x->got.expires_at > x->now + LIFE_MAX_S)
		x->got.expires_at = x->now + LIFE_MAX_S;
	if (err == -ERR_SIZE) { /* a secret beyond its limit */
		outcome_nonsense(o, r, "the credential is larger than any that this cloud documents");
		return 0;
	}
	return err;
}

void exchange_no_response(struct outcome *o, const char *why)
{
	outcome_put(&o->message, slice_str(why));
	o->verdict = VERDICT_RETRY;
	o->next_step = "the token service could not be reached: check DNS, proxy, firewall, and caBundle of the CredentialSource";
}
