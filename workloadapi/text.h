/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - certificates and keys as text: PEM, and SPIFFE bundle maps. For Envoy (sds_secret.c) and files (files.c). svid-front.
 *
 * What is written twice, first without a buffer, needs no more room than it has: nothing is copied, so no key is left behind.
 */
#ifndef FRONT_TEXT_H
#define FRONT_TEXT_H

#include "agent/base/buf.h"

struct text {
	struct buf *to; /* NULL: only count */
	size_t n;	/* bytes so far */
	int err;	/* sticky: -ERR_FORMAT (not DER) */
};

/* Whose certificates. */
struct text_domain {
	struct slice name; /* without "spiffe://" */
	struct slice ders; /* empty: it is left out */
};

/** text_slice() - these bytes as they are. */
void text_slice(struct text *t, struct slice s);

/** text_str() - this string as it is. */
void text_str(struct text *t, const char *s);

/** text_certs() - each of several DER certificates as PEM (RFC 7468). */
void text_certs(struct text *t, struct slice ders);

/** text_key() - a PKCS#8 key as PEM. */
void text_key(struct text *t, struct slice der);

/**
 * text_map() - a SPIFFE bundle map with the X.509 keys of the trust domains that @next gives (SPIFFE Trust Domain and
 * Bundle 4 and 5.1), in the form that gRPC's readers take too: one certificate in x5c, no kid. A certificate whose key is
 * neither RSA nor on a NIST curve is left out: some clients would refuse the map for it.
 * @next: trust domain @i; false: there are no more.
 */
void text_map(struct text *t, bool (*next)(const void *arg, size_t i, struct text_domain *ret), const void *arg);

#endif
