// SPDX-License-Identifier: Apache-2.0
/* man.c - manual pages in mdoc(7), from the same tables as help: svid(1) here, the others in man_tables.c. svid. */
#include "agent/cli/man.h"

#include <ctype.h>

#define OUT_MAX (1u << 18)

void man_text(struct buf *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		/* A dot or quote that begins a line is a request. */
		if (!i && (text[i] == '.' || text[i] == '\''))
			buf_put_str(out, "\\&");
		if (text[i] == '\\')
			buf_put_str(out, "\\e");
		else if (text[i] == '-')
			buf_put_str(out, "\\-");
		else
			buf_put(out, text + i, 1);
	}
}

/* Where the line that begins at @at ends: at a newline, or behind a sentence. */
static size_t line_len(const char *at)
{
	size_t n = 0;

	while (at[n] && at[n] != '\n') {
		n++;
		if (n > 1 && strchr(".:?", at[n - 1]) && at[n] == ' ' && isupper((unsigned char)at[n + 1]) && at[n - 2] != ' ')
			break;
	}
	return n;
}

void man_words(struct buf *out, const char *text)
{
	while (*text) {
		size_t n = line_len(text);

		man_text(out, text, n);
		buf_put_str(out, "\n");
		text += n + (text[n] != 0);
	}
}

void man_begin(struct buf *out, const char *name, int section, const char *what)
{
	AUTO(buf) struct buf title = BUF_INIT(64);

	for (const char *p = name; *p; p++)
		buf_put_u8(&title, (uint8_t)toupper((unsigned char)*p));
	buf_printf(out, ".\\\" Made by svid help --man %s from its own tables.\n", name);
	buf_printf(out, ".Dd November 22, 2026\n.Dt %s %d\n.Os svidd %s\n.Sh NAME\n.Nm %s\n.Nd %s\n", buf_cstr(&title), section,
		   SVID_VERSION, name, what);
}

/* "text\n  example\n": what begins with blanks is shown as it would be typed. */
static void put_more(struct buf *out, const char *more)
{
	bool literal = false;

	while (*more) {
		bool example = strncmp(more, "  ", 2) == 0;
		size_t n = example ? strcspn(more, "\n") : line_len(more);

		if (example != literal)
			buf_put_str(out, example ? ".Bd -literal\n" : ".Ed\n.Pp\n");
		literal = example;
		man_text(out, more + (example ? 2 : 0), n - (example ? 2 : 0));
		buf_put_str(out, "\n");
		more += n + (more[n] != 0);
	}
	buf_put_str(out, literal ? ".Ed\n" : "");
}

static void put_option(struct buf *out, const struct option_view *o)
{
	/* "--socket" is ".Fl \-socket" in mdoc, which puts one dash there itself. */
	buf_put_str(out, ".It Fl ");
	man_text(out, o->name + 1, strlen(o->name + 1));
	if (o->value)
		buf_printf(out, " Ar %s", o->value);
	buf_put_str(out, "\n");
}

static void put_options(struct buf *out)
{
	buf_put_str(out, ".Sh OPTIONS\nOptions may stand before or behind the verb.\n.Bl -tag -width Ds\n");
	for (size_t i = 0; option_at(i).name; i++) {
		struct option_view o = option_at(i);

		if (!o.help)
			continue;
		put_option(out, &o);
		man_words(out, o.help);
	}
	buf_put_str(out, ".El\n");
}

static void put_used(struct buf *out, unsigned int uses)
{
	bool first = true;

	for (size_t i = 0; option_at(i).name; i++) {
		struct option_view o = option_at(i);

		if (!o.help || !(o.use & uses))
			continue;
		buf_put_str(out, first ? ".Pp\nOptions:\n" : " ,\n");
		buf_put_str(out, ".Fl ");
		man_text(out, o.name + 1, strlen(o.name + 1));
		first = false;
	}
	buf_put_str(out, first ? "" : "\n");
}

static void put_verb(struct buf *out, const struct verb *v)
{
	buf_put_str(out, ".It Cm ");
	verb_name(out, v);
	if (*v->args)
		buf_printf(out, " Ar %s", v->args);
	buf_put_str(out, "\n");
	man_words(out, v->help);
	buf_put_str(out, strncmp(v->more, "  ", 2) ? ".Pp\n" : "");
	put_more(out, v->more);
	put_used(out, v->uses);
}

static void put_verbs(struct buf *out)
{
	const struct verb *v;

	buf_put_str(out, ".Sh VERBS\n.Bl -tag -width Ds\n");
	for (size_t i = 0; (v = verb_at(i)); i++)
		put_verb(out, v);
	buf_put_str(out, ".El\n");
}

static void put_exits(struct buf *out)
{
	const struct exit_row *e;

	buf_put_str(out, ".Sh EXIT STATUS\n.Bl -tag -width Ds\n");
	for (size_t i = 0; (e = exit_at(i)); i++) {
		buf_printf(out, ".It %d\n", e->code);
		man_words(out, e->help);
	}
	buf_put_str(out, ".El\n");
}

static const char description[] =
	".Sh SYNOPSIS\n.Nm\n.Ar verb\n.Op Ar argument ...\n.Op Ar option ...\n"
	".Sh DESCRIPTION\n"
	".Nm\nasks\n.Xr svidd 8\nfor identities, as any workload does, and as root for what it knows and does.\n"
	"On the Workload API socket it has no rights of its own: it is attested as the program that it is.\n"
	"Text is for people; scripts use\n.Fl o Cm json ,\nwhich every verb has that shows something.\n"
	"What comes from outside is escaped on its way to the terminal.\n"
	"An error is two lines on standard error, with\n.Fl o Cm json\ntoo: what, where and why; then what to do next.\n"
	"Scripts look at the exit status.\n";

static const char rest[] =
	".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev SPIFFE_ENDPOINT_SOCKET\n"
	"Workload API socket, unless\n.Fl \\-socket\nnames it.\n.El\n"
	".Sh FILES\n.Bl -tag -width Ds\n"
	".It Pa /run/svid/public/api.sock\nWorkload API\n"
	".It Pa /run/svid/private/admin.sock\nfor root\n"
	".It Pa /var/log/svid\\-audit.jsonl\naudit log\n.El\n";

static int print_svid(void)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);

	man_begin(&out, "svid", 1, "identities for workloads, by what the kernel saw");
	buf_put_str(&out, description);
	put_verbs(&out);
	put_options(&out);
	buf_put_str(&out, rest);
	put_exits(&out);
	buf_put_str(&out, ".Sh SEE ALSO\n.Xr svid-policy 5 ,\n.Xr svid.yaml 5 ,\n.Xr svidd 8\n");
	return cli_print(&out, CLI_DONE);
}

int man_page(const char *name)
{
	if (strcmp(name, "svid") == 0)
		return print_svid();
	if (strcmp(name, "svidd") == 0)
		return man_svidd();
	if (strcmp(name, "svid.yaml") == 0)
		return man_settings();
	if (strcmp(name, "svid-policy") == 0)
		return man_policy();
	cli_error("no manual page is called", name, "svid, svidd, svid.yaml and svid-policy are known", "svid help --man svid");
	return CLI_USAGE;
}
