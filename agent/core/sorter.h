/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sorter.h - work in slices: a budget that one turn of the loop may use up, and a stable merge sort that stops when it
 * is used up. svid-core.
 *
 * Units are about a tenth of a microsecond. Whoever has nothing left returns and goes on in the next turn.
 */
#ifndef CORE_SORTER_H
#define CORE_SORTER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/compiler.h"

#define BUDGET_TURN 32768 /* units of one turn */

struct budget {
	size_t left;
	size_t spent;
};

#define BUDGET_INIT(units_) { .left = (units_) }

/** budget_spend() - @n units of work were done; they are done even when fewer were left. */
static inline void budget_spend(struct budget *b, size_t n)
{
	b->spent += n;
	b->left -= n < b->left ? n : b->left;
}

/* A sort in the making. */
struct sorter {
	char *v, *spare; /* n items of size bytes each */
	size_t n, size;
	int (*compare)(const void *a, const void *b);
	size_t width;	    /* runs of that many are sorted */
	size_t i, j, k;	    /* left, right and output of the merge that goes on */
	bool swapped;	    /* what was given is spare now */
};

/**
 * sorter_init() - begin to sort @n items of @size bytes at @v, which stay where they are until it is over.
 * Errors: -ENOMEM.
 */
MUST int sorter_init(struct sorter *s, void *v, size_t n, size_t size, int (*compare)(const void *a, const void *b));

/** sorter_step() - go on; true when everything is sorted, at the place that sorter_init() was given. */
bool sorter_step(struct sorter *s, struct budget *b);

/** sorter_done() - release; fine at any time, also for zeros. */
void sorter_done(struct sorter *s);

#endif
