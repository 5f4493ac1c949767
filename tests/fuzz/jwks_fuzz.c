/* SPDX-License-Identifier: Apache-2.0 */
/* links: workloadapi */
/*
 * jwks_fuzz.c - any bytes as a JWK Set. What clients may get, a validator reads whole; what a validator reads fits into the
 * question for svid-keys.
 */
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/ipc/msg.h"
#include "workloadapi/jsondoc.h"
#include "workloadapi/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_key(const struct jwk *k)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);
	struct msg_FK_VERIFY m = { .order = 1, .alg = k->alg, .curve = k->curve, .a = k->a, .b = k->b }, back;
	unsigned int fits = 0;

	msg_put_FK_VERIFY(&b, &m);
	must(buf_ok(&b) == 0 && msg_get_FK_VERIFY(buf_slice(&b), &back) == 0);
	must(back.a.len == k->a.len && back.b.len == k->b.len && k->a.len >= 32 && k->b.len > 0);
	for (uint32_t alg = JWT_NONE + 1; alg < JWT_ALG_COUNT; alg++)
		fits += jwk_fits(k, alg);
	must(fits == (k->alg != JWT_NONE || k->curve != CURVE_NONE ? 1 : 6) && !jwk_fits(k, JWT_NONE));
}

static size_t keys_in(struct slice text)
{
	AUTO(jsondoc) json_t *doc = NULL;

	must(jsondoc_read(text, &doc) == 0);
	return json_array_size(json_object_get(doc, "keys"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(jwks) struct jwks *j = NULL;
	struct slice text = slice_of(data, size);
	const char *why = jwks_why(text);
	int err = jwks_parse(text, &j);

	must(err == 0 || err == -ERR_FORMAT || err == -ERR_SIZE);
	must((jwks_check(text) != 0) == (why != NULL));
	must(err == 0 || why != NULL);
	for (size_t i = 0; j && i < j->n_keys; i++)
		check_key(&j->keys[i]);
	if (!why)
		must(j->n_keys == keys_in(text));
	if (!jwks_check_wit(text))
		must(err == 0);
	return 0;
}
