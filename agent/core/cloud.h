/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud.h - svid-cloud as svid-core sees it: which bindings it is told, what it may have signed, which of its files a reader
 * gets. What clouds gave never comes here; a file passes as a sealed memfd. svid-core.
 *
 *   cloud.c        the channel, bindings, what svid-cloud says of each
 *   cloud_order.c  JWT-SVIDs and signatures that it asks for, and the records of its exchanges
 *   tree_cloud.c   its files in the credential tree
 */
#ifndef CORE_CLOUD_H
#define CORE_CLOUD_H

#include "agent/base/loop.h"
#include "agent/core/authority.h"
#include "agent/core/cloud_docs.h"
#include "agent/core/rate.h"
#include "agent/ipc/chan.h"

#define CLOUD_BUCKETS 256

struct core;
struct json;

/* What svid-cloud knows of one binding, and what it said last. */
struct cloud_binding {
	struct list in_hash;
	uint32_t number;
	uint32_t identity;
	uint64_t told; /* hash of what it was told */
	uint64_t seen; /* generation of the documents that last had it */
	bool held;     /* its identity is held: Roles Anywhere signs with the X.509-SVID */
	enum cloud_state state;
	int64_t expires_at, refresh_at, last_success; /* seconds since 1970; 0: none */
	uint32_t failures;
	char *error, *next_step; /* NULL: none */
};

/* A file that a reader waits for, or a JWT-SVID or signature that svid-keys works on. */
struct cloud_wait {
	struct list node;
	uint32_t order;	  /* a file: ours; else svid-cloud's, 0 when the one that gave it is gone */
	uint32_t id;	  /* of the request to svid-keys */
	uint32_t binding;
	enum cloud_file what; /* of a file */
	bool asked;	      /* of a file: this svid-cloud has been told */
	bool sign;
	void (*done)(struct cloud_wait *w, int err, int fd, uint32_t len); /* of a file; @fd is borrowed */
};

struct cloud {
	struct core *core;
	struct chan *chan; /* NULL: it does not run, or svidd has not brought it yet */
	bool wanted, asked; /* there is work for it; C_CLOUD was said */
	bool ready;	   /* CR_READY came */
	struct list bindings[CLOUD_BUCKETS];
	size_t n_bindings;
	struct list files;  /* struct cloud_wait */
	struct list orders; /* likewise */
	unsigned int n_orders;
	struct bucket rate, records; /* of orders, and of ends of exchanges */
	uint32_t last_order;
	struct loop_timer work;
	unsigned int pass; /* of telling it the documents; 0: it knows them */
	size_t at;
	uint64_t conf_serial; /* authority_serial() of the last CL_CONF */
	uint64_t exchanges, failed;
	char node[65];
};

/** cloud_new() - nothing runs yet. Errors: -ENOMEM. */
MUST int cloud_new(struct core *c, struct cloud **ret_cloud);

/** cloud_free() - NULL is fine. */
void cloud_free(struct cloud *cl);

/** cloud_peer() - svidd (re)started it; takes over @fd. Errors: -ENOMEM, -errno. */
MUST int cloud_peer(struct cloud *cl, int fd);

/** cloud_outdated() - other documents are in force: it is told in the turns after this one. */
void cloud_outdated(struct cloud *cl);

/** cloud_authority_changed() - other keys are published, or there is an authority now. */
void cloud_authority_changed(struct cloud *cl);

/** cloud_jwt_done() - svid-keys' end of request @id; false when it is none of svid-cloud's. */
bool cloud_jwt_done(struct cloud *cl, uint32_t id, int err, const struct jwt_issued *jwt);

/** cloud_sign_done() - the same of a signature. */
void cloud_sign_done(struct cloud *cl, uint32_t id, int err);

/** cloud_keys_lost() - svid-keys is gone: svid-cloud hears that nothing comes any more. */
void cloud_keys_lost(struct cloud *cl);

/**
 * cloud_file() - have svid-cloud make a file; w->done() follows, once, unless cloud_file_cancel(). It waits for a svid-cloud
 * that is being started: how long is up to the caller.
 * Errors: -ERR_NOT_READY (none is wanted), those of chan_send().
 */
MUST int cloud_file(struct cloud *cl, uint32_t binding, enum cloud_file what, struct cloud_wait *w);

/** cloud_file_cancel() - nobody waits for it any more. */
void cloud_file_cancel(struct cloud_wait *w);

/** cloud_refresh() - a person wants this binding exchanged now. Errors: -ERR_NOT_READY, those of chan_send(). */
MUST int cloud_refresh(struct cloud *cl, uint32_t binding);

/** cloud_put_status() - "cloud":{"wanted","running","oidc_port","credentials":{"waiting",...},"exchanges","failed"} of status. */
void cloud_put_status(const struct core *c, struct json *j);

/** cloud_put() - the document that `svid credentials` shows. */
void cloud_put(struct core *c, struct buf *out);

/* Between cloud.c and cloud_order.c */

/** cloud_orders_orphaned() - svid-cloud is gone; what svid-keys makes of its orders is still recorded. */
void cloud_orders_orphaned(struct cloud *cl);

/** cloud_orders_free() - nothing is recorded any more. */
void cloud_orders_free(struct cloud *cl);

/** cloud_binding_at() - NULL when svid-cloud was not told of it. */
struct cloud_binding *cloud_binding_at(const struct cloud *cl, uint32_t number);

/** cloud_on_jwt() / cloud_on_sign() / cloud_on_exchange() - messages of svid-cloud. Errors: those that condemn it. */
MUST int cloud_on_jwt(struct chan *ch, struct chan_msg *m);
MUST int cloud_on_sign(struct chan *ch, struct chan_msg *m);
MUST int cloud_on_exchange(struct chan *ch, struct chan_msg *m);

#endif
