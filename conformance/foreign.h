/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h - a trust domain that svid-conformance makes itself, so that it can sign what ValidateJWTSVID
 * must refuse: its keys in one file, its bundle in another, which the operator gives to the server.
 */
#ifndef CONFORMANCE_FOREIGN_H
#define CONFORMANCE_FOREIGN_H

#include <jansson.h>
#include <openssl/evp.h>

#include "agent/base/slice.h"

#define FOREIGN_DOMAIN "foreign.example"
#define FOREIGN_ID "spiffe://" FOREIGN_DOMAIN "/w"
/* Has an X.509 authority and no JWT key. */
#define X509_ONLY_DOMAIN "x509only.example"

/* Named by their kid; the last ones must not be used for JWT-SVIDs. */
enum foreign_key {
	KEY_RSA,
	KEY_RSA_OTHER,
	KEY_P256,
	KEY_P384,
	KEY_P521,
	KEY_CA,	      /* the X.509 authority's, has no kid */
	KEY_WIT,      /* use: wit-svid */
	KEY_NO_USE,   /* no use at all */
	KEY_ODD_USE,  /* use: sig */
	KEY_UNKNOWN,  /* not published */
	FOREIGN_KEYS,
};

struct foreign {
	EVP_PKEY *keys[FOREIGN_KEYS];
};

/** foreign_kid() - the kid of a key. */
const char *foreign_kid(enum foreign_key key);

/**
 * foreign_make() - new keys into DIR/keys.pem, bundles into DIR/foreign.example.json and DIR/x509only.example.json;
 * prints what went wrong. Errors: -errno of open(2) and write(2).
 */
MUST int foreign_make(const char *dir);

/** foreign_fill() - new keys in memory, for --selftest. Aborts when it cannot. */
void foreign_fill(struct foreign *f);

/** foreign_bundle() - the SPIFFE bundle document of FOREIGN_DOMAIN. Aborts when it cannot. */
json_t *foreign_bundle(const struct foreign *f);

/** foreign_load() - the keys that foreign_make() wrote into DIR. Errors: -errno, -EINVAL (not those keys). */
MUST int foreign_load(const char *dir, struct foreign *ret);

/** foreign_done() - release; a zeroed struct is fine. */
void foreign_done(struct foreign *f);

#endif
