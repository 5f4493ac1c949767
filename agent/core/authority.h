/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h - who signs: one asynchronous interface for svid-core. The embedded authority lives in svid-keys;
 * this is its client, and the keeper of its sealed state.
 *
 * The sealed state is stored before what it contains is used. A changed trust domain, a lost sealing key and a
 * clock behind the last signature are refusals with a reason, never a new authority.
 */
#ifndef CORE_AUTHORITY_H
#define CORE_AUTHORITY_H

#include "agent/core/json.h"
#include "agent/core/state.h"
#include "agent/ipc/chan.h"

struct authority;

/* An SVID as it was issued. Slices borrow for the call. */
struct svid_issued {
	uint64_t generation; /* of the key in svid-keys */
	int64_t not_before, not_after; /* wall clock, seconds */
	struct slice serial;
	struct slice chain; /* DER, leaf first */
};

/* What is to be signed. Slices borrow for the call. */
struct svid_request {
	uint32_t identity;
	struct slice spiffe_id;
	uint32_t ttl; /* seconds */
	uint32_t key_type;
	struct slice dns_names; /* list of strings, agent/ipc/lists.h */
};

struct authority_ops {
	/* authority_err() or the bundle may be different now. */
	void (*changed)(void *owner);
	/* The answer to request @id of authority_issue(); @svid is NULL when @err. */
	void (*issued)(void *owner, uint32_t identity, uint32_t id, int err, const struct svid_issued *svid);
	/* svid-keys is gone and with it every key and every open request. */
	void (*lost)(void *owner);
	/* Ask svidd to kill svid-keys. */
	void (*kill)(void *owner);
};

/** authority_new() - without keys and without configuration. @st is borrowed. Errors: -ENOMEM. */
MUST int authority_new(struct loop *loop, struct state *st, const struct authority_ops *ops, void *owner,
		       struct authority **ret_authority);

/** authority_free() - NULL is fine. */
void authority_free(struct authority *a);

/** authority_peer() - svid-keys (re)started; takes over @fd. Errors: -ENOMEM, -errno. */
MUST int authority_peer(struct authority *a, int fd);

/** authority_configure() - trust domain and CA life from the Agent document; the first one counts. */
void authority_configure(struct authority *a, const char *trust_domain, uint32_t ca_ttl);

/** authority_err() - 0 when it can sign, else why not. */
int authority_err(const struct authority *a);

/** authority_trust_domain() - "" before it is configured. */
const char *authority_trust_domain(const struct authority *a);

/** authority_bundle() - own CA certificates, DER; empty before the first load. */
struct slice authority_bundle(const struct authority *a);

/**
 * authority_issue() - have an SVID made and signed; issued() answers from the loop.
 * @ret_id: number of the request, never 0.
 * Errors: authority_err(), -ERR_CLOCK, and those of chan_send().
 */
MUST int authority_issue(struct authority *a, const struct svid_request *req, uint32_t *ret_id);

/** authority_bind() - tell svid-keys once which identities front @front may have. Errors: as chan_send(). */
MUST int authority_bind(struct authority *a, uint32_t front, const uint32_t *identities, size_t n);

/** authority_forget() - no front holds @identity any more. */
void authority_forget(struct authority *a, uint32_t identity);

/** authority_put_status() - the members "state", "why", "trust_domain", "not_after", "last_signed". */
void authority_put_status(const struct authority *a, struct json *j);

#endif
