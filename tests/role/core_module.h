/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_module.h - the kernel module of the credential tree, for svid-core inside the test (core_inside.h): what it is
 * asked is asked by the test, and what it is answered is kept.
 */
#ifndef TESTS_ROLE_CORE_MODULE_H
#define TESTS_ROLE_CORE_MODULE_H

#include "tests/lib/tree_queue.h"
#include "tests/role/core_inside.h"

struct module_answer {
	bool there;
	uint32_t err;
	char text[64];
};

struct module {
	struct tree_queue queue;
	struct module_answer answers[TREE_QUEUE_MAX]; /* by id */
	unsigned int names; /* files that are there */
	uint64_t last_id;
};

extern struct module module;

/** module_start() - be the backend of the tree of svid-core inside. */
void module_start(void);

/** module_ask() - @pid of @uid reads @path; returns the id of its answer. */
uint64_t module_ask(pid_t pid, uid_t uid, const char *path);

/** module_ask_as() - the same, but it was process @process that had that number when it began to read. */
uint64_t module_ask_as(pid_t pid, pid_t process, uid_t uid, const char *path);

/** module_reader() - a process of @uid that does nothing. */
pid_t module_reader(unsigned int uid);

#endif
