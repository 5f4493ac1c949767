// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/tree_rig.c tests/lib/tree_reader.c */
/*
 * tree_stress_test.c - the credential tree of svid.ko with too many of everything, malformed requests, and readers that are
 * kept off the processor. Runs as root in the VM: tests/vm/module_test.sh. Next: tree_reload_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tree_rig.h"

#define ENTRY "self/svid/cert.pem"
#define BYTES 12288
#define MANY 60000

static int tree;
static char content[BYTES];

static int setup(void **state)
{
	(void)state;
	memset(content, 'c', sizeof(content));
	tree = tree_open();
	assert_true(tree >= 0);
	assert_int_equal(tree_add(tree, ENTRY, 77), 0);
	assert_true(tree_shows(ENTRY, true));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (tree >= 0)
		close(tree);
	assert_true(tree_shows("self", false));
	return 0;
}

/* Readers that all read at once: a process with many threads. counts[] are how many got which errno; [0] what they read. */
struct flood {
	pid_t pid;
	int *counts;
};

static int *counts_of_flood;
static const char *path_of_flood; /* tree_path() is for one thread */

/* Whose wait is over begins another: so they all wait at some time, however slowly they come. */
static void *flood_main(void *arg)
{
	char data[64];
	int fd = open(path_of_flood, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	(void)arg;
	do
		n = pread(fd, data, sizeof(data), 0);
	while (n < 0 && errno == ETIMEDOUT);
	__atomic_add_fetch(&counts_of_flood[n < 0 ? errno : 0], 1, __ATOMIC_RELAXED);
	return NULL;
}

static void flood_run(uid_t uid, int n)
{
	pthread_t *threads = calloc((size_t)n, sizeof(*threads));
	pthread_attr_t small;

	close(tree);
	path_of_flood = tree_path(ENTRY);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	if (setresuid(uid, uid, uid))
		_exit(1);
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], &small, flood_main, NULL))
			_exit(1);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static struct flood flood_start(uid_t uid, int n)
{
	struct flood flood;

	flood.counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	counts_of_flood = flood.counts;
	flood.pid = fork();
	if (flood.pid == 0)
		flood_run(uid, n);
	return flood;
}

/* Waits until so many of both floods got that errno; of these, that many of one. */
static void floods_get(const struct flood *one, const struct flood *other, int err, int want, int of_one)
{
	const volatile int *a = &one->counts[err], *b = &other->counts[err];
	int64_t end = rig_ms() + 60000;

	while (*a + *b < want && rig_ms() < end)
		usleep(10000);
	assert_int_equal(one->counts[err] + other->counts[err], want);
	assert_true(one->counts[err] >= of_one);
}

static void flood_end(struct flood *flood)
{
	int status;

	assert_int_equal(waitpid(flood->pid, &status, 0), flood->pid);
	assert_int_equal(status, 0);
	munmap(flood->counts, 4096);
}

/* An agent that never looks: so many wait, the rest is told so at once, and all return when it ends. */
static void so_many_wait(void **state)
{
	const int of_root = SVID_TREE_WAITING - SVID_TREE_WAITING_UID;
	struct flood none = { .counts = calloc(1024, sizeof(int)) }, one, root;

	(void)state;
	/* a thousand readers are not started within the five seconds that the first one waits */
	if (getenv("VM") && !strcmp(getenv("VM"), "debug"))
		skip();
	one = flood_start(1234, SVID_TREE_WAITING_UID + 20);
	floods_get(&one, &none, EAGAIN, 20, 20);
	root = flood_start(0, of_root + 30);
	floods_get(&one, &root, EAGAIN, 20 + 30, 20);
	close(tree);
	tree = -1;
	floods_get(&one, &root, ENODEV, SVID_TREE_WAITING, 1);
	flood_end(&one);
	flood_end(&root);
	free(none.counts);
}

static void every_request_is_answered_once(void **state)
{
	struct flood flood = flood_start(1234, SVID_TREE_WAITING_UID);
	struct svid_tree_request many[100];
	int answered = 0;
	ssize_t n;

	(void)state;
	while (answered < SVID_TREE_WAITING_UID) {
		assert_int_equal(poll(&(struct pollfd){ .fd = tree, .events = POLLIN }, 1, 5000), 1);
		n = read(tree, many, sizeof(many));
		assert_true(n > 0 && n % (ssize_t)sizeof(*many) == 0);
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(*many); i++, answered++)
			assert_int_equal(tree_answer(tree, many[i].id, content, sizeof(content)), 0);
	}
	flood_end(&flood);
	assert_int_equal(tree_request(tree, 0, many), -EAGAIN);
}

/* Reads from fd, answered if it is asked about. Returns whether it was. */
static bool asked(const struct reader *reader, int64_t fd, int64_t off)
{
	struct reader_call use = { .op = READER_USE, .a = fd }, call = { .op = READER_PREAD, .a = off, .b = 4096 };
	static struct reader_result result;
	struct svid_tree_request request;
	bool was;

	reader_do(reader, &use);
	reader_tell(reader, &call);
	was = !reader_hear(reader, 0, &result) && tree_request(tree, 20, &request) == 0;
	if (was)
		assert_int_equal(tree_answer(tree, request.id, content, sizeof(content)), 0);
	if (was || off)
		reader_hear(reader, 1000, &result);
	return was;
}

static void so_many_versions_are_kept(void **state)
{
	struct reader reader = reader_start();
	struct reader_call call = { .op = READER_OPEN };
	int64_t fds[SVID_TREE_SNAPSHOTS_UID + 2];
	int i;

	(void)state;
	snprintf(call.path, sizeof(call.path), "%s", tree_path(ENTRY));
	for (i = 0; i < SVID_TREE_SNAPSHOTS_UID + 2; i++)
		fds[i] = reader_do(&reader, &call);
	for (i = 0; i < SVID_TREE_SNAPSHOTS_UID; i++)
		assert_true(asked(&reader, fds[i], 0));
	assert_false(asked(&reader, fds[5], BYTES));
	/* one more: the one that was read to its end goes, then the oldest */
	assert_true(asked(&reader, fds[i], 0));
	assert_false(asked(&reader, fds[0], 4096));
	assert_true(asked(&reader, fds[i + 1], 0));
	assert_false(asked(&reader, fds[1], 4096));
	assert_false(asked(&reader, fds[i], 4096));
	assert_true(asked(&reader, fds[0], 4096));
	assert_true(asked(&reader, fds[5], 4096));
	reader_end(&reader);
}

static void many_entries(void **state)
{
	char path[64];
	int64_t start = rig_ms();
	struct stat st;
	int n;

	(void)state;
	for (n = 1; n < MANY; n++) {
		snprintf(path, sizeof(path), "%08x-0000/svid/%d", n / 5, n % 5);
		assert_int_equal(tree_add(tree, path, (uint64_t)n), 0);
	}
	printf("%d entries added in %d ms", MANY, (int)(rig_ms() - start));
	while (access(tree_path(path), F_OK) && rig_ms() - start < 60000)
		usleep(10000);
	printf(", shown after %d ms\n", (int)(rig_ms() - start));
	for (; n < SVID_TREE_ENTRIES; n++) {
		snprintf(path, sizeof(path), "%08x-0000/svid/%d", n / 5, n % 5);
		assert_int_equal(tree_add(tree, path, (uint64_t)n), 0);
	}
	assert_int_equal(tree_add(tree, "one-more", 1), -ENOSPC);
	assert_int_equal(tree_begin(tree), 0);
	assert_int_equal(tree_add(tree, ENTRY, 1), 0);
	start = rig_ms();
	assert_int_equal(tree_sweep(tree), 0);
	printf("swept in %d ms", (int)(rig_ms() - start));
	while (tree_add(tree, "one-more", 1) == -ENOSPC)
		usleep(1000);
	assert_true(tree_shows("one-more", true));
	/* self, and what each directory has */
	while (stat(SVID_TREE_DIR, &st) == 0 && st.st_nlink > 3 && rig_ms() - start < 120000)
		usleep(10000);
	printf(", gone after %d ms\n", (int)(rig_ms() - start));
	assert_int_equal(st.st_nlink, 3);
	assert_true(tree_shows(ENTRY, true));
}

static void sizes_are_checked(void **state)
{
	static const unsigned long requests[] = { SVID_IOC_TREE_ADD, SVID_IOC_TREE_DEL, SVID_IOC_TREE_ANSWER };
	static const uint32_t sizes[] = { sizeof(struct svid_tree_path), sizeof(struct svid_tree_path),
					  sizeof(struct svid_tree_answer) };
	uint32_t *msg = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t bad[] = { 0, 1, 4, 0, 8192, UINT32_MAX };

	(void)state;
	for (int i = 0; i < 3; i++) {
		memset(msg, 0, 8192);
		bad[3] = sizes[i] - 1;
		for (size_t k = 0; k < 6; k++) {
			msg[0] = bad[k];
			assert_int_equal(ioctl(tree, requests[i], msg), -1);
			assert_int_equal(errno, k < 4 ? EINVAL : E2BIG);
		}
		/* longer is fine while the rest is zero: what fails is what it says */
		msg[0] = sizes[i] + 8;
		assert_int_equal(ioctl(tree, requests[i], msg), -1);
		assert_int_equal(errno, EINVAL);
		msg[sizes[i] / 4 + 1] = 1;
		assert_int_equal(ioctl(tree, requests[i], msg), -1);
		assert_int_equal(errno, E2BIG);
		assert_int_equal(ioctl(tree, requests[i], NULL), -1);
		assert_int_equal(errno, EFAULT);
	}
	munmap((char *)msg + 4096, 4096);
	msg = (uint32_t *)((char *)msg + 4096) - 1;
	*msg = sizeof(struct svid_tree_path);
	assert_int_equal(ioctl(tree, SVID_IOC_TREE_ADD, msg), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(ioctl(tree, SVID_IOC_HELLO, msg), -1);
	assert_int_equal(errno, ENOTTY);
}

static void a_request_that_did_not_arrive_comes_again(void **state)
{
	struct flood flood = flood_start(0, 1);
	struct svid_tree_request request;

	(void)state;
	assert_int_equal(poll(&(struct pollfd){ .fd = tree, .events = POLLIN }, 1, 5000), 1);
	assert_int_equal(syscall(SYS_read, tree, NULL, sizeof(request)), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(read(tree, &request, sizeof(request) - 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(tree_request(tree, 0, &request), 0);
	assert_int_equal(tree_refuse(tree, request.id, EIO), 0);
	floods_get(&flood, &flood, EIO, 2, 1);
	flood_end(&flood);
}

static bool is_documented(int err)
{
	static const int known[] = { EINVAL, E2BIG, EFAULT, ENOTTY, ENOENT, EISDIR, ENOTDIR, EBADF };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (err == known[i])
			return true;
	return false;
}

/* Makes a request that is nearly right. */
static unsigned long mutate(void *buf, const int *fds, uint64_t last_id)
{
	static const char *const paths[] = { ENTRY, "self/svid/key.pem", "a/b", "a/c/d", "a", "self", "a//b", "../x" };
	struct svid_tree_path *path = buf;
	struct svid_tree_answer *answer = buf;
	unsigned int nr = 0x1f + (unsigned int)rand() % 7;

	memset(buf, rand() % 8 ? 0 : rand(), 1024);
	if (nr == 0x24) {
		*answer = (struct svid_tree_answer){ .size = sizeof(*answer), .id = last_id + (uint64_t)(rand() % 3),
						     .fd = fds[rand() % 4], .len = (uint32_t)rand() % 200,
						     .err = rand() % 3 ? 0 : (uint32_t)rand() % 140 };
	} else {
		*path = (struct svid_tree_path){ .size = sizeof(*path), .cookie = (uint64_t)rand() };
		strcpy(path->path, paths[rand() % 8]);
		path->path_len = (uint32_t)strlen(path->path);
	}
	for (int i = rand() % 8 ? 0 : rand() % 4; i > 0; i--)
		((uint8_t *)buf)[rand() % (nr == 0x24 ? 32 : 40)] ^= (uint8_t)(1U << rand() % 8);
	return (unsigned long)(rand() % 16 ? 0 : rand() % 4) << 30 | (unsigned long)(rand() % 16384) << 16 | 0xb500 | nr;
}

static void nonsense_is_refused(void **state)
{
	static const unsigned long kinds[] = { 0, 1UL << 30 };
	int fds[4] = { -1, tree, tree_memfd(content, 100), open("/dev/null", O_RDONLY) };
	struct svid_tree_request request = { .id = 1 };
	char *buf = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t loops[3];
	int good = 0, bad = 0;
	int64_t end = rig_ms() + 6000;
	unsigned long cmd;

	(void)state;
	srand(20261122);
	for (int i = 0; i < 3; i++)
		loops[i] = loop_start(tree);
	for (int i = 0; rig_ms() < end; i++) {
		if (i % 4 == 0)
			tree_request(tree, 0, &request);
		cmd = mutate(buf, fds, request.id);
		if (rand() % 4)
			cmd |= kinds[(cmd & 0xff) != 0x20 && (cmd & 0xff) != 0x23];
		if (ioctl(tree, cmd, rand() % 64 ? buf : buf + rand() % 4096) == 0)
			good++;
		else if (is_documented(errno))
			bad++;
		else
			fail_msg("errno %d from %lx", errno, cmd);
	}
	loop_end(loops, 3);
	printf("%d requests taken, %d refused\n", good, bad);
	assert_true(good > 100 && bad > 100);
	close(fds[2]);
	close(fds[3]);
}

/* -1: wherever it likes */
static void pin(int cpu)
{
	cpu_set_t set;

	memset(&set, cpu < 0 ? 255 : 0, sizeof(set));
	if (cpu >= 0)
		CPU_SET(cpu, &set);
	assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

/*
 * A23: readers that the scheduler keeps off the processor, idle tasks beside busy ones; the agent does not wait for their turn.
 * (A small cpu.max would do the same to them, but QEMU trips over the scheduler's code being patched when the first one is set.)
 */
static void a_reader_without_processor_stops_nobody(void **state)
{
	const struct sched_param none = { 0 };
	struct svid_tree_request request;
	int64_t start, worst = 0, took;
	pid_t children[12];

	(void)state;
	pin(1);
	for (int i = 0; i < 12; i++) {
		children[i] = i < 8 ? loop_start(tree) : fork();
		if (children[i] == 0) {
			close(tree);
			for (;;)
				;
		}
		if (i < 8)
			assert_int_equal(sched_setscheduler(children[i], SCHED_IDLE, &none), 0);
	}
	pin(0);
	for (int i = 0; i < 400; i++) {
		if (tree_request(tree, 5, &request) == 0)
			tree_answer(tree, request.id, content, sizeof(content));
		start = rig_ms();
		assert_int_equal(tree_del(tree, ENTRY), 0);
		assert_int_equal(tree_add(tree, i % 2 ? "a/b" : "a/c/d", 1), 0);
		assert_int_equal(tree_del(tree, i % 2 ? "a/b" : "a/c/d"), 0);
		assert_int_equal(tree_add(tree, ENTRY, 1), 0);
		took = rig_ms() - start;
		worst = took > worst ? took : worst;
	}
	loop_end(children, 12);
	pin(-1);
	printf("longest wait of the agent: %d ms\n", (int)worst);
	assert_in_range(worst, 0, 500);
}

static int64_t time_of_reads(const char *path, int n)
{
	char data[4096];
	int64_t start = rig_ms();
	int fd;

	for (int i = 0; i < n; i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		while (read(fd, data, sizeof(data)) > 0)
			;
		close(fd);
	}
	return rig_ms() - start;
}

/* What the way to an agent and back costs that has its answer ready; printed, for clocks are no measure here. */
static void a_read_costs(void **state)
{
	const int n = 500;
	struct svid_tree_answer answer = { .size = sizeof(answer), .fd = tree_memfd(content, 3000), .len = 3000 };
	struct svid_tree_request request;
	int64_t plain, ours;
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		close(tree);
		plain = time_of_reads("/sys/kernel/uevent_seqnum", n);
		ours = time_of_reads(tree_path(ENTRY), n);
		printf("%d reads: plain attribute %d ms, credential %d ms\n", n, (int)plain, (int)ours);
		fflush(stdout);
		_exit(0);
	}
	while (tree_request(tree, 1000, &request) == 0) {
		answer.id = request.id;
		assert_int_equal(ioctl(tree, SVID_IOC_TREE_ANSWER, &answer), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(answer.fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(so_many_wait),
		TEST(every_request_is_answered_once),
		TEST(so_many_versions_are_kept),
		TEST(many_entries),
		TEST(sizes_are_checked),
		TEST(a_request_that_did_not_arrive_comes_again),
		TEST(nonsense_is_refused),
		TEST(a_reader_without_processor_stops_nobody),
		TEST(a_read_costs),
	};

	if (reader_main(argc, argv))
		return 0;
	if (rig_load())
		return 1;
	return !!cmocka_run_group_tests(tests, NULL, NULL) | !!rig_unload();
}
