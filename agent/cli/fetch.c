/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c - `svid fetch x509`: ask like any workload, check like a strict one, then show or write.
 * The private key is printed only when a form that carries it was asked for. svid, anybody.
 */
#include <errno.h>
#include <sys/stat.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/cli/cli.h"
#include "agent/cli/files.h"
#include "agent/cli/grpc.h"
#include "agent/cli/x509.h"
#include "gen/workload.pb-c.h"

#define OUT_MAX (32u << 20) /* bytes of output: a response of LIM_GRPC_RESPONSE as PEM inside JSON */
#define NAME_WIDTH 12

static struct slice slice_of_pb(ProtobufCBinaryData d)
{
	return slice_of(d.data, d.len);
}

static struct x509_svid svid_of(const X509SVID *m)
{
	return (struct x509_svid){ .spiffe_id = slice_str(m->spiffe_id), .hint = slice_str(m->hint),
				   .chain = slice_of_pb(m->x509_svid), .key = slice_of_pb(m->x509_svid_key),
				   .bundle = slice_of_pb(m->bundle) };
}

/* "59 min left" - what a person wants to know first. */
static void put_left(struct buf *out, int64_t until, int64_t now)
{
	int64_t s = until - now;

	if (s < 0)
		buf_put_str(out, "expired");
	else if (s < 120)
		buf_printf(out, "%lld s left", (long long)s);
	else if (s < 7200)
		buf_printf(out, "%lld min left", (long long)s / 60);
	else
		buf_printf(out, "%lld h left", (long long)s / 3600);
}

static void put_times(struct buf *out, const struct x509_report *r, int64_t now)
{
	AUTO(buf) struct buf line = BUF_INIT(256);
	char from[32], to[32];

	clock_rfc3339(r->not_before, from);
	clock_rfc3339(r->not_after, to);
	buf_printf(&line, "%s to %s, ", from, to);
	put_left(&line, r->not_after, now);
	cli_field(out, NAME_WIDTH, "valid", buf_slice(&line));
}

static void put_count(struct buf *out, const char *name, size_t n)
{
	AUTO(buf) struct buf line = BUF_INIT(64);

	buf_printf(&line, "%zu certificate%s", n, n == 1 ? "" : "s");
	cli_field(out, NAME_WIDTH, name, buf_slice(&line));
}

/* One field for each line of @lines. */
static void put_lines(struct buf *out, const char *name, struct slice lines)
{
	while (lines.len) {
		const uint8_t *end = memchr(lines.p, '\n', lines.len);
		size_t n = end ? (size_t)(end - lines.p) : lines.len;

		cli_field(out, NAME_WIDTH, name, slice_get_bytes(&lines, n));
		if (end)
			(void)slice_get_u8(&lines);
	}
}

static void put_text(struct buf *out, const struct x509_svid *svid, const struct x509_report *r, int64_t now)
{
	cli_field(out, NAME_WIDTH, "SPIFFE ID", svid->spiffe_id);
	if (svid->hint.len)
		cli_field(out, NAME_WIDTH, "hint", svid->hint);
	put_times(out, r, now);
	cli_field(out, NAME_WIDTH, "serial", buf_slice(&r->serial));
	cli_field(out, NAME_WIDTH, "subject", buf_slice(&r->subject));
	cli_field(out, NAME_WIDTH, "issuer", buf_slice(&r->issuer));
	put_lines(out, "DNS name", buf_slice(&r->dns));
	cli_field(out, NAME_WIDTH, "key", buf_slice(&r->key_kind));
	put_count(out, "chain", r->n_chain);
	put_count(out, "bundle", r->n_bundle);
	if (!r->problems.len)
		cli_field(out, NAME_WIDTH, "checks",
			  slice_str("passed: names, usages, key belongs to certificate, path to bundle, validity"));
	put_lines(out, "problem", buf_slice(&r->problems));
}

static void put_member(struct buf *out, const char *name, struct slice value)
{
	buf_printf(out, ", \"%s\": ", name);
	buf_put_json(out, value);
}

static void put_array(struct buf *out, const char *name, struct slice lines)
{
	buf_printf(out, ", \"%s\": [", name);
	for (bool first = true; lines.len; first = false) {
		const uint8_t *end = memchr(lines.p, '\n', lines.len);
		size_t n = end ? (size_t)(end - lines.p) : lines.len;

		buf_put_str(out, first ? "" : ", ");
		buf_put_json(out, slice_get_bytes(&lines, n));
		if (end)
			(void)slice_get_u8(&lines);
	}
	buf_put_str(out, "]");
}

static int put_pem_member(struct buf *out, const char *name, struct slice der)
{
	AUTO(buf) struct buf pem = BUF_INIT_SECRET(OUT_MAX);
	int err = strcmp(name, "key_pem") == 0 ? x509_put_key_pem(&pem, der) : x509_put_pem(&pem, der);

	put_member(out, name, buf_slice(&pem));
	return err;
}

static int put_json(struct buf *out, const struct x509_svid *svid, const struct x509_report *r)
{
	char from[32], to[32];
	int err;

	clock_rfc3339(r->not_before, from);
	clock_rfc3339(r->not_after, to);
	buf_put_str(out, "{\"spiffe_id\": ");
	buf_put_json(out, svid->spiffe_id);
	put_member(out, "hint", svid->hint);
	put_member(out, "not_before", slice_str(from));
	put_member(out, "not_after", slice_str(to));
	put_member(out, "serial", buf_slice(&r->serial));
	put_member(out, "subject", buf_slice(&r->subject));
	put_member(out, "issuer", buf_slice(&r->issuer));
	put_array(out, "dns_names", buf_slice(&r->dns));
	put_member(out, "key_type", buf_slice(&r->key_kind));
	put_array(out, "problems", buf_slice(&r->problems));
	err = put_pem_member(out, "chain_pem", svid->chain);
	if (!err)
		err = put_pem_member(out, "key_pem", svid->key);
	if (!err)
		err = put_pem_member(out, "bundle_pem", svid->bundle);
	buf_put_str(out, "}");
	return err;
}

static int put_pem(struct buf *out, const struct x509_svid *svid)
{
	int err = x509_put_pem(out, svid->chain);

	if (!err)
		err = x509_put_key_pem(out, svid->key);
	return err ? err : x509_put_pem(out, svid->bundle);
}

static int write_pem(const struct cli *c, const char *name, struct slice der, bool key)
{
	AUTO(buf) struct buf pem = BUF_INIT_SECRET(OUT_MAX);
	int err = key ? x509_put_key_pem(&pem, der) : x509_put_pem(&pem, der);

	if (!err)
		err = file_replace(c->write_dir, name, buf_slice(&pem), key ? 0600 : 0644);
	if (err)
		cli_error("cannot write", name, err_text(err), "does the directory of --write exist, and is it yours?");
	return err;
}

/* The names that spire-agent gives them, so scripts need no change. The key first: a new certificate
 * must never stand beside an old key for a reader that takes the certificate as the signal. */
static int write_svid(const struct cli *c, size_t i, const struct x509_svid *svid)
{
	AUTO(buf) struct buf name = BUF_INIT(64);
	int err;

	buf_printf(&name, "svid.%zu.key", i);
	err = write_pem(c, buf_cstr(&name), svid->key, true);
	if (err)
		return err;
	buf_reset(&name);
	buf_printf(&name, "bundle.%zu.pem", i);
	err = write_pem(c, buf_cstr(&name), svid->bundle, false);
	if (err)
		return err;
	buf_reset(&name);
	buf_printf(&name, "svid.%zu.pem", i);
	return write_pem(c, buf_cstr(&name), svid->chain, false);
}

/* One SVID in the form that was asked for. *ret_good: whether a strict client would take it. */
static int put_svid(const struct cli *c, struct buf *out, const X509SVID *m, size_t i, bool *ret_good)
{
	AUTO(x509_report) struct x509_report r = X509_REPORT_INIT;
	struct x509_svid svid = svid_of(m);
	int64_t now = clock_wall_s();
	int err = x509_inspect(&svid, now, &r);

	if (err)
		return err;
	if (c->output == OUT_JSON) {
		buf_put_str(out, i ? ",\n  " : "");
		err = put_json(out, &svid, &r);
	} else if (c->output == OUT_PEM) {
		err = put_pem(out, &svid);
	} else {
		buf_put_str(out, i ? "\n" : "");
		put_text(out, &svid, &r, now);
	}
	if (!err && c->write_dir)
		err = write_svid(c, i, &svid);
	if (c->output == OUT_PEM && r.problems.len)
		cli_error("warning:", m->spiffe_id, buf_cstr(&r.problems), NULL);
	*ret_good = !r.problems.len;
	return err ? err : buf_ok(out);
}

static void put_federated(const struct cli *c, struct buf *out, const X509SVIDResponse *m)
{
	if (c->output == OUT_JSON)
		buf_put_str(out, "],\n \"federated_bundles\": [");
	for (size_t i = 0; i < m->n_federated_bundles; i++) {
		const X509SVIDResponse__FederatedBundlesEntry *e = m->federated_bundles[i];

		if (c->output == OUT_JSON) {
			buf_put_str(out, i ? ",\n  {\"trust_domain\": " : "{\"trust_domain\": ");
			buf_put_json(out, slice_str(e->key));
			if (put_pem_member(out, "bundle_pem", slice_of_pb(e->value)))
				put_member(out, "problem", slice_str("not DER certificates"));
			buf_put_str(out, "}");
		} else if (c->output == OUT_TEXT) {
			buf_put_str(out, i ? "" : "\n");
			cli_field(out, NAME_WIDTH, "federates", slice_str(e->key));
		}
	}
}

static int show(const struct cli *c, const X509SVIDResponse *m)
{
	AUTO(buf) struct buf out = BUF_INIT_SECRET(OUT_MAX);
	bool all_good = m->n_svids > 0, good = false;
	int err = 0;

	buf_put_str(&out, c->output == OUT_JSON ? "{\"svids\": [" : "");
	for (size_t i = 0; i < m->n_svids && !err; i++) {
		err = put_svid(c, &out, m->svids[i], i, &good);
		all_good = all_good && good;
	}
	if (err) {
		cli_error("cannot use the answer of", c->socket, err_text(err), "svid status; is this socket svidd's?");
		return err == -ERR_FORMAT ? CLI_AGENT : CLI_LOCAL;
	}
	put_federated(c, &out, m);
	buf_put_str(&out, c->output == OUT_JSON ? "]}\n" : "");
	if (c->write_dir && c->output == OUT_TEXT) {
		buf_put_str(&out, "\n");
		cli_field(&out, NAME_WIDTH, "written to", slice_str(c->write_dir));
	}
	return cli_print(&out, all_good ? CLI_DONE : CLI_NO);
}

static void *pb_alloc(void *unused, size_t n)
{
	size_t *p = mem_calloc(1, n + sizeof(max_align_t));

	(void)unused;
	if (!p)
		return NULL;
	*p = n;
	return (char *)p + sizeof(max_align_t);
}

/* The unpacked message holds the private key. */
static void pb_free(void *unused, void *p)
{
	size_t *start = p ? (size_t *)(void *)((char *)p - sizeof(max_align_t)) : NULL;

	(void)unused;
	if (start)
		mem_wipe(start, *start + sizeof(max_align_t));
	mem_free(start);
}

int fetch_x509(const struct cli *c)
{
	ProtobufCAllocator memory = { .alloc = pb_alloc, .free = pb_free };
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	X509SVIDResponse *answer;
	int code, err;

	err = grpc_call(c->socket, "/SpiffeWorkloadAPI/FetchX509SVID", slice_of(NULL, 0), true, c->timeout_ms, &reply);
	if (err)
		return cli_agent_error(c->socket, err);
	if (reply.status)
		return cli_status_error(c->socket, reply.status, buf_slice(&reply.message));
	answer = x509_svidresponse__unpack(&memory, reply.body.len, reply.body.p);
	if (!answer)
		return cli_agent_error(c->socket, -ERR_FORMAT);
	code = show(c, answer);
	x509_svidresponse__free_unpacked(answer, &memory);
	return code;
}
