/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fetch.c - `svid fetch x509`: ask like any workload, check like a strict one, then show or write.
 * The private key is printed only when a form that carries it was asked for. svid, anybody.
 */
#include "agent/base/clock.h"
#include "agent/base/pb.h"
#include "agent/cli/cli.h"
#include "agent/cli/files.h"
#include "agent/cli/grpc.h"
#include "agent/cli/x509.h"

#define OUT_MAX (32u << 20) /* bytes of output: a response of LIM_GRPC_RESPONSE as PEM inside JSON */
#define NAME_WIDTH 12

/* X509SVID: its fields in the order of their numbers. */
static int get_svid(struct slice message, struct x509_svid *ret_svid)
{
	struct slice f[5];
	int err = pb_strings(message, f, ARRAY_SIZE(f));

	if (!err)
		*ret_svid = (struct x509_svid){ .spiffe_id = f[0], .chain = f[1], .key = f[2], .bundle = f[3], .hint = f[4] };
	return err;
}

static void put_times(struct buf *out, const struct x509_report *r, int64_t now)
{
	AUTO(buf) struct buf line = BUF_INIT(256);
	char from[32], to[32];

	clock_rfc3339(r->not_before, from);
	clock_rfc3339(r->not_after, to);
	buf_printf(&line, "%s to %s, ", from, to);
	cli_left(&line, r->not_after, now);
	cli_field(out, NAME_WIDTH, "valid", buf_slice(&line));
}

static void put_count(struct buf *out, const char *name, size_t n)
{
	AUTO(buf) struct buf line = BUF_INIT(64);

	buf_printf(&line, "%zu certificate%s", n, n == 1 ? "" : "s");
	cli_field(out, NAME_WIDTH, name, buf_slice(&line));
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
	cli_lines(out, NAME_WIDTH, "DNS name", buf_slice(&r->dns));
	cli_field(out, NAME_WIDTH, "key", buf_slice(&r->key_kind));
	put_count(out, "chain", r->n_chain);
	put_count(out, "bundle", r->n_bundle);
	if (!r->problems.len)
		cli_field(out, NAME_WIDTH, "checks",
			  slice_str("passed: names, usages, key belongs to certificate, path to bundle, validity"));
	cli_lines(out, NAME_WIDTH, "problem", buf_slice(&r->problems));
}

static int put_pem_member(struct buf *out, const char *name, struct slice der)
{
	AUTO(buf) struct buf pem = BUF_INIT_SECRET(OUT_MAX);
	int err = strcmp(name, "key_pem") == 0 ? x509_put_key_pem(&pem, der) : x509_put_pem(&pem, der);

	cli_json(out, name, buf_slice(&pem));
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
	cli_json(out, "hint", svid->hint);
	cli_json(out, "not_before", slice_str(from));
	cli_json(out, "not_after", slice_str(to));
	cli_json(out, "serial", buf_slice(&r->serial));
	cli_json(out, "subject", buf_slice(&r->subject));
	cli_json(out, "issuer", buf_slice(&r->issuer));
	cli_json_lines(out, "dns_names", buf_slice(&r->dns));
	cli_json(out, "key_type", buf_slice(&r->key_kind));
	cli_json_lines(out, "problems", buf_slice(&r->problems));
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
		cli_write_error(c, name, err);
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
static int put_svid(const struct cli *c, struct buf *out, const struct x509_svid *svid, size_t i, bool *ret_good)
{
	AUTO(x509_report) struct x509_report r = X509_REPORT_INIT;
	int64_t now = clock_wall_s();
	int err = x509_inspect(svid, now, &r);

	if (err)
		return err;
	if (c->output == OUT_JSON) {
		buf_put_str(out, i ? ",\n  " : "");
		err = put_json(out, svid, &r);
	} else if (c->output == OUT_PEM) {
		err = put_pem(out, svid);
	} else {
		buf_put_str(out, i ? "\n" : "");
		put_text(out, svid, &r, now);
	}
	if (c->output == OUT_PEM && r.problems.len)
		cli_error("warning: problems of", buf_cstr(&r.uri), buf_cstr(&r.problems), NULL);
	*ret_good = !r.problems.len;
	return err ? err : buf_ok(out);
}

static void put_federated(const struct cli *c, struct buf *out, size_t i, struct slice id, struct slice der)
{
	if (c->output == OUT_JSON) {
		buf_put_str(out, i ? ",\n  {\"trust_domain\": " : "{\"trust_domain\": ");
		buf_put_json(out, id);
		if (put_pem_member(out, "bundle_pem", der))
			cli_json(out, "problem", slice_str("not DER certificates"));
		buf_put_str(out, "}");
	} else if (c->output == OUT_TEXT) {
		buf_put_str(out, i ? "" : "\n");
		cli_field(out, NAME_WIDTH, "federates", id);
	}
}

/* X509SVIDResponse: svids = 1, federated_bundles = 3. */
static int put_svids(const struct cli *c, struct buf *out, struct slice message, bool *ret_good)
{
	bool good, all_good = true;
	size_t n = 0;
	int err = 0;

	for (struct pb_field f; !err && pb_next(&message, &f);) {
		struct x509_svid svid;

		if (f.number != 1)
			continue;
		err = f.wire == PB_BYTES ? get_svid(f.bytes, &svid) : -ERR_FORMAT;
		if (!err)
			err = put_svid(c, out, &svid, n++, &good);
		all_good = all_good && !err && good;
	}
	*ret_good = all_good && n;
	return err ? err : slice_ok(&message) ? 0 : -ERR_FORMAT;
}

static int put_all_federated(const struct cli *c, struct buf *out, struct slice message)
{
	size_t n = 0;

	for (struct pb_field f; pb_next(&message, &f);) {
		struct slice entry[2];

		if (f.number != 3)
			continue;
		if (f.wire != PB_BYTES || pb_strings(f.bytes, entry, ARRAY_SIZE(entry)))
			return -ERR_FORMAT;
		put_federated(c, out, n++, entry[0], entry[1]);
	}
	return slice_ok(&message) ? 0 : -ERR_FORMAT;
}

static int write_federated(const struct cli *c, size_t svid, struct slice message)
{
	size_t n = 0;
	int err = 0;

	for (struct pb_field f; !err && pb_next(&message, &f);) {
		AUTO(buf) struct buf name = BUF_INIT(64);
		struct slice entry[2];

		if (f.number != 3)
			continue;
		buf_printf(&name, "federated_bundle.%zu.%zu.pem", svid, n++);
		err = pb_strings(f.bytes, entry, ARRAY_SIZE(entry));
		if (!err)
			err = write_pem(c, buf_cstr(&name), entry[1], false);
	}
	return err;
}

/* After everything was looked at, so that an answer that cannot be used replaces no file. */
static int write_all(const struct cli *c, struct slice message)
{
	struct slice rest = message;
	size_t n = 0;
	int err = 0;

	for (struct pb_field f; !err && pb_next(&rest, &f);) {
		struct x509_svid svid;

		if (f.number != 1)
			continue;
		err = get_svid(f.bytes, &svid);
		if (!err)
			err = write_svid(c, n, &svid);
		if (!err)
			err = write_federated(c, n++, message);
	}
	return err;
}

static int show(const struct cli *c, struct slice message)
{
	AUTO(buf) struct buf out = BUF_INIT_SECRET(OUT_MAX);
	bool good = false;
	int err;

	buf_put_str(&out, c->output == OUT_JSON ? "{\"svids\": [" : "");
	err = put_svids(c, &out, message, &good);
	buf_put_str(&out, c->output == OUT_JSON ? "],\n \"federated_bundles\": [" : "");
	if (!err)
		err = put_all_federated(c, &out, message);
	if (err)
		return cli_agent_error(c->socket, err);
	if (c->write_dir && write_all(c, message))
		return CLI_LOCAL;
	buf_put_str(&out, c->output == OUT_JSON ? "]}\n" : "");
	if (c->write_dir && c->output == OUT_TEXT) {
		buf_put_str(&out, "\n");
		cli_field(&out, NAME_WIDTH, "written to", slice_str(c->write_dir));
	}
	return cli_print(&out, good ? CLI_DONE : CLI_NO);
}

int fetch_x509(const struct cli *c)
{
	AUTO(grpc_reply) struct grpc_reply reply = GRPC_REPLY_INIT;
	int err = grpc_call(c->socket, "/SpiffeWorkloadAPI/FetchX509SVID", slice_of(NULL, 0), true, c->timeout_ms, &reply);

	if (err)
		return cli_agent_error(c->socket, err);
	if (reply.status)
		return cli_status_error(c->socket, reply.status, buf_slice(&reply.message));
	return show(c, reply.body);
}
