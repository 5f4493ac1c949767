// SPDX-License-Identifier: Apache-2.0
/* What every family of attacks needs: lines to the test, other processes, other users. Runs in svid-attack. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define WORDS_MAX 24

extern char **environ;

void say(const char *format, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* one write, so that lines of several processes do not mix; a test that left does not matter */
	if (write(STDOUT_FILENO, line, n) < 0)
		_exit(4);
}

void die(const char *what)
{
	say("error: %s: %s", what, strerror(errno));
	_exit(3);
}

void skip(const char *why)
{
	say("skip: %s", why);
	_exit(0);
}

void sync_point(const char *name)
{
	char c = 0;

	say("at: %s %lld", name, (long long)now_us());
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		;
}

void sleep_ms(int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void exec_list(const char *path, const char *command, va_list ap)
{
	const char *argv[WORDS_MAX] = {path, command};
	const char *w;
	int n = 2;

	while ((w = va_arg(ap, const char *)) && n < WORDS_MAX - 1)
		argv[n++] = w;
	if (client_asks_by() && n < WORDS_MAX - 1)
		argv[n++] = word_text("ask", client_asks_by());
	execve(path, (char **)argv, environ);
	die(path);
}

void exec_as(const char *path, const char *command, ...)
{
	va_list ap;

	va_start(ap, command);
	exec_list(path, command, ap);
	_exit(3);
}

pid_t spawn_as(const char *path, const char *command, ...)
{
	pid_t pid = fork();
	va_list ap;

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	va_start(ap, command);
	exec_list(path, command, ap);
	_exit(3);
}

static char *word_buffer(void)
{
	static char buffers[WORDS_MAX][512];
	static unsigned int next;

	return buffers[next++ % WORDS_MAX];
}

const char *word(const char *key, long number)
{
	char *w = word_buffer();

	snprintf(w, 512, "%s=%ld", key, number);
	return w;
}

const char *word_text(const char *key, const char *text)
{
	char *w = word_buffer();

	snprintf(w, 512, "%s=%s", key, text);
	return w;
}

void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void keep_open(int fd)
{
	if (fcntl(fd, F_SETFD, 0))
		die("F_SETFD");
}

void become(int uid)
{
	if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		die("setresuid");
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

void enter_user_ns(int flags)
{
	int uid = geteuid(), gid = getegid();
	char map[64];

	if (unshare(CLONE_NEWUSER | flags))
		skip("user namespaces are refused here");
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %d 1", uid);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "0 %d 1", gid);
	write_file("/proc/self/gid_map", map);
}

void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	char bytes[65536];
	ssize_t n;

	if (in < 0 || out < 0)
		die(to);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		if (write(out, bytes, n) != n)
			die(to);
	close(in);
	close(out);
}

bool is_how(const struct options *o, const char *name)
{
	return strcmp(o->how, name) == 0;
}

bool is_variant(const struct options *o, const char *name)
{
	return strcmp(o->variant, name) == 0;
}
