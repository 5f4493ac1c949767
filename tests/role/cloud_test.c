/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/cloud_case.c tests/role/cloud_world.c tests/role/cloud_answers.c tests/role/keys_world.c */
/* links: tests/lib/busy.c tests/lib/https.c tests/lib/certs.c */
/* cloud_test.c - svid-cloud in its cage: what each cloud is asked, what workloads read then, how often, what a refusal does. */
#include "tests/role/cloud_case.h"

#include "agent/base/clock.h"

/* ---- the four kinds ---- */

static void aws_keys_are_read(void **state)
{
	struct world w = { .service.life = 3600 };
	const struct seen *s;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	assert_string_equal(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "[default]\naws_access_key_id = ASIA1\n"
			    "aws_secret_access_key = secret-1\naws_session_token = session-1\n");
	assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS_JSON), "{\"Version\":1,\"AccessKeyId\":\"ASIA1\","
			       "\"SecretAccessKey\":\"secret-1\",\"SessionToken\":\"session-1\",\"Expiration\":\"20"));
	assert_string_equal(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CONFIG), "[default]\nregion = eu-central-1\n"
			    "credential_process = /bin/cat /run/svid/credentials/0b7a/cred/aws/credentials.json\n");
	assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_ENV), "AWS_WEB_IDENTITY_TOKEN_FILE=/run/svid/credentials/0b7a/"
			       "cred/aws/web_identity_token\nAWS_ROLE_ARN=arn:aws:iam::123456789012:role/web\n"));
	assert_int_equal(w.service.n, 1);
	s = cloud_state(&w.rig, 1, CLOUD_READY);
	assert_in_range(s->refresh_at - s->last_success, 1800, 2521);
	assert_in_range(s->expires_at - clock_wall_s(), 3500, 3600);
	assert_true(cloud_refused(&w.rig, 7, CLOUD_FILE_ENV) == -ERR_NOT_FOUND); /* no such binding */
	world_end(&w);
}

/* Entra says refresh_in beside a token of @life: from when and to when it is renewed. */
static void assert_renewed(const char *refresh_in, int64_t life, int64_t from, int64_t to)
{
	struct world w = { .service = { .refusals = 1000, .status = 200 } };
	const struct seen *s;
	char text[256];

	snprintf(text, sizeof(text), "{\"token_type\":\"Bearer\",\"expires_in\":%lld,\"refresh_in\":%s,\"access_token\":\"ey\"}",
		 (long long)life, refresh_in);
	w.service.text = text;
	world_begin(&w, CLOUD_AZURE, "");
	s = cloud_state(&w.rig, 1, CLOUD_READY);
	assert_in_range(s->refresh_at - s->last_success, from, to);
	world_end(&w);
}

/* Its own word is taken when it makes sense. */
static void entra_says_when_a_token_is_renewed(void **state)
{
	(void)state;
	assert_renewed("20000", 86400, 20000, 28641);
	assert_renewed("\"43200\"", 86400, 43200, 51841);
	assert_renewed("60", 86400, 43200, 60482); /* every minute, for a token of a day */
	assert_renewed("86000", 86400, 43200, 60482); /* at its very end */
	assert_renewed("-1", 86400, 43200, 60482);
	assert_renewed("9223372036854775807", 86400, 43200, 60482);
	assert_renewed("null", 86400, 43200, 60482);
}

/* What joins our audit record to CloudTrail, and no secret in it, nor in the log. */
static void aws_exchange_is_recorded(void **state)
{
	struct world w = { .service.life = 3600 };
	const struct record *x = &w.rig.record;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	cloud_state(&w.rig, 1, CLOUD_READY);
	assert_int_equal(w.rig.exchanges, 1);
	assert_int_equal(x->err, 0);
	assert_int_equal(x->http_status, 200);
	assert_string_equal(x->key_id, "ASIA1");
	assert_string_equal(x->request_id, "request-1");
	assert_string_equal(x->session, "web@node1");
	assert_string_equal(x->principal, "arn:aws:iam::123456789012:role/web/s");
	assert_int_equal(strlen(x->jti), 32);
	assert_true(x->kid[0] != 0);
	assert_non_null(strstr(w.service.body, "Action=AssumeRoleWithWebIdentity&"));
	assert_non_null(strstr(w.service.body, "&RoleSessionName=web%40node1&"));
	assert_false(cloud_logged(&w.rig, "secret-1"));
	assert_false(cloud_logged(&w.rig, strstr(w.service.body, "WebIdentityToken=") + 17));
	world_end(&w);
}

static void google_token_is_read_without_a_newline(void **state)
{
	struct world w = { .service.life = 3600 };
	const char *json;

	(void)state;
	world_begin(&w, CLOUD_GCP, "");
	assert_string_equal(cloud_read(&w.rig, 1, CLOUD_FILE_GCP_ACCESS_TOKEN), "ya29.1");
	assert_string_equal(w.service.line, "POST /v1/token HTTP/1.1");
	json = cloud_read(&w.rig, 1, CLOUD_FILE_GCP_CREDENTIALS_JSON);
	assert_non_null(strstr(json, "\"credential_source\":{\"file\":\"/run/svid/credentials/0b7a/cred/gcp/subject_token\","));
	assert_null(strstr(json, "impersonation"));
	assert_int_equal(w.service.n, 1);
	world_end(&w);
}

static void google_account_is_impersonated_with_the_federated_token(void **state)
{
	struct world w = { .service.life = 3600 };

	(void)state;
	world_begin(&w, CLOUD_GCP, ",\"serviceAccount\":\"robot@p.iam.gserviceaccount.com\"");
	assert_string_equal(cloud_read(&w.rig, 1, CLOUD_FILE_GCP_ACCESS_TOKEN), "ya29.account-2");
	assert_string_equal(w.service.line, "POST /v1/projects/-/serviceAccounts/robot%40p.iam.gserviceaccount.com:"
			    "generateAccessToken HTTP/1.1");
	assert_non_null(strstr(w.service.head, "\r\nAuthorization: Bearer ya29.1\r\n"));
	assert_int_equal(w.service.n, 2);
	assert_int_equal(w.rig.jwts, 1);
	assert_int_equal(w.rig.exchanges, 1);
	world_end(&w);
}

static void azure_token_is_read(void **state)
{
	struct world w = { .service.life = 3600 };

	(void)state;
	world_begin(&w, CLOUD_AZURE, "");
	assert_string_equal(cloud_read(&w.rig, 1, CLOUD_FILE_AZURE_ACCESS_TOKEN), "eyJ.1");
	assert_string_equal(w.service.line, "POST /tenant/oauth2/v2.0/token HTTP/1.1");
	assert_non_null(strstr(w.service.body, "&client_assertion=ey"));
	world_end(&w);
}

static void roles_anywhere_is_signed_by_either_kind_of_key(void **state)
{
	static const char *const algorithms[] = { [KEY_EC_P256] = "AWS4-X509-ECDSA-SHA256",
						  [KEY_RSA_2048] = "AWS4-X509-RSA-SHA256" };
	static const enum key_type types[] = { KEY_EC_P256, KEY_RSA_2048 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct world w = { .service.life = 3600, .rig.key_type = types[i] };

		world_begin(&w, CLOUD_AWS_ROLES_ANYWHERE, "");
		w.rig.key_type = types[i];
		assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "aws_secret_access_key = secret-1\n"));
		assert_non_null(strstr(w.service.line, "POST /sessions?profileArn=arn%3Aaws"));
		assert_non_null(strstr(w.service.head, algorithms[types[i]]));
		assert_int_equal(w.rig.jwts, 0);
		assert_int_equal(w.rig.signs, 1);
		world_end(&w);
	}
}

/* ---- tokens in files ---- */

/* SDKs keep what they read for ten minutes (clouds.md 0.9): a token that is read has more than that left. */
static void token_in_a_file_is_kept_while_it_has_ten_minutes(void **state)
{
	struct world w = { .service.life = 3600 };
	const char *first;

	(void)state;
	world_begin(&w, CLOUD_JWT, "");
	first = cloud_read(&w.rig, 1, CLOUD_FILE_JWT);
	assert_null(strchr(first, '\n'));
	assert_string_equal(cloud_read(&w.rig, 1, CLOUD_FILE_JWT), first);
	assert_int_equal(w.rig.file_jwts, 1);
	assert_int_equal(w.rig.jwts, 0);
	assert_int_equal(w.service.n, 0); /* nobody is asked */
	assert_int_equal(w.rig.seen[1].state, CLOUD_READY);
	world_end(&w);
}

static void token_with_less_is_made_anew(void **state)
{
	struct world w = { .service.life = 3600 };
	const char *first;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	cloud_state(&w.rig, 1, CLOUD_READY);
	w.rig.ttl = 600;
	first = cloud_read(&w.rig, 1, CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN);
	assert_string_not_equal(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN), first);
	assert_int_equal(w.rig.file_jwts, 2);
	world_end(&w);
}

/* ---- one exchange for many ---- */

static void thousand_readers_cause_one_exchange(void **state)
{
	struct world w = { .service = { .life = 3600, .wait_ms = 300 } };
	uint32_t orders[1000];
	const char *text;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		orders[i] = cloud_ask(&w.rig, 1, i % 2 ? CLOUD_FILE_AWS_CREDENTIALS : CLOUD_FILE_AWS_CREDENTIALS_JSON);
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		assert_int_equal(cloud_answer(&w.rig, orders[i], &text), 0);
		assert_non_null(strstr(text, "secret-1"));
	}
	assert_int_equal(w.service.n, 1);
	assert_int_equal(w.rig.jwts, 1);
	assert_int_equal(w.rig.exchanges, 1);
	world_end(&w);
}

static void thousand_readers_of_a_token_cause_one(void **state)
{
	struct world w = { .service.life = 3600 };
	uint32_t orders[1000];
	const char *text, *first = NULL;

	(void)state;
	world_begin(&w, CLOUD_JWT, "");
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		orders[i] = cloud_ask(&w.rig, 1, CLOUD_FILE_JWT);
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		assert_int_equal(cloud_answer(&w.rig, orders[i], &text), 0);
		first = first ? first : text;
		assert_string_equal(text, first);
	}
	assert_int_equal(w.rig.file_jwts, 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aws_keys_are_read),
		cmocka_unit_test(entra_says_when_a_token_is_renewed),
		cmocka_unit_test(aws_exchange_is_recorded),
		cmocka_unit_test(google_token_is_read_without_a_newline),
		cmocka_unit_test(google_account_is_impersonated_with_the_federated_token),
		cmocka_unit_test(azure_token_is_read),
		cmocka_unit_test(roles_anywhere_is_signed_by_either_kind_of_key),
		cmocka_unit_test(token_in_a_file_is_kept_while_it_has_ten_minutes),
		cmocka_unit_test(token_with_less_is_made_anew),
		cmocka_unit_test(thousand_readers_cause_one_exchange),
		cmocka_unit_test(thousand_readers_of_a_token_cause_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
