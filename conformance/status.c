/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - which gRPC status a request gets: security header, unknown methods, no identity, health. svid-conformance. */
#include <errno.h>
#include <sys/stat.h>

#include "conformance/run.h"

static enum verdict security_is(struct run *r, const char *value)
{
	struct request q = fetch_svid;

	q.security = value;
	return want_status(r, &q, 3);
}

static enum verdict we_6_1(struct run *r)
{
	return security_is(r, NULL);
}

static enum verdict we_3_5_capital(struct run *r)
{
	return security_is(r, "True");
}

static enum verdict we_3_5_upper(struct run *r)
{
	return security_is(r, "TRUE");
}

static enum verdict we_3_5_empty(struct run *r)
{
	return security_is(r, "");
}

static enum verdict we_3_5_other(struct run *r)
{
	return security_is(r, "1");
}

static enum verdict we_3_5_longer(struct run *r)
{
	return security_is(r, "true, true");
}

static enum verdict we_3_5_twice(struct run *r)
{
	struct request q = fetch_svid;

	q.extra[0].name = "workload.spiffe.io";
	q.extra[0].value = "true";
	return want_status(r, &q, 3);
}

static enum verdict we_3_5_bundles(struct run *r)
{
	struct request q = fetch_bundles;

	q.security = NULL;
	return want_status(r, &q, 3);
}

static enum verdict we_3_1(struct run *r)
{
	return want_served(r, &fetch_svid);
}

static enum verdict we_3_2(struct run *r)
{
	struct stat st;

	if (stat(r->socket, &st) < 0 || !S_ISSOCK(st.st_mode))
		return fail(r, "%s is not a Unix socket", r->socket);
	return PASS;
}

static enum verdict has_status(struct run *r, const char *path, int status)
{
	struct request q = fetch_svid;

	q.path = path;
	return want_status(r, &q, status);
}

static enum verdict we_6_7_method(struct run *r)
{
	return has_status(r, "/SpiffeWorkloadAPI/FetchNothing", 12);
}

static enum verdict we_6_7_service(struct run *r)
{
	return has_status(r, "/no.such.Service/Method", 12);
}

static enum verdict we_6_7_path(struct run *r)
{
	return has_status(r, "/", 12);
}

static enum verdict we_6_7_query(struct run *r)
{
	return has_status(r, "/SpiffeWorkloadAPI/FetchX509SVID?x=1", 12);
}

static enum verdict we_6_7_case(struct run *r)
{
	return has_status(r, "/spiffeworkloadapi/fetchx509svid", 12);
}

static enum verdict we_7_1(struct run *r)
{
	return has_status(r, "/SpiffeWorkloadAPI/WhoAmI", 12);
}

static enum verdict we_7_2(struct run *r)
{
	enum verdict v = want_served(r, &fetch_svid);

	return v == PASS ? want_served(r, &fetch_bundles) : v;
}

static enum verdict denied(struct run *r, const struct request *q)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, q, UNTIL_END);
	if (err || c.p->grpc_status != 7)
		return fail(r, "wanted PermissionDenied: %s", reply_text(err, c.p));
	if (!strstr(c.p->grpc_message, "no identity issued"))
		return fail(r, "clients look for \"no identity issued\": %s", reply_text(err, c.p));
	return PASS;
}

static enum verdict we_6_5(struct run *r)
{
	return denied(r, &fetch_svid);
}

static enum verdict wa_5_2_2_2(struct run *r)
{
	return denied(r, &fetch_bundles);
}

/* Without identity the wrong header is still the first thing wrong. */
static enum verdict noid_1(struct run *r)
{
	return security_is(r, NULL);
}

/* A denied call must not leave the connection unusable. */
static enum verdict noid_2(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	for (int i = 0; !err && i < 3; i++) {
		err = call_make(&c, &fetch_svid, UNTIL_END);
		if (err || c.p->grpc_status != 7)
			return fail(r, "call %d: %s", i + 1, reply_text(err, c.p));
	}
	return err ? fail(r, "%s", reply_text(err, c.p)) : PASS;
}

/* Health: field 1 of the request is the service, field 1 of the answer is 1 for SERVING. */
static int ask_health(struct run *r, struct call *c, const struct request *q, const char *service)
{
	AUTO(buf) struct buf body = BUF_INIT(256);
	int err = call_connect(r, c);

	if (*service)
		put_text(&body, 1, slice_str(service));
	return err ? err : call_send(c, q, buf_slice(&body), UNTIL_MESSAGE);
}

static enum verdict is_serving(struct run *r, const struct request *q, const char *service)
{
	AUTO(call) struct call c = { 0 };
	struct slice message;
	int err = ask_health(r, &c, q, service);

	if (!err)
		err = reply_message(c.p, &message);
	if (err)
		return fail(r, "no answer from health: %s", reply_text(err, c.p));
	if (varint_field(message, 1) != 1)
		return fail(r, "health says %u, not SERVING", (unsigned int)varint_field(message, 1));
	return PASS;
}

static enum verdict hlt_1(struct run *r)
{
	return is_serving(r, &health_check, "");
}

static enum verdict hlt_2(struct run *r)
{
	return is_serving(r, &health_check, "SpiffeWorkloadAPI");
}

static enum verdict hlt_5(struct run *r)
{
	static const char *const names[] = { "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
					     "grpc.reflection.v1alpha.ServerReflection" };
	enum verdict v = PASS;

	for (size_t i = 0; i < ARRAY_SIZE(names) && v == PASS; i++)
		v = is_serving(r, &health_check, names[i]);
	return v;
}

static enum verdict hlt_3(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = ask_health(r, &c, &health_check, "no.such.Service");

	if (err || c.p->grpc_status != 5)
		return fail(r, "wanted NotFound: %s", reply_text(err, c.p));
	return PASS;
}

static enum verdict hlt_4(struct run *r)
{
	struct request q = health_check;

	q.path = "/grpc.health.v1.Health/Watch";
	return is_serving(r, &q, "");
}

const struct test status_tests[] = {
	{ "WE-6-1", "security header missing: InvalidArgument", MODE_IDENTITY, we_6_1, NULL },
	{ "WE-3-5", "security header \"True\" is refused", MODE_IDENTITY, we_3_5_capital, NULL },
	{ "WE-3-5", "security header \"TRUE\" is refused", MODE_IDENTITY, we_3_5_upper, NULL },
	{ "WE-3-5", "security header without value is refused", MODE_IDENTITY, we_3_5_empty, NULL },
	{ "WE-3-5", "security header \"1\" is refused", MODE_IDENTITY, we_3_5_other, NULL },
	{ "WE-3-5", "security header \"true, true\" is refused", MODE_IDENTITY, we_3_5_longer, NULL },
	{ "WE-3-5", "security header given twice is refused", MODE_IDENTITY, we_3_5_twice, NULL },
	{ "WE-3-5", "FetchX509Bundles without the header is refused", MODE_IDENTITY, we_3_5_bundles, NULL },
	{ "WE-3-1", "gRPC over HTTP/2 is spoken", MODE_BOTH, we_3_1, NULL },
	{ "WE-3.1-1", "no TLS is needed", MODE_BOTH, we_3_1, NULL },
	{ "WE-5-3", "the caller does nothing to be known", MODE_IDENTITY, we_3_1, NULL },
	{ "WE-5-1", "no credential of the caller is needed", MODE_IDENTITY, we_3_1, NULL },
	{ "WE-2-1", "the endpoint is local", MODE_BOTH, we_3_2, NULL },
	{ "WE-3-2", "the endpoint is a Unix socket", MODE_BOTH, we_3_2, NULL },
	{ "WE-6-7", "unknown method: Unimplemented", MODE_BOTH, we_6_7_method, NULL },
	{ "WE-6-7", "unknown service: Unimplemented", MODE_BOTH, we_6_7_service, NULL },
	{ "WE-6-7", "path \"/\": Unimplemented", MODE_BOTH, we_6_7_path, NULL },
	{ "WE-6-7", "path with a query: Unimplemented", MODE_BOTH, we_6_7_query, NULL },
	{ "WE-6-7", "path in lower case: Unimplemented", MODE_BOTH, we_6_7_case, NULL },
	{ "WE-7-1", "SpiffeWorkloadAPI has no method of our own", MODE_BOTH, we_7_1, NULL },
	{ "WE-7-2", "the endpoint exposes the Workload API", MODE_BOTH, we_7_2, NULL },
	{ "WE-6-5", "no identity: PermissionDenied, no identity issued", MODE_NONE, we_6_5, NULL },
	{ "WA-5.2.1-6", "no X509-SVIDs for the caller: PermissionDenied", MODE_NONE, we_6_5, NULL },
	{ "WA-5.2.2-2", "not entitled to bundles: PermissionDenied", MODE_NONE, wa_5_2_2_2, NULL },
	{ "NOID-1", "without identity the header check comes first", MODE_NONE, noid_1, NULL },
	{ "NOID-2", "after a denied call the connection goes on", MODE_NONE, noid_2, NULL },
	{ "HLT-1", "health of the server is SERVING", MODE_BOTH, hlt_1, NULL },
	{ "HLT-2", "health of SpiffeWorkloadAPI is SERVING", MODE_BOTH, hlt_2, NULL },
	{ "HLT-3", "health of an unknown service: NotFound", MODE_BOTH, hlt_3, NULL },
	{ "HLT-5", "health of the other services is SERVING", MODE_BOTH, hlt_5, NULL },
	{ "HLT-4", "health watch starts with SERVING", MODE_BOTH, hlt_4, NULL },
	{ 0 },
};
