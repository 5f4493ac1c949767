/* SPDX-License-Identifier: Apache-2.0 */
/* xml.c - expat, a path, and the texts that were asked for. svid-cloud; used by aws.c. */
#include "federation/xml.h"

#include <errno.h>
#include <expat.h>

#include "agent/base/err.h"
#include "federation/wiped.h"

#define DEPTH_MAX 16
#define PATH_MAX_BYTES 512

struct reader {
	XML_Parser parser;
	struct xml_want *wants, *now; /* now: whose text is being read */
	size_t n;
	struct buf path;
	size_t starts[DEPTH_MAX]; /* where each name begins in path */
	unsigned int depth;
	int err;
};

static void stop(struct reader *r, int err)
{
	if (!r->err)
		r->err = err;
	XML_StopParser(r->parser, XML_FALSE);
}

static struct xml_want *want_of(struct reader *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (!r->wants[i].found && slice_eq_str(buf_slice(&r->path), r->wants[i].path))
			return &r->wants[i];
	return NULL;
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct reader *r = arg;

	(void)attributes;
	if (r->depth == DEPTH_MAX) {
		stop(r, -ERR_FORMAT);
		return;
	}
	r->starts[r->depth++] = r->path.len;
	if (r->path.len)
		buf_put_str(&r->path, "/");
	buf_put_str(&r->path, name);
	if (buf_ok(&r->path)) {
		stop(r, -ERR_FORMAT);
		return;
	}
	r->now = want_of(r);
	if (r->now)
		r->now->found = true;
}

static void on_end(void *arg, const char *name)
{
	struct reader *r = arg;

	(void)name;
	r->path.len = r->starts[--r->depth];
	r->now = NULL;
}

static void on_text(void *arg, const char *text, int len)
{
	struct reader *r = arg;

	if (!r->now)
		return;
	buf_put(r->now->to, text, (size_t)len);
	if (buf_ok(r->now->to))
		stop(r, buf_ok(r->now->to));
}

static void on_doctype(void *arg, const char *name, const char *system_id, const char *public_id, int has_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_subset;
	stop(arg, -ERR_FORMAT);
}

int xml_read(struct slice doc, struct xml_want *wants, size_t n)
{
	static const XML_Memory_Handling_Suite memory = { wiped_alloc, wiped_realloc, wiped_free };
	struct reader r = { .wants = wants, .n = n, .path = BUF_INIT(PATH_MAX_BYTES) };
	enum XML_Status status;

	r.parser = XML_ParserCreate_MM("UTF-8", &memory, NULL);
	if (!r.parser)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		wants[i].found = false;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	status = doc.len <= INT32_MAX ? XML_Parse(r.parser, (const char *)doc.p, (int)doc.len, XML_TRUE) : XML_STATUS_ERROR;
	if (status != XML_STATUS_OK && !r.err)
		r.err = XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : -ERR_FORMAT;
	XML_ParserFree(r.parser);
	buf_done(&r.path);
	return r.err;
}
