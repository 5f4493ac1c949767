// SPDX-License-Identifier: Apache-2.0
/* links: agent/parent/bpf.c agent/parent/bpf_tier.c agent/parent/bpf_pin.c agent/parent/bpf_why.c agent/parent/module.c agent/core/provider.c agent/core/provider_attach.c agent/core/provider_bpf.c agent/core/provider_kmod.c agent/core/provider_socket.c tests/lib/evidence_caller.c tests/lib/evidence_world.c tests/lib/tree_rig.c */
/*
 * cost.c - what the evidence costs everybody else, in instructions: connect(), exec and fork with each tier against none, an
 * accepted connection's evidence, and a read of the credential tree against one of plain sysfs. Only where the clock counts
 * instructions: tests/vm/cost_test.sh. Prints a table; fails where a figure is above its limit.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/evidence_world.h"
#include "tests/lib/tree_rig.h"

#define ROUNDS 48
#define ENTRY "self/svid/cert.pem"
#define STAMP "/tmp/stamp"
#define PLAIN "/sys/kernel/notes" /* a bin_attribute as ours, without a question to anybody */

struct figures {
	int64_t connect, exec, fork, exit, evidence;
};

static int unrelated = -1;
static struct sockaddr_un unrelated_name = { .sun_family = AF_UNIX, .sun_path = "/tmp/cost.sock" };

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare_figures(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Interrupts and first times only add; but now and then something is spared, so it is not the very least that counts. */
static int64_t usual(int64_t (*once)(void))
{
	int64_t all[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		all[i] = once();
	qsort(all, ROUNDS, sizeof(all[0]), compare_figures);
	return all[ROUNDS / 4];
}

static int64_t connect_once(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t t = now();

	if (connect(fd, (struct sockaddr *)&unrelated_name, sizeof(unrelated_name)) < 0)
		abort();
	t = now() - t;
	close(accept(unrelated, NULL, NULL));
	close(fd);
	return t;
}

static char stack[16384]; /* of a child that shares our memory */
static int stamped;	  /* what STAMP writes to descriptor 3 comes out here */

static void stamped_open(void)
{
	int pair[2];

	if (pipe(pair) || (stamped = fcntl(pair[0], F_DUPFD_CLOEXEC, 10)) < 0 || dup2(pair[1], 3) < 0)
		abort();
}

/* A tier opens dozens of descriptors here, which an exec would have to close: they stay with us. */
static int become_stamp(void *arg)
{
	char stamp[32];

	(void)arg;
	if (!close_range(4, ~0U, CLOSE_RANGE_UNSHARE) && snprintf(stamp, sizeof(stamp), "%lld", (long long)now()) > 0)
		execl(STAMP, "stamp", stamp, (char *)NULL);
	_exit(127);
}

/*
 * From before execve() to main() of a small static program, in memory: the host's files would be waited for. The memory
 * that is given up is still ours, so how much that is does not count.
 */
static int64_t exec_once(void)
{
	int64_t t = 0;
	int status;
	pid_t pid = clone(become_stamp, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, NULL);

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status || read(stamped, &t, sizeof(t)) != sizeof(t))
		abort();
	return t;
}

static int end_at_once(void *arg)
{
	(void)arg;
	_exit(0);
}

/* A process that shares our memory, so that its page tables are not what is measured. It runs when we wait. */
static int64_t fork_once(void)
{
	int64_t t = now();
	pid_t pid = clone(end_at_once, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	t = now() - t;
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		abort();
	return t;
}

static int64_t exit_once(void)
{
	int64_t t;
	pid_t pid = clone(end_at_once, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	t = now();
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		abort();
	return now() - t;
}

static int64_t evidence_once(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct provider_ticket ticket;
	struct svid_conn conn;
	int64_t t;
	int fd, got;

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", world.path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		abort();
	got = world_accept();
	t = now();
	if (provider_attach(world.p, got, &conn, &ticket))
		abort();
	t = now() - t;
	provider_detach(world.p, &ticket);
	close(got);
	close(fd);
	world_drain();
	return t;
}

static struct figures measure(void)
{
	struct figures f = { 0 };

	f.connect = usual(connect_once);
	f.exec = usual(exec_once);
	f.fork = usual(fork_once);
	f.exit = usual(exit_once);
	f.evidence = world.p ? usual(evidence_once) : 0;
	return f;
}

/* ---- the credential tree ---- */

static int entry_fd, plain_fd;

static int64_t read_once(int fd)
{
	char page[4096];
	int64_t t = now();

	if (pread(fd, page, sizeof(page), 0) <= 0)
		abort();
	return now() - t;
}

static int64_t entry_once(void)
{
	return read_once(entry_fd);
}

static int64_t plain_once(void)
{
	return read_once(plain_fd);
}

static void serve(int tree)
{
	struct svid_tree_answer answer = { .size = sizeof(answer), .len = 1024 };
	static const char pem[1024] = "secret";
	struct svid_tree_request r;

	answer.fd = tree_memfd(pem, sizeof(pem));
	fcntl(tree, F_SETFL, 0);
	while (read(tree, &r, sizeof(r)) == sizeof(r)) {
		answer.id = r.id;
		(void)!ioctl(tree, SVID_IOC_TREE_ANSWER, &answer);
	}
	_exit(1);
}

/* Returns how many plain reads one read of an entry is, with both processes' part. */
static double tree_ratio(void)
{
	int64_t plain, entry;
	int tree = tree_open();
	pid_t agent;

	if (tree < 0 || tree_add(tree, ENTRY, 1) || (agent = fork()) < 0)
		abort();
	if (!agent)
		serve(tree);
	entry_fd = open(tree_path(ENTRY), O_RDONLY | O_CLOEXEC);
	plain_fd = open(PLAIN, O_RDONLY | O_CLOEXEC);
	entry = usual(entry_once);
	plain = usual(plain_once);
	kill(agent, SIGKILL);
	waitpid(agent, NULL, 0);
	close(entry_fd);
	close(plain_fd);
	close(tree);
	printf("read of 1 KB: plain sysfs %lld, credential tree %lld: %.1f times (limit 15)\n", (long long)plain,
	       (long long)entry, (double)entry / plain);
	return (double)entry / plain;
}

/* ---- */

static int failed, passed;

/* limit 0: none. */
static void row(const char *what, int64_t more, int64_t limit)
{
	bool over = limit && more > limit;

	printf("| %s | %lld | %lld | %s\n", what, (long long)more, (long long)limit, over ? "FAIL" : "");
	*(over ? &failed : &passed) += 1;
}

static int64_t less(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Without evidence, before the tier and after it: what else has changed meanwhile must not count. */
static struct figures without(const struct figures *before)
{
	struct figures f = measure();

	if (before) {
		f.connect = less(f.connect, before->connect);
		f.exec = less(f.exec, before->exec);
		f.fork = less(f.fork, before->fork);
		f.exit = less(f.exit, before->exit);
	}
	return f;
}

static void show(const char *tier, const struct figures *none, const struct figures *f)
{
	printf("without evidence: connect() %lld, exec %lld, fork %lld, exit %lld\n| %s: instructions more | | limit |\n",
	       (long long)none->connect, (long long)none->exec, (long long)none->fork, (long long)none->exit, tier);
	row("unrelated connect()", f->connect - none->connect, 1000);
	row("exec", f->exec - none->exec, 5000);
	row("fork", f->fork - none->fork, 4000);
	row("exit", f->exit - none->exit, 0);
	/* Two microseconds: natively the plain connect() above takes 2.5 of them. BPF's are measured natively. */
	row("evidence of an accepted connection, in all", f->evidence, strcmp(tier, "kmod") ? 0 : none->connect * 2 / 2.5);
}

static void compare(const char *tier)
{
	struct figures f, none;
	void *state = NULL;
	bool kmod = !strcmp(tier, "kmod");

	setenv("SVID_TEST_TIER", tier, 1); /* what we exec is given it too: before the first figure */
	none = without(NULL);
	if ((kmod && rig_load()) || world_up(&state) || !world.p) {
		printf("FAIL tier %s does not start\n", tier);
		failed++;
		return;
	}
	f = measure();
	world_down(&state);
	world = (struct evidence_world){ .listener = -1 };
	if (kmod)
		*(tree_ratio() > 15 ? &failed : &passed) += 1;
	if (kmod && rig_unload())
		failed++;
	none = without(&none);
	show(tier, &none, &f);
}

int main(int argc, char **argv)
{
	caller_main(argc, argv);
	stamped_open();
	personality(ADDR_NO_RANDOMIZE); /* of what it execs */
	unrelated = world_listen(unrelated_name.sun_path);
	(void)measure();
	for (int i = 1; i < argc; i++)
		compare(argv[i]);
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
