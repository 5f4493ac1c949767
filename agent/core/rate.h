/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rate.h - a token bucket: so many at once, so many per second on average. svid-core.
 */
#ifndef CORE_RATE_H
#define CORE_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/clock.h"

struct bucket {
	uint32_t rate, burst;
	uint64_t left; /* billionths of one */
	uint64_t at;   /* CLOCK_BOOTTIME ns of the last look */
};

/** bucket_init() - full. */
static inline void bucket_init(struct bucket *b, uint32_t rate, uint32_t burst)
{
	*b = (struct bucket){ .rate = rate, .burst = burst, .left = burst * NS_PER_S, .at = clock_boot_ns() };
}

/** bucket_take_at() - one of it at time @now; false when none is left. */
static inline bool bucket_take_at(struct bucket *b, uint64_t now)
{
	uint64_t most = b->burst * NS_PER_S, ns = now - b->at;

	b->at = now;
	b->left = ns > most / b->rate ? most : b->left + ns * b->rate;
	if (b->left > most)
		b->left = most;
	if (b->left < NS_PER_S)
		return false;
	b->left -= NS_PER_S;
	return true;
}

/** bucket_take() - one of it now. */
static inline bool bucket_take(struct bucket *b)
{
	return bucket_take_at(b, clock_boot_ns());
}

#endif
