/* links: agent/core agent/db agent/sandbox tests/role/core_world.c tests/role/core_fronts.c tests/role/core_clients.c tests/role/core_inside.c tests/role/core_module.c tests/lib/tree_queue.c */
/* links: agent/parent/spawn.c agent/parent/roles.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_tree_test.c - reads in the credential tree through all of svid-core: record, decision, the front of the reader's own
 * set, and its answer. This test is the kernel module and every sibling. Must run as root.
 */
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
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/uuid.h"
#include "agent/core/front_table.h"
#include "tests/role/core_module.h"

#define OTHER_UID 48700
#define NOBODY_UID 48701
#define ROOT_DOC "root {\"workloadID\":\"root\",\"selectors\":[{\"unix:uid\":[\"0\"]}]}"
#define OTHER_DOC "other {\"workloadID\":\"other\",\"selectors\":[{\"unix:uid\":[\"48700\"]}]}"
#define CERT "self/svid/cert.pem"

static struct world w;
static pid_t root, other, nobody;

/* ---- turns ---- */

static void turn(void)
{
	inside_turn(&w, -1);
}

#define until(cond) INSIDE_UNTIL(cond, turn())

static const struct module_answer *answer_of(uint64_t id)
{
	until(module.answers[id].there);
	return &module.answers[id];
}

static const struct module_answer *read_once(pid_t pid, uid_t uid, const char *path)
{
	return answer_of(module_ask(pid, uid, path));
}

static const char *path_of(const char *name, const char *file)
{
	static char path[128];
	char url[64], uuid[UUID_TEXT];

	snprintf(url, sizeof(url), "spiffe://example.org/%s", name);
	uuid_of_url(slice_str(url), uuid);
	snprintf(path, sizeof(path), "%s/svid/%s", uuid, file);
	return path;
}

static struct world_front *front_that_made(const struct module_answer *a)
{
	unsigned int number;

	assert_int_equal(a->err, 0);
	assert_int_equal(sscanf(a->text, "front %u", &number), 1);
	return world_front_of(&w, number);
}

static void documents(const char *text)
{
	uint64_t was = docs_generation(inside.docs);
	struct tree_stats s;

	w.documents = text;
	compiler_run(&inside);
	until(docs_generation(inside.docs) != was);
	do {
		turn();
		tree_get_stats(inside.tree, &s);
	} while (!s.complete);
}

static unsigned int lines(const char *text)
{
	static char log[1u << 20];
	int fd = open(world_path(&w, "audit.log"), O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, log, sizeof(log) - 1);
	unsigned int n = 0;

	close(fd);
	assert_true(len >= 0);
	log[len] = 0;
	for (char *rest = log, *line; (line = strsep(&rest, "\n"));)
		n += strstr(line, text) != NULL;
	return n;
}

/* From now on fronts answer so, and are asked. */
static void fronts_do(enum world_file how)
{
	front_kept_done(inside.fronts);
	w.ways.front_file = how;
}

/* ---- the tests ---- */

static void each_reader_gets_the_file_of_his_own_front(void **state)
{
	const struct module_answer *mine, *his;

	(void)state;
	mine = read_once(root, 0, CERT);
	his = read_once(other, OTHER_UID, CERT);
	assert_ptr_not_equal(front_that_made(mine), front_that_made(his));
	assert_string_not_equal(strstr(mine->text, "identity"), strstr(his->text, "identity"));
	assert_string_equal(read_once(root, 0, path_of("root", "cert.pem"))->text, mine->text);
	assert_int_equal(read_once(root, 0, path_of("other", "cert.pem"))->err, EACCES);
	assert_int_equal(read_once(other, OTHER_UID, path_of("root", "key.pem"))->err, EACCES);
	assert_int_equal(read_once(nobody, NOBODY_UID, CERT)->err, EACCES);
	assert_int_equal(read_once(nobody, NOBODY_UID, path_of("root", "cert.pem"))->err, EACCES);
	assert_int_equal(lines("\"event\":\"read\",\"allowed\":true,\"file\":\"self/svid/cert.pem\","
			       "\"spiffe_id\":\"spiffe://example.org/root\""), 1);
	assert_int_equal(lines("\"event\":\"read\",\"allowed\":false,\"why\":\"EACCES\",\"file\":\"self/svid/cert.pem\","
			       "\"decision\":\"none\""), 1);
}

static void every_kind_of_file_is_asked_for(void **state)
{
	(void)state;
	assert_int_equal(module.names, 3 * SVID_FILE_COUNT);
	for (unsigned int i = 0; i < SVID_FILE_COUNT; i++) {
		const struct module_answer *a = read_once(root, 0, path_of("root", svid_file_name(i)));
		unsigned int front, identity, what = 99;

		assert_int_equal(sscanf(a->text, "front %u identity %u what %u", &front, &identity, &what), 3);
		assert_int_equal(what, i);
	}
}

/* Nothing is remembered of them in this tier, so each is asked about: not all are served in their time, but all are answered. */
static void a_thousand_readers_are_all_answered(void **state)
{
	static uint64_t ids[LIM_TREE_READS - 24];
	uint64_t start = clock_boot_ns(), longest = 0;
	unsigned int given = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = module_ask(i % 2 ? other : root, 0, CERT);
	while (module.queue.n) {
		uint64_t t = clock_boot_ns();

		assert_int_equal(loop_once(inside.loop, 1), 0);
		t = clock_boot_ns() - t;
		longest = t > longest ? t : longest;
		world_step(&w, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		given += !answer_of(ids[i])->err;
	assert_true(given > 100);
	assert_int_equal(read_once(root, 0, CERT)->err, 0);
	print_message("%zu reads, %u given, in %u ms, longest turn %u us\n", ARRAY_SIZE(ids), given,
		      (unsigned int)((clock_boot_ns() - start) / NS_PER_MS), (unsigned int)(longest / 1000));
}

/* Several of one set, or one who opens it again, wait for no front; the next state and the next second do. */
static void what_a_front_made_is_given_again_for_a_moment(void **state)
{
	struct world_front *f = front_that_made(read_once(root, 0, CERT));
	struct idset *set;
	const struct identity *doc = policy_at(docs_policy(inside.docs), 1);
	unsigned int files;

	(void)state;
	fronts_do(FILE_MADE);
	files = f->files;
	for (int i = 0; i < 5; i++)
		assert_int_equal(read_once(root, 0, i % 2 ? CERT : path_of("root", "cert.pem"))->err, 0);
	assert_int_equal(f->files, files + 1);
	assert_int_equal(read_once(root, 0, path_of("root", "key.pem"))->err, 0);
	assert_int_equal(f->files, files + 2);
	assert_int_equal(fronts_set(inside.fronts, &doc, 1, &set), 0);
	set->acknowledged--; /* a state is on its way to it */
	assert_int_equal(read_once(root, 0, CERT)->err, 0);
	assert_int_equal(f->files, files + 3);
	set->acknowledged++;
	assert_int_equal(read_once(root, 0, CERT)->err, 0);
	assert_int_equal(f->files, files + 3);
	usleep(LIM_TREE_KEPT_MS * 1000);
	turn();
	for (size_t i = 0; i < FRONT_FILES_KEPT; i++)
		assert_int_equal(inside.fronts->kept[i].fd, -1);
	assert_int_equal(read_once(root, 0, CERT)->err, 0);
	assert_int_equal(f->files, files + 4);
}

static void a_front_that_says_nothing_costs_its_reader_the_deadline(void **state)
{
	struct world_front *f = front_that_made(read_once(root, 0, CERT));
	unsigned int files = f->files, kills = w.kills;
	struct msg_F_FILE late;
	uint64_t id;

	(void)state;
	fronts_do(FILE_SILENT);
	id = module_ask(root, 0, CERT);
	until(f->files == files + 1);
	late = f->last_file;
	w.ways.front_file = FILE_MADE;
	assert_int_equal(read_once(root, 0, CERT)->err, 0); /* others go on */
	assert_int_equal(answer_of(id)->err, ETIMEDOUT);
	world_give_file(f, &late, FILE_MADE); /* closed without a word */
	assert_int_equal(read_once(root, 0, CERT)->err, 0);
	assert_int_equal(w.kills, kills);
}

static void what_a_front_does_not_have_is_not_there_now(void **state)
{
	(void)state;
	fronts_do(FILE_REFUSED);
	assert_int_equal(read_once(root, 0, CERT)->err, ETIMEDOUT);
	w.ways.front_file = FILE_MADE;
	assert_int_equal(read_once(root, 0, CERT)->err, 0);
}

static void a_front_that_lies_about_a_file_is_replaced(void **state)
{
	static const enum world_file lies[] = { FILE_NOT_SEALED, FILE_SHORT, FILE_OF_ANOTHER };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		struct world_front *f = front_that_made(read_once(root, 0, CERT)), *next;
		unsigned int kills = w.kills;
		uint64_t id;

		fronts_do(lies[i]);
		id = module_ask(root, 0, CERT);
		until(w.kills == kills + 1);
		w.ways.front_file = FILE_MADE;
		next = front_that_made(answer_of(id));
		assert_ptr_not_equal(next, f);
	}
}

static void a_front_that_dies_is_no_end_of_a_read(void **state)
{
	struct world_front *f = front_that_made(read_once(root, 0, CERT));
	unsigned int files = f->files;
	uint32_t number = f->number;
	uint64_t id;

	(void)state;
	fronts_do(FILE_SILENT);
	id = module_ask(root, 0, CERT);
	until(f->files == files + 1);
	w.ways.front_file = FILE_MADE;
	world_close_fd(&f->fd);
	assert_int_equal(ipc_put(w.svidd, P_EXIT, 0, .role = ROLE_FRONT, .index = number, .status = SIGSEGV), 0);
	assert_int_not_equal(front_that_made(answer_of(id))->number, number);
}

static void a_set_that_is_only_read_from_ends_later(void **state)
{
	const struct identity *doc = policy_at(docs_policy(inside.docs), 1);
	struct idset *set;

	(void)state;
	assert_string_equal(doc->name, "root");
	assert_int_equal(read_once(root, 0, CERT)->err, 0);
	assert_int_equal(fronts_set(inside.fronts, &doc, 1, &set), 0);
	assert_true(loop_timer_armed(&set->idle));
	fronts_do(FILE_SILENT);
	answer_of(module_ask(root, 0, path_of("other", "cert.pem")));
	module_ask(root, 0, CERT);
	until(!loop_timer_armed(&set->idle));
	w.ways.front_file = FILE_MADE;
	until(loop_timer_armed(&set->idle));
}

static void a_document_that_goes_takes_its_readers_with_it(void **state)
{
	struct world_front *f = front_that_made(read_once(other, OTHER_UID, CERT));
	unsigned int files = f->files;
	uint64_t by_name, by_self, start;

	(void)state;
	fronts_do(FILE_SILENT);
	by_name = module_ask(other, OTHER_UID, path_of("other", "cert.pem"));
	by_self = module_ask(other, OTHER_UID, CERT);
	until(f->files == files + 2);
	start = clock_boot_ns();
	documents(ROOT_DOC);
	assert_int_equal(answer_of(by_name)->err, ENOENT);
	assert_int_equal(answer_of(by_self)->err, ENOENT);
	assert_true(clock_boot_ns() - start < 2 * NS_PER_S);
	assert_int_equal(read_once(other, OTHER_UID, CERT)->err, EACCES);
	w.ways.front_file = FILE_MADE;
	assert_int_equal(module.names, 2 * SVID_FILE_COUNT);
	documents(ROOT_DOC "\n" OTHER_DOC);
	assert_int_equal(read_once(other, OTHER_UID, CERT)->err, 0);
}

/* The front had made it already when the documents changed: what counts is who he is when the answer leaves. */
static void documents_that_change_before_the_answer_count(void **state)
{
	struct world_front *f = front_that_made(read_once(other, OTHER_UID, CERT));
	unsigned int files = f->files;
	uint64_t id;

	(void)state;
	fronts_do(FILE_SILENT);
	id = module_ask(other, OTHER_UID, CERT);
	until(f->files == files + 1);
	documents(ROOT_DOC "\nother {\"workloadID\":\"other\",\"selectors\":[{\"unix:uid\":[\"7\"]}]}");
	world_give_file(f, &f->last_file, FILE_MADE);
	assert_int_equal(answer_of(id)->err, EACCES);
	w.ways.front_file = FILE_MADE;
	documents(ROOT_DOC "\n" OTHER_DOC);
	assert_int_equal(read_once(other, OTHER_UID, CERT)->err, 0);
}

static void a_reader_that_is_gone_gets_nothing(void **state)
{
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(read_once(pid, 0, CERT)->err, ETIMEDOUT);
}

static void status_tells_of_the_tree(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);

	(void)state;
	status_put(&inside, &b);
	assert_non_null(strstr(buf_cstr(&b), "\"tree\":{\"delivery\":\"sysfs\""));
	assert_non_null(strstr(buf_cstr(&b), "\"complete\":true,\"files\":15,\"identities\":2"));
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
	nobody = module_reader(NOBODY_UID);
	world_new(&w);
	w.documents = ROOT_DOC "\n" OTHER_DOC;
	inside_start(&w);
	module_start();
	for (int i = 0; i < 3000 && !(w.ready && s.complete); i++) {
		turn();
		tree_get_stats(inside.tree, &s);
	}
	return w.ready && s.complete ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		pid_t pid = i == 0 ? root : i == 1 ? other : nobody;

		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	world_free(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reader_gets_the_file_of_his_own_front),
		cmocka_unit_test(every_kind_of_file_is_asked_for),
		cmocka_unit_test(a_thousand_readers_are_all_answered),
		cmocka_unit_test(what_a_front_made_is_given_again_for_a_moment),
		cmocka_unit_test(a_front_that_says_nothing_costs_its_reader_the_deadline),
		cmocka_unit_test(what_a_front_does_not_have_is_not_there_now),
		cmocka_unit_test(a_front_that_lies_about_a_file_is_replaced),
		cmocka_unit_test(a_front_that_dies_is_no_end_of_a_read),
		cmocka_unit_test(a_set_that_is_only_read_from_ends_later),
		cmocka_unit_test(a_document_that_goes_takes_its_readers_with_it),
		cmocka_unit_test(documents_that_change_before_the_answer_count),
		cmocka_unit_test(a_reader_that_is_gone_gets_nothing),
		cmocka_unit_test(status_tells_of_the_tree),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
