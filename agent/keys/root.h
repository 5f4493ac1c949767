/* SPDX-License-Identifier: Apache-2.0 */
/* root.h - the self-signed certificate of a CA key. svid-keys, loop thread. */
#ifndef KEYS_ROOT_H
#define KEYS_ROOT_H

#include "agent/keys/cert.h"

/**
 * root_issue() - a root for @trust_domain over @key, from now (backdated as leaves are) to @not_after.
 * Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM. Source: X509-SVID 3.2, 4.
 */
MUST int root_issue(const char *trust_domain, EVP_PKEY *key, int64_t now, int64_t not_after, X509 **ret_cert);

/**
 * root_parse() - the certificate that root_issue() made.
 * Errors: -ERR_SEALED (does not parse, is no CA, names another trust domain or another key).
 */
MUST int root_parse(const char *trust_domain, EVP_PKEY *key, struct slice der, X509 **ret_cert);

/**
 * root_of_nobody() - append a CA certificate that verifies nothing: its key is gone before this returns. It never
 * expires, and its subject says what it is.
 * Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM.
 */
MUST int root_of_nobody(int64_t now, struct buf *out);

#endif
