/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frontlog.h - what a front says on its stderr: read by svid-core, cut into lines, escaped by the log,
 * and limited, because whoever took a front over can write what he likes.
 */
#ifndef CORE_FRONTLOG_H
#define CORE_FRONTLOG_H

#include "agent/base/loop.h"

struct frontlog {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer pause;
	uint32_t front; /* number, for the lines */
	uint64_t second;
	size_t budget; /* bytes left in this second */
	size_t len;
	char line[512];
};

/** frontlog_start() - read @fd (taken over) in @loop as the log of front @number. Errors: -ENOMEM, -errno. */
MUST int frontlog_start(struct frontlog *l, struct loop *loop, int fd, uint32_t number);

/** frontlog_stop() - close; fine when it was never started with a zeroed struct whose watch.fd is -1. */
void frontlog_stop(struct frontlog *l);

#endif
