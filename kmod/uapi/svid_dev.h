/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * /dev/svid: how svidd and svid-core speak with the kernel module. Records, words and events are those of svid.h.
 *
 * The device makes files (anonymous inodes, close-on-exec); svidd makes them, which takes CAP_SYS_ADMIN, keeps them, and
 * passes duplicates to the others. A file's ioctls need no capability, except where it is said.
 *
 * Evidence file (SVID_IOC_EVIDENCE), one per svidd
 *   mmap   at SVID_DEV_WORDS struct svid_words, at SVID_DEV_STATS struct svid_stats (never writable). What was mapped
 *          without PROT_WRITE can never be made writable.
 *   read   whole struct svid_event, oldest first; -EAGAIN when there is none and the file does not block
 *   ioctl  LISTEN, ASK, HOLD, UNHOLD, IMAGE, READER; FORGET: another svid-core begins, so there are no holders and no
 *          waiting events any more (records and listeners stay)
 * Words file (SVID_IOC_WORDS on an evidence file): can be mapped at SVID_DEV_WORDS for reading, and nothing else. Fronts.
 *
 * Tree file (SVID_IOC_TREE), one on the machine: whoever holds it says what is in /sys/kernel/svid/credentials
 *   read   whole struct svid_tree_request: somebody reads an entry and waits for SVID_IOC_TREE_ANSWER
 *   ioctl  BEGIN, ADD, DEL, SWEEP, ANSWER
 * A new agent on the same file says BEGIN, adds what there is, and says SWEEP: what was not added again is removed, what
 * the one before it had not answered is asked again. When the last descriptor is closed, all entries go and their readers return.
 * None of this waits for a reader or for sysfs: names come and go a moment later. Whoever reads what was deleted, or waits
 * for it, gets ENODEV at once.
 *
 * Structs begin with their size, as the caller knows it. Shorter ones are taken as far as they go, down to the first
 * version's; a longer one is taken when what is beyond is zero (else -E2BIG); answers are cut or followed by zeros. A pad or
 * flag that is not zero is -EINVAL, an unknown request -ENOTTY, memory that is not there -EFAULT.
 */
#ifndef SVID_UAPI_DEV_H
#define SVID_UAPI_DEV_H

#include <linux/ioctl.h>

#include "svid.h"

#define SVID_DEV_PATH		"/dev/svid"
#define SVID_DEV_VERSION	1
#define SVID_DEV_WORDS		0
#define SVID_DEV_STATS		(1 << 20)
#define SVID_DEV_LISTENERS	16	/* of one evidence file */
#define SVID_DEV_FILES		64	/* evidence files on the machine */
#define SVID_DEV_EVENTS		4096	/* events kept for one evidence file; beyond it they are lost and counted */

#define SVID_TREE_DIR		"/sys/kernel/svid/credentials"
#define SVID_TREE_PATH_MAX	512
#define SVID_TREE_NAME_MAX	253	/* of one component: letters, digits, '.', '_', '-'; neither "." nor ".." */
#define SVID_TREE_DEPTH		5	/* components */
#define SVID_TREE_ENTRIES	65536
#define SVID_TREE_CONTENT	(1 << 20)	/* bytes of one file */
#define SVID_TREE_WAIT_MS	5000	/* a reader waits, killable; then ETIMEDOUT */
#define SVID_TREE_WAITING	1024	/* readers that wait at once; beyond it EAGAIN */
#define SVID_TREE_WAITING_UID	64	/* of one uid that is not 0; in user namespaces: of the outermost one's maker */
#define SVID_TREE_SNAPSHOTS_UID	64
#define SVID_TREE_SNAPSHOT_MS	10000

/* The evidence is of this module's own making: SVID_CONN_SEES_TRACE | ..., as in svid_conn.flags. */
struct svid_dev_hello {
	__u32 size;
	__u32 version;		/* SVID_DEV_VERSION */
	__u32 abi;		/* SVID_ABI_VERSION */
	__u32 schema;		/* SVID_SCHEMA_VERSION */
	__u32 conn_flags;	/* SVID_CONN_* that records of this module can have */
	__u32 ready;		/* 1: hooks are on and the scan is complete */
};

/* CAP_SYS_ADMIN. Connections to this listening AF_UNIX stream socket get records from now on, with this tag. */
struct svid_dev_listen {
	__u32 size;
	__s32 fd;
	__u32 tag;
	__u32 pad0;
};

/* As the mailbox of svid.h, for the accepted socket fd; request, answer and the mailbox's own op afterwards mean nothing. */
struct svid_dev_ask {
	__u32 size;
	__s32 fd;
	struct svid_mailbox box;
};

/* -ESTALE unless the image of key still has this exec_id and change. Another slot for the same process replaces the first. */
struct svid_dev_hold {
	__u32 size;
	__u32 slot;
	struct svid_key key;
	__u64 exec_id;
	__u64 change;
	struct svid_ids ids;
};

/* UNHOLD; -ENOENT when it is not held. */
struct svid_dev_key {
	__u32 size;
	__u32 pad0;
	struct svid_key key;
};

/* IMAGE; -ENOENT. key.start 0: of the process that has this thread group id now. */
struct svid_dev_image {
	__u32 size;
	__u32 pad0;
	struct svid_key key;
	struct svid_image image;
};

/*
 * READER: what a record would say if this thread connected now. tid as the caller's pid namespace numbers it. For a
 * thread that is known not to run (it waits for us), so that nothing changes between the record and its use.
 * -ESRCH, -ENOENT (the process has no image).
 */
struct svid_dev_reader {
	__u32 size;
	__s32 tid;
	struct svid_conn conn;
};

/*
 * ADD and DEL. path is relative to SVID_TREE_DIR; directories come and go with files. ADD of what is there: a new cookie.
 * -ENOENT (DEL), -EISDIR, -ENOTDIR (the path, or a part of it, is the other thing), -ENOSPC (SVID_TREE_ENTRIES).
 */
struct svid_tree_path {
	__u32 size;
	__u32 path_len;
	__u64 cookie;		/* the agent's name for the entry; DEL: not looked at */
	char path[SVID_TREE_PATH_MAX];
};

/* tid and tgid as the pid namespace of whoever made the tree file numbers them, 0 where it cannot; key in the initial one. */
struct svid_tree_request {
	__u32 size;
	__u32 tid;
	__u64 id;		/* never 0, never used again */
	__u64 cookie;
	struct svid_key key;
	__u32 uid;		/* fsuid in the initial user namespace */
	__u32 tgid;
};

/*
 * The first len bytes of fd (a memfd that nobody can change or shrink: F_SEAL_WRITE | F_SEAL_SHRINK) are what the
 * reader gets, or err: EACCES, ENOENT, EAGAIN, EIO or ETIMEDOUT, with fd -1 and len 0. -ENOENT when nobody waits any more.
 */
struct svid_tree_answer {
	__u32 size;
	__u32 err;
	__u64 id;
	__s32 fd;
	__u32 len;
};

#define SVID_IOC_HELLO		_IOWR(0xB5, 0x01, struct svid_dev_hello)
#define SVID_IOC_EVIDENCE	_IO(0xB5, 0x02)		/* returns a descriptor */
#define SVID_IOC_TREE		_IO(0xB5, 0x03)		/* returns a descriptor; -EBUSY while another lives */
#define SVID_IOC_WORDS		_IO(0xB5, 0x10)		/* returns a descriptor */
#define SVID_IOC_LISTEN		_IOW(0xB5, 0x11, struct svid_dev_listen)
#define SVID_IOC_ASK		_IOWR(0xB5, 0x12, struct svid_dev_ask)
#define SVID_IOC_HOLD		_IOW(0xB5, 0x13, struct svid_dev_hold)
#define SVID_IOC_UNHOLD		_IOW(0xB5, 0x14, struct svid_dev_key)
#define SVID_IOC_IMAGE		_IOWR(0xB5, 0x15, struct svid_dev_image)
#define SVID_IOC_READER		_IOWR(0xB5, 0x16, struct svid_dev_reader)
#define SVID_IOC_FORGET		_IO(0xB5, 0x17)
#define SVID_IOC_TREE_BEGIN	_IO(0xB5, 0x20)
#define SVID_IOC_TREE_ADD	_IOW(0xB5, 0x21, struct svid_tree_path)
#define SVID_IOC_TREE_DEL	_IOW(0xB5, 0x22, struct svid_tree_path)
#define SVID_IOC_TREE_SWEEP	_IO(0xB5, 0x23)
#define SVID_IOC_TREE_ANSWER	_IOW(0xB5, 0x24, struct svid_tree_answer)

SVID_LAYOUT(svid_dev_hello, 24);
SVID_LAYOUT(svid_dev_listen, 16);
SVID_LAYOUT(svid_dev_ask, 8 + sizeof(struct svid_mailbox));
SVID_LAYOUT(svid_dev_hold, 8 + 16 + 16 + 56);
SVID_LAYOUT(svid_dev_key, 24);
SVID_LAYOUT(svid_dev_image, 24 + sizeof(struct svid_image));
SVID_LAYOUT(svid_dev_reader, 8 + sizeof(struct svid_conn));
SVID_LAYOUT(svid_tree_path, 16 + SVID_TREE_PATH_MAX);
SVID_LAYOUT(svid_tree_request, 48);
SVID_LAYOUT(svid_tree_answer, 24);

#endif
