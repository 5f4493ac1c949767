/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.c - JWT-SVID.md on every token that FetchJWTSVID gives, and the call itself. svid-conformance. */
#include <errno.h>
#include <time.h>

#include "conformance/tokens.h"

enum { ID = TOKEN_ID, TOKEN = TOKEN_TEXT, HINT }; /* fields of JWTSVID */

static const char *const audiences[] = { JWT_AUDIENCES };

static enum verdict every_jwt(struct run *r)
{
	return tokens_each(r, run_answer(r, ANSWER_JWT));
}

static enum verdict is_compact(struct run *r, const struct token *t, const struct slice *svid)
{
	(void)t;
	return memchr(svid[TOKEN].p, '{', svid[TOKEN].len) ? fail(r, "JSON in the token") : PASS;
}

static enum verdict has_plain_header(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *name;
	json_t *value;

	(void)svid;
	json_object_foreach(t->header, name, value) {
		if (strcmp(name, "alg") != 0 && strcmp(name, "kid") != 0 && strcmp(name, "typ") != 0)
			return fail(r, "header has %s", name);
	}
	return PASS;
}

static enum verdict has_good_alg(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *alg = token_text(t->header, "alg");

	(void)svid;
	return alg_is_allowed(alg) ? PASS : fail(r, "alg %s", alg ? alg : "is missing");
}

static enum verdict has_good_typ(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *typ = token_text(t->header, "typ");

	(void)svid;
	if (!json_object_get(t->header, "typ") || (typ && (strcmp(typ, "JWT") == 0 || strcmp(typ, "JOSE") == 0)))
		return PASS;
	return fail(r, "typ %s", typ ? typ : "is no text");
}

static enum verdict has_kid(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *kid = token_text(t->header, "kid");

	(void)svid;
	return kid && *kid ? PASS : fail(r, "no kid");
}

static bool has_audience(const json_t *aud, const char *want)
{
	size_t i;
	json_t *one;

	if (json_is_string(aud))
		return strcmp(json_string_value(aud), want) == 0;
	json_array_foreach(aud, i, one) {
		if (json_is_string(one) && strcmp(json_string_value(one), want) == 0)
			return true;
	}
	return false;
}

/* What was asked for, all of it (java, py), and nothing else. */
static enum verdict has_aud(struct run *r, const struct token *t, const struct slice *svid)
{
	const json_t *aud = json_object_get(t->claims, "aud");

	(void)svid;
	for (size_t i = 0; i < ARRAY_SIZE(audiences); i++) {
		if (!has_audience(aud, audiences[i]))
			return fail(r, "aud lacks %s", audiences[i]);
	}
	return json_array_size(aud) == ARRAY_SIZE(audiences) ? PASS : fail(r, "aud has more than was asked for");
}

/* go-jose refuses an iat that is ahead; java needs one for its cache. */
static enum verdict has_iat(struct run *r, const struct token *t, const struct slice *svid)
{
	const json_t *iat = json_object_get(t->claims, "iat");

	(void)svid;
	if (!json_is_integer(iat))
		return fail(r, "iat is missing or no integer");
	return json_integer_value(iat) <= time(NULL) ? PASS : fail(r, "iat is ahead");
}

static enum verdict lives_shortly(struct run *r, const struct token *t, const struct slice *svid)
{
	json_int_t exp = json_integer_value(json_object_get(t->claims, "exp"));

	(void)svid;
	return exp - time(NULL) <= 3600 ? PASS : fail(r, "%d s to live", (int)(exp - time(NULL)));
}

static enum verdict is_signed(struct run *r, const struct token *t, const struct slice *svid)
{
	return token_is_signed(r, t, svid[ID], run_answer(r, ANSWER_JWT_BUNDLES));
}

/* One token with another audience, so that no cache can answer. */
static int another_token(struct run *r, const char *audience, struct buf *ret)
{
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf request = BUF_INIT(4096);
	struct items items;
	struct slice m;

	put_text(&request, 1, slice_str(audience));
	int err = ask(r, &c, &fetch_jwt, buf_slice(&request), &m);

	if (!err)
		err = items_parse(m, 1, HINT, &items);
	if (err || !items.n)
		return err ? err : -EPROTO;
	buf_put_slice(ret, items.at[0][TOKEN]);
	return buf_ok(ret);
}

static enum verdict cl_14(struct run *r)
{
	AUTO(buf) struct buf one = BUF_INIT(1 << 16);
	AUTO(buf) struct buf two = BUF_INIT(1 << 16);
	AUTO(token) struct token a = { 0 };
	AUTO(token) struct token b = { 0 };

	if (another_token(r, "first", &one) || another_token(r, "second", &two) || token_parse(buf_slice(&one), &a) ||
	    token_parse(buf_slice(&two), &b))
		return fail(r, "no two tokens");
	const char *x = token_text(a.claims, "jti"), *y = token_text(b.claims, "jti");

	if (!x || !y)
		return fail(r, "no jti");
	return strcmp(x, y) != 0 ? PASS : fail(r, "two tokens with one jti");
}

/* the call */

static enum verdict wa_6_2_1_5(struct run *r)
{
	const struct items *s = run_answer(r, ANSWER_JWT);

	if (!s)
		return FAIL;
	for (size_t i = 0; i < s->n; i++) {
		if (!s->at[i][ID].len || !s->at[i][TOKEN].len)
			return fail(r, "svid %zu lacks spiffe_id or svid", i);
	}
	return s->n ? PASS : fail(r, "no svids");
}

static enum verdict wa_6_2_1_3(struct run *r)
{
	return tokens_ids(r, run_answer(r, ANSWER_JWT));
}

static enum verdict wa_6_2_1_6(struct run *r)
{
	return tokens_hints(r, run_answer(r, ANSWER_JWT), HINT);
}

static enum verdict wa_6_2_1_4(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf request = BUF_INIT(4096);
	const struct items *all = run_answer(r, ANSWER_JWT);
	struct items only;
	struct slice m, last;

	if (!all || !all->n)
		return FAIL;
	last = all->at[all->n - 1][ID];
	put_text(&request, 1, slice_str("one"));
	put_text(&request, 2, last);
	int err = ask(r, &c, &fetch_jwt, buf_slice(&request), &m);

	if (err || items_parse(m, 1, HINT, &only))
		return fail(r, "%s", reply_text(err, c.p));
	if (only.n != 1 || !slice_eq(only.at[0][ID], last))
		return fail(r, "not that identity alone, %zu svids", only.n);
	return PASS;
}

static enum verdict wa_2_1(struct run *r)
{
	const struct items *s = run_answer(r, ANSWER_JWT);

	if (!s)
		return FAIL;
	return s->unknown ? fail(r, "field %u is not in the .proto", s->unknown) : PASS;
}

/* A request that must end with this status. */
struct wrong {
	const struct request *q;
	const char *audience, *spiffe_id; /* NULL: left out; of ValidateJWTSVID: the token */
	int status;
	const char *text; /* what grpc-message must contain */
	size_t audiences; /* so many of them; 0: one */
};

static enum verdict is_refused(struct run *r)
{
	const struct wrong *w = r->test->arg;
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf request = BUF_INIT(1 << 20);
	size_t n = w->audiences ? w->audiences : w->audience != NULL;
	int err = call_connect(r, &c);

	for (size_t i = 0; i < n; i++)
		put_text(&request, 1, slice_str(w->audience));
	if (w->spiffe_id)
		put_text(&request, 2, slice_str(w->spiffe_id));
	if (!err)
		err = call_send(&c, w->q, buf_slice(&request), UNTIL_END);
	if (err || c.p->grpc_status != w->status)
		return fail(r, "wanted grpc-status %d: %s", w->status, reply_text(err, c.p));
	if (w->text && !strstr(c.p->grpc_message, w->text))
		return fail(r, "clients look for \"%s\": %s", w->text, reply_text(err, c.p));
	return PASS;
}

#define WRONG(clause, what, mode, ...) { clause, what, mode, is_refused, &(const struct wrong){ __VA_ARGS__ } }

static enum verdict no_header(struct run *r)
{
	struct request q = *(const struct request *)r->test->arg;

	q.security = NULL;
	return want_status(r, &q, 3);
}

#define EVERY(clause, what, check) { clause, what, MODE_IDENTITY, every_jwt, (const void *)(check) }

const struct test jwt_tests[] = {
	EVERY("JWT-1-1", "no JWS JSON serialization", is_compact),
	EVERY("JWT-1-2", "compact serialization", is_compact),
	EVERY("JWT-1-3", "a JWS of three parts, no JWE", is_compact),
	EVERY("JWT-2-1", "the header has alg, kid and typ only", has_plain_header),
	EVERY("JWT-2.1-1", "alg is one of the nine", has_good_alg),
	EVERY("JWT-2.3-1", "typ is JWT or JOSE", has_good_typ),
	EVERY("JWT-3.1-1", "sub is the SPIFFE ID", token_has_sub),
	EVERY("JWT-3.2-1", "aud is there", has_aud),
	EVERY("JWT-3.3-1", "exp is there and ahead", token_has_exp),
	EVERY("JWT-3.3-3", "an hour to live at most", lives_shortly),
	EVERY("ID-3.3-1", "a JWT-SVID is a JWT", is_compact),
	EVERY("ID-3-1", "each JWT-SVID is signed by a key of the own bundle", is_signed),
	EVERY("CL-12", "kid is there (every client)", has_kid),
	EVERY("CL-13", "iat is there and not ahead (java, go-jose)", has_iat),
	{ "CL-14", "each token has a jti of its own", MODE_IDENTITY, cl_14, NULL },
	{ "WA-1-1", "the JWT-SVID profile is served", MODE_IDENTITY, wa_6_2_1_5, NULL },
	{ "WA-2-1", "JWTSVIDResponse has the .proto's fields only", MODE_IDENTITY, wa_2_1, NULL },
	EVERY("WA-6.2.1-2", "all audiences that were asked for are in aud", has_aud),
	{ "WA-6.2.1-3", "without spiffe_id: one for every identity", MODE_IDENTITY, wa_6_2_1_3, NULL },
	{ "WA-6.2.1-4", "with spiffe_id: that one alone", MODE_IDENTITY, wa_6_2_1_4, NULL },
	{ "WA-6.2.1-5", "one svid at least, each whole", MODE_IDENTITY, wa_6_2_1_5, NULL },
	{ "WA-6.2.1-6", "hints are unique", MODE_IDENTITY, wa_6_2_1_6, NULL },
	{ "WE-3-5", "FetchJWTSVID without the header is refused", MODE_BOTH, no_header, &fetch_jwt },
	{ "WE-3-5", "FetchJWTBundles without the header is refused", MODE_BOTH, no_header, &fetch_jwt_bundles },
	{ "WE-3-5", "ValidateJWTSVID without the header is refused", MODE_BOTH, no_header, &validate_jwt },
	WRONG("WA-6.2.1-7", "an identity of another: PermissionDenied", MODE_IDENTITY, &fetch_jwt, "one",
	      "spiffe://foreign.example/w", 7, "no identity issued", 0),
	WRONG("WA-6.2.1-7", "no identity: PermissionDenied", MODE_NONE, &fetch_jwt, "one", NULL, 7, "no identity issued", 0),
	WRONG("WA-6.2.2-5", "not entitled to JWT bundles: PermissionDenied", MODE_NONE, &fetch_jwt_bundles, NULL, NULL, 7,
	      "no identity issued", 0),
	WRONG("WA-4.5-1", "FetchJWTSVID without audience: InvalidArgument", MODE_BOTH, &fetch_jwt, NULL, NULL, 3, NULL, 0),
	WRONG("WA-4.5-1", "ValidateJWTSVID without audience: InvalidArgument", MODE_BOTH, &validate_jwt, NULL, "x.y.z", 3, NULL,
	      0),
	WRONG("WA-4.5-1", "ValidateJWTSVID without svid: InvalidArgument", MODE_BOTH, &validate_jwt, "one", NULL, 3, NULL, 0),
	WRONG("ARG-1", "an empty audience: InvalidArgument", MODE_IDENTITY, &fetch_jwt, "", NULL, 3, NULL, 0),
	WRONG("ARG-2", "spiffe_id that is none: InvalidArgument", MODE_IDENTITY, &fetch_jwt, "one", "not an ID", 3, NULL, 0),
	WRONG("ARG-3", "an audience that is not UTF-8: InvalidArgument", MODE_IDENTITY, &fetch_jwt, "\xff\xfe", NULL, 3, NULL,
	      0),
	WRONG("ARG-4", "1 000 audiences: InvalidArgument", MODE_IDENTITY, &fetch_jwt, "one", NULL, 3, NULL, 1000),
	{ 0 },
};
