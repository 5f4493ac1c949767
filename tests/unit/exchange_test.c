/* SPDX-License-Identifier: Apache-2.0 */
/* links: federation/exchange.c federation/exchange_parts.c federation/aws.c federation/roles_anywhere.c federation/gcp.c */
/* links: federation/azure.c federation/xml.c federation/wiped.c federation/leaf.c */
/* exchange_test.c - what is asked of each cloud's token service, and what its answers mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/base/err.h"
#include "federation/exchange_parts.h"
#include "federation/xml.h"

#define ID "spiffe://example.org/payments/api"
#define AWS_OK                                                                                                            \
	"<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"                         \
	"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>"                                  \
	"<SecretAccessKey>s&amp;k</SecretAccessKey><SessionToken>tok</SessionToken>"                                      \
	"<Expiration>2026-11-22T06:00:00.25Z</Expiration></Credentials>"                                                  \
	"<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser>"                                   \
	"</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata>"             \
	"</AssumeRoleWithWebIdentityResponse>"

struct rig {
	json_t *spec;
	struct exchange x;
	struct http_request r;
	struct outcome o;
};

static void start(struct rig *t, enum cloud_kind kind, const char *spec)
{
	*t = (struct rig){ .spec = json_loads(spec, 0, NULL) };
	assert_non_null(t->spec);
	assert_int_equal(exchange_check(kind, t->spec), 0);
	t->x = (struct exchange){ .kind = kind, .spec = t->spec, .spiffe_id = slice_str(ID), .node = slice_str("node-7"),
				  .now = 1795325400, .jwt = slice_str("a.b.c") };
	exchange_init(&t->x);
}

static void stop(struct rig *t)
{
	http_request_done(&t->r);
	outcome_done(&t->o);
	exchange_done(&t->x);
	json_decref(t->spec);
}

static const char *body_of(struct rig *t)
{
	http_request_done(&t->r);
	assert_int_equal(exchange_request(&t->x, &t->r), 0);
	return buf_cstr(&t->r.body);
}

static enum verdict answer(struct rig *t, unsigned int status, const char *body)
{
	const struct http_response r = { .status = status, .body = slice_str(body) };

	outcome_done(&t->o);
	t->o = (struct outcome){ .verdict = VERDICT_DONE };
	assert_int_equal(exchange_response(&t->x, &r, &t->o), 0);
	return t->o.verdict;
}

static bool has_header(const struct http_request *r, const char *line)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (slice_starts(buf_slice(&r->headers[i]), slice_str(line)))
			return true;
	return false;
}

static const char aws_spec[] = "{\"roleArn\":\"arn:aws:iam::1:role/r\",\"endpoint\":\"https://sts.eu-west-1.amazonaws.com\","
	"\"audience\":\"sts.amazonaws.com\",\"lifetime\":3600,\"sessionPolicy\":\"{}\","
	"\"policyArns\":[\"arn:aws:iam::1:policy/p\"]}";

static void aws_is_asked_without_a_signature(void **state)
{
	struct rig t;

	(void)state;
	start(&t, CLOUD_AWS, aws_spec);
	assert_string_equal(body_of(&t), "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
		"&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=payments.api%40node-7"
		"&DurationSeconds=3600&Policy=%7B%7D"
		"&PolicyArns.member.1.arn=arn%3Aaws%3Aiam%3A%3A1%3Apolicy%2Fp&WebIdentityToken=a.b.c");
	assert_string_equal(buf_cstr(&t.r.url), "https://sts.eu-west-1.amazonaws.com/");
	assert_true(has_header(&t.r, "Content-Type: application/x-www-form-urlencoded"));
	assert_false(has_header(&t.r, "Authorization"));
	stop(&t);
}

static void aws_keys_are_taken_whole(void **state)
{
	struct rig t;

	(void)state;
	start(&t, CLOUD_AWS, aws_spec);
	assert_int_equal(answer(&t, 200, AWS_OK), VERDICT_DONE);
	assert_string_equal(buf_cstr(&t.x.got.key_id), "ASIA1");
	assert_string_equal(buf_cstr(&t.x.got.secret_key), "s&k");
	assert_string_equal(buf_cstr(&t.x.got.session_token), "tok");
	assert_int_equal(t.x.got.expires_at, 1795327200);
	assert_string_equal(buf_cstr(&t.o.principal), "arn:aws:sts::1:assumed-role/r/s");
	assert_string_equal(buf_cstr(&t.o.request_id), "req-1");
	stop(&t);
}

#define WITH(key, token)                                                                                                  \
	"<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>" \
	"<SecretAccessKey>" key "</SecretAccessKey><SessionToken>" token "</SessionToken><Expiration>2026-11-22T06:00:00Z"  \
	"</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"

/* It would be a line of its own in aws/credentials: a program that the workload runs, a profile of another account. */
static void line_breaks_in_secrets_are_refused(void **state)
{
	static const char *const bodies[] = {
		WITH("k&#10;credential_process = /tmp/x", "t"), WITH("k", "t\n[profile a]"), WITH("k", "t\xc3\xa4"),
		WITH("k k", "t"),
	};
	struct rig t;

	(void)state;
	start(&t, CLOUD_AWS, aws_spec);
	assert_int_equal(answer(&t, 200, WITH("k", "t")), VERDICT_DONE);
	stop(&t);
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		start(&t, CLOUD_AWS, aws_spec);
		assert_int_equal(answer(&t, 200, bodies[i]), VERDICT_RETRY);
		assert_non_null(strstr(buf_cstr(&t.o.message), "characters"));
		stop(&t);
	}
}

static void aws_answers_that_are_none_are_asked_again(void **state)
{
	static const char *const bodies[] = {
		"", "not xml", "<AssumeRoleWithWebIdentityResponse/>", "<html><body>proxy</body></html>",
		"<!DOCTYPE a [<!ENTITY x \"y\">]>" AWS_OK, AWS_OK "<more/>",
	};
	struct rig t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		start(&t, CLOUD_AWS, aws_spec);
		assert_int_equal(answer(&t, 200, bodies[i]), VERDICT_RETRY);
		assert_non_null(t.o.next_step);
		stop(&t);
	}
}

static void aws_error_words_decide(void **state)
{
	static const struct {
		unsigned int status;
		const char *code;
		enum verdict verdict;
	} rows[] = {
		{ 400, "IDPCommunicationError", VERDICT_RETRY },   { 400, "InvalidIdentityToken", VERDICT_NEW_JWT },
		{ 400, "ExpiredTokenException", VERDICT_NEW_JWT }, { 403, "IDPRejectedClaim", VERDICT_SLOW },
		{ 403, "AccessDenied", VERDICT_SLOW },		   { 400, "MalformedPolicyDocument", VERDICT_PERMANENT },
		{ 400, "ValidationError", VERDICT_PERMANENT },	   { 400, "Throttling", VERDICT_RETRY },
		{ 503, "SomethingNew", VERDICT_RETRY },		   { 400, "SomethingNew", VERDICT_SLOW },
	};
	char body[256];
	struct rig t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		start(&t, CLOUD_AWS, aws_spec);
		snprintf(body, sizeof(body), "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>why</Message>"
			 "</Error><RequestId>r2</RequestId></ErrorResponse>", rows[i].code);
		assert_int_equal(answer(&t, rows[i].status, body), rows[i].verdict);
		assert_string_equal(buf_cstr(&t.o.code), rows[i].code);
		assert_string_equal(buf_cstr(&t.o.message), "why");
		assert_string_equal(buf_cstr(&t.o.request_id), "r2");
		stop(&t);
	}
}

static const char azure_spec[] = "{\"tenantID\":\"te/nant\",\"clientID\":\"c\",\"scope\":\"https://vault.azure.net/.default\","
	"\"audience\":\"api://AzureADTokenExchange\",\"authority\":\"https://login.microsoftonline.com\"}";

static void retry_after_is_heard_and_bounded(void **state)
{
	static const struct {
		const char *value;
		uint32_t seconds;
	} rows[] = { { "17", 17 }, { "999999", 3600 }, { "Sun, 22 Nov 2026 06:00:00 GMT", 0 }, { "", 0 } };
	struct rig t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct http_response r = { .status = 429, .body = slice_str("{\"error\":\"temporarily_unavailable\"}"),
					   .retry_after = slice_str(rows[i].value) };

		start(&t, CLOUD_AZURE, azure_spec);
		assert_int_equal(exchange_response(&t.x, &r, &t.o), 0);
		assert_int_equal(t.o.verdict, VERDICT_RETRY);
		assert_int_equal(t.o.retry_after, rows[i].seconds);
		stop(&t);
	}
}

/* Messages go to logs, records and cache.db: whoever reads them must not be able to show our token again. */
static void what_a_service_quotes_of_a_token_is_told_to_nobody(void **state)
{
	AUTO(buf) struct buf body = BUF_INIT(8192);
	char token[900];
	struct rig t;

	(void)state;
	memset(token, 'A', sizeof(token));
	memcpy(token, "eyJ", 3);
	token[100] = token[500] = '.';
	token[899] = 0;
	buf_printf(&body, "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS50027: JWT '%s' of "
		   "'spiffe://example.org/payments/api' is invalid (%s)\"}", token, token + 700);
	start(&t, CLOUD_AZURE, azure_spec);
	assert_int_equal(answer(&t, 401, buf_cstr(&body)), VERDICT_SLOW);
	assert_string_equal(buf_cstr(&t.o.message),
			    "AADSTS50027: JWT '[...]' of 'spiffe://example.org/payments/api' is invalid ([...])");
	stop(&t);
}

/* Numbers of a token service are added to clocks, and timers are made of them. */
static void lives_are_bounded(void **state)
{
	static const char *const none[] = { "-1", "0", "9223372036854775807", "9223372036854775808", "1000000000000", "1e300",
					    "NaN", "true", "null", "\"\"", "\"-5\"", "\"9223372036854775807\"", "{}", "[]" };
	static const char *const much[] = { "999999999999", "\"999999999999\"", "999999999999.5" };
	char body[128];
	struct rig t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		start(&t, CLOUD_AZURE, azure_spec);
		snprintf(body, sizeof(body), "{\"access_token\":\"t\",\"expires_in\":%s}", none[i]);
		assert_int_equal(answer(&t, 200, body), VERDICT_RETRY);
		stop(&t);
	}
	for (size_t i = 0; i < ARRAY_SIZE(much); i++) {
		start(&t, CLOUD_AZURE, azure_spec);
		snprintf(body, sizeof(body), "{\"access_token\":\"t\",\"expires_in\":%s}", much[i]);
		assert_int_equal(answer(&t, 200, body), VERDICT_DONE);
		assert_int_equal(t.x.got.expires_at, t.x.now + 2 * 86400);
		stop(&t);
	}
}

static const char gcp_spec[] =
	"{\"oidcProviderId\":\"//iam.googleapis.com/p\",\"serviceAccount\":\"sa@p.iam\",\"audience\":\"x\","
	"\"scopes\":[\"s1\",\"s2\"],\"lifetime\":600,\"stsEndpoint\":\"https://sts/v1/token\","
	"\"iamEndpoint\":\"https://iam\",\"idTokenAudience\":\"https://run\"}";

static void google_is_asked_three_times_for_a_service_account(void **state)
{
	struct rig t;

	(void)state;
	start(&t, CLOUD_GCP, gcp_spec);
	assert_non_null(strstr(body_of(&t), "&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fiam&"));
	assert_int_equal(answer(&t, 200, "{\"access_token\":\"fed\",\"expires_in\":3599,\"token_type\":\"Bearer\"}"),
			 VERDICT_NEXT);
	assert_string_equal(body_of(&t), "{\"scope\":[\"s1\",\"s2\"],\"lifetime\":\"600s\"}");
	assert_true(has_header(&t.r, "Authorization: Bearer fed"));
	assert_string_equal(buf_cstr(&t.r.url), "https://iam/v1/projects/-/serviceAccounts/sa%40p.iam:generateAccessToken");
	assert_int_equal(answer(&t, 200, "{\"accessToken\":\"ya29\",\"expireTime\":\"2026-11-22T06:00:00Z\"}"), VERDICT_NEXT);
	assert_string_equal(body_of(&t), "{\"includeEmail\":true,\"audience\":\"https://run\"}");
	assert_int_equal(answer(&t, 200, "{\"token\":\"h.p.s\"}"), VERDICT_DONE);
	assert_string_equal(buf_cstr(&t.x.got.access_token), "ya29");
	assert_string_equal(buf_cstr(&t.x.got.id_token), "h.p.s");
	assert_int_equal(t.x.got.expires_at, 1795327200);
	stop(&t);
}

static void google_id_token_ends_after_an_hour(void **state)
{
	struct rig t;

	(void)state;
	start(&t, CLOUD_GCP, gcp_spec);
	assert_int_equal(answer(&t, 200, "{\"access_token\":\"fed\",\"expires_in\":3599}"), VERDICT_NEXT);
	t.x.got.expires_at = t.x.now + 12 * 3600;
	t.x.step++;
	assert_int_equal(answer(&t, 200, "{\"token\":\"h.p.s\"}"), VERDICT_DONE);
	assert_int_equal(t.x.got.expires_at, t.x.now + 3600);
	stop(&t);
}

static void google_errors_come_in_two_shapes(void **state)
{
	struct rig t;

	(void)state;
	start(&t, CLOUD_GCP, gcp_spec);
	assert_int_equal(answer(&t, 400, "{\"error\":\"invalid_grant\",\"error_description\":\"stale\"}"), VERDICT_NEW_JWT);
	assert_string_equal(buf_cstr(&t.o.message), "stale");
	assert_int_equal(answer(&t, 403, "{\"error\":{\"code\":403,\"message\":\"no\",\"status\":\"PERMISSION_DENIED\"}}"),
			 VERDICT_SLOW);
	assert_string_equal(buf_cstr(&t.o.code), "PERMISSION_DENIED");
	assert_int_equal(answer(&t, 200, "{\"access_token\":\"x\"}"), VERDICT_RETRY); /* for how long? */
	assert_int_equal(answer(&t, 200, "[]"), VERDICT_RETRY);
	assert_int_equal(answer(&t, 200, "{\"access_token\":\"x\",\"access_token\":\"y\",\"expires_in\":1}"), VERDICT_RETRY);
	stop(&t);
}

static void azure_takes_the_token_as_assertion(void **state)
{
	struct rig t;

	(void)state;
	start(&t, CLOUD_AZURE, azure_spec);
	assert_non_null(strstr(body_of(&t), "&client_assertion=a.b.c"));
	assert_string_equal(buf_cstr(&t.r.url), "https://login.microsoftonline.com/te%2Fnant/oauth2/v2.0/token");
	assert_int_equal(answer(&t, 200, "{\"token_type\":\"Bearer\",\"expires_in\":\"3599\",\"access_token\":\"ey\"}"),
			 VERDICT_DONE);
	assert_int_equal(t.x.got.expires_at, t.x.now + 3599);
	assert_true(t.o.refresh_in <= 0);
	assert_int_equal(answer(&t, 200, "{\"expires_in\":3599,\"refresh_in\":1800,\"access_token\":\"ey\"}"), VERDICT_DONE);
	assert_int_equal(t.o.refresh_in, 1800);
	assert_int_equal(answer(&t, 401, "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS5002738: no\","
		"\"error_codes\":[5002738],\"trace_id\":\"t\",\"correlation_id\":\"c\"}"), VERDICT_PERMANENT);
	assert_string_equal(buf_cstr(&t.o.code), "5002738");
	assert_string_equal(buf_cstr(&t.o.request_id), "t c");
	assert_int_equal(answer(&t, 401, "{\"error\":\"invalid_client\",\"error_codes\":[700213]}"), VERDICT_SLOW);
	stop(&t);
}

static void session_names_fit_aws(void **state)
{
	static const struct {
		const char *id, *node, *name; /* name NULL: only its form is looked at */
	} rows[] = {
		{ "spiffe://td/a/b", "n1", "a.b@n1" },
		{ "spiffe://td/a b", "n", NULL },
		{ "spiffe://td/a-b", "n", "a-b@n" },
		{ "spiffe://td/0123456789012345678901234567890123456789012345678901234567890123456789/a", "n", NULL },
		{ "spiffe://td/0123456789012345678901234567890123456789012345678901234567890123456789/b", "n", NULL },
		{ "spiffe://td", "", "svid" },
		{ "spiffe://td/a.b", "n1", NULL },
	};
	char names[ARRAY_SIZE(rows)][SESSION_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t len;

		session_name(slice_str(rows[i].id), slice_str(rows[i].node), names[i]);
		len = strlen(names[i]);
		assert_in_range(len, 2, SESSION_NAME_MAX);
		assert_int_equal(strspn(names[i], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-"), len);
		if (rows[i].name)
			assert_string_equal(names[i], rows[i].name);
	}
	assert_string_not_equal(names[3], names[4]); /* which differ only in what was cut off */
	assert_string_not_equal(names[0], names[6]); /* "/" is written as a dot */
}

static void times_are_utc_or_refused(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* -1: refused */
	} rows[] = {
		{ "2026-11-22T06:00:00Z", 1795327200 },	  { "2026-11-22T06:00:00.623388Z", 1795327200 },
		{ "2026-11-22T06:00:00+00:00", 1795327200 }, { "2026-11-22T06:00:00", -1 },
		{ "2026-11-22T06:00:00+01:00", -1 },	  { "2026-13-22T06:00:00Z", -1 },
		{ "2026-11-22T06:00:00Zx", -1 },	  { "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t seconds = -1;
		int err = time_parse(slice_str(rows[i].text), &seconds);

		assert_int_equal(err, rows[i].seconds < 0 ? -ERR_FORMAT : 0);
		assert_int_equal(seconds, rows[i].seconds);
	}
}

static void settings_that_are_missing_are_refused(void **state)
{
	json_t *empty = json_object();

	(void)state;
	for (unsigned int kind = 0; kind < CLOUD_KIND_COUNT; kind++)
		assert_int_equal(exchange_check(kind, empty), kind == CLOUD_JWT ? 0 : -ERR_FORMAT);
	assert_int_equal(exchange_check(CLOUD_KIND_COUNT, empty), -ERR_FORMAT);
	json_decref(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aws_is_asked_without_a_signature),
		cmocka_unit_test(aws_keys_are_taken_whole),
		cmocka_unit_test(line_breaks_in_secrets_are_refused),
		cmocka_unit_test(aws_answers_that_are_none_are_asked_again),
		cmocka_unit_test(aws_error_words_decide),
		cmocka_unit_test(retry_after_is_heard_and_bounded),
		cmocka_unit_test(what_a_service_quotes_of_a_token_is_told_to_nobody),
		cmocka_unit_test(lives_are_bounded),
		cmocka_unit_test(google_is_asked_three_times_for_a_service_account),
		cmocka_unit_test(google_id_token_ends_after_an_hour),
		cmocka_unit_test(google_errors_come_in_two_shapes),
		cmocka_unit_test(azure_takes_the_token_as_assertion),
		cmocka_unit_test(session_names_fit_aws),
		cmocka_unit_test(times_are_utc_or_refused),
		cmocka_unit_test(settings_that_are_missing_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
