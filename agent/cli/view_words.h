/* SPDX-License-Identifier: Apache-2.0 */
/* view_words.h - what some keys of the agent's JSON are called on a terminal, and how their values are written. svid. */
#ifndef CLI_VIEW_WORDS_H
#define CLI_VIEW_WORDS_H

#include <jansson.h>

#include "agent/base/buf.h"

/** words_key() - append the label of @key: the table's, else the key with blanks for its underscores, escaped. */
void words_key(struct buf *out, const char *key);

/** words_value() - append the scalar @v as @key writes it: escaped, "-" when empty. @key may be NULL. */
void words_value(struct buf *out, const char *key, const json_t *v);

/** words_hide() - whether this value of @key says nothing to a person. */
bool words_hide(const char *key, const json_t *v);

/** words_argv() - append a list of strings as one command line: what a shell would not take as it is, is quoted. */
void words_argv(struct buf *out, const json_t *list);

#endif
