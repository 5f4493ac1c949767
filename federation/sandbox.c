// SPDX-License-Identifier: Apache-2.0
/*
 * sandbox.c - what svid-cloud may call and do: TCP and UDP to the outside, its cache, certificates, and what the resolver reads.
 *
 * No socket leads to what listens on this machine for every local user (D-Bus, name services, containers): Landlock has no
 * rule for a connect() to a Unix socket, so there is none to connect with. The resolver tries some, hears that this kernel
 * has no such family, and goes on without.
 */
#include <errno.h>
#include <netinet/in.h>
#include <nss.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "agent/ipc/plan.h"
#include "federation/cloud.h"

static const struct sandbox_call calls[] = {
	SANDBOX_BASE,
	SANDBOX_LOOP,
	SANDBOX_SECRETS,
	/* outbound connections, of no protocol that the kernel would load a module for, and the listener of the OIDC documents */
	CALL_IF("socket", 2, SB_INT, IPPROTO_IP), CALL_IF("socket", 2, SB_INT, IPPROTO_TCP),
	CALL_IF("socket", 2, SB_INT, IPPROTO_UDP),
	CALL("connect"), CALL("getsockopt"), CALL("setsockopt"), CALL("getsockname"),
	CALL("getpeername"), CALL("bind"), CALL("sendto"), CALL("recvfrom"), CALL("sendmmsg"), CALL("poll"), CALL("ppoll"),
	CALL("accept4"), CALL("ioctl"), CALL("eventfd2"), CALL("pipe2"), CALL("uname"),
	/* libcurl wakes itself. Not SOCK_DGRAM: one of those can be connected to something else than its pair. */
	{ .name = "socketpair", .n_args = 2, .args = { { 0, SB_INT, AF_UNIX }, { 1, 0xf, SOCK_STREAM } } },
	/* the resolver runs in a thread of libcurl's */
	CALL("clone"), CALL("clone3"), CALL("set_robust_list"), CALL("rseq"), CALL("rt_sigprocmask"), CALL("rt_sigaction"),
	CALL("gettid"), CALL("sched_yield"), CALL("sched_getaffinity"), CALL("prctl"),
	/* cache.db, certificates, resolver's files */
	CALL("openat"), CALL("newfstatat"), CALL("getdents64"), CALL("lseek"), CALL("pread64"), CALL("pwrite64"), CALL("fsync"),
	CALL("fdatasync"), CALL("unlink"), CALL("unlinkat"), CALL("access"), CALL("faccessat"),
	CALL("faccessat2"), CALL("stat"), CALL("lstat"), CALL("readlink"), CALL("readlinkat"), CALL("getcwd"), CALL("geteuid"),
	CALL("getuid"), CALL("rename"), CALL("renameat2"), CALL("statx"), CALL("fchmod"), CALL("fchown"), CALL("fallocate"),
	CALL_IF("fcntl", 1, SB_INT, 5 /* F_GETLK */), CALL_IF("fcntl", 1, SB_INT, 6 /* F_SETLK */),
	CALL_IF("fcntl", 1, SB_INT, 7 /* F_SETLKW */), CALL_IF("fcntl", 1, SB_INT, 1033 /* F_ADD_SEALS */),
	CALL("clock_nanosleep"), CALL("nanosleep"),
};

/* Without AF_NETLINK glibc does not know which addresses this machine has, and tries those of both families. */
static const int families[] = { AF_INET, AF_INET6 };

/* Beside its own directory: certificates, and what the resolver reads. */
static const struct sandbox_path paths[] = {
	{ .fd = FD_CLOUD_STATE, .access = SANDBOX_READ | SANDBOX_WRITE },
	{ .path = "/etc/ssl", .access = SANDBOX_READ },
	{ .path = "/usr/share/ca-certificates", .access = SANDBOX_READ },
	{ .path = "/usr/lib/ssl", .access = SANDBOX_READ },
	{ .path = "/etc/resolv.conf", .access = SANDBOX_READ },
	{ .path = "/etc/hosts", .access = SANDBOX_READ },
	{ .path = "/etc/host.conf", .access = SANDBOX_READ },
	{ .path = "/etc/gai.conf", .access = SANDBOX_READ },
	{ .path = "/etc/services", .access = SANDBOX_READ },
	{ .path = "/run/systemd/resolve", .access = SANDBOX_READ },
	{ .path = "/proc/self", .access = SANDBOX_READ },
};

static const struct sandbox_limit limits[] = { { RLIMIT_CORE, 0 } };

const struct sandbox_plan cloud_plan = {
	.calls = calls, .n_calls = ARRAY_SIZE(calls), .paths = paths, .n_paths = ARRAY_SIZE(paths),
	.limits = limits, .n_limits = ARRAY_SIZE(limits), .connects = true,
	.families = families, .n_families = ARRAY_SIZE(families),
};

int cloud_sandbox(const struct sandbox_plan *plan)
{
	/* Both are in libc. What else nsswitch.conf names is a file of code, which cannot be mapped in here: a try is the end. */
	if (__nss_configure_lookup("hosts", "files dns"))
		return -errno;
	return sandbox_enter(plan);
}
