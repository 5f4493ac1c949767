/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/cloud_case.c tests/role/cloud_world.c tests/role/cloud_answers.c tests/role/keys_world.c */
/* links: tests/lib/busy.c tests/lib/https.c tests/lib/proxy.c tests/lib/certs.c */
/*
 * cloud_http_test.c - svid-cloud and token services that are wrong, rude, slow or refuse: nothing is told to the wrong one,
 * nothing is taken from it, each refusal has its time, and the old value is served until it ends.
 */
#include <time.h>

#include "tests/role/cloud_case.h"

#include "agent/base/clock.h"

/* ---- who is spoken to ---- */

static void assert_not_trusted(struct world *w, const char *why)
{
	const struct seen *s;

	world_begin(w, CLOUD_AWS, "");
	s = cloud_state(&w->rig, 1, CLOUD_RETRYING);
	if (!strstr(s->error, why))
		fail_msg("%s, not %s", s->error, why);
	assert_non_null(strstr(s->next_step, "caBundle"));
	assert_int_equal(https_count(w->https), 0);
	assert_int_equal(cloud_refused(&w->rig, 1, CLOUD_FILE_AWS_CREDENTIALS), -ERR_NOT_READY);
	world_end(w);
}

static void only_the_certified_service_gets_a_token(void **state)
{
	struct world other_ca = { .cert = HTTPS_OTHER_CA }, expired = { .cert = HTTPS_EXPIRED };
	struct world other_name = { .cert = HTTPS_OTHER_NAME }, old = { .tls11 = true }, system = { .no_ca = true };

	(void)state;
	assert_not_trusted(&other_ca, "certificate");
	assert_not_trusted(&expired, "certificate has expired");
	assert_not_trusted(&other_name, "no alternative certificate subject name matches");
	assert_not_trusted(&old, "SSL");
	assert_not_trusted(&system, "certificate"); /* a private CA is none of the system's */
}

static void redirects_are_not_followed(void **state)
{
	struct service elsewhere = { .life = 3600 };
	struct https *to = https_start(HTTPS_GOOD, false, service_answer, &elsewhere);
	struct world w = { .service = { .refusals = 1000, .status = 307 } };
	const struct seen *s;
	char headers[128];

	(void)state;
	snprintf(headers, sizeof(headers), "Location: %s/\r\n", https_url(to));
	w.service.headers = headers;
	world_begin(&w, CLOUD_AWS, "");
	s = cloud_state(&w.rig, 1, CLOUD_RETRYING);
	assert_non_null(strstr(s->error, "307"));
	assert_int_equal(https_handshakes(to), 0);
	world_end(&w);
	https_stop(to);
}

static void proxy_sees_a_tunnel_and_nothing_in_it(void **state)
{
	struct proxy *p = proxy_start("AssumeRoleWithWebIdentity");
	char more[128], target[256], wanted[256];
	struct world w = { .more = more };

	(void)state;
	snprintf(more, sizeof(more), ",\"proxy\":\"%s\"", proxy_url(p));
	world_begin(&w, CLOUD_AWS, "");
	assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "secret-1"));
	assert_int_equal(proxy_tunnels(p, target), 1);
	snprintf(wanted, sizeof(wanted), "%s", https_url(w.https) + strlen("https://"));
	assert_string_equal(target, wanted);
	assert_false(proxy_leaked(p));
	world_end(&w);
	proxy_stop(p);
}

/* What it says when it opens the tunnel is nothing that the token service said. */
static void proxy_has_no_say_in_times(void **state)
{
	struct proxy *p = proxy_start("-");
	char more[128];
	struct world w = { .more = more, .service = { .refusals = 1, .status = 503, .text = "down", .headers = "" } };
	const struct seen *s;

	(void)state;
	snprintf(more, sizeof(more), ",\"proxy\":\"%s\"", proxy_url(p));
	world_begin(&w, CLOUD_AZURE, "");
	s = cloud_state(&w.rig, 1, CLOUD_RETRYING);
	assert_true(s->refresh_at <= clock_wall_s() + 3);
	assert_string_not_equal(w.rig.record.request_id, "of-the-proxy");
	world_end(&w);
	proxy_stop(p);
}

static void proxy_that_is_gone_is_not_gone_around(void **state)
{
	struct proxy *p = proxy_start("-");
	char more[128];
	struct world w = { .more = more };

	(void)state;
	snprintf(more, sizeof(more), ",\"proxy\":\"%s\"", proxy_url(p));
	proxy_stop(p);
	world_begin(&w, CLOUD_AWS, "");
	assert_non_null(strstr(cloud_state(&w.rig, 1, CLOUD_RETRYING)->next_step, "proxy"));
	assert_int_equal(https_handshakes(w.https), 0);
	world_end(&w);
}

/* ---- answers that are none ---- */

static void assert_nonsense(struct world *w, const char *why)
{
	const struct seen *s;

	world_begin(w, CLOUD_AWS, "");
	s = cloud_state(&w->rig, 1, CLOUD_RETRYING);
	if (!strstr(s->error, why))
		fail_msg("%s, not %s", s->error, why);
	assert_int_equal(cloud_refused(&w->rig, 1, CLOUD_FILE_AWS_CREDENTIALS), -ERR_NOT_READY);
	assert_int_equal(s->expires_at, 0);
	world_end(w);
}

static char *text_of(size_t len)
{
	char *s = malloc(len + 1);

	memset(s, 'x', len);
	s[len] = 0;
	return s;
}

static void rude_answers_are_no_credential(void **state)
{
	struct world head = { .service.shape.cut = 20 }, body = { .service.shape.cut = 400 };
	struct world early = { .service.shape.declared = 5 }, headers = { .service.shape.fillers = 100 };
	struct world large = { .service = { .refusals = 1000, .status = 200, .text = text_of(LIM_CLOUD_RESPONSE + 1) } };
	struct world largest = { .service = { .refusals = 1000, .status = 200, .text = text_of(LIM_CLOUD_RESPONSE) } };
	struct world doctype = { .service = { .refusals = 1000, .status = 200,
		.text = "<!DOCTYPE a [<!ENTITY b \"c\">]><AssumeRoleWithWebIdentityResponse/>" } };

	(void)state;
	assert_nonsense(&head, "");
	assert_nonsense(&body, "");
	assert_nonsense(&early, "HTTP status 200: not an answer of AWS STS");
	assert_nonsense(&headers, "longer than any");
	assert_nonsense(&large, "longer than any");
	assert_nonsense(&largest, "HTTP status 200: not an answer of AWS STS");
	assert_nonsense(&doctype, "HTTP status 200: not an answer of AWS STS");
	free((char *)large.service.text);
	free((char *)largest.service.text);
}

/* Bytes of the network go into records and states: they fit, whatever they are, and svid-core does not take us for broken. */
static void strange_words_are_cut_not_fatal(void **state)
{
	struct world w = { .service = { .refusals = 1000, .status = 403 } };
	char *code = text_of(2000), text[8000];

	(void)state;
	snprintf(text, sizeof(text), "{\"error\":\"%s\",\"error_codes\":[-9223372036854775808],"
		 "\"error_description\":\"%s\\u001b[2J\",\"trace_id\":\"%s\"}", code, code, code);
	w.service.text = text;
	world_begin(&w, CLOUD_AZURE, "");
	cloud_state(&w.rig, 1, CLOUD_SLOW);
	assert_int_equal(w.rig.record.err, -ERR_NOT_READY);
	assert_int_equal(w.rig.record.http_status, 403);
	world_end(&w);
	snprintf(text, sizeof(text), "{\"error\":\"%s\",\"error_description\":\"why\"}", code);
	world_begin(&w, CLOUD_GCP, "");
	cloud_state(&w.rig, 1, CLOUD_SLOW);
	assert_int_equal(strlen(w.rig.record.code), 128);
	assert_non_null(strstr(w.rig.seen[1].error, "xxx: why"));
	world_end(&w);
	free(code);
}

static void key_id_that_is_none_is_refused(void **state)
{
	struct world w = { .service = { .refusals = 1000, .status = 200 } };
	AUTO(buf) struct buf text = BUF_INIT(65536);
	struct https_reply r = { .body = BUF_INIT(65536) };
	char *mark = text_of(200);

	(void)state;
	aws_grants(&r, mark, 3600);
	w.service.text = buf_cstr(&r.body);
	assert_nonsense(&w, "not an answer of AWS STS");
	buf_done(&r.body);
	free(mark);
}

/* A service that says nothing, one that says a byte now and then, a svid-core that does not answer, and a good one, at once. */
static void slow_ones_are_given_up_and_delay_nobody(void **state)
{
	struct world w = { .service.shape.silent = true };
	struct service dripping = { .life = 3600, .shape.drip_ms = 200 }, good = { .life = 3600 };
	struct https *drip = https_start(HTTPS_GOOD, false, service_answer, &dripping);
	struct https *fast = https_start(HTTPS_GOOD, false, service_answer, &good);
	char *specs[] = { source_of(CLOUD_AWS, https_url(drip), https_ca(drip), "", ""),
			  source_of(CLOUD_AWS, https_url(fast), https_ca(fast), "", "") };
	struct stopwatch watch;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	cloud_bind(&w.rig, 2, CLOUD_AWS, WEB, "drip", specs[0]);
	while (https_count(w.https) + https_count(drip) < 2)
		cloud_pump(&w.rig, 100);
	watch = stopwatch_start(w.rig.pid);
	w.rig.deaf = true;
	cloud_bind(&w.rig, 3, CLOUD_AWS, WEB, "deaf", specs[1]);
	while (w.rig.jwts < 3)
		cloud_pump(&w.rig, 100);
	w.rig.deaf = false;
	cloud_bind(&w.rig, 4, CLOUD_AWS, WEB, "good", specs[1]);
	assert_non_null(strstr(cloud_read(&w.rig, 4, CLOUD_FILE_AWS_CREDENTIALS), "secret-1"));
	assert_true(stopwatch_ms(&watch) < LIM_CLOUD_MS / 2);
	for (uint32_t i = 1; i < 4; i++) {
		while (w.rig.seen[i].state != CLOUD_RETRYING)
			cloud_pump(&w.rig, 100);
		assert_string_not_equal(w.rig.seen[i].error, "");
	}
	assert_in_range(stopwatch_ms(&watch), LIM_CLOUD_MS / 2, LIM_CLOUD_MS + 10000);
	assert_non_null(strstr(w.rig.seen[1].next_step, "the token service could not be reached"));
	assert_string_equal(w.rig.seen[3].next_step, ""); /* it was not that */
	world_end(&w);
	https_stop(drip);
	https_stop(fast);
	free(specs[0]);
	free(specs[1]);
}

/* More exchanges with one source than there are places, and its token service says nothing: the others' are made all the same. */
static void source_that_hangs_has_not_every_place(void **state)
{
	struct world w = { .service.shape.silent = true };
	struct service good = { .life = 3600 };
	struct https *fast = https_start(HTTPS_GOOD, false, service_answer, &good);
	char *spec = source_of(CLOUD_AWS, https_url(fast), https_ca(fast), "", "");
	struct stopwatch watch;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	for (uint32_t i = 2; i < 2 + 4 * LIM_CLOUD_AT_ONCE; i++) {
		char name[32];

		snprintf(name, sizeof(name), "hangs-%u", i);
		cloud_bind(&w.rig, i, CLOUD_AWS, WEB, name, w.spec);
		(void)cloud_ask(&w.rig, i, CLOUD_FILE_AWS_CREDENTIALS); /* now, not somewhen */
	}
	while (w.rig.jwts < LIM_CLOUD_AT_ONCE / 2)
		cloud_pump(&w.rig, 100);
	cloud_pump(&w.rig, 500);
	watch = stopwatch_start(w.rig.pid);
	w.rig.source = "another";
	cloud_bind(&w.rig, 1000, CLOUD_AWS, WEB, "good", spec);
	assert_non_null(strstr(cloud_read(&w.rig, 1000, CLOUD_FILE_AWS_CREDENTIALS), "secret-1"));
	assert_true(stopwatch_ms(&watch) < LIM_CLOUD_MS / 2);
	world_end(&w);
	https_stop(fast);
	free(spec);
}

/* ---- refusals ---- */

/* What AWS says, what becomes of it, and when the next try is: seconds from now. */
static void each_refusal_has_its_time(void **state)
{
	static const struct {
		unsigned int status;
		const char *code, *headers;
		enum cloud_state state;
		int from, to;
	} cases[] = {
		{ 400, "IDPCommunicationError", NULL, CLOUD_RETRYING, 0, 3 },
		{ 400, "Throttling", NULL, CLOUD_RETRYING, 0, 3 }, /* STS says 400 */
		{ 429, "TooManyRequestsException", "Retry-After: 40\r\n", CLOUD_RETRYING, 38, 52 },
		{ 503, "ServiceUnavailable", "Retry-After: 100000\r\n", CLOUD_RETRYING, 3598, 4502 }, /* an hour at most */
		{ 503, "Unheard", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", CLOUD_RETRYING, 0, 3 },
		{ 500, "InternalFailure", NULL, CLOUD_RETRYING, 0, 3 },
		{ 403, "AccessDenied", NULL, CLOUD_SLOW, 14, 48 },
		{ 403, "IDPRejectedClaim", NULL, CLOUD_SLOW, 14, 48 },
		{ 403, "Unheard", NULL, CLOUD_SLOW, 14, 48 },
		{ 400, "ValidationError", NULL, CLOUD_FAILED, 148, 302 },
		{ 400, "PackedPolicyTooLarge", NULL, CLOUD_FAILED, 148, 302 },
		{ 403, "RegionDisabledException", NULL, CLOUD_FAILED, 148, 302 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w = { .service = { .refusals = 1, .status = cases[i].status, .code = cases[i].code,
						.headers = cases[i].headers } };
		const struct seen *s;

		world_begin(&w, CLOUD_AWS, "");
		s = cloud_state(&w.rig, 1, cases[i].state);
		assert_in_range(s->refresh_at + 10 - clock_wall_s(), cases[i].from + 8, cases[i].to + 10);
		assert_int_equal(s->failures, 1);
		assert_string_equal(w.rig.record.code, cases[i].code);
		assert_string_equal(w.rig.record.request_id, "request-no");
		assert_int_equal(w.rig.record.http_status, cases[i].status);
		if (cases[i].to > 3) { /* nobody makes it ask sooner by reading, but a person may */
			assert_int_equal(cloud_refused(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), -ERR_NOT_READY);
			assert_int_equal(w.service.n, 1);
			cloud_refresh(&w.rig, 1);
		}
		s = cloud_state(&w.rig, 1, CLOUD_READY);
		assert_int_equal(s->failures, 0);
		assert_string_equal(s->error, "");
		world_end(&w);
	}
}

static void stale_token_is_made_anew_once(void **state)
{
	struct world w = { .service = { .refusals = 1, .status = 400, .code = "ExpiredTokenException" } };
	struct world never = { .service = { .refusals = 1000, .status = 400, .code = "InvalidIdentityToken" } };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "secret-2"));
	assert_int_equal(w.rig.jwts, 2);
	assert_int_equal(w.rig.exchanges, 1);
	world_end(&w);
	world_begin(&never, CLOUD_AWS, "");
	cloud_state(&never.rig, 1, CLOUD_RETRYING);
	assert_int_equal(never.service.n, 2);
	assert_int_equal(never.rig.jwts, 2);
	world_end(&never);
}

static void what_svid_core_refuses_is_told_and_tried_again(void **state)
{
	struct world w = { .rig.pid = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	cloud_state(&w.rig, 1, CLOUD_READY);
	w.rig.refuse = -ERR_AUDIENCE;
	cloud_refresh(&w.rig, 1);
	assert_non_null(strstr(cloud_state(&w.rig, 1, CLOUD_RETRYING)->error, "audience not allowed"));
	assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "secret-1")); /* valid still */
	assert_int_equal(cloud_refused(&w.rig, 1, CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN), -ERR_NOT_READY);
	assert_int_equal(w.service.n, 1);
	w.rig.refuse = 0;
	cloud_state(&w.rig, 1, CLOUD_READY);
	world_end(&w);
}

/* The X.509-SVID was rotated between its chain and the signature; of the two channels svid-keys' is read first. */
static void signature_of_another_key_is_not_shown(void **state)
{
	struct world w = { .rig.pid = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS_ROLES_ANYWHERE, "");
	w.rig.late_chain = true;
	assert_non_null(strstr(cloud_state(&w.rig, 1, CLOUD_RETRYING)->error, err_text(-ERR_CHANGED)));
	assert_int_equal(w.service.n, 0);
	w.rig.late_chain = false;
	cloud_state(&w.rig, 1, CLOUD_READY);
	world_end(&w);
}

/* ---- times ---- */

static void old_value_is_served_until_it_ends_and_not_longer(void **state)
{
	struct world w = { .service.life = 12 };
	int64_t end;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	end = cloud_state(&w.rig, 1, CLOUD_READY)->expires_at;
	assert_in_range(end - clock_wall_s(), 8, 12);
	w.service.refusals = 1000;
	w.service.status = 400;
	w.service.code = "ValidationError";
	cloud_refresh(&w.rig, 1);
	assert_int_equal(cloud_state(&w.rig, 1, CLOUD_FAILED)->expires_at, end);
	while (clock_wall_s() < end - 1) {
		assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "secret-1"));
		usleep(100000);
	}
	while (clock_wall_s() < end)
		usleep(10000);
	assert_int_equal(cloud_refused(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), -ERR_NOT_READY);
	assert_int_equal(w.service.n, 2);
	world_end(&w);
}

/* Retry-After: 3600, and what is served ends in @life seconds: from when and to when the next try is, seconds from now. */
static void assert_next_try(int64_t life, int64_t from, int64_t to)
{
	struct world w = { .service = { .life = life, .headers = "Retry-After: 3600\r\n" } };
	const struct seen *s;
	int64_t now;

	world_begin(&w, CLOUD_AWS, "");
	cloud_state(&w.rig, 1, CLOUD_READY);
	w.service.refusals = 2;
	w.service.status = 503;
	w.service.code = "ServiceUnavailable";
	now = clock_wall_s();
	cloud_refresh(&w.rig, 1);
	s = cloud_state(&w.rig, 1, CLOUD_RETRYING);
	assert_in_range(s->refresh_at, now + from, clock_wall_s() + to);
	assert_non_null(strstr(cloud_read(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "secret-1"));
	cloud_refresh(&w.rig, 1);
	assert_int_equal(cloud_state(&w.rig, 1, CLOUD_READY)->failures, 0);
	world_end(&w);
}

/* A service that recovers before a credential ends is asked before it does; one that asks for patience gets what there is. */
static void no_cloud_has_a_credential_end_by_saying_later(void **state)
{
	(void)state;
	assert_next_try(1800, 890, 1351);
	assert_next_try(120, 50, 91);
	assert_next_try(7200, 3600, 4501);
	assert_next_try(40, 3600, 4501); /* so near to its end nothing is to be hoped for */
}

/* A cloud whose clock is an hour ahead of ours: by its Date, what it gives lives as long as it says. */
static void life_is_counted_by_the_clock_of_the_cloud(void **state)
{
	struct world w = { .service.life = 7200 };
	char date[64];
	time_t ahead = time(NULL) + 3600;

	(void)state;
	strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime(&ahead));
	w.service.more_headers = date;
	world_begin(&w, CLOUD_AWS, "");
	assert_in_range(cloud_state(&w.rig, 1, CLOUD_READY)->expires_at - clock_wall_s(), 3500, 3602);
	world_end(&w);
}

static void what_is_over_already_is_no_credential(void **state)
{
	struct world w = { .service.life = -1 };
	const struct seen *s;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	s = cloud_state(&w.rig, 1, CLOUD_RETRYING);
	assert_string_equal(s->error, "what the cloud gave has expired already");
	assert_string_equal(s->next_step, "check this machine's clock");
	assert_int_equal(cloud_refused(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), -ERR_NOT_READY);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_certified_service_gets_a_token),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(proxy_sees_a_tunnel_and_nothing_in_it),
		cmocka_unit_test(proxy_has_no_say_in_times),
		cmocka_unit_test(proxy_that_is_gone_is_not_gone_around),
		cmocka_unit_test(rude_answers_are_no_credential),
		cmocka_unit_test(strange_words_are_cut_not_fatal),
		cmocka_unit_test(key_id_that_is_none_is_refused),
		cmocka_unit_test(slow_ones_are_given_up_and_delay_nobody),
		cmocka_unit_test(source_that_hangs_has_not_every_place),
		cmocka_unit_test(each_refusal_has_its_time),
		cmocka_unit_test(stale_token_is_made_anew_once),
		cmocka_unit_test(what_svid_core_refuses_is_told_and_tried_again),
		cmocka_unit_test(signature_of_another_key_is_not_shown),
		cmocka_unit_test(old_value_is_served_until_it_ends_and_not_longer),
		cmocka_unit_test(no_cloud_has_a_credential_end_by_saying_later),
		cmocka_unit_test(life_is_counted_by_the_clock_of_the_cloud),
		cmocka_unit_test(what_is_over_already_is_no_credential),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
