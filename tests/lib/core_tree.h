/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_tree.h - the credential tree of svid-core with everything around it faked: documents, the kernel's records,
 * decisions, and a source of content. For unit tests of tree*.c.
 */
#ifndef LIB_CORE_TREE_H
#define LIB_CORE_TREE_H

#include "agent/core/core.h"
#include "agent/core/tree_parts.h"

#define RIG_READERS 2048 /* thread ids 1 .. RIG_READERS - 1 */
#define RIG_PATHS 256

/* A thread that can read; its process has the same number. */
struct rig_reader {
	int err; /* of provider_reader() */
	uint64_t exec_id, change;
	uint32_t flags, userns_owner;
	uint32_t holds[4]; /* numbers of identities, the default first; 0 ends */
	const char *path;  /* NULL: not known */
	uint32_t parent;   /* process that forked it; 0: not recorded */
	uint64_t parent_exec; /* what that was then */
};

/* One read and its end. */
struct rig_read {
	struct tree_read read;
	unsigned int answers;
	int err;
	uint32_t len;
};

struct rig {
	struct core core;
	struct rig_reader readers[RIG_READERS];
	uint64_t generation;
	struct cloud_docs clouds;
	const char *second, *second_helper; /* rig_credential() makes one for this identity too */
	int hold;	     /* hold_err() */
	int held_audit;	     /* what hold_set(HOLD_AUDIT) was told last */
	bool decide_later;   /* decisions wait for rig_decide() */
	int decide_err;	     /* of decide(), once for each in decide_errs */
	unsigned int decide_errs;
	int transient;	     /* decision_transient() */
	unsigned int decisions, canary_failures;
	pid_t last_pid;	     /* that a decision was asked for */
	bool content_later;  /* content waits for rig_content() */
	int content_err;
	unsigned int gets, cancels;
	struct tree_read *getting; /* the last that asked */
	int add_err;	     /* of the backend */
	char shown[RIG_PATHS][TREE_PATH_MAX]; /* what the backend has */
	size_t n_shown;
	unsigned int adds, dels, completes;
	bool count_only;     /* names are not kept in shown */
};

extern struct rig rig;

/** rig_setup() / rig_teardown() - for cmocka: no document, no backend yet. */
int rig_setup(void **state);
int rig_teardown(void **state);

/** rig_backend() - the rig itself shows the names. */
void rig_backend(void);

/** rig_documents() - identities 1 .. of these names are in force; a name "-" leaves its number out. NULL ends. */
void rig_documents(const char *const *names);

/** rig_credential() - a WorkloadCredential of that identity, with at most two helpers; its file is s3/aws/credentials. */
void rig_credential(const char *identity, const char *helper, const char *other);

/** rig_turns() - let the loop work until nothing is left of the pass; returns how many turns it took. */
unsigned int rig_turns(void);

/** rig_is_shown() - whether the backend has "<uuid of owner>/@file"; @owner "self" is self/. */
bool rig_is_shown(const char *owner, const char *file);

/** rig_node() - id of that file. */
uint64_t rig_node(const char *owner, const char *file);

/** rig_read() - thread @tid, of uid @uid, reads it. */
void rig_read(struct rig_read *r, pid_t tid, uid_t uid, const char *owner, const char *file);

/** rig_read_node() - the same of a node. */
void rig_read_node(struct rig_read *r, pid_t tid, uid_t uid, uint64_t node);

/** rig_decide() - decisions that wait are there. */
void rig_decide(void);

/** rig_content() - the last get() has its end. */
void rig_content(void);

/** rig_wait() - let the loop run until @r has its answer. */
void rig_wait(struct rig_read *r);

/** rig_audit() - lines of the audit log so far that have @text in them. */
unsigned int rig_audit(const char *text);

#endif
