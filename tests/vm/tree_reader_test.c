// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/tree_rig.c tests/lib/tree_reader.c tests/lib/tree_world.c */
/*
 * tree_reader_test.c - the credential tree of svid.ko: who is another reader (A13), what wakes those who wait (A23), and where
 * they read from. As tree_test.c, in the VM. Next: tree_stress_test.c.
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
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tree_world.h"

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

/* One request that the agent before had, one that it had not taken, and one that comes before the new one has said much. */
static void a_new_agent_takes_over(void **state)
{
	struct reader second = reader_start(), third = reader_start();
	struct reader_call call = reading(0, 4096);
	uint64_t id;

	(void)state;
	assert_int_equal(tree_add(tree, "self/svid/key.pem", 78), 0);
	open_entry(&reader, ENTRY);
	open_entry(&second, "self/svid/key.pem");
	open_entry(&third, "self/svid/key.pem");
	ask(&reader, &call);
	id = request.id;
	reader_tell(&second, &call);
	assert_int_equal(poll(&(struct pollfd){ .fd = tree, .events = POLLIN }, 1, 5000), 1);
	assert_int_equal(tree_begin(tree), 0);
	reader_tell(&third, &call);
	assert_int_equal(tree_request(tree, 300, &request), -EAGAIN);
	assert_int_equal(tree_add(tree, ENTRY, 177), 0);
	assert_int_equal(tree_request(tree, 0, &request), 0);
	assert_int_equal(request.id, id);
	assert_int_equal(request.cookie, 177);
	assert_int_equal(tree_request(tree, 0, &request), -EAGAIN);
	assert_int_equal(tree_sweep(tree), 0);
	hear(&second);
	assert_int_equal(result.ret, -ENODEV);
	hear(&third);
	assert_int_equal(result.ret, -ENODEV);
	assert_true(tree_shows("self/svid/key.pem", false));
	assert_true(tree_shows(ENTRY, true));
	assert_int_equal(tree_answer(tree, id, "abc", 3), 0);
	hear(&reader);
	assert_int_equal(result.ret, 3);
	reader_end(&second);
	reader_end(&third);
}

/* K11: the address of a struct file that is gone is taken by a later open; another file's content must not come out of it. */
static void the_same_struct_file_is_not_the_same_reading(void **state)
{
	(void)state;
	assert_int_equal(tree_add(tree, "self/svid/key.pem", 78), 0);
	for (int i = 0; i < 50; i++) {
		open_entry(&reader, ENTRY);
		assert_int_equal(given(&reader, reading(0, 100), content, LONG), 100);
		assert_int_equal(unasked(&reader, reading(200, 100)), 100);
		assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_CLOSE }), 0);
		open_entry(&reader, "self/svid/key.pem");
		is_asked(&reader, reading(200, 100));
		assert_int_equal(reader_do(&reader, &(struct reader_call){ .op = READER_CLOSE }), 0);
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
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

	return tree_main(argc, argv, tests);
}
