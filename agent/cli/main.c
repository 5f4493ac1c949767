/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - svid: the table of verbs. Anybody runs it at a terminal; svidd runs `svid compile` unprivileged
 * (compile.c). Next: fetch.c for a call on the Workload API, admin.c for one on admin.sock.
 */
#include <signal.h>
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/cli/cli.h"
#include "agent/cli/compile.h"
#include "agent/cli/options.h"

#define FORM(output) (1u << (output))
#define FORMS_VIEW (FORM(OUT_TEXT) | FORM(OUT_JSON))
#define FORMS_ALL (FORMS_VIEW | FORM(OUT_PEM))

struct verb {
	const char *first;
	const char *second; /* NULL: one word */
	const char *args;   /* for help */
	size_t n_args;
	unsigned int forms;
	int (*run)(const struct cli *c);
	const char *help;
};

static int help(const struct cli *c);
static int version(const struct cli *c);
static int policy_check(const struct cli *c);

static const struct verb verbs[] = {
	{ "fetch", "x509", "[--write DIR]", 0, FORMS_ALL, fetch_x509, "fetch my X.509-SVIDs and check them strictly" },
	{ "whoami", NULL, "", 0, FORMS_VIEW, who_am_i, "what the kernel recorded of me, which identities that gives, why not" },
	{ "bundle", "show", "", 0, FORMS_ALL, bundle_show, "the trust bundles" },
	{ "status", NULL, "", 0, FORMS_VIEW, admin_status, "the agent's state (root)" },
	{ "explain", NULL, "PID", 1, FORMS_VIEW, admin_explain, "whoami for another process (root)" },
	{ "doctor", NULL, "", 0, FORMS_VIEW, doctor, "what this machine allows, what is missing, what to do" },
	{ "policy", "check", "DIR|FILE", 1, FORMS_VIEW, policy_check, "compile policy documents as svidd would" },
	{ "help", NULL, "", 0, FORM(OUT_TEXT), help, "this text" },
	{ "version", NULL, "", 0, FORMS_VIEW, version, "print the version" },
};

static int help(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);

	(void)c;
	buf_put_str(&out, "svid - identities for workloads, by what the kernel saw (svidd's command line)\n\nVerbs\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		AUTO(buf) struct buf left = BUF_INIT(256);

		buf_printf(&left, "%s%s%s %s", verbs[i].first, verbs[i].second ? " " : "",
			   verbs[i].second ? verbs[i].second : "", verbs[i].args);
		buf_printf(&out, "  %-25s %s\n", buf_cstr(&left), verbs[i].help);
	}
	buf_put_str(&out, "\nOptions\n");
	options_help(&out);
	buf_put_str(&out, "\nExit codes\n"
			  "  0  done\n"
			  "  1  the answer is no: no identity issued, a check failed, a document is refused\n"
			  "  2  wrong usage\n"
			  "  3  the agent cannot be reached, or you may not speak with it\n"
			  "  4  the agent answered with an error, or not in time\n"
			  "  5  this machine failed: a file could not be written, memory is out\n");
	return cli_print(&out, CLI_DONE);
}

static int version(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(256);

	buf_printf(&out, c->output == OUT_JSON ? "{\"version\": \"%s\"}\n" : "svid %s\n", SVID_VERSION);
	return cli_print(&out, CLI_DONE);
}

/* Where options come before the verb; main() takes the usual order, with any number of files. */
static int policy_check(const struct cli *c)
{
	char *argv[] = { "check", "-o", c->output == OUT_JSON ? "json" : "text", (char *)c->args[0], NULL };

	return policy_check_main(ARRAY_SIZE(argv) - 1, argv);
}

static bool is_word(const struct options *o, size_t i, const char *word)
{
	return i < o->n_words && strcmp(o->words[i], word) == 0;
}

static const struct verb *find(const struct options *o)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (is_word(o, 0, verbs[i].first) && (!verbs[i].second || is_word(o, 1, verbs[i].second)))
			return &verbs[i];
	return NULL;
}

static int run(struct options *o)
{
	const struct verb *v = find(o);
	size_t n;

	if (!v) {
		cli_error("unknown verb", o->words[0], o->n_words > 1 ? o->words[1] : "not in the list", "svid help");
		return CLI_USAGE;
	}
	n = v->second ? 2 : 1;
	if (o->n_words - n != v->n_args) {
		cli_error("wrong number of words after", v->second ? v->second : v->first,
			  v->n_args ? "it takes one" : "it takes none", "svid help");
		return CLI_USAGE;
	}
	if (!(v->forms & FORM(o->cli.output))) {
		cli_error("option", "-o", "this verb has no such form", "svid help");
		return CLI_USAGE;
	}
	o->cli.args = o->words + n;
	o->cli.n_args = v->n_args;
	return v->run(&o->cli);
}

int main(int argc, char **argv)
{
	struct options o;

	/* These two read their own arguments: one is a machine's, the other takes any number of files. */
	if (argc > 1 && strcmp(argv[1], "compile") == 0)
		return compile_main(argc - 1, argv + 1);
	if (argc > 2 && strcmp(argv[1], "policy") == 0 && strcmp(argv[2], "check") == 0)
		return policy_check_main(argc - 2, argv + 2);
	signal(SIGPIPE, SIG_IGN);
	if (options_parse(argc, argv, getenv("SPIFFE_ENDPOINT_SOCKET"), &o))
		return CLI_USAGE;
	if (o.version)
		return version(&o.cli);
	if (o.help)
		return help(&o.cli);
	if (!o.n_words) {
		help(&o.cli);
		return CLI_USAGE;
	}
	return run(&o);
}
