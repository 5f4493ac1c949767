/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - svid-conformance: holds any Workload API socket against the clause table. It is an ordinary
 * workload: the server knows it by what it is, so the operator's policy must give it an identity
 * (or none, with --expect none). Start reading at clauses.tsv, then any file of tests.
 */
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conformance/clauses.h"
#include "conformance/foreign.h"
#include "conformance/sds.h"
#include "conformance/selftest.h"

static const struct test *const tables[] = {
	status_tests, grpc_tests, conn_tests, hostile_tests, id_tests, leaf_tests, response_tests,
	jwt_tests, bundle_tests, validate_tests, wit_tests, reflection_tests, sds_tests, sds_form_tests,
	sds_delta_tests, sds_watch_tests,
};

struct options {
	const char *only, *clauses, *foreign, *make_foreign, *sds;
	bool delta, json, selftest, list;
};

static const char usage[] =
	"usage: svid-conformance --socket PATH [options]\n"
	"  --socket PATH        Unix socket of the Workload API\n"
	"  --expect identity    the policy gives this program an identity (default)\n"
	"  --expect none        it gives none\n"
	"  --first SPIFFE-ID    the default identity of this program, for WA-8-1\n"
	"  --watch SECONDS      wait that long for a rotation, for WA-4.3-1\n"
	"  --foreign DIR        sign tokens with the keys in DIR; the server has the bundles there for this program\n"
	"  --make-foreign DIR   make these keys and bundles; no socket needed\n"
	"  --wit                the operator offers the WIT-SVID profile\n"
	"  --only CLAUSE        run the tests of one clause, or of all that begin so (WE-)\n"
	"  --sds NAME,NAME...   no tests: subscribe to these secrets and print each answer, as JSON, for --watch SECONDS\n"
	"  --delta              the same, incrementally\n"
	"  --clauses FILE       clause table (default: conformance/clauses.tsv beside this program's tree)\n"
	"  -o json              one JSON object per line\n"
	"  --list               print the clauses and their status; no socket needed\n"
	"  --selftest           show that the tests fail against broken answers; no socket needed\n";

static int bad_usage(void)
{
	fputs(usage, stderr);
	return 2;
}

static int parse_options(int argc, char **argv, struct run *r, struct options *o)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },  { "expect", required_argument, NULL, 'e' },
		{ "first", required_argument, NULL, 'f' },   { "watch", required_argument, NULL, 'w' },
		{ "only", required_argument, NULL, 'O' },    { "clauses", required_argument, NULL, 'c' },
		{ "output", required_argument, NULL, 'o' },  { "list", no_argument, NULL, 'l' },
		{ "selftest", no_argument, NULL, 'S' },	     { "help", no_argument, NULL, 'h' },
		{ "foreign", required_argument, NULL, 'F' }, { "make-foreign", required_argument, NULL, 'M' },
		{ "wit", no_argument, NULL, 'W' },	     { "sds", required_argument, NULL, 'D' },
		{ "delta", no_argument, NULL, 'd' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1) {
		if (c == 's')
			r->socket = optarg;
		else if (c == 'e' && (strcmp(optarg, "none") == 0 || strcmp(optarg, "identity") == 0))
			r->mode = optarg[0] == 'n' ? MODE_NONE : MODE_IDENTITY;
		else if (c == 'f')
			r->first_id = optarg;
		else if (c == 'w')
			r->watch_s = (int)strtol(optarg, NULL, 10);
		else if (c == 'O')
			o->only = optarg;
		else if (c == 'c')
			o->clauses = optarg;
		else if (c == 'o' && strcmp(optarg, "json") == 0)
			o->json = true;
		else if (c == 'l')
			o->list = true;
		else if (c == 'S')
			o->selftest = true;
		else if (c == 'W')
			r->wit = true;
		else if (c == 'D')
			o->sds = optarg;
		else if (c == 'd')
			o->delta = true;
		else if (c == 'F')
			o->foreign = optarg;
		else if (c == 'M')
			o->make_foreign = optarg;
		else
			return bad_usage();
	}
	return optind != argc || (!r->socket && !o->list && !o->selftest && !o->make_foreign) ? bad_usage() : 0;
}

/* The table belongs to the tree that this program was built in: up from build/bin or build/san/bin. */
static void find_clauses(char *ret_path, size_t room)
{
	char at[PATH_MAX] = "";

	if (readlink("/proc/self/exe", at, sizeof(at) - 1) < 0)
		at[0] = '\0';
	for (char *dir = dirname(at); strlen(dir) > 1; dir = dirname(dir)) {
		snprintf(ret_path, room, "%s/conformance/clauses.tsv", dir);
		if (access(ret_path, R_OK) == 0)
			return;
	}
	snprintf(ret_path, room, "conformance/clauses.tsv");
}

static void print_json(const char *result, const struct test *t, const char *why)
{
	AUTO(buf) struct buf b = BUF_INIT(16384);

	buf_printf(&b, "{\"result\":\"%s\",\"clause\":\"%s\",\"what\":", result, t->clause);
	buf_put_json(&b, slice_str(t->what));
	if (*why) {
		buf_put_str(&b, ",\"why\":");
		buf_put_json(&b, slice_str(why));
	}
	printf("%s}\n", buf_cstr(&b));
}

static void print_result(const struct options *o, const struct test *t, enum verdict v, const char *why)
{
	static const char *const words[] = { "pass", "fail", "skip", "n/a " };

	if (v == PASS)
		why = "";
	if (o->json)
		print_json(words[v], t, why);
	else
		printf("%s  %-12s %s%s%s\n", words[v], t->clause, t->what, *why ? ": " : "", why);
	fflush(stdout);
}

static void run_all(struct run *r, const struct options *o, size_t counts[4])
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		for (const struct test *t = tables[i]; t->clause; t++) {
			if (!(t->mode & r->mode) || (o->only && strncmp(t->clause, o->only, strlen(o->only)) != 0))
				continue;
			r->why[0] = '\0';
			r->test = t;
			enum verdict v = t->run(r);

			counts[v]++;
			print_result(o, t, v, r->why);
		}
	}
}

static int list(const struct clauses *c)
{
	for (size_t i = 0; i < c->n; i++)
		printf("%-14s %-4s %s\n", c->at[i].id, c->at[i].level, c->at[i].status);
	return 0;
}

static void summary(const struct options *o, const struct clauses *c, const size_t n[4])
{
	if (o->json) {
		printf("{\"passed\":%zu,\"failed\":%zu,\"skipped\":%zu,\"clauses\":%zu,\"tested\":%zu,\"with_reason\":%zu}\n",
		       n[PASS], n[FAIL], n[SKIP], c->n, c->tested, c->reasoned);
		return;
	}
	printf("clauses: %zu bind, %zu tested, %zu with reason: %zu %% accounted for\n", c->n, c->tested, c->reasoned,
	       c->n ? (c->tested + c->reasoned) * 100 / c->n : 0);
	printf("%zu passed, %zu failed, %zu skipped\n", n[PASS], n[FAIL], n[SKIP]);
}

int main(int argc, char **argv)
{
	static struct run r = { .mode = MODE_IDENTITY };
	static struct clauses clauses;
	static struct foreign foreign;
	struct options o = { 0 };
	char path[PATH_MAX + 64];
	size_t counts[4] = { 0 };

	if (parse_options(argc, argv, &r, &o))
		return 2;
	if (o.make_foreign)
		return foreign_make(o.make_foreign) ? 1 : 0;
	signal(SIGPIPE, SIG_IGN);
	if (o.sds && r.socket)
		return sds_watch(r.socket, o.delta, o.sds, r.watch_s);
	r.svid_bytes = (struct buf)BUF_INIT(WIRE_BODY);
	r.bundle_bytes = (struct buf)BUF_INIT(WIRE_BODY);
	find_clauses(path, sizeof(path));
	int err = clauses_load(o.clauses ? o.clauses : path, &clauses);

	if (err) {
		fprintf(stderr, "%s: %s\n", o.clauses ? o.clauses : path, strerror(-err));
		return 2;
	}
	if (clauses_agree(&clauses, tables, ARRAY_SIZE(tables)))
		return 1;
	if (o.list)
		return list(&clauses);
	if (o.selftest)
		return selftest(&r, tables, ARRAY_SIZE(tables));
	if (o.foreign && foreign_load(o.foreign, &foreign)) {
		fprintf(stderr, "%s: not what --make-foreign made\n", o.foreign);
		return 2;
	}
	r.foreign = o.foreign ? &foreign : NULL;
	run_all(&r, &o, counts);
	summary(&o, &clauses, counts);
	run_forget(&r);
	buf_done(&r.svid_bytes);
	buf_done(&r.bundle_bytes);
	foreign_done(&foreign);
	clauses_done(&clauses);
	return counts[FAIL] || !(counts[PASS] + counts[SKIP]) ? 1 : 0;
}
