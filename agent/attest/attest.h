/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest.h - svid-attest: looks at processes and user databases, or hashes executables, where a call may hang. One
 * request at a time, no loop: svid-core has svidd kill a worker that does not answer. Start reading at main.c.
 */
#ifndef ATTEST_ATTEST_H
#define ATTEST_ATTEST_H

#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/limits.h"
#include "agent/ipc/chan.h"
#include "agent/sandbox/sandbox.h"

static inline void fd_autoclean(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

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

/**
 * exe_open() - the executable of a process as an O_PATH descriptor, for a worker that may read it. With @ask->dev only if
 * process, file, size and times are those of the record.
 * Errors: -ESRCH, -ERR_CHANGED, -ERR_MOUNT as above, -errno.
 */
MUST int exe_open(const struct msg_A_OPEN *ask, int *ret_fd);

/** stat_is() - a regular file of that size with those times. */
bool stat_is(const struct stat *st, uint64_t size, int64_t mtime_sec, uint32_t mtime_nsec, int64_t ctime_sec,
	     uint32_t ctime_nsec);

#define DIGEST_LEN 32

struct digest_answer {
	int err; /* 0; -ERR_CHANGED, -ERR_SIZE (longer than asked for), -ERR_CRYPTO, -errno */
	bool settled; /* the change time was old enough when hashing began: another write would have moved it */
	size_t len;   /* 0 with err */
	uint8_t sha256[DIGEST_LEN];
};

/** digest_warm_up() - load libcrypto's SHA-256 before the sandbox is on. Errors: -ERR_CRYPTO. */
MUST int digest_warm_up(void);

/** digest_make() - hash the file that @path_fd (O_PATH) stands for. */
void digest_make(const struct msg_A_DIGEST *ask, int path_fd, struct digest_answer *out);

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

/* What each kind of worker may call; sandbox.c. */
extern const struct sandbox_plan looker_plan;
extern const struct sandbox_plan hasher_plan;

/** leave_file_system() - from now on "7" is what descriptor 7 stands for, and there are no other names. Errors: -errno. */
MUST int leave_file_system(void);

/** keep_capability() - give up every capability but @cap. Errors: -errno. */
MUST int keep_capability(unsigned int cap);

#endif
