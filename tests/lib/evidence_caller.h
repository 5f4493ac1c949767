/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence_caller.h - a process that connects and misbehaves on command, for tests of evidence providers.
 * The test program execs itself with --caller: its main() starts with caller_main().
 */
#ifndef TESTS_EVIDENCE_CALLER_H
#define TESTS_EVIDENCE_CALLER_H

#include <sys/types.h>

/* What a caller can be told; the answer is 0 or -errno. CHILD_*: done by a forked child on the inherited socket. */
enum caller_do {
	CALLER_CONNECT = 'c',
	CALLER_SEND = 's',
	CALLER_RECV = 'r',
	CALLER_EXEC = 'e',	  /* itself again, with the arguments "--caller PATH trusted" */
	CALLER_THREAD_EXEC = 't', /* the same from a thread that is not the leader */
	CALLER_LINGER = 'l',	  /* fork a child that keeps the socket until the caller ends */
	CALLER_CHILD_SEND = 'S',
	CALLER_CHILD_RECV = 'R',
	CALLER_CHILD_SPLICE_READ = 'P',
	CALLER_CHILD_SPLICE_WRITE = 'W',
	CALLER_CHILD_CONNECT = 'C', /* connects the inherited, still unconnected socket */
	CALLER_SOCKET = 'k',	    /* only makes the socket */
	CALLER_MISS = 'm',	    /* connects it to a path that is not there */
	CALLER_SETUID = 'u',
	CALLER_THREAD_FSUID = 'f', /* one thread, not the leader, changes its fsuid */
	CALLER_SETGROUPS = 'g',
	CALLER_REWRITE_ARGV = 'a',
	CALLER_SPOOF_EXE = 'x', /* PR_SET_MM_MAP: /proc/PID/exe becomes /bin/true, or what stands for it */
	CALLER_CHROOT = 'h',	/* into the listener's directory; connects by "/NAME" from then on */
	CALLER_USERNS = 'n',	/* a new user namespace of its own */
	CALLER_MNTNS = 'N',	/* a new user and mount namespace */
	CALLER_QUIT = 'q',
};

struct caller {
	pid_t pid;
	int ctl;
};

/** caller_main() - become a caller and never return, when @argv says so; else do nothing. */
void caller_main(int argc, char **argv);

/** caller_start() - exec a caller for the socket @path with @args (NULL-terminated, may be NULL) and @env. Aborts on failure. */
struct caller caller_start(const char *path, char *const args[], char *const env[]);

/** caller_start_exe() - the same, from a copy of this program at @exe or a script that names it. */
struct caller caller_start_exe(const char *exe, const char *path, char *const args[], char *const env[]);

/** caller_do() - one command; waits for the answer, -EPIPE when the caller died. */
int caller_do(struct caller *c, enum caller_do what);

/** caller_end() - let it exit and reap it. */
void caller_end(struct caller *c);

#endif
