/* SPDX-License-Identifier: Apache-2.0 */
/*
 * audit.h - the record of who asked, what was decided and what was issued: one JSON line each, written
 * before the decision has an effect.
 *
 * required: a line that cannot be written means that the decision does not happen (-ERR_AUDIT).
 * best-effort: the failure is counted and logged, the decision happens.
 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "agent/base/buf.h"

enum audit_mode {
	AUDIT_REQUIRED,
	AUDIT_BEST_EFFORT,
};

struct audit {
	int fd; /* -1: none was given */
	enum audit_mode mode;
	bool torn; /* the last line ends in the middle: begin the next with a newline */
	int err;   /* of the last write; 0 when it went well */
	uint64_t lines;
	uint64_t failures;
};

/** audit_init() - take over @fd (append, and read, to see how it ends; -1 = none). */
void audit_init(struct audit *a, int fd, enum audit_mode mode);

/** audit_reopen() - write to @fd from now on: the log was moved away. */
void audit_reopen(struct audit *a, int fd);

/** audit_done() - close it. */
void audit_done(struct audit *a);

/**
 * audit_write() - one line: {"time":...,"event":@event, then @fields} and a newline.
 * @fields: members of a JSON object without its braces; may be empty.
 * Errors: -ERR_AUDIT when the mode is required and the line is not in the file as a whole.
 */
MUST int audit_write(struct audit *a, const char *event, struct slice fields);

#endif
