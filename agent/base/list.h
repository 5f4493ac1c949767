/* SPDX-License-Identifier: Apache-2.0 */
/* list.h - intrusive doubly linked list with a sentinel. The list does not own; its user says who does. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "agent/base/compiler.h"

struct list {
	struct list *next;
	struct list *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *l, struct list *node)
{
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

/* Safe on a node that is in no list, once it was initialised. */
static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_entry(node, type, member) container_of(node, type, member)

#define list_for_each(pos, head, member)                                          \
	for (pos = list_entry((head)->next, __typeof__(*pos), member);            \
	     &pos->member != (head); pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* @pos may be removed inside the body. */
#define list_for_each_safe(pos, tmp, head, member)                                \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),            \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member);         \
	     &pos->member != (head);                                              \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*pos), member))

#endif
