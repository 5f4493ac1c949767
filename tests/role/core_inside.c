/* SPDX-License-Identifier: Apache-2.0 */
/* core_inside.c - see core_inside.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "agent/base/mem.h"
#include "tests/role/core_inside.h"

struct core inside = {
	.holds = { [HOLD_EVIDENCE] = -ERR_NOT_READY, [HOLD_AUTHORITY] = -ERR_NOT_READY, [HOLD_DOCUMENTS] = -ERR_NOT_READY },
};

void inside_start(struct world *w)
{
	char dir[80];
	int fd;

	world_begin(w, NULL, &fd);
	assert_int_equal(parent_receive_plan(fd, &inside.plan), 0);
	assert_int_equal(loop_new(&inside.loop), 0);
	audit_init(&inside.audit, inside.plan.audit, AUDIT_REQUIRED);
	snprintf(dir, sizeof(dir), "%s/state", w->dir);
	assert_int_equal(state_open(dir, &inside.state), 0);
	assert_int_equal(provider_open(&inside.plan.fds, &inside.provider), 0);
	assert_int_equal(compiler_watch(&inside), 0);
	assert_int_equal(core_make_parts(&inside), 0);
	assert_int_equal(tree_start(&inside), 0);
	assert_int_equal(parent_start(&inside, fd), 0);
	assert_int_equal(hold_start(&inside), 0);
	assert_int_equal(fronts_start(inside.fronts), 0);
	assert_int_equal(compiler_start(&inside), 0);
	assert_int_equal(revoke_start(&inside), 0);
	assert_int_equal(canary_start(&inside), 0);
	assert_int_equal(admin_start(&inside), 0);
	assert_int_equal(server_start(&inside), 0);
}

bool inside_turn(struct world *w, long nth)
{
	int hit;

	mem_fail_after(nth);
	assert_int_equal(loop_once(inside.loop, 1), 0);
	hit = mem_fail_after(-1);
	world_step(w, 0);
	return hit;
}
