/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_world.h - one tree file with one entry, and one reader, for each test of the credential tree; the test is the agent.
 * The functions fail the test when something is not as they say.
 */
#ifndef TESTS_TREE_WORLD_H
#define TESTS_TREE_WORLD_H

#include "tests/lib/tree_rig.h"

#define ENTRY "self/svid/cert.pem"
#define LONG 12288

extern int tree;			/* -1: closed by the test */
extern struct reader reader;
extern struct reader_result result;	/* of the last call that was heard */
extern struct svid_tree_request request; /* the last one */
extern char content[LONG], other[LONG];

int setup(void **state);    /* ENTRY is there with cookie 77 */
int teardown(void **state); /* the tree is empty */

struct reader_call opening(const char *path);
struct reader_call reading(int64_t off, int64_t count);

/** open_entry() - @who reads @path from now on. */
void open_entry(const struct reader *who, const char *path);

/** ask() - begin a call; the request that it makes is in request. */
void ask(const struct reader *who, const struct reader_call *call);

/** hear() - the call ends. */
void hear(const struct reader *who);

/** given() - a call that the agent answers with @len bytes. Returns the call's result. */
int64_t given(const struct reader *who, struct reader_call call, const void *data, size_t len);

/** unasked() - a call that nobody is asked about. Returns its result. */
int64_t unasked(const struct reader *who, struct reader_call call);

/** is_asked() - a call that is asked about; it is refused. */
void is_asked(const struct reader *who, struct reader_call call);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/** tree_main() - load the module, run the tests, unload it. For main(). */
#define tree_main(argc, argv, tests) \
	(reader_main(argc, argv) ? 0 : rig_load() ? 1 : !!cmocka_run_group_tests(tests, NULL, NULL) | !!rig_unload())

#endif
