// SPDX-License-Identifier: Apache-2.0
/* text.c - PEM and bundle maps, written straight to where they are needed, or only counted. svid-front. */
#include "workloadapi/text.h"

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "workloadapi/der.h"

#define PEM_LINE 48 /* bytes of a line of 64 letters */

void text_slice(struct text *t, struct slice s)
{
	t->n += s.len;
	if (t->to)
		buf_put_slice(t->to, s);
}

void text_str(struct text *t, const char *s)
{
	text_slice(t, slice_str(s));
}

static void put_base64(struct text *t, struct slice s)
{
	t->n += (s.len + 2) / 3 * 4;
	if (t->to)
		base64_put(t->to, s, BASE64_PLAIN);
}

static void put_base64url(struct text *t, struct slice s)
{
	t->n += (s.len * 4 + 2) / 3;
	if (t->to)
		base64_put(t->to, s, BASE64_URL);
}

static void put_pem(struct text *t, const char *label, struct slice der)
{
	text_str(t, "-----BEGIN ");
	text_str(t, label);
	text_str(t, "-----\n");
	while (der.len) {
		put_base64(t, slice_get_bytes(&der, der.len < PEM_LINE ? der.len : PEM_LINE));
		text_str(t, "\n");
	}
	text_str(t, "-----END ");
	text_str(t, label);
	text_str(t, "-----\n");
}

/* The next of several DER certificates. */
static bool next_der(struct text *t, struct slice *s, struct slice *ret_der)
{
	size_t len;

	if (!s->len)
		return false;
	len = der_first(*s);
	if (!len)
		t->err = -ERR_FORMAT;
	*ret_der = slice_get_bytes(s, len);
	return len != 0;
}

void text_certs(struct text *t, struct slice ders)
{
	struct slice der;

	while (next_der(t, &ders, &der))
		put_pem(t, "CERTIFICATE", der);
}

void text_key(struct text *t, struct slice der)
{
	put_pem(t, "PRIVATE KEY", der);
}

static void put_member(struct text *t, const char *name, struct slice number)
{
	text_str(t, ",\"");
	text_str(t, name);
	text_str(t, "\":\"");
	put_base64url(t, number);
	text_str(t, "\"");
}

static void put_jwk(struct text *t, struct slice der, const struct der_key *k)
{
	text_str(t, "{\"use\":\"x509-svid\",\"kty\":\"");
	text_str(t, k->curve ? "EC\",\"crv\":\"" : "RSA\"");
	if (k->curve) {
		text_str(t, k->curve);
		text_str(t, "\"");
	}
	put_member(t, k->curve ? "x" : "n", k->a);
	put_member(t, k->curve ? "y" : "e", k->b);
	text_str(t, ",\"x5c\":[\"");
	put_base64(t, der);
	text_str(t, "\"]}");
}

static void put_jwks(struct text *t, struct slice ders)
{
	const char *between = "";
	struct der_key key;
	struct slice der;

	text_str(t, "{\"keys\":[");
	while (next_der(t, &ders, &der)) {
		if (der_public_key(der, &key))
			continue;
		text_str(t, between);
		put_jwk(t, der, &key);
		between = ",";
	}
	text_str(t, "]}");
}

/* Names of trust domains need no escape; what does is none. */
static bool is_plain_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] <= 0x20 || name.p[i] >= 0x7f || name.p[i] == '"' || name.p[i] == '\\')
			return false;
	return name.len;
}

void text_map(struct text *t, bool (*next)(const void *arg, size_t i, struct text_domain *ret), const void *arg)
{
	const char *between = "";
	struct text_domain d;

	text_str(t, "{\"trust_domains\":{");
	for (size_t i = 0; next(arg, i, &d); i++) {
		if (!d.ders.len || !is_plain_name(d.name))
			continue;
		text_str(t, between);
		text_str(t, "\"");
		text_slice(t, d.name);
		text_str(t, "\":");
		put_jwks(t, d.ders);
		between = ",";
	}
	text_str(t, "}}");
}
