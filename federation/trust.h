/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trust.h - the system's CA certificates, parsed once for all connections: parsing them takes tens of milliseconds, in which
 * nobody's file is served. svid-cloud.
 */
#ifndef CLOUD_TRUST_H
#define CLOUD_TRUST_H

#include "agent/base/compiler.h"

struct trust;

/** trust_new() - of the PEM file @path, which may be missing: then nobody is trusted. Errors: -ENOMEM. */
MUST int trust_new(const char *path, struct trust **ret_trust);

/** trust_free() - NULL is fine. */
void trust_free(struct trust *t);

/** trust_refresh() - read the file anew if it changed. What cannot be read changes nothing, and is logged. */
void trust_refresh(struct trust *t);

/** trust_apply() - @ssl_ctx, an SSL_CTX, trusts these certificates and no others. */
void trust_apply(struct trust *t, void *ssl_ctx);

#endif
