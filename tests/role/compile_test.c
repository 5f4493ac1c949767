// SPDX-License-Identifier: Apache-2.0
/* compile_test.c - the real `svid compile`, locked in, as another user, with us as svid-core.
 * links: */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"

#define NOBODY 65534
#define AGENT "apiVersion: svid/v1alpha1\nkind: Agent\nspec: {trustDomain: example.org, attestation: bpf-tp}\n"
#define HEAD "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata: {name: n}\nspec:\n  workloadID: a\n"
#define GOOD HEAD "  selectors: [{unix:uid: 1000}]\n"

static char dir[64], policy[80], config[80];

static int make_world(void **unused)
{
	(void)unused;
	snprintf(dir, sizeof(dir), "/tmp/svid-role-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755))
		return -1;
	snprintf(policy, sizeof(policy), "%s/policy.d", dir);
	snprintf(config, sizeof(config), "%s/svid.yaml", dir);
	return mkdir(policy, 0755);
}

static int remove_world(void **unused)
{
	pid_t pid = fork();

	(void)unused;
	if (!pid) {
		execl("/bin/rm", "rm", "-rf", dir, NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

static void put_file(const char *path, struct slice text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text.p, text.len), text.len);
	assert_int_equal(fchmod(fd, 0644), 0);
	close(fd);
}

static void put_policy(const char *name, const char *text)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", policy, name);
	put_file(path, slice_str(text));
}

/* Below everything that svid compile may have open, without an order in which one overwrites another. */
static void plan(const int *fds, size_t n)
{
	int high[3];

	for (size_t i = 0; i < n; i++)
		high[i] = fcntl(fds[i], F_DUPFD, 100);
	for (size_t i = 0; i < n; i++)
		if (dup2(high[i], FD_CHANNEL + (int)i) < 0)
			_exit(90);
}

static pid_t start(const char *option, int *ret_channel)
{
	int fds[3], pair[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fds[0] = pair[1];
	fds[1] = open(policy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[2] = open(config, O_RDONLY | O_CLOEXEC);
	assert_true(fds[1] >= 0 && fds[2] >= 0);
	pid = fork();
	if (!pid) {
		plan(fds, 3);
		if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
			_exit(91);
		execl(SVID_BIN "/svid", "svid", "compile", "--log=error", option, NULL);
		_exit(92);
	}
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
	*ret_channel = pair[0];
	return pid;
}

static void ended_with(pid_t pid, int code)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
		fail_msg("status %x", status);
}

/* Read one message into @scratch; its type, 0 at the end. */
static uint16_t next(int channel, struct buf *scratch, struct slice *ret_body)
{
	struct chan_msg m;
	int err;

	buf_reset(scratch);
	err = ipc_recv(channel, scratch, &m);
	if (err == -ERR_CLOSED)
		return 0;
	assert_int_equal(err, 0);
	ipc_msg_done(&m);
	*ret_body = m.body;
	return m.type;
}

/* Counts by type, from MSG_PC_FILE on. */
struct seen {
	unsigned int n[8];
	size_t largest;
};

static void run(struct seen *s)
{
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
	struct slice body;
	int channel;
	pid_t pid = start(NULL, &channel);
	uint16_t type;

	*s = (struct seen){ 0 };
	while ((type = next(channel, &scratch, &body))) {
		assert_in_range(type, MSG_PC_FILE, MSG_PC_BOOT);
		s->n[type - MSG_PC_FILE]++;
		if (body.len > s->largest)
			s->largest = body.len;
	}
	close(channel);
	ended_with(pid, 0);
}

static unsigned int count(const struct seen *s, uint16_t type)
{
	return s->n[type - MSG_PC_FILE];
}

static void documents_come_out(void **unused)
{
	struct seen s;

	(void)unused;
	put_file(config, slice_str(AGENT));
	put_policy("a.yaml", GOOD);
	put_policy("b.yaml", "x: [");
	run(&s);
	assert_int_equal(count(&s, MSG_PC_FILE), 3);
	assert_int_equal(count(&s, MSG_PC_DOC), 2);
	assert_int_equal(count(&s, MSG_PC_ERROR), 1);
	assert_int_equal(count(&s, MSG_PC_DONE), 1);
}

static void a_large_document_fits_through_the_sandbox(void **unused)
{
	AUTO(buf) struct buf text = BUF_INIT(LIM_POLICY_FILE);
	struct seen s;

	(void)unused;
	buf_put_str(&text, HEAD "  selectors:\n");
	for (int i = 0; i < 50; i++)
		buf_printf(&text, "  - {process:cmdline: %01000d, unix:path: /a/b, systemd:id: a.service}\n", i);
	put_file(config, slice_str(AGENT));
	put_policy("a.yaml", buf_cstr(&text));
	run(&s);
	assert_int_equal(count(&s, MSG_PC_DOC), 2);
	assert_true(s.largest > LIM_IPC_INLINE);
}

static void a_directory_that_cannot_be_read_ends_without_done(void **unused)
{
	struct seen s;

	(void)unused;
	put_file(config, slice_str(AGENT));
	put_policy("a.yaml", GOOD);
	assert_int_equal(chmod(policy, 0700), 0); /* the descriptor is open, but "." cannot be opened again */
	run(&s);
	assert_int_equal(count(&s, MSG_PC_DONE), 0);
	assert_int_equal(count(&s, MSG_PC_ERROR), 1);
}

static void a_file_that_the_compiler_may_not_read_is_an_error(void **unused)
{
	char path[200];
	struct seen s;

	(void)unused;
	put_file(config, slice_str(AGENT));
	put_policy("a.yaml", GOOD);
	snprintf(path, sizeof(path), "%s/a.yaml", policy);
	assert_int_equal(chmod(path, 0600), 0);
	run(&s);
	assert_int_equal(count(&s, MSG_PC_DOC), 1);
	assert_int_equal(count(&s, MSG_PC_ERROR), 1);
	assert_int_equal(count(&s, MSG_PC_DONE), 1);
}

static void boot_is_one_message(void **unused)
{
	static const struct {
		const char *yaml;
		unsigned int attestation;
		bool good;
		unsigned int oidc_port;
	} rows[] = {
		{ AGENT, TIER_BPF_TP, true, 0 },
		{ "apiVersion: svid/v1alpha1\nkind: Agent\nspec: {trustDomain: a, oidc: {port: 8080}}\n", TIER_AUTO, true, 8080 },
		{ AGENT "---\n" HEAD "  selectors: nonsense\n", TIER_BPF_TP, true, 0 }, /* not about the agent */
		{ "apiVersion: svid/v1alpha1\nkind: Agent\nspec: {}\n", TIER_AUTO, false, 0 },
		{ "x: [", TIER_AUTO, false, 0 },
		{ "", TIER_AUTO, false, 0 },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
		struct msg_PC_BOOT boot;
		struct slice body;
		int channel;
		pid_t pid;

		put_file(config, slice_str(rows[i].yaml));
		pid = start("--boot", &channel);
		assert_int_equal(next(channel, &scratch, &body), MSG_PC_BOOT);
		assert_int_equal(msg_get_PC_BOOT(body, &boot), 0);
		assert_int_equal(boot.attestation, rows[i].attestation);
		assert_int_equal(boot.errors == 0, rows[i].good);
		assert_int_equal(boot.oidc_port, rows[i].oidc_port);
		assert_int_equal(next(channel, &scratch, &body), 0);
		close(channel);
		ended_with(pid, 0);
	}
}

static void core_that_went_away_ends_it(void **unused)
{
	int channel;
	pid_t pid;

	(void)unused;
	put_file(config, slice_str(AGENT));
	put_policy("a.yaml", GOOD);
	pid = start(NULL, &channel);
	close(channel);
	ended_with(pid, 1);
}

static void it_is_started_by_svidd_only(void **unused)
{
	pid_t pid = fork();

	(void)unused;
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 2);
		dup2(null, FD_CHANNEL);
		execl(SVID_BIN "/svid", "svid", "compile", NULL);
		_exit(92);
	}
	ended_with(pid, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_world, remove_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(documents_come_out),
		T(a_large_document_fits_through_the_sandbox),
		T(a_directory_that_cannot_be_read_ends_without_done),
		T(a_file_that_the_compiler_may_not_read_is_an_error),
		T(boot_is_one_message),
		T(core_that_went_away_ends_it),
		T(it_is_started_by_svidd_only),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("compile_role", tests, NULL, NULL);
}
