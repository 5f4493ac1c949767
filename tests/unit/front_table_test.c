/* SPDX-License-Identifier: Apache-2.0 */
/* front_table_test.c - which process serves which set; with this test as svidd and as the fronts.
 * links: agent/core/front.c agent/core/front_chan.c agent/core/front_set.c agent/core/front_jwt.c agent/core/front_file.c agent/core/bundles.c agent/core/state_bundles.c agent/core/frontlog.c agent/core/identity.c agent/core/authority.c agent/core/audit.c agent/core/json.c agent/core/state.c agent/core/state_docs.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/core/front_table.h"

static char dir[64];
static struct loop *loop;
static struct state *st;
static struct authority *auth;
static struct audit audit;
static struct identities *ids;
static struct bundles *bundles;
static struct fronts *fronts;
static struct buf scratch;
static uint32_t last_spawn;
static unsigned int spawns, kills, losts;

static struct identity docs[3] = {
	{ .number = 1, .name = (char *)"a", .spiffe_id = (char *)"spiffe://t/a", .hint = (char *)"" },
	{ .number = 2, .name = (char *)"b", .spiffe_id = (char *)"spiffe://t/b", .hint = (char *)"" },
	{ .number = 3, .name = (char *)"c", .spiffe_id = (char *)"spiffe://t/c", .hint = (char *)"" },
};

static int on_spawn(void *owner, uint32_t number)
{
	(void)owner;
	last_spawn = number;
	spawns++;
	return 0;
}

static void on_kill(void *owner, uint32_t number)
{
	(void)owner;
	(void)number;
	kills++;
}

static int on_closed(void *owner, const struct idset *set, uint64_t conn, int err, uint32_t requests)
{
	(void)owner;
	(void)set;
	(void)conn;
	(void)err;
	(void)requests;
	return 0;
}

static void on_end(void *owner, struct conn *conn, int err)
{
	(void)owner;
	(void)conn;
	(void)err;
}

static void on_lost(void *owner, struct conn *conn)
{
	(void)owner;
	losts++;
	fronts_remove(conn);
}

static int on_asked(void *owner, const struct idset *set, uint64_t number, struct buf *json)
{
	(void)owner;
	(void)set;
	(void)number;
	(void)json;
	return 0;
}

static const struct fronts_ops ops = { .spawn = on_spawn, .kill = on_kill, .closed = on_closed, .end = on_end,
				       .lost = on_lost, .asked = on_asked };

static void nothing(void *owner)
{
	(void)owner;
}

static void nothing_issued(void *owner, uint32_t identity, enum svid_kind kind, uint32_t id, int err,
			   const struct svid_issued *svid)
{
	(void)owner;
	(void)identity;
	(void)kind;
	(void)id;
	(void)err;
	(void)svid;
}

static void nothing_changed(void *owner, uint32_t number)
{
	(void)owner;
	(void)number;
}

static const struct authority_ops authority_ops = { .changed = nothing, .issued = nothing_issued, .lost = nothing,
						    .kill = nothing };
static const struct identities_ops identities_ops = { nothing_changed };

static int setup(void **unused)
{
	(void)unused;
	log_init("test", LOG_ERROR);
	spawns = kills = losts = last_spawn = 0;
	scratch = (struct buf)BUF_INIT(LIM_IPC_BODY);
	snprintf(dir, sizeof(dir), "/tmp/svid-fronts-XXXXXX");
	if (!mkdtemp(dir) || loop_new(&loop) || state_open(dir, &st))
		return -1;
	audit_init(&audit, -1, AUDIT_BEST_EFFORT);
	if (authority_new(loop, st, &authority_ops, NULL, &auth) ||
	    identities_new(loop, auth, &audit, &identities_ops, NULL, &ids) || bundles_new(st, &bundles))
		return -1;
	return fronts_new(loop, ids, auth, bundles, &ops, NULL, &fronts);
}

static int teardown(void **unused)
{
	char path[128];

	(void)unused;
	fronts_free(fronts);
	bundles_free(bundles);
	identities_free(ids);
	authority_free(auth);
	state_close(st);
	loop_free(loop);
	buf_done(&scratch);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

static void run(void)
{
	for (int i = 0; i < 4; i++)
		assert_int_equal(loop_once(loop, 1), 0);
}

/* Front @number starts; returns its end of the channel. */
static int start(uint32_t number, bool ready)
{
	int pair[2], logs[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(logs, O_CLOEXEC), 0);
	assert_int_equal(fronts_peer(fronts, number, 1, pair[1], logs[0]), 0);
	close(logs[1]);
	if (ready)
		assert_int_equal(ipc_send(pair[0], MSG_FR_READY, 0, slice_of(NULL, 0), NULL, 0), 0);
	run();
	return pair[0];
}

/* How many messages of @type wait at @fd; others are skipped. */
static unsigned int count(int fd, uint16_t type)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	unsigned int n = 0;

	while (poll(&p, 1, 0) == 1) {
		struct chan_msg m;

		if (ipc_recv(fd, &scratch, &m))
			break;
		n += m.type == type;
		ipc_msg_done(&m);
	}
	return n;
}

static struct idset *set_of(size_t a, size_t b)
{
	const struct identity *want[2] = { &docs[a], &docs[b] };
	struct idset *set = NULL;

	assert_int_equal(fronts_set(fronts, want, a == b ? 1 : 2, &set), 0);
	return set;
}

static void conn_init(struct conn *c)
{
	*c = (struct conn){ .number = 1ull << 32, .fd = 0 };
	list_init(&c->in_set);
}

static void one_set_is_one_front_and_order_counts(void **state)
{
	(void)state;
	assert_ptr_equal(set_of(0, 0), set_of(0, 0));
	assert_ptr_equal(set_of(0, 1), set_of(0, 1));
	assert_ptr_not_equal(set_of(0, 1), set_of(1, 0));
	assert_ptr_not_equal(set_of(0, 0), set_of(0, 1));
	assert_int_equal(spawns, 3);
}

static void a_connection_waits_until_its_front_is_ready(void **state)
{
	struct conn c;
	int fd;

	(void)state;
	conn_init(&c);
	assert_int_equal(fronts_add(set_of(0, 0), &c), 0);
	fd = start(last_spawn, false);
	assert_int_equal(count(fd, MSG_F_CONN), 0);
	assert_int_equal(c.state, CONN_QUEUED);
	assert_int_equal(ipc_send(fd, MSG_FR_READY, 0, slice_of(NULL, 0), NULL, 0), 0);
	run();
	assert_int_equal(count(fd, MSG_F_CONN), 1);
	assert_int_equal(c.state, CONN_SERVED);
	fronts_remove(&c);
	close(fd);
}

static void the_spare_serves_a_new_set_at_once_and_is_replaced(void **state)
{
	uint32_t empty, spare;
	struct conn c;
	int fds[2];

	(void)state;
	assert_int_equal(fronts_start(fronts), 0);
	assert_int_equal(spawns, 2);
	spare = last_spawn;
	empty = spare - 1;
	fds[0] = start(empty, true);
	fds[1] = start(spare, true);
	conn_init(&c);
	assert_int_equal(fronts_add(set_of(0, 0), &c), 0);
	assert_int_equal(c.state, CONN_SERVED);
	assert_int_equal(count(fds[1], MSG_F_CONN), 1);
	assert_int_equal(count(fds[0], MSG_F_CONN), 0);
	assert_int_equal(spawns, 3);
	fronts_remove(&c);
	close(fds[0]);
	close(fds[1]);
}

static void a_spare_that_says_anything_is_killed(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(fronts_start(fronts), 0);
	fd = start(last_spawn, true);
	assert_int_equal(ipc_put(fd, FR_CLOSED, 0, .conn = 1), 0);
	run();
	assert_int_equal(kills, 1);
	close(fd);
}

static void a_dead_front_takes_its_connections_and_not_those_that_wait(void **state)
{
	struct conn served, waiting;
	struct idset *set = set_of(0, 0);
	uint32_t first = last_spawn;
	int fd = start(first, true);

	(void)state;
	conn_init(&served);
	conn_init(&waiting);
	assert_int_equal(fronts_add(set, &served), 0);
	close(fd);
	run();
	assert_int_equal(losts, 1);
	assert_null(served.set);
	assert_int_equal(fronts_add(set, &waiting), 0);
	assert_int_equal(waiting.state, CONN_QUEUED);
	for (int i = 0; i < 20 && last_spawn == first; i++)
		assert_int_equal(loop_once(loop, 20), 0);
	assert_int_not_equal(last_spawn, first);
	fd = start(last_spawn, true);
	assert_int_equal(count(fd, MSG_F_CONN), 1);
	fronts_remove(&waiting);
	close(fd);
}

static void a_set_whose_front_keeps_dying_waits_longer_each_time(void **state)
{
	struct idset *set = set_of(0, 0);
	uint64_t waits[3];
	struct conn c;

	(void)state;
	conn_init(&c);
	assert_int_equal(fronts_add(set, &c), 0);
	for (size_t i = 0; i < ARRAY_SIZE(waits); i++) {
		uint64_t now = set->table->last_number;

		fronts_exit(fronts, (uint32_t)now, 1);
		assert_true(loop_timer_armed(&set->backoff));
		waits[i] = set->failures;
		loop_timer_stop(&set->backoff);
		idset_need_front(set);
	}
	assert_true(waits[0] < waits[1] && waits[1] < waits[2]);
	fronts_remove(&c);
}

static void a_set_without_connections_ends_later_not_at_once(void **state)
{
	struct idset *set = set_of(0, 0);
	struct conn c;

	(void)state;
	conn_init(&c);
	assert_int_equal(fronts_add(set, &c), 0);
	assert_false(loop_timer_armed(&set->idle));
	fronts_remove(&c);
	assert_true(loop_timer_armed(&set->idle));
	conn_init(&c);
	assert_int_equal(fronts_add(set, &c), 0);
	assert_false(loop_timer_armed(&set->idle));
	fronts_remove(&c);
}

static void the_empty_set_never_ends(void **state)
{
	struct conn c;

	(void)state;
	assert_int_equal(fronts_start(fronts), 0);
	conn_init(&c);
	assert_int_equal(fronts_add(fronts_empty_set(fronts), &c), 0);
	fronts_remove(&c);
	assert_false(loop_timer_armed(&fronts_empty_set(fronts)->idle));
}

static void there_are_no_more_fronts_than_the_limit(void **state)
{
	static struct identity many[LIM_FRONTS + 1];
	struct fronts_stats stats;
	struct idset *set = NULL;
	int err = 0;

	(void)state;
	for (uint32_t i = 0; i <= LIM_FRONTS && !err; i++) {
		const struct identity *one = &many[i];

		many[i] = docs[0];
		many[i].number = 100 + i;
		err = fronts_set(fronts, &one, 1, &set);
	}
	assert_int_equal(err, -ERR_LIMIT);
	fronts_get_stats(fronts, &stats);
	assert_int_equal(stats.alive, LIM_FRONTS);
	assert_int_equal(spawns, LIM_FRONTS);
}

static void states_of_the_agent_reach_every_front_and_those_of_nobody_one(void **state)
{
	struct msg_F_STATE said;
	struct chan_msg m;
	int fds[2];

	(void)state;
	fronts_set_state(fronts, 0, 0);
	assert_int_equal(fronts_start(fronts), 0);
	fds[0] = start(last_spawn - 1, true);
	fds[1] = start(last_spawn, true);
	set_of(0, 0);
	count(fds[0], 0);
	count(fds[1], 0);
	fronts_set_state(fronts, 0, -ERR_AUDIT);
	assert_int_equal(count(fds[1], MSG_F_STATE), 0);
	assert_int_equal(ipc_recv(fds[0], &scratch, &m), 0);
	assert_int_equal(msg_get_F_STATE(m.body, &said), 0);
	assert_int_equal(said.err, -ERR_AUDIT);
	fronts_set_state(fronts, -ERR_EVIDENCE, -ERR_EVIDENCE);
	assert_int_equal(count(fds[1], MSG_F_STATE), 1);
	assert_int_equal(count(fds[0], MSG_F_STATE), 1);
	fronts_set_state(fronts, -ERR_EVIDENCE, -ERR_EVIDENCE);
	assert_int_equal(count(fds[0], MSG_F_STATE), 0);
	close(fds[0]);
	close(fds[1]);
}

static void a_front_that_svidd_could_not_start_is_tried_again(void **state)
{
	struct idset *set = set_of(0, 0);
	struct conn c;

	(void)state;
	conn_init(&c);
	assert_int_equal(fronts_add(set, &c), 0);
	fronts_exit(fronts, last_spawn, 127 << 8);
	assert_int_equal(spawns, 1);
	for (int i = 0; i < 20 && spawns == 1; i++)
		assert_int_equal(loop_once(loop, 20), 0);
	assert_int_equal(spawns, 2);
	assert_int_equal(losts, 0);
	fronts_remove(&c);
}

static void time_is_over(struct front *fr)
{
	loop_timer_stop(&fr->timer);
	fr->timer.cb(&fr->timer);
}

/* Each connection that it does not take costs a descriptor here, also after the caller left. */
static void a_front_that_takes_nothing_is_killed(void **state)
{
	static struct conn conns[2048]; /* more than a socket takes */
	struct idset *set = set_of(0, 0);
	int fd = start(last_spawn, true);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(conns); i++) {
		conn_init(&conns[i]);
		assert_int_equal(fronts_add(set, &conns[i]), 0);
	}
	assert_true(loop_timer_armed(&set->front->timer));
	/* slow is not stuck */
	count(fd, 0);
	run();
	time_is_over(set->front);
	assert_int_equal(kills, 0);
	assert_true(loop_timer_armed(&set->front->timer));
	time_is_over(set->front);
	assert_int_equal(kills, 1);
	for (size_t i = 0; i < ARRAY_SIZE(conns); i++)
		fronts_remove(&conns[i]);
	close(fd);
}

static void a_front_that_takes_all_is_not_watched(void **state)
{
	struct idset *set = set_of(0, 0);
	int fd = start(last_spawn, true);
	struct conn c;

	(void)state;
	conn_init(&c);
	assert_int_equal(fronts_add(set, &c), 0);
	assert_false(loop_timer_armed(&set->front->timer));
	fronts_remove(&c);
	close(fd);
}

/* The front of the empty set, which needs no SVID to be told of. */
static int serving(void)
{
	assert_int_equal(fronts_start(fronts), 0);
	return start(last_spawn - 1, true);
}

static void says_of_set(int fd, uint64_t version, int err)
{
	assert_int_equal(ipc_put(fd, FR_SET, 0, .version = version, .err = err), 0);
	run();
}

/* svid-keys is away, or behind: nothing is wrong with the front, and what it serves stays. */
static void a_front_that_lacked_a_key_goes_on_and_is_told_everything_again(void **state)
{
	static const int why[] = { -ERR_NOT_FOUND, -ERR_NOT_READY };
	uint64_t version = 1;
	int fd = serving();

	(void)state;
	assert_int_equal(count(fd, MSG_F_SET), 1);
	for (size_t i = 0; i < ARRAY_SIZE(why); i++) {
		says_of_set(fd, version++, why[i]);
		assert_int_equal(kills, 0);
		assert_int_equal(count(fd, MSG_F_SET), 0); /* not at once: it would ask for the same key again */
		fronts_push(fronts, 0);
		assert_int_equal(count(fd, MSG_F_SET), 1);
	}
	says_of_set(fd, version, 0);
	fronts_push(fronts, 0);
	assert_int_equal(count(fd, MSG_F_SET), 0);
	close(fd);
}

static void an_old_complaint_of_a_front_changes_nothing(void **state)
{
	const struct sds_settings sds = { .svid = "mine" };
	int fd = serving();

	(void)state;
	fronts_set_sds(fronts, &sds);
	assert_int_equal(count(fd, MSG_F_SET), 2);
	says_of_set(fd, 1, -ERR_NOT_FOUND);
	fronts_push(fronts, 0);
	assert_int_equal(count(fd, MSG_F_SET), 0);
	assert_int_equal(kills, 0);
	close(fd);
}

static void a_front_that_cannot_take_a_set_is_replaced(void **state)
{
	static const int why[] = { -ERR_FORMAT, -ERR_SPIFFE_ID, -ENOMEM, -ERR_CLOSED };
	uint32_t number = 0;

	(void)state;
	assert_int_equal(fronts_start(fronts), 0);
	for (size_t i = 0; i < ARRAY_SIZE(why); i++) {
		struct idset *set = fronts_empty_set(fronts);
		int fd;

		for (int n = 0; n < 100 && (!set->front || set->front->number == number); n++)
			assert_int_equal(loop_once(loop, 20), 0);
		number = set->front->number;
		fd = start(number, true);
		assert_int_equal(count(fd, MSG_F_SET), 1);
		says_of_set(fd, set->version, why[i]);
		assert_int_equal(kills, i + 1);
		close(fd);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_set_is_one_front_and_order_counts),
		T(a_connection_waits_until_its_front_is_ready),
		T(the_spare_serves_a_new_set_at_once_and_is_replaced),
		T(a_spare_that_says_anything_is_killed),
		T(a_dead_front_takes_its_connections_and_not_those_that_wait),
		T(a_set_whose_front_keeps_dying_waits_longer_each_time),
		T(a_set_without_connections_ends_later_not_at_once),
		T(the_empty_set_never_ends),
		T(there_are_no_more_fronts_than_the_limit),
		T(states_of_the_agent_reach_every_front_and_those_of_nobody_one),
		T(a_front_that_svidd_could_not_start_is_tried_again),
		T(a_front_that_takes_nothing_is_killed),
		T(a_front_that_takes_all_is_not_watched),
		T(a_front_that_lacked_a_key_goes_on_and_is_told_everything_again),
		T(an_old_complaint_of_a_front_changes_nothing),
		T(a_front_that_cannot_take_a_set_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
