/* SPDX-License-Identifier: Apache-2.0 */
/* spiffeid.c - what svid-keys is willing to put into a certificate. Called by authority.c and leaf.c. */
#include "agent/keys/spiffeid.h"

#include "agent/base/limits.h"

static bool is_lower(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(uint8_t c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

int trust_domain_check(struct slice td)
{
	if (!td.len || td.len > LIM_TRUST_DOMAIN)
		return -ERR_SPIFFE_ID;
	for (size_t i = 0; i < td.len; i++)
		if (!is_lower(td.p[i]) && !strchr(".-_", td.p[i] ? td.p[i] : '/'))
			return -ERR_SPIFFE_ID;
	return 0;
}

/* SPIFFE-ID 2.2: no empty and no relative segments. */
static bool is_segment(struct slice s)
{
	if (!s.len || slice_eq_str(s, ".") || slice_eq_str(s, ".."))
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && !strchr(".-_", s.p[i] ? s.p[i] : '/'))
			return false;
	return true;
}

int spiffe_id_check(struct slice id, struct slice td)
{
	struct slice rest = id;

	if (id.len > LIM_SPIFFE_ID || !slice_starts(rest, slice_str("spiffe://")))
		return -ERR_SPIFFE_ID;
	(void)slice_get_bytes(&rest, strlen("spiffe://"));
	if (!slice_starts(rest, td) || rest.len == td.len)
		return -ERR_SPIFFE_ID;
	(void)slice_get_bytes(&rest, td.len);
	/* X509-SVID 3.1: a leaf has a path that is not root, so at least one segment. */
	while (rest.len) {
		size_t n = 0;

		if (slice_get_u8(&rest) != '/')
			return -ERR_SPIFFE_ID;
		while (n < rest.len && rest.p[n] != '/')
			n++;
		if (!is_segment(slice_get_bytes(&rest, n)))
			return -ERR_SPIFFE_ID;
	}
	return 0;
}

static bool is_label(struct slice s)
{
	if (!s.len || s.len > 63 || s.p[0] == '-' || s.p[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

int dns_name_check(struct slice name)
{
	struct slice rest = name;

	if (!name.len || name.len > LIM_DNS_NAME)
		return -ERR_FORMAT;
	if (slice_starts(rest, slice_str("*.")))
		(void)slice_get_bytes(&rest, 2);
	for (;;) {
		size_t n = 0;

		while (n < rest.len && rest.p[n] != '.')
			n++;
		if (!is_label(slice_get_bytes(&rest, n)))
			return -ERR_FORMAT;
		if (!rest.len)
			return 0;
		(void)slice_get_u8(&rest);
	}
}
