/* SPDX-License-Identifier: Apache-2.0 */
/* tree_queue.c - see tree_queue.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/lib/tree_queue.h"

void tree_queue_open(struct tree_queue *q)
{
	q->n = 0;
	q->fd = eventfd(0, EFD_CLOEXEC);
	assert_true(q->fd >= 0);
}

static void wake(const struct tree_queue *q)
{
	assert_int_equal(write(q->fd, &(uint64_t){ 1 }, 8), 8);
}

void tree_queue_add(struct tree_queue *q, const struct svid_tree_request *r)
{
	assert_true(q->n < TREE_QUEUE_MAX);
	q->at[q->n++] = *r;
	wake(q);
}

ssize_t tree_queue_read(struct tree_queue *q, void *to, size_t size)
{
	size_t n = size / sizeof(q->at[0]) < q->n ? size / sizeof(q->at[0]) : q->n;
	uint64_t count;

	(void)!read(q->fd, &count, sizeof(count));
	if (!q->n) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(to, q->at, n * sizeof(q->at[0]));
	q->n -= n;
	memmove(q->at, q->at + n, q->n * sizeof(q->at[0]));
	if (q->n)
		wake(q);
	return (ssize_t)(n * sizeof(q->at[0]));
}
