/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * Every struct that crosses the kernel boundary: BPF programs (kmod/bpf), the kernel module, svidd, svid-core and
 * the tests compile this one file. Facts only: no policy, no secret. Next: kmod/README.md, then kmod/bpf/maps.h.
 *
 * Who writes what
 *   images    hash   struct svid_key -> struct svid_image   kernel writes, core reads
 *   conns     sk_storage on the *client's* socket: struct svid_conn; user space sees it only through the mailbox
 *   listeners sk_storage on the listener: __u32 tag, written by svidd (bpf-lsm and bpf-fentry filter by it)
 *   holders   hash   struct svid_key -> struct svid_holder  core writes, kernel reads
 *   words     1 x struct svid_words, mmapable               kernel and core bump, fronts read
 *   mailbox   1 x struct svid_mailbox, mmapable             core asks, kernel answers, see below
 *   stats     1 x struct svid_stats, mmapable               kernel counts, everybody reads
 *   config    1 x struct svid_config                        svidd writes
 *   ring      ring buffer of struct svid_event              kernel writes, core reads
 *   doors     LRU hash struct svid_who -> __u64             core writes, kernel reads (bpf-lsm)
 *   queues    LRU hash struct svid_who -> struct svid_queue  kernel only (bpf-lsm)
 *
 * Attaching: core accepts fd, reads the words of two free slots, fills mailbox.{conn_slot,conn_word,holder_slot,request},
 * sets op = SVID_OP_ATTACH and calls recv(fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT). The program on that path, for core's
 * thread group only, follows the peer pointer of the accepted socket to the client's socket (which it keeps alive, so a
 * dead client is no obstacle), stores the slot there, makes the process a holder unless it is one, copies the record
 * into mailbox.conn and sets answer = request. holder_slot and holder_word are then those in force; held is 1 when the
 * offered slot was taken. SVID_OP_ADOPT does the same without the holder. status is 0, or
 *   -ENOENT    the client's socket has no record: no kernel evidence, so no identity
 *   -ENOTCONN  the socket has no peer (any more)
 *   -ESTALE    the process has changed or ended since it connected; mailbox.conn is set, nothing is held
 *   -ENOMEM    no room for another holder
 * answer != request afterwards means that no program ran: the provider is silenced.
 *
 * SVID_OP_READER: core fills mailbox.tid and calls recv() on any socket of its own; where that is not answered (before
 * Linux 6.2, or core in another pid namespace than the first), it reads the iterator SVID_ITER_READER to its end, which
 * goes through all threads. status is 0, -ESRCH (no such thread) or -ENOENT (the kernel has no image of its process).
 *
 * Floods (bpf-lsm): connect() fails with EAGAIN while the caller's door is shut (doors: until that time), and while too
 * many connections wait that core has not seen: SVID_QUEUE_EXE of this executable and person (the uid, or who made the
 * outermost user namespace), or SVID_QUEUE_MAX of the person or the cgroup, unless this executable has none: then one
 * may wait all the same, up to SVID_QUEUE_END. So a program of the same user has its turn. A connection leaves its queues
 * when core attaches it, or says SVID_OP_LEAVE of one that it turns away. A queue that nobody touched for
 * SVID_QUEUE_FORGET_NS is empty: what was lost on the way counts no longer.
 *
 * Validity: a connection is good while words.w[conn_slot] and words.w[holder_slot] hold the values of the ticket. Any
 * other value means "not any more". Slot 0 is never used and means "none". The kernel bumps a connection's word only
 * from the ticket's value: once at most, and never that of a later owner of the slot. Core bumps the word of a slot that
 * it gives back, and all words when it starts.
 *
 * Holder registration has no gap: the holder is inserted and its word read, *then* the image is compared with the
 * record. A change alters the image (exec_id, change, or deletes it), *then* looks for a holder and bumps its word. One
 * of the two sees the other.
 *
 * Versions: SVID_ABI_VERSION changes when a protocol above changes (mailbox, words, slots), SVID_SCHEMA_VERSION when
 * the layout or meaning of a record does. Structs grow only at the end. Both are in the config map; a pinned set of
 * maps with other numbers is replaced, never read.
 *
 * Byte order is the machine's, except where a field says otherwise. Times: ns on CLOCK_BOOTTIME unless a field says
 * otherwise. Strings are bytes with a length: they may hold any byte, and are not NUL-terminated. Thread group ids are
 * those of the initial pid namespace; (tgid, start) names a process for ever on one boot.
 */
#ifndef SVID_UAPI_H
#define SVID_UAPI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define SVID_ABI_VERSION	3
#define SVID_SCHEMA_VERSION	2

/* Sizes. Powers of two where an index is masked. */
#define SVID_WORDS		32768	/* validity words; slots are 1 .. SVID_WORDS - 1 */
#define SVID_ARGV_MAX		1024	/* bytes of argv kept */
#define SVID_PATH_MAX		256	/* bytes of the execve path kept */
#define SVID_INTERP_MAX		128	/* bytes of the interpreter path kept */
#define SVID_GROUPS_MAX		32	/* supplementary groups kept */
#define SVID_ANCESTORS		8	/* processes kept of the line of forks */
#define SVID_LABEL_MAX		128	/* bytes of an LSM label */
#define SVID_COMM_LEN		16	/* NUL-padded, may be full */
#define SVID_ENV_SCAN		32768	/* bytes of the environment searched at exec */

/* A process. pad is zero. start is task->start_boottime of the thread group leader. */
struct svid_key {
	__u32 tgid;
	__u32 pad;
	__u64 start;
};

/* svid_image.flags */
#define SVID_IMG_SCANNED	(1U << 0)  /* older than the provider: argv and environment are of now, not of exec */
#define SVID_IMG_TRACED		(1U << 1)  /* traced or memory-accessed since exec, or executed below a seccomp listener or
					      a filter that lies (facts.h); or forked from one that was */
#define SVID_IMG_MEMFD		(1U << 2)  /* executable was never in a file system (memfd, other shmem file) */
#define SVID_IMG_DELETED	(1U << 3)  /* executable had no link at exec */
#define SVID_IMG_OVERLAY	(1U << 4)  /* executable is on overlayfs: dev and ino are overlay's own */
#define SVID_IMG_FS_UNPRIV	(1U << 5)  /* file system is served or owned by an unprivileged party: FUSE, user-ns mount */
#define SVID_IMG_SECURE		(1U << 6)  /* AT_SECURE: set-id or capabilities gained by this exec */
#define SVID_IMG_ARGV_TRUNC	(1U << 7)  /* argv is not whole: longer than SVID_ARGV_MAX, or not readable */
#define SVID_IMG_ENV_TRUNC	(1U << 8)  /* environment not searched whole: longer than SVID_ENV_SCAN, or unreadable */
#define SVID_IMG_LD_PRELOAD	(1U << 9)
#define SVID_IMG_LD_AUDIT	(1U << 10)
#define SVID_IMG_LD_LIBRARY_PATH (1U << 11) /* or LD_ORIGIN_PATH, LD_PROFILE */
#define SVID_IMG_ENV_OTHER	(1U << 12) /* another variable that makes a loader or interpreter run foreign code */
#define SVID_IMG_SCRIPT		(1U << 13) /* `#!` or binfmt_misc: the path execve got is not what runs; see interp */
#define SVID_IMG_PATH_TRUNC	(1U << 14) /* filename or interp did not fit */
#define SVID_IMG_FS_REMOTE	(1U << 15) /* a network file system: content may change behind this kernel's back */
#define SVID_IMG_SOCKET		(1U << 16) /* made by `attestation: socket` from /proc: worth as little as /proc */
#define SVID_IMG_MNT_USERNS	(1U << 17) /* exec was in another user ns than the initial one (its root made the libraries'
					      paths, by mount or chroot), or in a mount namespace that such a one owns */
#define SVID_IMG_FORKED		(1U << 18) /* the image came by fork; this process has not itself called execve */

/*
 * The executable, as of exec. dev is the super block's: MAJOR << 20 | MINOR, what mountinfo prints; on btrfs and
 * overlayfs st_dev of stat(2) is another number.
 */
struct svid_exe {
	__u64 ino;
	__u32 dev;
	__u32 generation;	/* inode generation, FS_IOC_GETVERSION; 0 where the file system has none */
	__u64 size;		/* bytes */
	__s64 mtime_sec;	/* seconds since 1970 UTC */
	__s64 ctime_sec;
	__u32 mtime_nsec;
	__u32 ctime_nsec;
	__u64 magic;		/* super block magic, as statfs(2) f_type */
	__u32 uid;		/* owner of the file, in the initial user namespace */
	__u32 mode;		/* type and permission bits */
};

/* One process in the line of forks, nearest first; comm and exec_id as of that fork. */
struct svid_ancestor {
	struct svid_key key;
	__u64 exec_id;		/* 0: unknown */
	char comm[SVID_COMM_LEN];
};

/*
 * What a process runs: made at exec, copied at fork, gone at the exit of the last thread. exec_id is unique for each
 * exec on this boot while the maps live; a forked child has its parent's. change grows at each exec, credential change
 * and cgroup move of any thread, so two equal reads of (exec_id, change) mean that nothing happened between them.
 */
struct svid_image {
	struct svid_key key;
	__u64 exec_id;
	__u64 change;
	__u64 exec_time;	/* 0 when SVID_IMG_SCANNED */
	__u32 flags;		/* SVID_IMG_* */
	__u32 n_ancestors;	/* valid entries in ancestors */
	struct svid_exe exe;
	__u32 argv_total;	/* bytes of argv, its NULs included */
	__u32 argv_len;		/* bytes valid in argv */
	__u32 env_total;	/* bytes of the environment block */
	__u32 filename_len;	/* bytes valid in filename */
	__u32 interp_len;	/* bytes valid in interp, 0 unless SVID_IMG_SCRIPT */
	__u32 pad0;		/* zero */
	struct svid_ancestor ancestors[SVID_ANCESTORS];
	char filename[SVID_PATH_MAX];	/* as execve got it: information, never to be matched (the caller's choice) */
	char interp[SVID_INTERP_MAX];	/* what runs instead of filename, information */
	char argv[SVID_ARGV_MAX];	/* arguments, each with its NUL */
};

/* svid_creds.flags */
#define SVID_CRED_USERNS_INIT	(1U << 0)  /* user namespace is the initial one */
#define SVID_CRED_MNTNS_INIT	(1U << 1)  /* mount namespace is owned by the initial user namespace (containers too) */
#define SVID_CRED_MNTNS_PID1	(1U << 2)  /* mount namespace is pid 1's own */
#define SVID_CRED_ROOT_DIFFERS	(1U << 3)  /* root directory is not pid 1's: chroot or pivot_root */
#define SVID_CRED_NO_NEW_PRIVS	(1U << 4)
#define SVID_CRED_GROUPS_TRUNC	(1U << 5)  /* more than SVID_GROUPS_MAX supplementary groups */
#define SVID_CRED_TRACED_NOW	(1U << 6)  /* a tracer was attached to this thread */
#define SVID_CRED_CGROUP	(1U << 7)  /* cgroup_id is valid */
#define SVID_CRED_LABEL_TRUNC	(1U << 8)

/* What the ids of a thread are compared by: a difference in any of these is a "credential change". */
struct svid_ids {
	__u32 uid, euid, suid, fsuid;
	__u32 gid, egid, sgid, fsgid;
	__u64 cap_effective;
	__u64 cap_permitted;
	__u32 user_ns;		/* inum */
	__u32 groups_hash;	/* FNV-1a over ngroups and the first SVID_GROUPS_MAX groups */
};

/* Credentials and surroundings of the connecting *thread*. Ids are in the initial user namespace. */
struct svid_creds {
	struct svid_ids ids;
	__u64 cap_inheritable;
	__u64 cap_bounding;
	__u64 cap_ambient;
	__u64 cgroup_id;	/* cgroup v2 id, valid with SVID_CRED_CGROUP */
	__u32 flags;		/* SVID_CRED_* */
	__u32 loginuid;		/* 4294967295: not set, or the kernel has no audit */
	__u32 seccomp;		/* 0 off, 1 strict, 2 filter */
	__u32 mnt_ns;		/* inums; user_ns is in ids */
	__u32 pid_ns;
	__u32 net_ns;
	__u32 cgroup_ns;
	__u32 userns_owner;	/* uid that made the outermost user namespace below the initial one, as seen in that */
	__u32 userns_level;	/* 0: initial */
	__u32 ngroups;		/* how many supplementary groups there are */
	__u32 label_len;	/* bytes valid in label */
	__u32 pad0;		/* zero */
	__u32 groups[SVID_GROUPS_MAX];	/* the first min(ngroups, SVID_GROUPS_MAX) */
	char label[SVID_LABEL_MAX];	/* LSM label; kernel providers leave it empty, core asks SO_PEERSEC */
};

/* Tiers, strongest first; svid_conn.tier, svid_config.tier. agent/ipc/plan.h has the same numbers. */
#define SVID_TIER_NONE		0
#define SVID_TIER_LSM		1
#define SVID_TIER_FENTRY	2
#define SVID_TIER_KMOD		3
#define SVID_TIER_TP		4
#define SVID_TIER_SOCKET	5
#define SVID_TIER_COUNT		6

/* Socket families, svid_conn.family. Values are AF_*; only AF_UNIX has records today. */
#define SVID_FAMILY_UNIX	1
#define SVID_FAMILY_INET	2
#define SVID_FAMILY_INET6	10

/* svid_conn.marks: sticky, set by the kernel at the client's end; any of them ends the connection. */
#define SVID_MARK_FOREIGN_SEND	(1U << 0)  /* another process, or the same after exec, sent (or tried, in bpf-lsm) */
#define SVID_MARK_FOREIGN_RECV	(1U << 1)  /* likewise received or peeked */
#define SVID_MARK_SPLICE_READ	(1U << 2)
#define SVID_MARK_SPLICE_WRITE	(1U << 3)
#define SVID_MARK_CRED		(1U << 4)  /* the right process, but with other ids */
#define SVID_MARK_NO_IMAGE	(1U << 5)  /* the user's image was not in the table, so it could not be compared */

/* svid_conn.flags */
#define SVID_CONN_VALID		(1U << 0)  /* the record is complete and of the last connect() */
#define SVID_CONN_REFUSES	(1U << 1)  /* this tier refuses foreign use; others only mark */
#define SVID_CONN_SEES_TRACE	(1U << 2)  /* SVID_IMG_TRACED means something in this tier */
#define SVID_CONN_SEES_CRED	(1U << 3)  /* credential changes bump words at once; else core polls */
#define SVID_CONN_SEES_SPLICE	(1U << 4)  /* splice from the socket is seen */
#define SVID_CONN_QUEUED	(1U << 5)  /* counted in its queues: core has not seen it yet */

/* The record of one connection: made inside connect(), never changed but for slots and marks. */
struct svid_conn {
	__u32 size;		/* sizeof(struct svid_conn) of the writer */
	__u32 family;		/* SVID_FAMILY_* */
	__u32 flags;		/* SVID_CONN_* */
	__u32 marks;		/* SVID_MARK_* */
	__u32 conn_slot;	/* 0 until adopted */
	__u32 holder_slot;	/* 0 until adopted */
	__u32 tier;		/* SVID_TIER_* */
	__u32 tid;		/* connecting thread */
	__u32 listener;		/* tag of the listener; 0 in bpf-tp, which cannot know */
	__u32 proto;		/* for socket families other than AF_UNIX; else 0 */
	__u32 conn_word;	/* of the ticket; valid with conn_slot */
	__u32 pad0;		/* zero */
	__u64 connect_time;
	__u64 cookie;		/* socket cookie of the client's end; 0 where the tier cannot get it */
	__u8 local[32];		/* for other families: addresses as in sockaddr; zero for AF_UNIX */
	__u8 remote[32];
	char comm[SVID_COMM_LEN];	/* of the connecting thread, information */
	struct svid_creds creds;
	struct svid_image image;
};

/* A process whose word the kernel bumps. ids are those of the connecting thread, for the poll of bpf-tp. */
struct svid_holder {
	__u32 slot;
	__u32 pad0;		/* zero */
	__u64 exec_id;
	struct svid_ids ids;
};

/* Who connections are counted for. pad is zero. */
#define SVID_WHO_UID		1	/* id is a uid of the initial user namespace */
#define SVID_WHO_CGROUP		2	/* id is a cgroup v2 id */
#define SVID_WHO_USERNS		3	/* id is svid_creds.userns_owner */
#define SVID_WHO_EXE		4	/* id is made of a person and the executable; queues only */

struct svid_who {
	__u64 id;
	__u32 kind;		/* SVID_WHO_* */
	__u32 pad;
};

#define SVID_CGROUP_ROOT	1	/* where everybody is who was put nowhere: not counted */
#define SVID_WHO_MAX		4096	/* entries of doors and of queues */
#define SVID_QUEUE_EXE		32	/* connections that core has not seen yet, of one executable of one person */
#define SVID_QUEUE_MAX		128	/* of one person, or of one cgroup */
#define SVID_QUEUE_END		1024	/* the same, those of executables that had none included */
#define SVID_QUEUE_FORGET_NS	5000000000ULL

struct svid_queue {
	__u64 time;		/* of the last connect() counted here */
	__u32 n;
	__u32 pad0;		/* zero */
};

struct svid_words {
	__u32 w[SVID_WORDS];
};

#define SVID_OP_NONE		0
#define SVID_OP_ATTACH		1	/* as above */
#define SVID_OP_ADOPT		2	/* without a holder */
#define SVID_OP_PEEK		3	/* the record only; no slot is stored (doctor) */
#define SVID_OP_LEAVE		4	/* it is turned away: it only leaves its queue; no record is copied */
#define SVID_OP_READER		5	/* what the record of thread tid would say if it connected now */

struct svid_mailbox {
	__u32 op;		/* SVID_OP_*; the kernel sets it back to SVID_OP_NONE */
	__s32 status;		/* 0 or -errno */
	__u64 request;		/* chosen by core, another each time, never 0 */
	__u64 answer;		/* request, once the kernel has answered */
	__u32 conn_slot;
	__u32 conn_word;
	__u32 holder_slot;	/* offered by core; in force after the answer */
	__u32 holder_word;	/* answer */
	__u32 held;		/* answer: 1 when the offered holder_slot was taken */
	__u32 tid;		/* SVID_OP_READER: as core's pid namespace numbers it */
	struct svid_conn conn;
};

#define SVID_EVENT_EXEC		1	/* a holder called execve */
#define SVID_EVENT_EXIT		2	/* a holder's last thread ended */
#define SVID_EVENT_CRED		3	/* a thread of a holder changed its ids */
#define SVID_EVENT_CGROUP	4	/* a holder was moved */
#define SVID_EVENT_FOREIGN	5	/* a connection got a mark; marks says which, by says who */
#define SVID_EVENT_TRACED	6	/* a holder was traced or its memory opened; by says who */

/* Only for holders and adopted connections. seq has no gaps; a gap is a lost event (also counted in stats). */
struct svid_event {
	__u32 size;		/* sizeof(struct svid_event) of the writer */
	__u32 type;		/* SVID_EVENT_* */
	__u64 seq;		/* from 1 */
	__u64 time;
	struct svid_key key;	/* the holder, or the process in the record */
	struct svid_key by;	/* who did it; equal to key for its own acts */
	__u32 conn_slot;	/* SVID_EVENT_FOREIGN, else 0 */
	__u32 holder_slot;	/* 0 when not known */
	__u32 marks;		/* SVID_EVENT_FOREIGN: marks now set */
	__u32 refused;		/* 1: the kernel refused the call */
};

/*
 * Counters. Index of svid_stats.n. Those before SVID_STAT_LOSSES are losses. RING and SKIPPED mean that core's picture
 * may be behind or a stranger's call unseen; the others fail closed by themselves for the process or connection they
 * hit (it has no evidence).
 */
enum {
	SVID_STAT_RING,		/* event not sent: ring full */
	SVID_STAT_SKIPPED,	/* a hook met its own program running on that CPU and left it out; svidd keeps this one */
	SVID_STAT_IMG_FULL,	/* image not stored: table full or no memory */
	SVID_STAT_IMG_MISSING,	/* fork or connect by a process without image */
	SVID_STAT_CONN_NOMEM,	/* record not stored on the socket */
	SVID_STAT_PEER,		/* adoption met a socket without peer */
	SVID_STAT_NO_RECORD,	/* adoption met a client without record */
	SVID_STAT_ARGV_FAULT,	/* argv not readable at exec */
	SVID_STAT_ENV_FAULT,	/* environment not readable at exec */
	SVID_STAT_LOSSES,	/* end of losses; plain counts follow */
	SVID_STAT_EXECS = SVID_STAT_LOSSES,
	SVID_STAT_FORKS,
	SVID_STAT_EXITS,
	SVID_STAT_SCANNED,
	SVID_STAT_CONNECTS,
	SVID_STAT_ADOPTED,
	SVID_STAT_FOREIGN_SEND,
	SVID_STAT_FOREIGN_RECV,
	SVID_STAT_REFUSED,
	SVID_STAT_CRED,
	SVID_STAT_CGROUP,
	SVID_STAT_TRACED,
	SVID_STAT_EVENTS,
	SVID_STAT_POLLS,	/* threads of holders looked at by the credential poll */
	SVID_STAT_DOOR,		/* connect() refused: the caller's door is shut */
	SVID_STAT_QUEUE,	/* connect() refused: too many of the caller's wait */
	SVID_STAT_COUNT
};

struct svid_stats {
	__u64 n[32];		/* SVID_STAT_*; the rest is zero */
	__u64 event_seq;	/* seq of the last event, sent or lost */
	__u64 exec_seq;		/* last exec_id */
};

/* Written by svidd. core_* name the one thread group whose recv() adopts. */
struct svid_config {
	__u32 abi;		/* SVID_ABI_VERSION */
	__u32 schema;		/* SVID_SCHEMA_VERSION */
	__u32 tier;		/* SVID_TIER_* */
	__u32 core_tgid;	/* as seen in the pid namespace below; 0: nobody may adopt */
	__u64 pidns_dev;	/* of svidd's and core's pid namespace, kernel encoding */
	__u64 pidns_ino;
	__u64 root_dentry;	/* pid 1's root and mount namespace, filled by the scan, opaque */
	__u64 root_mnt;
	__u32 mnt_ns;
	__u32 ready;		/* 1 once the scan is complete and all is pinned */
	__u64 build;		/* hash of the loaded programs and their settings */
};

/* The descriptors that svidd hands to core, by number. */
enum svid_map {
	SVID_MAP_IMAGES,
	SVID_MAP_HOLDERS,
	SVID_MAP_WORDS,		/* fronts get this one too */
	SVID_MAP_MAILBOX,
	SVID_MAP_STATS,
	SVID_MAP_CONFIG,
	SVID_MAP_RING,
	SVID_MAP_DOORS,
	SVID_MAP_COUNT
};

enum svid_iter {
	SVID_ITER_POLL,		/* link of the credential poll: bpf_iter_create() and read to its end */
	SVID_ITER_READER,	/* answers SVID_OP_READER, likewise; the read may end with -EAGAIN */
	SVID_ITER_COUNT
};

/* The layout, on every architecture: no implicit padding, 64-bit fields aligned. */
#define SVID_LAYOUT(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type " layout")
SVID_LAYOUT(svid_key, 16);
SVID_LAYOUT(svid_exe, 64);
SVID_LAYOUT(svid_ancestor, 40);
SVID_LAYOUT(svid_image, 40 + 8 + 64 + 24 + 40 * SVID_ANCESTORS + SVID_PATH_MAX + SVID_INTERP_MAX + SVID_ARGV_MAX);
SVID_LAYOUT(svid_ids, 56);
SVID_LAYOUT(svid_creds, 56 + 32 + 48 + 4 * SVID_GROUPS_MAX + SVID_LABEL_MAX);
SVID_LAYOUT(svid_conn, 48 + 16 + 64 + 16 + 392 + 1864);
SVID_LAYOUT(svid_holder, 72);
SVID_LAYOUT(svid_who, 16);
SVID_LAYOUT(svid_queue, 16);
SVID_LAYOUT(svid_words, 4 * SVID_WORDS);
SVID_LAYOUT(svid_mailbox, 48 + sizeof(struct svid_conn));
SVID_LAYOUT(svid_event, 72);
SVID_LAYOUT(svid_stats, 34 * 8);
SVID_LAYOUT(svid_config, 64);
_Static_assert((SVID_WORDS & (SVID_WORDS - 1)) == 0, "slots are masked");
_Static_assert(SVID_STAT_COUNT <= 32, "svid_stats.n is full");

#endif
