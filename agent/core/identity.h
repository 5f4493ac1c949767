/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - the SVIDs that fronts hold, X.509 and, where the profile is on, WIT: issued when the first caller of an
 * identity comes, rotated at half of their life (timers on CLOCK_BOOTTIME, with jitter), given up at expiry (wall
 * clock), forgotten with the last holder.
 *
 * Each issuance is audited before anybody gets the SVID. JWT-SVIDs are not kept here: agent/core/jwt.h.
 */
#ifndef CORE_IDENTITY_H
#define CORE_IDENTITY_H

#include "agent/core/audit.h"
#include "agent/core/authority.h"
#include "agent/core/policy.h"
#include "agent/ipc/lists.h"

struct identities;

struct identities_ops {
	/* identity_entry() of @number gives something else now. */
	void (*changed)(void *owner, uint32_t number);
};

/* For status. Strings borrow. */
struct identity_view {
	uint32_t number;
	const char *spiffe_id;
	uint32_t holders;
	struct {
		bool wanted;
		int64_t not_after;   /* 0: none yet */
		uint64_t rotates_in; /* seconds; 0: not planned */
		int err;	     /* why there is none, or why the last rotation failed */
	} svids[SVID_KINDS];
};

/** identities_new() - @auth and @audit are borrowed. Errors: -ENOMEM. */
MUST int identities_new(struct loop *loop, struct authority *auth, struct audit *audit, const struct identities_ops *ops,
			void *owner, struct identities **ret_ids);

/** identities_free() - NULL is fine. */
void identities_free(struct identities *ids);

/**
 * identity_hold() - one more holder of @doc; issuing starts with the first one.
 * Errors: -ENOMEM, -ERR_LIMIT. A failure to issue is no error here: see identity_entry().
 */
MUST int identity_hold(struct identities *ids, const struct identity *doc);

/** identity_drop() - one holder less; the last one ends the SVID. */
void identity_drop(struct identities *ids, uint32_t number);

/**
 * identity_entry() - what a front gets for @number; slices borrow until the loop goes on. A WIT-SVID that cannot be
 * issued is left out and keeps nobody from the X.509-SVID.
 * Errors: -ERR_NOT_READY (being issued), or why it cannot be issued.
 */
MUST int identity_entry(const struct identities *ids, uint32_t number, struct set_entry *ret_entry);

/** identity_serial() - another number whenever identity_entry() gives something else; 0 when it is not held. */
uint64_t identity_serial(const struct identities *ids, uint32_t number);

/** identity_federates() - list of the trust domains that its document federates with; borrows like an entry. */
struct slice identity_federates(const struct identities *ids, uint32_t number);

/**
 * identities_apply() - documents changed: what is held follows them (ttl, key type, DNS names, hint, federatesWith, peers).
 * @from: 0 first, then what the call before returned. Returns 0 when all are done.
 */
size_t identities_apply(struct identities *ids, const struct policy *p, size_t from);

/** identities_ready() - the authority can sign (again): ask for everything that is missing. */
void identities_ready(struct identities *ids);

/** identities_lost() - svid-keys lost its keys: what is there is for present holders only, until it is issued anew. */
void identities_lost(struct identities *ids);

/** identities_issued() - the authority's answer to request @id; one that nobody waits for any more is dropped. */
void identities_issued(struct identities *ids, uint32_t number, enum svid_kind kind, uint32_t id, int err,
		       const struct svid_issued *svid);

/** identities_each() - call @each for every identity held now. */
void identities_each(const struct identities *ids, void (*each)(void *arg, const struct identity_view *v), void *arg);

#endif
