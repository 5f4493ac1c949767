/* SPDX-License-Identifier: Apache-2.0 */
/* ids.c - SPIFFE-ID.md on every SPIFFE ID that an answer shows. svid-conformance; whether IDs and certificates agree: leaf.c. */
#include <ctype.h>
#include <stdio.h>

#include "conformance/run.h"

/* A SPIFFE ID split in place; name and path are empty when they are not there. */
struct id {
	struct slice all, scheme, name, path;
};

static struct id split(struct slice s)
{
	struct id id = { .all = s };
	const uint8_t *sep = memmem(s.p, s.len, "://", 3);

	if (!sep)
		return id;
	id.scheme = slice_get_bytes(&s, (size_t)(sep - s.p));
	slice_get_bytes(&s, 3);
	size_t n = 0;

	while (n < s.len && s.p[n] != '/' && s.p[n] != '?' && s.p[n] != '#')
		n++;
	id.name = slice_get_bytes(&s, n);
	id.path = s;
	return id;
}

typedef bool id_rule(const struct id *id);

/* Applies a rule to every SPIFFE ID of both answers. */
static enum verdict every_id(struct run *r, id_rule *rule)
{
	const struct svid_response *svids = run_svids(r);
	const struct bundle_response *bundles = svids ? run_bundles(r) : NULL;
	struct slice all[3 * MESSAGE_ITEMS];
	size_t n = 0;

	if (!bundles)
		return FAIL;
	for (size_t i = 0; i < svids->n_svids; i++)
		all[n++] = svids->svids[i].spiffe_id;
	for (size_t i = 0; i < svids->n_federated; i++)
		all[n++] = svids->federated[i].name;
	for (size_t i = 0; i < bundles->n_bundles; i++)
		all[n++] = bundles->bundles[i].name;
	for (size_t i = 0; i < n; i++) {
		struct id id = split(all[i]);

		if (!rule(&id))
			return fail(r, "\"%.*s\"", (int)(all[i].len < 300 ? all[i].len : 300), (const char *)all[i].p);
	}
	return n ? PASS : fail(r, "the answer has no SPIFFE ID");
}

static bool has(struct slice s, char c)
{
	return s.len && memchr(s.p, c, s.len);
}

static bool is_of(struct slice s, const char *others, bool upper)
{
	for (size_t i = 0; i < s.len; i++) {
		bool fine = islower(s.p[i]) || isdigit(s.p[i]) || (upper && isupper(s.p[i]));

		if (!fine && (s.p[i] == '\0' || !strchr(others, s.p[i])))
			return false;
	}
	return true;
}

static bool scheme_is_spiffe(const struct id *id)
{
	return slice_eq_str(id->scheme, "spiffe");
}

static bool name_is_there(const struct id *id)
{
	return id->name.len > 0;
}

static bool no_query(const struct id *id)
{
	return !has(id->all, '?');
}

static bool no_fragment(const struct id *id)
{
	return !has(id->all, '#');
}

static bool is_uri(const struct id *id)
{
	return id->scheme.len && is_of(id->path, "/.-_~!$&'()*+,;=:@%", true);
}

static bool no_userinfo(const struct id *id)
{
	return !has(id->name, '@');
}

static bool no_port(const struct id *id)
{
	return !has(id->name, ':');
}

static bool name_is_lower(const struct id *id)
{
	for (size_t i = 0; i < id->name.len; i++) {
		if (isupper(id->name.p[i]))
			return false;
	}
	return true;
}

static bool name_charset(const struct id *id)
{
	return is_of(id->name, ".-_", false);
}

static bool name_not_encoded(const struct id *id)
{
	return !has(id->name, '%');
}

static bool path_not_encoded(const struct id *id)
{
	return !has(id->path, '%');
}

static bool path_has_no_empty_segment(const struct id *id)
{
	return id->path.len == 0 || !memmem(id->path.p, id->path.len, "//", 2);
}

static bool path_has_no_dots(const struct id *id)
{
	size_t start = 1;

	for (size_t i = 1; i <= id->path.len; i++) {
		if (i < id->path.len && id->path.p[i] != '/')
			continue;
		struct slice segment = slice_of(id->path.p + start, i - start);

		if (slice_eq_str(segment, ".") || slice_eq_str(segment, ".."))
			return false;
		start = i + 1;
	}
	return true;
}

static bool path_has_no_end_slash(const struct id *id)
{
	return id->path.len == 0 || id->path.p[id->path.len - 1] != '/';
}

static bool path_charset(const struct id *id)
{
	return is_of(id->path, "/.-_", true);
}

static bool is_short_enough(const struct id *id)
{
	return id->all.len <= 2048;
}

static bool name_is_short_enough(const struct id *id)
{
	return id->name.len <= 255;
}

#define RULE(fn, rule)                             \
	static enum verdict fn(struct run *r)      \
	{                                          \
		return every_id(r, rule);          \
	}

RULE(id_2_1, scheme_is_spiffe)
RULE(id_2_2, name_is_there)
RULE(id_2_3, no_query)
RULE(id_2_4, no_fragment)
RULE(id_2_5, is_uri)
RULE(id_2_1_2, no_userinfo)
RULE(id_2_1_3, no_port)
RULE(id_2_1_4, name_is_lower)
RULE(id_2_1_5, name_charset)
RULE(id_2_1_6, name_not_encoded)
RULE(id_2_2_1, path_not_encoded)
RULE(id_2_2_2, path_has_no_empty_segment)
RULE(id_2_2_3, path_has_no_dots)
RULE(id_2_2_4, path_has_no_end_slash)
RULE(id_2_2_5, path_charset)
RULE(id_2_3_2, is_short_enough)
RULE(id_2_3_3, name_is_short_enough)

const struct test id_tests[] = {
	{ "ID-2-1", "the scheme is spiffe", MODE_IDENTITY, id_2_1, NULL },
	{ "ID-2-2", "the trust domain name is there", MODE_IDENTITY, id_2_2, NULL },
	{ "ID-2-3", "no query", MODE_IDENTITY, id_2_3, NULL },
	{ "ID-2-4", "no fragment", MODE_IDENTITY, id_2_4, NULL },
	{ "ID-2-5", "scheme, authority and path, and nothing else", MODE_IDENTITY, id_2_5, NULL },
	{ "ID-2.1-1", "the host is not empty", MODE_IDENTITY, id_2_2, NULL },
	{ "ID-2.1-2", "no user information", MODE_IDENTITY, id_2_1_2, NULL },
	{ "ID-2.1-3", "no port", MODE_IDENTITY, id_2_1_3, NULL },
	{ "ID-2.1-4", "the trust domain name is lower case", MODE_IDENTITY, id_2_1_4, NULL },
	{ "ID-2.1-5", "characters of the trust domain name", MODE_IDENTITY, id_2_1_5, NULL },
	{ "ID-2.1-6", "no percent-encoding in the trust domain name", MODE_IDENTITY, id_2_1_6, NULL },
	{ "ID-2.2-1", "no percent-encoding in the path", MODE_IDENTITY, id_2_2_1, NULL },
	{ "ID-2.2-2", "no empty path segment", MODE_IDENTITY, id_2_2_2, NULL },
	{ "ID-2.2-3", "no . or .. segment", MODE_IDENTITY, id_2_2_3, NULL },
	{ "ID-2.2-4", "no slash at the end", MODE_IDENTITY, id_2_2_4, NULL },
	{ "ID-2.2-5", "characters of the path", MODE_IDENTITY, id_2_2_5, NULL },
	{ "ID-2.3-2", "at most 2048 bytes", MODE_IDENTITY, id_2_3_2, NULL },
	{ "ID-2.3-3", "a trust domain name of at most 255 bytes", MODE_IDENTITY, id_2_3_3, NULL },
	{ 0 },
};
