/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sds.c - state of the world over SDS: names, ACK and NACK, nonces, versions, and requests that Envoy
 * never sends. svid-conformance; what the Secrets look like: sdsform.c, delta: sdsdelta.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conformance/sds.h"

/* Ask for names on a connection of its own; the answer has exactly those of @wanted. */
static enum verdict answered(struct run *r, const struct sds_request *q, const char *const *wanted)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, q, &a));
	return sds_has(r, &a, wanted);
}

static enum verdict any_mix(struct run *r)
{
	const struct own_names *own = sds_own(r);

	if (!own)
		return FAIL;
	TRY(answered(r, &SECRETS("default", "ROOTCA", "ALL", own->first, own->domain),
		     NAMES("default", "ROOTCA", "ALL", own->first, own->domain)));
	TRY(answered(r, &SECRETS(own->domain, "ROOTCA"), NAMES(own->domain, "ROOTCA")));
	return answered(r, &SECRETS(own->first, "default"), NAMES(own->first, "default"));
}

/* Istio: three subscriptions, by one request or by one growing list, and the third is none of ours. */
static enum verdict istio(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer one = { 0 };
	AUTO(sds_answer) struct sds_answer two = { 0 };
	AUTO(sds_answer) struct sds_answer three = { 0 };
	struct sds_request q = SECRETS("default");
	struct sds s;

	TRY(answered(r, &SECRETS("default", "ROOTCA", "file-root:system"), NAMES("default", "ROOTCA")));
	TRY(sds_begin(r, &c, &s, false, &q, &one));
	q = SECRETS("default", "ROOTCA");
	q = sds_ack(&q, &one);
	TRY(sds_ask(r, &s, &q, &two));
	TRY(sds_has(r, &two, NAMES("default", "ROOTCA")));
	q = SECRETS("default", "ROOTCA", "file-root:system");
	q = sds_ack(&q, &two);
	TRY(sds_say(r, &s, &q));
	/* An answer with the same two secrets is no fault; an end would be. */
	if (wire_wait(&c.w, s.id, UNTIL_MESSAGE, SDS_QUIET_MS) == 0) {
		TRY(sds_hear(r, &s, &three));
		TRY(sds_has(r, &three, NAMES("default", "ROOTCA")));
	}
	return s.p->ended || s.p->reset ? fail(r, "file-root:system ended the stream: %s", reply_text(0, s.p)) : PASS;
}

/* Every identity and every bundle by its ID; nothing under a name that only stands for another. */
static enum verdict no_names(struct run *r)
{
	const struct own_names *own = sds_own(r);
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds s;

	if (!own || !run_bundles(r))
		return FAIL;
	TRY(sds_begin(r, &c, &s, false, &SECRETS(NULL), &a));
	if (!sds_find(&a, own->first) || !sds_find(&a, own->domain))
		return fail(r, "own identity or own bundle is missing");
	for (size_t i = 0; i < a.n; i++) {
		if (!slice_starts(a.secrets[i].name, slice_str("spiffe://")))
			return fail(r, "a secret that is not named by its ID");
	}
	return a.n == r->svids.n_svids + r->bundles.n_bundles ?
		       PASS :
		       fail(r, "%zu secrets for %zu SVIDs and %zu bundles", a.n, r->svids.n_svids, r->bundles.n_bundles);
}

static const char *const strangers[] = { "nothing", "spiffe://e2e.test/somebody/else", "spiffe://unknown.example",
					 "file-cert:/etc/cert~/etc/key", "SPIFFE://E2E.TEST/first" };

/* Alone, and beside a good name: the good one is answered then and later. */
static enum verdict unknown_names(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct sds s;

	TRY(sds_connect(r, &c));
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		AUTO(sds_answer) struct sds_answer a = { 0 };

		TRY(answered(r, &SECRETS(strangers[i], "ROOTCA"), NAMES("ROOTCA")));
		TRY(sds_open(r, &c, false, &s));
		TRY(sds_say(r, &s, &SECRETS(strangers[i])));
		if (wire_wait(&c.w, s.id, UNTIL_MESSAGE, SDS_QUIET_MS / 2) == 0) {
			AUTO(sds_answer) struct sds_answer none = { 0 };

			TRY(sds_hear(r, &s, &none));
			if (none.n)
				return fail(r, "\"%s\" is answered", strangers[i]);
		}
		TRY(sds_ask(r, &s, &SECRETS(strangers[i], "default"), &a));
		TRY(sds_has(r, &a, NAMES("default")));
	}
	return PASS;
}

static enum verdict twice(struct run *r)
{
	return answered(r, &SECRETS("default", "default", "ROOTCA", "default"), NAMES("default", "ROOTCA"));
}

/* Who must stay quiet asks for bundles: an SVID may be rotated at that very moment. */
static enum verdict ack_is_quiet(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds_request q = SECRETS("ALL", "ROOTCA");
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	TRY(sds_quiet(r, &s, "the first answer"));
	q = sds_ack(&q, &a);
	TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "an ACK"));
	TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "a second ACK"));
	/* The same set in another order is the same set. */
	q.names[0] = "ROOTCA";
	q.names[1] = "ALL";
	TRY(sds_say(r, &s, &q));
	return sds_quiet(r, &s, "an ACK with the names in another order");
}

static struct sds_request nack(const struct sds_request *q, const struct sds_answer *a)
{
	struct sds_request n = sds_ack(q, a);

	n.version = slice_of(NULL, 0); /* no version was ever taken */
	n.error = "Failed to load \x1b[31m private\nkey %s %n";
	return n;
}

static enum verdict nack_is_quiet(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	struct sds_request q = SECRETS("ALL");
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	q = nack(&q, &a);
	for (int i = 0; i < 5; i++)
		TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "a NACK"));
	q.names[1] = "ROOTCA";
	TRY(sds_ask(r, &s, &q, &b));
	return sds_has(r, &b, NAMES("ALL", "ROOTCA"));
}

/* An error of 60 KB, which must neither fill a log nor break the stream. */
static enum verdict long_nack(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	static char text[60000];
	struct sds_request q = SECRETS("ROOTCA");
	struct sds s;

	memset(text, 'e', sizeof(text) - 1);
	TRY(sds_begin(r, &c, &s, false, &q, &a));
	q = nack(&q, &a);
	q.error = text;
	TRY(sds_say(r, &s, &q));
	int err = wire_wait(&c.w, s.id, UNTIL_MESSAGE, SDS_QUIET_MS);

	if (err != -ETIMEDOUT && (!s.p->ended || s.p->grpc_status != 8))
		return fail(r, "neither quiet nor ResourceExhausted: %s", reply_text(err, s.p));
	return want_alive(r, "a NACK of 60 KB");
}

static enum verdict stale_nonce(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	AUTO(sds_answer) struct sds_answer d = { 0 };
	struct sds_request q = SECRETS("ALL");
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	q = SECRETS("ALL", "ROOTCA");
	q = sds_ack(&q, &a);
	TRY(sds_ask(r, &s, &q, &b));
	q = SECRETS("default");
	q = sds_ack(&q, &a); /* of the answer before */
	TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "a request with a stale nonce"));
	q.nonce = slice_str("never-sent");
	TRY(sds_say(r, &s, &q));
	TRY(sds_quiet(r, &s, "a request with a nonce that never was"));
	q = sds_ack(&q, &b);
	TRY(sds_ask(r, &s, &q, &d));
	return sds_has(r, &d, NAMES("default"));
}

static enum verdict changed_subscription(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	AUTO(sds_answer) struct sds_answer d = { 0 };
	struct sds_request q = SECRETS("default");
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	q = SECRETS("ROOTCA");
	q = sds_ack(&q, &a);
	TRY(sds_ask(r, &s, &q, &b));
	TRY(sds_has(r, &b, NAMES("ROOTCA")));
	q = SECRETS("default", "ALL"); /* version and nonce empty, as on a new stream */
	TRY(sds_ask(r, &s, &q, &d));
	return sds_has(r, &d, NAMES("default", "ALL"));
}

/* Fewer names need no answer, but the next change must not bring what was given up. */
static enum verdict smaller_subscription(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	struct sds_request q = SECRETS("default", "ROOTCA", "ALL");
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	q = SECRETS("ROOTCA");
	q = sds_ack(&q, &a);
	TRY(sds_say(r, &s, &q));
	if (wire_wait(&c.w, s.id, UNTIL_MESSAGE, SDS_QUIET_MS))
		return s.p->ended ? fail(r, "ended: %s", reply_text(0, s.p)) : PASS;
	TRY(sds_hear(r, &s, &b));
	return sds_has(r, &b, NAMES("ROOTCA"));
}

static enum verdict wrong_type(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds_request q = SECRETS("default");
	struct sds s, other;

	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, false, &other));
	TRY(sds_open(r, &c, false, &s));
	q.type_url = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
	TRY(sds_say(r, &s, &q));
	TRY(sds_ends(r, &s, 3, 3));
	TRY(sds_ask(r, &other, &SECRETS("default"), &a));
	return sds_has(r, &a, NAMES("default"));
}

/* Also later on a stream, after good requests. */
static enum verdict wrong_type_later(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds_request q = SECRETS("default");
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	q = sds_ack(&q, &a);
	q.type_url = VALIDATOR_TYPE;
	TRY(sds_say(r, &s, &q));
	return sds_ends(r, &s, 3, 3);
}

static enum verdict empty_type(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds_request q = SECRETS("default");
	struct sds s;

	q.type_url = NULL;
	TRY(sds_begin(r, &c, &s, false, &q, &a));
	TRY(sds_has(r, &a, NAMES("default")));
	return slice_eq_str(a.type_url, SECRET_TYPE) ? PASS : fail(r, "type_url is not that of a Secret");
}

static enum verdict unknown_fields(struct run *r)
{
	AUTO(buf) struct buf more = BUF_INIT(4096);
	struct sds_request q = SECRETS("default");

	put_text(&more, 7, slice_str("\n\4name")); /* resource_locators */
	put_text(&more, 15, slice_str("of tomorrow"));
	buf_put(&more, "\x80\x01\x05", 3);			     /* 16, a varint */
	buf_put(&more, "\x89\x01\1\2\3\4\5\6\7\x8", 10);	     /* 17, 8 bytes */
	buf_put(&more, "\x95\x01\1\2\3\4", 6);			     /* 18, 4 bytes */
	q.more = buf_slice(&more);
	return answered(r, &q, NAMES("default"));
}

/* Refused at once, at the prefix, before the bytes came. */
static enum verdict oversized(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct sds s;
	uint8_t prefix[5] = { 0 };

	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, false, &s));
	wire_put32(prefix + 1, 64 << 20);
	if (wire_frame(&c.w, NGHTTP2_DATA, 0, s.id, prefix, sizeof(prefix)))
		return fail(r, "cannot send");
	TRY(sds_ends(r, &s, 8, 8));
	return want_alive(r, "a request of 64 MiB");
}

static enum verdict not_protobuf(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct sds_request q = { .more = slice_str("\x1a\x7fxx") };
	struct sds s;

	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, false, &s));
	TRY(sds_say(r, &s, &q));
	return sds_ends(r, &s, 13, 3);
}

static enum verdict many_names(struct run *r, unsigned int n, size_t length)
{
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf more = BUF_INIT(1 << 22);
	static char name[8192];
	struct sds_request q = { .type_url = SECRET_TYPE, .names = { "default" } };
	struct sds s;

	memset(name, 'n', sizeof(name));
	for (unsigned int i = 0; i < n; i++) {
		int len = snprintf(name, sizeof(name), "%u-", i);

		name[len] = 'n';
		put_text(&more, 3, slice_of(name, length));
	}
	q.more = buf_slice(&more);
	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, false, &s));
	TRY(sds_say(r, &s, &q));
	TRY(sds_ends(r, &s, 3, 8));
	return want_alive(r, "a request with too many names");
}

/* A name longer than any SPIFFE ID. */
static enum verdict long_name(struct run *r)
{
	return many_names(r, 1, 4096);
}

static enum verdict too_many_names(struct run *r)
{
	return many_names(r, 2000, 20);
}

/* 100 requests that are never answered, each with other names: nothing piles up and the last one counts. */
static enum verdict flood(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	char name[32];
	struct sds s;

	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, false, &s));
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "nobody-%d", i);
		TRY(sds_say(r, &s, &SECRETS(name)));
	}
	TRY(sds_say(r, &s, &SECRETS("nobody", "ROOTCA")));
	for (int i = 0; i < 102; i++) {
		sds_answer_done(&a);
		TRY(sds_hear(r, &s, &a));
		if (a.n)
			return sds_has(r, &a, NAMES("ROOTCA"));
	}
	return fail(r, "more answers than requests");
}

/* Streams that are given up at once leave nothing behind that would hinder others. */
static enum verdict abandoned(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds s;
	uint8_t cancel[4];

	wire_put32(cancel, NGHTTP2_CANCEL);
	TRY(sds_connect(r, &c));
	for (int i = 0; i < 200; i++) {
		TRY(sds_open(r, &c, i % 2, &s));
		TRY(sds_say(r, &s, &SECRETS("default", "ROOTCA", "ALL")));
		if (wire_frame(&c.w, NGHTTP2_RST_STREAM, 0, s.id, cancel, sizeof(cancel)))
			return fail(r, "cannot send");
	}
	TRY(sds_open(r, &c, false, &s));
	TRY(sds_ask(r, &s, &SECRETS("ROOTCA"), &a));
	return sds_has(r, &a, NAMES("ROOTCA"));
}

/* A request byte by byte, then two in one frame: the second of them is what counts. */
static enum verdict any_framing(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(buf) struct buf two = BUF_INIT(4096);
	static const char *const lists[] = { "default", "ALL", "ROOTCA" };
	struct sds s;

	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, false, &s));
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		AUTO(buf) struct buf m = BUF_INIT(4096);
		AUTO(buf) struct buf one = BUF_INIT(4096);

		sds_request_put(&m, false, &SECRETS(lists[i]));
		buf_put_u8(&one, 0);
		buf_put_be32(&one, (uint32_t)m.len);
		buf_put_slice(&one, buf_slice(&m));
		for (size_t k = 0; i == 0 && k < one.len; k++) {
			if (wire_frame(&c.w, NGHTTP2_DATA, 0, s.id, one.data + k, 1))
				return fail(r, "cannot send");
		}
		if (i > 0)
			buf_put_slice(&two, buf_slice(&one));
	}
	TRY(sds_hear(r, &s, &a));
	TRY(sds_has(r, &a, NAMES("default")));
	if (wire_frame(&c.w, NGHTTP2_DATA, 0, s.id, two.data, two.len))
		return fail(r, "cannot send");
	for (int i = 0; i < 2 && !sds_find(&a, "ROOTCA"); i++) {
		sds_answer_done(&a);
		TRY(sds_hear(r, &s, &a));
	}
	return sds_has(r, &a, NAMES("ROOTCA"));
}

/* grpcurl ends its side after the request: the answer comes, and the watch goes on. */
static enum verdict half_closed(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf m = BUF_INIT(4096);
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds s = { .c = &c };
	int err = call_connect(r, &c);

	sds_request_put(&m, false, &SECRETS("ALL", "ROOTCA"));
	if (!err)
		err = call_send(&c, &stream_secrets, buf_slice(&m), UNTIL_MESSAGE);
	if (err)
		return fail(r, "no answer: %s", reply_text(err, c.p));
	s.id = c.id;
	s.p = c.p;
	TRY(sds_hear(r, &s, &a));
	TRY(sds_has(r, &a, NAMES("ALL", "ROOTCA")));
	return sds_quiet(r, &s, "the end of the client's side");
}

/* A client that refuses everything, again and again: no answers, and others do not notice. */
static enum verdict refuser(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	struct sds_request q = SECRETS("ROOTCA");
	struct sds s;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	for (int i = 0; i < 400; i++) {
		q = SECRETS(i % 2 ? "ROOTCA" : "ALL");
		sds_answer_done(&a);
		TRY(sds_ask(r, &s, &q, &a));
		q = nack(&q, &a);
		TRY(sds_say(r, &s, &q));
	}
	TRY(sds_quiet(r, &s, "400 NACKs"));
	return want_alive(r, "400 NACKs");
}

static enum verdict compressed(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct sds s;

	TRY(sds_connect(r, &c));
	TRY(sds_open(r, &c, false, &s));
	if (wire_frame(&c.w, NGHTTP2_DATA, 0, s.id, "\1\0\0\0\1x", 6))
		return fail(r, "cannot send");
	return sds_ends(r, &s, 12, 13);
}

/* What Envoy does after a broken connection: a new stream with the version that it has, and no nonce. */
static enum verdict comes_back(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	AUTO(sds_answer) struct sds_answer d = { 0 };
	struct sds_request q = SECRETS("default");
	struct sds s, next, later;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	TRY(sds_open(r, &c, false, &next));
	q.version = slice_str("17"); /* of another server's life */
	TRY(sds_ask(r, &next, &q, &b));
	TRY(sds_has(r, &b, NAMES("default")));
	TRY(sds_open(r, &c, false, &later));
	q.names[1] = "ROOTCA";
	q.version = a.version;
	TRY(sds_ask(r, &later, &q, &d));
	return sds_has(r, &d, NAMES("default", "ROOTCA"));
}

static enum verdict header_not_needed(struct run *r)
{
	return answered(r, &SECRETS("ROOTCA"), NAMES("ROOTCA"));
}

/* The same bytes have one version, on every stream; each answer of a stream has a nonce of its own. */
static enum verdict versions_and_nonces(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	AUTO(sds_answer) struct sds_answer d = { 0 };
	struct sds_request q = SECRETS("ROOTCA", "ALL");
	struct sds s, other;

	TRY(sds_begin(r, &c, &s, false, &q, &a));
	TRY(sds_open(r, &c, false, &other));
	TRY(sds_ask(r, &other, &q, &b));
	if (!a.version.len || !slice_eq(a.version, b.version))
		return fail(r, "equal bytes, but versions \"%.*s\" and \"%.*s\"", (int)a.version.len,
			    (const char *)a.version.p, (int)b.version.len, (const char *)b.version.p);
	q.names[1] = "default";
	q = sds_ack(&q, &a);
	TRY(sds_ask(r, &s, &q, &d));
	return slice_eq(a.nonce, d.nonce) ? fail(r, "two answers of a stream with one nonce") : PASS;
}

const struct test sds_tests[] = {
	{ "SDS-1", "any mix of names in one request", MODE_IDENTITY, any_mix, NULL },
	{ "SDS-1", "a name given twice is answered once", MODE_IDENTITY, twice, NULL },
	{ "SDS-2", "Istio's default, ROOTCA and file-root:system in one stream", MODE_IDENTITY, istio, NULL },
	{ "SDS-3", "no names: each identity and bundle by its ID", MODE_IDENTITY, no_names, NULL },
	{ "SDS-4", "unknown names are left out and the stream lives", MODE_IDENTITY, unknown_names, NULL },
	{ "SDS-5", "an ACK is not answered", MODE_IDENTITY, ack_is_quiet, NULL },
	{ "SDS-6", "a NACK is not answered until the names change", MODE_IDENTITY, nack_is_quiet, NULL },
	{ "SDS-6", "a NACK of 60 KB harms nobody", MODE_IDENTITY, long_nack, NULL },
	{ "SDS-6", "400 NACKs harm nobody", MODE_IDENTITY, refuser, NULL },
	{ "SDS-7", "a stale nonce is ignored", MODE_IDENTITY, stale_nonce, NULL },
	{ "SDS-8", "changed names are answered, with the current or an empty nonce", MODE_IDENTITY, changed_subscription, NULL },
	{ "SDS-8", "fewer names: what was given up does not come", MODE_IDENTITY, smaller_subscription, NULL },
	{ "SDS-9", "another type_url: InvalidArgument for that stream only", MODE_IDENTITY, wrong_type, NULL },
	{ "SDS-9", "another type_url later: InvalidArgument", MODE_IDENTITY, wrong_type_later, NULL },
	{ "SDS-10", "no type_url is ours; answers carry it", MODE_IDENTITY, empty_type, NULL },
	{ "SDS-11", "unknown fields are skipped", MODE_IDENTITY, unknown_fields, NULL },
	{ "SDS-12", "an oversized request: ResourceExhausted, others are served", MODE_IDENTITY, oversized, NULL },
	{ "SDS-12", "a request that is not protobuf is an error", MODE_IDENTITY, not_protobuf, NULL },
	{ "SDS-12", "too many names are an error, others are served", MODE_IDENTITY, too_many_names, NULL },
	{ "SDS-12", "a name of 4 KB is an error, others are served", MODE_IDENTITY, long_name, NULL },
	{ "SDS-12", "200 streams given up at once harm nobody", MODE_IDENTITY, abandoned, NULL },
	{ "SDS-12", "100 requests with other names each: the last one counts", MODE_IDENTITY, flood, NULL },
	{ "SDS-13", "no security header is asked for", MODE_IDENTITY, header_not_needed, NULL },
	{ "SDS-30", "a client that comes back with a version is answered", MODE_IDENTITY, comes_back, NULL },
	{ "SDS-31", "requests in any framing", MODE_IDENTITY, any_framing, NULL },
	{ "SDS-31", "a client that ended its side is answered and goes on", MODE_IDENTITY, half_closed, NULL },
	{ "SDS-31", "compressed flag: Unimplemented", MODE_IDENTITY, compressed, NULL },
	{ "SDS-14", "equal bytes have one version, each answer a nonce", MODE_IDENTITY, versions_and_nonces, NULL },
	{ 0 },
};
