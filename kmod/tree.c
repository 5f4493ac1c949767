// SPDX-License-Identifier: GPL-2.0-only
/*
 * The credential tree.
 */
#include "module.h"

int svid_tree_init(void)
{
	return 0;
}

void svid_tree_exit(void)
{
}

int svid_tree_open(void)
{
	return -ENODEV;
}
