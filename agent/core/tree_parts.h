/* SPDX-License-Identifier: Apache-2.0 */
/* tree_parts.h - what tree.c (the table), tree_sync.c (names) and tree_read.c (reads) share. svid-core. */
#ifndef CORE_TREE_PARTS_H
#define CORE_TREE_PARTS_H

#include "agent/core/core.h"
#include "agent/core/tree.h"
#include "agent/core/tree_audit.h"

#define TREE_BUCKETS 16384
#define TREE_OWNERS 4096 /* buckets */

/* An identity that has a directory. */
struct tree_owner {
	struct list in_hash;
	struct list in_all;
	uint32_t number;
	struct tree_node *dir;
};

/* Of tree_step(). */
enum tree_pass {
	TREE_PASS_NONE,
	TREE_PASS_GONE, /* whose document is gone: first, for somebody may be reading */
	TREE_PASS_NAMES,
	TREE_PASS_SHOW, /* what the backend did not take at first */
};

struct tree {
	struct core *core;
	const struct tree_backend *backend;
	void *backend_owner;
	struct list nodes[TREE_BUCKETS];
	struct list owners[TREE_OWNERS];
	struct list all_owners; /* those to be looked at in this pass first */
	struct tree_node *root;
	struct tree_node *self; /* NULL while nobody has a file */
	enum tree_pass pass;
	size_t at; /* of the pass: owners left to look at, position in the policy, or bucket of nodes */
	bool complete;
	struct loop_timer work; /* armed while a pass goes on */
	struct loop_timer show; /* again, what was not taken, or had no memory */
	unsigned int again;	/* passes since the documents changed, for whoever was left out */
	struct list reads;
	struct list waiting;
	struct list going; /* what they waited for is over; a few in each turn */
	struct loop_timer go;
	struct loop_timer retry; /* for reads that wait for room */
	struct tree_audit audit;
	struct tree_stats stats;
};

/** tree_sources - where content comes from, NULL at the end. */
extern const struct tree_source *const tree_sources[];
extern const struct tree_source tree_svid, tree_cloud;

/** tree_node_make() - the file or directory @name in @dir, which is there already or new. NULL: no memory, or a collision. */
struct tree_node *tree_node_make(struct tree *t, struct tree_node *dir, struct slice name, bool is_file);

/** tree_node_drop() - end @n, which has nothing in it: its readers hear of it, then the backend. */
void tree_node_drop(struct tree *t, struct tree_node *n);

/** tree_node_show() - tell the backend of file @n; what it does not take is tried again. */
void tree_node_show(struct tree *t, struct tree_node *n);

/** tree_like() - the file that is called in @dir as @n is in its own <uuid>/ or self/; NULL when there is none. */
struct tree_node *tree_like(const struct tree *t, const struct tree_node *dir, const struct tree_node *n);

/** tree_owner_dir() - the directory of an identity; NULL when it has none. */
struct tree_node *tree_owner_dir(const struct tree *t, uint32_t number);

/** tree_sync_init() / tree_sync_done() - tree_sync.c's part. */
void tree_sync_init(struct tree *t);
void tree_sync_done(struct tree *t);

/** tree_reads_init() / tree_reads_done() - tree_read.c's part. */
void tree_reads_init(struct tree *t);
void tree_reads_done(struct tree *t);

/** tree_reads_end() - @n is about to be dropped: whoever reads it hears that it is not there. */
void tree_reads_end(struct tree *t, const struct tree_node *n);

/** tree_pid_of() - the number of a process in our pid namespace: line @field of /proc/TID/status; @or when there is none. */
pid_t tree_pid_of(pid_t tid, const char *field, pid_t or);

/** tree_cloud_binding() - the binding that a file of tree_cloud is of. */
uint32_t tree_cloud_binding(const struct tree_node *file);

/** tree_reads_go_on() - names are complete, or a hold is over. */
void tree_reads_go_on(struct tree *t);

#endif
