/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.c - shows that the tests can fail: for each flaw, a server with that flaw alone, and the
 * clauses that must notice it. The same clauses must pass against the server without flaw.
 */
#include "conformance/selftest.h"
#include "conformance/foreign.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	enum flaw flaw;
	const char *clause;
} expected[] = {
	{ FLAW_ANY_CALLER, "WE-6-1" },
	{ FLAW_ANY_CALLER, "WE-3-5" },
	{ FLAW_ANY_CASE, "WE-3-5" },
	{ FLAW_HEADER_TWICE, "WE-3-5" },
	{ FLAW_STRICT_AUTHORITY, "AUTH-1" },
	{ FLAW_STRICT_AUTHORITY, "AUTH-3" },
	{ FLAW_STRICT_AUTHORITY, "AUTH-4" },
	{ FLAW_UNKNOWN_IS_OK, "WE-6-7" },
	{ FLAW_UNKNOWN_IS_OK, "WE-7-1" },
	{ FLAW_UNKNOWN_IS_OK, "WA-7-1" },
	{ FLAW_NO_CONTENT_TYPE, "RSP-3" },
	{ FLAW_LONG_MESSAGE, "RSP-2" },
	{ FLAW_WAITS_FOR_CLIENT, "H2-1" },
	{ FLAW_COMPRESSED_IS_OK, "DATA-3" },
	{ FLAW_WAITS_FOR_HUGE, "DATA-4" },
	{ FLAW_ENDS_WATCH, "END-1" },
	{ FLAW_REPEATS, "WA-4.3-2" },
	{ FLAW_LATE, "WA-4.3-4" },
	{ FLAW_ONE_STREAM_LIMIT, "H2-11" },
	{ FLAW_EXTRA_FIELD, "WA-2-1" },
	{ FLAW_NO_SVID, "WA-5.2.1-2" },
	{ FLAW_NO_KEY, "WA-5.2.1-3" },
	{ FLAW_HINT_TWICE, "WA-5.2.1-4" },
	{ FLAW_EMPTY_BUNDLE, "CL-4" },
	{ FLAW_OWN_FEDERATED, "CL-5" },
	{ FLAW_OTHER_BUNDLE, "WA-5.2.2-1" },
	{ FLAW_ID_DIFFERS, "CL-8" },
	{ FLAW_ID_DIFFERS, "ID-3.2-1" },
	{ FLAW_UPPER_CASE, "ID-2.1-4" },
	{ FLAW_UPPER_CASE, "ID-2.1-5" },
	{ FLAW_ENCODED_PATH, "ID-2.2-1" },
	{ FLAW_ENCODED_PATH, "ID-2.2-5" },
	{ FLAW_TWO_URIS, "X509-2-1" },
	{ FLAW_ROOT_PATH, "X509-3.1-1" },
	{ FLAW_SAN_NOT_CRITICAL, "X509-3.1-2" },
	{ FLAW_NO_CONSTRAINTS, "X509-4.1-3" },
	{ FLAW_NO_USAGE, "X509-4.3-1" },
	{ FLAW_NO_USAGE, "X509-4.3-5" },
	{ FLAW_USAGE_NOT_CRITICAL, "X509-4.3-2" },
	{ FLAW_SIGNING_LEAF, "X509-4.3-7" },
	{ FLAW_SIGNING_LEAF, "X509-4.3-8" },
	{ FLAW_NO_EKU, "X509-4.4-1" },
	{ FLAW_SERVER_ONLY, "X509-4.4-3" },
	{ FLAW_OTHER_KEY, "ID-3.2-2" },
	{ FLAW_SEC1_KEY, "WA-5.1-2" },
	{ FLAW_OTHER_CA, "ID-3-1" },
	{ FLAW_OTHER_CA, "ID-3.1-3" },
	{ FLAW_ROOT_IN_CHAIN, "CL-7" },
	{ FLAW_EXPIRED, "CL-9" },
	{ FLAW_CA_NO_URI, "ID-3.1-2" },
	{ FLAW_TRAILING_BYTE, "WA-5.1-3" },
	{ FLAW_JWT_HEADER, "JWT-2-1" },
	{ FLAW_JWT_ALG, "JWT-2.1-1" },
	{ FLAW_JWT_TYP, "JWT-2.3-1" },
	{ FLAW_JWT_NO_KID, "CL-12" },
	{ FLAW_JWT_SUB, "JWT-3.1-1" },
	{ FLAW_JWT_ONE_AUDIENCE, "WA-6.2.1-2" },
	{ FLAW_JWT_ONE_AUDIENCE, "JWT-3.2-1" },
	{ FLAW_JWT_NO_EXP, "JWT-3.3-1" },
	{ FLAW_JWT_IAT, "CL-13" },
	{ FLAW_JWT_LIFE, "JWT-3.3-3" },
	{ FLAW_JWT_SIGNATURE, "ID-3-1" },
	{ FLAW_JWT_JTI, "CL-14" },
	{ FLAW_JWT_ANY_ID, "WA-6.2.1-7" },
	{ FLAW_JWT_ANY_ARGUMENT, "WA-4.5-1" },
	{ FLAW_JWT_ANY_ARGUMENT, "ARG-2" },
	{ FLAW_JWT_TWO_PARTS, "JWT-1-2" },
	{ FLAW_JWKS_NO_KID, "JWT-6.1-2" },
	{ FLAW_JWKS_USE, "WA-6.2.2-4" },
	{ FLAW_JWKS_USE, "JWT-6.1-1" },
	{ FLAW_JWKS_PRIVATE, "PUB-1" },
	{ FLAW_JWKS_PRIVATE, "TB-4.2-1" },
	{ FLAW_JWKS_NO_KEYS, "TB-4.1.3-1" },
	{ FLAW_JWKS_DOMAIN, "WA-6.2.2-2" },
	{ FLAW_JWKS_OKP, "CL-15" },
	{ FLAW_JWKS_OKP, "TB-4.2.1-1" },
	{ FLAW_JWKS_SEQUENCE, "WA-6.2.2-3" },
	{ FLAW_VAL_NEVER, "JWT-4-1" },
	{ FLAW_VAL_NEVER, "WA-6.2.3-1" },
	{ FLAW_VAL_ANY_ALG, "JWT-2.1-2" },
	{ FLAW_VAL_ANY_TYP, "JWT-2.3-1" },
	{ FLAW_VAL_ANY_USE, "JWT-6.2-1" },
	{ FLAW_VAL_ANY_SIGNATURE, "WA-6.2.3-1" },
	{ FLAW_VAL_NO_AUD, "JWT-3.2-2" },
	{ FLAW_VAL_ANY_AUD, "JWT-3.2-3" },
	{ FLAW_VAL_NO_EXP, "JWT-3.3-2" },
	{ FLAW_VAL_EXPIRED, "JWT-4-2" },
	{ FLAW_VAL_ANY_SUB, "ID-2.2-3" },
	{ FLAW_VAL_ANY_DOMAIN, "FED-7.3-1" },
	{ FLAW_VAL_ANY_DOMAIN, "WA-6.3-1" },
	{ FLAW_VAL_ANY_DOMAIN, "TB-3-1" },
	{ FLAW_VAL_NO_CLAIMS, "WA-6.2.3-2" },
	{ FLAW_WIT_TYP, "WIT-2.2-1" },
	{ FLAW_WIT_AUD, "WIT-3.8-1" },
	{ FLAW_WIT_CNF, "WIT-3.2-1" },
	{ FLAW_WIT_JWT_KID, "WIT-2.1-3" },
	{ FLAW_WIT_ONE_KID, "WIT-6.1-2" },
	{ FLAW_WIT_ONE_KID, "WA-7.2.2-2" },
	{ FLAW_WIT_KEY, "WA-7.2.1-5" },
	{ FLAW_SDS_UNKNOWN_ENDS, "SDS-2" },
	{ FLAW_SDS_UNKNOWN_ENDS, "SDS-4" },
	{ FLAW_SDS_UNKNOWN_ENDS, "SDS-21" },
	{ FLAW_SDS_UNKNOWN_ENDS, "SDS-27" },
	{ FLAW_SDS_ONE_OF, "SDS-1" },
	{ FLAW_SDS_ANSWERS_ACK, "SDS-5" },
	{ FLAW_SDS_ANSWERS_ACK, "SDS-22" },
	{ FLAW_SDS_ANSWERS_NACK, "SDS-6" },
	{ FLAW_SDS_ANY_NONCE, "SDS-7" },
	{ FLAW_SDS_WANTS_NONCE, "SDS-8" },
	{ FLAW_SDS_ANY_TYPE, "SDS-9" },
	{ FLAW_SDS_ECHOES_TYPE, "SDS-10" },
	{ FLAW_SDS_STRICT_FIELDS, "SDS-11" },
	{ FLAW_SDS_WANTS_HEADER, "SDS-13" },
	{ FLAW_SDS_VERSION, "SDS-14" },
	{ FLAW_SDS_ONE_NONCE, "SDS-14" },
	{ FLAW_SDS_OTHER_KEY, "SDS-15" },
	{ FLAW_SDS_NO_VALIDATOR, "SDS-16" },
	{ FLAW_SDS_DOMAIN_ID, "SDS-16" },
	{ FLAW_SDS_NEVER_PLAIN, "SDS-17" },
	{ FLAW_SDS_FORGETS_NODE, "SDS-18" },
	{ FLAW_SDS_NO_DELTA, "SDS-20" },
	{ FLAW_SDS_NO_REMOVED, "SDS-21" },
	{ FLAW_SDS_ALL_AGAIN, "SDS-23" },
	{ FLAW_SDS_NOT_AGAIN, "SDS-24" },
	{ FLAW_SDS_NOT_INITIAL, "SDS-26" },
};

static char dir[64], path[108];
static struct foreign foreign;

/* A server of its own process group, so that its connections end with it. */
static pid_t start_server(enum flaw flaw, bool wit)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, path, sizeof(path));
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 64) < 0)
		return -1;
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		jwt_server_make(flaw, wit, &foreign);
		server_run(fd, flaw);
	}
	setpgid(pid, pid);
	close(fd);
	return pid;
}

static void stop_server(pid_t pid)
{
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* FAIL when any test of the clause fails. */
static enum verdict run_clause(struct run *r, const char *clause, const struct test *const *tables, size_t n_tables)
{
	enum verdict worst = PASS;

	run_forget(r);
	for (size_t i = 0; i < n_tables; i++) {
		for (const struct test *t = tables[i]; t->clause; t++) {
			r->test = t;
			if (worst == PASS && (t->mode & r->mode) && strcmp(t->clause, clause) == 0)
				worst = t->run(r);
		}
	}
	return worst;
}

static bool judge(struct run *r, size_t i, bool flawed, const struct test *const *tables, size_t n_tables)
{
	enum verdict v = run_clause(r, expected[i].clause, tables, n_tables);
	bool fine = v == (flawed ? FAIL : PASS);

	printf("%s  flaw %-2d  %-12s %s%s%s\n", fine ? "ok  " : "FAIL", flawed ? (int)expected[i].flaw : 0,
	       expected[i].clause, flawed ? "is noticed" : "passes without flaw", v == FAIL ? ": " : "",
	       v == FAIL ? r->why : "");
	fflush(stdout);
	return fine;
}

static size_t all_with(struct run *r, bool flawed, size_t *passed, const struct test *const *tables, size_t n_tables)
{
	size_t failed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		r->wit = expected[i].flaw >= FLAW_WIT_TYP && expected[i].flaw <= FLAW_WIT_KEY;
		pid_t server = start_server(flawed ? expected[i].flaw : FLAW_NONE, r->wit);

		if (server < 0)
			return failed + 1;
		if (judge(r, i, flawed, tables, n_tables))
			(*passed)++;
		else
			failed++;
		stop_server(server);
	}
	return failed;
}

int selftest(struct run *r, const struct test *const *tables, size_t n_tables)
{
	size_t passed = 0, failed;

	wire_ms = 1500;
	snprintf(dir, sizeof(dir), "/tmp/svid-conformance.XXXXXX");
	if (!mkdtemp(dir))
		return 2;
	snprintf(path, sizeof(path), "%s/api.sock", dir);
	r->socket = path;
	r->foreign = &foreign;
	foreign_fill(&foreign);
	failed = all_with(r, false, &passed, tables, n_tables);
	failed += all_with(r, true, &passed, tables, n_tables);
	foreign_done(&foreign);
	unlink(path);
	rmdir(dir);
	printf("%zu passed, %zu failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
