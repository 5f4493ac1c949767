// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c */
/* reflection_test.c - what tools are told, and a method with many requests: one by one, bounded, ended as the client ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "gen/reflection.pb-c.h"
#include "tests/lib/call_fixture.h"
#include "workloadapi/service.h"

#define V1 "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

enum { FILENAME = 3, SYMBOL, EXTENSION, EXTENSIONS, SERVICES };

typedef Grpc__Reflection__V1__ServerReflectionResponse Response;

#define CASE(r, which) \
	((r)->message_response_case == GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##which)

static Response *unpack(struct slice s)
{
	Response *r = grpc__reflection__v1__server_reflection_response__unpack(NULL, s.len, s.p);

	assert_non_null(r);
	assert_non_null(r->original_request);
	return r;
}

static void drop(Response *r)
{
	grpc__reflection__v1__server_reflection_response__free_unpacked(r, NULL);
}

/* The @n th answer, from 0. */
static Response *answer(const struct answer *a, size_t n)
{
	struct slice s = buf_slice(&a->body), message;

	for (size_t i = 0; i <= n; i++) {
		assert_int_equal(slice_get_u8(&s), 0);
		message = slice_get_bytes(&s, slice_get_be32(&s));
		assert_true(slice_ok(&s));
	}
	return unpack(message);
}

static Response *ask(struct fixture *f, uint32_t what, const char *value)
{
	AUTO(buf) struct buf b = BUF_INIT(1024);
	struct answer *a;

	pb_put(&b, 1, slice_str("host"));
	pb_put_bytes(&b, what, slice_str(value));
	a = peer_send(f->p, V1, buf_slice(&b));
	peer_run(f->p);
	if (a->grpc != GRPC_OK)
		fail_msg("%s: %d %s", value, a->grpc, a->message);
	return answer(a, 0);
}

static bool is_listed(const Response *r, const char *name)
{
	for (size_t i = 0; i < r->list_services_response->n_service; i++)
		if (!strcmp(r->list_services_response->service[i]->name, name))
			return true;
	return false;
}

static void every_service_that_answers_is_listed(void **state)
{
	static const char *const names[] = { "SpiffeWorkloadAPI", "grpc.health.v1.Health", "svid.v1.Self",
					     "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
					     "envoy.service.secret.v3.SecretDiscoveryService" };
	Response *r = ask(*state, SERVICES, "");

	assert_string_equal(r->valid_host, "host");
	assert_int_equal(r->list_services_response->n_service, ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_true(is_listed(r, names[i]));
		assert_true(service_is_here(names[i]));
	}
	drop(r);
}

/* Names of a descriptor's children: field @number, and their field 1. */
static size_t count(struct slice descriptor, uint32_t number)
{
	struct pb_field f;
	size_t n = 0;

	while (pb_next(&descriptor, &f))
		n += f.number == number;
	return n;
}

static struct slice child(struct slice descriptor, uint32_t number, size_t i)
{
	struct pb_field f = { .number = 0 };

	while (pb_next(&descriptor, &f))
		if (f.number == number && !i--)
			return f.bytes;
	fail_msg("no child");
	return descriptor;
}

static void put_name(struct buf *b, struct slice descriptor)
{
	struct slice name;

	assert_int_equal(pb_strings(descriptor, &name, 1), 0);
	buf_put_slice(b, name);
}

/* What tools learn can be called: each described method is one that is served. */
static void every_described_method_is_served(void **state)
{
	static const char *const files[] = { "workload.proto", "health.proto", "self.proto", "reflection.proto",
					     "reflection_v1alpha.proto", "envoy/service/secret/v3/sds.proto" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		Response *r = ask(f, FILENAME, files[i]);
		ProtobufCBinaryData d = r->file_descriptor_response->file_descriptor_proto[0];
		struct slice file = slice_of(d.data, d.len), head[2], service = child(file, 6, 0);

		assert_int_equal(count(file, 6), 1);
		assert_int_equal(pb_strings(file, head, 2), 0);
		for (size_t m = 0; m < count(service, 2); m++) {
			AUTO(buf) struct buf path = BUF_INIT(256);

			buf_printf(&path, "/%.*s%s", (int)head[1].len, head[1].p ? (const char *)head[1].p : "",
				   head[1].len ? "." : "");
			put_name(&path, service);
			buf_put_str(&path, "/");
			put_name(&path, child(service, 2, m));
			if (!service_method(buf_slice(&path)))
				fail_msg("%s is not served", buf_cstr(&path));
		}
		drop(r);
	}
}

static void expect_file(struct fixture *f, uint32_t what, const char *value, const char *file)
{
	Response *r = ask(f, what, value);
	struct slice name;

	if (!CASE(r, FILE_DESCRIPTOR_RESPONSE))
		fail_msg("%s: not found", value);
	assert_int_equal(r->file_descriptor_response->n_file_descriptor_proto, 1);
	assert_int_equal(pb_strings(slice_of(r->file_descriptor_response->file_descriptor_proto[0].data,
					     r->file_descriptor_response->file_descriptor_proto[0].len),
				    &name, 1), 0);
	if (!slice_eq_str(name, file))
		fail_msg("%s is in %.*s", value, (int)name.len, (const char *)name.p);
	drop(r);
}

static void files_and_symbols_are_found(void **state)
{
	static const struct {
		uint32_t what;
		const char *value, *file;
	} rows[] = {
		{ FILENAME, "workload.proto", "workload.proto" },
		{ FILENAME, "google/protobuf/struct.proto", "google/protobuf/struct.proto" },
		{ SYMBOL, "SpiffeWorkloadAPI", "workload.proto" },
		{ SYMBOL, "SpiffeWorkloadAPI.ValidateJWTSVID", "workload.proto" },
		{ SYMBOL, "X509SVIDResponse", "workload.proto" },
		{ SYMBOL, "X509SVIDResponse.svids", "workload.proto" },
		{ SYMBOL, "X509SVIDResponse.FederatedBundlesEntry", "workload.proto" },
		{ SYMBOL, "google.protobuf.Value", "google/protobuf/struct.proto" },
		{ SYMBOL, "google.protobuf.Value.kind", "google/protobuf/struct.proto" },
		{ SYMBOL, "google.protobuf.NullValue", "google/protobuf/struct.proto" },
		{ SYMBOL, "google.protobuf.NULL_VALUE", "google/protobuf/struct.proto" },
		{ SYMBOL, "grpc.health.v1.Health.Watch", "health.proto" },
		{ SYMBOL, "grpc.health.v1.HealthCheckResponse.ServingStatus", "health.proto" },
		{ SYMBOL, "grpc.health.v1.HealthCheckResponse.SERVING", "health.proto" },
		{ SYMBOL, "svid.v1.Self", "self.proto" },
		{ SYMBOL, "envoy.service.secret.v3.SecretDiscoveryService", "envoy/service/secret/v3/sds.proto" },
		{ SYMBOL, "envoy.service.discovery.v3.DiscoveryRequest", "envoy/service/discovery/v3/discovery.proto" },
		{ SYMBOL, "grpc.reflection.v1.ServerReflection", "reflection.proto" },
		{ SYMBOL, "grpc.reflection.v1alpha.ServerReflection", "reflection_v1alpha.proto" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_file(*state, rows[i].what, rows[i].value, rows[i].file);
}

static void what_is_not_here_is_not_found(void **state)
{
	static const struct {
		uint32_t what;
		const char *value;
	} rows[] = {
		{ FILENAME, "" }, { FILENAME, "workload" }, { FILENAME, "../workload.proto" },
		{ SYMBOL, "" }, { SYMBOL, "." }, { SYMBOL, "Spiffe" }, { SYMBOL, "SpiffeWorkloadAPI." },
		{ SYMBOL, "SpiffeWorkloadAPI.Nothing" }, { SYMBOL, "google.protobuf" }, { SYMBOL, "Struct" },
		{ SYMBOL, "google.protobuf.Struct.fields.x" }, { SYMBOL, "SERVING" },
		{ EXTENSION, "\x0a\x06Struct\x10\x01" }, { EXTENSIONS, "Nothing" }, { EXTENSIONS, "SpiffeWorkloadAPI" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		Response *r = ask(*state, rows[i].what, rows[i].value);

		if (!CASE(r, ERROR_RESPONSE))
			fail_msg("%s: found", rows[i].value);
		assert_int_equal(r->error_response->error_code, GRPC_NOT_FOUND);
		drop(r);
	}
}

static void no_message_has_extensions(void **state)
{
	Response *r = ask(*state, EXTENSIONS, "X509SVID");

	assert_string_equal(r->all_extension_numbers_response->base_type_name, "X509SVID");
	assert_int_equal(r->all_extension_numbers_response->n_extension_number, 0);
	drop(r);
}

static struct slice request(struct buf *b, const char *symbol)
{
	buf_reset(b);
	pb_put_bytes(b, SYMBOL, slice_str(symbol));
	return buf_slice(b);
}

/* Tools keep the stream open and ask one thing after another. */
static void a_stream_is_a_conversation(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct fixture *f = *state;
	struct slice last;
	struct answer *a;

	f->p->hold = true;
	a = peer_send(f->p, V1ALPHA, request(&b, "SpiffeWorkloadAPI"));
	peer_run(f->p);
	assert_int_equal(messages(a, &last), 1);
	assert_int_equal(a->grpc, -1);
	assert_int_equal(f->p->g.requests, 1);
	peer_more(f->p, a, request(&b, "svid.v1.Self"), true);
	peer_run(f->p);
	assert_int_equal(messages(a, &last), 2);
	assert_int_equal(a->grpc, -1);
	peer_more(f->p, a, slice_of(NULL, 0), false);
	peer_run(f->p);
	assert_int_equal(a->grpc, GRPC_OK);
	assert_int_equal(messages(a, &last), 2);
	assert_int_equal(f->p->g.buffered, 0);
}

static void a_stream_without_a_request_ends_well(void **state)
{
	const struct fields fields[] = { { ":method", "POST" }, { ":scheme", "http" }, { ":path", V1 },
					 { "content-type", "application/grpc" }, { NULL, NULL } };
	struct fixture *f = *state;
	struct answer *a = peer_request(f->p, fields, slice_of(NULL, 0)); /* nor the security header */

	peer_run(f->p);
	assert_int_equal(a->grpc, GRPC_OK);
	assert_int_equal(a->body.len, 0);
}

/* Bytes cut anywhere, answers that the window holds back: the same answers in the same order. */
static void many_requests_at_once_are_answered_in_order(void **state)
{
	static const char *const symbols[] = { "SpiffeWorkloadAPI", "svid.v1.Self", "Nothing", "grpc.health.v1.Health" };
	const nghttp2_settings_entry tiny = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 7 };
	AUTO(buf) struct buf all = BUF_INIT(4096), b = BUF_INIT(256);
	const struct fields fields[] = { { ":method", "POST" }, { ":scheme", "http" }, { ":path", V1 },
					 { "content-type", "application/grpc" }, { NULL, NULL } };
	struct fixture *f = *state;
	struct slice last;
	struct answer *a;

	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		struct slice m = request(&b, symbols[i]);

		buf_put_u8(&all, 0);
		buf_put_be32(&all, (uint32_t)m.len);
		buf_put_slice(&all, m);
	}
	f->p->chunk = 1;
	assert_int_equal(nghttp2_submit_settings(f->p->session, 0, &tiny, 1), 0);
	a = peer_request(f->p, fields, buf_slice(&all));
	peer_run(f->p);
	assert_int_equal(a->grpc, GRPC_OK);
	assert_int_equal(messages(a, &last), ARRAY_SIZE(symbols));
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		Response *r = answer(a, i);

		assert_string_equal(r->original_request->file_containing_symbol, symbols[i]);
		drop(r);
	}
	assert_int_equal(f->p->g.requests, ARRAY_SIZE(symbols));
}

static void broken_requests_end_the_stream(void **state)
{
	static const struct {
		const char *bytes; /* prefix and message */
		size_t len;
		int status;
		const char *text;
	} rows[] = {
		{ "\0\0\0\0\0", 5, GRPC_INVALID_ARGUMENT, "request cannot be parsed" }, /* asks nothing */
		{ "\0\0\0\0\1\xff", 6, GRPC_INVALID_ARGUMENT, "request cannot be parsed" },
		{ "\0\0\0\0\2\x20\1", 7, GRPC_INVALID_ARGUMENT, "request cannot be parsed" }, /* a symbol that is a number */
		{ "\0\0\0\0\3\x22\1\xff", 8, GRPC_INVALID_ARGUMENT, "request cannot be parsed" }, /* not UTF-8 */
		{ "\0\0\0\0", 4, GRPC_INTERNAL, "request message is not complete" },
		{ "\0\0\0\0\5\x22", 6, GRPC_INTERNAL, "request message is not complete" },
		{ "\1\0\0\0\0", 5, GRPC_INTERNAL, "compressed flag without grpc-encoding" },
		{ "\2\0\0\0\0", 5, GRPC_INTERNAL, "malformed request prefix" },
		{ "\0\xff\xff\xff\xff", 5, GRPC_RESOURCE_EXHAUSTED, "larger than its limit" },
	};
	const struct fields fields[] = { { ":method", "POST" }, { ":scheme", "http" }, { ":path", V1 },
					 { "content-type", "application/grpc" }, { NULL, NULL } };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct answer *a = peer_request(f->p, fields, slice_of(rows[i].bytes, rows[i].len));

		peer_run(f->p);
		if (a->grpc != rows[i].status || strcmp(a->message, rows[i].text))
			fail_msg("row %zu: %d %s", i, a->grpc, a->message);
	}
	assert_int_equal(f->p->g.buffered, 0);
}

/* A client that asks and does not read: what waits is bounded, and other streams are served. */
static void a_client_that_does_not_read_is_bounded(void **state)
{
	const nghttp2_settings_entry none = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0 };
	AUTO(buf) struct buf all = BUF_INIT(1 << 20), b = BUF_INIT(256);
	const struct fields fields[] = { { ":method", "POST" }, { ":scheme", "http" }, { ":path", V1 },
					 { "content-type", "application/grpc" }, { NULL, NULL } };
	struct fixture *f = *state;
	struct answer *a;

	for (size_t i = 0; i < 8000; i++) {
		struct slice m = request(&b, "Self");

		buf_put_u8(&all, 0);
		buf_put_be32(&all, (uint32_t)m.len);
		buf_put_slice(&all, m);
	}
	assert_int_equal(nghttp2_submit_settings(f->p->session, 0, &none, 1), 0);
	a = peer_request(f->p, fields, buf_slice(&all));
	peer_run(f->p);
	assert_true(f->p->g.buffered <= LIM_GRPC_MESSAGE + GRPC_PREFIX);
	assert_int_equal(a->body.len, 0);
	assert_false(f->p->stopped);
}

static void no_memory_ends_the_stream_alone(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct fixture *f = *state;
	bool whole = false;

	(void)request(&b, "SpiffeWorkloadAPI");
	for (long n = 0; !whole; n++) {
		struct answer *a;

		peer_free(f->p);
		f->p = peer_new(&f->api, false);
		peer_run(f->p);
		a = peer_send(f->p, V1, buf_slice(&b));
		mem_fail_after(n);
		peer_run(f->p);
		whole = !mem_fail_after(-1);
		if (whole)
			assert_int_equal(a->grpc, GRPC_OK);
		assert_true(n < 200);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(every_service_that_answers_is_listed),
		TEST(every_described_method_is_served),
		TEST(files_and_symbols_are_found),
		TEST(what_is_not_here_is_not_found),
		TEST(no_message_has_extensions),
		TEST(a_stream_is_a_conversation),
		TEST(a_stream_without_a_request_ends_well),
		TEST(many_requests_at_once_are_answered_in_order),
		TEST(broken_requests_end_the_stream),
		TEST(a_client_that_does_not_read_is_bounded),
		TEST(no_memory_ends_the_stream_alone),
	};

	return cmocka_run_group_tests_name("reflection", tests, NULL, NULL);
}
