/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x509.h - reads an X.509-SVID as a strict client would, and says what it found and what is wrong.
 * svid: bytes come from whoever owns the socket. Does no I/O.
 */
#ifndef CLI_X509_H
#define CLI_X509_H

#include "agent/base/buf.h"
#include "agent/base/err.h"

struct x509_svid {
	struct slice spiffe_id; /* as the message says */
	struct slice hint;
	struct slice chain; /* DER, leaf first */
	struct slice key;   /* PKCS#8 DER */
	struct slice bundle; /* DER CA certificates */
};

/* What was read. Initialise with X509_REPORT_INIT; strings are unescaped. */
struct x509_report {
	struct buf uri;	     /* the leaf's SPIFFE ID */
	struct buf subject;
	struct buf issuer;
	struct buf serial;   /* hex */
	struct buf dns;	     /* one on each line */
	struct buf key_kind; /* "EC prime256v1, 256 bits" */
	struct buf problems; /* one line each; empty: nothing is wrong */
	int64_t not_before;  /* seconds since 1970 */
	int64_t not_after;
	size_t n_chain;
	size_t n_bundle;
};

#define X509_REPORT_INIT                                                                      \
	{                                                                                     \
		.uri = BUF_INIT(1 << 16), .subject = BUF_INIT(1 << 16), .issuer = BUF_INIT(1 << 16), \
		.serial = BUF_INIT(1 << 12), .dns = BUF_INIT(1 << 16),                        \
		.key_kind = BUF_INIT(1 << 12), .problems = BUF_INIT(1 << 16)                  \
	}

/** x509_report_done() - release. */
void x509_report_done(struct x509_report *r);

static inline void x509_report_autoclean(struct x509_report *r)
{
	x509_report_done(r);
}

/**
 * x509_inspect() - fill @r; what is wrong becomes a line of @r->problems, in the order of the checks:
 * form of chain and bundle, exactly one URI that equals the message's, leaf constraints and usages, key
 * matches, path to the bundle valid at @now.
 * Errors: -ERR_FORMAT (the leaf does not parse: nothing else can be said), -ENOMEM.
 * Source: X509-SVID 5; spiffe.md 4.2.
 */
MUST int x509_inspect(const struct x509_svid *svid, int64_t now, struct x509_report *r);

/** x509_put_pem() - @der, any number of certificates, as PEM. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int x509_put_pem(struct buf *out, struct slice der);

/** x509_put_key_pem() - PKCS#8 @der as PEM; @out is to be a secret buffer. Errors: -ERR_SIZE, -ENOMEM. */
MUST int x509_put_key_pem(struct buf *out, struct slice der);

/** x509_put_list() - @label, SPIFFE ID or subject, expiry, serial of each certificate of @der. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int x509_put_list(struct buf *out, const char *label, struct slice der);

/** x509_count() - how many certificates @der is; 0 when it is malformed. */
size_t x509_count(struct slice der);

#endif
