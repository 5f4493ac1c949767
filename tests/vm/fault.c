// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/kmod_rig.c tests/lib/evidence_caller.c tests/lib/tree_rig.c tests/lib/tree_reader.c */
/*
 * fault.c - svid.ko when memory runs out: each request is repeated with its first, second, third ... allocation or
 * user copy failing, until it is done before the fault comes. Only on the debug kernel (`make vm-debug`), which then looks
 * for leaks as well; nowhere else. What is promised: a documented error or success, and everything works afterwards.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/kmod_rig.h"
#include "tests/lib/tree_rig.h"

#define PATH "/tmp/kmod-fault.sock"
#define ENTRY "self/svid/cert.pem"
#define FAIL_NTH "/proc/thread-self/fail-nth"
#define NEVER 1000000

static int nth = -1; /* this thread's fail-nth; a child opens its own */
static int tree = -1;

/* ---- faults ---- */

static void arm(long n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%ld", n);

	/* Its own user copy may be what fails, when the fault before has not come yet. */
	for (int i = 0; i < 3; i++) {
		if (pwrite(nth, text, len, 0) == len)
			return;
	}
	abort();
}

/* How many faults away it still was; 0: it came. */
static long disarm(void)
{
	char text[16] = "1";

	(void)!pread(nth, text, sizeof(text) - 1, 0);
	arm(0);
	return atol(text);
}

/* What a failing allocation or copy may come out as: the kernel's own errors in the calls around ours, and ours. */
static bool documented(int err)
{
	static const int all[] = { 0, -ENOMEM, -ENOBUFS, -ENFILE, -EFAULT, -EAGAIN, -ENOENT, -ESRCH, -ESTALE, -ENODEV };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (err == all[i])
			return true;
	}
	return false;
}

/* op with each fault in turn, every step-th; how many faults came. */
static long each_fault(const char *name, int (*op)(void), long step)
{
	long n, left, count = 0;

	for (n = 1; n < NEVER; n += step) {
		int err;

		arm(n);
		err = op();
		left = disarm();
		if (!documented(err))
			fail_msg("%s: fault %ld comes out as %s", name, n, strerror(-err));
		if (left)
			break;
		count++;
	}
	print_message("%s: %ld of %ld faults\n", name, count, n - 1);
	assert_int_equal(op(), 0);
	return count;
}

static void set(const char *file, const char *value)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static bool can_fail(void)
{
	nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (nth < 0)
		return false;
	set("failslab/ignore-gfp-wait", "N");
	set("failslab/verbose", "0");
	set("fail_page_alloc/ignore-gfp-wait", "N");
	set("fail_page_alloc/min-order", "0");
	set("fail_page_alloc/verbose", "0");
	set("fail_usercopy/verbose", "0");
	return true;
}

/* ---- what is tried ---- */

static int closing(int fd, int err)
{
	if (fd >= 0)
		close(fd);
	return err;
}

static int evidence_file(void)
{
	struct svid_dev_listen listen = { .size = sizeof(listen), .fd = seat.listener, .tag = SEAT_TAG };
	int dev, ev, words, err;
	void *map;

	dev = open(SVID_DEV_PATH, O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -errno;
	ev = ioctl(dev, SVID_IOC_EVIDENCE);
	if (ev < 0)
		return closing(dev, -errno);
	map = mmap(NULL, sizeof(struct svid_words), PROT_READ | PROT_WRITE, MAP_SHARED, ev, SVID_DEV_WORDS);
	err = map == MAP_FAILED ? -errno : 0;
	while (!err && munmap(map, sizeof(struct svid_words)) < 0)
		; /* the fault hit it: a second time is good */
	words = err ? -1 : ioctl(ev, SVID_IOC_WORDS);
	if (!err && words < 0)
		err = -errno;
	/* The listener is the seat's already. */
	if (!err && ioctl(ev, SVID_IOC_LISTEN, &listen) < 0 && errno != EBUSY && errno != EEXIST)
		err = -errno;
	close(dev);
	closing(words, 0);
	return closing(ev, err);
}

/* A connection that was not accepted must not be the next one's. */
static void drop_waiting(void)
{
	struct pollfd p = { .fd = seat.listener, .events = POLLIN };

	while (poll(&p, 1, 0) == 1)
		closing(accept4(seat.listener, NULL, NULL, SOCK_CLOEXEC), 0);
}

static int connect_and_ask(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = PATH };
	struct svid_mailbox box;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), got, err;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return closing(fd, -errno);
	got = accept4(seat.listener, NULL, NULL, SOCK_CLOEXEC);
	if (got < 0)
		err = -errno;
	else
		err = seat_ask(&seat, got, SVID_OP_ATTACH, 5, 6, &box);
	closing(got, 0);
	closing(fd, err);
	if (got < 0)
		drop_waiting();
	return err;
}

static int queries(void)
{
	struct svid_image image;
	struct svid_conn conn;
	int err;

	err = seat_image(&seat, getpid(), 0, &image);
	if (!err)
		err = seat_hold(&seat, &image, 7);
	if (!err)
		err = seat_reader(&seat, getpid(), &conn);
	if (!err)
		err = seat_unhold(&seat, &image.key);
	return err;
}

static int tree_file(void)
{
	int other, err = tree_begin(tree);

	if (!err)
		err = tree_add(tree, "3b241101-e2bb-4255-8caf-4136c566a962/one/two/three/four.pem", 7);
	if (!err)
		err = tree_add(tree, ENTRY, 1);
	if (!err)
		err = tree_del(tree, "3b241101-e2bb-4255-8caf-4136c566a962/one/two/three/four.pem");
	if (!err)
		err = tree_sweep(tree);
	other = tree_open();
	if (other != -EBUSY && other != -ENOMEM && other != -ENFILE && other != -EFAULT)
		return closing(other, -EIO);
	/* Left behind by a fault, it goes with the next sweep. */
	return err == -EEXIST ? 0 : err;
}

static int fork_and_wait(void)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(0);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

/* ---- readers, who have the fault; the agent answers without ---- */

static long reader_fault; /* 0: none */
static bool reader_was_hit;

static int child_reads(void)
{
	char page[4096];
	int fd, err;
	long left;

	nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	fd = open(tree_path(ENTRY), O_RDONLY | O_CLOEXEC);
	if (nth < 0 || fd < 0)
		return 200;
	arm(reader_fault);
	err = pread(fd, page, sizeof(page), 0) < 0 ? errno : 0;
	left = disarm();
	return err | (left ? 0 : 0x80);
}

static int read_entry(void)
{
	struct svid_tree_request r;
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		_exit(child_reads());
	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (tree_request(tree, 20, &r) == 0)
			(void)tree_answer(tree, r.id, "secret", 6);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 200);
	reader_was_hit = WEXITSTATUS(status) & 0x80;
	return -(WEXITSTATUS(status) & 0x7f);
}

/* The agent has the fault. */
static int take_and_answer(int content)
{
	struct svid_tree_answer answer = { .size = sizeof(answer), .fd = content, .len = 6 };
	static struct svid_tree_request r; /* taken already, when the answer is given for the second time */

	if (!r.id && read(tree, &r, sizeof(r)) != sizeof(r))
		return -errno;
	answer.id = r.id;
	if (ioctl(tree, SVID_IOC_TREE_ANSWER, &answer) < 0)
		return -errno;
	r.id = 0;
	return 0;
}

/* Whatever the error was, the same a second time is good, and the reader never knows. Returns whether the fault came. */
static bool answer_with_fault(long n, int content)
{
	struct pollfd p = { .fd = tree, .events = POLLIN };
	pid_t pid = fork();
	int err, status;
	long left;

	assert_true(pid >= 0);
	reader_fault = 0;
	if (!pid)
		_exit(child_reads());
	assert_int_equal(poll(&p, 1, 5000), 1);
	arm(n);
	err = take_and_answer(content);
	left = disarm();
	if (!documented(err))
		fail_msg("answer: fault %ld comes out as %s", n, strerror(-err));
	if (err)
		assert_int_equal(take_and_answer(content), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status) & 0x7f, 0);
	return left == 0;
}

/* ---- tests ---- */

static void module_loads_or_not_at_all(void **state)
{
	long step = getenv("FAULT_STEP") ? atol(getenv("FAULT_STEP")) : 13;
	long n, left = 0;

	(void)state;
	for (n = 1; !left; n += step) {
		int err;

		arm(n);
		err = rig_load();
		left = disarm();
		if (!documented(err))
			fail_msg("load: fault %ld comes out as %s", n, strerror(-err));
		/* Not with a fault: the kernel itself warns when it has no memory to take a probe away. */
		assert_int_equal(err ? 0 : rig_unload(), 0);
	}
	print_message("load: %ld faults\n", n);
}

static int setup(void **state)
{
	(void)state;
	if (rig_load())
		return -1;
	seat_take(&seat, PATH);
	tree = tree_open();
	return tree < 0 || tree_add(tree, ENTRY, 1) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(tree);
	seat_leave(&seat);
	return rig_unload();
}

static void requests_fail_cleanly(void **state)
{
	(void)state;
	each_fault("evidence file", evidence_file, 1);
	each_fault("connect and ask", connect_and_ask, 1);
	each_fault("queries", queries, 1);
	each_fault("tree file", tree_file, 1);
}

static void programs_go_on_without_evidence(void **state)
{
	(void)state;
	each_fault("fork", fork_and_wait, 2);
}

static void readers_get_an_error_or_the_content(void **state)
{
	long n;

	(void)state;
	for (n = 1; n < NEVER; n++) {
		int err;

		reader_fault = n;
		err = read_entry();
		if (!documented(err))
			fail_msg("read: fault %ld comes out as %s", n, strerror(-err));
		if (!reader_was_hit)
			break;
	}
	print_message("read: %ld faults\n", n - 1);
	reader_fault = 0;
	assert_int_equal(read_entry(), 0);
}

static void answers_can_be_given_again(void **state)
{
	int content = tree_memfd("secret", 6);
	long n = 1;

	(void)state;
	while (answer_with_fault(n, content))
		n++;
	print_message("answer: %ld faults\n", n - 1);
	close(content);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest loading[] = { cmocka_unit_test(module_loads_or_not_at_all) };
	static const struct CMUnitTest loaded[] = {
		cmocka_unit_test(requests_fail_cleanly),
		cmocka_unit_test(programs_go_on_without_evidence),
		cmocka_unit_test(readers_get_an_error_or_the_content),
		cmocka_unit_test(answers_can_be_given_again),
	};

	caller_main(argc, argv);
	if (reader_main(argc, argv))
		return 0;
	if (!can_fail()) {
		puts("this kernel cannot make allocations fail: run it on the debug kernel");
		return 2;
	}
	return cmocka_run_group_tests(loaded, setup, teardown) + cmocka_run_group_tests(loading, NULL, NULL);
}
