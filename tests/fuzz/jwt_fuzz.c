/* SPDX-License-Identifier: Apache-2.0 */
/* links: workloadapi */
/*
 * jwt_fuzz.c - any bytes as a token. The first byte says how: as they are, or as header and claims (a NUL between them) that
 * are put into compact form, so that the fuzzer need not learn base64. What is accepted must hold to the letter, and encode.
 */
#include <stdlib.h>

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "gen/workload.pb-c.h"
#include "workloadapi/claims.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void build(struct buf *token, struct slice in)
{
	const uint8_t *nul = in.len ? memchr(in.p, 0, in.len) : NULL;
	struct slice header = slice_get_bytes(&in, nul ? (size_t)(nul - in.p) : in.len);

	if (nul)
		(void)slice_get_u8(&in);
	base64_put(token, header, BASE64_URL);
	buf_put_str(token, ".");
	base64_put(token, in, BASE64_URL);
	buf_put_str(token, ".c2ln");
}

static void check_answer(const struct jwt *j, bool all)
{
	AUTO(message) struct message *m = NULL;
	ValidateJWTSVIDResponse *r;
	struct slice body;

	must(claims_encode(j, all, &m) == 0);
	body = message_bytes(m);
	(void)slice_get_bytes(&body, GRPC_PREFIX);
	r = validate_jwtsvidresponse__unpack(NULL, body.len, body.p);
	must(r && r->claims && slice_eq_str(j->sub, r->spiffe_id));
	must(all ? r->claims->n_fields == json_object_size(j->claims) : r->claims->n_fields == 3);
	validate_jwtsvidresponse__free_unpacked(r, NULL);
}

static void check(const struct jwt *j, struct slice token)
{
	must(j->alg > JWT_NONE && j->alg < JWT_ALG_COUNT);
	must(spiffe_id_why(j->sub) == NULL && j->id.path.len > 1);
	must(j->signature.len > 0 && j->input.p == token.p && j->input.len < token.len);
	must(j->exp >= 0 && j->nbf >= 0);
	(void)jwt_why_not(j, slice_str("a"), 1000);
	check_answer(j, true);
	check_answer(j, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) struct buf token = BUF_INIT(4 << 20);
	AUTO(jwt) struct jwt j = JWT_INIT;
	struct slice in = slice_of(data, size);
	const char *why = NULL;
	int err;

	if (!size)
		return 0;
	if (slice_get_u8(&in) & 1)
		build(&token, in);
	else
		buf_put_slice(&token, in);
	must(buf_ok(&token) == 0);
	err = jwt_parse(buf_slice(&token), &j, &why);
	must(err == 0 || err == -ERR_REQUEST);
	must((why != NULL) == (err != 0));
	if (!err)
		check(&j, buf_slice(&token));
	return 0;
}
