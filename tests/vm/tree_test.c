// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/tree_rig.c tests/lib/tree_reader.c tests/lib/tree_world.c */
/*
 * tree_test.c - the credential tree of svid.ko: names, requests, answers, and versions in pieces. Runs as root in the VM, from
 * the checkout: tests/vm/module_test.sh. Next: tree_reader_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/tree_world.h"

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
	static const char *const bad[] = { "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a/./b", "a b", "a\nb", "a:b",
					   "\xc3\xa9", "1/2/3/4/5/6" };
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
	};

	return tree_main(argc, argv, tests);
}
