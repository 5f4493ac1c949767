// SPDX-License-Identifier: Apache-2.0
/* service.c - from a path to a method. svid-front. */
#include "workloadapi/service.h"

static const struct method *find(const struct method *table, struct slice path)
{
	for (; table->path; table++)
		if (slice_eq_str(path, table->path))
			return table;
	return NULL;
}

const struct method *service_method(struct slice path)
{
	const struct method *m = find(workload_methods, path);

	if (!m)
		m = find(health_methods, path);
	return m ? m : find(self_methods, path);
}
