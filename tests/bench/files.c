// SPDX-License-Identifier: Apache-2.0
/* files.c - the load client for the credential tree: one file from open() to close(), timed one by one. svid-bench. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "tests/bench/bench.h"

/* As cat does it: read until there is no more. Returns its length, or -errno. */
static ssize_t read_once(const char *path)
{
	static char bytes[128 << 10];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0, len = 0;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		len += n;
	if (n < 0)
		len = -errno;
	close(fd);
	return len;
}

int cmd_read(int argc, char **argv)
{
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	uint64_t *took = mem_calloc(n, sizeof(*took)), begin = clock_boot_ns();
	ssize_t len = 0;

	if (!n || !took)
		return 2;
	for (size_t i = 0; i < n; i++) {
		uint64_t start = clock_boot_ns();

		len = read_once(argv[1]);
		if (len <= 0) {
			fprintf(stderr, "read %zu of %s: %s\n", i, argv[1], err_text((int)len));
			return 1;
		}
		took[i] = clock_boot_ns() - start;
	}
	begin = clock_boot_ns() - begin;
	qsort(took, n, sizeof(*took), bench_by_value);
	printf("{\"n\":%zu,\"message_bytes\":%zd,\"p50_us\":%.1f,\"p99_us\":%.1f,\"per_s\":%.0f}\n", n, len,
	       (double)took[n / 2] / 1e3, (double)took[n * 99 / 100] / 1e3, (double)n * 1e9 / (double)begin);
	return 0;
}
