/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - reading the credential tree, in each way that a file can be read; and whose identity came of it. */
#ifndef ATTACK_TREE_H
#define ATTACK_TREE_H

#include <stddef.h>

#include "tests/attack/client.h"

#define TREE_FILE_MAX 65536

struct file_way {
	const char *name;
	/* From offset 0, or where @fd stands, to the end: how many bytes, or -1 and errno. */
	ssize_t (*get)(int fd, char *bytes, size_t max);
};

/** file_way_find() - the way of that name, "" is read; dies when there is none. */
const struct file_way *file_way_find(const char *name);

/** tree_take() - read @fd by @how, and note in @a whose identity the content is, or why there is none. */
void tree_take(int fd, const char *how, struct answer *a);

/** tree_whose() - the same of bytes that came somehow. */
void tree_whose(const char *bytes, size_t len, struct answer *a);

#endif
