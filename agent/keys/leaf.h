/* SPDX-License-Identifier: Apache-2.0 */
/* leaf.h - an X.509-SVID for a workload, as strict as the strictest client needs. svid-keys, loop thread. */
#ifndef KEYS_LEAF_H
#define KEYS_LEAF_H

#include "agent/keys/authority.h"
#include "agent/keys/cert.h"

/* What core asked for. Slices borrow. */
struct leaf_spec {
	struct slice spiffe_id;
	struct slice dns_names; /* list of strings, agent/ipc/lists.h */
	uint32_t ttl_s;
};

/* What was signed. Times in seconds since 1970. */
struct leaf {
	int64_t not_before;
	int64_t not_after;
	uint8_t serial[CERT_SERIAL_BYTES];
};

/**
 * leaf_issue() - sign a leaf over the public half of @key.
 * @ret_chain: gets the DER of the leaf appended (the root is no part of the chain).
 *
 * not_after is capped by the signer's.
 * Errors: -ERR_CLOCK, -ERR_EXPIRED, -ERR_NOT_READY (authority_signer()), -ERR_SPIFFE_ID,
 *         -ERR_FORMAT (DNS name, ttl), -ERR_CRYPTO, -ERR_SIZE, -ENOMEM.
 * Source: X509-SVID 2, 3.1, 4; spiffe.md 4.2 item 7.
 */
MUST int leaf_issue(struct authority *a, const struct leaf_spec *spec, EVP_PKEY *key, int64_t now,
		    struct buf *ret_chain, struct leaf *ret_leaf);

#endif
