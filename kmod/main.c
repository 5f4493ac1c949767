// SPDX-License-Identifier: GPL-2.0-only
/*
 * svid.ko: /dev/svid, and the order in which everything comes and goes. The device only makes files; file.c has the
 * evidence file, tree.c the tree file. Next: module.h.
 *
 * Every file that the module makes holds a reference on it (file_operations.owner), so at exit none is open, nobody
 * listens, and there are no records of connections. What is left are images of processes, and hooks that may be running.
 */
#include "evidence.h"

#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static long hello(struct file *file, void __user *arg)
{
	struct svid_dev_hello msg;
	int err;

	err = svid_copy_in(&msg, sizeof(msg), sizeof(msg), arg);
	if (err)
		return err;
	msg.version = SVID_DEV_VERSION;
	msg.abi = SVID_ABI_VERSION;
	msg.schema = SVID_SCHEMA_VERSION;
	msg.conn_flags = SVID_KMOD_CONN_FLAGS;
	msg.ready = 1;	/* the device is the last thing that init makes */
	return svid_copy_out(arg, &msg, sizeof(msg));
}

static long evidence(struct file *file, void __user *arg)
{
	return capable(CAP_SYS_ADMIN) ? svid_file_open() : -EPERM;
}

static long tree(struct file *file, void __user *arg)
{
	return capable(CAP_SYS_ADMIN) ? svid_tree_open() : -EPERM;
}

static const struct svid_request requests[] = {
	{ SVID_IOC_HELLO, hello },
	{ SVID_IOC_EVIDENCE, evidence },
	{ SVID_IOC_TREE, tree },
	{ 0, NULL },
};

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return svid_dispatch(requests, file, cmd, arg);
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "svid",
	.fops = &device_fops,
	.mode = 0600,
};

static int __init evidence_init(void)
{
	int err;

	err = svid_task_init();
	if (err)
		return err;
	err = svid_exe_init();
	if (err)
		return err;
	err = svid_images_init();
	if (err)
		goto no_images;
	err = svid_records_init();
	if (err)
		goto no_records;
	err = svid_hooks_on();
	if (err)
		goto no_hooks;
	svid_images_scan();
	return 0;

no_hooks:
	svid_records_exit();
no_records:
	svid_images_exit();
no_images:
	svid_exe_exit();
	return err;
}

/* Hooks first: nothing comes in any more. Then what they filled. */
static void evidence_exit(void)
{
	svid_files_exit();
	svid_hooks_off();
	svid_records_exit();
	svid_images_exit();
	svid_exe_exit();
}

static int __init svid_init(void)
{
	int err;

	err = evidence_init();
	if (err)
		return err;
	err = svid_tree_init();
	if (err)
		goto no_tree;
	err = misc_register(&device);
	if (err)
		goto no_device;
	return 0;

no_device:
	svid_tree_exit();
no_tree:
	evidence_exit();
	return err;
}

static void __exit svid_exit(void)
{
	misc_deregister(&device);
	svid_tree_exit();
	evidence_exit();
}

module_init(svid_init);
module_exit(svid_exit);
MODULE_DESCRIPTION("Evidence of who connects, and credentials as files that only their process can read");
MODULE_LICENSE("GPL");
