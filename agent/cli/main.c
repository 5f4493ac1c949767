// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - svid: from words to a row of verbs.c. Anybody runs it at a terminal; svidd runs `svid compile` unprivileged
 * (compile.c). Next: verbs.c, then fetch.c for a call on the Workload API, admin.c for one on admin.sock.
 */
#include <signal.h>
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/cli/compile.h"
#include "agent/cli/nearest.h"
#include "agent/cli/verbs.h"

static bool is_word(const struct options *o, size_t i, const char *word)
{
	return i < o->n_words && strcmp(o->words[i], word) == 0;
}

/* The verb at word @at; where @half is true the first of its two words is enough. */
static const struct verb *find(const struct options *o, size_t at, bool half)
{
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++)
		if (is_word(o, at, v->first) && (!v->second || is_word(o, at + 1, v->second) || (half && o->n_words == at + 1)))
			return v;
	return NULL;
}

/* The words of verbs that begin so: "fetch: x509, jwt, wit". */
static void put_seconds(struct buf *out, const char *first)
{
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++)
		if (v->second && strcmp(v->first, first) == 0)
			buf_printf(out, "%s%s", out->len ? ", " : "after it: ", v->second);
}

/* What was probably meant, as a command to type. */
static void put_nearest(struct buf *out, const char *first, const char *second)
{
	unsigned int best = NEAREST_NONE;
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++) {
		unsigned int cost = nearest_cost(first, v->first);

		if (v->second && second)
			cost += nearest_cost(second, v->second);
		if (cost >= best)
			continue;
		best = cost;
		buf_reset(out);
		buf_put_str(out, "did you mean: svid ");
		if (v->second && !second)
			buf_put_str(out, v->first);
		else
			verb_name(out, v);
	}
}

static int unknown_verb(const struct options *o, size_t at)
{
	const char *second = o->n_words > at + 1 ? o->words[at + 1] : NULL;
	AUTO(buf) struct buf typed = BUF_INIT(LIM_PATH);
	AUTO(buf) struct buf why = BUF_INIT(256);
	AUTO(buf) struct buf next = BUF_INIT(256);

	put_seconds(&why, o->words[at]);
	buf_printf(&typed, "%s%s%s", o->words[at], why.len && second ? " " : "", why.len && second ? second : "");
	if (why.len && !second)
		buf_printf(&next, "svid help %s", o->words[at]);
	else
		put_nearest(&next, o->words[at], second);
	cli_error(why.len && !second ? "half a verb:" : "unknown verb", buf_cstr(&typed),
		  why.len ? buf_cstr(&why) : "not in the list", next.len ? buf_cstr(&next) : "svid help");
	return CLI_USAGE;
}

/* `svid help VERB`, `svid VERB --help`. */
static int run_help(struct options *o)
{
	size_t at = is_word(o, 0, "help") && o->n_words > 1;
	const struct verb *v;

	o->cli.args = o->words + at;
	o->cli.n_args = o->n_words > at && at ? 1 : 0;
	if (o->n_words == at || o->cli.man || (!at && is_word(o, 0, "help")))
		return help(&o->cli);
	v = find(o, at, true);
	if (!v)
		return unknown_verb(o, at);
	return v->second && o->n_words == at + 1 ? help_of_all(v->first) : help_of(v);
}

static int wrong_count(const struct verb *v)
{
	AUTO(buf) struct buf name = BUF_INIT(256);
	AUTO(buf) struct buf why = BUF_INIT(256);
	AUTO(buf) struct buf next = BUF_INIT(256);

	verb_name(&name, v);
	buf_printf(&why, *v->args ? "it takes %s" : "it takes none%s", v->args);
	buf_put_str(&next, "svid help ");
	verb_name(&next, v);
	cli_error("wrong number of words after", buf_cstr(&name), buf_cstr(&why), buf_cstr(&next));
	return CLI_USAGE;
}

static int wrong_form(const struct verb *v, enum cli_output form)
{
	AUTO(buf) struct buf option = BUF_INIT(64);
	AUTO(buf) struct buf why = BUF_INIT(256);
	AUTO(buf) struct buf next = BUF_INIT(256);

	buf_printf(&option, "-o %s", output_name(form));
	buf_put_str(&why, "svid ");
	verb_name(&why, v);
	buf_put_str(&why, " knows ");
	verb_forms(&why, v->forms);
	buf_put_str(&next, "svid help ");
	verb_name(&next, v);
	cli_error("option", buf_cstr(&option), buf_cstr(&why), buf_cstr(&next));
	return CLI_USAGE;
}

static int wrong_option(const struct verb *v, const char *option, const char *why)
{
	AUTO(buf) struct buf next = BUF_INIT(256);

	buf_put_str(&next, "svid help ");
	verb_name(&next, v);
	cli_error("option", option, why, buf_cstr(&next));
	return CLI_USAGE;
}

/* What the options and words are worth to this verb; CLI_DONE: go on. */
static int check_use(const struct verb *v, const struct options *o)
{
	size_t n = o->n_words - (v->second ? 2 : 1);
	const char *unused = options_unused(o, v->uses);

	if (n < v->min_args || n > v->max_args)
		return wrong_count(v);
	if (!(v->forms & FORM(o->cli.output)))
		return wrong_form(v, o->cli.output);
	if (unused)
		return wrong_option(v, unused, "this verb has no use for it");
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
	o->cli.n_args = o->n_words - (v->second ? 2 : 1);
	return v->run(&o->cli);
}

static bool asks_help(const char *arg)
{
	return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

static int run_version(struct options *o)
{
	o->words[0] = "version";
	o->n_words = 1;
	return run(o);
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
		return run_version(&o);
	if (o.help || is_word(&o, 0, "help"))
		return run_help(&o);
	if (!o.n_words) {
		(void)help(&o.cli);
		return CLI_USAGE;
	}
	return run(&o);
}
