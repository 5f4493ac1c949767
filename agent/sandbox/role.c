// SPDX-License-Identifier: Apache-2.0
/* role.c - how every role begins and how it locks itself in. Any child of svidd. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/leak.h"
#include "agent/base/slice.h"
#include "agent/ipc/plan.h"
#include "agent/sandbox/internal.h"

/* Set by role_start() and read once, by sandbox_enter(). */
static bool log_only;

static bool after(struct slice arg, const char *prefix, struct slice *ret_rest)
{
	struct slice p = slice_str(prefix);

	if (!slice_starts(arg, p))
		return false;
	*ret_rest = slice_of(arg.p + p.len, arg.len - p.len);
	return true;
}

static int log_level_of(struct slice s, enum log_level *ret_level)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (slice_eq_str(s, names[i])) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	return -ERR_FORMAT;
}

static int parse_arg(struct slice arg, struct role_args *a)
{
	struct slice value;
	uint64_t n;
	int err;

	if (after(arg, "--log=", &value))
		return log_level_of(value, &a->log_level);
	if (slice_eq_str(arg, "--sandbox=log")) {
		a->sandbox_log = true;
		return 0;
	}
#ifdef SVID_SAN
	if (after(arg, "--leak=", &value)) { /* shows that role_end() sees one */
		leak_one((const char *)arg.p);
		return 0;
	}
#endif
	if (!after(arg, "--index=", &value))
		return -ERR_FORMAT;
	err = slice_u64_dec(value, &n);
	if (err || n > UINT32_MAX)
		return -ERR_FORMAT;
	a->index = (unsigned int)n;
	return 0;
}

static void check_fds(unsigned int n_fds)
{
	int type = 0;
	socklen_t len = sizeof(type);

	for (unsigned int i = 0; i < n_fds; i++)
		if (fcntl((int)(FD_CHANNEL + i), F_SETFD, FD_CLOEXEC) < 0)
			log_fatal("a descriptor of the plan is missing: this program is started by svidd", -errno);
	if (n_fds && (getsockopt(FD_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET))
		log_fatal("descriptor 3 is not a channel: this program is started by svidd", -ENOTSOCK);
	if (syscall(SYS_close_range, FD_CHANNEL + n_fds, ~0u, 0) < 0)
		log_fatal("close_range", -errno);
}

struct role_args role_start(int argc, char **argv, const char *name, unsigned int n_fds)
{
	struct role_args a = { .log_level = LOG_INFO };

	log_init(name, LOG_INFO);
	for (int i = 1; i < argc; i++)
		if (parse_arg(slice_str(argv[i]), &a))
			log_fatal("unknown argument: this program is started by svidd", -EINVAL);
	log_init(name, a.log_level);
	check_fds(n_fds);
	log_only = a.sandbox_log;
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, name);
	return a;
}

/*
 * ONFAULT: locked once touched, so that reserved room (secure heap, stacks) costs nothing. svidd set
 * RLIMIT_MEMLOCK; where it could not raise it, keys stay protected by everything else.
 */
static void lock_memory(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		log_warn(EV_SANDBOX, KV("what", V_S("memory not locked, raise LimitMEMLOCK")),
			 KV("err", V_S(err_name(-errno))));
}

static int lower_limits(const struct sandbox_plan *plan)
{
	for (size_t i = 0; i < plan->n_limits; i++) {
		struct rlimit now, want = { plan->limits[i].max, plan->limits[i].max };

		if (getrlimit(plan->limits[i].resource, &now) < 0)
			return -errno;
		if (want.rlim_max > now.rlim_max)
			want.rlim_cur = want.rlim_max = now.rlim_max;
		if (setrlimit(plan->limits[i].resource, &want) < 0)
			return -errno;
	}
	return 0;
}

bool sandbox_is_off(void)
{
#ifdef SVID_SAN
	return log_only;
#else
	return false;
#endif
}

int role_end(int status)
{
	return sandbox_is_off() && leak_check() ? 1 : status;
}

int sandbox_enter(const struct sandbox_plan *plan)
{
	int err;

	if (sandbox_is_off()) {
		log_warn(EV_SANDBOX, KV("what", V_S("sanitizer build in debug mode: no sandbox")));
		return 0;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	if (plan->lock_memory)
		lock_memory();
	err = lower_limits(plan);
	if (err)
		return err;
	if (plan->no_landlock)
		log_debug(EV_SANDBOX, KV("landlock", V_S("off")), KV("why", V_S(plan->no_landlock)));
	else
		err = sandbox_landlock(plan);
	if (!err) /* before the list, which has no seccomp(2) */
		err = sandbox_families(plan, log_only);
	return err ? err : sandbox_seccomp(plan, log_only);
}
