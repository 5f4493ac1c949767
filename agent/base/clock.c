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

void clock_rfc3339(int64_t wall_s, char out[static 32])
{
	time_t t = (time_t)wall_s;
	struct tm tm;

	if (wall_s < 0 || !gmtime_r(&t, &tm) || tm.tm_year > 8099 ||
	    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, 32, "-");
}

uint64_t clock_random(uint64_t n)
{
	uint64_t v = 0;

	if (!n || getrandom(&v, sizeof(v), 0) != sizeof(v))
		return 0;
	return v % n;
}
