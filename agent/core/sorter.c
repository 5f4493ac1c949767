// SPDX-License-Identifier: Apache-2.0
/* sorter.c - a bottom-up merge sort that can stop after any item. svid-core, for docs_apply.c. */
#include "agent/core/sorter.h"

#include <errno.h>
#include <string.h>

#include "agent/base/mem.h"

int sorter_init(struct sorter *s, void *v, size_t n, size_t size, int (*compare)(const void *a, const void *b))
{
	char *spare = mem_calloc(n, size);

	if (!spare)
		return -ENOMEM;
	*s = (struct sorter){ .v = v, .spare = spare, .n = n, .size = size, .compare = compare, .width = 1, .j = 1 };
	return 0;
}

static char *at(char *v, const struct sorter *s, size_t i)
{
	return v + i * s->size;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* One item from the two runs that are being merged to the output; the next pair follows by itself. */
static void move_one(struct sorter *s)
{
	size_t pair = s->k - s->k % (2 * s->width);
	size_t middle = least(pair + s->width, s->n), end = least(pair + 2 * s->width, s->n);
	bool left = s->i < middle && (s->j >= end || s->compare(at(s->v, s, s->i), at(s->v, s, s->j)) <= 0);

	memcpy(at(s->spare, s, s->k), at(s->v, s, left ? s->i++ : s->j++), s->size);
	if (++s->k == end) {
		s->i = end;
		s->j = end + s->width;
	}
}

static void next_pass(struct sorter *s)
{
	char *v = s->v;

	s->v = s->spare;
	s->spare = v;
	s->swapped = !s->swapped;
	s->width *= 2;
	s->i = s->k = 0;
	s->j = s->width;
}

bool sorter_step(struct sorter *s, struct budget *b)
{
	while (s->width < s->n) {
		if (!b->left)
			return false;
		move_one(s);
		budget_spend(b, 1);
		if (s->k == s->n)
			next_pass(s);
	}
	if (s->swapped) {
		memcpy(s->spare, s->v, s->n * s->size);
		budget_spend(b, s->n / 16);
		next_pass(s);
	}
	return true;
}

void sorter_done(struct sorter *s)
{
	mem_free(s->swapped ? s->v : s->spare);
	*s = (struct sorter){ .n = 0 };
}
