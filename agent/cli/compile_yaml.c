// SPDX-License-Identifier: Apache-2.0
/* compile_yaml.c - builds trees from libyaml's events, with our limits. svid compile. Next: compile_doc.c. */
#include "agent/cli/compile_yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"

/* A list or map that is open. */
struct level {
	struct ynode *node;
	struct ynode *key; /* of a map: read, waiting for its value */
};

struct build {
	struct ytree *t;
	struct level levels[LIM_YAML_DEPTH];
	size_t depth;
	struct ynode *root; /* of the document being read */
	bool stop;
};

static struct mark mark_of(yaml_mark_t m)
{
	return (struct mark){ (uint32_t)m.line + 1, (uint32_t)m.column + 1 };
}

/* Room for one more; -ENOMEM. */
static int grow(void *v, size_t n, size_t *cap, size_t size)
{
	void **list = v, *bigger;

	if (n < *cap)
		return 0;
	bigger = mem_realloc_array(*list, *cap ? *cap * 2 : 8, size);
	if (!bigger)
		return -ENOMEM;
	*list = bigger;
	*cap = *cap ? *cap * 2 : 8;
	return 0;
}

static int add_error(struct ytree *t, struct mark mark, const char *what, const char *context)
{
	struct yerror *e;

	if (t->n_errors >= LIM_POLICY_ERRORS)
		return 0;
	if (grow(&t->errors, t->n_errors, &t->cap_errors, sizeof(*t->errors)))
		return -ENOMEM;
	e = &t->errors[t->n_errors++];
	*e = (struct yerror){ .doc = t->n_docs, .mark = mark };
	snprintf(e->text, sizeof(e->text), "%s%s%s", what, context ? " " : "", context ? context : "");
	return 0;
}

static int stop(struct build *b, struct mark mark, const char *what)
{
	b->stop = true;
	return add_error(b->t, mark, what, NULL);
}

static struct ynode *new_node(struct ytree *t, enum ytype type, yaml_mark_t m)
{
	struct ynode *n = mem_new(struct ynode);

	if (!n)
		return NULL;
	n->type = type;
	n->mark = mark_of(m);
	n->all = t->all;
	t->all = n;
	t->n_nodes++;
	return n;
}

/* Give @n its place: root, item, key or value. */
static void place(struct build *b, struct ynode *n)
{
	struct level *l = b->depth ? &b->levels[b->depth - 1] : NULL;

	if (!l) {
		b->root = n;
		return;
	}
	if (l->node->type == Y_MAP && !l->key) {
		l->key = n;
		return;
	}
	n->key = l->key;
	l->key = NULL;
	if (l->node->last)
		l->node->last->next = n;
	else
		l->node->first = n;
	l->node->last = n;
	l->node->count++;
}

static int add_node(struct build *b, enum ytype type, const yaml_event_t *ev, const yaml_char_t *anchor,
		    const yaml_char_t *tag, struct ynode **ret_node)
{
	struct mark mark = mark_of(ev->start_mark);
	struct ynode *n;
	int err = 0;

	if (b->t->n_nodes >= LIM_YAML_NODES)
		return stop(b, mark, "too many values in one file");
	if (anchor)
		err = add_error(b->t, mark, "anchors are not accepted here", NULL);
	if (!err && tag)
		err = add_error(b->t, mark, "tags are not accepted here", NULL);
	if (err)
		return err;
	n = new_node(b->t, anchor || tag ? Y_BAD : type, ev->start_mark);
	if (!n)
		return -ENOMEM;
	place(b, n);
	*ret_node = n;
	return 0;
}

static int on_scalar(struct build *b, const yaml_event_t *ev)
{
	struct ynode *n = NULL;
	int err = add_node(b, Y_SCALAR, ev, ev->data.scalar.anchor, ev->data.scalar.tag, &n);
	char *copy;

	if (err || !n)
		return err;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	copy = mem_strndup((const char *)ev->data.scalar.value, ev->data.scalar.length);
	if (!copy)
		return -ENOMEM;
	n->text = slice_of(copy, ev->data.scalar.length);
	if (memchr(copy, 0, n->text.len)) {
		n->type = Y_BAD;
		return add_error(b->t, n->mark, "the value has a NUL byte", NULL);
	}
	return 0;
}

static int on_open(struct build *b, const yaml_event_t *ev, enum ytype type)
{
	bool map = type == Y_MAP;
	struct ynode *n = NULL;
	int err;

	if (b->depth == LIM_YAML_DEPTH)
		return stop(b, mark_of(ev->start_mark), "nested too deeply");
	err = add_node(b, type, ev, map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor,
		       map ? ev->data.mapping_start.tag : ev->data.sequence_start.tag, &n);
	if (err || !n)
		return err;
	/* A bad one is still walked, so that what is inside it has a place. */
	b->levels[b->depth++] = (struct level){ n, NULL };
	if (n->type == Y_BAD)
		n->type = type;
	return 0;
}

static int on_alias(struct build *b, const yaml_event_t *ev)
{
	struct ynode *n = new_node(b->t, Y_BAD, ev->start_mark);

	if (!n)
		return -ENOMEM;
	place(b, n);
	return add_error(b->t, n->mark, "aliases are not accepted here", NULL);
}

static int on_document_end(struct build *b)
{
	struct ytree *t = b->t;

	if (!b->root || ynode_is_null(b->root))
		return 0;
	if (grow(&t->docs, t->n_docs, &t->cap_docs, sizeof(struct ynode *)))
		return -ENOMEM;
	t->docs[t->n_docs++] = take(&b->root);
	return 0;
}

static int on_event(struct build *b, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		b->root = NULL;
		b->depth = 0;
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		return on_document_end(b);
	case YAML_SCALAR_EVENT:
		return on_scalar(b, ev);
	case YAML_SEQUENCE_START_EVENT:
		return on_open(b, ev, Y_LIST);
	case YAML_MAPPING_START_EVENT:
		return on_open(b, ev, Y_MAP);
	case YAML_ALIAS_EVENT:
		return on_alias(b, ev);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		return 0;
	case YAML_STREAM_END_EVENT:
		b->t->parsed = true;
		b->stop = true;
		return 0;
	default:
		return 0;
	}
}

static int on_syntax(struct build *b, const yaml_parser_t *p)
{
	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	b->stop = true;
	if (p->error == YAML_READER_ERROR)
		return add_error(b->t, (struct mark){ 1, 1 }, "not UTF-8 text:", p->problem);
	return add_error(b->t, mark_of(p->problem_mark), p->problem ? p->problem : "not YAML", p->context);
}

int ytree_load(struct slice bytes, struct ytree *ret_tree)
{
	struct ytree t = { 0 };
	struct build b = { .t = &t };
	yaml_parser_t p;
	int err = 0;

	if (!yaml_parser_initialize(&p))
		return -ENOMEM;
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, bytes.len ? bytes.p : (const uint8_t *)"", bytes.len);
	while (!err && !b.stop) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&p, &ev)) {
			err = on_syntax(&b, &p);
			continue;
		}
		err = on_event(&b, &ev);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	if (err) {
		ytree_done(&t);
		return err;
	}
	*ret_tree = t;
	return 0;
}

void ytree_done(struct ytree *t)
{
	while (t->all) {
		struct ynode *n = t->all;

		t->all = n->all;
		mem_free((void *)n->text.p);
		mem_free(n);
	}
	mem_free(t->docs);
	mem_free(t->errors);
	*t = (struct ytree){ 0 };
}

static bool is_one_of(const struct ynode *n, const char *const *words)
{
	if (n->type != Y_SCALAR || !n->plain)
		return false;
	for (; *words; words++)
		if (slice_eq_str(n->text, *words))
			return true;
	return false;
}

bool ynode_is_null(const struct ynode *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };

	return is_one_of(n, nulls);
}

bool ynode_is_other(const struct ynode *n)
{
	static const char *const words[] = { "true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes", "YES", "no",
					     "No",   "NO",   "on",   "On",    "ON",    "off",	"Off", "OFF", NULL };
	char *end;

	if (n->type != Y_SCALAR || !n->plain || !n->text.len)
		return false;
	if (is_one_of(n, words))
		return true;
	if (!memchr("+-.0123456789", n->text.p[0], 13))
		return false;
	(void)strtod((const char *)n->text.p, &end); /* the copy ends with a NUL */
	return end == (const char *)n->text.p + n->text.len;
}
