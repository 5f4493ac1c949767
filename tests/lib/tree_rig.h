/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_rig.h - for tests of the credential tree of svid.ko, in the VM: the module, the agent's file (the test plays the
 * agent), and readers, which are processes that do one call after another as they are told.
 */
#ifndef TESTS_TREE_RIG_H
#define TESTS_TREE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kmod/uapi/svid_dev.h"

#define RIG_DATA 16384	/* bytes that one call of a reader brings back at most */
#define RIG_FAST_MS 2500 /* "at once", on an emulated machine that may get little time; half of a reader's bound */

/** rig_load() - insmod build/kmod/$VM/svid.ko, unless it is there. 0 or -errno. */
int rig_load(void);

/** rig_unload() - rmmod. 0 or -errno. */
int rig_unload(void);

/** rig_ms() - milliseconds of CLOCK_MONOTONIC. */
int64_t rig_ms(void);

/** tree_open() - a new tree file that does not block, or -errno. */
int tree_open(void);

/** tree_add(), tree_del(), tree_begin(), tree_sweep() - the requests of the same name. 0 or -errno. */
int tree_add(int tree, const char *path, uint64_t cookie);
int tree_del(int tree, const char *path);
int tree_begin(int tree);
int tree_sweep(int tree);

/** tree_request() - the next one, waited for @ms at most. 0, -EAGAIN when there is none, or -errno. */
int tree_request(int tree, int ms, struct svid_tree_request *ret);

/** tree_memfd() - @len bytes that nobody can change. */
int tree_memfd(const void *data, size_t len);

/** tree_answer() - give @len bytes. 0 or -errno. */
int tree_answer(int tree, uint64_t id, const void *data, size_t len);

/** tree_refuse() - give an errno (positive). 0 or -errno. */
int tree_refuse(int tree, uint64_t id, unsigned int err);

/** tree_path() - SVID_TREE_DIR/@path; static memory. */
const char *tree_path(const char *path);

/** tree_shows() - whether @path is there; waits a while until it is as @want. Returns whether it became so. */
bool tree_shows(const char *path, bool want);

/* What a reader can be told. Each call answers with its result, or -errno. */
enum reader_op {
	READER_OPEN,	 /* path; its descriptor, which the next calls use */
	READER_USE,	 /* descriptor a */
	READER_CLOSE,
	READER_PREAD,	 /* offset a, count b */
	READER_READ,	 /* count b */
	READER_THREAD,	 /* as PREAD, in another thread */
	READER_MAP,	 /* mmap one page */
	READER_SENDFILE, /* count b, to a pipe and from there */
	READER_SPLICE,	 /* likewise */
	READER_URING,	 /* PREAD by io_uring; flags of the ring are in c, of the request in d */
	READER_STEAL,	 /* descriptor b of process a */
	READER_SETUID,	 /* to uid a; all of them */
	READER_EXEC,	 /* itself; descriptors stay */
	READER_SYSFS,	 /* new user, net and mount namespace with a sysfs of its own, read-only */
	READER_CATCH,	 /* SIGUSR1 has a handler from now on */
	READER_FORK,	 /* a child that becomes this reader; the parent waits for it; the child's pid */
};

struct reader_call {
	enum reader_op op;
	int64_t a, b, c, d;
	char path[256];
};

struct reader_result {
	int64_t ret;	/* or -errno */
	int64_t ms;	/* how long it took */
	char data[RIG_DATA];
};

struct reader {
	pid_t pid;
	int fd;
};

/** reader_start() - a new process that waits for calls. */
struct reader reader_start(void);

/** reader_main() - what a program does that was called with the words "reader FD"; returns 0 when it was not. */
int reader_main(int argc, char **argv);

/** reader_tell() - begin a call. */
void reader_tell(const struct reader *reader, const struct reader_call *call);

/** reader_hear() - its result, waited for @ms; false when there is none. */
bool reader_hear(const struct reader *reader, int ms, struct reader_result *ret);

/** reader_do() - both, for a call that does not wait for the agent; the result's ret. */
int64_t reader_do(const struct reader *reader, const struct reader_call *call);

/** reader_end() - kill and reap. */
void reader_end(struct reader *reader);

/** loop_start() - a child that opens and reads five names, "a" and ENTRY of the tests among them, for ever. It closes @tree. */
pid_t loop_start(int tree);

/** loop_end() - kill and reap @n children. */
void loop_end(const pid_t *pids, int n);

#endif
