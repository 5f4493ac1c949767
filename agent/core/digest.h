/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.h - SHA-256 of callers' executables: hashed by svid-attest, once per file, remembered by what the kernel
 * recorded of the file at exec. svid-core, for decide.c and explain.c.
 *
 * A digest says what runs only where nobody can change the file without its change time moving (K9): what the record
 * must show for that is digest_doubt(); why it is enough is in digest.c.
 */
#ifndef CORE_DIGEST_H
#define CORE_DIGEST_H

#include "agent/core/attest.h"

#define DIGEST_HEX 64

struct digests;
struct digest;

/* One wish for a digest; embedded in its owner, who may cancel it at any time. */
struct digest_want {
	struct list node; /* of those that wait for the same file */
	struct digests *ds; /* NULL: nothing is under way */
	struct attest_job open;
	struct svid_exe exe;
	uint32_t flags; /* SVID_IMG_* */
	bool compare;
	void (*done)(struct digest_want *w);
	int err;			/* 0, or why there is none */
	char hex[DIGEST_HEX + 1];	/* empty with err */
};

struct digest_stats {
	uint64_t hashed, hits, refused, failed;
	unsigned int known, running;
};

/** digests_new() - none yet. Errors: -ENOMEM. */
MUST int digests_new(struct loop *loop, struct attest *attest, struct digests **ret_ds);

/** digests_free() - wishes that are left are forgotten without an answer; NULL is fine. */
void digests_free(struct digests *ds);

/** digest_doubt() - why the digest of this caller's executable would say nothing of what runs; NULL when it would. */
const char *digest_doubt(const struct svid_conn *r);

/**
 * digest_ask() - the digest of what @pid runs, which @r recorded. @w->done is set; with @compare only if process and file
 * are those of the record. Returns true when @w->err and @w->hex are set already; else done() is called from the loop.
 */
bool digest_ask(struct digests *ds, struct digest_want *w, const struct svid_conn *r, pid_t pid, bool compare);

/** digest_cancel() - done() will not be called any more; nothing happens when it was, or nothing was asked. */
void digest_cancel(struct digest_want *w);

/** digest_why() - err_text(), in words of this matter. */
const char *digest_why(int err);

/** digest_hex() - 32 bytes as text. */
void digest_hex(const uint8_t sha256[static 32], char out[static DIGEST_HEX + 1]);

/** digests_get_stats() - counters since start and the present state. */
void digests_get_stats(const struct digests *ds, struct digest_stats *ret_stats);

#endif
