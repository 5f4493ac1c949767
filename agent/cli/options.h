/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - the command line of svid, apart from the words that bring their own (compile, policy check). */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "agent/cli/cli.h"

#define CLI_WORDS 8 /* words beside options */

struct options {
	struct cli cli;
	const char *words[CLI_WORDS]; /* verb and arguments */
	size_t n_words;
	bool help;
	bool version;
};

/**
 * options_parse() - @env is SPIFFE_ENDPOINT_SOCKET or NULL; --socket wins over it.
 * @ret_o: strings borrow from @argv and @env.
 * What is wrong is said on stderr. Errors: -EINVAL.
 */
MUST int options_parse(int argc, char **argv, const char *env, struct options *ret_o);

/** options_help() - append the option table as text. */
void options_help(struct buf *out);

#endif
