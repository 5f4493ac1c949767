/* SPDX-License-Identifier: Apache-2.0 */
/* session_name.c - what a workload is called in a session of AWS. svid-core (as a claim) and svid-cloud (in its request). */
#include "agent/base/session_name.h"

#include <stdio.h>

#include "agent/base/buf.h"

static bool may_be_in_session(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_+=,.@-", c));
}

/* FNV-1a: tells names apart that would be the same after cutting; who may have which SPIFFE ID is root's to say. */
static uint32_t hash_of(struct slice a, struct slice b)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < a.len; i++)
		h = (h ^ a.p[i]) * 16777619u;
	for (size_t i = 0; i < b.len; i++)
		h = (h ^ b.p[i]) * 16777619u;
	return h;
}

static struct slice path_of(struct slice spiffe_id)
{
	struct slice s = spiffe_id, scheme = slice_str("spiffe://");
	const uint8_t *slash;

	if (slice_starts(s, scheme))
		s = slice_of(s.p + scheme.len, s.len - scheme.len);
	slash = s.len ? memchr(s.p, '/', s.len) : NULL;
	return slash ? slice_of(slash + 1, s.len - (size_t)(slash + 1 - s.p)) : slice_of(NULL, 0);
}

void session_name(struct slice spiffe_id, struct slice node, char ret_name[static SESSION_NAME_MAX + 1])
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct slice parts[] = { path_of(spiffe_id), slice_str("@"), node };
	bool altered = false;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		for (size_t j = 0; j < parts[i].len; j++) {
			uint8_t c = parts[i].p[j];

			buf_put_u8(&b, may_be_in_session(c) ? c : c == '/' ? '.' : '-');
			/* "/" becomes ".", so a dot of the path's own may not stand for one */
			altered = altered || (c != '/' && !may_be_in_session(c)) || (i == 0 && c == '.');
		}
	if (buf_ok(&b) || b.len > SESSION_NAME_MAX || altered)
		snprintf(ret_name, SESSION_NAME_MAX + 1, "%.*s-%08x", SESSION_NAME_MAX - 9, buf_cstr(&b),
			 hash_of(spiffe_id, node));
	else
		snprintf(ret_name, SESSION_NAME_MAX + 1, "%s", b.len > 1 ? buf_cstr(&b) : "svid");
}
