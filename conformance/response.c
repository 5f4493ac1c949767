/* SPDX-License-Identifier: Apache-2.0 */
/* response.c - what SPIFFE_Workload_API.md asks of whole answers: fields, bundles, hints, promptness. svid-conformance. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conformance/run.h"
#include "conformance/x509.h"

static enum verdict wa_1_1(struct run *r)
{
	return run_svids(r) && run_bundles(r) ? PASS : FAIL;
}

static enum verdict wa_2_1(struct run *r)
{
	if (!run_svids(r) || !run_bundles(r))
		return FAIL;
	if (r->svids.unknown || r->bundles.unknown)
		return fail(r, "field %u is not in the .proto", r->svids.unknown | r->bundles.unknown);
	return PASS;
}

static enum verdict wa_5_2_1_2(struct run *r)
{
	const struct svid_response *s = run_svids(r);

	return !s ? FAIL : s->n_svids ? PASS : fail(r, "svids is empty");
}

static enum verdict wa_5_2_1_3(struct run *r)
{
	const struct svid_response *s = run_svids(r);

	for (size_t i = 0; s && i < s->n_svids; i++) {
		const struct svid_item *v = &s->svids[i];

		if (!v->spiffe_id.len || !v->chain.len || !v->key.len || !v->bundle.len)
			return fail(r, "a mandatory field of SVID %zu is empty", i);
	}
	return s ? PASS : FAIL;
}

static enum verdict wa_5_2_1_4(struct run *r)
{
	const struct svid_response *s = run_svids(r);

	for (size_t i = 0; s && i < s->n_svids; i++) {
		for (size_t k = 0; k < i; k++) {
			if (s->svids[i].hint.len && slice_eq(s->svids[i].hint, s->svids[k].hint))
				return fail(r, "SVIDs %zu and %zu have one hint", k, i);
		}
	}
	return s ? PASS : FAIL;
}

static enum verdict wa_8_2(struct run *r)
{
	const struct svid_response *s = run_svids(r);

	for (size_t i = 0; s && i < s->n_svids; i++) {
		if (s->svids[i].hint.len > 1024)
			return fail(r, "a hint of %zu bytes", s->svids[i].hint.len);
	}
	return s ? PASS : FAIL;
}

static enum verdict wa_8_1(struct run *r)
{
	const struct svid_response *s = run_svids(r);

	if (!s || s->n_svids == 0)
		return FAIL;
	if (!r->first_id)
		return skip(r, "needs --first SPIFFE-ID, the policy's default identity");
	if (!slice_eq_str(s->svids[0].spiffe_id, r->first_id))
		return fail(r, "the first is %.*s", (int)s->svids[0].spiffe_id.len, (const char *)s->svids[0].spiffe_id.p);
	return PASS;
}

/* DER all through: PEM would start with dashes, and certs_parse() leaves no byte over. */
static enum verdict wa_5_1_3(struct run *r)
{
	const struct svid_response *s = run_svids(r);
	const struct bundle_response *b = s ? run_bundles(r) : NULL;

	if (!b)
		return FAIL;
	for (size_t i = 0; i < s->n_svids; i++) {
		AUTO(certs) struct certs chain = { 0 };
		AUTO(certs) struct certs bundle = { 0 };

		if (certs_parse(s->svids[i].chain, &chain) || certs_parse(s->svids[i].bundle, &bundle))
			return fail(r, "SVID %zu is not DER", i);
	}
	for (size_t i = 0; i < b->n_bundles; i++) {
		AUTO(certs) struct certs bundle = { 0 };

		if (certs_parse(b->bundles[i].der, &bundle))
			return fail(r, "bundle %zu is not DER", i);
	}
	return PASS;
}

static struct slice find(const struct bundle_item *items, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq(items[i].name, name))
			return items[i].der;
	}
	return slice_of(NULL, 0);
}

/* FetchX509Bundles has the trust domain of each SVID, with the very bundle that the SVID brings. */
static enum verdict wa_5_2_2_1(struct run *r)
{
	const struct svid_response *s = run_svids(r);
	const struct bundle_response *b = s ? run_bundles(r) : NULL;

	for (size_t i = 0; b && i < s->n_svids; i++) {
		struct slice td = trust_domain_of(s->svids[i].spiffe_id);
		struct slice der = find(b->bundles, b->n_bundles, td);

		if (der.len == 0)
			return fail(r, "no bundle for %.*s", (int)td.len, (const char *)td.p);
		if (!slice_eq(der, s->svids[i].bundle))
			return fail(r, "FetchX509Bundles and SVID %zu disagree on the bundle", i);
	}
	return b ? PASS : FAIL;
}

static enum verdict cl_4(struct run *r)
{
	const struct svid_response *s = run_svids(r);
	const struct bundle_response *b = s ? run_bundles(r) : NULL;

	for (size_t i = 0; b && i < s->n_federated; i++) {
		AUTO(certs) struct certs all = { 0 };

		if (certs_parse(s->federated[i].der, &all))
			return fail(r, "federated bundle %zu is empty or broken", i);
	}
	for (size_t i = 0; b && i < b->n_bundles; i++) {
		if (b->bundles[i].der.len == 0)
			return fail(r, "bundle %zu is empty", i);
	}
	return b ? PASS : FAIL;
}

static enum verdict cl_5(struct run *r)
{
	const struct svid_response *s = run_svids(r);

	for (size_t i = 0; s && i < s->n_svids; i++) {
		if (find(s->federated, s->n_federated, trust_domain_of(s->svids[i].spiffe_id)).len)
			return fail(r, "the own trust domain is among federated_bundles");
	}
	return s ? PASS : FAIL;
}

static enum verdict cl_11(struct run *r)
{
	if (!run_svids(r) || !run_bundles(r))
		return FAIL;
	if (r->svid_bytes.len > WIRE_MESSAGE_MAX || r->bundle_bytes.len > WIRE_MESSAGE_MAX)
		return fail(r, "a message above 4 MiB");
	return r->svids.n_svids <= 100 ? PASS : fail(r, "%zu SVIDs; rust-spiffe takes 100", r->svids.n_svids);
}

/* The middle of nine, on connections of their own: one slow answer of a busy machine is no delay. */
static enum verdict wa_4_3_4(struct run *r)
{
	int64_t took[9];

	for (size_t i = 0; i < ARRAY_SIZE(took); i++) {
		int64_t start = wire_now_ms();

		if (want_served(r, &fetch_svid) != PASS)
			return FAIL;
		took[i] = wire_now_ms() - start;
		for (size_t k = i; k > 0 && took[k] < took[k - 1]; k--) {
			int64_t t = took[k];

			took[k] = took[k - 1];
			took[k - 1] = t;
		}
	}
	return took[4] <= 100 ? PASS : fail(r, "the first message takes %d ms", (int)took[4]);
}

/* Another request on the same connection is answered with the whole state as well. */
static enum verdict wa_4_3_3(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	static struct svid_response one, two;
	AUTO(buf) struct buf copy = BUF_INIT(WIRE_BODY);
	struct slice m;
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	if (err || reply_message(c.p, &m) || svid_response_parse(m, &one))
		return fail(r, "no first message: %s", reply_text(err, c.p));
	size_t n = one.n_svids;

	buf_put_slice(&copy, m);
	err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	if (err || reply_message(c.p, &m) || svid_response_parse(m, &two))
		return fail(r, "no answer to the second request: %s", reply_text(err, c.p));
	return two.n_svids == n ? PASS : fail(r, "%zu SVIDs, then %zu", n, two.n_svids);
}

/* HEADERS with :status 200 and the content type, also where the status is the whole answer. */
static enum verdict rsp_1(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct request q = fetch_svid;
	int err = call_connect(r, &c);

	q.path = "/no.such.Service/Method";
	if (!err)
		err = call_make(&c, &q, UNTIL_END);
	if (err || c.p->http_status != 200 || strcmp(c.p->content_type, "application/grpc") != 0)
		return fail(r, "content-type \"%s\": %s", c.p ? c.p->content_type : "", reply_text(err, c.p));
	return c.p->trailers_only ? PASS : fail(r, "an error of more than one HEADERS frame");
}

static enum verdict rsp_2(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct request q = fetch_svid;
	static char path[900] = "/x/";
	int err = call_connect(r, &c);

	memset(path + 3, 'y', sizeof(path) - 4);
	q.path = path;
	if (!err)
		err = call_make(&c, &q, UNTIL_END);
	if (err || c.p->grpc_status != 12)
		return fail(r, "wanted Unimplemented: %s", reply_text(err, c.p));
	for (const char *p = c.p->grpc_message; *p; p++) {
		if (*p < 0x20 || *p > 0x7e)
			return fail(r, "grpc-message is not percent-encoded");
	}
	return strlen(c.p->grpc_message) < 1024 ? PASS : fail(r, "grpc-message of 1 KiB or more");
}

static enum verdict rsp_3(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	if (err || c.p->http_status != 200 || strcmp(c.p->content_type, "application/grpc") != 0)
		return fail(r, "content-type \"%s\": %s", c.p ? c.p->content_type : "", reply_text(err, c.p));
	return PASS;
}

const struct test response_tests[] = {
	{ "WA-1-1", "the X.509-SVID profile is served", MODE_IDENTITY, wa_1_1, NULL },
	{ "WA-2-1", "messages have the .proto's fields only", MODE_IDENTITY, wa_2_1, NULL },
	{ "WA-5.2.1-2", "svids has at least one entry", MODE_IDENTITY, wa_5_2_1_2, NULL },
	{ "WA-5.2.1-3", "every mandatory field is set", MODE_IDENTITY, wa_5_2_1_3, NULL },
	{ "WA-5.2.1-4", "hints are unique", MODE_IDENTITY, wa_5_2_1_4, NULL },
	{ "WA-8-1", "the default identity comes first", MODE_IDENTITY, wa_8_1, NULL },
	{ "WA-8-2", "hints of at most 1024 bytes", MODE_IDENTITY, wa_8_2, NULL },
	{ "WA-5.1-3", "DER, not PEM, and nothing after it", MODE_IDENTITY, wa_5_1_3, NULL },
	{ "WA-5.2.2-1", "the own trust domain's bundle is there, the same everywhere", MODE_IDENTITY, wa_5_2_2_1, NULL },
	{ "WA-4.3-3", "each request is answered", MODE_IDENTITY, wa_4_3_3, NULL },
	{ "WA-4.3-4", "the first message comes at once", MODE_BOTH, wa_4_3_4, NULL },
	{ "CL-4", "no bundle is empty (java, py)", MODE_IDENTITY, cl_4, NULL },
	{ "CL-5", "the own trust domain is not federated (rust)", MODE_IDENTITY, cl_5, NULL },
	{ "CL-11", "messages of at most 4 MiB and 100 SVIDs", MODE_IDENTITY, cl_11, NULL },
	{ "RSP-1", "an error is HEADERS with 200 and application/grpc", MODE_BOTH, rsp_1, NULL },
	{ "RSP-2", "grpc-message is percent-encoded and short", MODE_BOTH, rsp_2, NULL },
	{ "RSP-3", "an answer is HEADERS with 200 and application/grpc", MODE_BOTH, rsp_3, NULL },
	{ 0 },
};
