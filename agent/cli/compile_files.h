/* SPDX-License-Identifier: Apache-2.0 */
/* compile_files.h - which files count and whether they may be believed. svid compile, svid policy check. */
#ifndef CLI_COMPILE_FILES_H
#define CLI_COMPILE_FILES_H

#include "agent/cli/compile_doc.h"

/* How strict to be about owner and mode of files. */
enum trust {
	TRUST_STRICT, /* svidd's run: root's files, writable by root alone */
	TRUST_WARN,   /* a person's check: say it, go on */
};

/** files_compile_fd() - compile what @fd holds as file @name. Errors (of the file) are in @c. */
void files_compile_fd(struct compiler *c, int fd, const char *name, enum agent_place agent, enum trust trust);

/**
 * files_compile_dir() - compile each *.yaml and *.yml of the directory, by name; dot files do not count.
 * Symbolic links are followed inside the directory only (Kubernetes swaps one). @prefix: put before names.
 * Errors: -errno when the directory cannot be read, -ERR_LIMIT: nothing can be said about what is missing.
 */
MUST int files_compile_dir(struct compiler *c, int dir, const char *prefix, enum trust trust);

#endif
