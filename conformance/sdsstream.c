/* SPDX-License-Identifier: Apache-2.0 */
/* sdsstream.c - streams of the secret discovery service, and what tests ask of their answers. svid-conformance; see sds.h. */
#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "conformance/sds.h"

/* Envoy sends no security header, so none is sent here. */
#define DISCOVERY(method_)                                                                                \
	{                                                                                                 \
		.method = "POST", .scheme = "http", .authority = "localhost", .path = SDS_SERVICE method_, \
		.content_type = "application/grpc", .te = "trailers",                                     \
	}

const struct request stream_secrets = DISCOVERY("StreamSecrets");
const struct request delta_secrets = DISCOVERY("DeltaSecrets");
const struct request fetch_secrets = DISCOVERY("FetchSecrets");

enum verdict sds_connect(struct run *r, struct call *c)
{
	int err = call_connect(r, c);

	return err ? fail(r, "no connection (%s)", strerror(-err)) : PASS;
}

enum verdict sds_open(struct run *r, struct call *c, bool delta, struct sds *ret)
{
	int err = wire_open(&c->w, delta ? &delta_secrets : &stream_secrets, 0, &ret->id);

	if (err)
		return fail(r, "cannot open a stream (%s)", strerror(-err));
	ret->c = c;
	ret->p = wire_reply(&c->w, ret->id);
	ret->delta = delta;
	return PASS;
}

enum verdict sds_say(struct run *r, struct sds *s, const struct sds_request *q)
{
	AUTO(buf) struct buf message = BUF_INIT(WIRE_BODY);
	AUTO(buf) struct buf body = BUF_INIT(WIRE_BODY);
	int err = 0;

	sds_request_put(&message, s->delta, q);
	buf_put_u8(&body, 0);
	buf_put_be32(&body, (uint32_t)message.len);
	buf_put_slice(&body, buf_slice(&message));
	for (size_t at = 0; !err && at < body.len; at += 16384) {
		size_t n = body.len - at < 16384 ? body.len - at : 16384;

		err = wire_frame(&s->c->w, NGHTTP2_DATA, 0, s->id, body.data + at, n);
	}
	return err ? fail(r, "cannot send (%s)", strerror(-err)) : PASS;
}

enum verdict sds_hear(struct run *r, struct sds *s, struct sds_answer *ret)
{
	struct slice m;
	int err = wire_wait(&s->c->w, s->id, UNTIL_MESSAGE, wire_ms);

	if (!err)
		err = reply_message(s->p, &m);
	if (err)
		return fail(r, "no answer: %s", reply_text(err, s->p));
	if (sds_answer_parse(m, s->delta, ret))
		return fail(r, "the answer does not parse, or is not of Secrets with names and versions");
	if (!ret->nonce.len)
		return fail(r, "an answer without nonce");
	return PASS;
}

enum verdict sds_ask(struct run *r, struct sds *s, const struct sds_request *q, struct sds_answer *ret)
{
	enum verdict v = sds_say(r, s, q);

	return v == PASS ? sds_hear(r, s, ret) : v;
}

enum verdict sds_begin(struct run *r, struct call *c, struct sds *s, bool delta, const struct sds_request *q,
		       struct sds_answer *ret)
{
	enum verdict v = sds_connect(r, c);

	if (v == PASS)
		v = sds_open(r, c, delta, s);
	return v == PASS ? sds_ask(r, s, q, ret) : v;
}

enum verdict sds_quiet(struct run *r, struct sds *s, const char *after)
{
	int err = wire_wait(&s->c->w, s->id, UNTIL_MESSAGE, SDS_QUIET_MS);

	if (err == -ETIMEDOUT)
		return PASS;
	return fail(r, "after %s the stream does not stay quiet: %s", after, reply_text(err, s->p));
}

enum verdict sds_ends(struct run *r, struct sds *s, int status, int or_status)
{
	int err = wire_wait(&s->c->w, s->id, UNTIL_END, wire_ms);

	if (!err && s->p->ended && (s->p->grpc_status == status || s->p->grpc_status == or_status))
		return PASS;
	return fail(r, "wanted grpc-status %d: %s", status, reply_text(err, s->p));
}

struct sds_request sds_ack(const struct sds_request *q, const struct sds_answer *a)
{
	struct sds_request ack = *q;

	ack.node = ack.more = slice_of(NULL, 0);
	ack.version = a->version;
	ack.nonce = a->nonce;
	return ack;
}

enum verdict sds_has(struct run *r, const struct sds_answer *a, const char *const *names)
{
	size_t n = 0;

	for (; names[n]; n++) {
		if (!sds_find(a, names[n]))
			return fail(r, "\"%.200s\" is not among the %zu secrets", names[n], a->n);
	}
	return a->n == n ? PASS : fail(r, "%zu secrets for %zu names", a->n, n);
}

const struct own_names *sds_own(struct run *r)
{
	static struct own_names own;
	const struct svid_response *s = run_svids(r);

	if (!s || s->n_svids == 0)
		return NULL;
	struct slice domain = trust_domain_of(s->svids[0].spiffe_id);

	snprintf(own.first, sizeof(own.first), "%.*s", (int)s->svids[0].spiffe_id.len, (const char *)s->svids[0].spiffe_id.p);
	snprintf(own.domain, sizeof(own.domain), "%.*s", (int)domain.len, (const char *)domain.p);
	own.second[0] = '\0';
	if (s->n_svids > 1)
		snprintf(own.second, sizeof(own.second), "%.*s", (int)s->svids[1].spiffe_id.len,
			 (const char *)s->svids[1].spiffe_id.p);
	return &own;
}

int sds_pem_certs(struct slice pem, struct certs *ret)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.len);
	X509 *cert;

	*ret = (struct certs){ 0 };
	while (in && ret->n < CHAIN_MAX && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)))
		ret->at[ret->n++] = cert;
	BIO_free(in);
	return ret->n ? 0 : -EPROTO;
}

enum verdict sds_pair(struct run *r, const struct secret *s, struct certs *ret)
{
	static const char begins[] = "-----BEGIN PRIVATE KEY-----\n";

	if (sds_pem_certs(s->chain, ret))
		return fail(r, "no PEM chain");
	if (!slice_starts(s->key, slice_str(begins)))
		return fail(r, "the key is not PKCS#8 in PEM");
	BIO *in = BIO_new_mem_buf(s->key.p, (int)s->key.len);
	EVP_PKEY *key = in ? PEM_read_bio_PrivateKey(in, NULL, NULL, NULL) : NULL;
	bool fits = key && X509_check_private_key(ret->at[0], key) == 1;

	EVP_PKEY_free(key);
	BIO_free(in);
	return fits ? PASS : fail(r, "certificate and key of one Secret do not belong together");
}
