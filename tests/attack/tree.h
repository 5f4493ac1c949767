/* SPDX-License-Identifier: Apache-2.0 */
/* tree.h - reading the credential tree, in each way that a file can be read; and whose identity came of it. */
#ifndef ATTACK_TREE_H
#define ATTACK_TREE_H

#include <stddef.h>

#include "tests/attack/client.h"

#define TREE_FILE_MAX 65536

/** tree_take() - read @fd by @how (file_ways.c; "" is read), and note in @a whose identity it is, or why there is none. */
void tree_take(int fd, const char *how, struct answer *a);

/** tree_whose() - the same of bytes that came somehow. */
void tree_whose(const char *bytes, size_t len, struct answer *a);

#endif
