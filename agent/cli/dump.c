// SPDX-License-Identifier: Apache-2.0
/* dump.c - one way from jansson's values to a buf. svid. */
#include "agent/cli/dump.h"

static int put(const char *text, size_t n, void *out)
{
	buf_put(out, text, n);
	return 0;
}

void json_put(struct buf *out, const json_t *value, size_t flags)
{
	(void)json_dump_callback(value, put, out, flags | JSON_ENCODE_ANY);
}
