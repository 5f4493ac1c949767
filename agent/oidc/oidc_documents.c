// SPDX-License-Identifier: Apache-2.0
/* oidc_documents.c - discovery document and key set for clouds. svid-cloud, and svid at a terminal. */
#include "agent/oidc/oidc_documents.h"

#include <errno.h>
#include <jansson.h>

#include "agent/base/err.h"

int oidc_put_discovery(struct slice issuer, struct buf *out)
{
	AUTO(buf) struct buf keys = BUF_INIT(4096);

	if (!slice_starts(issuer, slice_str("https://")))
		return -ERR_FORMAT;
	buf_put_slice(&keys, issuer);
	buf_put_str(&keys, OIDC_KEYS_PATH);
	buf_put_str(out, "{\"issuer\":");
	buf_put_json(out, issuer);
	buf_put_str(out, ",\"jwks_uri\":");
	buf_put_json(out, buf_slice(&keys));
	buf_put_str(out, ",\"authorization_endpoint\":\"\",\"response_types_supported\":[\"id_token\"],"
			 "\"subject_types_supported\":[\"public\"],"
			 "\"id_token_signing_alg_values_supported\":[\"RS256\",\"ES256\"]}");
	return buf_ok(&keys) ? buf_ok(&keys) : buf_ok(out);
}

/* Google refuses a key with a member that it does not know. */
static void put_key(const json_t *key, struct buf *out)
{
	static const char *const members[] = { "kty", "alg", "kid", "n", "e", "x", "y", "crv" };

	buf_put_str(out, "{\"use\":\"sig\"");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		const json_t *v = json_object_get(key, members[i]);

		if (!json_is_string(v))
			continue;
		buf_printf(out, ",\"%s\":", members[i]);
		buf_put_json(out, slice_of(json_string_value(v), json_string_length(v)));
	}
	buf_put_str(out, "}");
}

int oidc_put_keys(struct slice jwks, struct buf *out)
{
	json_t *set = jwks.len ? json_loadb((const char *)jwks.p, jwks.len, 0, NULL) : NULL;
	const json_t *keys = json_object_get(set, "keys"), *key;
	int err = !jwks.len ? -ERR_NOT_READY : json_is_array(keys) ? 0 : -ERR_FORMAT;
	size_t i;

	if (!err)
		buf_put_str(out, "{\"keys\":[");
	json_array_foreach((json_t *)keys, i, key) {
		if (i)
			buf_put_str(out, ",");
		put_key(key, out);
	}
	if (!err)
		buf_put_str(out, "]}");
	json_decref(set);
	return err ? err : buf_ok(out);
}
