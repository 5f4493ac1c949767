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
	unsigned int uses; /* USES_* */
	int (*run)(const struct cli *c);
	const char *help;
	const char *more; /* for the verb's own help: what to know, then examples */
};

static int help(const struct cli *c);
static int version(const struct cli *c);
static int policy_check(const struct cli *c);

static const struct verb verbs[] = {
	{ "fetch", "x509", "[--write DIR]", 0, FORMS_ALL, USES_ALL & ~USES_ADMIN, fetch_x509,
	  "fetch my X.509-SVIDs and check them strictly",
	  "The caller is attested like any workload: by what runs, not by who asks.\n"
	  "  svid fetch x509                     one line for each thing that a client checks\n"
	  "  svid fetch x509 --write /run/app    files for programs that read files; keys are 0600\n" },
	{ "whoami", NULL, "", 0, FORMS_VIEW, USES_SOCKET | USES_OUTPUT | USES_TIMEOUT, who_am_i,
	  "what the kernel recorded of me, which identities that gives, why not",
	  "Anybody may ask, also without an identity. Run it as the workload would run:\n"
	  "  systemd-run --pipe --uid=app svid whoami\n" },
	{ "bundle", "show", "", 0, FORMS_ALL, USES_ALL & ~USES_WRITE, bundle_show, "the trust bundles",
	  "Root gets it from admin.sock, others need an identity.\n"
	  "  svid bundle show -o pem > bundle.pem\n" },
	{ "status", NULL, "", 0, FORMS_VIEW, USES_ADMIN | USES_OUTPUT | USES_TIMEOUT, admin_status,
	  "the agent's state (root)",
	  "Ends with 1 when nothing is served, when evidence is not whole, or when documents are stale.\n"
	  "  svid status -o json | jq .documents.errors\n" },
	{ "explain", NULL, "PID", 1, FORMS_VIEW, USES_ADMIN | USES_OUTPUT | USES_TIMEOUT, admin_explain,
	  "whoami for another process (root)",
	  "For a process that holds no connection: what it would get if it connected now.\n"
	  "  svid explain $(pidof -s app)\n" },
	{ "doctor", NULL, "", 0, FORMS_VIEW, USES_ALL & ~USES_WRITE, doctor,
	  "what this machine allows, what is missing, what to do",
	  "Runs without an agent too; as root beside a running one it knows which tier is in use and why.\n"
	  "  svid doctor\n" },
	{ "policy", "check", "DIR|FILE", 1, FORMS_VIEW, USES_OUTPUT, policy_check,
	  "compile policy documents as svidd would",
	  "Takes any number of files and directories; -c FILE checks them under that svid.yaml.\n"
	  "  svid policy check -c /etc/svid/svid.yaml /etc/svid/policy.d\n" },
	{ "help", NULL, "[VERB]", 0, FORM(OUT_TEXT), 0, help, "this text, or that of one verb",
	  "  svid help explain\n" },
	{ "version", NULL, "", 0, FORMS_VIEW, USES_OUTPUT, version, "print the version", "  svid version\n" },
};

static void put_usage(struct buf *out, const struct verb *v)
{
	buf_printf(out, "%s%s%s%s%s", v->first, v->second ? " " : "", v->second ? v->second : "", *v->args ? " " : "",
		   v->args);
}

static int help(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);

	(void)c;
	buf_put_str(&out, "svid - identities for workloads, by what the kernel saw (svidd's command line)\n\nVerbs\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		AUTO(buf) struct buf left = BUF_INIT(256);

		put_usage(&left, &verbs[i]);
		buf_printf(&out, "  %-25s %s\n", buf_cstr(&left), verbs[i].help);
	}
	buf_put_str(&out, "\nOptions\n");
	options_help(&out, USES_ALL);
	buf_put_str(&out, "\nExit codes\n"
			  "  0  done\n"
			  "  1  the answer is no: no identity issued, a check failed, a document is refused\n"
			  "  2  wrong usage\n"
			  "  3  the agent cannot be reached, or you may not speak with it\n"
			  "  4  the agent answered with an error, or not in time\n"
			  "  5  this machine failed: a file could not be written, memory is out\n");
	return cli_print(&out, CLI_DONE);
}

static int help_of(const struct verb *v)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 14);

	buf_put_str(&out, "svid ");
	put_usage(&out, v);
	buf_printf(&out, "\n  %s\n\n%s\nOptions\n", v->help, v->more);
	options_help(&out, v->uses);
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

/* The verb at word @at; where @half is true the first of its two words is enough. */
static const struct verb *find(const struct options *o, size_t at, bool half)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (is_word(o, at, verbs[i].first) && (!verbs[i].second || is_word(o, at + 1, verbs[i].second) ||
						       (half && o->n_words == at + 1)))
			return &verbs[i];
	return NULL;
}

static int unknown_verb(const struct options *o, size_t at)
{
	cli_error("unknown verb", o->words[at], o->n_words > at + 1 ? o->words[at + 1] : "not in the list", "svid help");
	return CLI_USAGE;
}

/* `svid help VERB`, `svid VERB --help`. */
static int run_help(const struct options *o)
{
	size_t at = is_word(o, 0, "help") && o->n_words > 1;
	const struct verb *v;

	if (o->n_words == at)
		return help(&o->cli);
	v = find(o, at, true);
	return v ? help_of(v) : unknown_verb(o, at);
}

/* What the options and words are worth to this verb; CLI_DONE: go on. */
static int check_use(const struct verb *v, const struct options *o)
{
	size_t n = v->second ? 2 : 1;

	if (o->n_words - n != v->n_args) {
		cli_error("wrong number of words after", v->second ? v->second : v->first,
			  v->n_args ? "it takes one" : "it takes none", "svid help");
		return CLI_USAGE;
	}
	if (!(v->forms & FORM(o->cli.output))) {
		cli_error("option", "-o", "this verb has no such form", "svid help");
		return CLI_USAGE;
	}
	if (o->cli.write_dir && !(v->uses & USES_WRITE)) {
		cli_error("option", "--write", "this verb writes no files", "svid help fetch");
		return CLI_USAGE;
	}
	/* What can also ask on admin.sock sees for itself. */
	return v->uses & USES_SOCKET && !(v->uses & USES_ADMIN) ? cli_env_error(&o->cli) : CLI_DONE;
}

static int run(struct options *o)
{
	const struct verb *v = find(o, 0, false);
	int code = v ? check_use(v, o) : unknown_verb(o, 0);

	if (code)
		return code;
	o->cli.args = o->words + (v->second ? 2 : 1);
	o->cli.n_args = v->n_args;
	return v->run(&o->cli);
}

static bool asks_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

int main(int argc, char **argv)
{
	struct options o;

	/* These two read their own arguments: one is a machine's, the other takes any number of files. */
	if (argc > 1 && strcmp(argv[1], "compile") == 0)
		return compile_main(argc - 1, argv + 1);
	if (argc > 2 && strcmp(argv[1], "policy") == 0 && strcmp(argv[2], "check") == 0 && !asks_help(argv[argc - 1]))
		return policy_check_main(argc - 2, argv + 2);
	signal(SIGPIPE, SIG_IGN);
	if (options_parse(argc, argv, getenv("SPIFFE_ENDPOINT_SOCKET"), &o))
		return CLI_USAGE;
	if (o.version)
		return version(&o.cli);
	if (o.help || is_word(&o, 0, "help"))
		return run_help(&o);
	if (!o.n_words) {
		help(&o.cli);
		return CLI_USAGE;
	}
	return run(&o);
}
