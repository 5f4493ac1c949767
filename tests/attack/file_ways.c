// SPDX-License-Identifier: Apache-2.0
/*
 * The ways to read a file of the credential tree; each takes another path in the kernel, and some leave the asking to
 * another thread or to the page cache. Runs in svid-attack; used by tree.c and, for ask=PATH, by client.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/base/base64.h"
#include "tests/attack/attack.h"
#include "tests/attack/tree.h"
#include "tests/attack/ways.h"

#define PIECE 4096

static ssize_t take_read(int fd, char *bytes, size_t max)
{
	size_t len = 0;
	ssize_t n;

	while (len < max && (n = read(fd, bytes + len, max - len)) != 0) {
		if (n < 0)
			return -1;
		len += n;
	}
	return len;
}

/* Not from the beginning: where a snapshot of somebody else would be read on. */
static ssize_t take_pread(int fd, char *bytes, size_t max)
{
	size_t len = 0;
	ssize_t n;

	while (len < max && (n = pread(fd, bytes + len, max - len, len + 1)) != 0) {
		if (n < 0)
			return -1;
		len += n;
	}
	return len;
}

static ssize_t take_readv(int fd, char *bytes, size_t max)
{
	struct iovec iov[2] = {{bytes, 100}, {bytes + 100, max - 100}};

	return readv(fd, iov, 2);
}

static ssize_t take_splice(int fd, char *bytes, size_t max)
{
	return way_find("splice-read")->move(fd, bytes, max);
}

static ssize_t take_sendfile(int fd, char *bytes, size_t max)
{
	int to = memfd_create("taken", MFD_CLOEXEC), error;
	ssize_t n = sendfile(to, fd, NULL, max);

	error = errno;
	if (n > 0)
		n = pread(to, bytes, n, 0);
	close(to);
	errno = error;
	return n;
}

static sigjmp_buf no_page;

static void on_bus(int number)
{
	(void)number;
	siglongjmp(no_page, 1);
}

/* A page that is not there kills by SIGBUS: no content. */
static ssize_t take_mapping(int fd, char *bytes, size_t max, int flags)
{
	struct sigaction act = {.sa_handler = on_bus}, was;
	char *page = mmap(NULL, PIECE, PROT_READ, flags, fd, 0);

	(void)max;
	if (page == MAP_FAILED)
		return -1;
	sigaction(SIGBUS, &act, &was);
	if (sigsetjmp(no_page, 1) == 0) {
		memcpy(bytes, page, PIECE);
		sigaction(SIGBUS, &was, NULL);
		munmap(page, PIECE);
		return strnlen(bytes, PIECE);
	}
	sigaction(SIGBUS, &was, NULL);
	munmap(page, PIECE);
	errno = EFAULT;
	return -1;
}

static ssize_t take_private(int fd, char *bytes, size_t max)
{
	return take_mapping(fd, bytes, max, MAP_PRIVATE);
}

static ssize_t take_shared(int fd, char *bytes, size_t max)
{
	return take_mapping(fd, bytes, max, MAP_SHARED);
}

static ssize_t take_ahead(int fd, char *bytes, size_t max)
{
	if (readahead(fd, 0, max) && errno != EINVAL)
		return -1;
	sleep_ms(50);
	return take_private(fd, bytes, max);
}

static ssize_t by_ring(int fd, char *bytes, size_t max, enum ring_mode mode)
{
	size_t len = 0;
	ssize_t n;

	while (len < max && (n = ring_fetch(fd, bytes + len, max - len, len, mode)) != 0) {
		if (n < 0)
			return -1;
		len += n;
	}
	return len;
}

static ssize_t take_ring(int fd, char *bytes, size_t max)
{
	return by_ring(fd, bytes, max, RING_INLINE);
}

static ssize_t take_ring_worker(int fd, char *bytes, size_t max)
{
	return by_ring(fd, bytes, max, RING_WORKER);
}

static ssize_t take_ring_poll(int fd, char *bytes, size_t max)
{
	return by_ring(fd, bytes, max, RING_SQPOLL);
}

struct file_way {
	const char *name;
	/* From offset 0, or where @fd stands, to the end: how many bytes, or -1 and errno. */
	ssize_t (*get)(int fd, char *bytes, size_t max);
};

static const struct file_way file_ways[] = {
	{"read", take_read},		 {"pread", take_pread},	      {"readv", take_readv},
	{"splice", take_splice},	 {"sendfile", take_sendfile}, {"private", take_private},
	{"shared", take_shared},	 {"ahead", take_ahead},	      {"uring", take_ring},
	{"uring-worker", take_ring_worker}, {"uring-sqpoll", take_ring_poll},
};

/* The way of that name, "" is read; dies when there is none. */
static const struct file_way *file_way_find(const char *name)
{
	if (!*name)
		return &file_ways[0];
	for (size_t i = 0; i < sizeof(file_ways) / sizeof(file_ways[0]); i++)
		if (strcmp(file_ways[i].name, name) == 0)
			return &file_ways[i];
	errno = EINVAL;
	die(name);
}

/* The first certificate's URI: a byte of length, then the text. */
static void name_in(struct answer *a, struct slice der)
{
	const uint8_t *at = memmem(der.p, der.len, "spiffe://", 9);

	if (at && at > der.p && at + at[-1] <= der.p + der.len)
		snprintf(a->spiffe_id, sizeof(a->spiffe_id), "%.*s", at[-1], (const char *)at);
}

/* A JWT-SVID: its sub. */
static void name_in_token(struct answer *a, const char *bytes, size_t len)
{
	const char *from = memchr(bytes, '.', len);
	const char *to = from ? memchr(from + 1, '.', len - (from + 1 - bytes)) : NULL;
	AUTO(buf) struct buf claims = BUF_INIT(TREE_FILE_MAX);
	const char *sub, *end;

	if (!to || base64_get(&claims, slice_of(from + 1, to - from - 1), BASE64_URL))
		return;
	sub = strstr(buf_cstr(&claims), "\"sub\":\"");
	end = sub ? strchr(sub + 7, '"') : NULL;
	if (end)
		snprintf(a->spiffe_id, sizeof(a->spiffe_id), "%.*s", (int)(end - sub - 7), sub + 7);
}

void tree_whose(const char *bytes, size_t len, struct answer *a)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
	const char *from = memmem(bytes, len, begin, strlen(begin));
	const char *to = from ? memmem(from, len - (from - bytes), end, strlen(end)) : NULL;
	AUTO(buf) struct buf text = BUF_INIT(TREE_FILE_MAX);
	AUTO(buf) struct buf der = BUF_INIT(TREE_FILE_MAX);

	a->messages = 1;
	snprintf(a->spiffe_id, sizeof(a->spiffe_id), "of somebody, %zu bytes", len);
	for (const char *p = to ? from + strlen(begin) : NULL; p && p < to; p++)
		if (*p != '\n')
			buf_put(&text, p, 1);
	if (text.len && base64_get(&der, buf_slice(&text), BASE64_PLAIN) == 0)
		name_in(a, buf_slice(&der));
	else if (!from)
		name_in_token(a, bytes, len);
}

void tree_take(int fd, const char *how, struct answer *a)
{
	static char bytes[TREE_FILE_MAX];
	ssize_t n = file_way_find(how)->get(fd, bytes, sizeof(bytes));

	if (n < 0)
		a->error = errno;
	else if (n > 0)
		tree_whose(bytes, n, a);
	else
		a->closed = true;
}
