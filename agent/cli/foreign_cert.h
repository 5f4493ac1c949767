/* SPDX-License-Identifier: Apache-2.0 */
/* foreign_cert.h - what a foreign CA certificate must be like. svid; foreign.c. */
#ifndef CLI_FOREIGN_CERT_H
#define CLI_FOREIGN_CERT_H

#include "agent/cli/foreign.h"
#include "agent/cli/ossl.h"

/**
 * foreign_cert_read() - one DER certificate that may sign SVIDs of @trust_domain.
 * @ret_why: NULL, or a static sentence: then it is refused, and *ret_cert may be NULL.
 * Errors: -ENOMEM. Source: X509-SVID 3.2, 4.
 */
MUST int foreign_cert_read(struct slice der, struct slice trust_domain, X509 **ret_cert, const char **ret_why);

/** foreign_cert_add() - append it to @f unless it is there; warns when it is not valid at @now. Errors: -ERR_SIZE, -ENOMEM. */
MUST int foreign_cert_add(struct foreign *f, X509 *cert, int64_t now);

#endif
