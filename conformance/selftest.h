/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.h - a tiny canned Workload API server that answers well, or wrong in exactly one way, and
 * the table of which clause must notice. svid-conformance --selftest.
 */
#ifndef CONFORMANCE_SELFTEST_H
#define CONFORMANCE_SELFTEST_H

#include "conformance/run.h"

enum flaw {
	FLAW_NONE,
	/* the server */
	FLAW_ANY_CALLER, /* security header not asked for */
	FLAW_ANY_CASE,	 /* "True" taken for "true" */
	FLAW_HEADER_TWICE,
	FLAW_STRICT_AUTHORITY, /* nghttp2's own checks left on */
	FLAW_UNKNOWN_IS_OK,
	FLAW_NO_CONTENT_TYPE,
	FLAW_LONG_MESSAGE,
	FLAW_WAITS_FOR_CLIENT, /* no SETTINGS before the preface */
	FLAW_COMPRESSED_IS_OK,
	FLAW_WAITS_FOR_HUGE,
	FLAW_ENDS_WATCH,
	FLAW_REPEATS,
	FLAW_LATE,
	FLAW_ONE_STREAM_LIMIT, /* announces a limit of streams and goes beyond */
	/* the answer */
	FLAW_EXTRA_FIELD,
	FLAW_NO_SVID,
	FLAW_NO_KEY,
	FLAW_HINT_TWICE,
	FLAW_EMPTY_BUNDLE,
	FLAW_OWN_FEDERATED,
	FLAW_OTHER_BUNDLE,
	FLAW_ID_DIFFERS,
	FLAW_UPPER_CASE,
	FLAW_ENCODED_PATH,
	/* the certificates */
	FLAW_TWO_URIS,
	FLAW_ROOT_PATH,
	FLAW_SAN_NOT_CRITICAL,
	FLAW_NO_CONSTRAINTS,
	FLAW_NO_USAGE,
	FLAW_USAGE_NOT_CRITICAL,
	FLAW_SIGNING_LEAF,
	FLAW_NO_EKU,
	FLAW_SERVER_ONLY,
	FLAW_OTHER_KEY,
	FLAW_SEC1_KEY,
	FLAW_OTHER_CA,
	FLAW_ROOT_IN_CHAIN,
	FLAW_EXPIRED,
	FLAW_CA_NO_URI,
	FLAW_TRAILING_BYTE,
	/* the JWT-SVIDs */
	FLAW_JWT_HEADER,
	FLAW_JWT_ALG,
	FLAW_JWT_TYP,
	FLAW_JWT_NO_KID,
	FLAW_JWT_SUB,
	FLAW_JWT_ONE_AUDIENCE,
	FLAW_JWT_NO_EXP,
	FLAW_JWT_IAT,
	FLAW_JWT_LIFE,
	FLAW_JWT_SIGNATURE,
	FLAW_JWT_JTI,
	FLAW_JWT_ANY_ID,
	FLAW_JWT_ANY_ARGUMENT,
	FLAW_JWT_TWO_PARTS,
	/* the JWT bundles */
	FLAW_JWKS_NO_KID,
	FLAW_JWKS_USE,
	FLAW_JWKS_PRIVATE,
	FLAW_JWKS_NO_KEYS,
	FLAW_JWKS_DOMAIN,
	FLAW_JWKS_OKP,
	FLAW_JWKS_SEQUENCE,
	/* validation: what is not looked at */
	FLAW_VAL_NEVER,
	FLAW_VAL_ANY_ALG,
	FLAW_VAL_ANY_TYP,
	FLAW_VAL_ANY_USE,
	FLAW_VAL_ANY_SIGNATURE,
	FLAW_VAL_NO_AUD,
	FLAW_VAL_ANY_AUD,
	FLAW_VAL_NO_EXP,
	FLAW_VAL_EXPIRED,
	FLAW_VAL_ANY_SUB,
	FLAW_VAL_ANY_DOMAIN,
	FLAW_VAL_NO_CLAIMS,
	/* the WIT-SVIDs; the server offers them for these */
	FLAW_WIT_TYP,
	FLAW_WIT_AUD,
	FLAW_WIT_CNF,
	FLAW_WIT_JWT_KID, /* its key has the kid of a JWT key */
	FLAW_WIT_ONE_KID, /* and here two keys have one */
	FLAW_WIT_KEY,
	/* SDS */
	FLAW_SDS_UNKNOWN_ENDS,
	FLAW_SDS_ONE_OF,
	FLAW_SDS_ANSWERS_ACK,
	FLAW_SDS_ANSWERS_NACK,
	FLAW_SDS_ANY_NONCE,
	FLAW_SDS_WANTS_NONCE, /* an empty one is taken for a stale one */
	FLAW_SDS_ANY_TYPE,
	FLAW_SDS_ECHOES_TYPE,
	FLAW_SDS_STRICT_FIELDS,
	FLAW_SDS_WANTS_HEADER,
	FLAW_SDS_VERSION,
	FLAW_SDS_ONE_NONCE,
	FLAW_SDS_OTHER_KEY,
	FLAW_SDS_NO_VALIDATOR,
	FLAW_SDS_DOMAIN_ID, /* a trust domain with its scheme */
	FLAW_SDS_NEVER_PLAIN,
	FLAW_SDS_FORGETS_NODE,
	FLAW_SDS_NO_DELTA,
	FLAW_SDS_NO_REMOVED,
	FLAW_SDS_ALL_AGAIN,
	FLAW_SDS_NOT_AGAIN,
	FLAW_SDS_NOT_INITIAL,
};

/* What the canned server knows of one SDS stream. */
enum { BAD_NAMES = 128 };
struct bad_names {
	char at[BAD_NAMES][320];
	size_t n;
};

struct bad_sds {
	struct bad_names names;
	char type_url[256]; /* of this request */
	unsigned int nonce; /* 0: no answer yet */
	bool delta, plain, node, asked;
};

/** answer_make() - the X509SVIDResponse and X509BundlesResponse of a server with this flaw. Aborts when it cannot. */
void answer_make(enum flaw flaw, struct buf *ret_svids, struct buf *ret_bundles);

/** jwt_server_make() - keys for the JWT side; @foreign (borrowed) is the trust domain that the server knows. */
void jwt_server_make(enum flaw flaw, bool wit, const struct foreign *foreign);

/** jwt_serve() - answer a JWT or WIT call into @ret, with its 5-byte prefix; returns the gRPC status. */
int jwt_serve(const char *method, struct slice request, struct buf *ret);

/** sds_server_make() - Secrets of what answer_make() made. */
void sds_server_make(enum flaw flaw, const struct buf *svids);

/** sds_serve() - take whole requests off @in, put answers on @out; -1 to go on, else the gRPC status that ends the stream. */
int sds_serve(struct bad_sds *s, const char *path, struct buf *in, struct buf *out);

/** server_run() - serve connections on @listener for ever, after jwt_server_make(). */
NORETURN void server_run(int listener, enum flaw flaw);

/** selftest() - run the flaws; returns the exit code of the program. */
int selftest(struct run *r, const struct test *const *tables, size_t n_tables);

#endif
