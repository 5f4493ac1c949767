/* SPDX-License-Identifier: Apache-2.0 */
/* tree_helper.h - reading the credential tree for somebody else: helpers[]. Part of struct tree_read. svid-core. */
#ifndef CORE_TREE_HELPER_H
#define CORE_TREE_HELPER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/compiler.h"
#include "agent/core/ask.h"
#include "kmod/uapi/svid.h"

struct tree_node;
struct tree_read;

#define TREE_STARTERS 2 /* cat, started by a shell, started by the workload */

/* Who started the reader, or who started that one. */
struct tree_starter {
	struct tree_read *read;
	struct asker asker; /* of the decision about it */
	pid_t pid;	    /* in our pid namespace */
	struct svid_key key;
	uint64_t exec_id, change;
	uint32_t img_flags;
};

/* Whose files these are, when they are not the reader's own: tree_helper.c. */
struct tree_helper {
	struct tree_starter up[TREE_STARTERS];
	unsigned int n;	 /* of those that were asked for */
	bool used;	 /* what is read is given because of the last of them */
	const char *why; /* static: why not; NULL: nobody asked for that, or it is used */
};

/**
 * tree_helper_ask() - identities of the reader (or of who started it) do not give it @r->asked. If that one's executable is a
 * helper of a credential that this file belongs to, who started it is decided: tree_helper_decided() follows, maybe before
 * this returns.
 * Errors: -EACCES (no helper; @r->helper.why when it is one all the same), -ERR_EVIDENCE, -ERR_LIMIT, -ENOMEM.
 */
MUST int tree_helper_ask(struct tree_read *r);

/** tree_helper_decided() - tree_read.c's part: @d is about who started it. */
void tree_helper_decided(struct tree_read *r, const struct decision *d);

/** tree_helper_may() - whether @file, which the starter has, may be read by @r; says why not. */
bool tree_helper_may(struct tree_read *r, const struct tree_node *file);

/** tree_helper_changed() - whether something happened to those who started it. */
bool tree_helper_changed(const struct tree_read *r);

/** tree_helper_leave() - nothing of this round is left. */
void tree_helper_leave(struct tree_read *r);

#endif
