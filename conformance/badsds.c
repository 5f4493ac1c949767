/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badsds.c - the SDS side of the canned server: one identity, one bundle that never changes, right or with one
 * flaw. svid-conformance --selftest; badserver.c carries it.
 */
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>

#include "conformance/sds.h"
#include "conformance/selftest.h"

#define DOMAIN "spiffe://selftest.example"
#define OWN_ID DOMAIN "/a"

enum { MESSAGE_MAX = 1 << 20, NAMES_MAX = 256, GO_ON = -1, OK = 0, INVALID = 3, UNIMPLEMENTED = 12, INTERNAL = 13 };

static struct {
	enum flaw flaw;
	struct buf chain, key, bundle, foreign; /* PEM; foreign: a key that is not the chain's */
	unsigned int version;
} own;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void put_pem(struct buf *to, BIO *bio)
{
	char *text;
	long n = BIO_get_mem_data(bio, &text);

	must(n > 0);
	*to = (struct buf)BUF_INIT(MESSAGE_MAX);
	buf_put(to, text, (size_t)n);
	BIO_free(bio);
}

static void put_certs(struct buf *to, struct slice der)
{
	AUTO(certs) struct certs certs = { 0 };
	BIO *bio = BIO_new(BIO_s_mem());

	must(certs_parse(der, &certs) == 0);
	for (size_t i = 0; i < certs.n; i++)
		must(PEM_write_bio_X509(bio, certs.at[i]) == 1);
	put_pem(to, bio);
}

static void put_key(struct buf *to, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	must(key && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	put_pem(to, bio);
	EVP_PKEY_free(key);
}

void sds_server_make(enum flaw flaw, const struct buf *svids)
{
	static struct svid_response s;

	own.flaw = flaw;
	/* Flaws of the other answers may leave nothing that can be made into Secrets. */
	if (svid_response_parse(slice_of(svids->data + 5, svids->len - 5), &s) || (flaw && flaw < FLAW_SDS_UNKNOWN_ENDS))
		return;
	put_certs(&own.chain, s.svids[0].chain);
	put_certs(&own.bundle, s.svids[0].bundle);
	put_key(&own.key, key_parse(s.svids[0].key));
	put_key(&own.foreign, EVP_EC_gen("P-256"));
}

static void put_inline(struct buf *to, unsigned int number, const struct buf *pem)
{
	AUTO(buf) struct buf source = BUF_INIT(MESSAGE_MAX);

	put_text(&source, 2, buf_slice(pem));
	put_text(to, number, buf_slice(&source));
}

static void put_any(struct buf *to, unsigned int number, const char *type, const struct buf *value)
{
	AUTO(buf) struct buf any = BUF_INIT(MESSAGE_MAX);

	put_text(&any, 1, slice_str(type));
	put_text(&any, 2, buf_slice(value));
	put_text(to, number, buf_slice(&any));
}

static void put_validator(struct buf *context)
{
	AUTO(buf) struct buf domain = BUF_INIT(MESSAGE_MAX);
	AUTO(buf) struct buf config = BUF_INIT(MESSAGE_MAX);
	AUTO(buf) struct buf custom = BUF_INIT(MESSAGE_MAX);

	put_text(&domain, 1, slice_str(own.flaw == FLAW_SDS_DOMAIN_ID ? DOMAIN : "selftest.example"));
	put_inline(&domain, 2, &own.bundle);
	put_text(&config, 1, buf_slice(&domain));
	put_text(&custom, 1, slice_str(VALIDATOR_NAME));
	put_any(&custom, 2, VALIDATOR_TYPE, &config);
	put_text(context, 12, buf_slice(&custom));
}

static void put_secret(struct buf *to, const char *name, bool cert, bool plain)
{
	AUTO(buf) struct buf inner = BUF_INIT(MESSAGE_MAX);

	put_text(to, 1, slice_str(name));
	if (cert) {
		put_inline(&inner, 1, &own.chain);
		put_inline(&inner, 2, own.flaw == FLAW_SDS_OTHER_KEY ? &own.foreign : &own.key);
	} else if ((plain && own.flaw != FLAW_SDS_NEVER_PLAIN) || own.flaw == FLAW_SDS_NO_VALIDATOR) {
		put_inline(&inner, 1, &own.bundle);
	} else {
		put_validator(&inner);
	}
	put_text(to, cert ? 2 : 4, buf_slice(&inner));
}

static bool is_cert(const char *name)
{
	return strcmp(name, "default") == 0 || strcmp(name, OWN_ID) == 0;
}

static bool is_bundle(const char *name)
{
	return strcmp(name, "ROOTCA") == 0 || strcmp(name, "ALL") == 0 || strcmp(name, DOMAIN) == 0;
}

static void put_version(struct buf *to, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", own.flaw == FLAW_SDS_VERSION ? ++own.version : 1);
	put_text(to, number, slice_str(text));
}

static void put_resource(struct buf *to, const struct bad_sds *s, const char *name)
{
	AUTO(buf) struct buf secret = BUF_INIT(MESSAGE_MAX);
	AUTO(buf) struct buf resource = BUF_INIT(MESSAGE_MAX);

	put_secret(&secret, name, is_cert(name), s->plain);
	if (!s->delta) {
		put_any(to, 2, SECRET_TYPE, &secret);
		return;
	}
	put_version(&resource, 1);
	put_any(&resource, 2, SECRET_TYPE, &secret);
	put_text(&resource, 3, slice_str(name));
	put_text(to, 2, buf_slice(&resource));
}

static bool has(const struct bad_names *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->at[i], name) == 0)
			return true;
	}
	return false;
}

/* The flaw is SPIRE's: of the names of one bundle only the first counts. */
static bool left_over(const struct bad_names *names, size_t i)
{
	for (size_t k = 0; own.flaw == FLAW_SDS_ONE_OF && k < i; k++) {
		if (is_bundle(names->at[i]) && is_bundle(names->at[k]))
			return true;
	}
	return false;
}

static bool same(const struct bad_names *a, const struct bad_names *b)
{
	for (size_t i = 0; i < a->n; i++) {
		if (!has(b, a->at[i]))
			return false;
	}
	return a->n == b->n;
}

static int add(struct bad_names *list, struct slice name)
{
	char text[320];

	if (list->n == BAD_NAMES || name.len >= sizeof(text))
		return INVALID;
	snprintf(text, sizeof(text), "%.*s", (int)name.len, (const char *)name.p);
	if (!has(list, text))
		memcpy(list->at[list->n++], text, sizeof(text));
	return GO_ON;
}

/* Everything there is, for whoever names nothing. */
static void add_all(struct bad_names *list)
{
	(void)add(list, slice_str(OWN_ID));
	(void)add(list, slice_str(DOMAIN));
}

static int answer(struct bad_sds *s, const struct bad_names *names, struct buf *out)
{
	AUTO(buf) struct buf m = BUF_INIT(MESSAGE_MAX);
	char nonce[16];

	put_version(&m, 1);
	for (size_t i = 0; i < names->n; i++) {
		if ((is_cert(names->at[i]) || is_bundle(names->at[i])) && !left_over(names, i))
			put_resource(&m, s, names->at[i]);
		else if (own.flaw == FLAW_SDS_UNKNOWN_ENDS)
			return INVALID;
		else if (s->delta && own.flaw != FLAW_SDS_NO_REMOVED)
			put_text(&m, 6, slice_str(names->at[i]));
	}
	s->nonce += own.flaw == FLAW_SDS_ONE_NONCE && s->nonce ? 0 : 1;
	snprintf(nonce, sizeof(nonce), "n%u", s->nonce);
	put_text(&m, 4, slice_str(own.flaw == FLAW_SDS_ECHOES_TYPE ? s->type_url : SECRET_TYPE));
	put_text(&m, 5, slice_str(nonce));
	buf_put_u8(out, 0);
	buf_put_be32(out, (uint32_t)m.len);
	buf_put_slice(out, buf_slice(&m));
	must(buf_ok(out) == 0);
	return GO_ON;
}

/* What one request says. */
struct asked {
	struct bad_names names;
	bool refused, has_nonce, current, has_version, dropped;
};

static bool is_known_version(struct slice entry)
{
	struct field name = field_get(&entry), version = field_get(&entry);

	return name.number == 1 && slice_eq_str(version.bytes, "1");
}

static int take_member(struct bad_sds *s, const struct field *f, struct asked *ret)
{
	static const char sotw[] = "?vNntoe", delta[] = "?Ntndioe"; /* what field 1, 2, ... is */
	const char *kinds = s->delta ? delta : sotw;
	char nonce[16];

	snprintf(nonce, sizeof(nonce), "n%u", s->nonce);
	switch (f->number < strlen(kinds) && f->type == 2 ? kinds[f->number] : '?') {
	case 'N':
		s->plain = memmem(f->bytes.p, f->bytes.len, "disable_spiffe_cert_validation", 30) &&
			   (memmem(f->bytes.p, f->bytes.len, "true", 4) || memmem(f->bytes.p, f->bytes.len, "\x20\x01", 2));
		s->node = true;
		return GO_ON;
	case 'n':
		return add(&ret->names, f->bytes);
	case 't':
		snprintf(s->type_url, sizeof(s->type_url), "%.*s", (int)f->bytes.len, (const char *)f->bytes.p);
		return strcmp(s->type_url, SECRET_TYPE) == 0 || own.flaw == FLAW_SDS_ANY_TYPE ? GO_ON : INVALID;
	case 'o':
		ret->has_nonce = true;
		ret->current = slice_eq_str(f->bytes, nonce);
		return GO_ON;
	case 'e':
		ret->refused = true;
		return GO_ON;
	case 'd':
		ret->dropped = true;
		return GO_ON;
	case 'i':
		ret->has_version = is_known_version(f->bytes) && own.flaw != FLAW_SDS_NOT_INITIAL;
		return GO_ON;
	default:
		return own.flaw == FLAW_SDS_STRICT_FIELDS && f->number > 7 ? INVALID : GO_ON;
	}
}

static int read_request(struct bad_sds *s, struct slice m, struct asked *ret)
{
	int status = GO_ON;

	s->type_url[0] = '\0';
	s->node = false;
	while (status == GO_ON && m.len && slice_ok(&m)) {
		struct field f = field_get(&m);

		status = take_member(s, &f, ret);
	}
	if (!s->node && own.flaw == FLAW_SDS_FORGETS_NODE)
		s->plain = false;
	return slice_ok(&m) ? status : INTERNAL;
}

static int take_state(struct bad_sds *s, struct asked *q, struct buf *out)
{
	bool first = !s->asked;

	if (q->has_nonce && !q->current && own.flaw != FLAW_SDS_ANY_NONCE)
		return GO_ON;
	if (!first && !q->has_nonce && own.flaw == FLAW_SDS_WANTS_NONCE)
		return GO_ON;
	if (first && q->names.n == 0)
		add_all(&q->names);
	bool changed = first || !same(&q->names, &s->names);
	bool more = q->refused ? own.flaw == FLAW_SDS_ANSWERS_NACK : own.flaw == FLAW_SDS_ANSWERS_ACK;

	s->asked = true;
	s->names = q->names;
	return changed || more ? answer(s, &s->names, out) : GO_ON;
}

static int take_delta(struct bad_sds *s, struct asked *q, struct buf *out)
{
	bool star = has(&q->names, "*") || (!s->asked && q->names.n == 0);
	bool known = own.flaw == FLAW_SDS_NOT_AGAIN && q->names.n && has(&s->names, q->names.at[0]);

	s->asked = true;
	if (star) {
		q->names.n = 0;
		add_all(&q->names);
	}
	for (size_t i = 0; i < q->names.n; i++)
		(void)add(&s->names, slice_str(q->names.at[i]));
	if (own.flaw == FLAW_SDS_ANSWERS_ACK && q->current)
		return answer(s, &s->names, out);
	if (q->names.n == 0 || q->has_version || known)
		return GO_ON;
	return answer(s, own.flaw == FLAW_SDS_ALL_AGAIN ? &s->names : &q->names, out);
}

int sds_serve(struct bad_sds *s, const char *path, struct buf *in, struct buf *out)
{
	const char *method = path + sizeof(SDS_SERVICE) - 1;
	int status = GO_ON;

	s->delta = strcmp(method, "DeltaSecrets") == 0;
	if (!own.chain.len || (s->delta && own.flaw == FLAW_SDS_NO_DELTA))
		return UNIMPLEMENTED;
	while (status == GO_ON && in->len >= 5) {
		static struct asked q;
		struct slice m = slice_of(in->data + 1, in->len - 1);
		uint32_t len = slice_get_be32(&m);

		if (m.len < len)
			break;
		memset(&q, 0, sizeof(q));
		status = read_request(s, slice_get_bytes(&m, len), &q);
		if (status == GO_ON)
			status = s->delta ? take_delta(s, &q, out) : take_state(s, &q, out);
		if (status == GO_ON && strcmp(method, "FetchSecrets") == 0)
			status = OK;
		buf_consume(in, 5 + len);
	}
	return status;
}
