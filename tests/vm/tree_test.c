// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/tree_rig.c tests/lib/tree_reader.c */
/*
 * tree_test.c - the credential tree of svid.ko as an agent and as readers see it (A13, A23). Runs as root in the VM, from the
 * checkout: tests/vm/tree_test.sh. The test plays the agent. Next: tree_stress_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tree_rig.h"

#define ENTRY "self/svid/cert.pem"
#define LONG 12288

static int tree;
static struct reader reader;
static struct reader_result result;
static struct svid_tree_request request;
static char content[LONG], other[LONG];

static int setup(void **state)
{
	(void)state;
	for (int i = 0; i < LONG; i++) {
		content[i] = (char)('a' + i % 23);
		other[i] = (char)('A' + i % 19);
	}
	tree = tree_open();
	assert_true(tree >= 0);
	assert_int_equal(tree_add(tree, ENTRY, 77), 0);
	reader = reader_start();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (tree >= 0)
		close(tree);
	reader_end(&reader);
	assert_true(tree_shows("self", false));
	return 0;
}

static struct reader_call opening(const char *path)
{
	struct reader_call call = { .op = READER_OPEN };

	snprintf(call.path, sizeof(call.path), "%s", tree_path(path));
	return call;
}

static struct reader_call reading(int64_t off, int64_t count)
{
	return (struct reader_call){ .op = READER_PREAD, .a = off, .b = count };
}

static void open_entry(const struct reader *who, const char *path)
{
	struct reader_call call = opening(path);

	assert_true(reader_do(who, &call) >= 0);
}

/* The request that a call makes; the call goes on. */
static void ask(const struct reader *who, const struct reader_call *call)
{
	reader_tell(who, call);
	assert_int_equal(tree_request(tree, 5000, &request), 0);
}

static void hear(const struct reader *who)
{
	assert_true(reader_hear(who, 8000, &result));
}

/* A call that the agent answers with bytes. Returns the call's result. */
static int64_t given(const struct reader *who, struct reader_call call, const void *data, size_t len)
{
	ask(who, &call);
	assert_int_equal(tree_answer(tree, request.id, data, len), 0);
	hear(who);
	return result.ret;
}

/* A call that nobody is asked about. */
static int64_t unasked(const struct reader *who, struct reader_call call)
{
	reader_tell(who, &call);
	hear(who);
	assert_int_equal(tree_request(tree, 0, &request), -EAGAIN);
	return result.ret;
}

/* A call that is asked about; it is refused. */
static void is_asked(const struct reader *who, struct reader_call call)
{
	ask(who, &call);
	assert_int_equal(tree_refuse(tree, request.id, EACCES), 0);
	hear(who);
	assert_int_equal(result.ret, -EACCES);
}

static void names_come_and_go(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(tree_path(ENTRY), &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0444);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(tree_add(tree, "self/svid/key.pem", 78), 0);
	assert_int_equal(tree_del(tree, ENTRY), 0);
	assert_true(tree_shows(ENTRY, false));
	assert_true(tree_shows("self/svid/key.pem", true));
	assert_int_equal(tree_del(tree, ENTRY), -ENOENT);
	assert_int_equal(tree_del(tree, "self/svid/key.pem"), 0);
	assert_true(tree_shows("self", false));
	assert_int_equal(tree_add(tree, ENTRY, 79), 0);
	assert_true(tree_shows(ENTRY, true));
}

static void names_that_are_refused(void **state)
{
	static const char *const bad[] = { "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/./b", "a b", "a\nb", "a:b", "\xc3\xa9",
					   "1/2/3/4/5/6" };
	static const char *const good[] = { "a", ".a", "...", "a-b_c.D9", "1/2/3/4/5" };
	char name[SVID_TREE_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(tree_add(tree, bad[i], 1), -EINVAL);
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(tree_add(tree, good[i], 1), 0);
	memset(name, 'x', sizeof(name));
	name[SVID_TREE_NAME_MAX + 1] = 0;
	assert_int_equal(tree_add(tree, name, 1), -EINVAL);
	name[SVID_TREE_NAME_MAX] = 0;
	assert_int_equal(tree_add(tree, name, 1), 0);
	assert_true(tree_shows(name, true));
}

static void file_and_directory_of_one_name(void **state)
{
	(void)state;
	assert_int_equal(tree_add(tree, "self", 1), -EISDIR);
	assert_int_equal(tree_add(tree, "self/svid", 1), -EISDIR);
	assert_int_equal(tree_del(tree, "self/svid"), -EISDIR);
	assert_int_equal(tree_add(tree, ENTRY "/x", 1), -ENOTDIR);
	assert_int_equal(tree_add(tree, "new/dir/x", 1), 0);
	assert_int_equal(tree_add(tree, "new/dir/x/y/z", 1), -ENOTDIR);
	assert_int_equal(tree_del(tree, "new/dir/x"), 0);
	assert_true(tree_shows("new", false));
}

static void a_request_says_who_reads(void **state)
{
	struct reader_call call = reading(0, 4096);

	(void)state;
	assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_SETUID, .a = 1234 }), 0);
	open_entry(&reader, ENTRY);
	ask(&reader, &call);
	assert_int_equal(request.size, sizeof(request));
	assert_int_equal(request.cookie, 77);
	assert_int_equal(request.uid, 1234);
	assert_int_equal(request.tgid, reader.pid);
	assert_int_equal(request.tid, reader.pid);
	assert_int_equal(request.key.tgid, reader.pid);
	assert_true(request.key.start && request.id);
	assert_int_equal(tree_add(tree, ENTRY, 80), 0);
	assert_int_equal(tree_answer(tree, request.id, "abc", 3), 0);
	hear(&reader);
	assert_int_equal(result.ret, 3);
	assert_memory_equal(result.data, "abc", 3);
	ask(&reader, &call);
	assert_int_equal(request.cookie, 80);
	assert_int_equal(tree_answer(tree, request.id, "", 0), 0);
	hear(&reader);
	assert_int_equal(result.ret, 0);
}

static void a_thread_has_its_own_tid(void **state)
{
	struct reader_call call = { .op = READER_THREAD, .b = 100 };

	(void)state;
	open_entry(&reader, ENTRY);
	ask(&reader, &call);
	assert_int_equal(request.tgid, reader.pid);
	assert_true(request.tid && request.tid != request.tgid);
	assert_int_equal(tree_refuse(tree, request.id, EIO), 0);
	hear(&reader);
	assert_int_equal(result.ret, -EIO);
}

static void refusals_arrive(void **state)
{
	static const unsigned int errors[] = { EACCES, ENOENT, EAGAIN, EIO, ETIMEDOUT };
	struct reader_call call = reading(0, 4096);
	struct svid_tree_answer odd[] = {
		{ .err = EPERM, .fd = -1 }, { .err = EACCES, .fd = 0 }, { .err = EACCES, .fd = -1, .len = 1 },
		{ .err = 1U << 31, .fd = -1 }, { .fd = tree, .len = 0 }, { .fd = 1, .len = 0 }, { .len = SVID_TREE_CONTENT + 1 },
	};

	(void)state;
	open_entry(&reader, ENTRY);
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		ask(&reader, &call);
		assert_int_equal(tree_refuse(tree, request.id, errors[i]), 0);
		hear(&reader);
		assert_int_equal(result.ret, -(int64_t)errors[i]);
		assert_int_equal(tree_refuse(tree, request.id, EACCES), -ENOENT);
	}
	ask(&reader, &call);
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		odd[i].size = sizeof(odd[i]);
		odd[i].id = request.id;
		assert_int_equal(ioctl(tree, SVID_IOC_TREE_ANSWER, &odd[i]), -1);
		assert_int_equal(errno, EINVAL);
	}
	assert_int_equal(tree_refuse(tree, request.id, EACCES), 0);
	hear(&reader);
}

/* Content must be what nobody can change any more; else the agent's mistake would be a reader's torn file. */
static void content_that_could_change_is_refused(void **state)
{
	struct reader_call call = reading(0, 4096);
	struct svid_tree_answer answer = { .size = sizeof(answer), .len = 3 };
	int seals[] = { 0, F_SEAL_WRITE, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK };
	int fd;

	(void)state;
	open_entry(&reader, ENTRY);
	ask(&reader, &call);
	answer.id = request.id;
	for (size_t i = 0; i < 4; i++) {
		answer.fd = memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC);
		assert_int_equal(write(answer.fd, "abc", 3), 3);
		assert_int_equal(fcntl(answer.fd, F_ADD_SEALS, seals[i]), 0);
		assert_int_equal(ioctl(tree, SVID_IOC_TREE_ANSWER, &answer), -1);
		assert_int_equal(errno, EINVAL);
		close(answer.fd);
	}
	answer.fd = open("/proc/self/exe", O_RDONLY);
	assert_int_equal(ioctl(tree, SVID_IOC_TREE_ANSWER, &answer), -1);
	assert_int_equal(errno, EINVAL);
	close(answer.fd);
	assert_int_equal(ioctl(tree, SVID_IOC_TREE_ANSWER, &answer), -1);
	assert_int_equal(errno, EBADF);
	answer.fd = fd = tree_memfd("abc", 3);
	answer.len = 4;
	assert_int_equal(ioctl(tree, SVID_IOC_TREE_ANSWER, &answer), -1);
	assert_int_equal(errno, EINVAL);
	answer.len = 2;
	assert_int_equal(ioctl(tree, SVID_IOC_TREE_ANSWER, &answer), 0);
	close(fd);
	hear(&reader);
	assert_int_equal(result.ret, 2);
}

static void one_version_in_pieces(void **state)
{
	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(0, 8192), content, LONG), 4096);
	assert_memory_equal(result.data, content, 4096);
	for (int off = 4096; off < LONG; off += 4096) {
		assert_int_equal(unasked(&reader, reading(off, 8192)), 4096);
		assert_memory_equal(result.data, content + off, 4096);
	}
	assert_int_equal(unasked(&reader, reading(LONG, 4096)), 0);
	assert_int_equal(unasked(&reader, reading(LONG + 1, 4096)), 0);
	assert_int_equal(unasked(&reader, reading(INT64_MAX - 4096, 4096)), 0);
	assert_int_equal(unasked(&reader, reading(4095, 2)), 2);
	assert_memory_equal(result.data, content + 4095, 2);
	assert_int_equal(unasked(&reader, reading(LONG - 1, 4096)), 1);
	assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_PREAD, .a = -1, .b = 1 }), -EINVAL);
	assert_int_equal(given(&reader, reading(0, 100), other, 200), 100);
	assert_int_equal(unasked(&reader, reading(100, 4096)), 100);
	assert_memory_equal(result.data, other + 100, 100);
}

/* Who begins in the middle gets the version of now, and that one to its end. */
static void beginning_in_the_middle(void **state)
{
	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(5000, 100), content, LONG), 100);
	assert_memory_equal(result.data, content + 5000, 100);
	assert_int_equal(unasked(&reader, reading(9000, 100)), 100);
	assert_memory_equal(result.data, content + 9000, 100);
}

static void two_readers_two_versions(void **state)
{
	struct reader second = reader_start();

	(void)state;
	open_entry(&reader, ENTRY);
	open_entry(&second, ENTRY);
	assert_int_equal(given(&reader, reading(0, 4096), content, LONG), 4096);
	assert_int_equal(given(&second, reading(0, 4096), other, LONG), 4096);
	assert_int_equal(unasked(&reader, reading(4096, 4096)), 4096);
	assert_memory_equal(result.data, content + 4096, 4096);
	assert_int_equal(unasked(&second, reading(4096, 4096)), 4096);
	assert_memory_equal(result.data, other + 4096, 4096);
	reader_end(&second);
}

static void a_version_is_kept_ten_seconds(void **state)
{
	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(0, 4096), content, LONG), 4096);
	sleep(11);
	is_asked(&reader, reading(4096, 4096));
}

/* A13: whoever got the descriptor is asked about, wherever it goes on. */
static void a_passed_descriptor_is_another_reader(void **state)
{
	struct reader second = reader_start();
	int64_t fd;
	struct reader_call call = opening(ENTRY);

	(void)state;
	fd = reader_do(&reader, &call);
	assert_int_equal(given(&reader, reading(0, 4096), content, LONG), 4096);
	assert_true(reader_do(&second, &(struct reader_call){ .op = READER_STEAL, .a = reader.pid, .b = fd }) >= 0);
	is_asked(&second, reading(4096, 4096));
	assert_int_equal(request.tgid, second.pid);
	assert_int_equal(unasked(&reader, reading(4096, 4096)), 4096);
	reader_end(&second);
}

static void a_forked_child_is_another_reader(void **state)
{
	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(0, 4096), content, LONG), 4096);
	assert_true(reader_do(&reader, &(struct reader_call){ .op = READER_FORK }) > 0);
	is_asked(&reader, reading(4096, 4096));
	assert_int_not_equal(request.tgid, reader.pid);
}

static void an_exec_is_another_reader(void **state)
{
	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(0, 4096), content, LONG), 4096);
	assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_EXEC }), 0);
	is_asked(&reader, reading(4096, 4096));
	assert_int_equal(request.tgid, reader.pid);
}

static void other_ids_are_another_reader(void **state)
{
	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(0, 4096), content, LONG), 4096);
	assert_int_equal(unasked(&reader, (struct reader_call){ .op = READER_THREAD, .a = 4096, .b = 10 }), 10);
	assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_SETUID, .a = 1234 }), 0);
	is_asked(&reader, reading(4096, 4096));
	assert_int_equal(request.uid, 1234);
}

static void other_ways_to_read(void **state)
{
	static const int64_t rings[] = { 0, IORING_SETUP_SQPOLL };
	struct reader_call call = { .op = READER_SENDFILE, .b = 5000 };

	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(unasked(&reader, (struct reader_call){ .op = READER_MAP }), -ENODEV);
	assert_int_equal(given(&reader, call, content, 3000), 3000);
	assert_memory_equal(result.data, content, 3000);
	open_entry(&reader, ENTRY);
	call.op = READER_SPLICE;
	assert_int_equal(given(&reader, call, other, 3000), 3000);
	assert_memory_equal(result.data, other, 3000);
	call.op = READER_URING;
	for (size_t i = 0; i < 4; i++) {
		call.c = rings[i / 2];
		call.d = i % 2 ? IOSQE_ASYNC : 0;
		assert_int_equal(given(&reader, call, content, 2000 + i), 2000 + i);
		assert_memory_equal(result.data, content, 2000);
		assert_int_equal(request.tgid, reader.pid);
	}
	assert_int_equal(open(tree_path(ENTRY), O_RDWR), -1);
	assert_int_equal(open(tree_path(ENTRY), O_WRONLY), -1);
	assert_int_equal(unlink(tree_path(ENTRY)), -1);
}

/* Killable, and by nothing less: runtimes interrupt their own threads. */
static void a_waiting_reader_can_be_killed(void **state)
{
	struct reader_call call = reading(0, 4096);
	int64_t start;

	(void)state;
	open_entry(&reader, ENTRY);
	assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_CATCH }), 0);
	ask(&reader, &call);
	kill(reader.pid, SIGUSR1);
	assert_false(reader_hear(&reader, 200, &result));
	assert_int_equal(tree_answer(tree, request.id, "abc", 3), 0);
	hear(&reader);
	assert_int_equal(result.ret, 3);
	ask(&reader, &call);
	start = rig_ms();
	kill(reader.pid, SIGTERM);
	waitpid(reader.pid, NULL, 0);
	assert_in_range(rig_ms() - start, 0, RIG_FAST_MS);
	assert_int_equal(tree_answer(tree, request.id, "abc", 3), -ENOENT);
	close(reader.fd);
	reader = reader_start();
}

/* A23 */
static void removal_wakes_and_does_not_wait(void **state)
{
	struct reader_call call = reading(0, 4096);
	DIR *dir = opendir(tree_path("self/svid"));
	int64_t start;

	(void)state;
	open_entry(&reader, ENTRY);
	ask(&reader, &call);
	start = rig_ms();
	assert_int_equal(tree_del(tree, ENTRY), 0);
	assert_in_range(rig_ms() - start, 0, RIG_FAST_MS);
	hear(&reader);
	assert_in_range(rig_ms() - start, 0, RIG_FAST_MS);
	assert_int_equal(result.ret, -ENODEV);
	assert_int_equal(tree_answer(tree, request.id, "abc", 3), -ENOENT);
	assert_int_equal(unasked(&reader, call), -ENODEV);
	assert_true(tree_shows("self", false));
	while (readdir(dir))
		;
	closedir(dir);
}

/* A23 */
static void the_end_of_the_agent_wakes(void **state)
{
	struct reader_call call = reading(0, 4096);
	int64_t start;

	(void)state;
	open_entry(&reader, ENTRY);
	ask(&reader, &call);
	assert_int_equal(rig_unload(), -EWOULDBLOCK);
	start = rig_ms();
	close(tree);
	tree = -1;
	assert_in_range(rig_ms() - start, 0, RIG_FAST_MS);
	hear(&reader);
	assert_in_range(rig_ms() - start, 0, RIG_FAST_MS);
	assert_int_equal(result.ret, -ENODEV);
	assert_true(tree_shows("self", false));
}

static void an_agent_that_hangs_is_waited_for_five_seconds(void **state)
{
	struct reader_call call = reading(0, 4096);

	(void)state;
	open_entry(&reader, ENTRY);
	ask(&reader, &call);
	hear(&reader);
	assert_int_equal(result.ret, -ETIMEDOUT);
	assert_in_range(result.ms, SVID_TREE_WAIT_MS - 100, SVID_TREE_WAIT_MS + RIG_FAST_MS);
	assert_int_equal(tree_answer(tree, request.id, "abc", 3), -ENOENT);
}

static void a_new_agent_takes_over(void **state)
{
	struct reader second = reader_start();
	struct reader_call call = reading(0, 4096);
	uint64_t id;

	(void)state;
	assert_int_equal(tree_add(tree, "self/svid/key.pem", 78), 0);
	open_entry(&reader, ENTRY);
	open_entry(&second, "self/svid/key.pem");
	reader_tell(&second, &call);
	ask(&reader, &call);
	if (request.cookie != 77)
		assert_int_equal(tree_request(tree, 5000, &request), 0);
	id = request.id;
	assert_int_equal(tree_begin(tree), 0);
	assert_int_equal(tree_request(tree, 0, &request), -EAGAIN);
	assert_int_equal(tree_add(tree, ENTRY, 177), 0);
	assert_int_equal(tree_request(tree, 0, &request), 0);
	assert_int_equal(request.id, id);
	assert_int_equal(request.cookie, 177);
	assert_int_equal(tree_request(tree, 0, &request), -EAGAIN);
	assert_int_equal(tree_sweep(tree), 0);
	hear(&second);
	assert_int_equal(result.ret, -ENODEV);
	assert_true(tree_shows("self/svid/key.pem", false));
	assert_true(tree_shows(ENTRY, true));
	assert_int_equal(tree_answer(tree, id, "abc", 3), 0);
	hear(&reader);
	assert_int_equal(result.ret, 3);
	reader_end(&second);
}

static void the_same_struct_file_is_not_the_same_reading(void **state)
{
	struct reader_call call = { .op = READER_USE };

	(void)state;
	assert_int_equal(tree_add(tree, "self/svid/key.pem", 78), 0);
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(0, 100), content, LONG), 100);
	/* K11: an address that is free is taken by the next open; here another file's content would come out of it */
	for (int i = 0; i < 20; i++) {
		call.a = -1;
		reader_do(&reader, &call);
		open_entry(&reader, i % 2 ? ENTRY : "self/svid/key.pem");
		assert_int_equal(given(&reader, reading(0, 100), i % 2 ? content : other, LONG), 100);
		assert_int_equal(unasked(&reader, reading(200, 100)), 100);
		assert_memory_equal(result.data, (i % 2 ? content : other) + 200, 100);
	}
}

/* A container's own sysfs, read-only, seen by an unprivileged user of another user, net and mount namespace. */
static void from_a_container(void **state)
{
	(void)state;
	assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_SETUID, .a = 1234 }), 0);
	assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_SYSFS }), 0);
	open_entry(&reader, ENTRY);
	assert_int_equal(given(&reader, reading(0, 4096), content, 3000), 3000);
	assert_memory_equal(result.data, content, 3000);
	assert_int_equal(request.uid, 1234);
}

/* Where the agent cannot number the reader it is told 0; the key says who it is all the same. */
static void from_outside_of_the_agents_pid_namespace(void **state)
{
	struct reader_call call = reading(0, 4096);
	int status, ready[2];
	char byte;
	pid_t agent;

	(void)state;
	close(tree);
	tree = -1;
	assert_int_equal(pipe(ready), 0);
	agent = fork();
	if (agent == 0) {
		if (unshare(CLONE_NEWPID) || (agent = fork()) < 0)
			_exit(1);
		if (agent > 0)
			_exit(waitpid(agent, &status, 0) == agent && status == 0 ? 0 : 1);
		tree = tree_open();
		if (tree < 0 || tree_add(tree, ENTRY, 1) || write(ready[1], "", 1) != 1)
			_exit(1);
		if (tree_request(tree, 5000, &request) || request.tid || request.tgid || request.key.tgid != (uint32_t)reader.pid)
			_exit(1);
		_exit(tree_refuse(tree, request.id, EACCES) ? 1 : 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	open_entry(&reader, ENTRY);
	reader_tell(&reader, &call);
	hear(&reader);
	assert_int_equal(result.ret, -EACCES);
	assert_int_equal(waitpid(agent, &status, 0), agent);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

static void one_tree_file(void **state)
{
	int copy = dup(tree);

	(void)state;
	assert_int_equal(tree_open(), -EBUSY);
	close(tree);
	assert_int_equal(tree_open(), -EBUSY);
	close(copy);
	tree = tree_open();
	assert_true(tree >= 0);
	/* what the one before left is on its way out; it may be wanted again */
	assert_int_equal(tree_add(tree, ENTRY, 5), 0);
	usleep(200000);
	assert_true(tree_shows(ENTRY, true));
	open_entry(&reader, ENTRY);
	is_asked(&reader, reading(0, 10));
	assert_int_equal(request.cookie, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(names_come_and_go),
		TEST(names_that_are_refused),
		TEST(file_and_directory_of_one_name),
		TEST(a_request_says_who_reads),
		TEST(a_thread_has_its_own_tid),
		TEST(refusals_arrive),
		TEST(content_that_could_change_is_refused),
		TEST(one_version_in_pieces),
		TEST(beginning_in_the_middle),
		TEST(two_readers_two_versions),
		TEST(a_version_is_kept_ten_seconds),
		TEST(a_passed_descriptor_is_another_reader),
		TEST(a_forked_child_is_another_reader),
		TEST(an_exec_is_another_reader),
		TEST(other_ids_are_another_reader),
		TEST(other_ways_to_read),
		TEST(a_waiting_reader_can_be_killed),
		TEST(removal_wakes_and_does_not_wait),
		TEST(the_end_of_the_agent_wakes),
		TEST(an_agent_that_hangs_is_waited_for_five_seconds),
		TEST(a_new_agent_takes_over),
		TEST(the_same_struct_file_is_not_the_same_reading),
		TEST(from_a_container),
		TEST(from_outside_of_the_agents_pid_namespace),
		TEST(one_tree_file),
	};
	int failed;

	if (reader_main(argc, argv))
		return 0;
	if (rig_load())
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return failed || rig_unload();
}
