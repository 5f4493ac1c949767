/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - how a role locks itself in: one plan as data, one call. Every child of svidd.
 *
 * A main is: role_start(), open what is needed, sandbox_enter(), say ready, loop. After
 * sandbox_enter() a system call that is not listed ends the process. Next: the role's own sandbox.c
 * or main.c for its list, role.c for the start, seccomp.c and landlock.c for how.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/compiler.h"
#include "agent/base/log.h"

#define SANDBOX_ARGS 3
#define SANDBOX_FAMILIES 4

/* An argument test: (argument & mask) == value. Masks of int arguments are 32 bits wide. */
struct sandbox_arg {
	uint8_t index;
	uint64_t mask;
	uint64_t value;
};

/*
 * One permitted system call, by name: a role's list is the same on every architecture, and a name
 * that an architecture does not have is left out. Several rows of one call are alternatives.
 */
struct sandbox_call {
	const char *name;
	uint8_t n_args; /* all must hold */
	struct sandbox_arg args[SANDBOX_ARGS];
};

#define SB_INT 0xffffffffull
/* CALL("read"): with any arguments. */
#define CALL(name_) { .name = name_ }
/* CALL_IF("fcntl", 1, SB_INT, F_GETFL): only when (argument 1 & mask) == value. */
#define CALL_IF(name_, index_, mask_, value_) \
	{ .name = name_, .n_args = 1, .args = { { index_, mask_, value_ } } }

/* What libc, the heap, messages on channels, and the log need. No executable memory can be made. */
#define SANDBOX_BASE                                                                           \
	CALL("read"), CALL("write"), CALL("readv"), CALL("writev"), CALL("close"),             \
	CALL("exit"), CALL("exit_group"), CALL("rt_sigreturn"), CALL("restart_syscall"),       \
	CALL("futex"), CALL("brk"), CALL("munmap"), CALL("mremap"), CALL("madvise"),           \
	CALL("clock_gettime"), CALL("gettimeofday"), CALL("getrandom"), CALL("getpid"),        \
	CALL("sysinfo"), /* qsort of libc asks how much memory there is before it takes some */ \
	CALL("sendmsg"), CALL("recvmsg"), CALL("shutdown"), CALL("memfd_create"), CALL("fstat"), \
	CALL_IF("newfstatat", 3, 0x1000, 0x1000 /* AT_EMPTY_PATH: fstat of newer libc */),     \
	CALL_IF("mmap", 2, 0x4, 0), CALL_IF("mprotect", 2, 0x4, 0),                            \
	CALL_IF("fcntl", 1, SB_INT, 1 /* F_GETFD */), CALL_IF("fcntl", 1, SB_INT, 2),          \
	CALL_IF("fcntl", 1, SB_INT, 3 /* F_GETFL */), CALL_IF("fcntl", 1, SB_INT, 4),          \
	CALL_IF("fcntl", 1, SB_INT, 1030 /* F_DUPFD_CLOEXEC */),                               \
	CALL_IF("fcntl", 1, SB_INT, 1033 /* F_ADD_SEALS */),                                   \
	CALL_IF("fcntl", 1, SB_INT, 1034 /* F_GET_SEALS */)

/* agent/base/loop.c */
#define SANDBOX_LOOP \
	CALL("epoll_wait"), CALL("epoll_pwait"), CALL("epoll_ctl"), CALL("epoll_create1")

/* agent/base/secret.c */
#define SANDBOX_SECRETS                                                                        \
	CALL("mlock"), CALL("mlock2"), CALL("munlock"), CALL("memfd_secret"), CALL("ftruncate")

/* Part of the file system that stays reachable (Landlock), everything else does not. */
enum sandbox_access {
	SANDBOX_READ = 1,  /* read files, list directories */
	SANDBOX_WRITE = 2, /* write, create, remove, rename, truncate */
	SANDBOX_EXEC = 4,
};

struct sandbox_path {
	const char *path; /* NULL: use fd (O_PATH or open directory) */
	int fd;
	unsigned int access; /* enum sandbox_access */
};

/* A limit lowered for good (setrlimit(2)); svidd set the outer ones before exec. */
struct sandbox_limit {
	int resource;
	uint64_t max;
};

struct sandbox_plan {
	const struct sandbox_call *calls;
	size_t n_calls;
	const struct sandbox_path *paths; /* none: no file can be opened, if Landlock is there */
	size_t n_paths;
	const struct sandbox_limit *limits;
	size_t n_limits;
	/*
	 * Where socket(2) is listed: the families that it makes, each with the types and protocols of the list. For any other it
	 * fails with EAFNOSUPPORT, as on a kernel without it, and the process goes on: libraries try. None here: all of the list.
	 */
	const int *families;
	size_t n_families; /* SANDBOX_FAMILIES at most */
	const char *no_landlock; /* set only with a reason, which is logged */
	bool connects;		 /* to TCP services outside: Landlock leaves that to it */
	bool lock_memory;	 /* mlockall: pages with keys never reach a swap device */
};

/* What svidd passes to every role on its command line. */
struct role_args {
	unsigned int index;	  /* --index=N: attest worker or front number, else 0 */
	enum log_level log_level; /* --log=error|warn|info|debug */
	bool sandbox_log;	  /* --sandbox=log: violations are logged by the kernel, not fatal */
};

/**
 * role_start() - the first call of a role's main: arguments, log, and the descriptor plan.
 * @name:  program name in log lines and in comm.
 * @n_fds: descriptors from 3 on that svidd passed (agent/ipc/plan.h); each must be open, the first
 *         must be a SOCK_SEQPACKET socket, and everything above is closed.
 *
 * Wrong arguments or descriptors end the process: whoever started it was not svidd.
 */
struct role_args role_start(int argc, char **argv, const char *name, unsigned int n_fds);

/**
 * sandbox_enter() - no_new_privs, not dumpable, limits, Landlock, seccomp, in this order; for good.
 * Errors: -errno of the step that failed (the caller must end). A kernel without Landlock is logged
 * and is no error; a kernel without seccomp filters is one.
 */
MUST int sandbox_enter(const struct sandbox_plan *plan);

/**
 * sandbox_is_off() - true in a sanitizer build under --sandbox=log only: such a role stays outside of its cage, so that it
 * can look for leaks at its end.
 */
bool sandbox_is_off(void);

/** role_end() - the end of a role's main, once it has freed what it had: the exit status, 1 instead of 0 with a leak. */
int role_end(int status);

#endif
