// SPDX-License-Identifier: Apache-2.0
/*
 * A14: floods by callers without identity. Workers do it without end while the test looks how others are served; then
 * it is said how many connections they held. Runs in svid-attack.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define HELD_MAX 4096
#define SUBUIDS 15   /* users of one namespace for each worker, which are as many processes */
#define FIRST_SUBUID 200000

/* Of all workers. */
struct tally {
	int over;    /* open no more, see what stays */
	int held;    /* connections open now */
	int made;
	int refused; /* connect() failed */
};

static struct tally *tally;

static void add(int *to, int n)
{
	__atomic_fetch_add(to, n, __ATOMIC_RELAXED);
}

/* -1: refused, or the backlog is full. */
static int try_open(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
		add(&tally->made, 1);
		return fd;
	}
	add(&tally->refused, 1);
	if (fd >= 0)
		close(fd);
	return -1;
}

static void send_part(int fd, const struct options *o)
{
	struct request r;

	request_build(&r);
	if (is_variant(o, "silent") || is_variant(o, "subuids"))
		return;
	(void)!send(fd, r.bytes, is_variant(o, "half") ? r.half : r.len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* What the agent has closed is closed here too. Returns how many are left. */
static int drop_closed(struct pollfd *p, int n)
{
	int left = 0;

	if (poll(p, n, 0) < 0)
		return n;
	for (int i = 0; i < n; i++)
		if (p[i].revents & (POLLHUP | POLLERR | POLLRDHUP)) {
			close(p[i].fd);
			add(&tally->held, -1);
		} else {
			p[left++] = p[i];
		}
	return left;
}

/* As many at once as it can get, up to @want: silent, with half a request, or never reading the answer. */
static void hold_many(const struct options *o, int want)
{
	static struct pollfd p[HELD_MAX];
	int n = 0;

	for (;;) {
		int fd = n < want && !tally->over ? try_open(o->socket) : -1;

		if (fd >= 0) {
			send_part(fd, o);
			p[n++] = (struct pollfd){.fd = fd, .events = POLLRDHUP};
			add(&tally->held, 1);
			if (n % 16)
				continue;
		}
		n = drop_closed(p, n);
		if (fd < 0)
			sleep_ms(is_variant(o, "subuids") ? 50 : 1); /* they are many */
	}
}

#define AT_ONCE 32 /* so that some are another program before their turn comes */

/* One after the other, each from a new process if wanted. */
static void churn(const struct options *o)
{
	bool execs = is_variant(o, "execs"), forks = execs || is_variant(o, "forks");
	int running = 0;

	for (;;) {
		pid_t pid = forks ? fork() : 0;
		int fd;

		if (pid > 0) {
			running++;
			if (!execs || running == AT_ONCE) {
				waitpid(-1, NULL, 0);
				running--;
			}
			continue;
		}
		fd = try_open(o->socket);
		if (fd >= 0)
			send_part(fd, o);
		if (execs)
			execl("/bin/true", "true", NULL);
		if (forks)
			_exit(0);
		if (fd < 0)
			sleep_ms(1);
		else
			close(fd);
	}
}

static pid_t worker(void)
{
	pid_t pid = fork();

	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void write_map(pid_t pid, const char *what, int uid, int users)
{
	char path[64], map[64];
	int fd, n = snprintf(map, sizeof(map), "0 %d 1\n1 %d %d\n", uid, FIRST_SUBUID, users);

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, map, n) != n)
		skip("no user namespaces");
	close(fd);
}

/* Root here does what newuidmap(1) does for any user with a line in /etc/subuid. */
static void in_namespace(const struct options *o, int users)
{
	int ready[2], go[2];
	pid_t pid;
	char byte = 0;

	if (pipe(ready) || pipe(go))
		die("pipe");
	pid = worker();
	if (pid == 0) {
		become(o->uid);
		if (unshare(CLONE_NEWUSER))
			skip("no user namespaces");
		if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1)
			die("map");
		for (int i = 1; i <= users; i++)
			if (worker() == 0) {
				if (setresgid(i, i, i) || setresuid(i, i, i))
					die("setresuid");
				hold_many(o, o->count / users);
			}
		for (;;)
			pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		skip("no user namespaces");
	write_map(pid, "gid_map", o->uid, users);
	write_map(pid, "uid_map", o->uid, users);
	if (write(go[1], &byte, 1) != 1)
		die("go");
}

static int a14(const struct options *o)
{
	int workers = o->workers ? o->workers : 2;
	const struct rlimit files = {HELD_MAX + 64, HELD_MAX + 64};

	(void)setrlimit(RLIMIT_NOFILE, &files);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		die("mmap");
	if (is_variant(o, "subuids")) {
		in_namespace(o, workers * SUBUIDS);
	} else {
		for (int i = 0; i < workers; i++)
			if (worker() == 0) {
				if (is_variant(o, "connect") || is_variant(o, "forks") || is_variant(o, "execs"))
					churn(o);
				hold_many(o, o->count / workers);
			}
	}
	sync_point("flooding");
	__atomic_store_n(&tally->over, 1, __ATOMIC_RELAXED);
	sleep_ms(o->delay_ms); /* what was only waiting to be turned away is gone */
	say("held: %d of %d made, %d refused", tally->held, tally->made, tally->refused);
	return 0;
}

const struct command flood_commands[] = {
	{"a14", "a flood; variant=silent|half|slow|connect|forks|execs|subuids, count=N held at once", a14},
	{NULL, NULL, NULL},
};
