// SPDX-License-Identifier: Apache-2.0
/* tree_world.c - what most tests of the credential tree begin with (tree_world.h). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/lib/tree_world.h"

int tree;
struct reader reader;
struct reader_result result;
struct svid_tree_request request;
char content[LONG], other[LONG];

int setup(void **state)
{
	(void)state;
	for (int i = 0; i < LONG; i++) {
		content[i] = (char)('a' + i % 23);
		other[i] = (char)('A' + i % 19);
	}
	tree = tree_open();
	assert_true(tree >= 0);
	assert_int_equal(tree_add(tree, ENTRY, 77), 0);
	assert_true(tree_shows(ENTRY, true));
	reader = reader_start();
	return 0;
}

int teardown(void **state)
{
	(void)state;
	if (tree >= 0)
		close(tree);
	reader_end(&reader);
	assert_true(tree_shows("self", false));
	return 0;
}

struct reader_call opening(const char *path)
{
	struct reader_call call = { .op = READER_OPEN };

	snprintf(call.path, sizeof(call.path), "%s", tree_path(path));
	return call;
}

struct reader_call reading(int64_t off, int64_t count)
{
	return (struct reader_call){ .op = READER_PREAD, .a = off, .b = count };
}

void open_entry(const struct reader *who, const char *path)
{
	struct reader_call call = opening(path);

	assert_true(tree_shows(path, true));
	assert_true(reader_do(who, &call) >= 0);
}

void ask(const struct reader *who, const struct reader_call *call)
{
	reader_tell(who, call);
	assert_int_equal(tree_request(tree, 5000, &request), 0);
}

void hear(const struct reader *who)
{
	assert_true(reader_hear(who, 8000, &result));
}

int64_t given(const struct reader *who, struct reader_call call, const void *data, size_t len)
{
	ask(who, &call);
	assert_int_equal(tree_answer(tree, request.id, data, len), 0);
	hear(who);
	return result.ret;
}

int64_t unasked(const struct reader *who, struct reader_call call)
{
	reader_tell(who, &call);
	hear(who);
	assert_int_equal(tree_request(tree, 0, &request), -EAGAIN);
	return result.ret;
}

void is_asked(const struct reader *who, struct reader_call call)
{
	ask(who, &call);
	assert_int_equal(tree_refuse(tree, request.id, EACCES), 0);
	hear(who);
	assert_int_equal(result.ret, -EACCES);
}
