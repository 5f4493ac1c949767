/* SPDX-License-Identifier: Apache-2.0 */
/* keys_case.h - an authority with all its keys, at a time of the test's choice. For the unit tests of svid-keys. */
#ifndef TESTS_UNIT_KEYS_CASE_H
#define TESTS_UNIT_KEYS_CASE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/limits.h"
#include "agent/keys/authority.h"
#include "agent/keys/pkey.h"

#define TD "example.org"
#define ID "spiffe://example.org/ns/web"
#define NOW 1790000000ll
#define DAY 86400u
#define SLOW (1u << SIGN_JWT_RS256)

/* A few RSA keys are enough for a program: making one takes a third of a second. */
static inline EVP_PKEY *case_rsa(void)
{
	static EVP_PKEY *keys[4];
	static size_t next;
	EVP_PKEY **at = &keys[next++ % ARRAY_SIZE(keys)];

	if (!*at)
		assert_int_equal(pkey_generate(KEY_RSA_2048, at), 0);
	EVP_PKEY_up_ref(*at);
	return *at;
}

/* What rotate.c does at @now, with a pool that takes no time. Returns whether svid-core was told something. */
static inline bool case_look(struct authority *a, int64_t now)
{
	unsigned int slow;
	bool news;

	assert_int_equal(authority_advance(a, now, &slow), 0);
	if (slow) {
		assert_int_equal(slow, SLOW);
		assert_int_equal(authority_adopt(a, SIGN_JWT_RS256, case_rsa(), now), 0);
	}
	news = authority_has_news(a, now);
	if (news) {
		authority_told(a, now);
		authority_stored(a);
	}
	return news;
}

/* With every key that @plan has, made at NOW. */
static inline struct authority *case_authority(uint32_t ca_ttl, uint32_t jwt_ttl, bool wit)
{
	struct authority *a = NULL;

	assert_int_equal(authority_new(slice_str(TD), &a), 0);
	assert_int_equal(authority_configure(a, &(struct authority_plan){ ca_ttl, jwt_ttl, wit }), 0);
	assert_true(case_look(a, NOW));
	return a;
}

static inline const struct signer *case_signer(struct authority *a, enum signer_use use, int64_t now)
{
	const struct signer *s = NULL;

	assert_int_equal(authority_signer(a, use, now, &s), 0);
	return s;
}

#endif
