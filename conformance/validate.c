/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate.c - ValidateJWTSVID held against tokens of our own making: right ones, and ones that are wrong in
 * exactly one way. Their trust domain and its keys: foreign.c. svid-conformance.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/base/base64.h"
#include "conformance/foreign.h"
#include "conformance/jose.h"
#include "conformance/run.h"

enum { TOKEN_MAX = 3 << 20 };

/* How a token is spoilt after it was signed. */
enum twist {
	AS_SIGNED, SIG_FLIPPED, SIG_EMPTY, SIG_SHORT, SIG_LONG, SIG_DER, SIG_ZEROS, SIG_HMAC, CLAIMS_CHANGED, HEADER_CHANGED,
	TWO_PARTS, FOUR_PARTS, FIVE_PARTS, PADDED, PLAIN_ALPHABET, SPACE_BEFORE, NEWLINE_AFTER, BEARER, AS_JSON,
};

/* In header and claims "@N" is the time now + N seconds. */
struct forged {
	const char *claims; /* NULL: FINE */
	const char *header; /* NULL: alg, the key's kid and typ JWT */
	enum foreign_key key;
	const char *alg;  /* NULL: RS256 for the first two keys, else ES256 */
	const char *sign; /* NULL: as alg says */
	enum twist twist;
	const char *audience; /* that is asked for; NULL: "one" */
	size_t pad;	      /* bytes of a claim that nobody needs */
};

#define CLAIMS(sub, aud, exp) "{\"sub\":" sub ",\"aud\":" aud ",\"exp\":" exp "}"
#define ID_ "\"" FOREIGN_ID "\""
#define AUD_ "[\"one\"]"
#define EXP_ "@300"
#define FINE CLAIMS(ID_, AUD_, EXP_)
#define SUB(id) CLAIMS("\"" id "\"", AUD_, EXP_)

static const char *alg_of(const struct forged *f)
{
	if (f->alg)
		return f->alg;
	return f->key <= KEY_RSA_OTHER ? "RS256" : "ES256";
}

static void put_expanded(struct buf *b, const char *text)
{
	for (; *text; text++) {
		bool is_time = *text == '@' && (isdigit((unsigned char)text[1]) || text[1] == '-');

		if (!is_time) {
			buf_put_u8(b, (uint8_t)*text);
			continue;
		}
		char *end;
		long delta = strtol(text + 1, &end, 10);

		buf_printf(b, "%lld", (long long)time(NULL) + delta);
		text = end - 1;
	}
}

static void put_claims(struct buf *b, const struct forged *f)
{
	const char *claims = f->claims ? f->claims : FINE;

	if (f->pad) {
		buf_put_str(b, "{\"pad\":\"");
		for (size_t i = 0; i < f->pad; i++)
			buf_put_u8(b, 'x');
		buf_put_str(b, "\",");
		claims++;
	}
	put_expanded(b, claims);
}

static int put_signature(struct buf *b, const struct forged *f, const struct foreign *keys, struct slice input)
{
	static const uint8_t zeros[64];
	uint8_t mac[32];
	unsigned char *der = NULL;
	unsigned int n = sizeof(mac);
	int len, err;

	switch (f->twist) {
	case SIG_EMPTY:
		return 0;
	case SIG_ZEROS:
		buf_put(b, zeros, sizeof(zeros));
		return buf_ok(b);
	case SIG_HMAC: /* the public key as a shared secret */
		len = i2d_PUBKEY(keys->keys[f->key], &der);
		HMAC(EVP_sha256(), der, len, input.p, input.len, mac, &n);
		OPENSSL_free(der);
		buf_put(b, mac, n);
		return buf_ok(b);
	case SIG_DER: { /* as libcrypto makes it, not as JWS has it */
		EVP_MD_CTX *md = EVP_MD_CTX_new();
		uint8_t sig[256];
		size_t room = sizeof(sig);

		err = EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, keys->keys[f->key]) == 1 &&
		      EVP_DigestSign(md, sig, &room, input.p, input.len) == 1 ? 0 : -EINVAL;
		buf_put(b, sig, room);
		EVP_MD_CTX_free(md);
		return err;
	}
	default:
		err = jws_sign(b, f->sign ? f->sign : alg_of(f), keys->keys[f->key], input);
		break;
	}
	if (f->twist == SIG_FLIPPED)
		b->data[b->len / 2] ^= 1;
	if (f->twist == SIG_SHORT)
		b->len--;
	if (f->twist == SIG_LONG)
		buf_put_u8(b, 0);
	return err;
}

/* What follows the signing: other parts, other spellings. */
static void put_token(struct buf *b, const struct forged *f, struct slice header, struct slice claims, struct slice sig)
{
	AUTO(buf) struct buf h = BUF_INIT(TOKEN_MAX);
	AUTO(buf) struct buf c = BUF_INIT(TOKEN_MAX);
	AUTO(buf) struct buf s = BUF_INIT(TOKEN_MAX);
	static const char other_header[] = "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", other_claims[] = SUB(FOREIGN_ID "x");

	if (f->twist == CLAIMS_CHANGED)
		claims = slice_str(other_claims);
	if (f->twist == HEADER_CHANGED)
		header = slice_str(other_header);
	base64_put(&h, header, BASE64_URL);
	base64_put(&c, claims, BASE64_URL);
	base64_put(&s, sig, f->twist == PLAIN_ALPHABET ? BASE64_PLAIN : BASE64_URL);
	if (f->twist == AS_JSON) {
		buf_printf(b, "{\"payload\":\"%s\",\"protected\":\"%s\",\"signature\":\"%s\"}", buf_cstr(&c), buf_cstr(&h),
			   buf_cstr(&s));
		return;
	}
	if (f->twist == SPACE_BEFORE || f->twist == BEARER)
		buf_put_str(b, f->twist == BEARER ? "Bearer " : " ");
	buf_put_slice(b, buf_slice(&h));
	buf_put_u8(b, '.');
	buf_put_slice(b, buf_slice(&c));
	if (f->twist != TWO_PARTS) {
		buf_put_u8(b, '.');
		buf_put_slice(b, buf_slice(&s));
	}
	if (f->twist == PADDED)
		buf_put_str(b, "==");
	if (f->twist == FOUR_PARTS || f->twist == FIVE_PARTS)
		buf_put_str(b, f->twist == FOUR_PARTS ? ".AAAA" : ".AAAA.AAAA");
	if (f->twist == NEWLINE_AFTER)
		buf_put_u8(b, '\n');
}

static int forge(struct buf *ret, const struct forged *f, const struct foreign *keys)
{
	AUTO(buf) struct buf header = BUF_INIT(TOKEN_MAX);
	AUTO(buf) struct buf claims = BUF_INIT(TOKEN_MAX);
	AUTO(buf) struct buf input = BUF_INIT(TOKEN_MAX);
	AUTO(buf) struct buf sig = BUF_INIT(4096);

	if (f->header)
		put_expanded(&header, f->header);
	else
		buf_printf(&header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}", alg_of(f), foreign_kid(f->key));
	put_claims(&claims, f);
	base64_put(&input, buf_slice(&header), BASE64_URL);
	buf_put_u8(&input, '.');
	base64_put(&input, buf_slice(&claims), BASE64_URL);
	int err = put_signature(&sig, f, keys, buf_slice(&input));

	put_token(ret, f, buf_slice(&header), buf_slice(&claims), buf_slice(&sig));
	return err ? err : buf_ok(ret);
}

static int send_token(struct run *r, struct call *c, const char *audience, struct slice token)
{
	AUTO(buf) struct buf request = BUF_INIT(TOKEN_MAX + 4096);
	int err = call_connect(r, c);

	put_text(&request, 1, slice_str(audience));
	put_text(&request, 2, token);
	return err ? err : call_send(c, &validate_jwt, buf_slice(&request), UNTIL_END);
}

static int send_forged(struct run *r, struct call *c)
{
	AUTO(buf) struct buf token = BUF_INIT(TOKEN_MAX);
	const struct forged *f = r->test->arg;
	int err = forge(&token, f, r->foreign);

	return err ? err : send_token(r, c, f->audience ? f->audience : "one", buf_slice(&token));
}

static enum verdict is_valid(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct slice m;

	if (!r->foreign)
		return skip(r, "needs --foreign");
	int err = send_forged(r, &c);

	if (err || c.p->grpc_status != 0 || reply_message(c.p, &m))
		return fail(r, "a right token: %s", reply_text(err, c.p));
	struct field id = field_get(&m);

	return id.number == 1 && slice_eq_str(id.bytes, FOREIGN_ID) ? PASS : fail(r, "another spiffe_id");
}

/* One sort of refusal for all of them: InvalidArgument, which clients do not retry. */
static enum verdict is_invalid(struct run *r)
{
	AUTO(call) struct call c = { 0 };

	if (!r->foreign)
		return skip(r, "needs --foreign");
	int err = send_forged(r, &c);

	if (err || c.p->grpc_status != 3 || c.p->body.len)
		return fail(r, "wanted InvalidArgument: %s", reply_text(err, c.p));
	return c.p->grpc_message[0] ? PASS : fail(r, "no reason in grpc-message");
}

static enum verdict too_large(struct run *r)
{
	AUTO(call) struct call c = { 0 };

	if (!r->foreign)
		return skip(r, "needs --foreign");
	int err = send_forged(r, &c);

	if (c.p && (c.p->grpc_status == 3 || c.p->grpc_status == 8))
		return want_alive(r, "a huge token");
	return fail(r, "wanted InvalidArgument or ResourceExhausted: %s", reply_text(err, c.p));
}

static json_t *struct_of(struct slice s, int depth);

/* google.protobuf.Value */
static json_t *value_of(struct slice s, int depth)
{
	struct field f = field_get(&s);
	double number;
	json_t *list = f.number == 6 ? json_array() : NULL;

	switch (f.number) {
	case 2:
		memcpy(&number, &f.varint, sizeof(number));
		return json_real(number);
	case 3:
		return json_stringn((const char *)f.bytes.p, f.bytes.len);
	case 4:
		return json_boolean(f.varint);
	case 5:
		return struct_of(f.bytes, depth + 1);
	case 6:
		while (f.bytes.len && slice_ok(&f.bytes))
			json_array_append_new(list, value_of(field_get(&f.bytes).bytes, depth + 1));
		return list;
	default:
		return json_null();
	}
}

/* google.protobuf.Struct */
static json_t *struct_of(struct slice s, int depth)
{
	json_t *object = json_object();

	while (s.len && slice_ok(&s) && depth < 16) {
		struct slice entry = field_get(&s).bytes;
		struct field name = { 0 }, value = { 0 };

		while (entry.len && slice_ok(&entry)) {
			struct field f = field_get(&entry);

			*(f.number == 1 ? &name : &value) = f;
		}
		char key[256] = "";

		memcpy(key, name.bytes.p, name.bytes.len < sizeof(key) ? name.bytes.len : 0);
		json_object_set_new(object, key, value_of(value.bytes, depth));
	}
	return object;
}

/* The own token, validated: the whole answer is looked at. */
static enum verdict own_is_valid(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(token) struct token t = { 0 };
	const struct items *svids = run_answer(r, ANSWER_JWT);
	struct slice m;

	if (!svids || !svids->n || token_parse(svids->at[0][2], &t))
		return fail(r, "no JWT-SVID to validate");
	int err = send_token(r, &c, "two", svids->at[0][2]);

	if (err || c.p->grpc_status != 0 || reply_message(c.p, &m))
		return fail(r, "the own token: %s", reply_text(err, c.p));
	struct field id = field_get(&m), claims = field_get(&m);

	if (id.number != 1 || !slice_eq(id.bytes, svids->at[0][1]))
		return fail(r, "another spiffe_id");
	AUTO_JSON json_t *said = claims.number == 2 ? struct_of(claims.bytes, 0) : NULL;
	const char *sub = token_text(said, "sub");
	const json_t *aud = json_object_get(said, "aud");
	double exp = json_real_value(json_object_get(said, "exp"));

	if (!sub || !slice_eq_str(id.bytes, sub))
		return fail(r, "claims lack sub");
	if (!json_equal(aud, json_object_get(t.claims, "aud")))
		return fail(r, "claims have another aud than the token");
	return fabs(exp - json_number_value(json_object_get(t.claims, "exp"))) < 0.5 ? PASS : fail(r, "claims have another exp");
}

static enum verdict own_is_refused(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	const struct items *svids = run_answer(r, ANSWER_JWT);

	if (!svids || !svids->n)
		return FAIL;
	int err = send_token(r, &c, "three", svids->at[0][2]);

	return !err && c.p->grpc_status == 3 ? PASS : fail(r, "for another audience: %s", reply_text(err, c.p));
}

/* Signed by a foreign key, in the name of the own trust domain. */
static enum verdict foreign_key_own_name(struct run *r)
{
	const struct svid_response *svids = run_svids(r);
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf token = BUF_INIT(TOKEN_MAX);
	AUTO(buf) struct buf claims = BUF_INIT(8192);

	if (!r->foreign)
		return skip(r, "needs --foreign");
	if (!svids || !svids->n_svids)
		return FAIL;
	buf_printf(&claims, "{\"sub\":\"%.*s\",\"aud\":[\"one\"],\"exp\":@300}", (int)svids->svids[0].spiffe_id.len,
		   (const char *)svids->svids[0].spiffe_id.p);
	struct forged f = { .claims = buf_cstr(&claims) };
	int err = forge(&token, &f, r->foreign);

	if (!err)
		err = send_token(r, &c, "one", buf_slice(&token));
	return !err && c.p->grpc_status == 3 ? PASS : fail(r, "wanted InvalidArgument: %s", reply_text(err, c.p));
}

#define GOOD(clause, what, ...) { clause, what, MODE_IDENTITY, is_valid, &(const struct forged){ __VA_ARGS__ } }
#define BAD(clause, what, ...) { clause, what, MODE_IDENTITY, is_invalid, &(const struct forged){ __VA_ARGS__ } }
#define HEADER(alg, rest) "{\"alg\":\"" alg "\",\"kid\":\"rsa\"" rest "}"
#define WITH(more) "{\"sub\":" ID_ ",\"aud\":" AUD_ ",\"exp\":" EXP_ "," more "}"

const struct test validate_tests[] = {
#include "conformance/validate_cases.h"
	{ "WA-6.2.3-1", "the own token is valid for each of its audiences", MODE_IDENTITY, own_is_valid, NULL },
	{ "WA-6.2.3-2", "claims have sub, aud and exp", MODE_IDENTITY, own_is_valid, NULL },
	{ "WA-6.2.3-3", "the answer has spiffe_id and claims", MODE_IDENTITY, own_is_valid, NULL },
	{ "JWT-3.2-3", "the own token for another audience", MODE_IDENTITY, own_is_refused, NULL },
	{ "FED-7.3-1", "a foreign key signs in the own trust domain's name", MODE_IDENTITY, foreign_key_own_name, NULL },
	{ "FED-4.2-4", "bundles of two trust domains are not one", MODE_IDENTITY, foreign_key_own_name, NULL },
	{ 0 },
};
