/* links: tests/role/core_world.c tests/role/core_fronts.c tests/role/core_clients.c tests/role/core_case.c */
/* links: agent/parent/spawn.c agent/parent/roles.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_cloud_test.c - the real svid-core and a svid-cloud that is this test: what it is told, what it may have signed and what
 * not, the records of its exchanges, and what follows when somebody dies. Must run as root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/session_name.h"
#include "agent/ipc/lists.h"
#include "tests/role/core_case.h"

#define ROOT "root {\"workloadID\":\"root\",\"selectors\":[{\"unix:uid\":[\"0\"]}]}\n"
#define AWS(more)                                                                                                     \
	"CredentialSource/cloud {\"jwtTTL\":120,\"aws\":{\"roleArn\":\"arn:aws:iam::1:role/x\","                   \
	"\"audience\":\"sts.test\"" more "}}\n"
#define ANYWHERE "CredentialSource/cloud {\"awsRolesAnywhere\":{\"roleArn\":\"arn:aws:iam::1:role/x\"}}\n"
#define BOUND "WorkloadCredential/s3 {\"workloadID\":\"root\",\"credentialSource\":\"cloud\"}"

static struct world_cloud *cl = &w.cloud;

/* svid-core runs, and svid-cloud has been told everything once. */
static void start_with(const char *documents)
{
	w.documents = documents;
	world_start(&w, NULL);
	world_until(&w, cl->bounds == 1);
}

static void ask(uint32_t order, uint32_t binding, uint32_t file)
{
	assert_int_equal(ipc_put(cl->fd, CR_JWT, 0, .order = order, .binding = binding, .file = file), 0);
}

static bool audit_has(const char *text)
{
	static char log[1 << 18];
	int fd = open(world_path(&w, "audit.log"), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, log, sizeof(log) - 1);

	close(fd);
	log[n > 0 ? n : 0] = 0;
	return strstr(log, text);
}

static void assert_refused(uint32_t order, int err)
{
	world_until(&w, cl->refused == order);
	assert_int_equal(cl->refused_err, err);
}

static void assert_killed(void)
{
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_CLOUD);
	assert_core_is_well();
}

static void without_a_credential_there_is_no_svid_cloud(void **state)
{
	(void)state;
	world_start(&w, NULL);
	time_passes(100);
	assert_int_equal(cl->started, 0);
	w.documents = ROOT AWS("") BOUND;
	documents_apply();
	world_until(&w, cl->bounds == 1);
	assert_int_equal(cl->started, 1);
}

/* Exchanges would be refused, and tried again seconds later; readers of token files would hear EAGAIN: no SDK tries again. */
static void before_there_is_a_key_it_is_told_nothing(void **state)
{
	const char *jwks = w.jwks;

	(void)state;
	w.documents = ROOT AWS("") BOUND;
	w.jwks = "";
	world_start(&w, NULL);
	world_until(&w, cl->started == 1);
	time_passes(100);
	assert_int_equal(cl->confs, 0);
	assert_int_equal(cl->bounds, 0);
	w.jwks = jwks;
	w.sealed = "sealed again";
	world_say_loaded(&w);
	world_until(&w, cl->bounds == 1);
	assert_int_equal(cl->confs, 1);
}

static void it_is_told_what_the_documents_say(void **state)
{
	(void)state;
	w.agent = "{\"trustDomain\":\"example.org\",\"audit\":\"required\",\"jwt\":{\"issuer\":\"https://iss.test\"}}";
	start_with(ROOT AWS("") BOUND "\nWorkloadCredential/stray {\"workloadID\":\"nobody\",\"credentialSource\":\"cloud\"}"
				      "\nWorkloadCredential/sourceless {\"workloadID\":\"root\",\"credentialSource\":\"none\"}");
	assert_int_equal(cl->binds, 1);
	assert_int_equal(cl->kinds[0], CLOUD_AWS);
	assert_string_equal(cl->spiffe_ids[0], "spiffe://example.org/root");
	assert_string_equal(cl->names[0], "s3");
	assert_string_equal(cl->issuer, "https://iss.test");
	documents_apply(); /* the same again */
	world_until(&w, cl->bounds == 2);
	assert_int_equal(cl->binds, 1);
	assert_int_equal(cl->unbinds, 0);
}

static void a_token_is_what_its_source_says(void **state)
{
	const struct world_jwt *j = w.jwts;
	char node[65] = "", session[SESSION_NAME_MAX + 1], claims[512];

	(void)state;
	start_with(ROOT AWS(",\"tags\":{\"team\":\"blue\"},\"transitiveTags\":[\"team\"],\"sourceIdentity\":\"true\"") BOUND);
	ask(1, cl->bindings[0], 0);
	ask(2, cl->bindings[0], 1);
	world_until(&w, w.n_jwts == 2);
	assert_int_equal(j[0].front, FRONT_CLOUD);
	assert_int_equal(j[0].order, 1);
	assert_string_equal(j[0].spiffe_id, "spiffe://example.org/root");
	assert_string_equal(j[0].issuer, "spiffe://example.org");
	assert_int_equal(j[0].audiences, 1);
	assert_string_equal(j[0].audience, "sts.test");
	assert_int_equal(j[0].alg, JWT_RS256); /* what all three clouds take */
	assert_int_equal(j[0].ttl, 120);
	assert_int_equal(j[1].ttl, 3600); /* SDKs keep a file's content for ten minutes */
	assert_int_equal(gethostname(node, sizeof(node) - 1), 0);
	session_name(slice_str("spiffe://example.org/root"), slice_str(node), session); /* svid-cloud has no say in it */
	snprintf(claims, sizeof(claims), ",\"https://aws.amazon.com/tags\":{\"principal_tags\":{\"team\":[\"blue\"]},"
		 "\"transitive_tag_keys\":[\"team\"]},\"https://aws.amazon.com/source_identity\":\"%s\"", session);
	assert_string_equal(j[0].claims, claims);
}

/* Whoever could ask for such a token could exchange it itself. */
static void a_workload_is_not_given_the_audience_of_a_source(void **state)
{
	AUTO(buf) struct buf list = BUF_INIT(256);
	struct world_front *f;
	int fd;

	(void)state;
	w.documents = ROOT AWS("") BOUND;
	f = served(&fd);
	world_until(&w, cl->bounds == 1);
	list_put_str(&list, slice_str("other"));
	list_put_str(&list, slice_str("sts.test"));
	assert_int_equal(ipc_put(f->fd, FR_JWT, 0, .order = 1, .conn = w.conns[0].number, .identity = f->identities[0],
				 .audiences = buf_slice(&list)), 0);
	world_until(&w, f->nojwt_order == 1);
	assert_int_equal(f->nojwt_err, -ERR_AUDIENCE);
	assert_int_equal(w.n_jwts, 0);
	buf_reset(&list);
	list_put_str(&list, slice_str("other"));
	assert_int_equal(ipc_put(f->fd, FR_JWT, 0, .order = 2, .conn = w.conns[0].number, .identity = f->identities[0],
				 .audiences = buf_slice(&list)), 0);
	world_until(&w, w.n_jwts == 1);
	close(fd);
}

static void what_is_withdrawn_is_signed_for_no_more(void **state)
{
	uint32_t binding;

	(void)state;
	start_with(ROOT AWS("") BOUND);
	binding = cl->bindings[0];
	w.documents = ROOT AWS("");
	documents_apply();
	world_until(&w, cl->unbinds == 1);
	assert_int_equal(cl->unbound, binding);
	ask(7, binding, 0);
	assert_refused(7, -ERR_NOT_FOUND);
	w.documents = ROOT AWS("") BOUND;
	documents_apply();
	world_until(&w, cl->binds == 2);
	assert_int_not_equal(cl->bindings[1], binding); /* a number is never used again */
	ask(8, binding, 0);
	assert_refused(8, -ERR_NOT_FOUND);
	assert_int_equal(w.n_jwts, 0);
	assert_core_is_well();
}

static void a_changed_source_is_told_under_the_same_number(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	w.documents = ROOT AWS(",\"region\":\"eu-west-1\"") BOUND;
	documents_apply();
	world_until(&w, cl->binds == 2);
	assert_int_equal(cl->bindings[1], cl->bindings[0]);
	assert_int_equal(cl->unbinds, 0);
}

static void orders_and_exchanges_are_recorded(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	ask(1, cl->bindings[0], 0);
	world_until(&w, audit_has("\"event\":\"issue\",\"credential\":\"s3\",\"source\":\"cloud\",\"kind\":\"aws\","
				  "\"spiffe_id\":\"spiffe://example.org/root\",\"jti\":\"jti-1\",\"kid\":\"kid-1\""));
	assert_true(audit_has("\"decision\":\"cloud-jwt\",\"allowed\":true,\"credential\":\"s3\""));
	assert_true(audit_has("\"audiences\":[\"sts.test\"]"));
	assert_int_equal(ipc_put(cl->fd, CR_EXCHANGE, 0, .binding = cl->bindings[0], .http_status = 200,
				 .endpoint = slice_str("https://sts.test"), .jti = slice_str("jti-1"), .kid = slice_str("kid-1"),
				 .session = slice_str("sess\"\n"), .key_id = slice_str("ASIA1"),
				 .request_id = slice_str("req-1")), 0);
	world_until(&w, audit_has("\"event\":\"exchange\",\"credential\":\"s3\""));
	assert_true(audit_has("\"granted\":true,\"http_status\":200,"));
	assert_true(audit_has("\"jti\":\"jti-1\",\"kid\":\"kid-1\",\"session\":\"sess\\\"\\n\""));
	assert_true(audit_has("\"key_id\":\"ASIA1\",\"request_id\":\"req-1\""));
	assert_int_equal(ipc_put(cl->fd, CR_EXCHANGE, 0, .binding = cl->bindings[0], .err = -ERR_NOT_READY, .http_status = 403,
				 .code = slice_str("AccessDenied")), 0);
	world_until(&w, audit_has("\"granted\":false,\"http_status\":403,\"code\":\"AccessDenied\""));
}

static void without_a_record_nothing_is_signed(void **state)
{
	(void)state;
	w.documents = ROOT AWS("") BOUND;
	w.agent = "{\"trustDomain\":\"example.org\",\"audit\":\"best-effort\"}";
	world_start(&w, "/dev/full");
	world_until(&w, cl->bounds == 1);
	w.agent = "{\"trustDomain\":\"example.org\",\"audit\":\"required\"}";
	documents_apply();
	world_until(&w, cl->bounds == 2);
	ask(1, cl->bindings[0], 0);
	assert_refused(1, -ERR_AUDIT);
	assert_int_equal(w.n_jwts, 0);
}

static void what_it_says_is_what_svid_credentials_shows(void **state)
{
	struct slice json;

	(void)state;
	start_with(ROOT AWS("") BOUND);
	assert_int_equal(ipc_put(cl->fd, CR_STATE, 0, .binding = cl->bindings[0], .state = CLOUD_SLOW, .failures = 3,
				 .error = slice_str("AccessDenied: \"no\""), .next_step = slice_str("mend the trust policy")), 0);
	assert_int_equal(ipc_put(cl->fd, CR_STATE, 0, .binding = cl->bindings[0] + 1, .state = CLOUD_READY), 0); /* crossed */
	time_passes(100);
	assert_int_equal(world_admin(&w, ADMIN_CREDENTIALS, 0, &json), 0);
	assert_true(json_has(json, "\"running\":true"));
	assert_true(json_has(json, "\"state\":\"slow\""));
	assert_true(json_has(json, "\"failures\":3,\"error\":\"AccessDenied: \\\"no\\\"\","
				   "\"next_step\":\"mend the trust policy\""));
	assert_int_equal(world_admin(&w, ADMIN_CREDENTIALS, cl->bindings[0], &json), 0);
	world_until(&w, cl->refreshes == 1);
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "\"cloud\":{\"wanted\":true,\"running\":true,\"oidc_port\":0,\"credentials\":{"));
	assert_true(json_has(json, "\"slow\":1"));
}

/* ---- who dies ---- */

static void when_keys_die_its_orders_hear_it(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	w.ways.keys_keep_jwts = true;
	ask(5, cl->bindings[0], 0);
	world_until(&w, w.n_jwts == 1);
	world_new_keys(&w);
	assert_refused(5, -ERR_NOT_READY);
	world_until(&w, w.loads == 2);
	w.ways.keys_keep_jwts = false;
	time_passes(50);
	ask(5, cl->bindings[0], 0); /* the number is free, and the new one signs */
	world_until(&w, w.n_jwts == 2);
}

/* What was signed was signed, whoever reads it. */
static void a_token_of_a_svid_cloud_that_died_is_recorded(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	w.ways.keys_keep_jwts = true;
	ask(5, cl->bindings[0], 0);
	world_until(&w, w.n_jwts == 1);
	world_new_cloud(&w);
	world_until(&w, cl->bounds == 1); /* it is told everything */
	assert_int_equal(cl->binds, 1);
	world_say_jwt(&w, &w.jwts[0], 0);
	world_until(&w, audit_has("\"event\":\"issue\",\"credential\":\"s3\""));
	ask(5, cl->bindings[0], 0); /* of another life: its own number */
	world_until(&w, w.n_jwts == 2);
	assert_int_equal(w.kills, 0);
	assert_core_is_well();
}

static void so_many_orders_at_once_and_no_more(void **state)
{
	uint32_t n = 0;

	(void)state;
	start_with(ROOT AWS("") BOUND);
	w.ways.keys_keep_jwts = true;
	while (n < LIM_CLOUD_ORDERS) {
		ask(++n, cl->bindings[0], 0);
		world_step(&w, 0);
	}
	world_until(&w, w.n_jwts == LIM_CLOUD_ORDERS);
	ask(n + 1, cl->bindings[0], 0);
	assert_refused(n + 1, -ERR_LIMIT);
	world_say_jwt(&w, &w.jwts[(LIM_CLOUD_ORDERS - 1) % WORLD_JWTS], 0);
	time_passes(50);
	ask(n + 2, cl->bindings[0], 0);
	world_until(&w, w.n_jwts == LIM_CLOUD_ORDERS + 1);
}

/* ---- what it must not say ---- */

static void order_number_zero_kills_it(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	ask(0, cl->bindings[0], 0);
	assert_killed();
	assert_int_equal(w.n_jwts, 0);
}

static void an_order_number_that_is_open_kills_it(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	w.ways.keys_keep_jwts = true;
	ask(3, cl->bindings[0], 0);
	ask(3, cl->bindings[0], 1);
	assert_killed();
	assert_int_equal(w.n_jwts, 1);
}

/* Taken over, it could fill the disk under the audit log, or keep svid-keys from everybody else. */
static void orders_without_end_are_refused_unrecorded(void **state)
{
	uint32_t order = 0;

	(void)state;
	start_with(ROOT AWS("") BOUND);
	w.ways.keys_keep_jwts = true;
	while (cl->refused_err != -ERR_RATE && order < 2 * LIM_CLOUD_BURST) {
		for (int i = 0; i < 64; i++)
			ask(++order, cl->bindings[0], 0);
		if (order > LIM_CLOUD_ORDERS)
			world_until(&w, cl->refused == order);
	}
	assert_int_equal(cl->refused_err, -ERR_RATE);
	assert_true(order >= LIM_CLOUD_BURST);
	assert_int_equal(w.n_jwts, LIM_CLOUD_ORDERS);
	assert_core_is_well();
}

static void a_token_for_roles_anywhere_kills_it(void **state)
{
	(void)state;
	start_with(ROOT ANYWHERE BOUND);
	ask(1, cl->bindings[0], 0);
	assert_killed();
	assert_int_equal(w.n_jwts, 0);
}

static void a_signature_for_another_kind_kills_it(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	assert_int_equal(ipc_put(cl->fd, CR_SIGN, 0, .order = 1, .binding = cl->bindings[0],
				 .text = slice_str("AWS4-X509-RSA-SHA256\n")), 0);
	assert_killed();
	assert_int_equal(cl->chains, 0);
}

/* svid-keys would end for it: it is svid-cloud that breaks the rules. */
static void a_signature_for_tls_kills_it(void **state)
{
	(void)state;
	start_with(ROOT ANYWHERE BOUND);
	assert_int_equal(ipc_put(cl->fd, CR_SIGN, 0, .order = 1, .binding = cl->bindings[0],
				 .text = slice_str("    TLS 1.3, client CertificateVerify")), 0);
	assert_killed();
	assert_int_equal(cl->chains, 0);
}

static void a_state_that_is_none_kills_it(void **state)
{
	(void)state;
	start_with(ROOT AWS("") BOUND);
	assert_int_equal(ipc_put(cl->fd, CR_STATE, 0, .binding = cl->bindings[0], .state = CLOUD_STATE_COUNT), 0);
	assert_killed();
}

static void ready_twice_and_messages_of_others_kill_it(void **state)
{
	static const uint16_t bad[] = { MSG_CR_READY, MSG_CL_BIND, MSG_FR_JWT, MSG_KY_JWT_DONE, MSG_C_COMPILE, 9999 };

	(void)state;
	start_with(ROOT AWS("") BOUND);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(ipc_send(cl->fd, bad[i], 0, slice_of(NULL, 0), NULL, 0), 0);
		world_until(&w, w.kills == i + 1);
		assert_int_equal(w.last_kill.role, ROLE_CLOUD);
		world_new_cloud(&w);
		world_until(&w, cl->bounds == 1);
	}
	assert_core_is_well();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(without_a_credential_there_is_no_svid_cloud),
		T(before_there_is_a_key_it_is_told_nothing),
		T(it_is_told_what_the_documents_say),
		T(a_token_is_what_its_source_says),
		T(a_workload_is_not_given_the_audience_of_a_source),
		T(what_is_withdrawn_is_signed_for_no_more),
		T(a_changed_source_is_told_under_the_same_number),
		T(orders_and_exchanges_are_recorded),
		T(without_a_record_nothing_is_signed),
		T(what_it_says_is_what_svid_credentials_shows),
		T(when_keys_die_its_orders_hear_it),
		T(a_token_of_a_svid_cloud_that_died_is_recorded),
		T(so_many_orders_at_once_and_no_more),
		T(order_number_zero_kills_it),
		T(an_order_number_that_is_open_kills_it),
		T(orders_without_end_are_refused_unrecorded),
		T(a_token_for_roles_anywhere_kills_it),
		T(a_signature_for_another_kind_kills_it),
		T(a_signature_for_tls_kills_it),
		T(a_state_that_is_none_kills_it),
		T(ready_twice_and_messages_of_others_kill_it),
	};

	return cmocka_run_group_tests_name("core_cloud", tests, NULL, NULL);
}
