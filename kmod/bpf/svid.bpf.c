// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The hooks of all three BPF tiers; svidd switches on the programs of the one it loads (agent/parent/bpf_tier.c). The
 * work is in record.h and attach.h (connections), image.h and image_more.h (processes). Below each hook: when it runs,
 * what not to trust.
 */
#include "gen/vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "kmod/uapi/svid.h"
#include "kmod/facts.h"
#include "kmod/bpf/maps.h"
#include "kmod/bpf/flavors.h"
#include "kmod/bpf/emit.h"
#include "kmod/bpf/task.h"
#include "kmod/bpf/exe.h"
#include "kmod/bpf/env.h"
#include "kmod/bpf/filters.h"
#include "kmod/bpf/image.h"
#include "kmod/bpf/image_more.h"
#include "kmod/bpf/record.h"
#include "kmod/bpf/flood.h"
#include "kmod/bpf/attach.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define CLONE_THREAD_BIT	0x00010000
#define PTRACE_MODE_ATTACH_BIT	0x02
#define STATE_CLOSE		7	/* TCP_CLOSE: a unix socket that is not connected */
#define TYPE_STREAM		1	/* SOCK_STREAM */
#define MODE_TYPE		0170000
#define MODE_SOCKET		0140000
#define MAY_WRITE_BIT		0x2

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym __weak;

/* ---- every tier: the life of processes. tp_btf hooks are not silenced by kernel.ftrace_enabled=0 ---- */

/* After the point of no return, with the new memory and credentials in place, before the program's first instruction. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(all_exec, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	image_exec(p, bprm);
	return 0;
}

/* In the parent, before the child runs for the first time. */
SEC("tp_btf/task_newtask")
int BPF_PROG(all_fork, struct task_struct *child, u64 clone_flags)
{
	if (!(clone_flags & CLONE_THREAD_BIT))
		image_fork(bpf_get_current_task_btf(), child);
	return 0;
}

/* For each thread; the process ends with the one that finds no other alive. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(all_exit, struct task_struct *p)
{
	image_exit(p);
	return 0;
}

/* In whoever moves the task, with interrupts off; v1 hierarchies too. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(all_cgroup, struct cgroup *dst, const char *path, struct task_struct *task, bool threadgroup)
{
	struct svid_key key = task_key(task);
	struct svid_key by = task_key(bpf_get_current_task_btf());

	count(SVID_STAT_CGROUP);
	image_changed(SVID_EVENT_CGROUP, &key, &by);
	return 0;
}

/* Read by svidd after the hooks are attached, twice: a child of an unscanned parent may hide behind the cursor once. */
SEC("iter/task")
int all_scan(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	struct svid_config *cfg = THE(svid_config);

	if (!t)
		return 0;
	if (cfg && ctx->meta->seq_num == 0 && t->fs && t->nsproxy) {
		cfg->root_dentry = (__u64)t->fs->root.dentry;
		cfg->root_mnt = (__u64)t->fs->root.mnt;
		cfg->mnt_ns = t->nsproxy->mnt_ns->ns.inum;
	}
	if (t->pid == t->tgid)
		image_scan(t);
	return 0;
}

/* Read by core every 100 ms in tiers that see no credential change: every thread of every holder. */
SEC("iter/task")
int all_poll(struct bpf_iter__task *ctx)
{
	struct task_struct *t = ctx->task;
	__u32 groups[SVID_GROUPS_MAX] = {};
	const struct cred *c;
	struct svid_holder *h;
	struct svid_key key;

	if (!t)
		return 0;
	key = task_key(t);
	h = bpf_map_lookup_elem(&svid_holders, &key);
	if (!h)
		return 0;
	count(SVID_STAT_POLLS);
	c = task_creds(t);
	if (ids_differ(c, &h->ids) || groups_hash(groups, groups_read(c, groups)) != h->ids.groups_hash) {
		count(SVID_STAT_CRED);
		image_changed(SVID_EVENT_CRED, &key, &key);
	}
	return 0;
}

/* Read by core: who reads an entry of the credential tree. That thread waits for core, so it stays as it is. */
SEC("iter/task")
int all_reader(struct bpf_iter__task *ctx)
{
	return conn_reader(ctx->task);
}

/* ---- bpf-lsm and bpf-fentry: credentials (there is no tracepoint) ---- */

/* In the thread that changes its own credentials, just before they take effect; in exec too. */
SEC("fentry/commit_creds")
int BPF_PROG(any_creds, struct cred *new)
{
	struct task_struct *t = bpf_get_current_task_btf();
	struct svid_key key;

	if (!creds_differ(t->real_cred, new))
		return 0;
	key = task_key(t);
	count(SVID_STAT_CRED);
	image_changed(SVID_EVENT_CRED, &key, &key);
	return 0;
}

/* ---- bpf-lsm: may refuse. Runs last in the LSM list, so what another module refuses is not seen here ---- */

/* In connect(), both sockets locked, nothing can fail after it. */
SEC("lsm/unix_stream_connect")
int BPF_PROG(lsm_connect, struct sock *sock, struct sock *other, struct sock *newsk, int ret)
{
	__u32 *tag = bpf_sk_storage_get(&svid_listeners, other, 0, 0);
	struct svid_conn *rec;

	if (ret)
		return ret;
	rec = conn_made(sock, tag, bpf_get_socket_cookie(sock));
	if (!rec || !(rec->flags & SVID_CONN_VALID) || !flood_refuses(rec))
		return 0;
	rec->flags = 0;
	return -EAGAIN_ERR;
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(lsm_send, struct socket *sock, struct msghdr *msg, int size, int ret)
{
	if (ret)
		return ret;
	if (conn_used(sock->sk, SVID_MARK_FOREIGN_SEND, 1))
		return -EACCES_ERR;
	/* Whoever frees a passed descriptor may be made to wait for it (A21), and credentials in a message are a claim. */
	return msg->msg_controllen && conn_is_recorded(sock->sk) ? -EACCES_ERR : 0;
}

SEC("lsm/socket_recvmsg")
int BPF_PROG(lsm_recv, struct socket *sock, struct msghdr *msg, int size, int flags, int ret)
{
	if (ret)
		return ret;
	if (conn_used(sock->sk, SVID_MARK_FOREIGN_RECV, 1))
		return -EACCES_ERR;
	conn_adopt(sock->sk);
	return 0;
}

/* Every read and write of every file: splice() from and (before 6.5) to a socket passes no other hook (K3). */
SEC("lsm/file_permission")
int BPF_PROG(lsm_file, struct file *file, int mask, int ret)
{
	struct socket *sock;

	if (ret || (file->f_inode->i_mode & MODE_TYPE) != MODE_SOCKET)
		return ret;
	sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	if (conn_used(sock->sk, mask & MAY_WRITE_BIT ? SVID_MARK_SPLICE_WRITE : SVID_MARK_SPLICE_READ, 1))
		return -EACCES_ERR;
	return 0;
}

/* Attach, /proc/PID/mem, process_vm_*: all ask with ATTACH. Yama and capabilities have agreed by now. */
SEC("lsm/ptrace_access_check")
int BPF_PROG(lsm_ptrace, struct task_struct *child, unsigned int mode, int ret)
{
	if (ret == 0 && mode & PTRACE_MODE_ATTACH_BIT)
		image_traced(child, bpf_get_current_task_btf());
	return ret;
}

SEC("lsm/ptrace_traceme")
int BPF_PROG(lsm_traceme, struct task_struct *parent, int ret)
{
	if (ret == 0)
		image_traced(bpf_get_current_task_btf(), parent);
	return ret;
}

SEC("lsm/bprm_committing_creds")
int BPF_PROG(lsm_committing, struct linux_binprm *bprm)
{
	image_untrace(bpf_get_current_task_btf());
	return 0;
}

/* ---- bpf-fentry: the same places without the power to refuse ---- */

/* Before the LSMs decide: a connect that one of them refuses leaves a record on a socket that is not connected. */
SEC("fentry/security_unix_stream_connect")
int BPF_PROG(fentry_connect, struct sock *sock, struct sock *other, struct sock *newsk)
{
	__u32 *tag = bpf_sk_storage_get(&svid_listeners, other, 0, 0);

	conn_made(sock, tag, bpf_get_socket_cookie(sock));
	return 0;
}

SEC("fentry/security_socket_sendmsg")
int BPF_PROG(fentry_send, struct socket *sock)
{
	conn_used(sock->sk, SVID_MARK_FOREIGN_SEND, 0);
	return 0;
}

SEC("fentry/security_socket_recvmsg")
int BPF_PROG(fentry_recv, struct socket *sock)
{
	if (!conn_used(sock->sk, SVID_MARK_FOREIGN_RECV, 0))
		conn_adopt(sock->sk);
	return 0;
}

SEC("fentry/unix_stream_splice_read")
int BPF_PROG(fentry_splice_read, struct socket *sock)
{
	conn_used(sock->sk, SVID_MARK_SPLICE_READ, 0);
	return 0;
}

/* Gone since 6.5, where splice() to a socket became sendmsg. svidd switches it on where the function exists. */
SEC("fentry/unix_stream_sendpage")
int BPF_PROG(fentry_sendpage, struct socket *sock)
{
	conn_used(sock->sk, SVID_MARK_SPLICE_WRITE, 0);
	return 0;
}

/* After the decision, so that an attempt which was refused marks nobody. */
SEC("fexit/security_ptrace_access_check")
int BPF_PROG(fentry_ptrace, struct task_struct *child, unsigned int mode, int ret)
{
	if (ret == 0 && mode & PTRACE_MODE_ATTACH_BIT)
		image_traced(child, bpf_get_current_task_btf());
	return 0;
}

SEC("fexit/security_ptrace_traceme")
int BPF_PROG(fentry_traceme, struct task_struct *parent, int ret)
{
	if (ret == 0)
		image_traced(bpf_get_current_task_btf(), parent);
	return 0;
}

SEC("fentry/security_bprm_committing_creds")
int BPF_PROG(fentry_committing, struct linux_binprm *bprm)
{
	image_untrace(bpf_get_current_task_btf());
	return 0;
}

/* ---- bpf-tp: evidence and marks by cgroup hook and tracepoints alone (kernel >= 6.7) ---- */

/* Does the path that connect() was given end in our listener's name? A name that hides it only loses its identity. */
static __always_inline int name_matches(struct bpf_sock_addr_kern___unix *kctx)
{
	char path[128] = {};
	__u32 want = svid_name_len, n = kctx->uaddrlen, i;
	long len;

	if (n < 3 || n > 110 || want > 31)
		return 0;
	n -= 1;	/* family away, room for a NUL */
	len = bpf_probe_read_kernel_str(path, n & 127, (char *)kctx->uaddr + 2);
	if (len < want + 1 || len > 110)
		return 0;
	n = len - 1 - want;
	if (n && path[(n - 1) & 127] != '/')
		return 0;
	for (i = 0; i < 31; i++) {
		if (i >= want)
			break;
		if (path[(n + i) & 127] != svid_name[i])
			return 0;
	}
	return 1;
}

/*
 * In connect(), before the path is looked up and before a connected socket is told EISCONN: so only an unconnected one
 * is written, and one that goes elsewhere loses what an earlier attempt left on it. Nothing locked: two connects of one
 * shared socket can race, and then the record is that of one of the two who asked.
 */
SEC("cgroup/connect_unix")
int tp_connect(struct bpf_sock_addr *ctx)
{
	struct bpf_sock_addr_kern___unix *kctx = bpf_cast_to_kern_ctx(ctx);
	struct bpf_sock *sk = ctx->sk;
	struct svid_conn *rec;
	int ours;

	if (!sk || sk->state != STATE_CLOSE || ctx->type != TYPE_STREAM)
		return 1;
	ours = name_matches(kctx);
	rec = bpf_sk_storage_get(&svid_conns, sk, 0, ours ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (rec && ours)
		conn_fill(rec, 0, bpf_get_socket_cookie(ctx));
	else if (rec)
		rec->flags = 0;
	else if (ours)
		count(SVID_STAT_CONN_NOMEM);
	return 1;
}

/* After the message is queued. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(tp_send, struct sock *sk, int ret, int flags)
{
	conn_used(sk, SVID_MARK_FOREIGN_SEND, 0);
	return 0;
}

/* After the bytes are out. splice() from the socket does not come here (K3, K7). */
SEC("tp_btf/sock_recv_length")
int BPF_PROG(tp_recv, struct sock *sk, int ret, int flags)
{
	if (!conn_used(sk, SVID_MARK_FOREIGN_RECV, 0))
		conn_adopt(sk);
	return 0;
}
