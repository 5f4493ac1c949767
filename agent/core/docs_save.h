/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs_save.h - what is in force goes to state.db in slices, each a transaction of its own: withdrawn documents leave
 * first, then the others come. A crash between two slices leaves versions that were good, each by itself.
 */
#ifndef CORE_DOCS_SAVE_H
#define CORE_DOCS_SAVE_H

#include "agent/core/docs_rows.h"
#include "agent/core/sorter.h"

struct saver;

/** saver_new() - for @st (borrowed), which holds exactly @rows. Errors: -ENOMEM. */
MUST int saver_new(struct state *st, const struct doc_rows *rows, struct saver **ret_saver);

/** saver_free() - NULL is fine. */
void saver_free(struct saver *v);

/** saver_begin() - what is in force changed: begin again, also after a failure. */
void saver_begin(struct saver *v);

/** saver_busy() - whether something is still to be looked at. */
bool saver_busy(const struct saver *v);

/** saver_whole() - whether state.db holds all that saver_step() was given. */
bool saver_whole(const struct saver *v);

/**
 * saver_step() - make state.db more like @rows (sorted); one transaction.
 * Errors: -ERR_STATE, -ENOMEM: it stops, until saver_begin().
 */
MUST int saver_step(struct saver *v, const struct doc_rows *rows, struct budget *b);

#endif
