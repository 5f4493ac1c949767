/* links: tests/role/attest_world.c agent/parent/spawn.c agent/parent/roles.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest_digest_test.c - the real svid-attest opening and hashing executables, with this test as svid-core between the two
 * kinds of worker. Must run as root. Next: agent/attest/README.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/ipc/plan.h"
#include "tests/role/attest_world.h"

/* libcrypto has a type of the name of one of our error codes. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/evp.h>
#undef ERR_STATE

static char copy[64];

static void copy_sleep(mode_t mode)
{
	char bytes[65536];
	int in = open("/bin/sleep", O_RDONLY | O_CLOEXEC);
	int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	assert_int_equal(fchmod(out, mode), 0);
	close(in);
	close(out);
}

static int with_copy(int (*setup)(void **state), void **state)
{
	snprintf(copy, sizeof(copy), "/tmp/svid-attest-digest-%d", getpid());
	unlink(copy);
	copy_sleep(0711); /* not even readable for the worker's user */
	return setup(state);
}

static int setup_looker(void **state)
{
	return with_copy(world_setup, state);
}

static int setup_hasher(void **state)
{
	return with_copy(world_setup_hasher, state);
}

static int teardown(void **state)
{
	unlink(copy);
	return world_teardown(state);
}

static void call(struct world *w, uint16_t type, struct slice body, const int *fd, struct chan_msg *ret_m)
{
	assert_int_equal(ipc_send(w->core, type, 42, body, fd, fd ? 1 : 0), 0);
	assert_int_equal(world_receive(w, w->core, ret_m), 0);
	assert_int_equal(ret_m->id, 42);
}

/* ---- opening ---- */

static struct msg_A_OPEN open_question(const struct world *w)
{
	struct stat st;

	assert_int_equal(stat(copy, &st), 0);
	return (struct msg_A_OPEN){
		.pid = (uint32_t)w->victim,
		.start = world_start(w->victim),
		.dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev),
		.ino = st.st_ino,
		.size = (uint64_t)st.st_size,
		.mtime_sec = st.st_mtim.tv_sec,
		.mtime_nsec = (uint32_t)st.st_mtim.tv_nsec,
		.ctime_sec = st.st_ctim.tv_sec,
		.ctime_nsec = (uint32_t)st.st_ctim.tv_nsec,
	};
}

/* 0 and a descriptor, or the error. */
static int ask_open(struct world *w, const struct msg_A_OPEN *q, int *ret_fd)
{
	AUTO(buf) struct buf body = BUF_INIT(4096);
	struct msg_A_NOT_OPENED no;
	struct chan_msg m;

	msg_put_A_OPEN(&body, q);
	call(w, MSG_A_OPEN, buf_slice(&body), NULL, &m);
	if (m.type == MSG_A_NOT_OPENED) {
		assert_int_equal(msg_get_A_NOT_OPENED(m.body, &no), 0);
		return no.err;
	}
	assert_int_equal(m.type, MSG_A_OPENED);
	*ret_fd = m.fds[0];
	return 0;
}

static void executable_is_handed_over_without_the_right_to_read(void **state)
{
	struct world *w = *state;
	struct msg_A_OPEN q;
	struct stat st;
	char byte;
	int fd = -1;

	world_run_victim(w, copy);
	q = open_question(w);
	unlink(copy); /* its name does not matter */
	q.ctime_sec = q.ctime_nsec = 0;
	assert_int_equal(ask_open(w, &q, &fd), -ERR_CHANGED); /* that moved the change time */
	copy_sleep(0711);
	world_run_victim(w, copy);
	q = open_question(w);
	assert_int_equal(ask_open(w, &q, &fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_ino, q.ino);
	assert_true(fcntl(fd, F_GETFL) & O_PATH);
	assert_int_equal(read(fd, &byte, 1), -1);
	close(fd);
}

static void any_difference_from_the_record_is_another_file(void **state)
{
	struct world *w = *state;
	struct msg_A_OPEN good;
	int fd = -1;

	world_run_victim(w, copy);
	good = open_question(w);
	for (int i = 0; i < 9; i++) {
		struct msg_A_OPEN q = good;

		q.start += i == 0 ? NS_PER_S : 0;
		q.dev ^= i == 1;
		q.ino ^= i == 2;
		q.size += i == 3;
		q.mtime_sec += i == 4;
		q.mtime_nsec ^= i == 5;
		q.ctime_sec -= i == 6;
		q.ctime_nsec ^= i == 7;
		assert_int_equal(ask_open(w, &q, &fd), i == 0 ? -ESRCH : i < 8 ? -ERR_CHANGED : 0);
	}
	close(fd);
	chmod(copy, 0755);
	assert_int_equal(ask_open(w, &good, &fd), -ERR_CHANGED);
}

static void without_a_record_it_is_what_proc_says(void **state)
{
	struct world *w = *state;
	struct msg_A_OPEN q;
	int fd = -1;

	world_run_victim(w, copy);
	q = (struct msg_A_OPEN){ .pid = (uint32_t)w->victim };
	assert_int_equal(ask_open(w, &q, &fd), 0);
	close(fd);
}

static void looker_does_not_hash(void **state)
{
	struct world *w = *state;
	AUTO(buf) struct buf body = BUF_INIT(4096);
	struct msg_A_DIGEST q = { .max = 1 };
	int fd = open(copy, O_PATH | O_CLOEXEC);

	msg_put_A_DIGEST(&body, &q);
	assert_int_equal(ipc_send(w->core, MSG_A_DIGEST, 0, buf_slice(&body), &fd, 1), 0);
	close(fd);
	world_assert_refused(w);
}

/* ---- hashing ---- */

static struct msg_A_DIGEST digest_question(void)
{
	struct stat st;

	assert_int_equal(stat(copy, &st), 0);
	return (struct msg_A_DIGEST){
		.compare = 1,
		.max = 1u << 30,
		.size = (uint64_t)st.st_size,
		.mtime_sec = st.st_mtim.tv_sec,
		.mtime_nsec = (uint32_t)st.st_mtim.tv_nsec,
		.ctime_sec = st.st_ctim.tv_sec,
		.ctime_nsec = (uint32_t)st.st_ctim.tv_nsec,
	};
}

static struct msg_A_DIGESTED ask_digest(struct world *w, const struct msg_A_DIGEST *q, const char *path)
{
	AUTO(buf) struct buf body = BUF_INIT(4096);
	struct msg_A_DIGESTED a = { .err = 1 };
	struct chan_msg m;
	int fd = open(path, O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	msg_put_A_DIGEST(&body, q);
	call(w, MSG_A_DIGEST, buf_slice(&body), &fd, &m);
	close(fd);
	assert_int_equal(m.type, MSG_A_DIGESTED);
	assert_int_equal(msg_get_A_DIGESTED(m.body, &a), 0);
	return a;
}

static void assert_digest_of_copy(struct slice got)
{
	static uint8_t bytes[1 << 20];
	uint8_t want[32];
	int fd = open(copy, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, bytes, sizeof(bytes));

	close(fd);
	assert_true(n > 0 && n < (ssize_t)sizeof(bytes));
	assert_int_equal(EVP_Digest(bytes, (size_t)n, want, NULL, EVP_sha256(), NULL), 1);
	assert_int_equal(got.len, sizeof(want));
	assert_memory_equal(got.p, want, sizeof(want));
}

static void digest_is_that_of_the_content(void **state)
{
	struct world *w = *state;
	struct msg_A_DIGEST q;
	struct msg_A_DIGESTED a;

	usleep(1100 * 1000);
	q = digest_question();
	a = ask_digest(w, &q, copy);
	assert_int_equal(a.err, 0);
	assert_true(a.settled);
	assert_digest_of_copy(a.sha256);
	q = (struct msg_A_DIGEST){ .max = q.size };
	a = ask_digest(w, &q, copy);
	assert_int_equal(a.err, 0);
	assert_digest_of_copy(a.sha256);
}

/* A19: a write in the same clock tick would not move the change time. */
static void digest_of_a_file_just_changed_is_not_to_be_remembered(void **state)
{
	struct world *w = *state;
	struct msg_A_DIGEST q;
	struct msg_A_DIGESTED a;
	uint64_t start;

	do { /* in time: on a busy machine "just" may take several goes */
		start = clock_boot_ns();
		copy_sleep(0755);
		q = digest_question();
		a = ask_digest(w, &q, copy);
		assert_int_equal(a.err, 0);
		assert_digest_of_copy(a.sha256);
	} while (a.settled && clock_boot_ns() - start >= LIM_DIGEST_SETTLE_MS * NS_PER_MS);
	assert_false(a.settled);
}

static void changed_file_has_no_digest(void **state)
{
	struct world *w = *state;
	struct msg_A_DIGEST good = digest_question();

	for (int i = 0; i < 5; i++) {
		struct msg_A_DIGEST q = good;

		q.size += i == 0;
		q.mtime_sec += i == 1;
		q.mtime_nsec ^= i == 2;
		q.ctime_sec += i == 3;
		q.ctime_nsec ^= i == 4;
		assert_int_equal(ask_digest(w, &q, copy).err, -ERR_CHANGED);
	}
	usleep(20000);
	assert_int_equal(chmod(copy, 0755), 0);
	assert_int_equal(ask_digest(w, &good, copy).err, -ERR_CHANGED);
}

static void large_file_has_no_digest(void **state)
{
	struct world *w = *state;
	struct msg_A_DIGEST q = digest_question();

	q.max = q.size - 1;
	assert_int_equal(ask_digest(w, &q, copy).err, -ERR_SIZE);
	q.compare = 0;
	assert_int_equal(ask_digest(w, &q, copy).err, -ERR_SIZE);
}

static void only_plain_files_are_hashed(void **state)
{
	struct world *w = *state;
	struct msg_A_DIGEST q = { .max = 1u << 30 };

	assert_int_equal(ask_digest(w, &q, "/dev/zero").err, -EINVAL);
	assert_int_equal(ask_digest(w, &q, "/").err, -EINVAL);
}

static void file_that_grows_while_it_is_hashed_has_no_digest(void **state)
{
	struct world *w = *state;
	struct msg_A_DIGEST q = { .max = 1u << 30 };
	int fd = open(copy, O_WRONLY | O_APPEND | O_CLOEXEC), end[2];
	char byte = 0;
	pid_t pid;

	assert_true(fd >= 0 && pipe(end) == 0);
	assert_int_equal(ftruncate(fd, 200 << 20), 0);
	pid = fork();
	if (pid == 0) {
		close(end[1]);
		fcntl(end[0], F_SETFL, O_NONBLOCK);
		while (read(end[0], &byte, 1) < 0)
			if (write(fd, &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	assert_int_equal(ask_digest(w, &q, copy).err, -ERR_CHANGED);
	close(end[0]);
	close(end[1]);
	waitpid(pid, NULL, 0);
	close(fd);
}

static void hasher_looks_at_no_process(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < 160; type++) {
		void *s;
		struct world *w;

		if (type != MSG_A_IDENTIFY && type != MSG_A_OPEN && type != MSG_A_CANARY && type != MSG_A_CANARY_PROBE)
			continue;
		assert_int_equal(world_setup_hasher(&s), 0);
		w = s;
		assert_int_equal(ipc_send(w->core, (uint16_t)type, 0, slice_of(NULL, 0), NULL, 0), 0);
		world_assert_refused(w);
		world_teardown(&s);
	}
}

/* ---- what the division of the two capabilities rests on ---- */

static int open_memory_with(uint64_t caps)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = (uint32_t)caps, .permitted = (uint32_t)caps } };
	char path[64];
	int status;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/%d/mem", getpid());
	pid = fork();
	if (pid == 0) {
		if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgid(IDS) || setuid(IDS) || syscall(SYS_capset, &head, data))
			_exit(99);
		_exit(open(path, O_RDONLY) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void memory_of_others_takes_both_capabilities(void **state)
{
	const uint64_t look = 1ull << CAP_SYS_PTRACE, read_files = 1ull << CAP_DAC_READ_SEARCH;

	(void)state;
	assert_int_equal(open_memory_with(look | read_files), 0);
	assert_int_equal(open_memory_with(look), EACCES);
	assert_int_equal(open_memory_with(read_files), EACCES);
}

#define LOOK(f) cmocka_unit_test_setup_teardown(f, setup_looker, teardown)
#define HASH(f) cmocka_unit_test_setup_teardown(f, setup_hasher, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		LOOK(executable_is_handed_over_without_the_right_to_read),
		LOOK(any_difference_from_the_record_is_another_file),
		LOOK(without_a_record_it_is_what_proc_says),
		LOOK(looker_does_not_hash),
		HASH(digest_is_that_of_the_content),
		HASH(digest_of_a_file_just_changed_is_not_to_be_remembered),
		HASH(changed_file_has_no_digest),
		HASH(large_file_has_no_digest),
		HASH(only_plain_files_are_hashed),
		HASH(file_that_grows_while_it_is_hashed_has_no_digest),
		cmocka_unit_test(hasher_looks_at_no_process),
		cmocka_unit_test(memory_of_others_takes_both_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
