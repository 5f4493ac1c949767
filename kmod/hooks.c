// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel calls us: four tracepoints for the life of processes, kprobes for credentials, tracing and sockets.
 * Each only names its arguments and passes on; the work is in image.c and record.c.
 *
 * Every hook runs in the process concerned, with preemption off, some with interrupts off and under the kernel's locks
 * (cgroup moves: css_set_lock; ptrace: tasklist_lock; connect: both sockets' state locks). So nothing sleeps, memory is
 * GFP_ATOMIC, and no lock is taken but our own leaves and task_lock(). kernel.ftrace_enabled=0 silences the kprobes, not
 * the tracepoints; core's canary notices. A kprobe that is met inside of another one is left out and counted.
 */
#include "evidence.h"

#include <linux/binfmts.h>
#include <linux/kprobes.h>
#include <linux/net.h>
#include <linux/ptrace.h>
#include <linux/tracepoint.h>
#include <trace/events/cgroup.h>
#include <trace/events/sched.h>
#include <trace/events/task.h>

#include "compat.h"

/* ---- tracepoints ---- */

static void on_exec(void *data, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	rcu_read_lock();
	svid_image_exec(bprm);
	rcu_read_unlock();
}

static void on_fork(void *data, struct task_struct *child, CLONE_FLAGS_TYPE flags)
{
	if (flags & CLONE_THREAD)
		return;
	rcu_read_lock();
	svid_image_fork(child);
	rcu_read_unlock();
}

static void EXIT_PROBE(on_exit, p)
{
	rcu_read_lock();
	svid_image_end(p);
	rcu_read_unlock();
}

/* In whoever moves the task, with interrupts off; v1 hierarchies too. */
static void on_cgroup(void *data, struct cgroup *dst, const char *path, struct task_struct *task, bool threadgroup)
{
	struct svid_key key, by;

	rcu_read_lock();
	key = svid_key_of(task);
	by = svid_key_of(current);
	svid_count(SVID_STAT_CGROUP);
	svid_image_changed(SVID_EVENT_CGROUP, &key, &by);
	rcu_read_unlock();
}

/* A callback registered by void * is not checked by the compiler; here it is. */
static void __maybe_unused check_types(void)
{
	check_trace_callback_type_sched_process_exec(on_exec);
	check_trace_callback_type_task_newtask(on_fork);
	check_trace_callback_type_sched_process_exit(on_exit);
	check_trace_callback_type_cgroup_attach_task(on_cgroup);
}

struct point {
	const char *name;
	void *probe;
	struct tracepoint *tp;	/* set while it is on */
};

static struct point points[] = {
	{ "sched_process_exec", on_exec },
	{ "task_newtask", on_fork },
	{ "sched_process_exit", on_exit },
	{ "cgroup_attach_task", on_cgroup },
};

static void point_on(struct tracepoint *tp, void *priv)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (!strcmp(tp->name, points[i].name) && !tracepoint_probe_register(tp, points[i].probe, NULL))
			points[i].tp = tp;
}

static void points_off(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(points); i++) {
		if (points[i].tp)
			tracepoint_probe_unregister(points[i].tp, points[i].probe, NULL);
		points[i].tp = NULL;
	}
	tracepoint_synchronize_unregister();
}

static int points_on(void)
{
	u32 i;

	for_each_kernel_tracepoint(point_on, NULL);
	for (i = 0; i < ARRAY_SIZE(points); i++) {
		if (!points[i].tp) {
			pr_err("no tracepoint %s\n", points[i].name);
			points_off();
			return -ENODEV;
		}
	}
	return 0;
}

/* ---- kprobes, at the first instruction, where the arguments are in their registers ---- */

#define ARGUMENT(regs, n) ((void *)regs_get_kernel_argument(regs, n))

/* In the thread that changes its own credentials, just before they take effect; in exec too. */
static int on_creds(struct kprobe *kp, struct pt_regs *regs)
{
	const struct cred *new = ARGUMENT(regs, 0);
	struct svid_key key;

	rcu_read_lock();
	if (svid_creds_differ(__task_cred(current), new)) {
		key = svid_key_of(current);
		svid_count(SVID_STAT_CRED);
		svid_image_changed(SVID_EVENT_CRED, &key, &key);
	}
	rcu_read_unlock();
	return 0;
}

static int on_committing(struct kprobe *kp, struct pt_regs *regs)
{
	rcu_read_lock();
	svid_image_untrace();
	rcu_read_unlock();
	return 0;
}

/* Before the LSMs decide: what one of them refuses is released again, and its record with it. */
static int on_connect(struct kprobe *kp, struct pt_regs *regs)
{
	rcu_read_lock();
	svid_record_connect(ARGUMENT(regs, 0), ARGUMENT(regs, 1), ARGUMENT(regs, 2));
	rcu_read_unlock();
	return 0;
}

static int on_release(struct kprobe *kp, struct pt_regs *regs)
{
	rcu_read_lock();
	svid_record_release(ARGUMENT(regs, 0));
	rcu_read_unlock();
	return 0;
}

static int used(struct pt_regs *regs, u32 how)
{
	struct socket *sock = ARGUMENT(regs, 0);

	rcu_read_lock();
	svid_record_used(sock->sk, how);
	rcu_read_unlock();
	return 0;
}

static int on_send(struct kprobe *kp, struct pt_regs *regs)
{
	return used(regs, SVID_MARK_FOREIGN_SEND);
}

static int on_receive(struct kprobe *kp, struct pt_regs *regs)
{
	return used(regs, SVID_MARK_FOREIGN_RECV);
}

static int on_splice_read(struct kprobe *kp, struct pt_regs *regs)
{
	return used(regs, SVID_MARK_SPLICE_READ);
}

static int __maybe_unused on_sendpage(struct kprobe *kp, struct pt_regs *regs)
{
	return used(regs, SVID_MARK_SPLICE_WRITE);
}

/*
 * optional: unix_release_sock() is static and some build may have no function of that name; then the sweep finds each
 * record whose accepted end is closed, a second later.
 */
struct probe {
	struct kprobe kp;
	bool optional;
	bool on;
};

#define PROBE(function, handler) { .kp = { .symbol_name = function, .pre_handler = handler } }

static struct probe probes[] = {
	PROBE("security_unix_stream_connect", on_connect),
	{ .kp = { .symbol_name = "unix_release_sock", .pre_handler = on_release }, .optional = true },
	PROBE("security_socket_sendmsg", on_send),
	PROBE("security_socket_recvmsg", on_receive),
	PROBE("unix_stream_splice_read", on_splice_read),
#if HAVE_SENDPAGE
	PROBE("unix_stream_sendpage", on_sendpage),
#endif
	PROBE("commit_creds", on_creds),
	PROBE("security_bprm_committing_creds", on_committing),
};

static void probes_off(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (probes[i].on)
			unregister_kprobe(&probes[i].kp);
		probes[i].on = false;
	}
}

static int probes_on(void)
{
	int err;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		err = register_kprobe(&probes[i].kp);
		probes[i].on = !err;
		if (!err || (probes[i].optional && err == -ENOENT))
			continue;
		pr_err("cannot probe %s: error %d\n", probes[i].kp.symbol_name, -err);
		probes_off();
		return -ENODEV;
	}
	return 0;
}

/* ---- tracing: after the decision, so that an attempt which was refused marks nobody ---- */

struct attempt {
	struct task_struct *child;
	unsigned int mode;
};

static int before_access(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct attempt *a = (struct attempt *)ri->data;

	a->child = ARGUMENT(regs, 0);
	a->mode = (unsigned long)ARGUMENT(regs, 1);
	return a->mode & PTRACE_MODE_ATTACH ? 0 : 1;	/* 1: not interested in the return */
}

/* The caller still holds the child here: this runs before it goes on. */
static int after_access(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct attempt *a = (struct attempt *)ri->data;

	rcu_read_lock();
	if (!(int)regs_return_value(regs))
		svid_image_traced(a->child, current);
	rcu_read_unlock();
	return 0;
}

static int before_traceme(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	((struct attempt *)ri->data)->child = ARGUMENT(regs, 0);	/* the parent, here */
	return 0;
}

static int after_traceme(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct attempt *a = (struct attempt *)ri->data;

	rcu_read_lock();
	if (!(int)regs_return_value(regs))
		svid_image_traced(current, a->child);
	rcu_read_unlock();
	return 0;
}

/*
 * Of each, how many threads may be inside at once: the default is a few for each CPU, and callers who are preempted there, or
 * wait for a full audit queue, could use them up. What is missed is counted, and core then serves nobody.
 */
#define ATTEMPTS_MAX 1024

static struct kretprobe access_probe = {
	.kp.symbol_name = "security_ptrace_access_check",
	.entry_handler = before_access,
	.handler = after_access,
	.maxactive = ATTEMPTS_MAX,
	.data_size = sizeof(struct attempt),
};

static struct kretprobe traceme_probe = {
	.kp.symbol_name = "security_ptrace_traceme",
	.entry_handler = before_traceme,
	.handler = after_traceme,
	.maxactive = ATTEMPTS_MAX,
	.data_size = sizeof(struct attempt),
};

static int returns_on(void)
{
	int err;

	err = register_kretprobe(&access_probe);
	if (err)
		goto no_access;
	err = register_kretprobe(&traceme_probe);
	if (err)
		goto no_traceme;
	return 0;

no_traceme:
	unregister_kretprobe(&access_probe);
no_access:
	pr_err("cannot probe ptrace: error %d\n", -err);
	return -ENODEV;
}

static void returns_off(void)
{
	unregister_kretprobe(&traceme_probe);
	unregister_kretprobe(&access_probe);
}

/* ---- all ---- */

void svid_hooks_missed(void)
{
	u64 n = access_probe.nmissed + access_probe.kp.nmissed + traceme_probe.nmissed + traceme_probe.kp.nmissed;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		n += probes[i].kp.nmissed;
	svid_files_skipped(n);
}

int svid_hooks_on(void)
{
	int err;

	err = points_on();
	if (err)
		return err;
	err = returns_on();
	if (err)
		goto no_returns;
	err = probes_on();
	if (err)
		goto no_probes;
	return 0;

no_probes:
	returns_off();
no_returns:
	points_off();
	return err;
}

void svid_hooks_off(void)
{
	probes_off();
	returns_off();
	points_off();
}
