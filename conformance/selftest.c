/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.c - shows that the tests can fail: for each flaw, a server with that flaw alone, and the
 * clauses that must notice it. The same clauses must pass against the server without flaw.
 */
#include "conformance/selftest.h"

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
};

static char dir[64], path[108];

/* A server of its own process group, so that its connections end with it. */
static pid_t start_server(enum flaw flaw)
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
			if (worst == PASS && strcmp(t->clause, clause) == 0)
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
	pid_t server = flawed ? 0 : start_server(FLAW_NONE);

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		if (flawed)
			server = start_server(expected[i].flaw);
		if (server < 0)
			return failed + 1;
		if (judge(r, i, flawed, tables, n_tables))
			(*passed)++;
		else
			failed++;
		if (flawed)
			stop_server(server);
	}
	if (!flawed)
		stop_server(server);
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
	failed = all_with(r, false, &passed, tables, n_tables);
	failed += all_with(r, true, &passed, tables, n_tables);
	unlink(path);
	rmdir(dir);
	printf("%zu passed, %zu failed, 0 skipped\n", passed, failed);
	return failed ? 1 : 0;
}
