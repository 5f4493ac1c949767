// SPDX-License-Identifier: Apache-2.0
/* policy_form.c - reads members of a normal-form document by their dotted path. svid-core. */
#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/spare.h"
#include "agent/core/policy_build.h"

/* Every failure while it reads voids the whole document: jansson itself would go on (spare.h). */
int form_load(struct slice json, json_t **ret_form)
{
	AUTO(form) json_t *form = NULL;
	int err = spare_begin();

	if (err)
		return err;
	json_set_alloc_funcs(spare_alloc, spare_free);
	form = json_load_callback(spare_feed, &json, JSON_REJECT_DUPLICATES, NULL);
	if (spare_used())
		return -ENOMEM;
	if (!json_is_object(form))
		return -ERR_FORMAT;
	*ret_form = take(&form);
	return 0;
}

/* NULL when missing. */
static json_t *member(json_t *form, const char *path)
{
	struct slice left = slice_str(path);

	while (form && left.len) {
		const uint8_t *dot = memchr(left.p, '.', left.len);
		struct slice key = slice_get_bytes(&left, dot ? (size_t)(dot - left.p) : left.len);
		char name[64];

		if (key.len >= sizeof(name))
			return NULL;
		memcpy(name, key.p, key.len);
		name[key.len] = 0;
		form = json_object_get(form, name);
		(void)slice_get_bytes(&left, dot ? 1 : 0);
	}
	return form;
}

static int dup_string(json_t *value, size_t max, char **ret)
{
	char *copy;

	if (!json_is_string(value) || json_string_length(value) > max ||
	    strlen(json_string_value(value)) != json_string_length(value))
		return -ERR_FORMAT;
	copy = mem_strdup(json_string_value(value));
	if (!copy)
		return -ENOMEM;
	mem_free(*ret);
	*ret = copy;
	return 0;
}

int form_str(json_t *form, const char *path, size_t max, char **ret)
{
	json_t *value = member(form, path);

	return value ? dup_string(value, max, ret) : 0;
}

int form_int(json_t *form, const char *path, int64_t min, int64_t max, int64_t *ret)
{
	json_t *value = member(form, path);

	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
		return -ERR_FORMAT;
	*ret = json_integer_value(value);
	return 0;
}

int form_word(json_t *form, const char *path, const char *const *words, unsigned int n, unsigned int *ret)
{
	AUTO_FREE char *word = NULL;
	int err = form_str(form, path, 32, &word);

	if (err || !word)
		return err;
	for (unsigned int i = 0; i < n; i++) {
		if (words[i] && strcmp(word, words[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -ERR_FORMAT;
}

void strs_free(char **strs, size_t n)
{
	for (size_t i = 0; strs && i < n; i++)
		mem_free(strs[i]);
	mem_free(strs);
}

int form_strs(json_t *form, const char *path, size_t max_n, size_t max, char ***ret, size_t *ret_n)
{
	json_t *list = member(form, path);
	size_t n = json_array_size(list);
	char **strs;

	if (!list)
		return 0;
	if (!json_is_array(list) || n > max_n)
		return -ERR_FORMAT;
	strs = mem_calloc(n, sizeof(*strs));
	if (!strs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int err = dup_string(json_array_get(list, i), max, &strs[i]);

		if (err) {
			strs_free(strs, n);
			return err;
		}
	}
	*ret = strs;
	*ret_n = n;
	return 0;
}

int form_narrowing(json_t *form, const char *path, size_t max_n, size_t max, char ***ret, size_t *ret_n)
{
	json_t *list = member(form, path);

	return list && !json_array_size(list) ? -ERR_FORMAT : form_strs(form, path, max_n, max, ret, ret_n);
}
