/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roles_anywhere.c - IAM Roles Anywhere CreateSession: the request is signed with the key of the X.509-SVID, which
 * svid-keys holds (clouds.md 1.2). svid-cloud. What is signed is made twice, for svid-keys and for the request: both
 * from the same x->now, so they are the same.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "federation/exchange_parts.h"
#include "federation/leaf.h"

#define HOST_MAX 256
#define REGION_MAX 64
#define TRUST "the role must trust rolesanywhere.amazonaws.com with this SPIFFE ID (aws:PrincipalTag/x509SAN/URI), and the " \
	      "trust anchor our CA"

static const struct cloud_error errors[] = {
	{ "AccessDeniedException", VERDICT_SLOW, TRUST },
	{ "ResourceNotFoundException", VERDICT_SLOW, "correct trustAnchorArn, profileArn or roleArn of the CredentialSource" },
	{ "ValidationException", VERDICT_PERMANENT,
	  "correct the CredentialSource: ARNs of one region, lifetime; sessionName only where the profile accepts one" },
	{ "ThrottlingException", VERDICT_RETRY, NULL },
	{ "InternalServerException", VERDICT_RETRY, NULL },
	{ NULL, VERDICT_SLOW, TRUST },
};

/* Everything of a signed request but the signature. */
struct signing {
	char time[24]; /* 20261122T054000Z */
	char host[HOST_MAX];
	char region[REGION_MAX];
	struct leaf leaf;
	struct buf query, leaf64, chain64, body;
};

static void signing_autoclean(struct signing *s)
{
	buf_done(&s->query);
	buf_done(&s->leaf64);
	buf_done(&s->chain64);
	buf_done(&s->body);
}

static int copy(struct slice s, char *to, size_t size)
{
	if (!s.len || s.len >= size)
		return -ERR_FORMAT;
	memcpy(to, s.p, s.len);
	to[s.len] = 0;
	return 0;
}

/* As it will stand in the request: libcurl leaves the usual port out. */
static struct slice host_of(struct slice endpoint)
{
	struct slice scheme = slice_str("https://"), port = slice_str(":443"), host = endpoint;

	if (slice_starts(host, scheme))
		host = slice_of(host.p + scheme.len, host.len - scheme.len);
	if (host.len > port.len && slice_eq(slice_of(host.p + host.len - port.len, port.len), port))
		host.len -= port.len;
	return host;
}

static void put_arn(struct buf *query, const char *name, struct slice arn)
{
	buf_printf(query, "%s%s=", query->len ? "&" : "", name);
	uri_put(query, arn);
}

/* Leaf, then the rest as one list of texts: the root is not needed, and not there. */
static int put_chain(const struct exchange *x, struct signing *s)
{
	struct slice left = x->chain, der;
	int err = leaf_first(&left, &der);

	if (!err)
		err = leaf_read(der, &s->leaf);
	if (err)
		return err;
	base64_put(&s->leaf64, der, BASE64_PLAIN);
	while (left.len && !(err = leaf_first(&left, &der))) {
		if (s->chain64.len)
			buf_put_str(&s->chain64, ",");
		base64_put(&s->chain64, der, BASE64_PLAIN);
	}
	return err;
}

static int prepare(const struct exchange *x, struct signing *s)
{
	time_t now = (time_t)x->now;
	struct tm tm;
	int err;

	*s = (struct signing){ .query = BUF_INIT(LIM_CLOUD_CLAIMS), .leaf64 = BUF_INIT(2 * LIM_CHAIN),
			       .chain64 = BUF_INIT(2 * LIM_CHAIN), .body = BUF_INIT(512) };
	if (!gmtime_r(&now, &tm) || !strftime(s->time, sizeof(s->time), "%Y%m%dT%H%M%SZ", &tm))
		return -ERR_FORMAT;
	err = copy(host_of(spec_text(x, "endpoint")), s->host, sizeof(s->host));
	if (!err)
		err = copy(arn_region(spec_text(x, "trustAnchorArn")), s->region, sizeof(s->region));
	if (!err)
		err = put_chain(x, s);
	if (err)
		return err;
	put_arn(&s->query, "profileArn", spec_text(x, "profileArn"));
	put_arn(&s->query, "roleArn", spec_text(x, "roleArn"));
	put_arn(&s->query, "trustAnchorArn", spec_text(x, "trustAnchorArn"));
	buf_printf(&s->body, "{\"durationSeconds\":%lld", (long long)spec_number(x, "lifetime"));
	if (slice_eq_str(spec_text(x, "sessionName"), "true")) {
		buf_put_str(&s->body, ",\"roleSessionName\":");
		buf_put_json(&s->body, slice_str(x->session));
	}
	buf_put_str(&s->body, "}");
	err = buf_ok(&s->query) ? buf_ok(&s->query) : buf_ok(&s->body);
	return err ? err : buf_ok(&s->chain64);
}

static const char *names_of(const struct signing *s)
{
	return s->chain64.len ? "content-type;host;x-amz-date;x-amz-x509;x-amz-x509-chain"
			      : "content-type;host;x-amz-date;x-amz-x509";
}

static int put_hash(struct buf *to, struct slice bytes)
{
	uint8_t hash[LEAF_HASH_BYTES];
	int err = leaf_hash(bytes, hash);

	if (!err)
		buf_put_hex(to, slice_of(hash, sizeof(hash)));
	return err;
}

static int put_canonical(struct buf *out, struct signing *s)
{
	buf_printf(out, "POST\n/sessions\n%s\ncontent-type:application/json\nhost:%s\nx-amz-date:%s\n", buf_cstr(&s->query),
		   s->host, s->time);
	buf_put_str(out, "x-amz-x509:");
	buf_put_slice(out, buf_slice(&s->leaf64));
	if (s->chain64.len) {
		buf_put_str(out, "\nx-amz-x509-chain:");
		buf_put_slice(out, buf_slice(&s->chain64));
	}
	buf_printf(out, "\n\n%s\n", names_of(s));
	return put_hash(out, buf_slice(&s->body));
}

static void put_scope(struct buf *out, const struct signing *s)
{
	buf_printf(out, "%.8s/%s/rolesanywhere/aws4_request", s->time, s->region);
}

static const char *algorithm(const struct signing *s)
{
	return s->leaf.rsa ? "AWS4-X509-RSA-SHA256" : "AWS4-X509-ECDSA-SHA256";
}

int exchange_to_sign(const struct exchange *x, struct buf *text)
{
	AUTO(signing) struct signing s = { .time = "" };
	AUTO(buf) struct buf canonical = BUF_INIT(LIM_CLOUD_SECRET * 4);
	int err = prepare(x, &s);

	if (!err)
		err = put_canonical(&canonical, &s);
	if (!err)
		err = buf_ok(&canonical);
	if (err)
		return err;
	buf_printf(text, "%s\n%s\n", algorithm(&s), s.time);
	put_scope(text, &s);
	buf_put_str(text, "\n");
	err = put_hash(text, buf_slice(&canonical));
	return err ? err : buf_ok(text);
}

static int request(const struct exchange *x, struct http_request *r)
{
	AUTO(signing) struct signing s = { .time = "" };
	struct buf *authorization;
	int err = x->signature.len ? prepare(x, &s) : -ERR_FORMAT;

	if (err)
		return err;
	buf_put_slice(&r->url, spec_text(x, "endpoint"));
	buf_put_str(&r->url, "/sessions?");
	buf_put_slice(&r->url, buf_slice(&s.query));
	request_header(r, "Content-Type: application/json");
	request_header(r, "X-Amz-Date: %s", s.time);
	request_header(r, "X-Amz-X509: ");
	buf_put_slice(&r->headers[r->n_headers - 1], buf_slice(&s.leaf64));
	if (s.chain64.len) {
		request_header(r, "X-Amz-X509-Chain: ");
		buf_put_slice(&r->headers[r->n_headers - 1], buf_slice(&s.chain64));
	}
	request_header(r, "Authorization: ");
	authorization = &r->headers[r->n_headers - 1];
	buf_printf(authorization, "%s Credential=%s/", algorithm(&s), s.leaf.serial);
	put_scope(authorization, &s);
	buf_printf(authorization, ", SignedHeaders=%s, Signature=", names_of(&s));
	buf_put_hex(authorization, x->signature);
	buf_put_slice(&r->body, buf_slice(&s.body));
	return 0;
}

/* "ValidationException:http://…" or "ns#ValidationException" */
static struct slice word_of(struct slice type)
{
	for (size_t i = 0; i < type.len; i++)
		if (type.p[i] == '#')
			return word_of(slice_of(type.p + i + 1, type.len - i - 1));
	for (size_t i = 0; i < type.len; i++)
		if (type.p[i] == ':')
			return slice_of(type.p, i);
	return type;
}

static void refused(const json_t *reply, const struct http_response *r, struct outcome *o)
{
	struct slice type = r->error_type, message = json_bytes(json_object_get(reply, "message"));

	if (!type.len)
		type = json_bytes(json_object_get(reply, "__type"));
	if (!type.len)
		type = json_bytes(json_object_get(reply, "code"));
	if (type.len)
		outcome_error(o, r, errors, word_of(type), message);
	else
		outcome_nonsense(o, r, "not an answer of IAM Roles Anywhere");
}

static int keep(struct exchange *x, const json_t *keys)
{
	int err = secret_set(&x->got.key_id, json_bytes(json_object_get(keys, "accessKeyId")));

	if (!err)
		err = secret_set(&x->got.secret_key, json_bytes(json_object_get(keys, "secretAccessKey")));
	return err ? err : secret_set(&x->got.session_token, json_bytes(json_object_get(keys, "sessionToken")));
}

static int response(struct exchange *x, const struct http_response *r, struct outcome *o)
{
	AUTO(json_t) json_t *reply = reply_json(r);
	const json_t *set = json_array_get(json_object_get(reply, "credentialSet"), 0);
	const json_t *keys = json_object_get(set, "credentials");
	int err;

	if (r->status != 200 && r->status != 201) {
		refused(reply, r, o);
		return 0;
	}
	err = keep(x, keys);
	if (err)
		return err;
	if (!x->got.key_id.len || x->got.key_id.len > AWS_KEY_ID_MAX || !x->got.secret_key.len || !x->got.session_token.len ||
	    time_parse(json_bytes(json_object_get(keys, "expiration")), &x->got.expires_at)) {
		outcome_nonsense(o, r, "not an answer of IAM Roles Anywhere");
		return 0;
	}
	x->got.expires_at = local_time(x, r, x->got.expires_at);
	outcome_put(&o->principal, json_bytes(json_object_get(json_object_get(set, "assumedRoleUser"), "arn")));
	o->verdict = VERDICT_DONE;
	return 0;
}

static const char *const texts[] = { "trustAnchorArn", "profileArn", "roleArn", "endpoint", NULL };

const struct cloud_ops roles_anywhere_ops = { .texts = texts, .request = request, .response = response };
