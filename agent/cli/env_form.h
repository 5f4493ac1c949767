/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env_form.h - environment variables as somebody will paste them: each form quotes by its own rules. svid env.
 * Does no I/O.
 */
#ifndef CLI_ENV_FORM_H
#define CLI_ENV_FORM_H

#include <stdbool.h>

#include "agent/base/buf.h"

struct env_var {
	struct slice name, value; /* printable ASCII, see env_read() */
};

#define ENV_VARS_MAX 64

struct env_vars {
	struct env_var v[ENV_VARS_MAX];
	size_t n;
	const char *tree;  /* directory of the credential tree; the files of all variables are in it */
	struct slice note; /* what no variable says: lines of text */
};

struct env_form;

/** env_form_at() - "sh", "systemd", "compose", "k8s"; NULL for another name. */
const struct env_form *env_form_at(const char *name);

/** env_form_names() - all of them, with blanks between. */
const char *env_form_names(void);

/** env_form_put() - @e as @form wants it. */
void env_form_put(const struct env_form *form, const struct env_vars *e, struct buf *out);

/**
 * env_read() - "NAME=value" lines, which @ret_vars borrows.
 * Errors: -ERR_FORMAT (a name that is none, a value that is not printable ASCII), -ERR_LIMIT.
 */
MUST int env_read(struct slice text, struct env_vars *ret_vars);

/** quote_shell() - one word of a POSIX shell; @s is printable ASCII. */
void quote_shell(struct buf *out, struct slice s);

/** quote_can() - whether @s is printable ASCII and thus nothing that a terminal or paste could act on. */
bool quote_can(struct slice s);

#endif
