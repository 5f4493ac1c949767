// SPDX-License-Identifier: Apache-2.0
/* audit_line.c - records of svid-core's audit log as lines for people. svid; the record's shape is agent/core/audit.h's. */
#include "agent/cli/audit_line.h"

#include <stdio.h>
#include <time.h>

#include "agent/cli/jwt.h"

#define VALUE_MAX (64u << 10)

/* "2026-11-22T10:00:00", with a fraction and Z or nothing behind it. */
int audit_time(const char *text, int64_t *ret_s)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!end)
		return -ERR_FORMAT;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (strcmp(end, "Z") != 0 && *end)
		return -ERR_FORMAT;
	*ret_s = (int64_t)timegm(&tm);
	return 0;
}

int audit_since(const char *text, int64_t now, int64_t *ret_since)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t n = strlen(text);
	uint64_t count;

	for (size_t i = 0; n > 1 && i < ARRAY_SIZE(units); i++) {
		if (text[n - 1] != units[i].unit)
			continue;
		if (slice_u64_dec(slice_of(text, n - 1), &count) || count > INT32_MAX)
			return -ERR_FORMAT;
		*ret_since = now - (int64_t)count * units[i].seconds;
		return 0;
	}
	return audit_time(text, ret_since);
}

static const char *string_of(const json_t *record, const char *name)
{
	return json_string_value(json_object_get(record, name));
}

static bool names(const json_t *record, const char *identity)
{
	const char *id = string_of(record, "spiffe_id");
	const json_t *item;
	size_t i;

	if (id && strcmp(id, identity) == 0)
		return true;
	json_array_foreach(json_object_get(record, "identities"), i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), identity) == 0)
			return true;
	return false;
}

/* Something was asked for and not given: no identity, an audience refused, an issue that failed. */
static bool is_denial(const json_t *record)
{
	const char *decision = string_of(record, "decision"), *event = string_of(record, "event");
	const json_t *allowed = json_object_get(record, "allowed");
	struct slice word = slice_str(event);

	if (allowed)
		return !json_is_true(allowed);
	if (decision && strcmp(decision, "allow") != 0)
		return true;
	return word.len >= 7 && slice_eq_str(slice_of(word.p + word.len - 7, 7), "_failed");
}

bool audit_wanted(const json_t *record, const struct audit_filter *filter)
{
	const char *time = string_of(record, "time");
	int64_t at;

	if (filter->since && (!time || audit_time(time, &at) || at < filter->since))
		return false;
	if (filter->identity && !names(record, filter->identity))
		return false;
	return !filter->denied || is_denial(record);
}

/* Members that make the beginning of the line. */
static bool is_head(const char *key)
{
	static const char *const keys[] = { "time", "event", "decision", "allowed", "identities", "spiffe_id" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void put_value(struct buf *out, const json_t *v)
{
	AUTO(buf) struct buf text = BUF_INIT(VALUE_MAX);

	jwt_claim(&text, v);
	if (!text.len)
		buf_put_str(&text, "-");
	buf_put_esc(out, buf_slice(&text));
}

static void put_head(struct buf *out, const json_t *record)
{
	const char *decision = string_of(record, "decision"), *event = string_of(record, "event");
	const json_t *who = json_object_get(record, "spiffe_id");
	AUTO(buf) struct buf word = BUF_INIT(256);

	put_value(out, json_object_get(record, "time"));
	buf_put_esc(&word, slice_str(event ? event : "?"));
	if (decision) {
		buf_put_str(&word, " ");
		buf_put_esc(&word, slice_str(decision));
	}
	if (json_is_false(json_object_get(record, "allowed")))
		buf_put_str(&word, " refused");
	buf_printf(out, "  %-14s", buf_cstr(&word));
	if (!who)
		who = json_object_get(record, "identities");
	if (who && (!json_is_array(who) || json_array_size(who))) {
		buf_put_str(out, "  ");
		put_value(out, who);
	}
}

/* One level of an object inside becomes "name.key": nothing is left out. */
static void put_members(struct buf *out, const char *prefix, json_t *object)
{
	json_t *v;
	const char *key;

	json_object_foreach(object, key, v) {
		if ((!*prefix && is_head(key)) || json_is_null(v))
			continue;
		if (json_is_object(v) && !*prefix) {
			put_members(out, key, v);
			continue;
		}
		buf_put_str(out, "  ");
		buf_put_esc(out, slice_str(prefix));
		buf_put_str(out, *prefix ? "." : "");
		buf_put_esc(out, slice_str(key));
		buf_put_str(out, "=");
		put_value(out, v);
	}
}

void audit_put(struct buf *out, json_t *record)
{
	put_head(out, record);
	put_members(out, "", record);
	buf_put_str(out, "\n");
}
