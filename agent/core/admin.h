/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - one connection on admin.sock and the answers that take time. svid-core. */
#ifndef CORE_ADMIN_H
#define CORE_ADMIN_H

#include "agent/core/core.h"

#define ADMIN_REPLY_MAX (4u << 20) /* bytes of AD_REPLY.json, agent/ipc/msg.def */

struct explain;

/* A client of admin.sock: root, by the mode of the socket and by SO_PEERCRED. */
struct admin_client {
	struct list node;
	struct core *core;
	struct chan *chan;
	struct explain *explain; /* the one that waits for svid-attest, NULL = none */
};

/** admin_reply() - the answer to request @id. */
void admin_reply(struct admin_client *cl, uint32_t id, int err, struct slice json);

/** explain_start() - find out about @pid and answer request @id of @cl. Errors: -ENOMEM, -ESRCH, -ERR_LIMIT, -errno. */
MUST int explain_start(struct admin_client *cl, uint32_t id, pid_t pid);

/** explain_exec() - answer request @id: which identities a process of that executable could get, and what else it needs. */
void explain_exec(struct admin_client *cl, uint32_t id, const struct msg_AD_EXEC *ask);

/** bundle_put_own() / bundle_put_foreign() - the documents that `svid bundle` shows. */
void bundle_put_own(const struct core *c, struct buf *out);
void bundle_put_foreign(const struct core *c, struct buf *out);

/** sources_put() - the CredentialSources in force and who uses them, for `svid cloud setup` and `svid oidc export`. */
void sources_put(const struct core *c, struct buf *out);

/** bundle_change() - set or remove a foreign bundle and answer request @id: {"trust_domain", "error" when refused}. */
void bundle_change(struct admin_client *cl, uint32_t id, const struct msg_AD_BUNDLE *ask);

/** explain_cancel() - its client is gone; NULL is fine. */
void explain_cancel(struct explain *x);

#endif
