// SPDX-License-Identifier: Apache-2.0
/* client.c - the load client: timed fetches on new connections, and held streams. svid-bench. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "tests/bench/bench.h"

#define MESSAGE_MAX (1u << 20)

int wire_connect_to(const char *path, int *ret_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* Request, then read until the first message is whole. *ret_len is its length. */
static int exchange(int fd, struct slice request, struct buf *in, size_t *ret_len)
{
	long len = 0;

	if (write(fd, request.p, request.len) != (ssize_t)request.len)
		return -EIO;
	buf_reset(in);
	while (!len) {
		uint8_t *to = buf_reserve(in, 16384);
		ssize_t n = to ? read(fd, to, 16384) : -1;

		if (n <= 0)
			return -ERR_CLOSED;
		buf_added(in, (size_t)n);
		len = wire_message_at(buf_slice(in));
	}
	if (len < 0)
		return -ERR_NO_IDENTITY;
	*ret_len = (size_t)len;
	return 0;
}

int bench_by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int fetch_once(const char *path, struct slice request, struct buf *in, size_t *ret_len, int *ret_fd)
{
	int fd, err = wire_connect_to(path, &fd);

	if (err)
		return err;
	err = exchange(fd, request, in, ret_len);
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

int cmd_connect(int argc, char **argv)
{
	AUTO(buf) struct buf request = BUF_INIT(4096);
	AUTO(buf) struct buf in = BUF_INIT(MESSAGE_MAX);
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, len = 0;
	AUTO_FREE uint64_t *took = mem_calloc(n, sizeof(*took));
	uint64_t start, begin = clock_boot_ns();
	int fd, err = wire_request(&request);

	if (!n || !took || err)
		return 2;
	for (size_t i = 0; i < n; i++) {
		start = clock_boot_ns();
		err = fetch_once(argv[1], buf_slice(&request), &in, &len, &fd);
		if (err) {
			fprintf(stderr, "fetch %zu on %s: %s\n", i, argv[1], err_text(err));
			return 1;
		}
		took[i] = clock_boot_ns() - start;
		close(fd);
	}
	begin = clock_boot_ns() - begin;
	qsort(took, n, sizeof(*took), bench_by_value);
	printf("{\"n\":%zu,\"message_bytes\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"per_s\":%.0f}\n", n, len,
	       (double)took[n / 2] / 1e3, (double)took[n * 99 / 100] / 1e3, (double)n * 1e9 / (double)begin);
	return 0;
}

int cmd_hold(int argc, char **argv)
{
	AUTO(buf) struct buf request = BUF_INIT(4096);
	AUTO(buf) struct buf in = BUF_INIT(MESSAGE_MAX);
	struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };
	size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0, len;
	int fd, err = wire_request(&request);
	char end;

	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (size_t i = 0; i < n && !err; i++) {
		err = fetch_once(argv[1], buf_slice(&request), &in, &len, &fd);
		if (err)
			fprintf(stderr, "stream %zu on %s: %s\n", i, argv[1], err_text(err));
	}
	if (err)
		return 1;
	printf("held %zu\n", n);
	fflush(stdout);
	return read(STDIN_FILENO, &end, 1) < 0;
}
