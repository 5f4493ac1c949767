/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of svid.ko say to each other. The contract with user space is uapi/svid_dev.h; where each lock stands
 * is told in README.md. Next: main.c.
 */
#ifndef SVID_MODULE_H
#define SVID_MODULE_H

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compiler.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <linux/uaccess.h>

#include "uapi/svid_dev.h"

#define MUST __must_check

/* One request of a file. arg is user memory; the result is the ioctl's. Numbers are compared without the size in them. */
struct svid_request {
	unsigned int cmd;
	long (*answer)(struct file *file, void __user *arg);
};

/* ioctl.c: requests whose struct begins with its size. */

/**
 * svid_dispatch() - run the request of @table (its last cmd is 0) that @cmd names.
 * Return: what it says, or -ENOTTY.
 */
long svid_dispatch(const struct svid_request *table, struct file *file, unsigned int cmd, unsigned long arg);

/**
 * svid_copy_in() - read a struct as its caller knows it, zeros behind it.
 * @ret: @known bytes, which begin with the __u32 size as the caller gave it
 * @first: bytes of the first version of this struct: no caller knows less
 * Errors: -EFAULT, -EINVAL (too short) or -E2BIG (longer than @known, and not zero there)
 */
int MUST svid_copy_in(void *ret, size_t known, size_t first, const void __user *arg);

/**
 * svid_copy_out() - answer with a struct that svid_copy_in() read: cut to what the caller knows, or followed by zeros.
 * Errors: -EFAULT
 */
int MUST svid_copy_out(void __user *arg, const void *from, size_t known);

/* file.c: evidence files. */
int MUST svid_file_open(void);	/* a new evidence file: its descriptor or -errno */
void svid_files_exit(void);

/* tree.c: the credential tree. init and exit are called once each, and no tree file is open at exit. */
int MUST svid_tree_init(void);
void svid_tree_exit(void);
int MUST svid_tree_open(void);	/* a new tree file: its descriptor, -EBUSY or -errno */

#endif
