/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists.h - how lists travel inside a BLOB of a message: items one after another until the end.
 *
 * A reader loops while (list.len) and checks slice_ok() of the list after each item.
 */
#ifndef IPC_LISTS_H
#define IPC_LISTS_H

#include "agent/base/buf.h"
#include "agent/base/limits.h"

/* One identity of a front's set. Slices borrow from the message. */
struct set_entry {
	uint32_t identity;   /* number that core and keys use */
	uint64_t generation; /* of key and chain */
	struct slice spiffe_id;
	struct slice hint; /* may be empty */
	struct slice chain; /* DER, leaf first */
	int64_t not_after;  /* wall clock, seconds */
	uint64_t wit_generation; /* of the WIT-SVID's key; 0: there is none */
	struct slice wit;	 /* token; empty where the profile is off */
	int64_t wit_not_after;
	uint32_t jwt_rules; /* another number: what its document says of JWT-SVIDs changed, and those kept are not given again */
	struct slice peers; /* list of strings: SPIFFE IDs that its proxy accepts, "prefix:" in front of one; may be empty */
};

/** list_put_str() / list_get_str() - a list of strings. */
void list_put_str(struct buf *b, struct slice s);
struct slice list_get_str(struct slice *list, size_t max);

/** list_put_entry() / list_get_entry() - a list of set entries; on a malformed one @list is failed. */
void list_put_entry(struct buf *b, const struct set_entry *e);
struct set_entry list_get_entry(struct slice *list);

/* One federated bundle. */
struct fed_bundle {
	struct slice trust_domain_id; /* "spiffe://td" */
	struct slice bundle;	      /* DER; may be empty */
	struct slice jwks;	      /* JWK Set; may be empty */
};

/** list_put_fed() / list_get_fed() - a list of federated bundles. */
void list_put_fed(struct buf *b, const struct fed_bundle *f);
struct fed_bundle list_get_fed(struct slice *list);

/**
 * cloud_may_sign() - whether @text begins as what IAM Roles Anywhere wants signed. That key is the workload's in TLS, too, where
 * nothing that is signed begins so: svid-cloud gets signatures that are good for nothing else.
 */
bool cloud_may_sign(struct slice text);

#endif
