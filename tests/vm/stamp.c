// SPDX-License-Identifier: Apache-2.0
/* stamp.c - what cost.c execs: writes how much later than argv[1] (ns of CLOCK_MONOTONIC) it is to descriptor 3. Static. */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec t;
	int64_t late;

	clock_gettime(CLOCK_MONOTONIC, &t);
	late = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - (argc > 1 ? atoll(argv[1]) : 0);
	return write(3, &late, sizeof(late)) == sizeof(late) ? 0 : 1;
}
