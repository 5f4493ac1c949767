// SPDX-License-Identifier: Apache-2.0
/* hpack.c - RFC 7541 as far as a server without a dynamic table needs it. svid-front. */
#include "workloadapi/hpack.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"

static void *nmalloc(size_t size, void *user)
{
	(void)user;
	return mem_calloc(1, size);
}

static void nfree(void *p, void *user)
{
	(void)user;
	mem_free(p);
}

static void *ncalloc(size_t n, size_t size, void *user)
{
	(void)user;
	return mem_calloc(n, size);
}

static void *nrealloc(void *p, size_t size, void *user)
{
	(void)user;
	return mem_realloc_array(p, size, 1);
}

static nghttp2_mem memory = { .malloc = nmalloc, .free = nfree, .calloc = ncalloc, .realloc = nrealloc };

/* The decoder of every connection whose table is empty. Remade after an error in a block. */
static nghttp2_hd_inflater *shared;

static int decode(nghttp2_hd_inflater *inf, struct slice block, hpack_field_fn *field, void *arg)
{
	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(inf, &nv, &flags, block.p, block.len, 1);

		if (n < 0)
			return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ERR_FORMAT;
		(void)slice_get_bytes(&block, (size_t)n);
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			field(arg, slice_of(nv.name, nv.namelen), slice_of(nv.value, nv.valuelen));
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && !block.len)
			return -ERR_FORMAT;
	}
	nghttp2_hd_inflate_end_headers(inf);
	return 0;
}

static void no_field(void *arg, struct slice name, struct slice value)
{
	(void)arg;
	(void)name;
	(void)value;
}

void hpack_end(void)
{
	if (shared)
		nghttp2_hd_inflate_del(shared);
	shared = NULL;
}

/* A decoder at size 0 insists on hearing that size once (RFC 7541 4.2): tell it here, for everybody. */
static int shared_make(void)
{
	static const uint8_t size_0[] = { 0x20 };
	int err;

	if (shared)
		return 0;
	if (nghttp2_hd_inflate_new2(&shared, &memory)) {
		shared = NULL;
		return -ENOMEM;
	}
	err = nghttp2_hd_inflate_change_table_size(shared, 0) ? -ENOMEM : 0;
	if (!err)
		err = decode(shared, slice_of(size_0, sizeof(size_0)), no_field, NULL);
	if (err)
		hpack_end();
	return err;
}

static int read_shared(struct slice block, hpack_field_fn *field, void *arg)
{
	int err = shared_make();

	if (err)
		return err;
	err = decode(shared, block, field, arg);
	if (err)
		hpack_end();
	return err;
}

/*
 * Before the client applied our SETTINGS its blocks may refer to earlier ones. A table that is empty
 * after a block need not be remembered: a new decoder differs only in entries that the client cannot
 * name, because an index counts from the newest entry.
 */
static int read_own(struct hpack *h, struct slice block, hpack_field_fn *field, void *arg)
{
	int err;

	if (!h->own && nghttp2_hd_inflate_new2(&h->own, &memory)) {
		h->own = NULL;
		return -ENOMEM;
	}
	err = decode(h->own, block, field, arg);
	if (err || nghttp2_hd_inflate_get_dynamic_table_size(h->own) == 0)
		hpack_done(h);
	return err;
}

int hpack_read(struct hpack *h, struct slice block, hpack_field_fn *field, void *arg)
{
	return h->applied ? read_shared(block, field, arg) : read_own(h, block, field, arg);
}

void hpack_applied(struct hpack *h)
{
	hpack_done(h);
	h->applied = true;
}

void hpack_done(struct hpack *h)
{
	if (h->own)
		nghttp2_hd_inflate_del(h->own);
	h->own = NULL;
}

/* RFC 7541 5.1 with a prefix of 7 bits and the Huffman bit clear. */
static void put_length(struct buf *b, size_t n)
{
	if (n < 127) {
		buf_put_u8(b, (uint8_t)n);
		return;
	}
	buf_put_u8(b, 127);
	for (n -= 127; n >= 128; n >>= 7)
		buf_put_u8(b, (uint8_t)(n | 128));
	buf_put_u8(b, (uint8_t)n);
}

void hpack_put(struct buf *b, const char *name, struct slice value)
{
	buf_put_u8(b, 0); /* 6.2.2: literal without indexing, new name */
	put_length(b, strlen(name));
	buf_put_str(b, name);
	put_length(b, value.len);
	buf_put_slice(b, value);
}

void hpack_put_status(struct buf *b, unsigned int status)
{
	if (status == 200) {
		buf_put_u8(b, 0x88); /* static table entry 8 */
		return;
	}
	buf_put_u8(b, 8); /* literal without indexing, name of entry 8 */
	put_length(b, 3);
	buf_printf(b, "%03u", status % 1000);
}
