// SPDX-License-Identifier: Apache-2.0
/* sandbox.c - what svid-core may still do once it runs: its state, the cgroup tree, /proc, its descriptors. */
#include <linux/bpf.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "agent/core/core.h"
#include "kmod/uapi/svid_dev.h"
#include "agent/sandbox/sandbox.h"

/* Clients, fronts, channels, what waits for a front that hangs, and files that somebody reads. */
#define MAX_FILES (LIM_CONNS + LIM_IPC_QUEUE_FDS + 3 * LIM_FRONTS + 2 * LIM_TREE_READS + 512)

static const struct sandbox_call calls[] = {
	SANDBOX_BASE,
	SANDBOX_LOOP,
	/* clients: accept, ask who, take the record, cut */
	CALL("accept4"), CALL("getsockopt"), CALL("recvfrom"), CALL_IF("ioctl", 1, SB_INT, FIONREAD),
	/* evidence: look up, hold, let go, poll; nothing can be loaded or attached */
	CALL_IF("bpf", 0, SB_INT, BPF_MAP_LOOKUP_ELEM), CALL_IF("bpf", 0, SB_INT, BPF_MAP_UPDATE_ELEM),
	CALL_IF("bpf", 0, SB_INT, BPF_MAP_DELETE_ELEM), CALL_IF("bpf", 0, SB_INT, BPF_MAP_GET_NEXT_KEY),
	CALL_IF("bpf", 0, SB_INT, BPF_ITER_CREATE),
	/* the same of the kernel module */
	CALL_IF("ioctl", 1, SB_INT, SVID_IOC_ASK), CALL_IF("ioctl", 1, SB_INT, SVID_IOC_HOLD),
	CALL_IF("ioctl", 1, SB_INT, SVID_IOC_UNHOLD), CALL_IF("ioctl", 1, SB_INT, SVID_IOC_IMAGE),
	CALL_IF("ioctl", 1, SB_INT, SVID_IOC_READER),
	/* the credential tree in sysfs */
	CALL_IF("ioctl", 1, SB_INT, SVID_IOC_TREE_BEGIN), CALL_IF("ioctl", 1, SB_INT, SVID_IOC_TREE_ADD),
	CALL_IF("ioctl", 1, SB_INT, SVID_IOC_TREE_DEL), CALL_IF("ioctl", 1, SB_INT, SVID_IOC_TREE_SWEEP),
	CALL_IF("ioctl", 1, SB_INT, SVID_IOC_TREE_ANSWER),
	/* the same by FUSE: from a front's memfd to the reader */
	CALL("pipe2"), CALL("splice"), CALL_IF("fcntl", 1, SB_INT, 1031 /* F_SETPIPE_SZ */),
	/* state.db, the cgroup tree, /proc/PID/cgroup */
	CALL("openat"), CALL("newfstatat"), CALL("getdents64"), CALL("lseek"), CALL("pread64"), CALL("pwrite64"),
	CALL("fsync"), CALL("fdatasync"), CALL("ftruncate"), CALL("unlink"), CALL("unlinkat"), CALL("access"),
	CALL("faccessat"), CALL("faccessat2"), CALL("stat"), CALL("lstat"), CALL("readlink"), CALL("readlinkat"),
	CALL("getcwd"), CALL("geteuid"), CALL("getuid"), CALL("rename"), CALL("renameat2"), CALL("statx"), CALL("fchmod"),
	CALL("fchown"), CALL("fallocate"), CALL("rt_sigaction"), CALL("uname") /* session names say which node */,
	CALL_IF("fcntl", 1, SB_INT, 5 /* F_GETLK */), CALL_IF("fcntl", 1, SB_INT, 6 /* F_SETLK */),
	CALL_IF("fcntl", 1, SB_INT, 7 /* F_SETLKW */),
	/* SQLite waits for a lock */
	CALL("clock_nanosleep"), CALL("nanosleep"),
};

int core_sandbox(const struct core *c)
{
	const struct sandbox_path paths[] = {
		{ .fd = c->plan.state_dir, .access = SANDBOX_READ | SANDBOX_WRITE },
		{ .path = "/sys/fs/cgroup", .access = SANDBOX_READ },
		{ .path = "/proc", .access = SANDBOX_READ },
	};
	const struct sandbox_limit limits[] = {
		{ RLIMIT_NOFILE, MAX_FILES },
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_CORE, 0 },
	};
	const struct sandbox_plan plan = {
		.calls = calls,
		.n_calls = ARRAY_SIZE(calls),
		.paths = paths,
		.n_paths = ARRAY_SIZE(paths),
		.limits = limits,
		.n_limits = ARRAY_SIZE(limits),
	};

	return sandbox_enter(&plan);
}
