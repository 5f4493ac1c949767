/* SPDX-License-Identifier: Apache-2.0 */
/* sdsdelta.c - the incremental form of SDS, the unary one, and callers without identity. svid-conformance. */
#include <errno.h>
#include <stdio.h>

#include "conformance/sds.h"

static enum verdict has_removed(struct run *r, const struct sds_answer *a, const char *name)
{
	return sds_removed(a, name) ? PASS : fail(r, "\"%.200s\" is not among removed_resources", name);
}

static enum verdict subscribe(struct run *r)
{
	const struct own_names *own = sds_own(r);
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds s;

	if (!own)
		return FAIL;
	TRY(sds_begin(r, &c, &s, true, &SECRETS("default", "ROOTCA", "ALL", own->first, own->domain), &a));
	TRY(sds_has(r, &a, NAMES("default", "ROOTCA", "ALL", own->first, own->domain)));
	return a.n_removed ? fail(r, "removed_resources without an unknown name") : PASS;
}

/* A name that is nothing is said to be nothing, once, and the rest is served. */
static enum verdict unknown(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	struct sds_request q = SECRETS("ROOTCA", "file-root:system");
	struct sds s;

	TRY(sds_begin(r, &c, &s, true, &q, &a));
	TRY(sds_has(r, &a, NAMES("ROOTCA")));
	TRY(has_removed(r, &a, "file-root:system"));
	q = (struct sds_request){ .type_url = SECRET_TYPE, .nonce = a.nonce };
	TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "an ACK"));
	TRY(sds_ask(r, &s, &SECRETS("spiffe://unknown.example/x"), &b));
	TRY(sds_has(r, &b, NAMES(NULL)));
	return has_removed(r, &b, "spiffe://unknown.example/x");
}

static enum verdict ack_and_nack(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	struct sds_request q = SECRETS("ALL");
	struct sds s;

	TRY(sds_begin(r, &c, &s, true, &q, &a));
	q = (struct sds_request){ .type_url = SECRET_TYPE, .nonce = a.nonce };
	TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "an ACK"));
	q.error = "no";
	TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "a NACK"));
	/* A subscription counts whatever nonce is beside it. */
	q = SECRETS("ROOTCA");
	q.nonce = slice_str("never-sent");
	TRY(sds_ask(r, &s, &q, &b));
	return sds_has(r, &b, NAMES("ROOTCA"));
}

/* Only what is new is sent; nothing twice. */
static enum verdict one_more(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	struct sds s;

	TRY(sds_begin(r, &c, &s, true, &SECRETS("ALL"), &a));
	TRY(sds_ask(r, &s, &SECRETS("ROOTCA"), &b));
	TRY(sds_has(r, &b, NAMES("ROOTCA")));
	return slice_eq(a.nonce, b.nonce) ? fail(r, "two answers with one nonce") : PASS;
}

/* Given up, there is silence; wanted again, it comes again, for a client may have dropped it. */
static enum verdict unsubscribe(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	struct sds_request drop = { .type_url = SECRET_TYPE, .drop = { "default", "never-asked-for" } };
	struct sds s;

	TRY(sds_begin(r, &c, &s, true, &SECRETS("default", "ROOTCA"), &a));
	TRY(sds_say(r, &s, &drop));
	TRY(sds_quiet(r, &s, "giving a name up"));
	TRY(sds_ask(r, &s, &SECRETS("default"), &b));
	return sds_has(r, &b, NAMES("default"));
}

static enum verdict has_all(struct run *r, const struct sds_answer *a)
{
	const struct own_names *own = sds_own(r);

	if (!own || !run_bundles(r))
		return FAIL;
	if (!sds_find(a, own->first) || !sds_find(a, own->domain))
		return fail(r, "own identity or own bundle is missing");
	return a->n == r->svids.n_svids + r->bundles.n_bundles ?
		       PASS :
		       fail(r, "%zu secrets for %zu SVIDs and %zu bundles", a->n, r->svids.n_svids, r->bundles.n_bundles);
}

/* "*", and, as it was before there was a "*", a first request that subscribes to nothing. */
static enum verdict wildcard(struct run *r)
{
	const char *const star[] = { "*", NULL };

	for (size_t i = 0; i < 2; i++) {
		AUTO(call) struct call c = { 0 };
		AUTO(sds_answer) struct sds_answer a = { 0 };
		AUTO(sds_answer) struct sds_answer b = { 0 };
		struct sds_request drop = { .type_url = SECRET_TYPE, .drop = { "*" } };
		struct sds s;

		TRY(sds_begin(r, &c, &s, true, &SECRETS(star[i]), &a));
		TRY(has_all(r, &a));
		TRY(sds_say(r, &s, &drop));
		if (wire_wait(&c.w, s.id, UNTIL_MESSAGE, SDS_QUIET_MS) == 0) {
			TRY(sds_hear(r, &s, &b));
			TRY(sds_has(r, &b, NAMES(NULL)));
			sds_answer_done(&b);
		}
		TRY(sds_ask(r, &s, &SECRETS("default"), &b));
		TRY(sds_has(r, &b, NAMES("default")));
	}
	return PASS;
}

/* A client that comes back says what it has: that is not sent again, anything else is. */
static enum verdict initial_versions(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	struct sds_request q = SECRETS("ROOTCA");
	struct sds s, next;

	TRY(sds_begin(r, &c, &s, true, &q, &a));
	TRY(sds_has(r, &a, NAMES("ROOTCA")));
	q.initial_name = "ROOTCA";
	q.initial_version = a.secrets[0].version;
	TRY(sds_open(r, &c, true, &next));
	TRY(sds_say(r, &next, &q));
	TRY(sds_quiet(r, &next, "a subscription to what the client has"));
	q.initial_version = slice_str("of-another-life");
	TRY(sds_open(r, &c, true, &next));
	TRY(sds_ask(r, &next, &q, &b));
	return sds_has(r, &b, NAMES("ROOTCA"));
}

/* Names that pile up request by request end at the same limit as those that come at once. */
static enum verdict pile(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct sds s;
	char names[8][32];

	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, true, &s));
	for (unsigned int i = 0; i < 1000 && !s.p->ended; i++) {
		struct sds_request q = { .type_url = SECRET_TYPE };

		for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
			snprintf(names[k], sizeof(names[k]), "nobody-%u-%zu", i, k);
			q.names[k] = names[k];
		}
		TRY(sds_say(r, &s, &q));
		(void)!wire_step(&c.w, 0);
		s.p->read = s.p->body.len; /* what there is not is of no interest */
	}
	TRY(sds_ends(r, &s, 3, 8));
	return want_alive(r, "8 000 names, 8 by 8");
}

static enum verdict wrong_type(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct sds_request q = SECRETS("default");
	struct sds s;

	q.type_url = "type.googleapis.com/envoy.config.listener.v3.Listener";
	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, true, &s));
	TRY(sds_say(r, &s, &q));
	return sds_ends(r, &s, 3, 3);
}

/* FetchSecrets, until its end. */
static enum verdict fetch(struct run *r, struct call *c, const struct sds_request *q)
{
	AUTO(buf) struct buf message = BUF_INIT(1 << 16);
	int err = call_connect(r, c);

	sds_request_put(&message, false, q);
	if (!err)
		err = call_send(c, &fetch_secrets, buf_slice(&message), UNTIL_END);
	return err ? fail(r, "no answer: %s", reply_text(err, c->p)) : PASS;
}

static enum verdict fetched(struct run *r, const struct sds_request *q, const char *const *names)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct slice m;

	TRY(fetch(r, &c, q));
	if (c.p->grpc_status != 0 || reply_message(c.p, &m) || sds_answer_parse(m, false, &a))
		return fail(r, "no answer: %s", reply_text(0, c.p));
	if (!a.version.len || !slice_eq_str(a.type_url, SECRET_TYPE))
		return fail(r, "an answer without version or type_url");
	return sds_has(r, &a, names);
}

static enum verdict unary(struct run *r)
{
	const struct own_names *own = sds_own(r);
	AUTO(call) struct call c = { 0 };
	struct sds_request wrong = { .type_url = VALIDATOR_TYPE, .names = { "default" } };

	if (!own)
		return FAIL;
	TRY(fetched(r, &SECRETS("default", "ROOTCA", "file-root:system"), NAMES("default", "ROOTCA")));
	TRY(fetched(r, &SECRETS(own->first, "ALL"), NAMES(own->first, "ALL")));
	TRY(fetch(r, &c, &wrong));
	return c.p->grpc_status == 3 ? PASS : fail(r, "another type_url: %s", reply_text(0, c.p));
}

/* The stream waits: an identity may come. Nothing is said, above all no bundle. */
static enum verdict nobody_stream(struct run *r)
{
	static const char *const names[] = { "ROOTCA", "ALL", "default", "spiffe://e2e.test", NULL };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO(call) struct call c = { 0 };
		AUTO(sds_answer) struct sds_answer a = { 0 };
		struct sds s;

		TRY(sds_connect(r, &c));
		TRY(sds_open(r, &c, false, &s));
		TRY(sds_say(r, &s, &SECRETS(names[i])));
		if (wire_wait(&c.w, s.id, UNTIL_MESSAGE, SDS_QUIET_MS) == 0) {
			TRY(sds_hear(r, &s, &a));
			TRY(sds_has(r, &a, NAMES(NULL)));
		}
	}
	return PASS;
}

static enum verdict nobody_delta(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds s;

	TRY(sds_begin(r, &c, &s, true, &SECRETS("default", "ROOTCA"), &a));
	TRY(sds_has(r, &a, NAMES(NULL)));
	TRY(has_removed(r, &a, "default"));
	TRY(has_removed(r, &a, "ROOTCA"));
	return sds_quiet(r, &s, "removed_resources");
}

static enum verdict nobody_unary(struct run *r)
{
	AUTO(call) struct call c = { 0 };

	TRY(fetch(r, &c, &SECRETS("ROOTCA")));
	if (c.p->grpc_status != 7 || !strstr(c.p->grpc_message, "no identity issued"))
		return fail(r, "wanted PermissionDenied, no identity issued: %s", reply_text(0, c.p));
	return PASS;
}

const struct test sds_delta_tests[] = {
	{ "SDS-20", "delta: each name with its version", MODE_IDENTITY, subscribe, NULL },
	{ "SDS-21", "delta: an unknown name is in removed_resources, the rest is served", MODE_IDENTITY, unknown, NULL },
	{ "SDS-22", "delta: ACK and NACK are not answered, subscriptions are", MODE_IDENTITY, ack_and_nack, NULL },
	{ "SDS-23", "delta: one more name brings that one alone", MODE_IDENTITY, one_more, NULL },
	{ "SDS-24", "delta: given up is silent, wanted again comes again", MODE_IDENTITY, unsubscribe, NULL },
	{ "SDS-25", "delta: a wildcard is each identity and bundle", MODE_IDENTITY, wildcard, NULL },
	{ "SDS-26", "delta: what a client has is not sent again", MODE_IDENTITY, initial_versions, NULL },
	{ "SDS-12", "delta: too many names, 8 by 8, are an error", MODE_IDENTITY, pile, NULL },
	{ "SDS-9", "delta: another type_url: InvalidArgument", MODE_IDENTITY, wrong_type, NULL },
	{ "SDS-27", "FetchSecrets answers once", MODE_IDENTITY, unary, NULL },
	{ "SDS-28", "without identity a stream is left waiting, without bundles", MODE_NONE, nobody_stream, NULL },
	{ "SDS-28", "without identity delta says that there is nothing", MODE_NONE, nobody_delta, NULL },
	{ "SDS-28", "without identity FetchSecrets: PermissionDenied, no identity issued", MODE_NONE, nobody_unary, NULL },
	{ 0 },
};
