/* SPDX-License-Identifier: Apache-2.0 */
/* links: federation/oidc_answer.c agent/oidc/oidc_documents.c */
/*
 * oidc_fuzz.c - any bytes as a request for an OIDC document, and any bytes as our own key set. An answer is a head and as many
 * bytes as it says; what is served as keys is JSON with nothing in it that a cloud refuses.
 */
#include <jansson.h>
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/oidc/oidc_documents.h"
#include "federation/oidc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_answer(struct buf *out, bool whole)
{
	const char *text = buf_cstr(out), *length = strstr(text, "\r\nContent-Length: "), *end = strstr(text, "\r\n\r\n");
	size_t body;

	if (!whole) {
		must(!out->len);
		return;
	}
	must(!strncmp(text, "HTTP/1.1 ", 9) && length && end && length < end);
	body = out->len - (size_t)(end + 4 - text);
	must(!body || body == strtoul(length + 18, NULL, 10));
}

static void check_keys(struct slice jwks)
{
	AUTO(buf) struct buf out = BUF_INIT(LIM_JWKS);
	int err = oidc_put_keys(jwks, &out);
	json_t *doc, *key;
	size_t i;

	if (err)
		return;
	doc = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	must(json_is_array(json_object_get(doc, "keys")));
	json_array_foreach(json_object_get(doc, "keys"), i, key) {
		must(json_is_object(key) && json_object_size(key) <= 9);
		must(!strcmp(json_string_value(json_object_get(key, "use")), "sig"));
		must(!json_object_get(key, "d"));
	}
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 20);
	struct slice in = slice_of(data, size);
	const struct oidc_facts facts = { .issuer = slice_str("https://o.example"), .jwks = in };
	int err = oidc_answer(&facts, in, &out);

	must(err == 0 || err == -ERR_SIZE);
	if (!err)
		check_answer(&out, size >= 4 && memmem(data, size, "\r\n\r\n", 4));
	check_keys(in);
	return 0;
}
