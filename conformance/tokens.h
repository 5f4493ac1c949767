/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.h - what the tests of JWT-SVIDs and of WIT-SVIDs ask alike of an answer and its tokens. svid-conformance. */
#ifndef CONFORMANCE_TOKENS_H
#define CONFORMANCE_TOKENS_H

#include "conformance/jose.h"
#include "conformance/run.h"

/* Fields of JWTSVID and of WITSVID that are the same; and of an entry of the map of bundles. */
enum { TOKEN_ID = 1, TOKEN_TEXT = 2 };
enum { BUNDLE_NAME = 1, BUNDLE_JWKS = 2 };

/* One token of an answer; svid: its message's fields. */
typedef enum verdict token_check(struct run *r, const struct token *t, const struct slice *svid);

/** tokens_each() - the check that is this test's argument, on each token of @svids (NULL: run_answer() said why). */
enum verdict tokens_each(struct run *r, const struct items *svids);

/** token_has_sub(), token_has_exp() - checks: sub is the SPIFFE ID of its message; exp is there and ahead. */
token_check token_has_sub, token_has_exp;

/** bundle_of() - the JWK Set of a trust domain, one of @bundles (NULL: none came); owned by the caller, NULL: none. */
json_t *bundle_of(const struct items *bundles, struct slice trust_domain);

/** token_is_signed() - by the key with its kid in the bundle of its own trust domain; @bundles as above. */
enum verdict token_is_signed(struct run *r, const struct token *t, struct slice id, const struct items *bundles);

/** tokens_ids() - whether @svids are of the identities of FetchX509SVID, in the same order. */
enum verdict tokens_ids(struct run *r, const struct items *svids);

/** tokens_hints() - whether no two of @svids have the same hint; @hint is its field. */
enum verdict tokens_hints(struct run *r, const struct items *svids, unsigned int hint);

#endif
