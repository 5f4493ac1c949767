/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of svid, apart from the words that bring their own (compile, policy check). */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "agent/cli/cli.h"

#define CLI_WORDS 8 /* words beside options */

/* Which options mean something to a verb. */
#define USES_SOCKET  (1u << 0)
#define USES_ADMIN   (1u << 1)
#define USES_OUTPUT  (1u << 2)
#define USES_WRITE   (1u << 3)
#define USES_TIMEOUT (1u << 4)
#define USES_AUDIENCE (1u << 5)
#define USES_ID	     (1u << 6)
#define USES_FORMAT  (1u << 7) /* --format, another word for -o where it has more to choose from */
#define USES_FOLLOW  (1u << 8)
#define USES_SINCE   (1u << 9)
#define USES_IDENTITY (1u << 10)
#define USES_DENIED  (1u << 11)
#define USES_EXEC    (1u << 12)
#define USES_MAN     (1u << 13)
#define USES_CONFIG  (1u << 14)
#define USES_FOR     (1u << 15)
#define USES_ALL     0xffffu
/* Options that scripts give to every verb alike. */
#define USES_ANY     (USES_SOCKET | USES_ADMIN | USES_OUTPUT | USES_TIMEOUT)
#define USES_WORKLOAD (USES_SOCKET | USES_OUTPUT | USES_TIMEOUT)
#define USES_ROOT    (USES_ADMIN | USES_OUTPUT | USES_TIMEOUT)

/* A row of the table, for help, man pages and completion. */
struct option_view {
	const char *name;
	const char *value; /* what it is called in help; NULL: takes none */
	const char *help;  /* NULL: not worth a line */
	unsigned int use;  /* USES_*; 0: every verb */
};

struct options {
	struct cli cli;
	const char *words[CLI_WORDS]; /* verb and arguments */
	size_t n_words;
	unsigned int seen; /* USES_* of the options that were given */
	bool help;
	bool version;
};

/**
 * options_parse() - @env is SPIFFE_ENDPOINT_SOCKET or NULL; --socket wins over it. One that names no socket is no
 * error here, because most verbs do not need it: cli.bad_env.
 * @ret_o: strings borrow from @argv and @env.
 * What is wrong is said on stderr. Errors: -EINVAL.
 */
MUST int options_parse(int argc, char **argv, const char *env, struct options *ret_o);

/** option_at() - row number @i; a name of NULL at the end. */
struct option_view option_at(size_t i);

/** options_unused() - the name of an option that was given and that a verb of @uses has no use for, or NULL. */
const char *options_unused(const struct options *o, unsigned int uses);

/** output_name() - "text", "json" and so on. */
const char *output_name(enum cli_output output);
#endif
