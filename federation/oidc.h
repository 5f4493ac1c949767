/* SPDX-License-Identifier: Apache-2.0 */
/* oidc.h - the listener of the OIDC documents. svid-cloud. */
#ifndef CLOUD_OIDC_H
#define CLOUD_OIDC_H

#include "agent/base/compiler.h"

struct cloud;
struct oidc;

/** oidc_start() - serve the discovery document and the key set on listener @fd, plain HTTP. Errors: -ENOMEM, -errno. */
MUST int oidc_start(struct cloud *c, int fd);

/** oidc_free() - NULL is fine. */
void oidc_free(struct oidc *o);

#endif
