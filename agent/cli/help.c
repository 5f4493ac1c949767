// SPDX-License-Identifier: Apache-2.0
/* help.c - `svid help`: the tables as text. svid; man.c and completion.c print the same tables otherwise. */
#include "agent/cli/verbs.h"

static void put_verbs(struct buf *out)
{
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++) {
		AUTO(buf) struct buf left = BUF_INIT(256);

		verb_usage(&left, v);
		if (left.len > 31)
			buf_printf(out, "  %s\n  %-31s %s\n", buf_cstr(&left), "", v->help);
		else
			buf_printf(out, "  %-31s %s\n", buf_cstr(&left), v->help);
	}
}

static void put_exits(struct buf *out)
{
	const struct exit_row *e;

	for (size_t i = 0; (e = exit_at(i)); i++)
		buf_printf(out, "  %d  %s\n", e->code, e->help);
}

int help(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);

	if (c->man)
		return man_page(c->n_args ? c->args[0] : "svid");
	buf_put_str(&out, "svid - identities for workloads, by what the kernel saw (svidd's command line)\n\nVerbs\n");
	put_verbs(&out);
	buf_put_str(&out, "\nOptions\n");
	options_help(&out, USES_ALL);
	buf_put_str(&out, "\nExit codes\n");
	put_exits(&out);
	return cli_print(&out, CLI_DONE);
}

static void put_verb(struct buf *out, const struct verb *v)
{
	buf_put_str(out, "svid ");
	verb_usage(out, v);
	buf_printf(out, "\n  %s\n\n%s\n", v->help, v->more);
}

int help_of(const struct verb *v)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 14);

	put_verb(&out, v);
	buf_put_str(&out, "Options\n");
	options_help(&out, v->uses);
	return cli_print(&out, CLI_DONE);
}

int help_of_all(const char *first)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 15);
	unsigned int uses = 0;
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++) {
		if (strcmp(v->first, first) != 0)
			continue;
		put_verb(&out, v);
		uses |= v->uses;
	}
	buf_put_str(&out, "Options\n");
	options_help(&out, uses);
	return cli_print(&out, CLI_DONE);
}
