// SPDX-License-Identifier: Apache-2.0
/* spiffe_id.c - the SPIFFE ID grammar, one check per clause. Any role. */
#include "agent/base/spiffe_id.h"

#include "agent/base/err.h"
#include "agent/base/limits.h"

#define SCHEME "spiffe://"

static bool is_segment_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '-' || c == '_';
}

static const char *td_byte_why(uint8_t c)
{
	if (c == '%') /* ID-2.1-6 */
		return "percent-encoding in the trust domain";
	if (c == '@') /* ID-2.1-2 */
		return "user information in front of the trust domain";
	if (c == ':') /* ID-2.1-3 */
		return "port after the trust domain";
	if (c >= 'A' && c <= 'Z') /* ID-2.1-4 */
		return "upper case in the trust domain";
	return is_segment_byte(c) ? NULL : "trust domain has a byte other than a-z 0-9 . - _"; /* ID-2.1-5 */
}

const char *spiffe_td_why(struct slice name)
{
	if (!name.len) /* ID-2-2, ID-2.1-1 */
		return "trust domain is empty";
	if (name.len > LIM_TRUST_DOMAIN) /* ID-2.3-3 */
		return "trust domain is longer than 255 bytes";
	for (size_t i = 0; i < name.len; i++) {
		const char *why = td_byte_why(name.p[i]);

		if (why)
			return why;
	}
	return NULL; /* ID-2.1-7: looking like an address or a DNS name makes no difference */
}

static const char *segment_why(struct slice seg)
{
	if (!seg.len) /* ID-2.2-2, ID-2.2-4 */
		return "empty path segment or trailing slash";
	if (slice_eq_str(seg, ".") || slice_eq_str(seg, "..")) /* ID-2.2-3 */
		return "path segment is . or ..";
	for (size_t i = 0; i < seg.len; i++) {
		if (seg.p[i] == '%') /* ID-2.2-1 */
			return "percent-encoding in the path";
		if (seg.p[i] == '?') /* ID-2-3 */
			return "query component";
		if (seg.p[i] == '#') /* ID-2-4 */
			return "fragment component";
		if (seg.p[i] == '{' || seg.p[i] == '}')
			return "{ and } are reserved for templates";
		if (!is_segment_byte(seg.p[i])) /* ID-2.2-5 */
			return "path has a byte other than a-z A-Z 0-9 . - _";
	}
	return NULL;
}

const char *spiffe_path_why(struct slice path)
{
	size_t start = 1;

	if (!path.len)
		return NULL;
	if (path.p[0] != '/')
		return "path does not begin with a slash";
	for (size_t i = 1; i <= path.len; i++) {
		const char *why;

		if (i < path.len && path.p[i] != '/')
			continue;
		why = segment_why(slice_of(path.p + start, i - start));
		if (why)
			return why;
		start = i + 1;
	}
	return NULL;
}

/* Where the trust domain ends: at the path, or at a query or fragment that the checks then refuse. */
static struct spiffe_id split(struct slice s)
{
	size_t at = strlen(SCHEME);
	size_t end = at;

	while (end < s.len && s.p[end] != '/' && s.p[end] != '?' && s.p[end] != '#')
		end++;
	return (struct spiffe_id){
		.trust_domain = slice_of(s.p + at, end - at),
		.path = slice_of(s.p + end, s.len - end),
	};
}

const char *spiffe_id_why(struct slice s)
{
	struct spiffe_id id;
	const char *why;

	if (!slice_starts(s, slice_str(SCHEME))) /* ID-2-1, ID-2-5 */
		return "does not begin with spiffe://";
	if (s.len > LIM_SPIFFE_ID) /* ID-2.3-1, ID-2.3-2 */
		return "longer than 2048 bytes";
	id = split(s);
	if (id.path.len && id.path.p[0] == '?') /* ID-2-3 */
		return "query component";
	if (id.path.len && id.path.p[0] == '#') /* ID-2-4 */
		return "fragment component";
	why = spiffe_td_why(id.trust_domain);
	return why ? why : spiffe_path_why(id.path);
}

int spiffe_id_parse(struct slice s, struct spiffe_id *ret_id)
{
	if (s.len > LIM_SPIFFE_ID)
		return -ERR_SIZE;
	if (spiffe_id_why(s))
		return -ERR_SPIFFE_ID;
	*ret_id = split(s);
	return 0;
}
