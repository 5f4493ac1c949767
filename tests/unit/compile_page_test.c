// SPDX-License-Identifier: Apache-2.0
/* compile_page_test.c - the tables of options, selectors and rules against agent/core/POLICY.md.
 * links: agent/cli/compile_schema.c agent/cli/compile_schema_cloud.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/compile_schema.h"
#include "agent/ipc/terms.h"

static char *read_policy_md(void)
{
	static const char *const places[] = { "agent/core/POLICY.md", "../agent/core/POLICY.md" };
	char *text = calloc(1, 100000);
	FILE *f = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !f; i++)
		f = fopen(places[i], "r");
	if (!f || !fread(text, 1, 99999, f))
		fail_msg("POLICY.md cannot be read");
	fclose(f);
	return text;
}

/* The page and the tables must say the same: a row that is not on the page is a hidden option. */
static void the_page_has_every_row(void **unused)
{
	char *page = read_policy_md();
	const struct schema_kind *k;

	(void)unused;
	for (size_t i = 0; (k = schema_at(i)); i++)
		for (size_t r = 0; r < k->n_rows; r++) {
			const struct option_row *row = &k->rows[r];

			if (!strstr(page, row->path))
				fail_msg("%s: %s is not in POLICY.md", k->kind, row->path);
			if (row->fallback && !strstr(page, row->fallback))
				fail_msg("%s: default %s is not in POLICY.md", row->path, row->fallback);
		}
	for (unsigned int i = 0; i < SEL_COUNT; i++)
		if (!strstr(page, term_selector(i)->key))
			fail_msg("%s is not in POLICY.md", term_selector(i)->key);
	for (unsigned int i = 0; i < RULE_COUNT; i++)
		if (!strstr(page, term_rule(i)->name))
			fail_msg("%s is not in POLICY.md", term_rule(i)->name);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_page_has_every_row),
	};

	return cmocka_run_group_tests_name("compile_page", tests, NULL, NULL);
}
