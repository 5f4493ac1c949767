/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sdswatch.c - SDS streams over a rotation: what is pushed, what is not. svid-conformance.
 * sds_watch() is the same client for scripts: tests/e2e/sds_test.py reads its lines.
 */
#include <errno.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "conformance/sds.h"

/* One stream that is held; what it was told last. */
struct watched {
	struct sds s;
	struct sds_request q;
	struct sds_answer last;
	unsigned int pushes; /* after the first answer */
};

enum { FIRST, SECOND, ROOT, EVERY, REFUSED, NARROWED, DELTA, WATCHED };

static bool same_secrets(const struct sds_answer *a, const struct sds_answer *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (!slice_eq(a->secrets[i].all, b->secrets[i].all))
			return false;
	}
	return true;
}

/* Versions are decimal and grow, so that a person can compare them. */
static enum verdict newer(struct run *r, const struct sds_answer *a, const struct sds_answer *before)
{
	uint64_t now, was;

	if (slice_eq(a->nonce, before->nonce))
		return fail(r, "a push with the nonce of the answer before");
	if (slice_u64_dec(a->version, &now) || slice_u64_dec(before->version, &was))
		return fail(r, "a version that is no number");
	return now > was ? PASS : fail(r, "the version went from %llu to %llu", (unsigned long long)was, (unsigned long long)now);
}

static enum verdict judge_push(struct run *r, struct watched *w, const struct sds_answer *a)
{
	TRY(newer(r, a, &w->last));
	if (same_secrets(a, &w->last))
		return fail(r, "equal bytes pushed again for \"%s\"", w->q.names[0]);
	for (size_t i = 0; i < a->n; i++) {
		AUTO(certs) struct certs chain = { 0 };

		if (a->secrets[i].chain.len)
			TRY(sds_pair(r, &a->secrets[i], &chain));
	}
	if (w->s.delta && (a->n != 1 || !slice_eq_str(a->secrets[0].name, w->q.names[0])))
		return fail(r, "delta brought more than what changed");
	return PASS;
}

/* ACK, or once more NACK. */
static enum verdict confirm(struct run *r, struct watched *w, bool refuse)
{
	struct sds_request q = sds_ack(&w->q, &w->last);

	if (w->s.delta)
		q.names[0] = NULL;
	if (refuse) {
		q.version = slice_of(NULL, 0);
		q.error = "refused";
	}
	return sds_say(r, &w->s, &q);
}

static enum verdict take_push(struct run *r, struct watched *w, bool refuse)
{
	static struct sds_answer next;
	struct slice m;
	int err = reply_message(w->s.p, &m);

	if (w->s.p->ended || w->s.p->reset)
		return fail(r, "the stream of \"%s\" ended: %s", w->q.names[0], reply_text(0, w->s.p));
	if (err == -EAGAIN)
		return PASS;
	if (err || sds_answer_parse(m, w->s.delta, &next))
		return fail(r, "a push that does not parse");
	enum verdict v = judge_push(r, w, &next);

	sds_answer_done(&w->last);
	w->last = next;
	w->pushes++;
	return v == PASS ? confirm(r, w, refuse) : v;
}

/* Two streams asked for the second identity and do not want it any more. */
static enum verdict give_up(struct run *r, struct watched *w)
{
	struct sds_request drop = { .type_url = SECRET_TYPE, .drop = { w[SECOND].q.names[0] } };

	w[NARROWED].q = SECRETS("ROOTCA");
	TRY(confirm(r, &w[NARROWED], false));
	/* Other names may be answered at once; that is no push. */
	if (wire_wait(&w[NARROWED].s.c->w, w[NARROWED].s.id, UNTIL_MESSAGE, SDS_QUIET_MS) == 0) {
		sds_answer_done(&w[NARROWED].last);
		TRY(sds_hear(r, &w[NARROWED].s, &w[NARROWED].last));
	}
	return sds_say(r, &w[DELTA].s, &drop);
}

static enum verdict begin(struct run *r, struct call *c, struct watched *w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		TRY(sds_open(r, c, i == DELTA, &w[i].s));
		TRY(sds_ask(r, &w[i].s, &w[i].q, &w[i].last));
		TRY(confirm(r, &w[i], i == REFUSED));
	}
	return give_up(r, w);
}

/* Until both identities were rotated, and a moment longer. */
static enum verdict follow(struct run *r, struct call *c, struct watched *w)
{
	int64_t end = wire_now_ms() + (int64_t)r->watch_s * 1000;
	bool rotated = false;

	while (wire_now_ms() < end) {
		int err = wire_step(&c->w, 100);

		if (err && err != -ETIMEDOUT)
			return fail(r, "the connection ended (%s)", strerror(-err));
		for (size_t i = 0; i < WATCHED; i++)
			TRY(take_push(r, &w[i], i == REFUSED));
		if (!rotated && w[FIRST].pushes && w[SECOND].pushes) {
			rotated = true;
			end = wire_now_ms() + 1000;
		}
	}
	return rotated ? PASS : fail(r, "no rotation of both identities within %d s", r->watch_s);
}

static enum verdict judge_all(struct run *r, const struct watched *w)
{
	if (w[ROOT].pushes || w[EVERY].pushes)
		return fail(r, "bundles were pushed, though none changed");
	if (w[NARROWED].pushes)
		return fail(r, "a name that was given up was pushed");
	if (w[REFUSED].pushes != w[FIRST].pushes)
		return fail(r, "after a NACK %u of %u rotations came", w[REFUSED].pushes, w[FIRST].pushes);
	if (w[DELTA].pushes != w[FIRST].pushes)
		return fail(r, "delta brought %u of %u rotations", w[DELTA].pushes, w[FIRST].pushes);
	return PASS;
}

static enum verdict rotation(struct run *r)
{
	static struct watched w[WATCHED];
	const struct own_names *own = sds_own(r);
	AUTO(call) struct call c = { 0 };

	if (!own)
		return FAIL;
	if (!r->watch_s || !*own->second)
		return skip(r, "needs --watch SECONDS and two identities");
	memset(w, 0, sizeof(w));
	w[FIRST].q = SECRETS(own->first);
	w[SECOND].q = SECRETS(own->second);
	w[ROOT].q = SECRETS("ROOTCA");
	w[EVERY].q = SECRETS("ALL", own->domain);
	w[REFUSED].q = SECRETS("default");
	w[NARROWED].q = SECRETS("ROOTCA", own->second);
	w[DELTA].q = SECRETS(own->first, "ROOTCA", own->second);
	TRY(sds_connect(r, &c));
	enum verdict v = begin(r, &c, w, WATCHED);

	if (v == PASS)
		v = follow(r, &c, w);
	if (v == PASS)
		v = judge_all(r, w);
	for (size_t i = 0; i < WATCHED; i++)
		sds_answer_done(&w[i].last);
	return v;
}

const struct test sds_watch_tests[] = {
	{ "SDS-29", "a rotation reaches whom it concerns, whole, and nobody else", MODE_IDENTITY, rotation, NULL },
	{ 0 },
};

/* The client for scripts. */

static void put_member(struct buf *b, const char *name, struct slice value)
{
	buf_printf(b, "%s\"%s\":", b->data[b->len - 1] == '{' ? "" : ",", name);
	buf_put_json(b, value);
}

/* match_typed_subject_alt_names of type URI: who may be on the other side. */
static void put_peers(struct buf *b, struct slice context)
{
	const char *between = "";

	buf_put_str(b, ",\"peers\":[");
	while (context.len && slice_ok(&context)) {
		struct field f = field_get(&context);

		if (f.number != 15 || f.type != 2 || varint_field(f.bytes, 1) != 3)
			continue;
		struct slice matcher = sds_member(f.bytes, 2);
		struct field how = field_get(&matcher);
		AUTO(buf) struct buf text = BUF_INIT(8192);

		buf_put_str(&text, how.number == 1 ? "" : how.number == 2 ? "prefix:" : "?");
		buf_put_slice(&text, how.bytes);
		buf_put_str(b, between);
		buf_put_json(b, buf_slice(&text));
		between = ",";
	}
	buf_put_str(b, "]");
}

/* What of a Secret a script can compare; never the key. */
static void put_secret(struct buf *b, const struct secret *s)
{
	AUTO(certs) struct certs chain = { 0 };
	struct run scratch = { 0 };
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char hex[2 * sizeof(digest) + 1];

	SHA256(s->all.p, s->all.len, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	buf_put_str(b, "{");
	put_member(b, "name", s->name);
	put_member(b, "digest", slice_str(hex));
	put_member(b, "kind", slice_str(s->chain.len ? "certificate" : s->validator.len ? "validator" : "plain"));
	if (s->chain.len)
		buf_printf(b, ",\"pair\":%s", sds_pair(&scratch, s, &chain) == PASS ? "true" : "false");
	else
		put_member(b, "text", s->validator.len ? s->validator : s->trusted_ca);
	if (s->context.len)
		put_peers(b, s->context);
	buf_put_str(b, "}");
}

static void print_answer(const struct sds_answer *a)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 22);

	buf_put_str(&b, "{\"event\":\"message\"");
	put_member(&b, "version", a->version);
	put_member(&b, "nonce", a->nonce);
	buf_put_str(&b, ",\"secrets\":[");
	for (size_t i = 0; i < a->n; i++) {
		buf_put_str(&b, i ? "," : "");
		put_secret(&b, &a->secrets[i]);
	}
	buf_put_str(&b, "],\"removed\":[");
	for (size_t i = 0; i < a->n_removed; i++) {
		buf_put_str(&b, i ? "," : "");
		buf_put_json(&b, a->removed[i]);
	}
	printf("%s]}\n", buf_cstr(&b));
	fflush(stdout);
}

static void print_end(int err, const struct reply *p)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 16);

	buf_printf(&b, "{\"event\":\"ended\",\"status\":%d", p ? p->grpc_status : -1);
	put_member(&b, "text", slice_str(reply_text(err, p)));
	printf("%s}\n", buf_cstr(&b));
	fflush(stdout);
}

/* "a,b,c" in place; what does not fit is left out. */
static void split(char *names, struct sds_request *q)
{
	char *rest = NULL;
	size_t n = 0;

	for (char *at = strtok_r(names, ",", &rest); at && n < ARRAY_SIZE(q->names); at = strtok_r(NULL, ",", &rest))
		q->names[n++] = at;
}

static int watch_stream(struct run *r, struct sds *s, const struct sds_request *q, int64_t end)
{
	int err = sds_say(r, s, q) == PASS ? 0 : -EIO;

	while (!err) {
		struct sds_answer a = { 0 };
		struct slice m;
		int64_t left = end - wire_now_ms();

		err = wire_wait(&s->c->w, s->id, UNTIL_MESSAGE, left > 0 ? (int)left : 0);
		if (!err)
			err = reply_message(s->p, &m);
		if (!err)
			err = sds_answer_parse(m, s->delta, &a);
		if (!err) {
			struct sds_request ack = sds_ack(q, &a);

			if (s->delta)
				ack.names[0] = NULL;
			print_answer(&a);
			err = sds_say(r, s, &ack) == PASS ? 0 : -EIO;
		}
		sds_answer_done(&a);
	}
	return err;
}

int sds_watch(const char *socket, bool delta, const char *names, int seconds)
{
	static struct run r;
	static char list[8192];
	AUTO(call) struct call c = { 0 };
	struct sds_request q = { .type_url = SECRET_TYPE };
	struct sds s = { 0 };
	int err = -EIO;

	r.socket = socket;
	snprintf(list, sizeof(list), "%s", names);
	split(list, &q);
	if (sds_connect(&r, &c) == PASS && sds_open(&r, &c, delta, &s) == PASS)
		err = watch_stream(&r, &s, &q, wire_now_ms() + (int64_t)seconds * 1000);
	if (err == -ETIMEDOUT)
		return 0;
	print_end(err, s.p);
	return 1;
}
