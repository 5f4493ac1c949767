/* SPDX-License-Identifier: Apache-2.0 */
/* man.h - parts of manual pages. svid; man.c, man_tables.c. */
#ifndef CLI_MAN_H
#define CLI_MAN_H

#include "agent/cli/verbs.h"

/** man_begin() - the head of a page, NAME included. */
void man_begin(struct buf *out, const char *name, int section, const char *what);

/** man_text() - @text inside a line, nothing in it a request. */
void man_text(struct buf *out, const char *text, size_t len);

/** man_words() - lines of text. */
void man_words(struct buf *out, const char *text);

/** man_svidd() - svidd(8), from `svidd --help` on standard input. Returns the exit code. */
int man_svidd(void);

/** man_settings() - svid.yaml(5). Returns the exit code. */
int man_settings(void);

/** man_policy() - svid-policy(5). Returns the exit code. */
int man_policy(void);

#endif
