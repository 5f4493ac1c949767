/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_audit.h - the records of reads in the credential tree. The first time that a process is given a file has a record of
 * its own, before the content leaves; the same again within a while is counted, and one record tells how often: a
 * workload that reads its certificate in a loop must not fill the log. Refusals: nobody.h.
 */
#ifndef CORE_TREE_AUDIT_H
#define CORE_TREE_AUDIT_H

#include "agent/base/loop.h"
#include "agent/base/slice.h"
#include "kmod/uapi/svid.h"

struct core;
struct tree_given;
struct tree_read;

struct tree_audit {
	struct core *core;
	struct tree_given *given; /* what was given of late, a table by process and file */
	struct loop_timer flush;
	uint64_t only_counted;
};

/** tree_audit_init() - nothing was given. Errors: -ENOMEM. */
MUST int tree_audit_init(struct tree_audit *a, struct core *c);

/** tree_audit_done() - forget everything. */
void tree_audit_done(struct tree_audit *a);

/** tree_audit_given() - @r is about to get its content. Errors: -ERR_AUDIT: then it must not. */
MUST int tree_audit_given(struct tree_audit *a, const struct tree_read *r);

/** tree_audit_refused() - @r gets nothing, for reason @err. Errors: -ERR_AUDIT. */
MUST int tree_audit_refused(struct tree_audit *a, const struct tree_read *r, const struct svid_who *person, int err);

#endif
