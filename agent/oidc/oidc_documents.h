/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oidc_documents.h - what a cloud reads to check our JWT-SVIDs (OpenID Connect Discovery 1.0; clouds.md 2). svid-cloud serves
 * them, `svid oidc export` writes them.
 */
#ifndef OIDC_DOCUMENTS_H
#define OIDC_DOCUMENTS_H

#include "agent/base/buf.h"

#define OIDC_DISCOVERY_PATH "/.well-known/openid-configuration"
#define OIDC_KEYS_PATH "/keys"

/** oidc_put_discovery() - the discovery document of @issuer, an https URL. Errors: -ERR_FORMAT (another), -ERR_SIZE, -ENOMEM. */
MUST int oidc_put_discovery(struct slice issuer, struct buf *out);

/**
 * oidc_put_keys() - the key set of @jwks (our own, without use), each key with "use":"sig", which Entra wants, and nothing that
 * Google does not take. Errors: -ERR_NOT_READY (there is none yet), -ERR_FORMAT, -ERR_SIZE, -ENOMEM.
 */
MUST int oidc_put_keys(struct slice jwks, struct buf *out);

#endif
