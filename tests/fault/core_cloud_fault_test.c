/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_cloud_fault_test.c - svid-core's side of svid-cloud while the nth allocation fails: readers are answered, each with its
 * own, svid-cloud is told everything in the end, its orders end, and a document that was lost comes all the same.
 * links: agent/core agent/db agent/sandbox tests/role/core_world.c tests/role/core_fronts.c tests/role/core_clients.c tests/role/core_inside.c tests/role/core_module.c tests/lib/tree_queue.c agent/parent/spawn.c agent/parent/roles.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/admin.h"
#include "tests/role/core_module.h"

#define STEPS 6 /* turns of the loop from a read, an order or a start to its end */
#define ALLOCATIONS 40
#define OTHER_UID 7
#define IDS                                                                \
	"root {\"workloadID\":\"root\",\"selectors\":[{\"unix:uid\":[\"0\"]}]}\n" \
	"other {\"workloadID\":\"other\",\"selectors\":[{\"unix:uid\":[\"7\"]}]}\n"
#define CLOUDS                                                                                                    \
	"CredentialSource/cloud {\"jwtTTL\":120,\"aws\":{\"roleArn\":\"r\",\"audience\":\"sts.test\",\"tags\":{\"a\":\"b\"}," \
	"\"sourceIdentity\":\"true\"}}\n"                                                                         \
	"CredentialSource/anywhere {\"awsRolesAnywhere\":{\"roleArn\":\"r\"}}\n"                                   \
	"WorkloadCredential/blob {\"workloadID\":\"other\",\"credentialSource\":\"cloud\",\"helpers\":[\"/bin/cat\"]}\n"
#define MINE                                                                          \
	"WorkloadCredential/s3 {\"workloadID\":\"root\",\"credentialSource\":\"cloud\"}\n" \
	"WorkloadCredential/x {\"workloadID\":\"root\",\"credentialSource\":\"anywhere\"}"
#define S3 "self/s3/aws/credentials"
#define BLOB "self/blob/aws/credentials"

static struct world w;
static pid_t root, other;
static unsigned int files_made;

/* ---- svid-cloud: what world_cloud counts is answered here, and svidd starts it whenever it is gone ---- */

static void make_file(void)
{
	const struct msg_CL_FILE *ask = &w.cloud.file;
	int fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char text[64];
	int n = snprintf(text, sizeof(text), "binding %u what %u", ask->binding, ask->what), err;

	assert_int_equal(write(fd, text, (size_t)n), n);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
	err = ipc_put_fds(w.cloud.fd, CR_FILE, 0, &fd, 1, .order = ask->order, .len = (uint32_t)n);
	assert_true(err == 0 || err == -ERR_CLOSED);
	close(fd);
}

static void cloud_step(void)
{
	if (w.cloud.started && w.cloud.fd < 0)
		world_new_cloud(&w);
	if (!w.cloud.files)
		files_made = 0; /* a new one */
	if (w.cloud.files == files_made)
		return;
	files_made = w.cloud.files;
	make_file();
}

static bool turn(long nth)
{
	bool hit = inside_turn(&w, nth);

	cloud_step();
	return hit;
}

/* Turns in one of which an allocation fails; whether it did. */
static bool turns(int step, long nth)
{
	bool hit = false;

	for (int i = 0; i < STEPS; i++)
		hit |= turn(i == step ? nth : -1);
	return hit;
}

#define turns_until(cond) INSIDE_UNTIL(cond, turn(-1))

/* ---- readers ---- */

static uint32_t binding_of(const char *name)
{
	const struct cloud_docs *docs = docs_clouds(inside.docs);

	for (size_t i = 0; i < docs->n; i++)
		if (strcmp(docs->v[i]->name, name) == 0)
			return docs->v[i]->binding;
	return 0;
}

/* Nobody has another's file, and none that was not whole. */
static uint32_t answer_of(uint64_t id, const char *credential)
{
	const struct module_answer *a = &module.answers[id];
	char want[64];

	turns_until(a->there);
	snprintf(want, sizeof(want), "binding %u what %u", binding_of(credential), CLOUD_FILE_AWS_CREDENTIALS);
	if (!a->err)
		assert_string_equal(a->text, want);
	else
		assert_int_equal(a->err, ETIMEDOUT); /* which a reader tries again */
	return a->err;
}

static bool names_are_there(void)
{
	struct tree_stats s;

	tree_get_stats(inside.tree, &s);
	return s.complete && s.identities == 2;
}

static void assert_is_served(int step, long nth)
{
	uint64_t until = clock_boot_ns() + 8 * NS_PER_S;
	uint32_t err;

	turns_until(names_are_there());
	do
		err = answer_of(module_ask(root, 0, S3), "s3");
	while (err && clock_boot_ns() < until);
	if (err)
		fail_msg("not served after allocation %ld of step %d failed", nth, step);
}

static void readers_are_answered_and_one_at_most_has_to_come_again(void **state)
{
	unsigned int hits = 0;

	(void)state;
	for (int step = 0; step < STEPS; step++)
		for (long nth = 0; nth < ALLOCATIONS; nth++) {
			uint64_t mine = module_ask(root, 0, S3), theirs = module_ask(other, OTHER_UID, BLOB);
			bool hit = turns(step, nth);
			uint32_t failed = !!answer_of(mine, "s3") + !!answer_of(theirs, "blob");

			assert_in_range(failed, 0, hit);
			assert_is_served(step, nth);
			if (!hit)
				break;
			hits++;
		}
	assert_true(hits > 5);
	print_message("%u allocations failed\n", hits);
}

/* ---- what it is told ---- */

static void a_new_svid_cloud_is_told_everything(void **state)
{
	unsigned int hits = 0;

	(void)state;
	for (int step = 0; step < STEPS; step++)
		for (long nth = 0; nth < ALLOCATIONS; nth++) {
			bool hit;

			world_new_cloud(&w);
			hit = turns(step, nth);
			turns_until(w.cloud.bounds && w.cloud.binds >= 3);
			if (!hit)
				break;
			hits++;
		}
	assert_true(hits > 5);
	print_message("%u allocations failed\n", hits);
	assert_is_served(0, 0);
}

/* As on the first document that wants one. */
static void svidd_is_asked_for_it_until_it_was_told(void **state)
{
	(void)state;
	for (long nth = 0;; nth++) {
		unsigned int started = w.cloud.started;
		bool hit = false;

		inside.cloud->wanted = inside.cloud->asked = false;
		mem_fail_after(nth);
		cloud_outdated(inside.cloud);
		hit = mem_fail_after(-1);
		hit |= turns(0, nth);
		turns_until(w.cloud.started > started && w.cloud.bounds);
		if (!hit)
			break;
	}
	assert_is_served(0, 0);
}

static void apply(const char *documents, long nth)
{
	uint64_t was = docs_generation(inside.docs);

	w.documents = documents;
	compiler_run(&inside);
	turns_until(docs_generation(inside.docs) != was);
	turns(0, nth);
}

static void what_is_withdrawn_is_taken_from_it(void **state)
{
	(void)state;
	for (long nth = 0; nth < 12; nth++) {
		unsigned int started = w.cloud.started;

		apply(IDS CLOUDS, nth);
		turns_until(w.cloud.started != started ? w.cloud.bounds && w.cloud.binds == 1 : w.cloud.unbinds >= 2);
		apply(IDS CLOUDS MINE, nth);
		turns_until(w.cloud.bounds && inside.cloud->n_bindings == 3 && !inside.cloud->pass);
		w.cloud.unbinds = 0;
	}
	assert_is_served(0, 0);
}

/* ---- what it orders ---- */

static bool is_signed(uint32_t order)
{
	for (size_t i = 0; i < WORLD_JWTS; i++)
		if (w.jwts[i].order == order && w.jwts[i].front == FRONT_CLOUD)
			return true;
	return false;
}

static void order_all(uint32_t order)
{
	(void)!ipc_put(w.cloud.fd, CR_JWT, 0, .order = order, .binding = binding_of("s3"));
	(void)!ipc_put(w.cloud.fd, CR_SIGN, 0, .order = order + 1, .binding = binding_of("x"),
		       .text = slice_str("AWS4-X509-ECDSA-SHA256\nx"));
	(void)!ipc_put(w.cloud.fd, CR_STATE, 0, .binding = binding_of("s3"), .state = CLOUD_SLOW, .error = slice_str("no"),
		       .next_step = slice_str("mend it"));
	(void)!ipc_put(w.cloud.fd, CR_EXCHANGE, 0, .binding = binding_of("s3"), .http_status = 200, .jti = slice_str("j"));
}

/* Each is signed or refused, or there is a new svid-cloud; and none is kept. */
static void orders_end_whatever_allocation_failed(void **state)
{
	unsigned int hits = 0;
	uint32_t order = 1;

	(void)state;
	for (int step = 0; step < STEPS; step++)
		for (long nth = 0; nth < 2 * ALLOCATIONS; nth++, order += 2) {
			unsigned int started = w.cloud.started, refusals = w.cloud.refusals;
			bool hit;

			order_all(order);
			hit = turns(step, nth);
			turns_until(is_signed(order) || w.cloud.refusals > refusals || w.cloud.started > started);
			turns_until(!inside.cloud->n_orders && !hold_err(&inside) && w.cloud.bounds);
			if (!hit)
				break;
			hits++;
		}
	assert_true(hits > 20);
	print_message("%u allocations failed\n", hits);
	order_all(order);
	turns_until(is_signed(order) && w.cloud.chains);
	assert_is_served(0, 0);
}

/* ---- what a person sees ---- */

static void put_credentials(struct buf *out)
{
	cloud_put(&inside, out);
}

static void put_sources(struct buf *out)
{
	sources_put(&inside, out);
}

static void a_list_is_whole_or_none(void **state)
{
	static void (*const lists[])(struct buf *out) = { put_credentials, put_sources };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		bool hit = true;

		for (long nth = 0; hit; nth++) {
			AUTO(buf) struct buf b = BUF_INIT(1 << 20);

			mem_fail_after(nth);
			lists[i](&b);
			hit = mem_fail_after(-1);
			assert_int_equal(buf_ok(&b), hit ? -ENOMEM : 0);
			assert_true(hit || nth > 3);
		}
	}
}

/* ---- documents ---- */

/* Nothing is changed after the one change: a withdrawal that was lost must not wait for the next. */
static void a_run_that_was_lost_is_followed_by_another(void **state)
{
	unsigned int hits = 0;

	(void)state;
	for (long nth = 0; nth < 200; nth += 29) {
		uint64_t was = docs_generation(inside.docs), until = clock_boot_ns() + NS_PER_S;
		bool hit = false;

		w.documents = nth % 2 ? IDS CLOUDS MINE : IDS CLOUDS;
		compiler_run(&inside);
		while (!hit && docs_generation(inside.docs) == was && clock_boot_ns() < until)
			hit |= turn(nth);
		turns_until(docs_clouds(inside.docs)->n == (nth % 2 ? 3 : 1));
		hits += hit;
	}
	assert_true(hits > 2);
	apply(IDS CLOUDS MINE, -1);
	turns_until(w.cloud.bounds && inside.cloud->n_bindings == 3);
	assert_is_served(0, 0);
}

/* svidd ends a svid-core of which it hears nothing, and all identities with it. */
static void svidd_hears_of_the_loop_again(void **state)
{
	uint64_t until = clock_boot_ns() + 2 * LIM_ALIVE_MS * NS_PER_MS;
	unsigned int was = w.alive;

	(void)state;
	while (clock_boot_ns() < until)
		turn(0);
	assert_int_equal(w.alive, was);
	turns_until(w.alive > was);
}

static int setup(void **state)
{
	struct tree_stats s = { .reads = 0 };

	(void)state;
	if (geteuid() != 0)
		return -1;
	log_init("test", LOG_ERROR + (getenv("VERBOSE") ? 2 : 0));
	root = module_reader(0);
	other = module_reader(OTHER_UID);
	world_new(&w);
	w.ways.restart = true;
	w.documents = IDS CLOUDS MINE;
	inside_start(&w);
	module_start();
	for (int i = 0; i < 5000 && !(w.ready && s.complete && w.cloud.bounds); i++) {
		turn(-1);
		tree_get_stats(inside.tree, &s);
	}
	return w.ready && s.complete && w.cloud.bounds ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	kill(root, SIGKILL);
	kill(other, SIGKILL);
	waitpid(root, NULL, 0);
	waitpid(other, NULL, 0);
	world_free(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_are_answered_and_one_at_most_has_to_come_again),
		cmocka_unit_test(a_new_svid_cloud_is_told_everything),
		cmocka_unit_test(svidd_is_asked_for_it_until_it_was_told),
		cmocka_unit_test(what_is_withdrawn_is_taken_from_it),
		cmocka_unit_test(orders_end_whatever_allocation_failed),
		cmocka_unit_test(a_list_is_whole_or_none),
		cmocka_unit_test(a_run_that_was_lost_is_followed_by_another),
		cmocka_unit_test(svidd_hears_of_the_loop_again),
	};

	return cmocka_run_group_tests_name("fault/core_cloud", tests, setup, teardown);
}
