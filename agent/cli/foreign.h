/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.h - another trust domain's bundle, as somebody handed it over: read strictly, brought into one form. svid; no I/O.
 *
 * Next: bundle_set.c sends it to svid-core, which keeps it without looking inside.
 */
#ifndef CLI_FOREIGN_H
#define CLI_FOREIGN_H

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"

#define FOREIGN_FILE (4u << 20) /* bytes of a file */

/* Initialise with FOREIGN_INIT. */
struct foreign {
	struct buf der;	 /* CA certificates */
	struct buf jwks; /* JWK Set of its JWT-SVID keys; empty when it has none */
	uint64_t sequence; /* 0: not said */
	size_t n_x509, n_jwt;
	struct buf warnings; /* one line each: what was left out, what will not last */
	struct buf why;	     /* of -ERR_FORMAT: what is wrong */
};

#define FOREIGN_INIT                                                                            \
	{                                                                                       \
		.der = BUF_INIT(LIM_BUNDLE), .jwks = BUF_INIT(LIM_JWKS), .warnings = BUF_INIT(1 << 16), \
		.why = BUF_INIT(1 << 12)                                                        \
	}

/** foreign_done() - release. */
void foreign_done(struct foreign *f);

static inline void foreign_autoclean(struct foreign *f)
{
	foreign_done(f);
}

/**
 * foreign_read() - a SPIFFE bundle (JSON) or CA certificates (PEM).
 * @trust_domain: whose it is; a certificate that names another one is refused.
 * What the standard has a reader ignore is ignored with a warning; whatever else is wrong refuses the whole.
 * Errors: -ERR_FORMAT (see @f->why), -ERR_SIZE (above LIM_BUNDLE, LIM_JWKS or LIM_JWKS_KEYS), -ENOMEM.
 * Source: Trust Domain and Bundle 4, X509-SVID 6, JWT-SVID 6.
 */
MUST int foreign_read(struct slice trust_domain, struct slice file, int64_t now, struct foreign *f);

#endif
