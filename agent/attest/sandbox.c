// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox.c - what svid-attest may call: reading files and talking to local name services, nothing
 * that writes, executes, or opens a network socket. NSS modules are loaded before (names_warm_up), so
 * not even here can executable memory be made; a changed nsswitch.conf costs one restart.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include "agent/attest/attest.h"

#define OPEN_WRITES (O_ACCMODE | O_CREAT | O_TRUNC)
/* What fork(3) of glibc is, and no other clone. */
#define FORK_FLAGS (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD)

static const struct sandbox_call calls[] = {
	SANDBOX_BASE,
	/* /proc, executables, user databases */
	CALL_IF("openat", 2, OPEN_WRITES, 0), CALL_IF("open", 1, OPEN_WRITES, 0),
	CALL("newfstatat"), CALL("stat"), CALL("lstat"), CALL("statx"), CALL("readlink"), CALL("readlinkat"),
	CALL("lseek"), CALL("pread64"), CALL("getdents64"), CALL("access"), CALL("faccessat"), CALL("faccessat2"),
	CALL_IF("ioctl", 1, SB_INT, FS_IOC_GETVERSION), CALL_IF("ioctl", 1, SB_INT, NS_GET_USERNS),
	CALL("poll"), CALL("ppoll"),
	/* name services listen on AF_UNIX; so does svid-core for the canary */
	CALL_IF("socket", 0, SB_INT, AF_UNIX), CALL("connect"), CALL("sendto"), CALL("recvfrom"),
	CALL("getsockopt"), CALL("setsockopt"), CALL("getsockname"), CALL("getpeername"),
	CALL("epoll_create1"), CALL("epoll_ctl"), CALL("epoll_wait"), CALL("epoll_pwait"),
	CALL("getuid"), CALL("geteuid"), CALL("getgid"), CALL("getegid"), CALL("gettid"), CALL("uname"),
	CALL("rt_sigprocmask"), CALL("rt_sigaction"), CALL("clock_nanosleep"),
	/* the canary's child */
	CALL_IF("clone", 0, SB_INT, FORK_FLAGS), CALL("set_robust_list"), CALL("rseq"), CALL("wait4"),
	CALL("pipe2"),
};

const struct sandbox_plan attest_plan = {
	.calls = calls,
	.n_calls = ARRAY_SIZE(calls),
	.no_landlock = "a Landlock domain may not look into processes outside of it (ptrace check)",
};
