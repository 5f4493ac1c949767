// SPDX-License-Identifier: Apache-2.0
/*
 * fetch_jwt.c - `svid fetch jwt`, `svid fetch wit`: the token taken apart and checked like a strict client would. The
 * token itself is printed or written only in a form that carries it. svid, anybody.
 */
#include "agent/base/clock.h"
#include "agent/base/pb.h"
#include "agent/cli/cli.h"
#include "agent/cli/dump.h"
#include "agent/cli/files.h"
#include "agent/cli/grpc.h"
#include "agent/cli/jwt.h"

#define OUT_MAX (16u << 20) /* bytes of output: a response of LIM_GRPC_RESPONSE inside JSON */
#define NAME_WIDTH 12

/* One SVID of the answer. */
struct token {
	struct slice spiffe_id;
	struct slice text;
	struct slice key; /* WIT: JWK */
	struct slice hint;
};

/* What came, and what it is compared with. */
struct answer {
	enum jwt_profile profile;
	struct slice message; /* JWTSVIDResponse, WITSVIDResponse */
	struct slice bundles; /* JWTBundlesResponse, WITBundlesResponse; empty: not to be had */
};

/* JWTSVID: spiffe_id = 1, svid = 2, hint = 3. WITSVID: spiffe_id = 1, wit_svid = 2, wit_svid_key = 3, hint = 4. */
static int get_token(enum jwt_profile profile, const struct pb_field *f, struct token *ret_token)
{
	struct slice v[4];
	int err = f->wire == PB_BYTES ? pb_strings(f->bytes, v, profile == WIT_SVID ? 4 : 3) : -ERR_FORMAT;

	if (!err && profile == WIT_SVID)
		*ret_token = (struct token){ .spiffe_id = v[0], .text = v[1], .key = v[2], .hint = v[3] };
	else if (!err)
		*ret_token = (struct token){ .spiffe_id = v[0], .text = v[1], .hint = v[2] };
	return err;
}

static void put_times(struct buf *out, const struct jwt_report *r, int64_t now)
{
	AUTO(buf) struct buf line = BUF_INIT(256);
	char from[32], to[32];

	clock_rfc3339(r->not_before ? r->not_before : r->issued_at, from);
	clock_rfc3339(r->not_after, to);
	if (r->not_before || r->issued_at)
		buf_printf(&line, "%s to %s, ", from, to);
	else
		buf_printf(&line, "until %s, ", to);
	cli_left(&line, r->not_after, now);
	cli_field(out, NAME_WIDTH, "valid", buf_slice(&line));
}

static void put_claim(struct buf *out, const char *name, const json_t *value)
{
	AUTO(buf) struct buf line = BUF_INIT(LIM_JWT);

	jwt_claim(&line, value);
	cli_field(out, NAME_WIDTH, name, buf_slice(&line));
}

static bool is_shown_elsewhere(const char *claim)
{
	static const char *const names[] = { "sub", "exp", "nbf", "iat" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(claim, names[i]) == 0)
			return true;
	return false;
}

static void put_object(struct buf *out, const char *prefix, json_t *object)
{
	json_t *value;
	const char *key;

	json_object_foreach(object, key, value) {
		AUTO(buf) struct buf name = BUF_INIT(LIM_JWT);

		if (is_shown_elsewhere(key))
			continue;
		buf_put_str(&name, prefix);
		buf_put_esc(&name, slice_str(key));
		put_claim(out, buf_cstr(&name), value);
	}
}

/* What was looked at. */
static void put_checks(struct buf *out, const struct answer *a)
{
	AUTO(buf) struct buf line = BUF_INIT(256);

	buf_put_str(&line, "passed: header, subject, validity, ");
	buf_put_str(&line, a->profile == WIT_SVID ? "key bound" : "audience");
	buf_put_str(&line, a->bundles.len ? ", signature" : "; the signature could not be checked without the bundle");
	cli_field(out, NAME_WIDTH, "checks", buf_slice(&line));
}

static void put_text(struct buf *out, const struct answer *a, const struct token *t, const struct jwt_report *r, int64_t now)
{
	cli_field(out, NAME_WIDTH, "SPIFFE ID", t->spiffe_id);
	if (t->hint.len)
		cli_field(out, NAME_WIDTH, "hint", t->hint);
	put_times(out, r, now);
	put_object(out, "header ", r->header);
	put_object(out, "claim ", r->claims);
	if (!r->problems.len)
		put_checks(out, a);
	cli_lines(out, NAME_WIDTH, "problem", buf_slice(&r->problems));
}

static void put_json_object(struct buf *out, const char *name, const json_t *object)
{
	buf_printf(out, ", \"%s\": ", name);
	json_put(out, object, JSON_ENSURE_ASCII);
}

static void put_json(struct buf *out, const struct token *t, const struct jwt_report *r, enum jwt_profile profile)
{
	char from[32], to[32];

	clock_rfc3339(r->not_before ? r->not_before : r->issued_at, from);
	clock_rfc3339(r->not_after, to);
	buf_put_str(out, "{\"spiffe_id\": ");
	buf_put_json(out, t->spiffe_id);
	cli_json(out, "hint", t->hint);
	cli_json(out, "not_before", slice_str(from));
	cli_json(out, "not_after", slice_str(to));
	put_json_object(out, "header", r->header);
	put_json_object(out, "claims", r->claims);
	cli_json_lines(out, "problems", buf_slice(&r->problems));
	cli_json(out, "token", t->text);
	if (profile == WIT_SVID)
		cli_json(out, "key_jwk", t->key);
	buf_put_str(out, "}");
}

static int write_file(const struct cli *c, size_t i, const char *suffix, struct slice content)
{
	AUTO(buf) struct buf name = BUF_INIT(64);
	int err;

	buf_printf(&name, "svid.%zu.%s", i, suffix);
	err = file_replace(c->write_dir, buf_cstr(&name), content, 0600);
	if (err)
		cli_write_error(c, buf_cstr(&name), err);
	return err;
}

/* Readers of token files take every byte as the token: no newline. The key first, as in fetch.c. */
static int write_token(const struct cli *c, size_t i, enum jwt_profile profile, const struct token *t)
{
	int err = profile == WIT_SVID ? write_file(c, i, "wit.jwk", t->key) : 0;

	return err ? err : write_file(c, i, profile == WIT_SVID ? "wit" : "jwt", t->text);
}

/* The JWK Set of the trust domain that this SPIFFE ID is in; one without keys when there is none. */
static struct slice keys_of(struct slice bundles, struct slice id)
{
	struct slice none = bundles.len ? slice_str("{}") : slice_of(NULL, 0);

	for (struct pb_field f; pb_next(&bundles, &f);) {
		struct slice entry[2];

		if (f.number != 1 || f.wire != PB_BYTES || pb_strings(f.bytes, entry, ARRAY_SIZE(entry)))
			continue;
		if (slice_starts(id, entry[0]) && id.len > entry[0].len && id.p[entry[0].len] == '/')
			return entry[1];
	}
	return none;
}

/* *ret_good: whether a strict client would take it. */
static int put_token(const struct cli *c, struct buf *out, const struct answer *a, const struct token *t, size_t i,
		     bool *ret_good)
{
	AUTO(jwt_report) struct jwt_report r = JWT_REPORT_INIT;
	const struct jwt_want want = { .profile = a->profile, .spiffe_id = t->spiffe_id, .key = t->key,
				       .audiences = c->audiences, .n_audiences = c->n_audiences,
				       .jwks = keys_of(a->bundles, t->spiffe_id) };
	int64_t now = clock_wall_s();
	int err = jwt_inspect(t->text, &want, now, &r);

	if (err)
		return err;
	if (c->output == OUT_JSON) {
		buf_put_str(out, i ? ",\n  " : "");
		put_json(out, t, &r, a->profile);
	} else if (c->output == OUT_TOKEN) {
		buf_put_slice(out, t->text);
		buf_put_str(out, "\n");
		if (r.problems.len)
			cli_error("warning: problems of", "the token", buf_cstr(&r.problems), NULL);
	} else {
		buf_put_str(out, i ? "\n" : "");
		put_text(out, a, t, &r, now);
	}
	*ret_good = !r.problems.len;
	return buf_ok(out);
}

static int put_tokens(const struct cli *c, struct buf *out, const struct answer *a, bool *ret_good)
{
	struct slice message = a->message;
	bool good, all_good = true;
	size_t n = 0;
	int err = 0;

	for (struct pb_field f; !err && pb_next(&message, &f);) {
		struct token t;

		if (f.number != 1)
			continue;
		err = get_token(a->profile, &f, &t);
		if (!err)
			err = put_token(c, out, a, &t, n++, &good);
		all_good = all_good && !err && good;
	}
	*ret_good = all_good && n;
	return err ? err : slice_ok(&message) ? 0 : -ERR_FORMAT;
}

/* After everything was looked at, so that an answer that cannot be used replaces no file. */
static int write_tokens(const struct cli *c, enum jwt_profile profile, struct slice message)
{
	size_t n = 0;
	int err = 0;

	for (struct pb_field f; !err && pb_next(&message, &f);) {
		struct token t;

		if (f.number != 1)
			continue;
		err = get_token(profile, &f, &t);
		if (!err)
			err = write_token(c, n++, profile, &t);
	}
	return err;
}

static int show(const struct cli *c, const struct answer *a)
{
	AUTO(buf) struct buf out = BUF_INIT_SECRET(OUT_MAX);
	bool good = false;
	int err;

	buf_put_str(&out, c->output == OUT_JSON ? "{\"svids\": [" : "");
	err = put_tokens(c, &out, a, &good);
	if (err)
		return cli_agent_error(c->socket, err);
	if (c->write_dir && write_tokens(c, a->profile, a->message))
		return CLI_LOCAL;
	buf_put_str(&out, c->output == OUT_JSON ? "]}\n" : "");
	if (c->write_dir && c->output == OUT_TEXT) {
		buf_put_str(&out, "\n");
		cli_field(&out, NAME_WIDTH, "written to", slice_str(c->write_dir));
	}
	return cli_print(&out, good ? CLI_DONE : CLI_NO);
}

static int fetch(const struct cli *c, enum jwt_profile profile, const char *method, struct slice request)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	AUTO(grpc_reply) struct grpc_reply keys = GRPC_REPLY_INIT;
	const char *bundles = profile == WIT_SVID ? "/SpiffeWorkloadAPI/FetchWITBundles" : "/SpiffeWorkloadAPI/FetchJWTBundles";
	struct answer a = { .profile = profile };
	int err = grpc_call(c->socket, method, request, profile == WIT_SVID, c->timeout_ms, &reply);

	if (err)
		return cli_agent_error(c->socket, err);
	if (reply.status)
		return cli_status_error(c->socket, reply.status, buf_slice(&reply.message));
	a.message = reply.body;
	/* Asked for behind the tokens, so that their key is in it. */
	if (!grpc_call(c->socket, bundles, slice_of(NULL, 0), true, c->timeout_ms, &keys) && !keys.status)
		a.bundles = keys.body;
	return show(c, &a);
}

void fetch_jwt_request(const struct cli *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_audiences; i++)
		pb_put(out, 1, slice_str(c->audiences[i]));
	pb_put(out, 2, slice_str(c->spiffe_id));
}

int fetch_jwt(const struct cli *c)
{
	AUTO(buf) struct buf request = BUF_INIT(LIM_GRPC_MESSAGE);

	if (!c->n_audiences) {
		cli_error("option", "--audience", "a JWT-SVID is made for somebody, and this says for whom",
			  "svid fetch jwt --audience NAME-OF-THE-RECEIVER");
		return CLI_USAGE;
	}
	fetch_jwt_request(c, &request);
	return fetch(c, JWT_SVID, "/SpiffeWorkloadAPI/FetchJWTSVID", buf_slice(&request));
}

int fetch_wit(const struct cli *c)
{
	AUTO(buf) struct buf request = BUF_INIT(LIM_GRPC_MESSAGE);

	pb_put(&request, 1, slice_str(c->spiffe_id));
	return fetch(c, WIT_SVID, "/SpiffeWorkloadAPI/FetchWITSVID", buf_slice(&request));
}
