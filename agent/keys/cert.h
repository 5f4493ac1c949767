/* SPDX-License-Identifier: Apache-2.0 */
/* cert.h - the parts that CA and leaf certificates have in common, over libcrypto's X509. svid-keys, loop thread. */
#ifndef KEYS_CERT_H
#define KEYS_CERT_H

#include "agent/base/buf.h"
#include "agent/keys/ossl.h"

#define CERT_SERIAL_BYTES 16
#define CERT_BACKDATE_S 30 /* clients whose clock is a little behind (DESIGN.md 10) */

enum cert_usage {
	USAGE_DIGITAL_SIGNATURE = 1u << 0, /* bit numbers of RFC 5280 4.2.1.3 */
	USAGE_KEY_ENCIPHERMENT = 1u << 2,
	USAGE_KEY_CERT_SIGN = 1u << 5,
	USAGE_CRL_SIGN = 1u << 6,
};

/**
 * cert_new() - an unsigned v3 certificate with a random positive serial of 128 bits, subject
 * "O=svidd, serialNumber=<hex>", subject key identifier, and the given validity (seconds since 1970).
 * @unique: CERT_SERIAL_BYTES bytes for the subject; NULL takes the certificate's own serial.
 * Errors: -ERR_CRYPTO, -ENOMEM.
 */
MUST int cert_new(EVP_PKEY *key, const uint8_t *unique, int64_t not_before, int64_t not_after, X509 **ret_cert);

/** cert_add_basic() - basicConstraints, critical and always there; a CA gets pathlen 0. Errors: -ERR_CRYPTO. */
MUST int cert_add_basic(X509 *cert, bool ca);

/** cert_add_usage() - critical keyUsage of enum cert_usage bits. Errors: -ERR_CRYPTO. */
MUST int cert_add_usage(X509 *cert, unsigned int usage);

/** cert_add_tls() - extended key usage serverAuth and clientAuth. Errors: -ERR_CRYPTO. */
MUST int cert_add_tls(X509 *cert);

/** cert_add_authority() - authority key identifier = the issuer's subject key identifier. Errors: -ERR_CRYPTO. */
MUST int cert_add_authority(X509 *cert, const X509 *issuer);

/**
 * cert_add_names() - subjectAltName of exactly one URI and the DNS names.
 * @dns_names: list of strings (agent/ipc/lists.h), each checked.
 * Errors: -ERR_FORMAT (a DNS name, or too many), -ERR_CRYPTO. Source: X509-SVID 2.
 */
MUST int cert_add_names(X509 *cert, struct slice uri, struct slice dns_names);

/** cert_sign() - with @key and the digest that fits it. Errors: -ERR_CRYPTO. */
MUST int cert_sign(X509 *cert, EVP_PKEY *key);

/** cert_put_der() - append the DER to @out. Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM. */
MUST int cert_put_der(X509 *cert, struct buf *out);

/** cert_times() - validity in seconds since 1970. Errors: -ERR_CRYPTO. */
MUST int cert_times(const X509 *cert, int64_t *ret_not_before, int64_t *ret_not_after);

/** cert_serial() - the serial as exactly CERT_SERIAL_BYTES bytes. Errors: -ERR_CRYPTO (longer). */
MUST int cert_serial(const X509 *cert, uint8_t ret_serial[static CERT_SERIAL_BYTES]);

#endif
