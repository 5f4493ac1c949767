/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/cloud_case.c tests/role/cloud_world.c tests/role/cloud_answers.c tests/role/keys_world.c tests/role/proc.c */
/* links: tests/lib/busy.c tests/lib/https.c tests/lib/certs.c */
/*
 * cloud_ipc_test.c - svid-cloud and messages that it must not get: it ends. What nobody waits for is passed over; what was
 * withdrawn is nowhere in its memory; its sandbox is on.
 */
#include <sys/resource.h>

#include "tests/role/cloud_case.h"
#include "tests/role/proc.h"

static void begin(struct cloud_rig *w)
{
	cloud_setup(w);
	cloud_start(w, -1);
}

static void assert_ends(struct cloud_rig *w)
{
	int status = cloud_ended(w);

	assert_true(WIFEXITED(status));
	cloud_teardown(w);
}

static void send_bind(int fd, uint32_t kind, const char *json)
{
	assert_int_equal(ipc_put(fd, CL_BIND, 0, .binding = 1, .kind = kind, .spiffe_id = slice_str(WEB),
				 .credential = slice_str("cred"), .source = slice_str("s"), .dir = slice_str("/d"),
				 .source_json = slice_str(json), .credential_json = slice_str("{}")), 0);
}

static void what_is_not_for_it_ends_it(void **state)
{
	static const uint16_t types[] = {
		MSG_CR_READY, MSG_CR_JWT, MSG_CK_JWT, MSG_CK_OPENED, MSG_K_SEAL, MSG_CL_FILE, MSG_CL_CONF, MSG_CL_BIND,
		MSG_CL_BOUND, MSG_CL_CHAIN, MSG_CL_REFUSED, MSG_CL_REFRESH, MSG_CL_UNBIND, MSG_P_GO, 0, 0xffff,
	};
	struct cloud_rig w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) { /* malformed, or not permitted at all */
		begin(&w);
		assert_int_equal(ipc_send(w.core, types[i], 0, slice_of("\1\2\3", 3), NULL, 0), 0);
		assert_ends(&w);
	}
}

static void what_makes_no_sense_ends_it(void **state)
{
	static const struct {
		uint32_t kind;
		const char *json;
	} bad[] = { { 99, "{}" }, { CLOUD_AWS, "{" }, { CLOUD_AWS, "{}" }, { CLOUD_AWS, "{\"aws\":{\"roleArn\":1}}" },
		    { CLOUD_GCP, "{\"aws\":{}}" }, { CLOUD_JWT, "[]" } };
	struct cloud_rig w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		begin(&w);
		send_bind(w.core, bad[i].kind, bad[i].json);
		assert_ends(&w);
	}
	begin(&w);
	cloud_unbind(&w, 1);
	assert_ends(&w);
	begin(&w);
	cloud_bind(&w, 1, CLOUD_JWT, WEB, "cred", "{\"jwt\":{\"audience\":\"a\"}}");
	(void)cloud_ask(&w, 1, CLOUD_FILE_AWS_CREDENTIALS); /* a kind that has no such file */
	assert_ends(&w);
	begin(&w);
	cloud_bind(&w, 1, CLOUD_JWT, WEB, "cred", "{\"jwt\":{\"audience\":\"a\"}}");
	(void)cloud_ask(&w, 1, 99);
	assert_ends(&w);
}

static void svid_keys_may_answer_and_nothing_else(void **state)
{
	static const uint16_t types[] = { MSG_CK_SEAL, MSG_CL_CONF, MSG_CL_BIND, MSG_CR_FILE, MSG_CK_JWT, MSG_CK_SIGNED,
					  MSG_CK_SEALED };
	struct cloud_rig w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		begin(&w);
		assert_int_equal(ipc_send(w.cloud_keys, types[i], 0, slice_of("\1\2\3", 3), NULL, 0), 0);
		assert_ends(&w);
	}
}

static void answers_that_nobody_waits_for_are_passed_over(void **state)
{
	struct cloud_rig w;

	(void)state;
	begin(&w);
	assert_int_equal(ipc_put(w.core, CL_CHAIN, 0, .order = 77, .chain = slice_str("x")), 0);
	assert_int_equal(ipc_put(w.core, CL_REFUSED, 0, .order = 77, .err = -ERR_RATE), 0);
	assert_int_equal(ipc_put(w.core, CL_REFRESH, 0, .binding = 77), 0);
	cloud_bind(&w, 1, CLOUD_JWT, WEB, "cred", "{\"jwt\":{\"audience\":\"a\"}}");
	assert_non_null(strstr(cloud_read(&w, 1, CLOUD_FILE_JWT), "eyJ"));
	cloud_teardown(&w);
}

static void without_svid_core_it_ends(void **state)
{
	struct cloud_rig w;
	int status;

	(void)state;
	begin(&w);
	shutdown(w.core, SHUT_RDWR);
	status = cloud_ended(&w);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cloud_teardown(&w);
}

static void sandbox_is_on(void **state)
{
	struct cloud_rig w;
	struct rlimit core;

	(void)state;
	begin(&w);
	proc_assert_status(w.pid, "NoNewPrivs:", "\t1");
	proc_assert_status(w.pid, "Seccomp:", "\t2");
	assert_int_equal(prlimit(w.pid, RLIMIT_CORE, NULL, &core), 0);
	assert_int_equal(core.rlim_max, 0);
	cloud_teardown(&w);
}

/* Every writable mapping of @pid. */
static unsigned int in_memory(pid_t pid, const char *text)
{
	char path[64], line[512], mode[8];
	unsigned long from, to;
	unsigned int found = 0;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(maps && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		char *bytes;
		ssize_t n;

		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[1] != 'w')
			continue;
		bytes = malloc(to - from);
		n = pread(mem, bytes, to - from, (off_t)from);
		for (char *at = bytes; n > 0 && (at = memmem(at, (size_t)(n - (at - bytes)), text, strlen(text))); at++)
			found++;
		free(bytes);
	}
	fclose(maps);
	close(mem);
	return found;
}

static void assert_wiped(enum cloud_kind kind, enum cloud_file file, const char *secret)
{
	struct world w = { .service.life = 3600 };

	world_begin(&w, kind, "");
	assert_non_null(strstr(cloud_read(&w.rig, 1, file), secret));
	assert_true(in_memory(w.rig.pid, secret) > 0);
	cloud_unbind(&w.rig, 1);
	cloud_quiet(&w.rig);
	if (in_memory(w.rig.pid, secret))
		fail_msg("%s is in memory %u times", secret, in_memory(w.rig.pid, secret));
	world_end(&w);
}

static void what_was_withdrawn_is_nowhere_in_memory(void **state)
{
	(void)state;
	assert_wiped(CLOUD_AWS, CLOUD_FILE_AWS_CREDENTIALS, "secret-1");
	assert_wiped(CLOUD_GCP, CLOUD_FILE_GCP_ACCESS_TOKEN, "ya29.1");
	assert_wiped(CLOUD_AZURE, CLOUD_FILE_AZURE_ACCESS_TOKEN, "eyJ.1");
	assert_wiped(CLOUD_AWS_ROLES_ANYWHERE, CLOUD_FILE_AWS_CREDENTIALS_JSON, "session-1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_for_it_ends_it),
		cmocka_unit_test(what_makes_no_sense_ends_it),
		cmocka_unit_test(svid_keys_may_answer_and_nothing_else),
		cmocka_unit_test(answers_that_nobody_waits_for_are_passed_over),
		cmocka_unit_test(without_svid_core_it_ends),
		cmocka_unit_test(sandbox_is_on),
		cmocka_unit_test(what_was_withdrawn_is_nowhere_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
