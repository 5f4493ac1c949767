/* links: agent/core/nobody.c agent/core/bounds.c agent/core/audit.c agent/core/json.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* nobody_test.c - callers without identity: how many, and what they make the agent write (A14). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

static struct core c;
static int held; /* what hold_set() was told last */

/* hold.c brings all of svid-core with it. */
void hold_set(struct core *core, enum hold h, int why)
{
	assert_ptr_equal(core, &c);
	assert_int_equal(h, HOLD_AUDIT);
	held = why;
}

static int setup(void **state)
{
	char name[] = "/tmp/svid-nobody-XXXXXX";
	int fd = mkstemp(name);

	(void)state;
	unlink(name);
	memset(&c, 0, sizeof(c));
	held = 0;
	assert_int_equal(loop_new(&c.loop), 0);
	audit_init(&c.audit, fd, AUDIT_REQUIRED);
	bounds_init(&c.bounds);
	return nobodies_init(&c);
}

static int teardown(void **state)
{
	(void)state;
	loop_timer_stop(&c.nobodies.flush);
	mem_free(c.nobodies.logs);
	bounds_done(&c.bounds);
	audit_done(&c.audit);
	loop_free(c.loop);
	return 0;
}

static struct conn of_uid(uid_t uid)
{
	return (struct conn){ .core = &c, .uid = uid, .person = { .id = uid, .kind = SVID_WHO_UID } };
}

static uint32_t records_of(struct conn *conn, uint32_t asked)
{
	uint32_t n = 0;

	while (asked--)
		n += nobody_wants_record(&c, &conn->person, conn->asker.decision);
	return n;
}

static void flush(void)
{
	loop_timer_stop(&c.nobodies.flush);
	c.nobodies.flush.cb(&c.nobodies.flush);
}

/* The last line of the log; its reference is the caller's. */
static json_t *last_line(void)
{
	static char text[65536];
	ssize_t n = pread(c.audit.fd, text, sizeof(text) - 1, 0);
	char *at;

	assert_true(n > 1);
	text[n - 1] = 0;
	at = strrchr(text, '\n');
	return json_loads(at ? at + 1 : text, 0, NULL);
}

static void each_may_have_so_many_and_all_so_many(void **state)
{
	static struct conn conns[LIM_CONNS_ANON + 1];
	size_t n = 0;

	(void)state;
	for (uid_t uid = 0; n < LIM_CONNS_ANON; uid++) {
		for (size_t i = 0; i < LIM_CONNS_ANON_EACH; i++, n++) {
			conns[n] = of_uid(uid);
			assert_int_equal(nobody_count(&conns[n]), 0);
		}
		conns[n] = of_uid(uid);
		assert_int_equal(nobody_count(&conns[n]), -ERR_LIMIT);
		nobody_uncount(&conns[n]); /* was not */
	}
	conns[n] = of_uid(4000000);
	assert_int_equal(nobody_count(&conns[n]), -ERR_LIMIT);
	nobody_uncount(&conns[0]);
	nobody_uncount(&conns[0]);
	assert_int_equal(nobody_count(&conns[n]), 0);
	assert_int_equal(c.nobodies.n, LIM_CONNS_ANON);
}

static void a_cgroup_counts_across_uids(void **state)
{
	(void)state;
	for (uid_t uid = 0; uid < LIM_CONNS_ANON_EACH; uid++) {
		struct conn conn = of_uid(uid);

		conn.cgroup = 77;
		assert_int_equal(nobody_count(&conn), 0);
	}
	struct conn more = of_uid(999);

	more.cgroup = 77;
	assert_int_equal(nobody_count(&more), -ERR_LIMIT);
	assert_int_equal(bounds_count(&c.bounds, BOUND_NOBODY_UID, 999), 0);
	more.cgroup = 78;
	assert_int_equal(nobody_count(&more), 0);
}

static void users_of_one_makers_namespaces_are_one_person(void **state)
{
	(void)state;
	for (uid_t uid = 0; uid < LIM_CONNS_ANON_EACH; uid++) {
		struct conn conn = of_uid(100000 + uid);

		conn.person = (struct svid_who){ .id = 1000, .kind = SVID_WHO_USERNS };
		assert_int_equal(nobody_count(&conn), 0);
	}
	struct conn conn = of_uid(1000); /* who made them, outside of them */

	assert_int_equal(nobody_count(&conn), 0);
	conn.person.kind = SVID_WHO_USERNS;
	assert_int_equal(nobody_count(&conn), -ERR_LIMIT);
}

static void repeats_are_counted_and_told_in_one_line(void **state)
{
	struct conn a = of_uid(1000), b = of_uid(1001);
	json_t *line;

	(void)state;
	assert_int_equal(records_of(&a, 1000), LIM_AUDIT_NOBODY_BURST);
	assert_int_equal(records_of(&b, 1), 1); /* another's flood does not hide it */
	assert_int_equal(c.nobodies.unwritten, 1000 - LIM_AUDIT_NOBODY_BURST);
	assert_true(loop_timer_armed(&c.nobodies.flush));
	flush();
	assert_int_equal(c.audit.lines, 1);
	line = last_line();
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "event")), "repeated");
	assert_int_equal(json_integer_value(json_object_get(line, "uid")), 1000);
	assert_int_equal(json_integer_value(json_object_get(line, "times")), 1000 - LIM_AUDIT_NOBODY_BURST);
	json_decref(line);
	flush();
	assert_int_equal(c.audit.lines, 1); /* nothing to tell */
}

static void one_caller_is_recorded_once_for_a_while(void **state)
{
	struct decision d = { .core = &c };
	struct conn conn = of_uid(1000);

	(void)state;
	conn.asker.decision = &d;
	assert_int_equal(records_of(&conn, 5), 1);
	assert_int_equal(c.nobodies.unwritten, 4);
	d.recorded -= LIM_AUDIT_REPEAT_MS * NS_PER_MS;
	assert_int_equal(records_of(&conn, 5), 1);
}

static void more_persons_than_there_is_room_for_share_what_is_left(void **state)
{
	uint32_t n = 0;
	json_t *line;

	(void)state;
	for (uid_t uid = 0; uid < 2000; uid++) {
		struct conn conn = of_uid(uid);

		n += records_of(&conn, 2);
	}
	assert_int_equal(n, 2 * (LIM_AUDIT_NOBODIES - 1) + LIM_AUDIT_NOBODY_BURST);
	flush();
	assert_int_equal(c.audit.lines, 1);
	line = last_line();
	assert_null(json_object_get(line, "uid"));
	assert_int_equal(json_integer_value(json_object_get(line, "times")), 4000 - n);
	json_decref(line);
}

static void a_full_disk_is_noticed_when_counts_are_written(void **state)
{
	struct conn conn = of_uid(1000);

	(void)state;
	records_of(&conn, LIM_AUDIT_NOBODY_BURST + 1);
	close(c.audit.fd);
	c.audit.fd = -1;
	flush();
	assert_int_equal(held, -ERR_AUDIT);
}

static void offences_of_nobodies_cost_nobodies_only(void **state)
{
	struct conn conn = of_uid(1000), next = of_uid(1000);

	(void)state;
	assert_int_equal(nobody_count(&conn), 0);
	for (int i = 0; i < 1000; i++)
		conn_blame(&conn, -ERR_DEADLINE);
	conn_blame(&conn, -ERR_CHANGED);
	conn_blame(&conn, 0);
	assert_int_equal(c.offences, 1000);
	for (int i = 1; i < LIM_BLAME_LEAST; i++) {
		struct conn other = of_uid(1000);

		assert_int_equal(nobody_count(&other), 0);
	}
	assert_int_equal(nobody_count(&next), -ERR_LIMIT);
	assert_int_equal(bounds_get(&c.bounds, BOUND_UID, 1000, false), 0);
	for (int i = 1; i < LIM_CONNS_PER_UID; i++)
		assert_int_equal(bounds_get(&c.bounds, BOUND_UID, 1000, false), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(each_may_have_so_many_and_all_so_many),
		T(a_cgroup_counts_across_uids),
		T(users_of_one_makers_namespaces_are_one_person),
		T(repeats_are_counted_and_told_in_one_line),
		T(one_caller_is_recorded_once_for_a_while),
		T(more_persons_than_there_is_room_for_share_what_is_left),
		T(a_full_disk_is_noticed_when_counts_are_written),
		T(offences_of_nobodies_cost_nobodies_only),
	};

	return cmocka_run_group_tests_name("nobody", tests, NULL, NULL);
}
