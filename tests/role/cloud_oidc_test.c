/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/cloud_case.c tests/role/cloud_world.c tests/role/cloud_answers.c tests/role/keys_world.c */
/* links: tests/lib/busy.c tests/lib/https.c tests/lib/certs.c */
/* cloud_oidc_test.c - the OIDC documents as svid-cloud serves them on loopback, to polite, rude, slow and too many clients. */
#include <arpa/inet.h>
#include <jansson.h>

#include "tests/role/cloud_case.h"

struct site {
	struct cloud_rig rig;
	struct sockaddr_in at;
};

static void begin(struct site *s)
{
	socklen_t len = sizeof(s->at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	s->at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)&s->at, sizeof(s->at)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&s->at, &len), 0);
	cloud_setup(&s->rig);
	cloud_start(&s->rig, fd);
	close(fd);
}

static int connected(const struct site *s)
{
	struct timeval tv = { .tv_sec = WAIT_MS / 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	assert_int_equal(connect(fd, (const struct sockaddr *)&s->at, sizeof(s->at)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* All until the end of the connection; closes it. -1: it was reset, or nothing came for too long. */
static ssize_t hear(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, text + len, size - 1 - len, 0)) > 0)
		len += (size_t)n;
	text[len] = 0;
	close(fd);
	return n < 0 ? -1 : (ssize_t)len;
}

static char answer[65536];

static const char *ask_site(const struct site *s, const char *request)
{
	int fd = connected(s);

	say(fd, request);
	assert_true(hear(fd, answer, sizeof(answer)) > 0);
	return answer;
}

static json_t *document(const struct site *s, const char *path)
{
	char request[256];
	const char *body;
	json_t *doc;

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: oidc.example.org\r\n\r\n", path);
	body = strstr(ask_site(s, request), "\r\n\r\n");
	assert_int_equal(strncmp(answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", 49), 0);
	doc = json_loads(body + 4, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(doc);
	return doc;
}

static void both_documents_are_served(void **state)
{
	struct site s;
	json_t *doc, *key;
	const char *name;
	json_t *v;
	size_t i;

	(void)state;
	begin(&s);
	doc = document(&s, "/.well-known/openid-configuration");
	assert_string_equal(json_string_value(json_object_get(doc, "issuer")), ISSUER);
	assert_string_equal(json_string_value(json_object_get(doc, "jwks_uri")), ISSUER "/keys");
	json_decref(doc);
	doc = document(&s, "/keys");
	assert_true(json_array_size(json_object_get(doc, "keys")) >= 2); /* RSA and EC */
	json_array_foreach(json_object_get(doc, "keys"), i, key) {
		assert_string_equal(json_string_value(json_object_get(key, "use")), "sig");
		assert_true(json_string_length(json_object_get(key, "kid")) > 0);
		json_object_foreach(key, name, v) /* Google takes no other */
			assert_non_null(strstr(" kty alg kid use n e x y crv ", name));
	}
	json_decref(doc);
	cloud_teardown(&s.rig);
}

static void everything_else_is_refused(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 " },
		{ "GET /keys/../keys HTTP/1.1\r\n\r\n", "HTTP/1.1 404 " },
		{ "GET /keysX HTTP/1.1\r\n\r\n", "HTTP/1.1 404 " },
		{ "GET\r\n\r\n", "HTTP/1.1 405 " },
		{ "GET \r\n\r\n", "HTTP/1.1 404 " },
		{ "\r\n\r\n", "HTTP/1.1 405 " },
		{ "POST /keys HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 405 " },
		{ "get /keys HTTP/1.1\r\n\r\n", "HTTP/1.1 405 " },
		{ "\x16\x03\x01\x02 hello\r\n\r\n", "HTTP/1.1 405 " },
		{ "GET /keys HTTP/1.1\r\nHost: x\r\n\r\nGET /keys HTTP/1.1\r\n\r\n", "HTTP/1.1 200 " }, /* the first one */
	};
	struct site s;

	(void)state;
	begin(&s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (strncmp(ask_site(&s, cases[i].request), cases[i].status, strlen(cases[i].status)))
			fail_msg("%s got %s", cases[i].request, answer);
	assert_null(strstr(ask_site(&s, "HEAD /keys HTTP/1.1\r\n\r\n"), "\r\n\r\n{"));
	assert_int_equal(strncmp(answer, "HTTP/1.1 200 ", 13), 0);
	cloud_teardown(&s.rig);
}

static void long_request_is_not_read_on(void **state)
{
	struct site s;
	char line[1024];
	int fd;

	(void)state;
	begin(&s);
	memset(line, 'a', sizeof(line));
	fd = connected(&s);
	for (int i = 0; i < 64 && send(fd, line, sizeof(line), MSG_NOSIGNAL) > 0; i++)
		;
	assert_true(hear(fd, answer, sizeof(answer)) <= 0);
	json_decref(document(&s, "/keys"));
	cloud_teardown(&s.rig);
}

/* Who connects and says nothing, or not all, takes nobody else's place, and is sent away in the end. */
static void idle_clients_take_nobody_s_place(void **state)
{
	int idle[3 * LIM_OIDC_CONNS];
	struct site s;

	(void)state;
	begin(&s);
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++) {
		idle[i] = connected(&s);
		if (i % 2)
			say(idle[i], "GET /keys HT");
	}
	json_decref(document(&s, "/keys"));
	for (size_t i = 0; i < ARRAY_SIZE(idle); i++)
		assert_true(hear(idle[i], answer, sizeof(answer)) <= 0);
	json_decref(document(&s, "/.well-known/openid-configuration"));
	cloud_teardown(&s.rig);
}

/* Byte by byte, and what is said beyond the head does not cost the answer. */
static void slow_and_talkative_clients_get_their_answer(void **state)
{
	static const char request[] = "GET /keys HTTP/1.1\r\nHost: x\r\n\r\n";
	char more[8192];
	struct site s;
	int fd;

	(void)state;
	begin(&s);
	fd = connected(&s);
	for (size_t i = 0; i < strlen(request); i++) {
		assert_int_equal(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
		usleep(2000);
	}
	assert_true(hear(fd, answer, sizeof(answer)) > 0);
	assert_non_null(strstr(answer, "\"use\":\"sig\""));
	for (int i = 0; i < 20; i++) {
		memset(more, 'b', sizeof(more));
		fd = connected(&s);
		say(fd, request);
		(void)!send(fd, more, sizeof(more), MSG_NOSIGNAL);
		assert_true(hear(fd, answer, sizeof(answer)) > 0);
		assert_non_null(strstr(answer, "\"use\":\"sig\""));
	}
	cloud_teardown(&s.rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_documents_are_served),
		cmocka_unit_test(everything_else_is_refused),
		cmocka_unit_test(long_request_is_not_read_on),
		cmocka_unit_test(idle_clients_take_nobody_s_place),
		cmocka_unit_test(slow_and_talkative_clients_get_their_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
