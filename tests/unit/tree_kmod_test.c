/* links: tests/lib/core_tree.c tests/lib/tree_queue.c agent/core/tree_kmod.c agent/core/tree.c agent/core/tree_sync.c agent/core/tree_read.c agent/core/tree_audit.c agent/core/tree_helper.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/sorter.c */
/* links: agent/core/nobody.c agent/core/bounds.c agent/core/audit.c agent/core/json.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* tree_kmod_test.c - what svid-core says to the kernel module of the credential tree, with this test as the module. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/core/tree_kmod.h"
#include "tests/lib/core_tree.h"
#include "tests/lib/tree_queue.h"

#define CERT "svid/cert.pem"

/* What the module was told. */
static struct {
	unsigned int begins, sweeps, adds, dels;
	struct svid_tree_path last_add, last_del;
	struct svid_tree_answer answers[64];
	unsigned int n_answers;
	int begin_errno, answer_errno, add_errno;
	size_t read_cut; /* bytes that a read gives less */
	struct tree_queue queue;
} kernel;

static ssize_t on_read(int fd, void *to, size_t size)
{
	ssize_t n;

	assert_int_equal(fd, kernel.queue.fd);
	n = tree_queue_read(&kernel.queue, to, size);
	return n < 0 ? n : n - (ssize_t)kernel.read_cut;
}

static int fail_with(int err)
{
	errno = err;
	return err ? -1 : 0;
}

static int on_ioctl(int fd, unsigned long request, void *arg)
{
	int err;

	assert_int_equal(fd, kernel.queue.fd);
	switch (request) {
	case SVID_IOC_TREE_BEGIN:
		kernel.begins++;
		return fail_with(kernel.begin_errno);
	case SVID_IOC_TREE_SWEEP:
		kernel.sweeps++;
		return 0;
	case SVID_IOC_TREE_ADD:
		kernel.adds++;
		kernel.last_add = *(struct svid_tree_path *)arg;
		return fail_with(kernel.add_errno);
	case SVID_IOC_TREE_DEL:
		kernel.dels++;
		kernel.last_del = *(struct svid_tree_path *)arg;
		return 0;
	case SVID_IOC_TREE_ANSWER:
		assert_true(kernel.n_answers < 64);
		kernel.answers[kernel.n_answers++] = *(struct svid_tree_answer *)arg;
		err = kernel.answer_errno;
		kernel.answer_errno = 0;
		return fail_with(err);
	default:
		return fail_with(ENOTTY);
	}
}

static const struct tree_kmod_calls calls = { on_read, on_ioctl };

static int setup(void **state)
{
	int err = rig_setup(state);

	memset(&kernel, 0, sizeof(kernel));
	tree_queue_open(&kernel.queue);
	return err ? err : tree_kmod_start_with(rig.core.tree, kernel.queue.fd, &calls);
}

static int teardown(void **state)
{
	close(kernel.queue.fd);
	return rig_teardown(state);
}

static void one_document(void)
{
	rig.readers[10] = (struct rig_reader){ .exec_id = 5, .holds = { 1 } };
	rig_documents((const char *const[]){ "web", NULL });
	rig_turns();
}

/* Thread @tid reads, as the module says it. */
static void ask(uint64_t id, uint64_t cookie, uint32_t tid)
{
	tree_queue_add(&kernel.queue, &(struct svid_tree_request){
		.size = sizeof(struct svid_tree_request), .tid = tid, .tgid = tid, .id = id, .cookie = cookie, .uid = 1000,
		.key = { .tgid = tid, .start = 1000 + tid } });
}

static void turn(void)
{
	assert_int_equal(loop_once(rig.core.loop, 0), 0);
}

static void assert_answer(unsigned int i, uint64_t id, uint32_t err)
{
	const struct svid_tree_answer *a = &kernel.answers[i];

	assert_true(i < kernel.n_answers);
	assert_int_equal(a->size, sizeof(*a));
	assert_int_equal(a->id, id);
	assert_int_equal(a->err, err);
	assert_int_equal(a->fd, err ? -1 : 0);
	assert_int_equal(a->len, err ? 0 : 5);
}

static void all_names_are_said_between_begin_and_sweep(void **state)
{
	char path[TREE_PATH_MAX];

	(void)state;
	assert_int_equal(kernel.begins, 1);
	assert_int_equal(fcntl(kernel.queue.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	assert_int_equal(kernel.sweeps, 0);
	one_document();
	assert_int_equal(kernel.adds, 4);
	assert_int_equal(kernel.sweeps, 1);
	assert_int_equal(kernel.last_add.size, sizeof(kernel.last_add));
	assert_int_equal(kernel.last_add.path_len, strlen(kernel.last_add.path));
	tree_path(tree_find(rig.core.tree, kernel.last_add.cookie), path);
	assert_string_equal(path, kernel.last_add.path);
	rig_documents((const char *const[]){ NULL });
	rig_turns();
	assert_int_equal(kernel.dels, 4);
	assert_string_equal(kernel.last_del.path, "self/svid/key.pem");
	assert_int_equal(kernel.sweeps, 1);
	assert_string_equal(tree_backend_name(rig.core.tree), delivery_name(DELIVERY_SYSFS));
}

static void readers_are_answered(void **state)
{
	(void)state;
	one_document();
	ask(1, rig_node("web", CERT), 10);
	ask(2, rig_node("self", CERT), 10);
	ask(3, rig_node("web", CERT), 11);
	ask(4, 4711, 10);
	turn();
	assert_int_equal(kernel.n_answers, 4);
	assert_answer(0, 1, 0);
	assert_answer(1, 2, 0);
	assert_answer(2, 3, EACCES);
	assert_answer(3, 4, ENOENT);
}

static void many_requests_are_for_many_turns(void **state)
{
	(void)state;
	one_document();
	for (uint64_t i = 1; i <= 50; i++)
		ask(i, rig_node("web", CERT), 10);
	turn();
	assert_in_range(kernel.n_answers, 1, 49);
	turn();
	assert_int_equal(kernel.n_answers, 50);
}

/* Whoever read before the agent was started anew is asked for again, before the names are there. */
static void requests_of_before_wait_for_the_names(void **state)
{
	uint64_t node;

	(void)state;
	one_document();
	node = rig_node("web", CERT);
	teardown(NULL);
	assert_int_equal(setup(NULL), 0);
	ask(7, node, 10);
	turn();
	assert_int_equal(kernel.n_answers, 0);
	one_document();
	assert_int_equal(kernel.n_answers, 1);
	assert_answer(0, 7, 0);
}

static void a_reader_of_a_file_that_goes_is_answered_before_it_goes(void **state)
{
	(void)state;
	one_document();
	rig.content_later = true;
	ask(7, rig_node("web", CERT), 10);
	turn();
	assert_int_equal(kernel.n_answers, 0);
	rig_documents((const char *const[]){ NULL });
	rig_turns();
	assert_answer(0, 7, ENOENT);
}

static void an_answer_that_the_module_refuses_becomes_an_error(void **state)
{
	(void)state;
	one_document();
	kernel.answer_errno = ENOENT; /* the reader was killed */
	ask(1, rig_node("web", CERT), 10);
	turn();
	assert_int_equal(kernel.n_answers, 1);
	kernel.answer_errno = EINVAL; /* not sealed, say */
	ask(2, rig_node("web", CERT), 10);
	turn();
	assert_int_equal(kernel.n_answers, 3);
	assert_answer(1, 2, 0);
	assert_answer(2, 2, EIO);
}

static void a_module_that_nobody_understands_is_left_alone(void **state)
{
	(void)state;
	one_document();
	kernel.read_cut = 8;
	ask(1, rig_node("web", CERT), 10);
	turn();
	assert_int_equal(rig.core.tree_err, -EIO);
	ask(2, rig_node("web", CERT), 10);
	turn();
	assert_int_equal(kernel.n_answers, 0);
}

static void a_module_that_says_no_to_begin_is_no_backend(void **state)
{
	(void)state;
	assert_int_equal(rig_setup(NULL), 0);
	kernel.begin_errno = EBADF;
	assert_int_equal(tree_kmod_start_with(rig.core.tree, kernel.queue.fd, &calls), -EBADF);
	assert_string_equal(tree_backend_name(rig.core.tree), "none");
	one_document();
	assert_int_equal(kernel.adds, 0);
	rig_teardown(NULL);
}

static int no_backend(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	tree_queue_open(&kernel.queue);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_names_are_said_between_begin_and_sweep),
		TEST(readers_are_answered),
		TEST(many_requests_are_for_many_turns),
		TEST(requests_of_before_wait_for_the_names),
		TEST(a_reader_of_a_file_that_goes_is_answered_before_it_goes),
		TEST(an_answer_that_the_module_refuses_becomes_an_error),
		TEST(a_module_that_nobody_understands_is_left_alone),
		cmocka_unit_test_setup(a_module_that_says_no_to_begin_is_no_backend, no_backend),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
