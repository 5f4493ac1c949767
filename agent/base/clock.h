/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - the two clocks: boot time for timers (runs during suspend), wall time for expiry. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

/** clock_boot_ns() - CLOCK_BOOTTIME in nanoseconds. */
uint64_t clock_boot_ns(void);

/** clock_wall_s() - seconds since 1970 UTC. */
int64_t clock_wall_s(void);

/** clock_wall_ms() - milliseconds since 1970 UTC. */
int64_t clock_wall_ms(void);

/** clock_rfc3339() - "2026-11-21T22:15:10Z" for @wall_s into @out; "-" outside years 1970..9999. */
void clock_rfc3339(int64_t wall_s, char out[static 32]);

/** clock_random() - uniform in [0, @n) from the kernel's generator; 0 when @n is 0. For jitter, never for keys. */
uint64_t clock_random(uint64_t n);

#endif
