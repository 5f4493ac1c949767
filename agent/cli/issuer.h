/* SPDX-License-Identifier: Apache-2.0 */
/* issuer.h - whether clouds can use the issuer of our JWT-SVIDs (clouds.md 2). svid. Does no I/O. */
#ifndef CLI_ISSUER_H
#define CLI_ISSUER_H

/** issuer_why() - why no cloud finds documents below @issuer; NULL when it is a URL to publish them at. */
const char *issuer_why(const char *issuer);

/** issuer_error() - say that, with the next step. Returns the exit code; CLI_DONE when there is nothing wrong. */
int issuer_error(const char *issuer);

#endif
