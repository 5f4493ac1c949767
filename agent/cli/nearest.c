// SPDX-License-Identifier: Apache-2.0
/* nearest.c - how many letters two words are apart: insertions, deletions, changes (Levenshtein). svid. */
#include "agent/cli/nearest.h"

#include <stddef.h>
#include <string.h>

#define WORD_MAX 64

static unsigned int least(unsigned int a, unsigned int b, unsigned int c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

static unsigned int distance(const char *a, const char *b)
{
	unsigned int row[WORD_MAX + 1];
	size_t n = strlen(b);

	for (unsigned int j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned int i = 0; a[i]; i++) {
		unsigned int diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			unsigned int change = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			row[j + 1] = least(change, row[j] + 1, row[j + 1] + 1);
		}
	}
	return row[n];
}

unsigned int nearest_cost(const char *typed, const char *name)
{
	unsigned int cost;

	if (strlen(typed) > WORD_MAX || strlen(name) > WORD_MAX)
		return NEAREST_NONE;
	cost = distance(typed, name);
	/* A word of which everything would have to change is no typing error. */
	return cost < NEAREST_NONE && cost < strlen(name) ? cost : NEAREST_NONE;
}
