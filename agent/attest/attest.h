/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest.h - svid-attest: looks at processes and user databases, where a call may hang. One request at
 * a time, no loop: svid-core has svidd kill a worker that does not answer. Start reading at main.c.
 */
#ifndef ATTEST_ATTEST_H
#define ATTEST_ATTEST_H

#include "agent/base/limits.h"
#include "agent/ipc/chan.h"
#include "agent/sandbox/sandbox.h"

#define LIM_ATTEST_GROUPS 1024 /* groups in one request: 4096 bytes of u32 */

/* Where the executable is, for one A_IDENTIFY. */
struct exe_answer {
	char path[LIM_PATH]; /* NUL-terminated; empty with err */
	uint64_t dev;	     /* MAJOR << 20 | MINOR of the super block */
	uint64_t ino;
	int err;
};

/**
 * exe_identify() - open /proc/PID once, compare start time and executable with what the kernel
 * recorded at exec, and read the path as this mount namespace and root see it.
 *
 * @out->err: 0; -ESRCH the process is gone or another one; -ERR_CHANGED its executable is not the
 * recorded one; -ENOENT the file has no name any more; other -errno.
 */
void exe_identify(const struct msg_A_IDENTIFY *ask, struct exe_answer *out);

/** exe_argv() - /proc/PID/cmdline, cut at the buffer's maximum. For `attestation: socket` only. Errors: -errno. */
MUST int exe_argv(uint32_t pid, struct buf *out);

/**
 * proc_open() - /proc/@pid, opened once, of the process that began at @start (ns of boot; 0: not compared).
 * Errors: -ESRCH (gone, or another one), -errno.
 */
MUST int proc_open(uint32_t pid, uint64_t start, int *ret_fd);

/**
 * around_look() - SVID_CRED_* of the user and mount namespaces and the root of a process, as they are now.
 * Errors: those of proc_open(), -errno.
 */
MUST int around_look(uint32_t pid, uint64_t start, uint32_t *ret_flags);

struct names_answer {
	struct buf user;
	struct buf group;
	struct buf groups; /* list of strings, agent/ipc/lists.h */
	int err;
};

/** names_lookup() - names of ids through NSS; an id without name gives an empty string, which is no error. */
void names_lookup(const struct msg_A_IDENTIFY *ask, struct names_answer *out);

/** names_warm_up() - load every NSS module that is configured, before the sandbox forbids executable memory. */
void names_warm_up(void);

/* A connection that a child of ours made, on a socket that we hold too. */
struct canary {
	int sock;
	int leash; /* its closing ends the child */
	pid_t pid; /* 0: none */
};

/** canary_start() - make the child and have it connect to @path. Errors: -errno, -ERR_DEADLINE. */
MUST int canary_start(struct canary *c, struct slice path, const int *close_in_child, size_t n);

/** canary_probe() - read at the child's connection as a foreign process: 0 when bytes came, else -errno. */
int canary_probe(const struct canary *c);

/** canary_end() - child and socket are gone when this returns; nothing happens without one. */
void canary_end(struct canary *c);

extern const struct sandbox_plan attest_plan;

#endif
