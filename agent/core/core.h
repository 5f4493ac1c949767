/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core.h - svid-core as one object: who owns what, and the few calls that go across its files.
 * Start reading at main.c, then server.c (a connection comes), conn.c (its life), decide.c (who is it).
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "agent/base/log.h"
#include "agent/core/attest.h"
#include "agent/core/audit.h"
#include "agent/core/bounds.h"
#include "agent/core/bury.h"
#include "agent/core/cgroup.h"
#include "agent/core/cloud.h"
#include "agent/core/compile.h"
#include "agent/core/decide.h"
#include "agent/core/digest.h"
#include "agent/core/docs.h"
#include "agent/core/jwt.h"
#include "agent/core/nobody.h"
#include "agent/core/provider.h"
#include "agent/core/tree.h"

/* A channel that came before P_GO. */
struct plan_peer {
	uint32_t role, index;
	int fd;
};

/* What svidd said and gave before P_GO. */
struct plan {
	struct plan_peer peers[1 + LIM_ATTEST_WORKERS + 1 + LIM_UNDERTAKERS];
	size_t n_peers;
	unsigned int tier; /* enum svid_tier */
	char *instance, *public_path, *admin_path, *config_path, *policy_path, *state_path, *audit_path, *tier_notes;
	char *tree_path;  /* where people find the credential tree; empty: there is none */
	char *tree_notes; /* why not, or why not by the better way */
	uint32_t oidc_port; /* svid-cloud serves the OIDC documents there; 0: nowhere */
	int listen_public, listen_admin, state_dir, audit, policy_dir;
	int tree, fuse; /* one at most: the module's tree file; /dev/fuse, mounted at tree_path */
	int fuse_state; /* with fuse; -1: not kept over restarts */
	struct provider_fds fds;
};

/* Why nothing is served; the first that is set is what clients are told. */
enum hold {
	HOLD_DRAIN,
	HOLD_EVIDENCE,	/* canary or losses */
	HOLD_AUDIT,	/* audit: required, and it does not work */
	HOLD_AUTHORITY, /* no keys, no CA, or a refusal */
	HOLD_DOCUMENTS, /* nothing compiled yet */
	HOLD_COUNT,
};

#define CONN_BUCKETS 1024

struct core {
	struct loop *loop;
	struct plan plan;
	struct chan *parent;
	struct provider *provider;
	struct state *state;
	struct docs *docs;
	struct audit audit;
	struct cgroups *cgroups; /* NULL: no v2 hierarchy; cgroup selectors do not match */
	struct attest *attest;
	struct digests *digests;
	struct authority *auth;
	struct identities *ids;
	struct bundles *bundles; /* of foreign trust domains */
	struct fronts *fronts;
	struct jwts jwts;
	struct decisions decisions;
	struct bounds bounds;
	struct bury bury;
	struct nobodies nobodies;
	struct canary *canary;
	struct compiler *compiler;
	struct admin *admin;
	struct cloud *cloud;
	struct tree *tree;
	int tree_err; /* why its backend does not work */

	int holds[HOLD_COUNT]; /* 0 or -ERR_x */
	bool ready;	       /* served once: C_READY was sent */
	uint64_t started;      /* CLOCK_BOOTTIME ns */
	enum log_level log_level; /* svidd's; the Agent document may say another */
	unsigned int attestation_seen; /* of the first Agent document */
	unsigned int delivery_seen;
	struct loop_timer start_hold;
	struct loop_timer ready_late;
	struct loop_timer alive;
	struct loop_timer audit_retry;
	struct loop_timer creds_poll;
	struct loop_timer drain;
	unsigned int drain_steps;
	bool drained;
	struct loop_watch ring;
	struct loop_watch accept;
	struct loop_timer accept_retry;

	struct conn **conns; /* LIM_CONNS, by index */
	uint32_t *generations; /* of each index */
	uint32_t *free_conns;  /* indexes not in use */
	size_t n_conns, n_free;
	size_t max_conns; /* callers beyond it are refused; the canary is not */
	bool no_labels; /* this kernel has no LSM that labels sockets */
	struct list by_key[CONN_BUCKETS];
	struct list waiting; /* conns held until the agent is ready, or until the canary is known */
	struct list undecided; /* served as nobody while a hold was on: they must come again */
	struct list leaving; /* documents changed: they end, a few in each turn */
	uint64_t accepted, refused, cut, revoked, offences;
};

/* parent.c: svidd */
/** parent_receive_plan() - read descriptors and settings until P_GO. Errors: those of ipc_recv(), -ERR_PERMIT. */
MUST int parent_receive_plan(int fd, struct plan *ret_plan);
/** parent_start() - from now on svidd is heard in the loop. Errors: -ENOMEM, -errno. */
MUST int parent_start(struct core *c, int fd);
/** parent_kill() - ask svidd to kill a child. */
void parent_kill(struct core *c, uint32_t role, uint32_t index);

/* hold.c: why the agent serves nobody just now */
/** hold_set() - @why (0 or -ERR_x) is the state of @h now; fronts and waiting callers are told. */
void hold_set(struct core *c, enum hold h, int why);
/** hold_err() - 0, or why nothing is served. */
int hold_err(const struct core *c);
/** hold_name() - "evidence" and so on, for status. */
const char *hold_name(enum hold h);
/** hold_start() - callers that come now wait up to LIM_START_HOLD_MS. Errors: -ENOMEM. */
MUST int hold_start(struct core *c);
/** hold_is_starting() - whether callers still wait. */
bool hold_is_starting(const struct core *c);

/* server.c: the listener */
/** server_start() - accept from now on. Errors: -ENOMEM, -errno. */
MUST int server_start(struct core *c);

/* revoke.c: what the kernel and the policy take back */
/** revoke_start() - read the ring, poll credentials where the tier needs it. Errors: -ENOMEM, -errno. */
MUST int revoke_start(struct core *c);
/** revoke_policy() - documents changed: who would get other identities now must come again; revoke_step() does it. */
void revoke_policy(struct core *c);
/** revoke_step() - go on with that as far as @b reaches; true when everybody was looked at. */
bool revoke_step(struct core *c, struct budget *b);

/* glue.c: what fronts, identities and the authority call back */
/** core_make_parts() - the pools and tables around the loop. Errors: -ENOMEM. */
MUST int core_make_parts(struct core *c);

/* canary.c */
/** canary_start() - one now, then one each LIM_CANARY_MS; the evidence hold is its verdict. Errors: -ENOMEM. */
MUST int canary_start(struct core *c);
/** canary_may_be() - whether @conn could be the canary's that is on its way. */
bool canary_may_be(const struct core *c, const struct conn *conn, const struct svid_conn *record);
/** canary_take() - @conn may be it and waits (CONN_CANARY); conn_go_on() if it is not. */
void canary_take(struct core *c, struct conn *conn);
/** canary_failed() - evidence is not whole; found out by the canary or by somebody else. */
void canary_failed(struct core *c, const char *why);
/** canary_event() - whether @e is about the canary's own connection. */
bool canary_event(struct core *c, const struct svid_event *e);
/** canary_stop() - no more of them: the agent is stopping. */
void canary_stop(struct core *c);
/** canary_free() - after the last connection. */
void canary_free(struct core *c);
/** canary_gone() - @conn is being freed. */
void canary_gone(struct core *c, const struct conn *conn);
/** canary_put_status() - members "canaries", "failures", "last". */
void canary_put_status(const struct core *c, struct json *j);

/* admin.c, status.c, explain.c */
/** admin_start() - answer on admin.sock. Errors: -ENOMEM, -errno. */
MUST int admin_start(struct core *c);
/** admin_end() - forget all who ask. */
void admin_end(struct core *c);
/** status_put() - the document that `svid status` shows. */
void status_put(struct core *c, struct buf *out);
/** policy_put() - the document that `svid policy show` shows. */
void policy_put(struct core *c, struct buf *out);

/* end.c */
/** core_end() - free everything, after the last turn of the loop. */
void core_end(struct core *c);

/* sandbox.c */
/** core_sandbox() - give up everything that is not needed from now on. Errors: those of sandbox_enter(). */
MUST int core_sandbox(const struct core *c);

#endif
