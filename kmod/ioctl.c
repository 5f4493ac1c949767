// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that can grow: the number is compared without the size that _IOW() puts in it, the struct says how long its
 * caller thinks it is. Used by every file that the module makes.
 */
#include "module.h"

#include <linux/mm.h>

#define WITHOUT_SIZE(cmd) ((cmd) & ~IOCSIZE_MASK)

long svid_dispatch(const struct svid_request *table, struct file *file, unsigned int cmd, unsigned long arg)
{
	for (; table->cmd; table++)
		if (WITHOUT_SIZE(table->cmd) == WITHOUT_SIZE(cmd))
			return table->answer(file, (void __user *)arg);
	return -ENOTTY;
}

int svid_copy_in(void *ret, size_t known, size_t first, const void __user *arg)
{
	u32 size;
	int err;

	if (get_user(size, (const u32 __user *)arg))
		return -EFAULT;
	if (size < first)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(ret, known, arg, size);
	if (err)
		return err;
	/* it may have been written between the two reads; the one that was checked counts */
	*(u32 *)ret = size;
	return 0;
}

int svid_copy_out(void __user *arg, const void *from, size_t known)
{
	size_t size = *(const u32 *)from;
	size_t have = min(size, known);

	if (copy_to_user(arg, from, have))
		return -EFAULT;
	return size > have && clear_user(arg + have, size - have) ? -EFAULT : 0;
}
