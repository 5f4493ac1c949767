/* SPDX-License-Identifier: Apache-2.0 */
/* audit_line.h - one record of the audit log: is it wanted, and how a person reads it. svid; no I/O. */
#ifndef CLI_AUDIT_LINE_H
#define CLI_AUDIT_LINE_H

#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

struct audit_filter {
	int64_t since;	      /* seconds since 1970; 0: all */
	const char *identity; /* NULL: all */
	bool denied;	      /* only of something that was not given */
};

/** audit_time() - a time as the agent writes it, "2026-11-22T10:00:00Z". Errors: -ERR_FORMAT. */
MUST int audit_time(const char *text, int64_t *ret_s);

/**
 * audit_since() - "2026-11-22T10:00:00Z" or "90s", "30m", "2h", "7d" before @now.
 * Errors: -ERR_FORMAT.
 */
MUST int audit_since(const char *text, int64_t now, int64_t *ret_since);

/** audit_wanted() - whether @record passes @filter. */
bool audit_wanted(const json_t *record, const struct audit_filter *filter);

/** audit_put() - one line of text, every value escaped. Members that nobody here knows are shown as they are called. */
void audit_put(struct buf *out, json_t *record);

#endif
