/* SPDX-License-Identifier: Apache-2.0 */
/* links: federation agent/db agent/oidc agent/sandbox tests/lib/ca.c tests/lib/fault.c */
/*
 * cloud_fault_test.c - each allocation of svid-cloud in turn fails, expat's too: requests, answers, bindings with their files and
 * refusals. Nothing is half done, and with memory back all goes on. (jansson's failing ends svid-cloud, see main.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/mem.h"
#include "federation/cloud.h"
#include "federation/exchange_parts.h"
#include "federation/http.h"
#include "federation/oidc.h"
#include "tests/lib/ca.h"
#include "tests/lib/fault.h"

#define MAX_STEPS 20000
#define ID "spiffe://example.org/web"
#define AWS "{\"aws\":{\"roleArn\":\"r\",\"endpoint\":\"https://127.0.0.1:1\",\"audience\":\"a\",\"lifetime\":900," \
	    "\"policyArns\":[\"p\"],\"sessionPolicy\":\"{}\"}}"

static const struct {
	enum cloud_kind kind;
	const char *spec, *granted, *refused;
} clouds[] = {
	{ CLOUD_AWS, "{\"roleArn\":\"r\",\"endpoint\":\"https://e\",\"audience\":\"a\",\"lifetime\":900}",
	  "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>A</AccessKeyId>"
	  "<SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
	  "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
	  "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>" },
	{ CLOUD_AWS_ROLES_ANYWHERE,
	  "{\"trustAnchorArn\":\"a:b:c:d:e\",\"profileArn\":\"p\",\"roleArn\":\"r\",\"endpoint\":\"https://e\"}",
	  "{\"credentialSet\":[{\"credentials\":{\"accessKeyId\":\"A\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\","
	  "\"expiration\":\"2099-01-01T00:00:00Z\"}}]}", "{\"__type\":\"AccessDeniedException\",\"message\":\"no\"}" },
	{ CLOUD_GCP, "{\"oidcProviderId\":\"p\",\"stsEndpoint\":\"https://e\",\"iamEndpoint\":\"https://i\",\"audience\":\"a\"}",
	  "{\"access_token\":\"y\",\"expires_in\":3599}", "{\"error\":\"invalid_target\",\"error_description\":\"no\"}" },
	{ CLOUD_AZURE, "{\"tenantID\":\"t\",\"clientID\":\"c\",\"scope\":\"s\",\"audience\":\"a\",\"authority\":\"https://e\"}",
	  "{\"access_token\":\"y\",\"expires_in\":3599}", "{\"error\":\"invalid_client\",\"error_codes\":[700213]}" },
};

static struct loop *loop;
static struct http *http;
static struct buf chain = BUF_INIT(LIM_CHAIN);
static char dir[] = "/tmp/svid-cloud-fault-XXXXXX";

/* ---- bytes in, bytes out ---- */

static int one_answer(struct exchange *x, const char *body, unsigned int status, enum verdict want)
{
	AUTO(outcome) struct outcome o = { .verdict = VERDICT_RETRY };
	const struct http_response r = { .status = status, .body = slice_str(body) };
	int err = exchange_response(x, &r, &o);

	/* No memory for a JSON answer looks like none: it is asked for again. */
	assert_true(err || o.verdict == want || o.verdict == VERDICT_RETRY);
	return err ? err : o.verdict == want ? 0 : -ENOMEM;
}

static int one_exchange(size_t i)
{
	AUTO(json_t) json_t *spec = json_loads(clouds[i].spec, 0, NULL);
	AUTO(http_request) struct http_request r = { .n_headers = 0 };
	struct exchange x = { .kind = clouds[i].kind, .spec = spec, .spiffe_id = slice_str(ID), .node = slice_str("n"),
			      .now = 1000, .jwt = slice_str("a.b.c"), .chain = buf_slice(&chain), .signature = slice_str("s") };
	AUTO(buf) struct buf to_sign = BUF_INIT(1024);
	int err = spec ? 0 : -ENOMEM;

	exchange_init(&x);
	if (!err && x.kind == CLOUD_AWS_ROLES_ANYWHERE)
		err = exchange_to_sign(&x, &to_sign);
	if (!err)
		err = exchange_request(&x, &r);
	if (!err)
		err = one_answer(&x, clouds[i].granted, x.kind == CLOUD_AWS_ROLES_ANYWHERE ? 201 : 200, VERDICT_DONE);
	assert_true(err || x.got.expires_at > x.now);
	if (!err)
		err = one_answer(&x, clouds[i].refused, 403, VERDICT_SLOW);
	exchange_done(&x);
	return err;
}

static int exchange_all(void)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(clouds) && !err; i++)
		err = one_exchange(i);
	return err;
}

static int serve_documents(void)
{
	static const char *const paths[] = { "GET /keys HTTP/1.1\r\n\r\n",
					     "GET /.well-known/openid-configuration HTTP/1.1\r\n\r\n" };
	const struct oidc_facts facts = { .issuer = slice_str("https://o.example"),
					  .jwks = slice_str("{\"keys\":[{\"kty\":\"EC\",\"kid\":\"k\"}]}") };
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths) && !err; i++) {
		AUTO(buf) struct buf out = BUF_INIT(8192);

		err = oidc_answer(&facts, slice_str(paths[i]), &out);
		if (!err && !slice_starts(buf_slice(&out), slice_str("HTTP/1.1 200 ")))
			err = -ENOMEM; /* 503: the client asks again */
	}
	return err;
}

/* ---- bindings ---- */

struct sibling {
	int core, keys;
	uint32_t order; /* of the last CR_JWT */
	unsigned int files, exchanges;
};

static void hear(struct sibling *s)
{
	AUTO(buf) struct buf in = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64);
	struct msg_CR_JWT ask;
	struct chan_msg m;

	mem_fail_after(-1); /* not ours to fail */
	while (ipc_recv(s->core, &in, &m) == 0) {
		if (m.type == MSG_CR_JWT && !msg_get_CR_JWT(m.body, &ask))
			s->order = ask.order;
		s->files += m.type == MSG_CR_FILE || m.type == MSG_CR_NOFILE;
		s->exchanges += m.type == MSG_CR_EXCHANGE;
		ipc_msg_done(&m);
	}
	while (ipc_recv(s->keys, &in, &m) == 0)
		ipc_msg_done(&m);
}

static long fault = -1; /* which allocation of live() fails */

static int begin(struct cloud *c, struct sibling *s)
{
	int core[2], keys[2], err;

	list_init(&c->queue);
	list_init(&c->fetches);
	c->pace.cb = bindings_on_pace;
	for (size_t i = 0; i < BINDING_BUCKETS; i++)
		list_init(&c->bindings[i]);
	c->loop = loop;
	c->http = http;
	cache_open(c, dir);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, core), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, keys), 0);
	*s = (struct sibling){ .core = core[0], .keys = keys[0] };
	err = keys_start(c, keys[1]);
	assert_int_equal(err, 0);
	err = core_start(c, core[1]);
	assert_int_equal(err, 0);
	return 0;
}

static void free_one(struct binding *b, void *arg)
{
	(void)arg;
	cache_drop(b);
	binding_free(b);
}

static void end(struct cloud *c, struct sibling *s)
{
	bindings_each(c, free_one, NULL);
	assert_int_equal(c->n_bindings + c->n_fetches, 0);
	loop_timer_stop(&c->pace);
	cache_close(c);
	chan_free(c->core);
	chan_free(c->keys);
	close(s->core);
	close(s->keys);
}

static int put(struct cloud *c, uint32_t number, enum cloud_kind kind, const char *json)
{
	const struct msg_CL_BIND m = { .binding = number, .kind = kind, .spiffe_id = slice_str(ID), .credential = slice_str("c"),
				       .source = slice_str("s"), .dir = slice_str("/d"), .source_json = slice_str(json) };

	return binding_put(c, &m);
}

/* A credential, its refusal by svid-core, a cloud that is not there, a token in a file; then all is withdrawn. */
static int live_on(struct cloud *c, struct sibling *s)
{
	const struct msg_CK_JWT jwt = { .issued_at = 1, .not_after = INT32_MAX, .jti = slice_str("j"), .kid = slice_str("k"),
					.token = slice_str("a.b.c") };
	struct binding *b;
	int err = put(c, 1, CLOUD_JWT, "{\"jwt\":{\"audience\":\"a\"}}");

	if (!err)
		err = put(c, 2, CLOUD_AWS, AWS);
	if (err)
		return err;
	b = binding_find(c, 1);
	err = binding_file(b, 1, CLOUD_FILE_JWT);
	if (!err)
		binding_token(b, 0, &jwt);
	if (!err)
		err = binding_file(b, 2, CLOUD_FILE_ENV);
	b = binding_find(c, 2);
	if (!err)
		err = binding_file(b, 3, CLOUD_FILE_AWS_CREDENTIALS);
	if (!err)
		err = b->fetch ? 0 : fetch_start(b);
	if (err)
		return err;
	fetch_cancel(b->fetch);
	b->fetch = NULL;
	err = fetch_start(b);
	if (!err && b->fetch) {
		struct msg_CK_JWT mine = jwt;

		mine.order = c->last_order;
		(void)fetch_jwt(c, &mine);
	}
	for (int i = 0; i < 20 && !err; i++)
		err = loop_once(loop, 5);
	(void)s;
	return err;
}

static int live(void)
{
	struct cloud c = { .jwks = BUF_INIT(LIM_JWKS) };
	struct sibling s;
	long n = fault;
	int err;

	mem_fail_after(-1);
	err = begin(&c, &s);
	if (!err) {
		mem_fail_after(n);
		err = live_on(&c, &s);
	}
	fault = mem_fail_after(-1) ? n : -1; /* reached: there may be one more */
	hear(&s);
	end(&c, &s);
	if (n < 0 && !err)
		assert_true(s.files >= 2 && s.exchanges == 1); /* the file that waits hears it from end() at the latest */
	return err;
}

/* ---- */

static bool is_fine(int err)
{
	return err == 0 || err == -ENOMEM;
}

static void exchanges(void **state)
{
	(void)state;
	fault_each(exchange_all, 1, is_fine);
}

static void documents(void **state)
{
	(void)state;
	fault_each(serve_documents, 1, is_fine);
}

static void bindings(void **state)
{
	long n;

	(void)state;
	fault = -1;
	assert_int_equal(live(), 0);
	for (n = 0; n < MAX_STEPS; n++) {
		int err;

		fault = n;
		err = live();
		if (err && err != -ENOMEM)
			fail_msg("allocation %ld: %d", n, err);
		if (fault < 0)
			break;
	}
	assert_in_range(n, 20, MAX_STEPS - 1);
	print_message("%ld allocations\n", n);
	fault = -1;
	assert_int_equal(live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exchanges),
		cmocka_unit_test(documents),
		cmocka_unit_test(bindings),
	};
	EVP_PKEY *key = ca_key("P-256");
	char path[64];
	int failed;

	ca_put(&chain, key);
	EVP_PKEY_free(key);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	if (!mkdtemp(dir) || loop_new(&loop) || http_new(loop, &http))
		return 2;
	failed = cmocka_run_group_tests_name("fault/cloud", tests, NULL, NULL);
	http_free(http);
	loop_free(loop);
	curl_global_cleanup();
	buf_done(&chain);
	snprintf(path, sizeof(path), "%s/cache.db", dir);
	unlink(path);
	rmdir(dir);
	return failed;
}
