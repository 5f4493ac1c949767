/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spiffe_id.h - what a SPIFFE ID is, to the letter of SPIFFE-ID sections 2 to 2.3. Any role.
 *
 * Strict: scheme and trust domain must be lower case already (ID-2.1-4). Nothing is folded, decoded or
 * cleaned up, so two IDs are the same exactly when their bytes are.
 */
#ifndef BASE_SPIFFE_ID_H
#define BASE_SPIFFE_ID_H

#include "agent/base/slice.h"

/* Slices borrow from what was parsed. */
struct spiffe_id {
	struct slice trust_domain; /* "example.org" */
	struct slice path;	   /* "/a/b", empty for the trust domain's own ID */
};

/**
 * spiffe_id_parse() - split a whole SPIFFE ID.
 * @ret_id: on 0 the parts; untouched on error.
 * Errors: -ERR_SPIFFE_ID (spiffe_id_why() says why), -ERR_SIZE (above LIM_SPIFFE_ID bytes).
 * Source: SPIFFE-ID 2, 2.1, 2.2, 2.3.
 */
MUST int spiffe_id_parse(struct slice s, struct spiffe_id *ret_id);

/** spiffe_id_why() - NULL for a valid SPIFFE ID, else a static sentence that says what is wrong. */
const char *spiffe_id_why(struct slice s);

/** spiffe_td_why() - the same for a trust domain name alone ("example.org"). Source: SPIFFE-ID 2.1, 2.3. */
const char *spiffe_td_why(struct slice name);

/** spiffe_path_why() - the same for a path with its leading slash ("/a/b"); empty is valid. Source: SPIFFE-ID 2.2. */
const char *spiffe_path_why(struct slice path);

#endif
