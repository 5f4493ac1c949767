// SPDX-License-Identifier: Apache-2.0
/*
 * spawn.c - from root to a role in one function: what runs between fork and exec. svidd only.
 * The order matters and each step says why. Rows are in roles.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/parent.h"

#define HIGH_FD 64 /* above every number of the descriptor plan */

#ifdef SVID_SAN
#define SANITIZED 1 /* shadow memory is terabytes of address space; the runtime makes threads */
#else
#define SANITIZED 0
#endif

static NORETURN void give_up(const char *what)
{
	log_error(EV_FATAL, KV("what", V_S(what)), KV("err", V_S(err_name(-errno))));
	_exit(127);
}

/* A limit that this svidd may not raise (no CAP_SYS_RESOURCE) stays where it is. */
static void limit(int resource, uint64_t max)
{
	struct rlimit now, want = { max, max };

	if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
		give_up("getrlimit");
	if (setrlimit((__rlimit_resource_t)resource, &want) == 0)
		return;
	if (want.rlim_max > now.rlim_max)
		want.rlim_cur = want.rlim_max = now.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &want) < 0)
		give_up("setrlimit");
}

/* Dropping from the bounding set needs CAP_SETPCAP, so it comes before the user changes. */
static void bound_caps(uint64_t caps)
{
	for (unsigned int c = 0; prctl(PR_CAPBSET_READ, c, 0, 0, 0) >= 0; c++)
		if (!(caps >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			give_up("bounding set");
	if (prctl(PR_SET_KEEPCAPS, caps != 0, 0, 0, 0) < 0)
		give_up("keepcaps");
}

static void become(struct identity who)
{
	if (setgroups(0, NULL) < 0 || setresgid(who.gid, who.gid, who.gid) < 0 ||
	    setresuid(who.uid, who.uid, who.uid) < 0)
		give_up("user");
}

/* Ambient capabilities are the only ones that survive exec of a program without file capabilities. */
static void set_caps(uint64_t caps)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = data[i].inheritable = (uint32_t)(caps >> 32 * i);
	if (syscall(SYS_capset, &head, data) < 0)
		give_up("capset");
	for (unsigned int c = 0; c < 64; c++)
		if (caps >> c & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
			give_up("ambient set");
}

/* First out of the way, then into place: a source may have the number of another's target. */
static int place_fds(const struct launch *l)
{
	int high[8], null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = fcntl(l->log_fd, F_DUPFD_CLOEXEC, HIGH_FD);
	int exec_fd = fcntl(l->exec_fd, F_DUPFD_CLOEXEC, HIGH_FD);

	if (null < 0 || log < 0 || exec_fd < 0 || l->n_fds > ARRAY_SIZE(high))
		give_up("descriptors");
	for (unsigned int i = 0; i < l->n_fds; i++) {
		high[i] = fcntl(l->fds[i], F_DUPFD_CLOEXEC, HIGH_FD);
		if (high[i] < 0)
			give_up("descriptors");
	}
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(log, 2) < 0)
		give_up("descriptors");
	for (unsigned int i = 0; i < l->n_fds; i++)
		if (dup2(high[i], (int)(FD_CHANNEL + i)) < 0)
			give_up("descriptors");
	if (syscall(SYS_close_range, FD_CHANNEL + l->n_fds, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		give_up("close_range");
	return exec_fd;
}

static void set_limits(const struct role *r)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_MEMLOCK, r->memlock);
	limit(RLIMIT_NOFILE, r->nofile);
	if (!SANITIZED)
		limit(RLIMIT_AS, r->as);
}

static void reset_signals(void)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
}

static NORETURN void run_child(const struct launch *l, pid_t parent)
{
	static char *const no_env[] = { NULL };
	const struct role *r = &roles[l->role];
	int exec_fd = place_fds(l);

	reset_signals();
	setsid(); /* no terminal: ^C reaches svidd, which stops its children in order */
	umask(077);
	if (chdir("/") < 0)
		give_up("chdir");
	set_limits(r);
	bound_caps(r->caps);
	become(l->who);
	set_caps(r->caps);
	/* After the user: execve fails when the change of user found the limit exceeded. */
	if (!SANITIZED)
		limit(RLIMIT_NPROC, r->nproc);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		give_up("no_new_privs");
	/* After the user, whose change clears it: nothing outlives svidd. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(127);
	syscall(SYS_execveat, exec_fd, "", l->argv, no_env, AT_EMPTY_PATH);
	give_up("exec");
}

int launch(const struct launch *l, pid_t *ret_pid)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_child(l, parent);
	*ret_pid = pid;
	return 0;
}
