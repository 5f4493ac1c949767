/* SPDX-License-Identifier: Apache-2.0 */
/* spiffeid.h - the form of trust domains, SPIFFE IDs and DNS names, checked again right before signing. svid-keys. */
#ifndef KEYS_SPIFFEID_H
#define KEYS_SPIFFEID_H

#include "agent/base/err.h"
#include "agent/base/slice.h"

/** trust_domain_check() - Errors: -ERR_SPIFFE_ID. Source: SPIFFE-ID 2.1. */
MUST int trust_domain_check(struct slice td);

/**
 * spiffe_id_check() - @id is "spiffe://<@td>/<path>" with a path that is not root.
 * Errors: -ERR_SPIFFE_ID. Source: SPIFFE-ID 2, X509-SVID 3.1.
 */
MUST int spiffe_id_check(struct slice id, struct slice td);

/** dns_name_check() - letters, digits, hyphens in labels, the first may be "*". Errors: -ERR_FORMAT. Source: RFC 5280 4.2.1.6. */
MUST int dns_name_check(struct slice name);

#endif
