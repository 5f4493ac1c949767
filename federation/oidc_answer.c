// SPDX-License-Identifier: Apache-2.0
/* oidc_answer.c - one HTTP/1.1 request for an OIDC document, as bytes in and bytes out. svid-cloud; oidc.c does the talking. */
#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/oidc/oidc_documents.h"
#include "federation/oidc.h"

static void put_answer(struct buf *out, const char *status, struct slice body, bool head)
{
	buf_printf(out, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
			"Cache-Control: no-store\r\nConnection: close\r\n\r\n", status, body.len);
	if (!head)
		buf_put_slice(out, body);
}

/* "/keys HTTP/1.1" */
static void answer(const struct oidc_facts *f, struct slice target, bool head, struct buf *out)
{
	AUTO(buf) struct buf body = BUF_INIT(LIM_JWKS + 4096);
	int err = -ERR_NOT_FOUND;

	if (slice_starts(target, slice_str(OIDC_DISCOVERY_PATH " ")))
		err = oidc_put_discovery(f->issuer, &body);
	else if (slice_starts(target, slice_str(OIDC_KEYS_PATH " ")))
		err = oidc_put_keys(f->jwks, &body);
	if (err == -ERR_NOT_FOUND)
		put_answer(out, "404 Not Found", slice_of(NULL, 0), head);
	else if (err)
		put_answer(out, "503 Service Unavailable", slice_of(NULL, 0), head);
	else
		put_answer(out, "200 OK", buf_slice(&body), head);
}

int oidc_answer(const struct oidc_facts *f, struct slice in, struct buf *out)
{
	const uint8_t *end = in.len ? memmem(in.p, in.len, "\r\n\r\n", 4) : NULL;
	struct slice line, get = slice_str("GET "), head = slice_str("HEAD ");

	if (!end)
		return 0;
	line = slice_of(in.p, (size_t)((const uint8_t *)memmem(in.p, in.len, "\r\n", 2) - in.p));
	if (slice_starts(line, get))
		answer(f, slice_of(line.p + get.len, line.len - get.len), false, out);
	else if (slice_starts(line, head))
		answer(f, slice_of(line.p + head.len, line.len - head.len), true, out);
	else
		put_answer(out, "405 Method Not Allowed", slice_of(NULL, 0), false);
	return buf_ok(out);
}
