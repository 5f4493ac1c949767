/* SPDX-License-Identifier: Apache-2.0 */
/* reflection.c - server reflection, both versions: what it says is there, is. svid-conformance. */
#include "conformance/run.h"

enum { ASK_SYMBOL = 4, ASK_SERVICES = 7, TELL_FILES = 4, TELL_SERVICES = 6, TELL_ERROR = 7 };

static const struct request reflect_v1 = {
	.method = "POST", .scheme = "http", .authority = "localhost",
	.path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
	.content_type = "application/grpc", .te = "trailers", .security = "true",
};
static const struct request reflect_v1alpha = {
	.method = "POST", .scheme = "http", .authority = "localhost",
	.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	.content_type = "application/grpc", .te = "trailers", .security = "true",
};

/* The member @field of the answer to one question, borrowed from the call. */
static enum verdict ask_reflection(struct run *r, struct call *c, unsigned int question, const char *text,
				   unsigned int field, struct slice *ret)
{
	AUTO(buf) struct buf request = BUF_INIT(1024);
	struct slice m;

	put_text(&request, question, slice_str(text));
	int err = ask(r, c, r->test->arg, buf_slice(&request), &m);

	if (err)
		return fail(r, "no answer: %s", reply_text(err, c->p));
	*ret = slice_of(NULL, 0);
	while (m.len && slice_ok(&m)) {
		struct field f = field_get(&m);

		if (f.number == field && f.type == 2)
			*ret = f.bytes;
	}
	return ret->len || field == TELL_ERROR ? PASS : fail(r, "the answer lacks field %u", field);
}

static enum verdict lists_services(struct run *r)
{
	static const char *const wanted[] = { "SpiffeWorkloadAPI", "grpc.health.v1.Health",
					      "grpc.reflection.v1.ServerReflection",
					      "grpc.reflection.v1alpha.ServerReflection" };
	AUTO(call) struct call c = { 0 };
	struct items services;
	struct slice list;
	enum verdict v = ask_reflection(r, &c, ASK_SERVICES, "*", TELL_SERVICES, &list);

	if (v != PASS)
		return v;
	if (items_parse(list, 1, 1, &services))
		return fail(r, "the list does not parse");
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		bool found = false;

		for (size_t k = 0; k < services.n; k++)
			found |= slice_eq_str(services.at[k][1], wanted[i]);
		if (!found)
			return fail(r, "%s is not listed", wanted[i]);
	}
	return PASS;
}

/* The file descriptor names every method of the standard, and nothing else: WE-7-1 as reflection sees it. */
static enum verdict describes_methods(struct run *r)
{
	static const char *const methods[] = { "FetchX509SVID", "FetchX509Bundles", "FetchJWTSVID", "FetchJWTBundles",
					       "ValidateJWTSVID", "FetchWITSVID", "FetchWITBundles" };
	AUTO(call) struct call c = { 0 };
	struct slice files;
	enum verdict v = ask_reflection(r, &c, ASK_SYMBOL, "SpiffeWorkloadAPI", TELL_FILES, &files);

	for (size_t i = 0; v == PASS && i < ARRAY_SIZE(methods); i++) {
		if (!memmem(files.p, files.len, methods[i], strlen(methods[i])))
			return fail(r, "%s is not described", methods[i]);
	}
	return v == PASS && memmem(files.p, files.len, "WhoAmI", 6) ? fail(r, "a method of our own among them") : v;
}

static enum verdict knows_no_other(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct slice error;
	enum verdict v = ask_reflection(r, &c, ASK_SYMBOL, "no.such.Symbol", TELL_ERROR, &error);

	if (v != PASS)
		return v;
	return varint_field(error, 1) == 5 ? PASS : fail(r, "error_code %u, not NotFound", (unsigned int)varint_field(error, 1));
}

const struct test reflection_tests[] = {
	{ "WE-7-3", "reflection v1 lists the services", MODE_BOTH, lists_services, &reflect_v1 },
	{ "WE-7-3", "reflection v1alpha lists the services", MODE_BOTH, lists_services, &reflect_v1alpha },
	{ "WE-7-3", "reflection v1 describes the Workload API", MODE_BOTH, describes_methods, &reflect_v1 },
	{ "WE-7-3", "reflection v1alpha describes the Workload API", MODE_BOTH, describes_methods, &reflect_v1alpha },
	{ "WE-7-3", "an unknown symbol: NotFound inside the answer", MODE_BOTH, knows_no_other, &reflect_v1 },
	{ 0 },
};
