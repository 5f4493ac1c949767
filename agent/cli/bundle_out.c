// SPDX-License-Identifier: Apache-2.0
/* bundle_out.c - bundles as text, JSON, PEM, JWK Set and SPIFFE bundle. svid; used by bundle.c. */
#include "agent/cli/bundle_out.h"

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"
#include "agent/cli/dump.h"
#include "agent/cli/jwk.h"
#include "agent/cli/x509.h"

#define OUT_MAX (32u << 20)
#define NAME_WIDTH 12
#define SCHEME "spiffe://"

void bundle_list_done(struct bundle_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		buf_done(&l->all[i].id);
		buf_done(&l->all[i].der);
		buf_done(&l->all[i].jwks);
	}
	mem_free(l->all);
	*l = (struct bundle_list){ 0 };
}

static struct bundle *add(struct bundle_list *l)
{
	size_t cap = l->cap ? l->cap * 2 : 8;
	struct bundle *all = l->n < l->cap ? l->all : mem_realloc_array(l->all, cap, sizeof(*all));

	if (!all)
		return NULL;
	l->cap = l->n < l->cap ? l->cap : cap;
	l->all = all;
	all[l->n] = (struct bundle){ .id = BUF_INIT(LIM_SPIFFE_ID), .der = BUF_INIT(LIM_BUNDLE), .jwks = BUF_INIT(LIM_JWKS * 2) };
	return &all[l->n++];
}

static int get(struct bundle_list *l, struct slice id, struct bundle **ret_bundle)
{
	struct bundle *b;

	for (size_t i = 0; i < l->n; i++)
		if (slice_eq(buf_slice(&l->all[i].id), id)) {
			*ret_bundle = &l->all[i];
			return 0;
		}
	if (l->n > LIM_FOREIGN_BUNDLES)
		return -ERR_LIMIT;
	b = add(l);
	if (!b)
		return -ENOMEM;
	buf_put_slice(&b->id, id);
	*ret_bundle = b;
	return buf_ok(&b->id);
}

int bundle_list_x509(struct bundle_list *l, struct slice id, struct slice der)
{
	struct bundle *b;
	int err = get(l, id, &b);

	if (err)
		return err;
	buf_reset(&b->der);
	buf_put_slice(&b->der, der);
	return buf_ok(&b->der);
}

int bundle_list_jwks(struct bundle_list *l, struct slice id, struct slice jwks)
{
	struct bundle *b;
	int err = get(l, id, &b);

	if (err)
		return err;
	buf_reset(&b->jwks);
	buf_put_slice(&b->jwks, jwks);
	return buf_ok(&b->jwks);
}

/* The keys of a JWK Set, which the caller ends with json_decref(); an empty array when there are none. */
static int load_keys(const struct bundle *b, json_t **ret_root)
{
	json_t *root = b->jwks.len ? json_loadb((const char *)b->jwks.data, b->jwks.len, JSON_REJECT_DUPLICATES, NULL) :
				     json_pack("{s:[]}", "keys");

	if (!json_is_array(json_object_get(root, "keys"))) {
		json_decref(root);
		return -ERR_FORMAT;
	}
	*ret_root = root;
	return 0;
}

static int put_jwks(struct buf *out, const struct bundle *b)
{
	json_t *root;
	int err = load_keys(b, &root);

	if (err)
		return err;
	json_put(out, root, JSON_ENSURE_ASCII);
	json_decref(root);
	return 0;
}

static void put_key_line(struct buf *out, const json_t *jwk)
{
	AUTO(pkey) EVP_PKEY *key = NULL;
	AUTO(buf) struct buf line = BUF_INIT(LIM_JWKS);
	const char *kid = json_string_value(json_object_get(jwk, "kid")), *why = NULL;

	buf_put_str(&line, kid ? kid : "(no kid)");
	if (jwk_key(jwk, false, &key, &why))
		buf_printf(&line, "  PROBLEM: %s", why ? why : err_text(-ENOMEM));
	else
		buf_printf(&line, "  %s, %d bits", EVP_PKEY_get0_type_name(key), EVP_PKEY_get_bits(key));
	cli_field(out, NAME_WIDTH, "JWT key", buf_slice(&line));
}

static int put_text(struct buf *out, const struct bundle *b)
{
	const json_t *jwk;
	json_t *root;
	size_t i;
	int err;

	cli_field(out, NAME_WIDTH, "trust domain", buf_slice(&b->id));
	err = x509_put_list(out, "certificate   ", buf_slice(&b->der));
	if (!err)
		err = load_keys(b, &root);
	if (err)
		return err;
	json_array_foreach(json_object_get(root, "keys"), i, jwk)
		put_key_line(out, jwk);
	json_decref(root);
	return 0;
}

static int put_json(struct buf *out, const struct bundle *b)
{
	AUTO(buf) struct buf pem = BUF_INIT(OUT_MAX);
	int err = x509_put_pem(&pem, buf_slice(&b->der));

	buf_put_str(out, "{\"trust_domain\": ");
	buf_put_json(out, buf_slice(&b->id));
	cli_json(out, "bundle_pem", buf_slice(&pem));
	buf_put_str(out, ", \"jwks\": ");
	if (!err)
		err = put_jwks(out, b);
	buf_put_str(out, "}");
	return err;
}

static int put_cert_key(struct buf *out, struct slice *der, bool first)
{
	const unsigned char *at = der->p;
	AUTO(cert) X509 *cert = d2i_X509(NULL, &at, (long)der->len);
	int err;

	ERR_clear_error();
	if (!cert)
		return -ERR_FORMAT;
	buf_put_str(out, first ? "\n  {" : ",\n  {");
	err = jwk_put_public(out, X509_get0_pubkey(cert));
	buf_put_str(out, ", \"use\": \"x509-svid\", \"x5c\": [\"");
	base64_put(out, slice_get_bytes(der, (size_t)(at - der->p)), BASE64_PLAIN);
	buf_put_str(out, "\"]}");
	return err;
}

/* Trust Domain and Bundle 4: use is not optional here, as it is in the Workload API's JWK Sets. */
static int put_spiffe(struct buf *out, const struct bundle *b)
{
	struct slice der = buf_slice(&b->der);
	bool first = true;
	json_t *root, *jwk;
	size_t i;
	int err = load_keys(b, &root);

	if (err)
		return err;
	buf_put_str(out, "{\"keys\": [");
	for (; !err && der.len; first = false)
		err = put_cert_key(out, &der, first);
	json_array_foreach(json_object_get(root, "keys"), i, jwk) {
		(void)json_object_set_new(jwk, "use", json_string("jwt-svid"));
		buf_put_str(out, first ? "\n  " : ",\n  ");
		json_put(out, jwk, JSON_ENSURE_ASCII);
		first = false;
	}
	buf_put_str(out, "\n]}");
	json_decref(root);
	return err;
}

static int put_one(const struct cli *c, struct buf *out, const struct bundle *b, bool first)
{
	switch (c->output) {
	case OUT_PEM:
		return x509_put_pem(out, buf_slice(&b->der));
	case OUT_JSON:
		buf_put_str(out, first ? "" : ",\n  ");
		return put_json(out, b);
	case OUT_JWKS:
		return put_jwks(out, b);
	case OUT_SPIFFE:
		return put_spiffe(out, b);
	default:
		buf_put_str(out, first ? "" : "\n");
		return put_text(out, b);
	}
}

static bool is_wanted(const struct cli *c, const struct bundle *b)
{
	struct slice id = buf_slice(&b->id), name;

	if (!c->n_args)
		return true;
	if (bundle_trust_domain(c->args[0], &name) || !slice_starts(id, slice_str(SCHEME)))
		return false;
	(void)slice_get_bytes(&id, strlen(SCHEME));
	return slice_eq(id, name);
}

static int none(const struct cli *c, size_t n)
{
	if (n)
		cli_error("more than one trust domain", "", "this form is of one",
			  "svid bundle show TRUSTDOMAIN; their names: svid bundle show");
	else
		cli_error("there is no bundle of", c->n_args ? c->args[0] : "any trust domain",
			  "the agent gives none to this caller",
			  "svid bundle show; of foreign trust domains: svid bundle list, and federatesWith in the document");
	return n ? CLI_USAGE : CLI_NO;
}

int bundle_print(const struct cli *c, const struct bundle_list *l)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
	bool single = c->output == OUT_JWKS || c->output == OUT_SPIFFE;
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; i < l->n; i++)
		n += is_wanted(c, &l->all[i]);
	if (!n || (single && n > 1))
		return none(c, n);
	buf_put_str(&out, c->output == OUT_JSON ? "{\"bundles\": [" : "");
	n = 0;
	for (size_t i = 0; i < l->n && !err; i++)
		if (is_wanted(c, &l->all[i]))
			err = put_one(c, &out, &l->all[i], n++ == 0);
	if (err)
		return cli_agent_error(c->socket, err);
	buf_put_str(&out, c->output == OUT_JSON ? "]}\n" : single ? "\n" : "");
	return cli_print(&out, CLI_DONE);
}

int bundle_trust_domain(const char *typed, struct slice *ret_name)
{
	struct slice name = slice_str(typed);
	const char *why;

	if (slice_starts(name, slice_str(SCHEME)))
		(void)slice_get_bytes(&name, strlen(SCHEME));
	why = spiffe_td_why(name);
	if (why) {
		cli_error("not a trust domain:", typed, why, "example.org, without a path");
		return -ERR_SPIFFE_ID;
	}
	*ret_name = name;
	return 0;
}
