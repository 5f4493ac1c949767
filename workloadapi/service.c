// SPDX-License-Identifier: Apache-2.0
/* service.c - from a path to a method, and which services there are. svid-front. */
#include "workloadapi/service.h"

static const struct method *const tables[] = { workload_methods, health_methods, self_methods, reflection_methods,
					      sds_methods };

const struct method *service_method(struct slice path)
{
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct method *m = tables[i]; m->path; m++)
			if (slice_eq_str(path, m->path))
				return m;
	return NULL;
}

/* "/NAME/METHOD" */
static bool is_of(const char *path, struct slice name)
{
	return slice_starts(slice_str(path + 1), name) && path[1 + name.len] == '/';
}

bool service_is_here(const char *name)
{
	struct slice s = slice_str(name);

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct method *m = tables[i]; m->path; m++)
			if (is_of(m->path, s))
				return true;
	return !s.len;
}
