// SPDX-License-Identifier: Apache-2.0
/* der.c - definite lengths, and the way to a certificate's public key (X.690; RFC 5280 4.1, RFC 5480, RFC 8017). svid-front. */
#include "workloadapi/der.h"

#include "agent/base/err.h"

enum { INTEGER = 0x02, BITS = 0x03, OID = 0x06, SEQUENCE = 0x30, EXPLICIT_0 = 0xa0 };

#define OID_OF(name, ...) static const uint8_t name[] = { __VA_ARGS__ }

OID_OF(oid_ec, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01);
OID_OF(oid_rsa, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01);
OID_OF(oid_p256, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07);
OID_OF(oid_p384, 0x2b, 0x81, 0x04, 0x00, 0x22);
OID_OF(oid_p521, 0x2b, 0x81, 0x04, 0x00, 0x23);

static const struct {
	struct slice oid;
	const char *name;
	size_t bytes; /* of a coordinate */
} curves[] = {
	{ { oid_p256, sizeof(oid_p256), false }, "P-256", 32 },
	{ { oid_p384, sizeof(oid_p384), false }, "P-384", 48 },
	{ { oid_p521, sizeof(oid_p521), false }, "P-521", 66 },
};

static size_t get_length(struct slice *s)
{
	uint8_t first = slice_get_u8(s);
	size_t len = 0;

	if (first < 0x80)
		return first;
	if (first == 0x80 || first > 0x84)
		slice_fail(s); /* indefinite is not DER; four bytes are more than any limit here */
	for (uint8_t i = first & 0x7f; i && slice_ok(s); i--)
		len = len << 8 | slice_get_u8(s);
	return len;
}

/* The content of the next element, which must have this tag. */
static struct slice get(struct slice *s, uint8_t tag)
{
	if (slice_get_u8(s) != tag)
		slice_fail(s);
	return slice_get_bytes(s, get_length(s));
}

size_t der_first(struct slice s)
{
	size_t whole = s.len;

	(void)get(&s, SEQUENCE);
	return slice_ok(&s) ? whole - s.len : 0;
}

size_t der_count(struct slice s)
{
	size_t n = 0;

	for (size_t len; s.len; n++) {
		len = der_first(s);
		if (!len)
			return 0;
		(void)slice_get_bytes(&s, len);
	}
	return n;
}

/* SubjectPublicKeyInfo is the seventh of TBSCertificate, whose version may be left out. */
static struct slice get_key_info(struct slice *cert)
{
	struct slice outer = get(cert, SEQUENCE), tbs = get(&outer, SEQUENCE), info;

	if (tbs.len && tbs.p[0] == EXPLICIT_0)
		(void)get(&tbs, EXPLICIT_0);
	(void)get(&tbs, INTEGER);
	for (int i = 0; i < 4; i++) /* signature, issuer, validity, subject */
		(void)get(&tbs, SEQUENCE);
	info = get(&tbs, SEQUENCE);
	if (!slice_ok(&outer) || !slice_ok(&tbs))
		slice_fail(cert);
	return info;
}

/* RFC 5480 2.2: an uncompressed point. */
static bool read_point(struct slice oid, struct slice bits, struct der_key *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		if (!slice_eq(oid, curves[i].oid))
			continue;
		k->curve = curves[i].name;
		if (slice_get_u8(&bits) != 4)
			return false;
		k->a = slice_get_bytes(&bits, curves[i].bytes);
		k->b = slice_get_bytes(&bits, curves[i].bytes);
		return !slice_end(&bits);
	}
	return false;
}

static struct slice get_number(struct slice *s)
{
	struct slice n = get(s, INTEGER);

	while (n.len && !n.p[0])
		(void)slice_get_u8(&n);
	return n;
}

static bool read_rsa(struct slice bits, struct der_key *k)
{
	struct slice pair = get(&bits, SEQUENCE);

	k->a = get_number(&pair);
	k->b = get_number(&pair);
	return !slice_end(&bits) && !slice_end(&pair) && k->a.len && k->b.len;
}

int der_public_key(struct slice cert, struct der_key *ret_key)
{
	struct slice info = get_key_info(&cert), algorithm = get(&info, SEQUENCE), bits = get(&info, BITS);
	struct slice oid = get(&algorithm, OID);
	struct der_key k = { .curve = NULL };
	bool ok = slice_get_u8(&bits) == 0; /* unused bits */

	if (slice_eq(oid, slice_of(oid_ec, sizeof(oid_ec))))
		ok = ok && read_point(get(&algorithm, OID), bits, &k);
	else
		ok = ok && slice_eq(oid, slice_of(oid_rsa, sizeof(oid_rsa))) && read_rsa(bits, &k);
	if (!ok || !slice_ok(&cert) || !slice_ok(&info) || !slice_ok(&algorithm))
		return -ERR_FORMAT;
	*ret_key = k;
	return 0;
}
