/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.h - from a kernel record to a set of identities, once per caller: the same process with the same image,
 * credentials and cgroup gets the same decision without asking anybody again, for LIM_FACTS_MS.
 *
 * A decision is looked up by the whole record, not by a name in it. Documents that change are matched again
 * against what is remembered.
 */
#ifndef CORE_DECIDE_H
#define CORE_DECIDE_H

#include "agent/core/ask.h"
#include "agent/core/attest.h"
#include "agent/core/digest.h"
#include "agent/core/policy.h"
#include "agent/core/sorter.h"

#define DECISION_BUCKETS 1024

struct core;

struct decision {
	struct list in_hash;
	struct list in_lru; /* only while nobody uses it */
	struct list askers;
	struct core *core;
	struct svid_conn record; /* of who asked first; slots and times in it are that one's */
	struct attest_job job;
	struct digest_want digest;
	bool hashed; /* a digest was wanted: there is one, or sha256_why */
	const char *sha256_why;
	pid_t pid;    /* in our pid namespace */
	bool done;    /* facts are there and were matched */
	bool shared;  /* may be found by others who ask */
	bool busy;    /* its askers are being gone through: it stays */
	bool waived;  /* the default not-traced was not enforced */
	uint64_t expires; /* CLOCK_BOOTTIME ns */
	uint64_t generation; /* of the documents that it was matched against */
	uint64_t recorded; /* when "none" was last written of it, likewise; 0: never */
	int path_err, names_err, cgroup_err;
	struct buf path, user, group, groups, cgroup;
	uint32_t ids[LIM_SET_IDENTITIES];
	size_t n;
	struct buf audit; /* members for the audit line */
};

struct decisions {
	struct list buckets[DECISION_BUCKETS];
	struct list lru; /* oldest first */
	size_t n;
	uint64_t hits, misses;
	unsigned int pass; /* of decisions_step(), 0 = nothing to do */
	size_t bucket;	   /* where it is */
};

/** decisions_init() - none yet. */
void decisions_init(struct decisions *d);

/** decisions_done() - forget all; nobody may use one any more. */
void decisions_done(struct decisions *d);

/**
 * decide() - attach @a to the decision for @record; its decided() is called when it is there, which may be now.
 * @pid: of that process, in our pid namespace.
 * Errors: -ENOMEM, -ERR_LIMIT (attest queue). Then nothing is attached.
 */
MUST int decide(struct core *c, struct asker *a, const struct svid_conn *record, pid_t pid);

/** decision_leave() - @a does not use its decision any more; harmless without one. */
void decision_leave(struct asker *a);

/** decisions_outdated() - documents changed: decisions that nobody uses are forgotten, the others are to be matched again. */
void decisions_outdated(struct core *c);

/**
 * decisions_step() - match them as far as @b reaches, first those of which a document is gone. Until one is matched it
 * is no answer for others. different() is called for each asker whose identities are not what they were.
 * Returns whether all were looked at.
 */
bool decisions_step(struct core *c, struct budget *b);

/** decision_transient() - 0, or why its facts could not be had just now: "no identity" would be a lie then. */
int decision_transient(const struct decision *d);

/** decision_facts() - the facts of a decision, borrowing from it. */
struct facts decision_facts(const struct decision *d);

/** decision_whoami() - the WhoAmI document of its callers: facts, identities, and why not the others. */
void decision_whoami(const struct decision *d, struct buf *out);

/** decision_docs() - the documents of its identities; returns how many are still there. */
size_t decision_docs(const struct decision *d, const struct identity **ret_docs);

#endif
