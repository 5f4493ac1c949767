// SPDX-License-Identifier: Apache-2.0
/* clock.c - reading clocks. Any role. */
#include "agent/base/clock.h"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_boot_ns(void)
{
	return read_ns(CLOCK_BOOTTIME);
}

int64_t clock_wall_s(void)
{
	return (int64_t)(read_ns(CLOCK_REALTIME) / NS_PER_S);
}

int64_t clock_wall_ms(void)
{
	return (int64_t)(read_ns(CLOCK_REALTIME) / NS_PER_MS);
}

/* Days since 1970-01-01 to a date; years begin in March, so that the leap day is the last of a year. */
static void civil(int64_t days, unsigned int *ret_y, unsigned int *ret_m, unsigned int *ret_d)
{
	unsigned int z = (unsigned int)(days + 719468); /* since 0000-03-01 */
	unsigned int era = z / 146097, doe = z % 146097;
	unsigned int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned int mp = (5 * doy + 2) / 153; /* 0 is March */

	*ret_d = doy - (153 * mp + 2) / 5 + 1;
	*ret_m = mp < 10 ? mp + 3 : mp - 9;
	*ret_y = era * 400 + yoe + (*ret_m <= 2);
}

/* Not gmtime_r(): libc opens /etc/localtime for it, and a role in its sandbox must not. */
void clock_rfc3339(int64_t wall_s, char out[static 32])
{
	unsigned int y, m, d, s = (unsigned int)(wall_s % 86400);

	if (wall_s < 0 || wall_s > 253402300799) {
		snprintf(out, 32, "-");
		return;
	}
	civil(wall_s / 86400, &y, &m, &d);
	snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02uZ", y, m, d, s / 3600, s / 60 % 60, s % 60);
}

uint64_t clock_random(uint64_t n)
{
	uint64_t v = 0;

	if (!n || getrandom(&v, sizeof(v), 0) != sizeof(v))
		return 0;
	return v % n;
}
