// SPDX-License-Identifier: Apache-2.0
/* links: agent/core/tree_fuse.c agent/core/tree_fuse_ops.c agent/core/tree_fuse_open.c agent/core/tree_fuse_kept.c tests/lib/fuse_world.c */
/* tree_fuse_test.c - the FUSE backend behind a real mount: names, reads, who may read on, signals, and its death and return. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/compiler.h"
#include "agent/base/err.h"
#include "tests/lib/fuse_world.h"

#define SMALL "self/svid/small"
#define LARGE "self/svid/large"
#define SLOW "self/svid/slow"

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int open_at(const struct fuse_world *w, const char *path)
{
	int fd = open(world_path(w, path), O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Everything, in pieces of @piece. Returns its length, or -errno of a read. */
static ssize_t read_all(int fd, char *to, size_t size, size_t piece)
{
	size_t at = 0;
	ssize_t n;

	while (at < size && (n = read(fd, to + at, piece < size - at ? piece : size - at)) != 0) {
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return (ssize_t)at;
}

static void names_are_listed_and_have_no_size(void **state)
{
	struct fuse_world *w = *state;
	struct stat st;
	struct dirent *e;
	bool seen[WORLD_MANY] = { false };
	int n = 0;
	DIR *d;

	assert_int_equal(stat(world_path(w, "self/svid"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0555);
	assert_int_equal(stat(world_path(w, SMALL), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0444);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(open_at(w, "self/svid/none"), -ENOENT);
	assert_int_equal(open_at(w, "none/svid/small"), -ENOENT);
	d = opendir(world_path(w, "many"));
	assert_non_null(d);
	while ((e = readdir(d))) {
		int i = e->d_name[0] == 'd' ? (int)strtol(e->d_name + 1, NULL, 10) : -1;

		n++;
		if (i < 0)
			continue;
		assert_false(seen[i]);
		seen[i] = true;
	}
	closedir(d);
	assert_int_equal(n, WORLD_MANY + 2);
}

static void content_comes_whole_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = { 1, 4096, 65536, 131072, 1 << 20 };
	static char first[WORLD_LARGE + 1], text[WORLD_LARGE + 1];
	struct fuse_world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		int fd = open_at(w, pieces[i] == 1 ? SMALL : LARGE);

		assert_true(fd >= 0);
		if (pieces[i] == 1) {
			assert_int_equal(read_all(fd, text, sizeof(text), 1), strlen(WORLD_SMALL));
			assert_memory_equal(text, WORLD_SMALL, strlen(WORLD_SMALL));
		} else {
			assert_int_equal(read_all(fd, text, sizeof(text), pieces[i]), WORLD_LARGE);
			if (i == 1)
				memcpy(first, text, sizeof(text));
			assert_memory_equal(text, first, WORLD_LARGE);
		}
		close(fd);
	}
	assert_int_equal(w->shared->reads, ARRAY_SIZE(pieces)); /* one decision each */
}

static void whoever_is_refused_learns_it_at_open(void **state)
{
	struct fuse_world *w = *state;

	assert_int_equal(open_at(w, "self/svid/denied"), -EACCES);
	assert_int_equal(open(world_path(w, SMALL), O_RDWR), -1);
	assert_int_equal(open(world_path(w, "self/svid/new"), O_RDWR | O_CREAT, 0600), -1);
	assert_int_equal(access(world_path(w, "self/svid/denied"), R_OK), 0); /* names and modes are public */
}

/* Nothing of it may be found in the page cache by somebody else. */
static void files_cannot_be_mapped(void **state)
{
	struct fuse_world *w = *state;
	int fd = open_at(w, SMALL);

	assert_true(fd >= 0);
	assert_true(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
	close(fd);
}

static int exit_of(pid_t pid)
{
	int status = 0;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int in_child(struct fuse_world *w, int (*run)(int fd), int fd)
{
	pid_t pid = world_fork(w);

	if (!pid)
		_exit(run(fd));
	return exit_of(pid);
}

static int read_errno(int fd)
{
	char c;

	return pread(fd, &c, 1, 0) < 0 ? errno : 0;
}

static int exec_cat(int fd)
{
	int null = open("/dev/null", O_RDWR);

	dup2(fd, 0);
	dup2(null, 1);
	dup2(null, 2);
	execlp("cat", "cat", NULL);
	return 127;
}

static int open_and_exec_cat(int fd)
{
	char link[64], path[128];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	fd = open(path, O_RDONLY);
	return fd < 0 || read_errno(fd) ? 99 : exec_cat(fd);
}

static void *thread_reads(void *arg)
{
	return (void *)(intptr_t)read_errno(*(int *)arg);
}

/* A13 */
static void only_the_process_that_opened_may_read_and_only_in_that_exec(void **state)
{
	struct fuse_world *w = *state;
	pthread_t thread;
	void *err;
	int fd = open_at(w, SMALL);

	assert_int_equal(in_child(w, read_errno, fd), EACCES);
	assert_int_equal(in_child(w, exec_cat, fd), 1);
	assert_int_equal(in_child(w, open_and_exec_cat, fd), 1);
	assert_int_equal(pthread_create(&thread, NULL, thread_reads, &fd), 0);
	assert_int_equal(pthread_join(thread, &err), 0);
	assert_null(err);
	assert_int_equal(read_errno(fd), 0);
	assert_int_equal(w->shared->strangers, 3);
	/* and when nothing is kept of the one that opened: */
	world_say(w, 'o');
	assert_int_equal(in_child(w, read_errno, fd), EACCES);
	assert_int_equal(w->shared->strangers, 4);
	assert_int_equal(read_errno(fd), 0);
	close(fd);
}

static int in_other_pid_namespace(int fd)
{
	pid_t pid = unshare(CLONE_NEWPID) ? -1 : fork();

	if (!pid)
		_exit(open_and_exec_cat(fd));
	return pid > 0 ? exit_of(pid) : 98;
}

static void readers_in_containers_are_told_apart_too(void **state)
{
	struct fuse_world *w = *state;
	int fd = open_at(w, SMALL);

	assert_int_equal(in_child(w, in_other_pid_namespace, fd), 1);
	close(fd);
}

static void what_was_begun_stays_one_piece_when_documents_change(void **state)
{
	struct fuse_world *w = *state;
	static char a[WORLD_LARGE + 1], b[WORLD_LARGE + 1];
	int fd = open_at(w, LARGE);

	assert_int_equal(read_all(fd, a, sizeof(a), 65536), WORLD_LARGE);
	assert_int_equal(pread(fd, b, 4096, 0), 4096);
	w->shared->generation++;
	assert_int_equal(w->shared->reads, 1);
	assert_int_equal(pread(fd, b + 4096, 4096, 4096), 4096);
	assert_int_equal(w->shared->reads, 2); /* decided anew, content of before */
	assert_memory_equal(a, b, 8192);
	w->shared->generation++;
	assert_int_equal(pread(fd, b, 4096, 0), 4096);
	assert_memory_not_equal(a, b, 4096);
	close(fd);
}

static void a_hold_is_for_what_was_opened_too(void **state)
{
	struct fuse_world *w = *state;
	int fd = open_at(w, SMALL);

	assert_int_equal(read_errno(fd), 0);
	assert_int_equal(w->shared->reads, 1);
	w->shared->hold = -ERR_EVIDENCE;
	assert_int_equal(read_errno(fd), 0);
	assert_int_equal(w->shared->reads, 2); /* it is tree_read() that waits */
	close(fd);
}

static void content_that_was_dropped_is_read_anew_from_its_start_alone(void **state)
{
	struct fuse_world *w = *state;
	char c[16];
	int fd = open_at(w, SMALL);

	world_say(w, 'o');
	assert_int_equal(pread(fd, c, 4, 2), -1);
	assert_int_equal(errno, ESTALE);
	assert_int_equal(pread(fd, c, 4, (off_t)strlen(WORLD_SMALL)), 0); /* its end is still known */
	assert_int_equal(pread(fd, c, 16, 0), strlen(WORLD_SMALL));
	assert_int_equal(pread(fd, c, 16, 2), strlen(WORLD_SMALL) - 2);
	close(fd);
}

static void a_file_that_is_gone_is_not_read_on(void **state)
{
	struct fuse_world *w = *state;
	int fd = open_at(w, SMALL);

	assert_int_equal(read_errno(fd), 0);
	world_say(w, 'd');
	assert_int_equal(read_errno(fd), ENOENT);
	close(fd);
	assert_int_equal(open_at(w, SMALL), -ENOENT);
}

/* Bounded, whatever callers keep open; who had one is decided about anew. */
static void contents_of_one_user_are_bounded(void **state)
{
	struct fuse_world *w = *state;
	int fds[200];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = open_at(w, SMALL);
		assert_true(fds[i] >= 0);
	}
	assert_int_equal(w->shared->reads, ARRAY_SIZE(fds));
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(read_errno(fds[i]), 0);
	assert_true(w->shared->reads >= ARRAY_SIZE(fds) + 136);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

/* The users of one's own namespaces do not push out what others have open. */
static void contents_of_all_users_of_one_user_are_bounded(void **state)
{
	struct fuse_world *w = *state;
	uint64_t began = clock_boot_ns();
	int first = open_at(w, SMALL), fds[80]; /* 16 more than one person may keep */

	w->shared->userns_owner = 1000;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_int_equal(seteuid((uid_t)(100000 + i)), 0);
		fds[i] = open_at(w, SMALL);
		assert_int_equal(seteuid(0), 0);
		assert_true(fds[i] >= 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		assert_int_equal(read_errno(fds[i]), 0);
	assert_true(w->shared->reads >= 1 + ARRAY_SIZE(fds) + 16);
	w->shared->reads = 0;
	assert_int_equal(read_errno(first), 0);
	if (clock_boot_ns() - began < 9 * NS_PER_S) /* it is kept for ten */
		assert_int_equal(w->shared->reads, 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	close(first);
}

/* Signals and death of readers */

static pid_t slow_reader(struct fuse_world *w, int *ret_result)
{
	int result[2];
	pid_t pid;

	assert_int_equal(pipe(result), 0);
	pid = world_fork(w);
	if (!pid) {
		int fd = open_at(w, SLOW), err = fd < 0 ? -fd : read_errno(fd);

		if (write(result[1], &err, sizeof(err)) != sizeof(err))
			_exit(1);
		_exit(0);
	}
	close(result[1]);
	*ret_result = result[0];
	return pid;
}

static int result_of(pid_t pid, int result)
{
	int err = -1;

	(void)!read(result, &err, sizeof(err));
	close(result);
	waitpid(pid, NULL, 0);
	return err;
}

static void a_reader_that_waits_can_be_killed_at_once(void **state)
{
	struct fuse_world *w = *state;
	int result;
	pid_t pid = slow_reader(w, &result);
	double since;

	world_until(&w->shared->waiting, 1);
	assert_int_equal(open_at(w, SMALL) < 0, 0); /* nobody else waits */
	since = now_ms();
	kill(pid, SIGKILL);
	assert_int_equal(result_of(pid, result), -1);
	assert_true(now_ms() - since < 1000);
	world_until(&w->shared->cancelled, 1);
	assert_int_equal(w->shared->waiting, 0);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void signals_that_do_not_end_a_reader_do_not_end_its_read(void **state)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct fuse_world *w = *state;
	int result;
	pid_t pid;
	double since;

	sigaction(SIGUSR1, &sa, NULL);
	pid = slow_reader(w, &result);
	world_until(&w->shared->waiting, 1);
	for (int i = 0; i < 20; i++) {
		kill(pid, SIGUSR1);
		usleep(5000);
	}
	assert_int_equal(w->shared->waiting, 1);
	world_say(w, 'y');
	assert_int_equal(result_of(pid, result), 0);
	/* one that was interrupted can be killed later */
	pid = slow_reader(w, &result);
	world_until(&w->shared->waiting, 1);
	kill(pid, SIGUSR1);
	usleep(100000);
	since = now_ms();
	kill(pid, SIGKILL);
	assert_int_equal(result_of(pid, result), -1);
	assert_true(now_ms() - since < 1000);
}

/* Death of the backend */

static void readers_who_wait_are_answered_by_the_next_one(void **state)
{
	struct fuse_world *w = *state;
	int results[8], fd = open_at(w, SMALL);
	pid_t pids[8];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = slow_reader(w, &results[i]);
	world_until(&w->shared->waiting, ARRAY_SIZE(pids));
	world_kill(w);
	world_start(w, true);
	world_until(&w->shared->waiting, ARRAY_SIZE(pids));
	world_say(w, 'y');
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		assert_int_equal(result_of(pids[i], results[i]), 0);
	assert_int_equal(read_errno(fd), 0); /* a descriptor of before */
	assert_int_equal(in_child(w, read_errno, fd), EACCES);
	close(fd);
	names_are_listed_and_have_no_size(state);
}

static void requests_that_come_between_two_of_them_wait(void **state)
{
	struct fuse_world *w = *state;
	int result;
	pid_t pid;

	world_kill(w);
	pid = slow_reader(w, &result);
	usleep(50000);
	world_start(w, true);
	world_until(&w->shared->waiting, 1);
	world_say(w, 'y');
	assert_int_equal(result_of(pid, result), 0);
}

/* Not even a request that ends each backend goes on for ever. */
static void a_request_that_nobody_survives_is_given_up(void **state)
{
	struct fuse_world *w = *state;
	int result;
	pid_t pid;

	w->shared->crash = true;
	pid = slow_reader(w, &result);
	waitpid(w->core, NULL, 0);
	for (int i = 0; i < 3; i++) {
		close(w->say);
		world_launch(w, true);
		waitpid(w->core, NULL, 0);
		assert_int_equal(w->shared->reads, 1);
	}
	close(w->say);
	w->shared->crash = false;
	world_start(w, true);
	assert_int_equal(result_of(pid, result), EIO);
	assert_int_equal(w->shared->reads, 0);
}

/* An upgrade from one that kept nothing, or a memfd that was lost: new calls work. */
static void a_mount_whose_memfd_was_lost_goes_on(void **state)
{
	struct fuse_world *w = *state;

	world_kill(w);
	close(w->state);
	w->state = memfd_create("state", MFD_CLOEXEC);
	world_start(w, true);
	content_comes_whole_in_pieces_of_any_size(state);
}

static void names_that_may_still_come_are_waited_for(void **state)
{
	struct fuse_world *w = *state;
	int status, fd;
	pid_t pid;
	double since = now_ms();

	world_kill(w);
	world_start(w, false);
	pid = world_fork(w);
	if (!pid)
		_exit(open_at(w, SMALL) < 0);
	usleep(100000);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	world_say(w, 'c');
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(now_ms() - since < 2000);
	world_kill(w);
	world_start(w, false);
	since = now_ms();
	fd = open_at(w, "self/svid/other"); /* not for ever */
	assert_true(fd == -ENOENT && now_ms() - since < 6000);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
		T(names_are_listed_and_have_no_size),
		T(content_comes_whole_in_pieces_of_any_size),
		T(whoever_is_refused_learns_it_at_open),
		T(files_cannot_be_mapped),
		T(only_the_process_that_opened_may_read_and_only_in_that_exec),
		T(readers_in_containers_are_told_apart_too),
		T(what_was_begun_stays_one_piece_when_documents_change),
		T(a_hold_is_for_what_was_opened_too),
		T(content_that_was_dropped_is_read_anew_from_its_start_alone),
		T(a_file_that_is_gone_is_not_read_on),
		T(contents_of_one_user_are_bounded),
		T(contents_of_all_users_of_one_user_are_bounded),
		T(a_reader_that_waits_can_be_killed_at_once),
		T(signals_that_do_not_end_a_reader_do_not_end_its_read),
		T(readers_who_wait_are_answered_by_the_next_one),
		T(requests_that_come_between_two_of_them_wait),
		T(a_request_that_nobody_survives_is_given_up),
		T(a_mount_whose_memfd_was_lost_goes_on),
		T(names_that_may_still_come_are_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
