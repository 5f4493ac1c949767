// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox.c - what svid-attest may call and do: reading files and talking to local name services, nothing
 * that writes, executes, or opens a network socket. NSS modules are loaded before (names_warm_up), so
 * not even here can executable memory be made; a changed nsswitch.conf costs one restart.
 *
 * The two capabilities are never in one worker. /proc/PID/mem of another user takes both: CAP_SYS_PTRACE for the
 * process, CAP_DAC_READ_SEARCH for the file, whose mode is 0600. A worker that looks has the first, one that hashes the other.
 * And one that hashes can name no file: its root directory is the list of its own descriptors.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/attest/attest.h"

#define OPEN_WRITES (O_ACCMODE | O_CREAT | O_TRUNC)
/* What fork(3) of glibc is, and no other clone. */
#define FORK_FLAGS (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD)

static const struct sandbox_call looker_calls[] = {
	SANDBOX_BASE,
	/* /proc, executables, user databases */
	CALL_IF("openat", 2, OPEN_WRITES, 0), CALL_IF("open", 1, OPEN_WRITES, 0),
	CALL("newfstatat"), CALL("stat"), CALL("lstat"), CALL("statx"), CALL("readlink"), CALL("readlinkat"),
	CALL("name_to_handle_at"),
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

/* It opens what came as a descriptor and reads it. */
static const struct sandbox_call hasher_calls[] = {
	SANDBOX_BASE,
	CALL_IF("openat", 2, OPEN_WRITES, 0), CALL_IF("open", 1, OPEN_WRITES, 0), CALL("poll"), CALL("ppoll"),
};

const struct sandbox_plan looker_plan = {
	.calls = looker_calls,
	.n_calls = ARRAY_SIZE(looker_calls),
	.no_landlock = "a Landlock domain may not look into processes outside of it (ptrace check)",
};

const struct sandbox_plan hasher_plan = {
	.calls = hasher_calls,
	.n_calls = ARRAY_SIZE(hasher_calls),
	.no_landlock = "executables of other mount namespaces are below no directory that a rule could name",
};

int leave_file_system(void)
{
	if (chdir("/proc/self/fd") < 0 || (!sandbox_is_off() && chroot(".") < 0))
		return -errno;
	return 0;
}

int keep_capability(unsigned int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	for (unsigned int i = 0; i < 2; i++) {
		data[i].permitted &= cap / 32 == i ? 1u << cap % 32 : 0;
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0; /* the ambient set follows */
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}
