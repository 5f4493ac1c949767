/* SPDX-License-Identifier: Apache-2.0 */
/* tree_queue.h - the readers whom a kernel module played by a test has for svid-core: what read(2) of the tree file gives. */
#ifndef TESTS_TREE_QUEUE_H
#define TESTS_TREE_QUEUE_H

#include <stddef.h>
#include <sys/types.h>

#include "kmod/uapi/svid_dev.h"

#define TREE_QUEUE_MAX 4096

struct tree_queue {
	int fd;	  /* an eventfd, readable while somebody waits */
	size_t n; /* requests that svid-core has not read yet */
	struct svid_tree_request at[TREE_QUEUE_MAX];
};

/** tree_queue_open() - an empty one; its fd is the caller's to close. */
void tree_queue_open(struct tree_queue *q);

/** tree_queue_add() - one more reader waits. */
void tree_queue_add(struct tree_queue *q, const struct svid_tree_request *r);

/** tree_queue_read() - as the module's read(2): whole requests, as many as fit into @size, or -1 and EAGAIN. */
ssize_t tree_queue_read(struct tree_queue *q, void *to, size_t size);

#endif
