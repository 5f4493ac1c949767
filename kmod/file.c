// SPDX-License-Identifier: GPL-2.0-only
/*
 * Evidence files: one per svidd.
 */
#include "module.h"

int svid_file_open(void)
{
	return -ENODEV;
}
