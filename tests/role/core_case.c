/* SPDX-License-Identifier: Apache-2.0 */
/* core_case.c - the world of one test case and short words about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/role/core_case.h"

struct world w;

int case_setup(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return -1;
	world_new(&w);
	return 0;
}

int case_teardown(void **state)
{
	(void)state;
	world_free(&w);
	return 0;
}

struct world_conn *conn_at(size_t i)
{
	world_until(&w, w.n_conns > i);
	return &w.conns[i];
}

struct world_front *front_of(const struct world_conn *c)
{
	return world_front_of(&w, c->front);
}

/* What the caller of connection @i would read as WhoAmI. */
struct world_front *serve_one(int *ret_fd)
{
	struct world_front *f;

	*ret_fd = world_client(&w);
	f = front_of(conn_at(0));
	world_until(&w, f->version == 1);
	return f;
}

struct world_front *served(int *ret_fd)
{
	world_start(&w, NULL);
	return serve_one(ret_fd);
}

const char *whoami_at(size_t i)
{
	struct world_conn *c = conn_at(i);

	world_until(&w, c->whoami[0]);
	return c->whoami;
}

static unsigned long generation(void)
{
	static const char key[] = "\"generation\":";
	struct slice json;
	const char *at;

	assert_int_equal(world_admin(&w, ADMIN_POLICY, 0, &json), 0);
	at = memmem(json.p, json.len, key, strlen(key));
	assert_non_null(at);
	return strtoul(at + strlen(key), NULL, 10);
}

void documents_apply(void)
{
	unsigned long before = generation();

	world_recompile(&w);
	world_until(&w, generation() > before);
}

void time_passes(int ms)
{
	uint64_t until = clock_boot_ns() + (uint64_t)ms * NS_PER_MS;

	while (clock_boot_ns() < until)
		world_step(&w, 5);
}

void end_child(pid_t pid, int fd)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fd);
}

bool json_has(struct slice json, const char *text)
{
	return json.len && memmem(json.p, json.len, text, strlen(text));
}

/* It is alive, answers, and does not serve less than before. */
void assert_core_is_well(void)
{
	struct slice json;

	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "\"serving\":true"));
	assert_true(w.core != 0);
}
