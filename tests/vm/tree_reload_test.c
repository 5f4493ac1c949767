// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/tree_rig.c tests/lib/tree_reader.c */
/*
 * tree_reload_test.c - the agent and svid.ko go away while readers are in the credential tree, and come again. Runs as root in
 * the VM: tests/vm/module_test.sh.
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
#include <unistd.h>

#include "tests/lib/tree_rig.h"

#define ENTRY "self/svid/cert.pem"
#define BYTES 12288

static char content[BYTES];

/* What an agent does all day, faster, with readers in between; and then it and the module go away under them. */
static void come_and_go(int tree, int ms)
{
	static const char *const names[] = { ENTRY, "self/svid/key.pem", "a/b", "a/c/d" };
	struct svid_tree_request request;
	int64_t end = rig_ms() + ms;

	for (unsigned int i = 0; rig_ms() < end; i++) {
		/* no more than some: the readers would keep us at it */
		for (int k = 0; k < 8 && tree_request(tree, 0, &request) == 0; k++)
			if (request.id % 7)
				tree_answer(tree, request.id, content, 1 + request.id * 11 % sizeof(content));
			else if (request.id % 2)
				tree_refuse(tree, request.id, EACCES);
		if (i % 64 == 0) {
			tree_begin(tree);
			tree_add(tree, names[rand() % 4], i);
			tree_add(tree, names[rand() % 4], i);
			tree_sweep(tree);
		} else {
			tree_add(tree, names[rand() % 4], i);
			if (rand() % 3 == 0)
				tree_del(tree, names[rand() % 4]);
		}
	}
}

static void the_module_leaves_under_readers(void **state)
{
	int tree = tree_open();
	pid_t loops[6];

	(void)state;
	assert_true(tree >= 0);
	for (int i = 0; i < 6; i++)
		loops[i] = loop_start(tree);
	for (int round = 0; round < 12; round++) {
		come_and_go(tree, 300);
		assert_int_equal(rig_unload(), -EWOULDBLOCK);
		close(tree);
		assert_int_equal(rig_unload(), 0);
		assert_int_equal(access(SVID_TREE_DIR, F_OK), -1);
		assert_int_equal(rig_load(), 0);
		tree = tree_open();
		assert_true(tree >= 0);
	}
	loop_end(loops, 6);
	close(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(the_module_leaves_under_readers) };

	if (rig_load())
		return 1;
	return !!cmocka_run_group_tests(tests, NULL, NULL) | !!rig_unload();
}
