/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.h - where the credential tree is shown: the module's sysfs tree, or FUSE. svidd only. */
#ifndef PARENT_DELIVERY_H
#define PARENT_DELIVERY_H

#include "agent/base/buf.h"
#include "agent/base/limits.h"
#include "agent/ipc/chan.h"

struct svidd;

struct delivery_point {
	unsigned int how; /* DELIVERY_SYSFS, DELIVERY_FUSE or DELIVERY_NONE */
	int fd;		  /* tree file or /dev/fuse: kept over restarts of svid-core; -1 */
	int state;	  /* FUSE: memfd as old as the mount, svid-core's; -1 */
	bool stored;	  /* systemd keeps it for the next svidd */
	char path[LIM_PATH]; /* where people find it; empty: nowhere */
	struct buf notes;
};

#define DELIVERY_INIT { .how = DELIVERY_NONE, .fd = -1, .state = -1, .notes = BUF_INIT(2048) }

/**
 * delivery_open() - open and mount what @wanted (enum delivery) says, into d->delivery. For DELIVERY_AUTO nothing that
 * works is no error. Errors: -ERR_DELIVERY (what was named does not work), -errno; logged.
 */
MUST int delivery_open(struct svidd *d, unsigned int wanted);

/** delivery_send() - P_FD of it, if there is one. Errors: as chan_send(). */
MUST int delivery_send(const struct delivery_point *v, struct chan *core);

/** delivery_end() - unmount, unless systemd keeps it. */
void delivery_end(struct delivery_point *v);

#endif
