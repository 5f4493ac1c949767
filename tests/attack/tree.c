// SPDX-License-Identifier: Apache-2.0
/*
 * A13, A23: the credential tree's files in other hands than those of the program that they are for: descriptors passed,
 * inherited, stolen, half read before an exec; mappings; helpers; readers whose file, agent or patience ends while they
 * wait. Runs in svid-attack. file= is the file.
 */
#include "tests/attack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define SETTLE_MS 300
#define HALF 100

static void read_all(const struct options *o, const char *who)
{
	static struct answer a;
	int fd = open(o->file, O_RDONLY | O_CLOEXEC);

	answer_init(&a);
	if (fd < 0)
		a.error = errno;
	else
		tree_take(fd, o->how, &a);
	answer_say(who, &a);
}

static void *read_in_thread(void *arg)
{
	const struct options *o = arg;

	sleep_ms(50);
	read_all(o, o->who);
	_exit(0);
}

/* variant=thread: by another thread; fork: by a child that does not exec; passed: file opened by us, read by our own child */
static int tree_read(const struct options *o)
{
	pthread_t thread;
	pid_t pid;

	sleep_ms(o->delay_ms);
	if (is_variant(o, "thread") && pthread_create(&thread, NULL, read_in_thread, (void *)o))
		die("pthread_create");
	if (is_variant(o, "thread"))
		pthread_join(thread, NULL);
	if (!is_variant(o, "fork")) {
		read_all(o, o->who);
		return 0;
	}
	pid = fork();
	if (pid == 0) {
		read_all(o, o->who);
		_exit(0);
	}
	reap(pid);
	return 0;
}

/* An inherited descriptor; how= is the way. */
static int tree_fd(const struct options *o)
{
	static struct answer a;

	answer_init(&a);
	tree_take(o->fd, o->how, &a);
	answer_say(o->who, &a);
	return 0;
}

static int open_own(const struct options *o)
{
	static struct answer a;
	int fd = open(o->file, O_RDONLY | O_CLOEXEC);

	answer_init(&a);
	if (fd < 0)
		die(o->file);
	tree_take(fd, "read", &a);
	answer_say("before", &a);
	if (lseek(fd, 0, SEEK_SET))
		die("lseek");
	return fd;
}

static int obtain(const struct options *o)
{
	if (is_variant(o, "passed"))
		return receive_fd(o->fd);
	return is_variant(o, "stolen") ? steal_fd(o->fd) : o->fd;
}

/* The trusted program has read its file, and the descriptor, at offset 0 again, gets out. */
static int a13(const struct options *o)
{
	int fd = open_own(o), pair[2] = {-1, -1};
	bool passes = is_variant(o, "passed");
	pid_t pid;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	if (passes && socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("socketpair");
	if (is_variant(o, "inherited"))
		keep_open(fd);
	pid = spawn_as(o->evil, "a13-thief", word_text("variant", o->variant), word_text("how", o->how),
		       word("fd", passes ? pair[1] : fd), NULL);
	if (passes)
		pass_fd(pair[0], fd);
	reap(pid);
	return 0;
}

static int a13_thief(const struct options *o)
{
	struct options mine = *o;

	mine.fd = obtain(o);
	mine.who = "thief";
	return tree_fd(&mine);
}

static void *become_reader(void *arg)
{
	const struct options *o = arg;

	exec_as(o->evil, "tree-fd", word("fd", o->fd), word_text("how", o->how), "who=thief", NULL);
	return NULL;
}

/* Half is read by the trusted program, the rest by what it execs; variant=thread: which a thread execs. */
static int a13_exec(const struct options *o)
{
	struct options mine = *o;
	char bytes[HALF];
	pthread_t thread;

	mine.fd = open_own(o);
	if (read(mine.fd, bytes, sizeof(bytes)) != sizeof(bytes))
		die("read");
	keep_open(mine.fd);
	if (!is_variant(o, "thread"))
		become_reader(&mine);
	if (pthread_create(&thread, NULL, become_reader, &mine))
		die("pthread_create");
	pthread_join(thread, NULL);
	return 3;
}

/* Trusted has cat read for it; variant=shell: by a shell that forks once more, exec-shell: by one that becomes cat. */
static int a13_helper(const struct options *o)
{
	static char bytes[TREE_FILE_MAX];
	static struct answer a;
	char command[600];
	int p[2];
	ssize_t n;
	pid_t pid;

	snprintf(command, sizeof(command), "/bin/cat %s%s", o->file, is_variant(o, "shell") ? "; true" : "");
	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 1);
		dup2(open("/dev/null", O_WRONLY), 2);
		if (*o->variant)
			execl("/bin/sh", "sh", "-c", command, NULL);
		execl("/bin/cat", "cat", o->file, NULL);
		_exit(3);
	}
	close(p[1]);
	answer_init(&a);
	n = read(p[0], bytes, sizeof(bytes));
	reap(pid);
	if (n > 0)
		tree_whose(bytes, n, &a);
	else
		a.error = EACCES;
	answer_say("thief", &a);
	return 0;
}

struct late {
	const struct options *o;
	ssize_t n;
	int error;
	char bytes[TREE_FILE_MAX];
};

static struct late *shared;

static void *late_reader(void *unused)
{
	int fd = open(shared->o->file, O_RDONLY | O_CLOEXEC);

	(void)unused;
	shared->n = fd < 0 ? -1 : read(fd, shared->bytes, sizeof(shared->bytes));
	shared->error = errno;
	return NULL;
}

/*
 * A2 for files: while a thread waits for the agent in read(), its process becomes trusted; what comes goes to memory
 * that the starter shares. The test keeps the agent from looking meanwhile.
 */
static int a13_late(const struct options *o)
{
	static struct answer a;
	pthread_t thread;
	pid_t pid;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	shared->o = o;
	sync_point("begin");
	pid = fork();
	if (pid == 0) {
		if (pthread_create(&thread, NULL, late_reader, NULL))
			die("pthread_create");
		sleep_ms(SETTLE_MS);
		exec_as(o->trusted, "hold", word("delay", o->wait_ms), NULL);
	}
	sleep_ms(3 * SETTLE_MS);
	sync_point("replaced");
	sleep_ms(3 * SETTLE_MS);
	answer_init(&a);
	if (strnlen(shared->bytes, sizeof(shared->bytes)))
		tree_whose(shared->bytes, strnlen(shared->bytes, sizeof(shared->bytes)), &a);
	else
		a.error = shared->error ? shared->error : EINTR;
	answer_say("thief", &a);
	kill(pid, SIGKILL);
	reap(pid);
	return 0;
}

static sigjmp_buf no_page;

static void on_bus(int number)
{
	(void)number;
	siglongjmp(no_page, 1);
}

/* Maps the file, and looks at the page only when others did: is it theirs? */
static int a13_map(const struct options *o)
{
	static struct answer a;
	int fd = open(o->file, O_RDONLY | O_CLOEXEC);
	char *page;

	answer_init(&a);
	page = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	a.error = page == MAP_FAILED ? errno : 0;
	sync_point("mapped");
	if (!a.error) {
		signal(SIGBUS, on_bus);
		if (sigsetjmp(no_page, 1))
			a.error = EFAULT;
		else
			tree_whose(page, strnlen(page, 4096), &a);
	}
	answer_say("thief", &a);
	sync_point("looked");
	return 0;
}

/* A23: in read() until something ends it; variant=open: in open(), where FUSE asks. */
static int a23(const struct options *o)
{
	static char bytes[TREE_FILE_MAX];
	bool opens = is_variant(o, "open");
	int fd = opens ? -1 : open(o->file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && !opens)
		die(o->file);
	sync_point("reading");
	if (opens)
		fd = open(o->file, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	say("returned-at: %lld %s", (long long)now_us(), n < 0 ? strerrorname_np(errno) : n ? "content" : "nothing");
	return 0;
}

/* A14: workers= processes that read file= again and again, until the test lets go. */
static int tree_flood(const struct options *o)
{
	char byte;
	long n;
	int fd;

	for (int i = 0; i < o->workers; i++) {
		if (fork())
			continue;
		for (n = 0;; n++) {
			fd = open(o->file, O_RDONLY | O_CLOEXEC);
			if (fd >= 0 && read(fd, &byte, 1) > 0)
				say("error: it was given a byte");
			if (fd >= 0)
				close(fd);
		}
	}
	sync_point("flooding");
	say("held: 0");
	kill(0, SIGKILL); /* a process group of its own */
	return 0;
}

const struct command tree_commands[] = {
	{"tree-read", "reads file= by how=; variant=thread|fork", tree_read},
	{"tree-fd", "reads an inherited descriptor by how=", tree_fd},
	{"a13", "trusted loses a descriptor of the tree; variant=inherited|passed|stolen how=WAY", a13},
	{"a13-thief", "(second half of a13)", a13_thief},
	{"a13-exec", "trusted reads half of file= and execs evil; variant=thread", a13_exec},
	{"a13-helper", "trusted has cat read file=; variant=shell|exec-shell", a13_helper},
	{"a13-late", "a thread reads, its process execs trusted meanwhile", a13_late},
	{"a13-map", "maps file= and looks at it later", a13_map},
	{"tree-flood", "workers= processes read file= for ever (A14)", tree_flood},
	{"a23", "reads file= and tells when it came back", a23},
	{NULL, NULL, NULL},
};
