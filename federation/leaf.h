/* SPDX-License-Identifier: Apache-2.0 */
/* leaf.h - what IAM Roles Anywhere needs to know of our own certificate, and SHA-256. svid-cloud; by libcrypto. */
#ifndef CLOUD_LEAF_H
#define CLOUD_LEAF_H

#include "agent/base/slice.h"

#define LEAF_HASH_BYTES 32

struct leaf {
	char serial[64]; /* decimal */
	bool rsa;	 /* else EC */
};

/** leaf_first() - cut the first certificate off @chain (DER, one after the other). Errors: -ERR_FORMAT. */
MUST int leaf_first(struct slice *chain, struct slice *ret_der);

/** leaf_read() - serial number and kind of key. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int leaf_read(struct slice der, struct leaf *ret_leaf);

/** leaf_hash() - SHA-256. Errors: -ERR_CRYPTO. */
MUST int leaf_hash(struct slice bytes, uint8_t ret_hash[static LEAF_HASH_BYTES]);

#endif
