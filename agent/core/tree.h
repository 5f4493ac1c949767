/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - the credential tree as svid-core sees it: which names there are, and who may read what. One table and one way
 * to a decision, for both backends: the kernel module's sysfs tree (tree_kmod.c) and FUSE (tree_fuse.c). svid-core.
 *
 *   names     follow documents: <uuid>/NAME for each identity in force, self/NAME for every NAME that one of them has
 *             (tree_sync.c, in slices of a turn)
 *   a read    is decided by the record of the thread that reads, like a connection (tree_read.c): tree_read(), and done()
 *             with content or an errno
 *   content   comes from a source as a sealed memfd, which nobody here looks into: svid/ from the front of the reader's
 *             own set (tree_svid.c)
 *
 * A node's id is made of its path: the same after a restart, another for another path.
 */
#ifndef CORE_TREE_H
#define CORE_TREE_H

#include "agent/base/buf.h"
#include "agent/base/loop.h"
#include "agent/base/slice.h"
#include "agent/core/ask.h"
#include "agent/core/cloud.h"
#include "agent/core/front.h"
#include "agent/core/provider.h"
#include "agent/core/tree_helper.h"

#define TREE_ROOT 1	   /* id of the directory of all; also FUSE's */
#define TREE_NAME_MAX 253  /* bytes of a name; SVID_TREE_NAME_MAX */
#define TREE_PATH_MAX 512  /* with its NUL; SVID_TREE_PATH_MAX */

struct core;
struct identity;
struct tree;
struct tree_read;

/* Where content comes from. */
struct tree_source {
	const char *name;
	/* Say add(@arg, "svid/cert.pem", what) for each file that @doc has. */
	void (*names)(const struct identity *doc, void (*add)(void *arg, const char *path, uint32_t what), void *arg);
	/* Make the content of @r->file for the identity @r->identity; tree_content() follows, maybe before this returns 0. */
	int (*get)(struct tree *t, struct tree_read *r);
	/* Nobody waits for it any more: tree_content() must not follow. */
	void (*cancel)(struct tree_read *r);
	/* NULL, or whether file @what holds no secret: under <uuid>/ everybody may read it. */
	bool (*is_public)(uint32_t what);
};

/* A directory or a file. Only tree*.c make and end them; backends look at what is said to be theirs to see. */
struct tree_node {
	struct list in_hash;
	struct list in_dir;	 /* of parent->children */
	struct list children;	 /* of a directory, in no order */
	struct tree_node *parent; /* NULL: the root */
	uint64_t id;
	const struct tree_source *source; /* of a file; NULL: a directory */
	uint32_t what;	   /* the source's name of it: svid/ has enum svid_file */
	uint32_t identity; /* whose it is; 0: self/ and all that is in it, and the root */
	uint32_t uses;	   /* of a file in self/: how many identities have it */
	uint32_t readers;  /* reads that wait and mean this file, or its like in self/ */
	uint64_t seen;	   /* generation of the documents that last had it */
	bool shown;	   /* the backend took it */
	size_t n_children;
	char name[];
};

/* How names are shown and readers asked about. One at most. */
struct tree_backend {
	const char *name; /* enum delivery's: "sysfs", "fuse" */
	/* File @n is there from now on; NULL when the backend looks names up itself. Errors: it is tried again later. */
	int (*add)(void *owner, const struct tree_node *n);
	/* It is over. Its reads were answered, it is in no list, and it is freed afterwards. May be NULL. */
	void (*del)(void *owner, const struct tree_node *n);
	/* All that there is was added once since the start. May be NULL. */
	void (*complete)(void *owner);
	/* tree_free(): after its reads were forgotten. May be NULL. */
	void (*end)(void *owner);
};

enum tree_read_state {
	TREE_READ_IDLE,
	TREE_READ_WAITING, /* for a hold, the first names, or room */
	TREE_READ_DECIDING,
	TREE_READ_HELPER, /* it is being decided who started it */
	TREE_READ_CONTENT,
};

/* One read that somebody waits in; embedded in its backend's request, who sets the first part and zeros the rest. */
struct tree_read {
	uint64_t node;	     /* id of a file */
	pid_t tid;	     /* the thread that waits, in our pid namespace; 0 (another namespace) is refused */
	pid_t tgid;	     /* its process, likewise; 0: not known */
	uid_t uid;	     /* as the kernel says it; who it is counted for */
	struct svid_key key; /* its process; start 0: not known */
	/*
	 * Once, maybe before tree_read() returns, and @r is the backend's again: 0 and the first @len bytes of the sealed
	 * @fd (borrowed), or -EACCES, -ENOENT, -EAGAIN, -EIO. Not after tree_read_cancel().
	 */
	void (*done)(struct tree_read *r, int err, int fd, uint32_t len);

	/* From here on tree_read.c's. After done(r, 0, ...) key and exec_id say whose snapshot this is. */
	uint64_t exec_id;
	struct tree *tree;
	struct list in_all, in_wait;
	enum tree_read_state state;
	bool counted; /* by uid */
	struct asker asker; /* of a decision */
	struct loop_timer deadline;
	uint64_t change;
	uint64_t generation; /* of the documents that it was decided by */
	uint32_t img_flags;
	uint32_t userns_owner; /* 0: not in a user namespace, or in one that root made; also after done() */
	bool in_userns;
	bool everybody; /* a file without secrets: nobody was identified for it; also after done() */
	unsigned int rounds;
	struct tree_helper helper;
	struct tree_node *asked; /* what was read, NULL while it is not known */
	struct tree_node *file;	 /* under <uuid>/, also when self/ was read; NULL before it is decided */
	uint32_t identity;
	union { struct front_ask svid; struct cloud_wait cloud; } content; /* the source's, while it makes the content */
};

struct tree_stats {
	uint64_t reads, given, refused, failed; /* since start */
	unsigned int waiting;
	size_t files, identities;
	size_t not_shown; /* files that the backend did not take yet */
	size_t left_out;  /* identities without files: LIM_TREE_ENTRIES, or no memory */
	bool complete; /* names are those of the documents in force */
};

/** tree_new() - an empty tree without a backend: nobody sees it, and it stays empty. Errors: -ENOMEM. */
MUST int tree_new(struct core *c, struct tree **ret_tree);

/**
 * tree_start() - a tree for @c, with the backend that svidd's plan says. A backend that fails is no error: status says so.
 * Errors: -ENOMEM.
 */
MUST int tree_start(struct core *c);

/** tree_free() - reads that wait are forgotten. NULL is fine. */
void tree_free(struct tree *t);

/** tree_set_backend() - names are made from now on, and shown by @b. */
void tree_set_backend(struct tree *t, const struct tree_backend *b, void *owner);

/** tree_core() - whose it is. */
struct core *tree_core(const struct tree *t);

/** tree_root() - the directory of all, which is always there. */
const struct tree_node *tree_root(const struct tree *t);

/** tree_find() - the node with this id; NULL when there is none (any more). Good until the loop goes on. */
const struct tree_node *tree_find(const struct tree *t, uint64_t id);

/** tree_lookup() - what is called @name in directory @dir; NULL when there is none. */
const struct tree_node *tree_lookup(const struct tree *t, const struct tree_node *dir, struct slice name);

/** tree_put_place() - where people find the directory of @credential of an identity: "/run/svid/credentials/<uuid>/name". */
void tree_put_place(const char *root, const char *spiffe_id, const char *credential, struct buf *out);

/** tree_path() - from the root, without a leading '/', cut where there is no room. Returns its length. */
size_t tree_path(const struct tree_node *n, char path[static TREE_PATH_MAX]);

/** tree_is_complete() - whether the first names were made: before that, what is not found may still come. */
bool tree_is_complete(const struct tree *t);

/** tree_read() - decide @r and get its content; done() is called in any case, within LIM_TREE_WAIT_MS. */
void tree_read(struct tree *t, struct tree_read *r);

/** tree_read_cancel() - nobody waits for @r any more; nothing when it is over. */
void tree_read_cancel(struct tree_read *r);

/**
 * tree_is_reader() - whether thread @tid, which waits, is of process @key and still in its exec @exec_id: a snapshot that
 * was given to it may be read on.
 */
bool tree_is_reader(struct tree *t, pid_t tid, const struct svid_key *key, uint64_t exec_id);

/** tree_stranger() - thread @tid, of @uid, read on what another process, or another exec, was given: it is recorded. */
void tree_stranger(struct tree *t, uint64_t node, pid_t tid, uid_t uid);

/** tree_content() - by a source: the end of get(). @fd is borrowed; @err: 0, -EAGAIN, -ENOENT, or why there is none. */
void tree_content(struct tree_read *r, int err, int fd, uint32_t len);

/** tree_go_on() - no hold is on any more: reads that wait are decided. */
void tree_go_on(struct tree *t);

/** tree_outdated() - other documents are in force: names follow in the turns after this one, first those that are gone. */
void tree_outdated(struct tree *t);

/** tree_get_stats() - for status. */
void tree_get_stats(const struct tree *t, struct tree_stats *ret_stats);

/** tree_backend_name() - "sysfs", "fuse"; "none" without one. */
const char *tree_backend_name(const struct tree *t);

#endif
