// SPDX-License-Identifier: Apache-2.0
/*
 * completion.c - `svid completion bash|zsh`: shell functions with the tables of verbs.c and options.c in them. The logic is
 * the same for both: find the verb among the words, then offer its options, its words, or files. svid.
 */
#include <ctype.h>

#include "agent/cli/env_form.h"
#include "agent/cli/verbs.h"

#define OUT_MAX (1u << 18)

/* What a value or an argument may be. */
static bool has_file(const char *args)
{
	return strstr(args, "FILE") || strstr(args, "DIR") || strstr(args, "PATH");
}

/* "x509|jwt" and "aws|gcp SOURCE" as "x509 jwt" and "aws gcp"; nothing where the first is the name of a thing. */
static void put_words(struct buf *out, const char *args)
{
	for (const char *p = args; *p && *p != ' '; p++)
		if (isupper((unsigned char)*p) || *p == '[')
			return;
	for (; *args && *args != ' '; args++)
		buf_put_u8(out, *args == '|' ? ' ' : (uint8_t)*args);
}

static void put_options(struct buf *out, unsigned int uses)
{
	bool first = true;

	for (size_t i = 0; option_at(i).name; i++) {
		struct option_view o = option_at(i);

		if (o.use && !(o.use & uses))
			continue;
		buf_printf(out, "%s%s", first ? "" : " ", o.name);
		first = false;
	}
}

static void put_forms(struct buf *out, unsigned int forms)
{
	bool first = true;

	for (unsigned int i = 0; i < OUT_COUNT; i++) {
		if (!(forms & FORM(i)))
			continue;
		buf_printf(out, "%s%s", first ? "" : " ", output_name((enum cli_output)i));
		first = false;
	}
}

/* The options that take a value, as a case pattern. */
static void put_valued(struct buf *out)
{
	bool first = true;

	for (size_t i = 0; option_at(i).name; i++) {
		if (!option_at(i).value)
			continue;
		buf_printf(out, "%s%s", first ? "" : "|", option_at(i).name);
		first = false;
	}
}

/* The options whose value is a file. */
static void put_file_valued(struct buf *out)
{
	bool first = true;

	for (size_t i = 0; option_at(i).name; i++) {
		const char *value = option_at(i).value;

		if (!value || !has_file(value))
			continue;
		buf_printf(out, "%s%s", first ? "" : "|", option_at(i).name);
		first = false;
	}
}

static bool is_repeated(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(verb_at(k)->first, verb_at(i)->first) == 0)
			return true;
	return false;
}

/* The second words of a verb, "" for one of one word. */
static void put_seconds(struct buf *out, const char *first)
{
	const struct verb *v;
	bool begun = false;

	for (size_t i = 0; (v = verb_at(i)); i++) {
		if (strcmp(v->first, first) != 0 || !v->second)
			continue;
		buf_printf(out, "%s%s", begun ? " " : "", v->second);
		begun = true;
	}
}

/* The verb of that one word, NULL when a second always follows. */
static const struct verb *alone(const char *first)
{
	const struct verb *v;

	for (size_t i = 0; (v = verb_at(i)); i++)
		if (strcmp(v->first, first) == 0 && !v->second)
			return v;
	return NULL;
}

/* Its first word, where others follow; it may be a verb by itself. */
static void put_first(struct buf *out, const char *first)
{
	const struct verb *v = alone(first);

	buf_printf(out, "\t\"%s\") offer=\"", first);
	put_seconds(out, first);
	buf_put_str(out, "\" options=\"");
	if (v)
		put_options(out, v->uses);
	else
		buf_put_str(out, "--help");
	buf_put_str(out, "\" forms=\"");
	if (v)
		put_forms(out, v->forms);
	buf_put_str(out, "\" ;;\n");
}

static void put_verb(struct buf *out, const struct verb *v)
{
	buf_put_str(out, "\t\"");
	verb_name(out, v);
	buf_put_str(out, "\") options=\"");
	put_options(out, v->uses);
	buf_put_str(out, "\" forms=\"");
	put_forms(out, v->forms);
	buf_put_str(out, "\" offer=\"");
	put_words(out, v->args);
	buf_printf(out, "\" files=%d ;;\n", has_file(v->args));
}

static void put_firsts(struct buf *out)
{
	for (size_t i = 0; verb_at(i); i++)
		if (!is_repeated(i))
			buf_printf(out, "%s%s", i ? " " : "", verb_at(i)->first);
}

/* Sets options, forms, offer (words) and files for the verb in $1, "" while it is not known. */
static void put_tables(struct buf *out)
{
	const struct verb *v;

	buf_put_str(out, "_svid_verb() {\n\toptions= forms= offer= files=0\n\tcase \"$1\" in\n\t\"\") offer=\"");
	put_firsts(out);
	buf_put_str(out, "\" options=\"");
	put_options(out, USES_ALL);
	buf_put_str(out, "\" ;;\n");
	for (size_t i = 0; (v = verb_at(i)); i++) {
		if (v->second && !is_repeated(i))
			put_first(out, v->first);
		if (v->second || !is_repeated(i))
			put_verb(out, v);
	}
	buf_put_str(out, "\tesac\n}\n\n");
}

/*
 * Reads the words in $@ (all but the one at the cursor): verb gets what is known of it, after the option whose value is
 * wanted next, n the number of words behind the verb.
 */
static void put_scan(struct buf *out)
{
	buf_put_str(out, "_svid_scan() {\n\tlocal word\n\tverb= after= n=0\n\tfor word in \"$@\"; do\n"
			 "\t\tif [ -n \"$after\" ]; then after=; continue; fi\n\t\tcase \"$word\" in\n\t\t");
	put_valued(out);
	buf_put_str(out, ") after=$word ;;\n\t\t-?*) ;;\n\t\t*)\n\t\t\t_svid_verb \"${verb:+$verb }$word\"\n"
			 "\t\t\tif [ -n \"$options\" ]; then verb=\"${verb:+$verb }$word\"; else n=$((n + 1)); fi ;;\n"
			 "\t\tesac\n\tdone\n\t_svid_verb \"$verb\"\n\tif [ \"$verb\" = help ]; then _svid_verb \"\"; fi\n"
			 "\tif [ $n -gt 0 ]; then offer=; fi\n"
			 "\tcase \"$after\" in\n\t-o|--format) options= offer=$forms files=0 ;;\n");
	buf_printf(out, "\t--for) options= offer=\"%s\" files=0 ;;\n\t", env_form_names());
	put_file_valued(out);
	buf_put_str(out, ") options= offer= files=1 ;;\n\t?*) options= offer= files=0 ;;\n\tesac\n}\n\n");
}

static const char bash_rest[] =
	"_svid() {\n"
	"\tlocal verb after n options forms offer files cur=${COMP_WORDS[COMP_CWORD]}\n"
	"\t_svid_scan \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
	"\tCOMPREPLY=()\n"
	"\tcase \"$cur\" in\n"
	"\t-*) COMPREPLY=($(compgen -W \"$options\" -- \"$cur\")) ;;\n"
	"\t*)\n"
	"\t\tCOMPREPLY=($(compgen -W \"$offer\" -- \"$cur\"))\n"
	"\t\tif [ \"$files\" = 1 ]; then\n"
	"\t\t\tlocal IFS=$'\\n'\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\tCOMPREPLY+=($(compgen -f -- \"$cur\"))\n"
	"\t\tfi ;;\n"
	"\tesac\n"
	"}\n"
	"complete -F _svid svid\n";

static const char zsh_rest[] =
	"_svid() {\n"
	"\tlocal verb after n options forms offer files cur=${words[CURRENT]}\n"
	"\t_svid_scan \"${(@)words[2,CURRENT-1]}\"\n"
	"\tcase \"$cur\" in\n"
	"\t-*) compadd -- ${=options} ;;\n"
	"\t*)\n"
	"\t\tif [ -n \"$offer\" ]; then compadd -- ${=offer}; fi\n"
	"\t\tif [ \"$files\" = 1 ]; then _files; fi ;;\n"
	"\tesac\n"
	"}\n"
	"if [ \"$funcstack[1]\" = _svid ]; then _svid \"$@\"; else compdef _svid svid; fi\n";

int completion(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
	bool zsh = strcmp(c->args[0], "zsh") == 0;

	if (!zsh && strcmp(c->args[0], "bash") != 0) {
		cli_error("no completion for", c->args[0], "bash and zsh are known", "svid completion bash");
		return CLI_USAGE;
	}
	buf_put_str(&out, zsh ? "#compdef svid\n" : "");
	buf_printf(&out, "# Made by svid completion %s from its own tables.\n\n", c->args[0]);
	put_tables(&out);
	put_scan(&out);
	buf_put_str(&out, zsh ? zsh_rest : bash_rest);
	return cli_print(&out, CLI_DONE);
}
