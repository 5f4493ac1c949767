/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_out.h - trust bundles, from wherever they came, in the forms that people and programs want. svid. */
#ifndef CLI_BUNDLE_OUT_H
#define CLI_BUNDLE_OUT_H

#include "agent/cli/cli.h"

struct bundle {
	struct buf id; /* "spiffe://td" */
	struct buf der;
	struct buf jwks; /* JWK Set; empty: none */
};

struct bundle_list {
	struct bundle *all;
	size_t n, cap;
};

/** bundle_list_done() - release; empty and usable again. */
void bundle_list_done(struct bundle_list *l);

static inline void bundle_list_autoclean(struct bundle_list *l)
{
	bundle_list_done(l);
}

/** bundle_list_x509() - the certificates of @id. Errors: -ERR_SIZE, -ERR_LIMIT, -ENOMEM. */
MUST int bundle_list_x509(struct bundle_list *l, struct slice id, struct slice der);

/** bundle_list_jwks() - the JWT keys of @id. Errors: as bundle_list_x509(). */
MUST int bundle_list_jwks(struct bundle_list *l, struct slice id, struct slice jwks);

/** bundle_print() - as -o says, of the trust domain in the arguments or of all. Returns the exit code. */
int bundle_print(const struct cli *c, const struct bundle_list *l);

/**
 * bundle_trust_domain() - the name in "example.org" or "spiffe://example.org", which somebody typed.
 * Errors: -ERR_SPIFFE_ID, said on stderr.
 */
MUST int bundle_trust_domain(const char *typed, struct slice *ret_name);

#endif
