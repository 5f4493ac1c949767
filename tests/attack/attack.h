/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attack.h - what the families of attacks share. One program, svid-attack, plays both roles: copied to the path that a
 * policy names it is "trusted", copied anywhere else it is "evil". attack_test.py starts it; next: main.c, client.h.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/attack/client.h"

/* The command line. Options are KEY=VALUE words after the command. */
struct options {
	const char *socket;	/* path of the Workload API */
	const char *trusted;	/* path of the trusted copy */
	const char *evil;	/* path of the evil copy */
	const char *variant;	/* which form of the attack; "" is the first */
	const char *how;	/* a way of ways.h, a folder, or "" */
	const char *file;	/* of the credential tree */
	const char *who;	/* how the line with the outcome starts */
	int fd;			/* an inherited descriptor, -1 when none */
	int pid;		/* another process, 0 when none */
	int count;		/* how many, 0: the attack's own choice */
	int wait_ms;		/* how long an answer is waited for */
	int delay_ms;		/* pause before acting */
	int workers;		/* processes of a flood */
	int uid;		/* whom to become where the attack starts as root */
	unsigned long addr;	/* an address in that other process */
	char **words;		/* the whole argv */
};

struct prctl_mm_map;

struct command {
	const char *name;
	const char *help;
	int (*run)(const struct options *o);
};

/* Each family ends its table with a NULL name. */
extern const struct command caller_commands[];
extern const struct command fork_exec_commands[];
extern const struct command pid_recycle_commands[];
extern const struct command fd_pass_commands[];
extern const struct command stream_commands[];
extern const struct command tracing_commands[];
extern const struct command namespace_commands[];
extern const struct command spoof_exe_commands[];
extern const struct command ucred_commands[];
extern const struct command io_uring_commands[];
extern const struct command rights_flood_commands[];
extern const struct command borrowed_commands[];
extern const struct command fuse_commands[];
extern const struct command rewrite_commands[];
extern const struct command flood_commands[];
extern const struct command supervise_commands[];
extern const struct command sharing_commands[];
extern const struct command tree_commands[];
extern const struct command helper_commands[];

/** die() - "error: WHAT: errno text" on stdout, exit 3: the attack could not be made, which is not an outcome. */
void die(const char *what) __attribute__((noreturn));

/** skip() - "skip: WHY", exit 0: this machine cannot do this attack. */
void skip(const char *why) __attribute__((noreturn));

/** say() - one line on stdout, written at once; processes share the pipe. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** sync_point() - "at: NAME", then wait for a line from the test; with stdin closed go on at once. */
void sync_point(const char *name);

/** sleep_ms() - sleep for that many milliseconds. */
void sleep_ms(int ms);

/** now_us() - microseconds of CLOCK_MONOTONIC, the same clock as Python's time.monotonic(). */
int64_t now_us(void);

/** exec_as() - execve @path with the command and "KEY=VALUE" words that follow, NULL last; dies when that fails. */
void exec_as(const char *path, const char *command, ...) __attribute__((noreturn, sentinel));

/** spawn_as() - the same in a child; returns its pid. */
pid_t spawn_as(const char *path, const char *command, ...) __attribute__((sentinel));

/** word() - "KEY=NUMBER" in one of a few static buffers. */
const char *word(const char *key, long number);

/** word_text() - "KEY=TEXT" in one of a few static buffers. */
const char *word_text(const char *key, const char *text);

/** reap() - wait for that child to end. */
void reap(pid_t pid);

/** pass_fd() - send a descriptor as SCM_RIGHTS over a Unix socket; dies when that fails. */
void pass_fd(int over, int fd);

/** receive_fd() - the descriptor that pass_fd() sent; dies when there is none. */
int receive_fd(int over);

/** steal_fd() - the parent's descriptor of that number, by pidfd_getfd(); skips where that is refused. */
int steal_fd(int number);

/** say_after() - "after: cut" or "after: open": was the connection ended, as others see it? poll() is no use of it. */
void say_after(int fd, int wait_ms);

/** keep_open() - let a descriptor survive exec. */
void keep_open(int fd);

/** become() - the uid and gid for good, no groups. */
void become(int uid);

/** enter_user_ns() - unshare a user namespace (and @flags) and map the caller to its root; skips when refused. */
void enter_user_ns(int flags);

/** copy_file() - copy an executable, mode 0755; dies when that fails. */
void copy_file(const char *from, const char *to);

/** mm_map_now() - the caller's memory map as PR_SET_MM_MAP takes it, unchanged. */
void mm_map_now(struct prctl_mm_map *ret_map);

/** leave_file() - our own text from @exe goes to anonymous memory: no mapping of that file is left. */
void leave_file(const char *exe);

/** link_to() - /proc/self/exe names @path from now on (spoof_exe.c); skips where that is refused. */
void link_to(const char *path);

/** is_variant() - is this the variant= of the command line? */
bool is_variant(const struct options *o, const char *name);

/** is_how() - the same for how=. */
bool is_how(const struct options *o, const char *name);

#endif
