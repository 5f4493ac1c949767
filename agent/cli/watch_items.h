/* SPDX-License-Identifier: Apache-2.0 */
/* watch_items.h - what one message of a watch holds, as named items, and what changed since the one before. svid; no I/O. */
#ifndef CLI_WATCH_ITEMS_H
#define CLI_WATCH_ITEMS_H

#include "agent/base/buf.h"
#include "agent/base/err.h"

enum watch_kind { WATCH_X509, WATCH_JWT, WATCH_WIT, WATCH_BUNDLES, WATCH_JWT_BUNDLES, WATCH_WIT_BUNDLES, WATCH_KINDS };

struct watch_item {
	char *name;  /* SPIFFE ID, "bundle of spiffe://td" */
	char *value; /* differs when the content does */
	char *text;  /* for people */
};

struct watch_items {
	struct watch_item *all;
	size_t n, cap;
	int64_t not_after; /* of the first SVID to expire; 0: there is none */
};

/** watch_items_done() - release; empty and usable again. */
void watch_items_done(struct watch_items *w);

static inline void watch_items_autoclean(struct watch_items *w)
{
	watch_items_done(w);
}

/**
 * watch_items_read() - what @message says, a response of @kind's method.
 * @audiences: of WATCH_JWT, what was asked for.
 * Errors: -ERR_FORMAT, -ERR_LIMIT (more items than any agent has), -ENOMEM.
 */
MUST int watch_items_read(enum watch_kind kind, struct slice message, const char *const *audiences, size_t n_audiences,
			  struct watch_items *ret_items);

/** watch_items_diff() - what @now has else than @before: "NAME new: TEXT; ...", or as members of a JSON array. */
void watch_items_diff(struct buf *out, const struct watch_items *before, const struct watch_items *now, bool as_json);

#endif
