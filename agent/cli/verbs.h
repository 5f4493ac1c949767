/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h - the table of verbs: what runs, what help, man pages and completion say. svid. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "agent/cli/options.h"

#define FORM(output) (1u << (output))

struct verb {
	const char *first;
	const char *second; /* NULL: one word */
	const char *args;   /* for help; "a|b" in lower case are the words themselves, FILE, DIR and PATH are of files */
	size_t min_args, max_args;
	unsigned int forms; /* FORM() of what -o may be */
	unsigned int uses;  /* USES_* */
	int (*run)(const struct cli *c);
	const char *help;
	const char *more; /* what to know, then examples: lines that begin with two blanks */
};

struct exit_row {
	int code; /* enum cli_exit */
	const char *help;
};

/** verb_at() - row number @i, NULL at the end. */
const struct verb *verb_at(size_t i);

/** exit_at() - row number @i of the exit codes, NULL at the end. */
const struct exit_row *exit_at(size_t i);

/** verb_name() - "fetch x509" without arguments. */
void verb_name(struct buf *out, const struct verb *v);

/** verb_usage() - the same with them. */
void verb_usage(struct buf *out, const struct verb *v);

/** verb_forms() - the names of @forms, FORM() of each: "text, json". */
void verb_forms(struct buf *out, unsigned int forms);

/** help() - `svid help [--man PAGE]`, all of it. */
int help(const struct cli *c);

/** help_of() - `svid help VERB`. Returns the exit code. */
int help_of(const struct verb *v);

/** help_of_all() - `svid help fetch`: every verb that begins so. Returns the exit code. */
int help_of_all(const char *first);

/** man_page() - a manual page by its name. Returns the exit code. */
int man_page(const char *name);

#endif
