// SPDX-License-Identifier: Apache-2.0
/* dump.c - one way from jansson's values to a buf. svid. */
#include "agent/cli/dump.h"

#include "agent/base/err.h"

static int put(const char *text, size_t n, void *out)
{
	buf_put(out, text, n);
	return 0;
}

void json_put(struct buf *out, const json_t *value, size_t flags)
{
	(void)json_dump_callback(value, put, out, flags | JSON_ENCODE_ANY);
}

const char *json_text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s ? s : "";
}

int hex_get(struct slice hex, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	while (hex.len) {
		const char *high = strchr(digits, slice_get_u8(&hex));
		const char *low = strchr(digits, slice_get_u8(&hex));

		if (!slice_ok(&hex) || !high || !low || !*high || !*low)
			return -ERR_FORMAT;
		buf_put_u8(out, (uint8_t)((high - digits) << 4 | (low - digits)));
	}
	return buf_ok(out);
}
