// SPDX-License-Identifier: Apache-2.0
/* jsondoc.c - jansson's parser with our memory, our bounds and no randomness from a file. svid-front. */
#include "workloadapi/jsondoc.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/spare.h"

/* jansson would seed its hash tables from /dev/urandom, which the sandbox does not let us open. */
static void set_up(void)
{
	static bool done;

	if (done)
		return;
	json_set_alloc_funcs(spare_alloc, spare_free);
	json_object_seed((size_t)clock_random(UINT32_MAX) + 1);
	done = true;
}

/* Before the parser, because it is the parser's recursion that is bounded. Quotes do not nest. */
static bool is_too_deep(struct slice s)
{
	unsigned int depth = 0;
	bool string = false;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		if (string && c == '\\')
			i++;
		else if (c == '"')
			string = !string;
		else if (!string && (c == '{' || c == '['))
			depth++;
		else if (!string && (c == '}' || c == ']') && depth)
			depth--;
		if (depth > LIM_JSON_DEPTH)
			return true;
	}
	return false;
}

int jsondoc_read(struct slice text, json_t **ret_doc)
{
	AUTO(jsondoc) json_t *doc = NULL;
	json_error_t why;
	int err;

	set_up();
	if (is_too_deep(text))
		return -ERR_LIMIT;
	err = spare_begin();
	if (err)
		return err;
	doc = json_load_callback(spare_feed, &text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &why);
	if (spare_used())
		return -ENOMEM;
	if (!doc)
		return json_error_code(&why) == json_error_duplicate_key ? -ERR_EXISTS : -ERR_FORMAT;
	if (!json_is_object(doc))
		return -ERR_FORMAT;
	*ret_doc = take(&doc);
	return 0;
}

struct slice jsondoc_text(const json_t *v)
{
	return slice_of(json_string_value(v), json_string_length(v));
}
