/* SPDX-License-Identifier: Apache-2.0 */
/* oidc.h - the listener of the OIDC documents. svid-cloud. */
#ifndef CLOUD_OIDC_H
#define CLOUD_OIDC_H

#include "agent/base/buf.h"

struct cloud;
struct oidc;

/* What the documents are made of; borrowed. */
struct oidc_facts {
	struct slice issuer, jwks;
};

/**
 * oidc_answer() - the answer to the request that @in begins with; nothing is appended to @out while its head is not whole.
 * Errors: -ERR_SIZE, -ENOMEM.
 */
MUST int oidc_answer(const struct oidc_facts *f, struct slice in, struct buf *out);

/** oidc_start() - serve the discovery document and the key set on listener @fd, plain HTTP. Errors: -ENOMEM, -errno. */
MUST int oidc_start(struct cloud *c, int fd);

/** oidc_free() - NULL is fine. */
void oidc_free(struct oidc *o);

#endif
