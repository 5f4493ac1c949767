/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile_yaml.h - bytes of one file to trees with positions. The only caller of libyaml. svid compile.
 *
 * Anchors, aliases and tags are refused, so a small file cannot stand for a large one. Depth and number of
 * nodes are bounded.
 */
#ifndef CLI_COMPILE_YAML_H
#define CLI_COMPILE_YAML_H

#include "agent/base/slice.h"

struct mark {
	uint32_t line, column; /* from 1 */
};

enum ytype {
	Y_SCALAR,
	Y_LIST,
	Y_MAP,
	Y_BAD, /* reported already: whoever meets it says nothing */
};

struct ynode {
	enum ytype type;
	bool plain; /* a scalar without quotes */
	struct mark mark;
	struct slice text;   /* of a scalar; owned by the tree */
	struct ynode *key;   /* of a value in a map */
	struct ynode *first; /* of a list or map */
	struct ynode *last;
	struct ynode *next; /* in the same list or map */
	struct ynode *all;  /* every node of the tree, for release */
	size_t count;	    /* children */
};

struct yerror {
	size_t doc; /* which document it is in */
	struct mark mark;
	char text[256];
};

struct ytree {
	struct ynode **docs; /* roots, in order; empty documents are left out */
	size_t n_docs, cap_docs;
	struct yerror *errors;
	size_t n_errors, cap_errors;
	struct ynode *all;
	size_t n_nodes;
	bool parsed; /* false: errors end with why the rest could not be read */
};

/** ytree_load() - read @bytes. What is wrong with them is in the tree. Errors: -ENOMEM. */
MUST int ytree_load(struct slice bytes, struct ytree *ret_tree);

/** ytree_done() - release. */
void ytree_done(struct ytree *t);

static inline void ytree_autoclean(struct ytree *t)
{
	ytree_done(t);
}

/** ynode_is_null() - a scalar that YAML reads as null: nothing, ~ or null without quotes. */
bool ynode_is_null(const struct ynode *n);

/** ynode_is_other() - a plain scalar that YAML reads as a number or truth value. */
bool ynode_is_other(const struct ynode *n);

#endif
