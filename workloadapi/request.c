// SPDX-License-Identifier: Apache-2.0
/* request.c - header fields of one request, checked one by one as they are decoded. svid-front. */
#include "workloadapi/request.h"

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "workloadapi/service.h"

#define FIELD_OVERHEAD 32 /* bytes, RFC 9113 6.5.2 */
#define TIMEOUT_DIGITS 8  /* gRPC over HTTP/2, TimeoutValue */

/* RFC 9110 token characters but upper case, which HTTP/2 forbids (8.2.1). */
static bool is_name_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && memchr("!#$%&'*+-.^_`|~", c, 15));
}

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_name_char(s.p[i]))
			return false;
	return s.len > 0;
}

/* 8.2.1: no NUL, CR, LF; no space or tab at either end. */
static bool is_value(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == 0 || s.p[i] == '\r' || s.p[i] == '\n')
			return false;
	return s.len == 0 || (s.p[0] != ' ' && s.p[0] != '\t' && s.p[s.len - 1] != ' ' && s.p[s.len - 1] != '\t');
}

static bool is_connection_field(struct slice name)
{
	static const char *const names[] = { "connection", "proxy-connection", "keep-alive", "transfer-encoding",
					     "upgrade" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_eq_str(name, names[i]))
			return true;
	return false;
}

static void on_method(struct request *r, struct slice value)
{
	r->malformed |= value.len == 0;
	r->post = slice_eq_str(value, "POST");
}

static void on_scheme(struct request *r, struct slice value)
{
	r->malformed |= value.len == 0;
}

static void on_path(struct request *r, struct slice value)
{
	r->malformed |= value.len == 0 || value.p[0] != '/';
	r->spiffe_api = slice_starts(value, slice_str("/SpiffeWorkloadAPI/"));
	r->method = service_method(value);
}

static void on_authority(struct request *r, struct slice value)
{
	(void)r;
	(void)value;
}

static void on_type(struct request *r, struct slice value)
{
	struct slice grpc = slice_str("application/grpc");
	struct slice rest;

	if (!slice_starts(value, grpc))
		return;
	rest = slice_of(value.p + grpc.len, value.len - grpc.len);
	r->grpc = rest.len == 0 || rest.p[0] == ';' || slice_eq_str(rest, "+proto") ||
		  slice_starts(rest, slice_str("+proto;"));
}

static void on_timeout(struct request *r, struct slice value)
{
	r->timeout_bad = request_timeout(value, &r->timeout_ns) != 0;
}

static void on_encoding(struct request *r, struct slice value)
{
	r->encoding = !slice_eq_str(value, "identity");
}

struct known {
	const char *name;
	uint16_t bit;
	void (*put)(struct request *r, struct slice value);
};

static const struct known pseudo[] = {
	{ ":method", SEEN_METHOD, on_method },
	{ ":scheme", SEEN_SCHEME, on_scheme },
	{ ":path", SEEN_PATH, on_path },
	{ ":authority", SEEN_AUTHORITY, on_authority },
};

static const struct known regular[] = {
	{ "content-type", SEEN_TYPE, on_type },
	{ "grpc-timeout", SEEN_TIMEOUT, on_timeout },
	{ "grpc-encoding", SEEN_ENCODING, on_encoding },
};

/* Each of these may come once. */
static bool take_known(struct request *r, const struct known *table, size_t n, struct slice name,
		       struct slice value)
{
	for (size_t i = 0; i < n; i++) {
		if (!slice_eq_str(name, table[i].name))
			continue;
		r->malformed |= (r->seen & table[i].bit) != 0;
		r->seen |= table[i].bit;
		table[i].put(r, value);
		return true;
	}
	return false;
}

static void pseudo_field(struct request *r, struct slice name, struct slice value)
{
	/* 8.3: pseudo fields come first, and only those that are defined. */
	if (r->regular || !take_known(r, pseudo, ARRAY_SIZE(pseudo), name, value))
		r->malformed = true;
}

static void regular_field(struct request *r, struct slice name, struct slice value)
{
	r->regular = true;
	r->malformed |= !is_name(name) || is_connection_field(name);
	if (take_known(r, regular, ARRAY_SIZE(regular), name, value))
		return;
	if (slice_eq_str(name, "te")) {
		r->malformed |= !slice_eq_str(value, "trailers"); /* 8.2.2 */
	} else if (slice_eq_str(name, "workload.spiffe.io")) {
		r->spiffe += r->spiffe < 2;
		r->spiffe_true = slice_eq_str(value, "true");
	}
}

void request_field(struct request *r, struct slice name, struct slice value)
{
	if (request_too_big(r))
		return;
	r->fields++;
	r->bytes += (uint32_t)(name.len + value.len + FIELD_OVERHEAD);
	r->malformed |= !is_value(value);
	if (name.len && name.p[0] == ':')
		pseudo_field(r, name, value);
	else
		regular_field(r, name, value);
}

bool request_malformed(const struct request *r)
{
	const unsigned int must = SEEN_METHOD | SEEN_SCHEME | SEEN_PATH;

	return r->malformed || (r->seen & must) != must;
}

bool request_too_big(const struct request *r)
{
	return r->bytes > LIM_HEADER_BYTES || r->fields > LIM_HEADERS;
}

static uint64_t unit_ns(uint8_t unit)
{
	switch (unit) {
	case 'H':
		return 3600 * NS_PER_S;
	case 'M':
		return 60 * NS_PER_S;
	case 'S':
		return NS_PER_S;
	case 'm':
		return NS_PER_MS;
	case 'u':
		return 1000;
	case 'n':
		return 1;
	}
	return 0;
}

int request_timeout(struct slice value, uint64_t *ret_ns)
{
	uint64_t n, unit;
	int err;

	if (value.len < 2 || value.len > TIMEOUT_DIGITS + 1)
		return -ERR_FORMAT;
	unit = unit_ns(value.p[value.len - 1]);
	err = slice_u64_dec(slice_of(value.p, value.len - 1), &n);
	if (err || !unit)
		return -ERR_FORMAT;
	*ret_ns = n > UINT64_MAX / 2 / unit ? UINT64_MAX / 2 : n * unit;
	return 0;
}
