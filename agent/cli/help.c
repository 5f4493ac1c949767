// SPDX-License-Identifier: Apache-2.0
/* help.c - `svid help`: the tables as text. svid; man.c and completion.c print the same tables otherwise. */
#include "agent/cli/verbs.h"

#define WIDTH 80       /* of a terminal that nobody made larger */
#define VERB_COLUMN 34
#define OPTION_COLUMN 24

/* @text from column @column on, where the cursor is; what does not fit goes on below. Newlines are blanks. */
static void put_wrapped(struct buf *out, size_t column, struct slice text)
{
	size_t at = column;

	while (text.len) {
		size_t n = 0;

		while (n < text.len && text.p[n] != ' ' && text.p[n] != '\n')
			n++;
		if (at > column && at + 1 + n > WIDTH) {
			buf_printf(out, "\n%*s", (int)column, "");
			at = column;
		}
		buf_put_str(out, at > column ? " " : "");
		at += n + (at > column);
		buf_put_slice(out, slice_get_bytes(&text, n));
		if (text.len)
			(void)slice_get_u8(&text);
	}
	buf_put_str(out, "\n");
}

static void put_verbs(struct buf *out)
{
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++) {
		AUTO(buf) struct buf left = BUF_INIT(256);

		verb_usage(&left, v);
		buf_printf(out, "  %-*s", VERB_COLUMN - 2, buf_cstr(&left));
		if (left.len > VERB_COLUMN - 3)
			buf_printf(out, "\n%*s", VERB_COLUMN, "");
		put_wrapped(out, VERB_COLUMN, slice_str(v->help));
	}
}

static void put_forms(struct buf *out, unsigned int forms)
{
	verb_forms(out, forms);
	buf_put_str(out, forms & FORM(OUT_TEXT) && forms != FORM(OUT_TEXT) ? "; default text" : "");
}

/* Rows of the option table that @uses names, and those of every verb; of -o what @forms has. */
static void put_options(struct buf *out, unsigned int uses, unsigned int forms)
{
	for (size_t i = 0; option_at(i).name; i++) {
		struct option_view o = option_at(i);
		AUTO(buf) struct buf text = BUF_INIT(256);

		if (!o.help || (o.use && !(o.use & uses)))
			continue;
		if (o.use == USES_OUTPUT && forms)
			put_forms(&text, forms);
		else
			buf_put_str(&text, o.help);
		buf_printf(out, "  %-11s %-9s ", o.name, o.value ? o.value : "");
		put_wrapped(out, OPTION_COLUMN, buf_slice(&text));
	}
}

static void put_exits(struct buf *out)
{
	const struct exit_row *e;

	for (size_t i = 0; (e = exit_at(i)); i++) {
		buf_printf(out, "  %d  ", e->code);
		put_wrapped(out, 5, slice_str(e->help));
	}
}

int help(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);

	if (c->man)
		return man_page(c->n_args ? c->args[0] : "svid");
	buf_put_str(&out, "svid - identities for workloads, by what the kernel saw (svidd's command line)\n\nVerbs\n");
	put_verbs(&out);
	buf_put_str(&out, "\nOptions\n");
	put_options(&out, USES_ALL, 0);
	buf_put_str(&out, "\nExit codes\n");
	put_exits(&out);
	return cli_print(&out, CLI_DONE);
}

/* Paragraphs, and examples as they would be typed: lines that begin with blanks. */
static void put_more(struct buf *out, const char *more)
{
	while (*more) {
		bool example = strncmp(more, "  ", 2) == 0;
		const char *end = more;

		do {
			end += strcspn(end, "\n");
			end += *end != 0;
		} while (!example && *end && strncmp(end, "  ", 2) != 0);
		if (example)
			buf_put(out, more, (size_t)(end - more));
		else
			put_wrapped(out, 0, slice_of(more, (size_t)(end - more) - 1));
		more = end;
	}
}

static void put_verb(struct buf *out, const struct verb *v)
{
	buf_put_str(out, "svid ");
	verb_usage(out, v);
	buf_put_str(out, "\n  ");
	put_wrapped(out, 2, slice_str(v->help));
	buf_put_str(out, "\n");
	put_more(out, v->more);
	buf_put_str(out, "\n");
}

int help_of(const struct verb *v)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 14);

	put_verb(&out, v);
	buf_put_str(&out, "Options\n");
	put_options(&out, v->uses, v->forms);
	return cli_print(&out, CLI_DONE);
}

int help_of_all(const char *first)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 15);
	unsigned int uses = 0, forms = 0;
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++) {
		if (strcmp(v->first, first) != 0)
			continue;
		put_verb(&out, v);
		uses |= v->uses;
		forms |= v->forms;
	}
	buf_put_str(&out, "Options\n");
	put_options(&out, uses, forms);
	return cli_print(&out, CLI_DONE);
}
