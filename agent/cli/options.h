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
#define USES_ALL     0x1fu

struct options {
	struct cli cli;
	const char *words[CLI_WORDS]; /* verb and arguments */
	size_t n_words;
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

/** options_help() - append the rows of the option table that @uses (USES_*) names, and those of every verb. */
void options_help(struct buf *out, unsigned int uses);

#endif
