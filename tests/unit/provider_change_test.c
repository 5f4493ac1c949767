// SPDX-License-Identifier: Apache-2.0
/* links: agent/parent/bpf.c agent/parent/bpf_tier.c agent/parent/bpf_pin.c agent/parent/bpf_why.c agent/parent/module.c agent/core/provider.c agent/core/provider_attach.c agent/core/provider_bpf.c agent/core/provider_kmod.c agent/core/provider_socket.c tests/lib/evidence_caller.c tests/lib/evidence_world.c */
/*
 * provider_change_test.c - what ends a connection's validity: strangers on the socket, and changes of the process.
 * Where a tier cannot see something (kernel.md K7), the test asserts that limit. Next: provider_life_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "tests/lib/evidence_world.h"

/* What a stranger's call gives in this tier. */
static int strangers_result(void)
{
	return world_tier_is(SVID_TIER_LSM) ? -EACCES : 0;
}

static void assert_marked(struct guest *g, uint32_t marks)
{
	world_drain();
	assert_false(provider_valid(world.p, &g->t));
	assert_int_equal(world.last.type, SVID_EVENT_FOREIGN);
	assert_int_equal(world.last.conn_slot, g->t.conn_slot);
	assert_true(world.last.marks & marks);
	assert_int_equal(world.last.key.tgid, g->conn.image.key.tgid);
	assert_int_equal(world.last.refused, world_tier_is(SVID_TIER_LSM));
}

static void assert_changed(struct guest *g, uint32_t type)
{
	world_drain();
	assert_false(provider_valid(world.p, &g->t));
	assert_int_equal(world.last.type, type);
	assert_int_equal(world.last.key.tgid, g->t.key.tgid);
	assert_int_equal(world.last.holder_slot, g->t.holder_slot);
}

static void own_use_changes_nothing(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(caller_do(&g.c, CALLER_SEND), 0);
		assert_int_equal(send(g.fd, "z", 1, 0), 1);
		assert_int_equal(caller_do(&g.c, CALLER_RECV), 0);
	}
	world_drain();
	assert_int_equal(world.events, 0);
	assert_true(provider_valid(world.p, &g.t));
	guest_close(&g);
}

/* A3 */
static void foreign_send_is_refused_or_marked(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(caller_do(&g.c, CALLER_CHILD_SEND), strangers_result());
	assert_marked(&g, SVID_MARK_FOREIGN_SEND);
	guest_close(&g);
}

static void foreign_receive_is_refused_or_marked(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(send(g.fd, "z", 1, 0), 1);
	assert_int_equal(caller_do(&g.c, CALLER_CHILD_RECV), strangers_result());
	assert_marked(&g, SVID_MARK_FOREIGN_RECV);
	guest_close(&g);
}

static void foreign_splice_read_is_seen_except_in_tp(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(send(g.fd, "z", 1, 0), 1);
	assert_int_equal(caller_do(&g.c, CALLER_CHILD_SPLICE_READ), strangers_result());
	if (world_tier_is(SVID_TIER_TP)) {
		assert_false(g.conn.flags & SVID_CONN_SEES_SPLICE);
		assert_true(provider_valid(world.p, &g.t)); /* the limit, K7 */
	} else {
		assert_marked(&g, SVID_MARK_SPLICE_READ | SVID_MARK_FOREIGN_RECV);
	}
	guest_close(&g);
}

static void foreign_splice_write_is_refused_or_marked(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(caller_do(&g.c, CALLER_CHILD_SPLICE_WRITE), strangers_result());
	assert_marked(&g, SVID_MARK_SPLICE_WRITE | SVID_MARK_FOREIGN_SEND);
	guest_close(&g);
}

/* A word that a stranger could bump at will would come back to its old value after 2^32 calls. */
static void repeated_foreign_use_bumps_once(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	for (int i = 0; i < 3; i++) {
		(void)caller_do(&g.c, CALLER_CHILD_SEND);
		(void)caller_do(&g.c, CALLER_CHILD_RECV);
	}
	assert_int_equal(provider_word(world.p, g.t.conn_slot), g.t.conn_word + 1);
	guest_close(&g);
}

/* A caller that keeps its end open after we let go must not be able to cut whoever has the slot next. */
static void old_connection_cannot_void_the_slots_next_owner(void **state)
{
	uint32_t word;
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	provider_slot_put(world.p, g.t.conn_slot);
	word = provider_word(world.p, g.t.conn_slot);
	(void)caller_do(&g.c, CALLER_CHILD_SEND);
	assert_int_equal(provider_word(world.p, g.t.conn_slot), word);
	g.t.conn_slot = 0;
	guest_close(&g);
}

static void mark_made_before_adoption_is_not_lost(void **state)
{
	struct provider_ticket t;
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	assert_int_equal(caller_do(&c, CALLER_CHILD_SEND), strangers_result());
	fd = world_accept();
	assert_int_equal(provider_attach(world.p, fd, &conn, &t), -ERR_CHANGED);
	assert_true(conn.marks & (SVID_MARK_FOREIGN_SEND | SVID_MARK_SPLICE_WRITE));
	caller_end(&c);
	close(fd);
}

/* A6: the same process, another program. */
static void use_after_exec_is_foreign(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(caller_do(&g.c, CALLER_EXEC), 0);
	assert_changed(&g, SVID_EVENT_EXEC);
	assert_int_equal(caller_do(&g.c, CALLER_SEND), strangers_result());
	assert_marked(&g, SVID_MARK_FOREIGN_SEND | SVID_MARK_SPLICE_WRITE);
	guest_close(&g);
}

static void exec_in_any_thread_voids(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(caller_do(&g.c, CALLER_THREAD_EXEC), 0);
	assert_changed(&g, SVID_EVENT_EXEC);
	guest_close(&g);
}

static void exit_voids(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(caller_do(&g.c, CALLER_LINGER), 0); /* the socket stays open */
	caller_end(&g.c);
	assert_changed(&g, SVID_EVENT_EXIT);
	guest_close(&g);
}

static void exit_of_a_child_voids_nothing(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	(void)caller_do(&g.c, CALLER_CHILD_SPLICE_READ);
	world_drain();
	if (world_tier_is(SVID_TIER_TP)) /* elsewhere the splice itself is seen */
		assert_true(provider_valid(world.p, &g.t));
	assert_int_equal(provider_word(world.p, g.t.holder_slot), g.t.holder_word);
	guest_close(&g);
}

static void check_cred_change(enum caller_do what)
{
	struct guest g;

	guest_open(&g);
	assert_int_equal(provider_poll(world.p), 0);
	assert_true(provider_valid(world.p, &g.t));
	assert_int_equal(caller_do(&g.c, what), 0);
	if (provider_needs_poll(world.p)) {
		assert_true(provider_valid(world.p, &g.t)); /* the limit, K7 */
		assert_int_equal(provider_poll(world.p), 0);
	}
	assert_changed(&g, SVID_EVENT_CRED);
	guest_close(&g);
}

/* A4 */
static void credential_change_voids(void **state)
{
	(void)state;
	NEED_KERNEL();
	check_cred_change(CALLER_SETUID);
	check_cred_change(CALLER_SETGROUPS);
}

/* K21: credentials belong to threads; any of them counts. */
static void credential_change_in_any_thread_voids(void **state)
{
	(void)state;
	NEED_KERNEL();
	check_cred_change(CALLER_THREAD_FSUID);
}

static void use_with_other_ids_is_marked(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(caller_do(&g.c, CALLER_SETUID), 0);
	world_drain();
	assert_int_equal(caller_do(&g.c, CALLER_SEND), strangers_result());
	assert_marked(&g, SVID_MARK_CRED);
	guest_close(&g);
}

static void cgroup_move_voids(void **state)
{
	char root[128], group[192];
	struct stat st;
	struct guest g;

	(void)state;
	NEED_KERNEL();
	if (!world_cgroup2(root, sizeof(root)))
		skip();
	(void)snprintf(group, sizeof(group), "%s/svid-unit-%d", root, (int)getpid());
	assert_int_equal(mkdir(group, 0755), 0);
	guest_open(&g);
	assert_int_equal(world_cgroup_move(group, g.c.pid), 0);
	assert_changed(&g, SVID_EVENT_CGROUP);
	guest_close(&g);

	/* and the id in the record is that of the directory */
	guest_open(&g);
	assert_int_equal(stat(root, &st), 0);
	assert_int_equal(world_cgroup_move(root, g.c.pid), 0);
	guest_close(&g);
	assert_int_equal(rmdir(group), 0);
}

/* "Holder registration has no gap", svid.h */
static void change_between_connect_and_hold_is_seen(void **state)
{
	struct svid_conn conn;
	struct caller c;
	uint32_t slot = 0;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_slot_get(world.p, &slot), 0);
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_int_equal(provider_hold(world.p, &conn, slot), 0);
	provider_unhold(world.p, &conn.image.key);
	assert_int_equal(caller_do(&c, CALLER_EXEC), 0);
	assert_int_equal(provider_hold(world.p, &conn, slot), -ERR_CHANGED);
	provider_slot_put(world.p, slot);
	caller_end(&c);
	close(fd);
}

static void one_process_has_one_word_for_all_its_connections(void **state)
{
	struct svid_conn conn;
	struct provider_ticket t;
	struct guest g;
	int fd;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(caller_do(&g.c, CALLER_CONNECT), 0); /* closes the first on the caller's side */
	fd = world_accept();
	assert_int_equal(provider_attach(world.p, fd, &conn, &t), 0);
	assert_int_equal(t.holder_slot, g.t.holder_slot);
	assert_int_not_equal(t.conn_slot, g.t.conn_slot);
	provider_detach(world.p, &t);
	assert_int_equal(provider_word(world.p, g.t.holder_slot), g.t.holder_word); /* still held */
	close(fd);
	assert_int_equal(caller_do(&g.c, CALLER_EXEC), 0);
	assert_changed(&g, SVID_EVENT_EXEC);
	guest_close(&g);
}

/* A12, K22 */
static void memory_access_is_remembered_until_exec(void **state)
{
	char at[64];
	struct svid_image img;
	struct guest g;
	int fd;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	(void)snprintf(at, sizeof(at), "/proc/%d/mem", (int)g.c.pid);
	fd = open(at, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	close(fd);
	if (world_tier_is(SVID_TIER_TP)) {
		assert_false(g.conn.flags & SVID_CONN_SEES_TRACE);
		assert_true(provider_valid(world.p, &g.t)); /* the limit, K7 */
		guest_close(&g);
		return;
	}
	assert_changed(&g, SVID_EVENT_TRACED);
	assert_int_equal(provider_image(world.p, &g.t.key, &img), 0);
	assert_true(img.flags & SVID_IMG_TRACED);
	assert_int_equal(caller_do(&g.c, CALLER_EXEC), 0);
	assert_int_equal(provider_image(world.p, &g.t.key, &img), 0);
	assert_false(img.flags & SVID_IMG_TRACED);
	guest_close(&g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_use_changes_nothing),
		cmocka_unit_test(foreign_send_is_refused_or_marked),
		cmocka_unit_test(foreign_receive_is_refused_or_marked),
		cmocka_unit_test(foreign_splice_read_is_seen_except_in_tp),
		cmocka_unit_test(foreign_splice_write_is_refused_or_marked),
		cmocka_unit_test(repeated_foreign_use_bumps_once),
		cmocka_unit_test(old_connection_cannot_void_the_slots_next_owner),
		cmocka_unit_test(mark_made_before_adoption_is_not_lost),
		cmocka_unit_test(use_after_exec_is_foreign),
		cmocka_unit_test(exec_in_any_thread_voids),
		cmocka_unit_test(exit_voids),
		cmocka_unit_test(exit_of_a_child_voids_nothing),
		cmocka_unit_test(credential_change_voids),
		cmocka_unit_test(credential_change_in_any_thread_voids),
		cmocka_unit_test(use_with_other_ids_is_marked),
		cmocka_unit_test(cgroup_move_voids),
		cmocka_unit_test(change_between_connect_and_hold_is_seen),
		cmocka_unit_test(one_process_has_one_word_for_all_its_connections),
		cmocka_unit_test(memory_access_is_remembered_until_exec),
	};

	caller_main(argc, argv);
	return cmocka_run_group_tests_name("provider_change", tests, world_up, world_down);
}
