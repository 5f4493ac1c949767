// SPDX-License-Identifier: Apache-2.0
/* log.c - logfmt to stderr with one write per line. Any role; takes no lock and no heap. */
#include "agent/base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"

static const char *const event_names[] = {
#define X(name, text) text,
	LOG_EVENTS(X)
#undef X
};

static const char *const level_names[] = { "error", "warn", "info", "debug" };

static const char *role_name = "svid";
static enum log_level max_level = LOG_INFO;

/* Lines written and left out in the current second, per event. */
static struct {
	uint64_t second;
	uint32_t written;
	uint32_t left_out;
} rates[EV_END];

struct line {
	char text[LIM_LOG_LINE];
	size_t len;
};

void log_init(const char *role, enum log_level max)
{
	role_name = role;
	max_level = max;
}

void log_set_level(enum log_level max)
{
	max_level = max;
}

static void put_char(struct line *l, char c)
{
	if (l->len < sizeof(l->text) - 1)
		l->text[l->len++] = c;
}

static void put_text(struct line *l, const char *s)
{
	while (*s)
		put_char(l, *s++);
}

/* Printable ASCII except quote and backslash goes out as is; the rest as \xNN: one line stays one line. */
static void put_escaped(struct line *l, struct slice s)
{
	static const char hex[] = "0123456789abcdef";

	put_char(l, '"');
	for (size_t i = 0; i < s.len && l->len < sizeof(l->text) - 8; i++) {
		uint8_t c = s.p[i];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			put_char(l, (char)c);
			continue;
		}
		put_text(l, "\\x");
		put_char(l, hex[c >> 4]);
		put_char(l, hex[c & 15]);
	}
	put_char(l, '"');
}

static void put_value(struct line *l, const struct log_value *v)
{
	char num[32];

	switch (v->kind) {
	case LOG_V_STR:
		put_escaped(l, slice_str(v->str));
		return;
	case LOG_V_SLICE:
		put_escaped(l, v->slice);
		return;
	case LOG_V_U64:
		snprintf(num, sizeof(num), "%" PRIu64, v->u64);
		break;
	case LOG_V_I64:
		snprintf(num, sizeof(num), "%" PRId64, v->i64);
		break;
	}
	put_text(l, num);
}

static void put_pair(struct line *l, const char *key, struct log_value v)
{
	put_char(l, ' ');
	put_text(l, key);
	put_char(l, '=');
	put_value(l, &v);
}

/* Returns whether this line may go out; *ret_missed is what the last second left out. */
static bool rate_ok(enum log_event ev, uint32_t *ret_missed)
{
	uint64_t second = clock_boot_ns() / NS_PER_S;

	*ret_missed = 0;
	if (rates[ev].second != second) {
		*ret_missed = rates[ev].left_out;
		rates[ev].second = second;
		rates[ev].written = rates[ev].left_out = 0;
	}
	if (rates[ev].written++ < LOG_RATE)
		return true;
	rates[ev].left_out++;
	return false;
}

void log_emit(enum log_level level, enum log_event ev, const struct log_pair *pairs, size_t n)
{
	struct line l = { .len = 0 };
	char when[32];
	uint32_t missed;

	if (level > max_level || !rate_ok(ev, &missed))
		return;
	clock_rfc3339(clock_wall_s(), when);
	put_text(&l, "time=");
	put_text(&l, when);
	put_text(&l, " level=");
	put_text(&l, level_names[level]);
	put_text(&l, " role=");
	put_text(&l, role_name);
	put_pair(&l, "event", V_S(event_names[ev]));
	for (size_t i = 0; i < n; i++)
		put_pair(&l, pairs[i].key, pairs[i].value);
	if (missed)
		put_pair(&l, "left_out", V_U(missed));
	l.text[l.len++] = '\n';
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		return; /* nowhere left to say it */
}

void log_fatal(const char *what, int err)
{
	log_error(EV_FATAL, KV("what", V_S(what)), KV("err", V_S(err_name(err))), KV("why", V_S(err_text(err))));
	exit(1);
}
