/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/cloud_case.c tests/role/cloud_world.c tests/role/cloud_answers.c tests/role/keys_world.c */
/* links: tests/lib/busy.c tests/lib/https.c tests/lib/certs.c */
/*
 * cloud_figures_test.c - a thousand bindings: each is exchanged once, a bounded number at a time, over few connections, and
 * meanwhile readers are answered. The longest that one waited is printed.
 */
#include <inttypes.h>

#include "tests/role/cloud_case.h"

#include "agent/base/clock.h"

#define MANY 1000

static void bind_many(struct world *w)
{
	char id[64], name[32];

	for (uint32_t i = 2; i < MANY + 2; i++) {
		snprintf(id, sizeof(id), "spiffe://example.org/w%u", i);
		snprintf(name, sizeof(name), "c%u", i);
		cloud_bind(&w->rig, i, CLOUD_AWS, id, name, w->spec);
		while (cloud_pump(&w->rig, 0))
			;
	}
	cloud_bound(&w->rig);
}

/* Time that svid-cloud had to wait for a CPU is the machine's. */
static double probe(struct world *w, uint64_t *ret_wall)
{
	struct stopwatch watch = stopwatch_start(w->rig.pid);
	uint64_t began = clock_boot_ns();
	const char *text;

	assert_int_equal(cloud_answer(&w->rig, cloud_ask(&w->rig, 1, CLOUD_FILE_AWS_CREDENTIALS), &text), 0);
	*ret_wall = clock_boot_ns() - began;
	return (double)stopwatch_ms(&watch);
}

static void refresh_all(struct world *w, unsigned int rounds)
{
	unsigned int want = w->rig.exchanges + MANY, probes = 0;
	double slowest = 0, own = 0;

	for (uint32_t i = 2; i < MANY + 2; i++)
		cloud_refresh(&w->rig, i);
	while (w->rig.exchanges < want) {
		if (probes < 400) {
			uint64_t wall = 0;
			double ms = probe(w, &wall);

			slowest = (double)wall / NS_PER_MS > slowest ? (double)wall / NS_PER_MS : slowest;
			own = ms > own ? ms : own;
			probes++;
		}
		for (int i = 0; i < 8 && w->rig.exchanges < want; i++)
			cloud_pump(&w->rig, 20);
	}
	printf("| round %u: %u exchanges, %u reads meanwhile, the slowest %.1f ms (%.0f ms without waiting for a CPU)\n",
	       rounds, MANY, probes, slowest, own);
	assert_true(probes > 20);
}

static void thousand_bindings_are_exchanged_once_each(void **state)
{
	struct world w = { .service.life = 3600 };
	unsigned int ready = 0;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	cloud_state(&w.rig, 1, CLOUD_READY);
	bind_many(&w);
	refresh_all(&w, 1); /* whoever had its turn already is exchanged a second time, nobody more often */
	cloud_quiet(&w.rig);
	for (uint32_t i = 2; i < MANY + 2; i++)
		ready += w.rig.seen[i].state == CLOUD_READY;
	while (ready < MANY) { /* those that were exchanged twice made the number full */
		cloud_pump(&w.rig, 100);
		ready = 0;
		for (uint32_t i = 2; i < MANY + 2; i++)
			ready += w.rig.seen[i].state == CLOUD_READY;
	}
	assert_in_range(w.service.n, MANY + 1, 2 * MANY + 1);
	assert_int_equal(w.service.n, w.rig.exchanges);
	assert_int_equal(w.rig.jwts, w.rig.exchanges);
	cloud_quiet(&w.rig);
	w.service.n = w.rig.exchanges = 0;
	refresh_all(&w, 2);
	assert_int_equal(w.service.n, MANY);
	assert_true(https_handshakes(w.https) <= 4 * LIM_CLOUD_AT_ONCE); /* connections are used again */
	world_end(&w);
}

static void restart_with_a_thousand_asks_nobody(void **state)
{
	struct world w = { .service.life = 3600 };
	unsigned int asked;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	cloud_state(&w.rig, 1, CLOUD_READY);
	bind_many(&w);
	refresh_all(&w, 1);
	for (uint32_t i = 2; i < MANY + 2; i++)
		cloud_state(&w.rig, i, CLOUD_READY);
	cloud_settle(&w.rig);
	asked = w.service.n;
	cloud_kill(&w.rig);
	cloud_start(&w.rig, -1);
	cloud_bind(&w.rig, 1, CLOUD_AWS, WEB, "cred", w.spec);
	bind_many(&w);
	for (uint32_t i = 1; i < MANY + 2; i++)
		assert_true(cloud_state(&w.rig, i, CLOUD_READY)->expires_at > 0);
	assert_int_equal(w.service.n, asked);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thousand_bindings_are_exchanged_once_each),
		cmocka_unit_test(restart_with_a_thousand_asks_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
