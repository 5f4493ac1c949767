// SPDX-License-Identifier: Apache-2.0
/* seccomp.c - a plan's calls as a filter that kills the process on anything else. Any child of svidd. */
#include <errno.h>
#include <seccomp.h>

#include "agent/base/err.h"
#include "agent/sandbox/internal.h"

#ifdef SVID_SAN
/* What the sanitizers' own runtime calls, so that a report can be printed. Never in a plain build. */
static const struct sandbox_call san_calls[] = {
	CALL("open"),	       CALL("openat"),	     CALL("readlink"),	  CALL("readlinkat"),
	CALL("mmap"),	       CALL("mprotect"),     CALL("sigaltstack"), CALL("rt_sigaction"),
	CALL("rt_sigprocmask"), CALL("sched_yield"), CALL("prctl"),	  CALL("getrlimit"),
	CALL("prlimit64"),     CALL("gettid"),	     CALL("getuid"),	  CALL("geteuid"),
	CALL("tgkill"),	       CALL("personality"),  CALL("lseek"),	  CALL("newfstatat"),
	CALL("ioctl"),	       CALL("nanosleep"),    CALL("clock_nanosleep"), CALL("sched_getaffinity"),
};

/* Leak checking needs ptrace and a second process: role_end() does it, in the mode that has no sandbox. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "leak_check_at_exit=0:abort_on_error=0:exitcode=99:handle_segv=1";
}
#endif

static int add_call(scmp_filter_ctx ctx, const struct sandbox_call *c)
{
	struct scmp_arg_cmp cmp[SANDBOX_ARGS];
	int nr = seccomp_syscall_resolve_name(c->name);
	int err;

	if (nr == __NR_SCMP_ERROR)
		return 0; /* a call that this library does not know yet: nobody can use it */
	for (unsigned int i = 0; i < c->n_args; i++)
		cmp[i] = SCMP_CMP64(c->args[i].index, SCMP_CMP_MASKED_EQ, c->args[i].mask, c->args[i].value);
	err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, nr, c->n_args, cmp);
	/* -EDOM: a pseudo number, the call does not exist here. -EEXIST: listed twice. */
	return err == -EDOM || err == -EEXIST ? 0 : err;
}

static int add_calls(scmp_filter_ctx ctx, const struct sandbox_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int err = add_call(ctx, &calls[i]);

		if (err) {
			log_error(EV_SANDBOX, KV("call", V_S(calls[i].name)), KV("err", V_S(err_name(err))));
			return err;
		}
	}
	return 0;
}

static int build(scmp_filter_ctx ctx, const struct sandbox_plan *plan)
{
	int err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (!err) /* svid-keys has its pool threads already */
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = add_calls(ctx, plan->calls, plan->n_calls);
#ifdef SVID_SAN
	log_info(EV_SANDBOX, KV("what", V_S("sanitizer build: wider list of system calls")),
		 KV("more", V_U(ARRAY_SIZE(san_calls))));
	if (!err)
		err = add_calls(ctx, san_calls, ARRAY_SIZE(san_calls));
#endif
	return err ? err : seccomp_load(ctx);
}

int sandbox_seccomp(const struct sandbox_plan *plan, bool log_only)
{
	scmp_filter_ctx ctx = seccomp_init(log_only ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
	int err;

	if (!ctx)
		return -ENOMEM;
	if (log_only)
		log_warn(EV_SANDBOX, KV("what", V_S("debug mode: system calls are logged, not refused")));
	err = build(ctx, plan);
	seccomp_release(ctx);
	return err;
}
