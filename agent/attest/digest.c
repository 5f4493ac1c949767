// SPDX-License-Identifier: Apache-2.0
/*
 * digest.c - SHA-256 of one executable, which came as a descriptor that cannot be read by itself. svid-attest, workers
 * that hash. Slow files are svid-core's business: it has the worker killed.
 *
 * The file must be what the kernel recorded at exec, before and after: size and change time of a file that is written
 * meanwhile move (K9). Whether the digest may be remembered for these times is said with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* libcrypto has a type of the name of one of our error codes; it is never used here. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/evp.h>
#undef ERR_STATE

#include "agent/attest/attest.h"

#define CHUNK (256u << 10)

static EVP_MD_CTX *ctx;
static EVP_MD *sha256;

int digest_warm_up(void)
{
	uint8_t out[DIGEST_LEN];

	/* libcrypto reads its configuration and loads its code now: later neither is possible. */
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	ctx = EVP_MD_CTX_new();
	if (!sha256 || !ctx || EVP_MD_get_size(sha256) != DIGEST_LEN)
		return -ERR_CRYPTO;
	if (!EVP_DigestInit_ex2(ctx, sha256, NULL) || !EVP_DigestFinal_ex(ctx, out, NULL))
		return -ERR_CRYPTO;
	return 0;
}

/* Ticks of the clock that stamps files are up to 10 ms apart; some file systems keep whole seconds. */
static bool is_settled(const struct stat *st, const struct timespec *now)
{
	int64_t want = st->st_ctim.tv_nsec ? LIM_DIGEST_SETTLE_MS : LIM_DIGEST_COARSE_MS;
	int64_t age_ms = (now->tv_sec - st->st_ctim.tv_sec) * 1000 + (now->tv_nsec - st->st_ctim.tv_nsec) / 1000000;

	return age_ms >= want;
}

static int hash(int fd, uint64_t size, uint8_t out[static DIGEST_LEN])
{
	static uint8_t chunk[CHUNK];
	uint64_t sum = 0;
	ssize_t n;

	if (!EVP_DigestInit_ex2(ctx, sha256, NULL))
		return -ERR_CRYPTO;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		sum += (uint64_t)n;
		if (sum > size)
			return -ERR_CHANGED;
		if (!EVP_DigestUpdate(ctx, chunk, (size_t)n))
			return -ERR_CRYPTO;
	}
	if (n < 0)
		return -errno;
	if (sum != size)
		return -ERR_CHANGED;
	return EVP_DigestFinal_ex(ctx, out, NULL) ? 0 : -ERR_CRYPTO;
}

static int check(const struct msg_A_DIGEST *ask, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	if (ask->compare &&
	    !stat_is(st, ask->size, ask->mtime_sec, ask->mtime_nsec, ask->ctime_sec, ask->ctime_nsec))
		return -ERR_CHANGED;
	return (uint64_t)st->st_size > ask->max ? -ERR_SIZE : 0;
}

static int digest(const struct msg_A_DIGEST *ask, int path_fd, struct digest_answer *out)
{
	char name[32];
	struct timespec now;
	struct stat before, after;
	int err;

	if (fstat(path_fd, &before) < 0)
		return -errno;
	err = check(ask, &before); /* a descriptor of something else is not opened at all */
	if (err)
		return err;
	snprintf(name, sizeof(name), "%d", path_fd); /* leave_file_system() */
	AUTO(fd) int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &before) < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0)
		return -errno;
	err = check(ask, &before);
	if (!err)
		err = hash(fd, (uint64_t)before.st_size, out->sha256);
	if (err)
		return err;
	if (fstat(fd, &after) < 0)
		return -errno;
	if (!stat_is(&after, (uint64_t)before.st_size, before.st_mtim.tv_sec, (uint32_t)before.st_mtim.tv_nsec,
		     before.st_ctim.tv_sec, (uint32_t)before.st_ctim.tv_nsec))
		return -ERR_CHANGED;
	out->settled = is_settled(&before, &now);
	return 0;
}

void digest_make(const struct msg_A_DIGEST *ask, int path_fd, struct digest_answer *out)
{
	*out = (struct digest_answer){ .err = 0 };
	out->err = digest(ask, path_fd, out);
	out->len = out->err ? 0 : DIGEST_LEN;
}
