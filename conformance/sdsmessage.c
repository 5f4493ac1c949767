/* SPDX-License-Identifier: Apache-2.0 */
/* sdsmessage.c - discovery requests and answers, by hand, and the Secrets in them. svid-conformance; see sds.h. */
#include <errno.h>

#include "conformance/sds.h"

enum { MESSAGE_MAX = 8 << 20 };

/* Fields of the two kinds of request. */
struct shape {
	unsigned int version, node, names, drop, type_url, nonce, error, initial;
};

static const struct shape sotw_shape = { .version = 1, .node = 2, .names = 3, .type_url = 4, .nonce = 5, .error = 6 };
static const struct shape delta_shape = { .node = 1, .type_url = 2, .names = 3, .drop = 4, .initial = 5, .nonce = 6,
					  .error = 7 };

static void put_error(struct buf *b, unsigned int field, const char *text)
{
	AUTO(buf) struct buf status = BUF_INIT(1 << 16);

	buf_put_u8(&status, 1 << 3); /* code, a varint */
	buf_put_u8(&status, 3);
	put_text(&status, 2, slice_str(text));
	put_text(b, field, buf_slice(&status));
}

static void put_initial(struct buf *b, const char *name, struct slice version)
{
	AUTO(buf) struct buf entry = BUF_INIT(1 << 16);

	put_text(&entry, 1, slice_str(name));
	put_text(&entry, 2, version);
	put_text(b, delta_shape.initial, buf_slice(&entry));
}

void sds_request_put(struct buf *b, bool delta, const struct sds_request *q)
{
	const struct shape *f = delta ? &delta_shape : &sotw_shape;

	if (f->version && q->version.len)
		put_text(b, f->version, q->version);
	if (q->node.len)
		put_text(b, f->node, q->node);
	for (size_t i = 0; i < ARRAY_SIZE(q->names) && q->names[i]; i++)
		put_text(b, f->names, slice_str(q->names[i]));
	for (size_t i = 0; f->drop && i < ARRAY_SIZE(q->drop) && q->drop[i]; i++)
		put_text(b, f->drop, slice_str(q->drop[i]));
	if (q->type_url)
		put_text(b, f->type_url, slice_str(q->type_url));
	if (q->nonce.len)
		put_text(b, f->nonce, q->nonce);
	if (q->error)
		put_error(b, f->error, q->error);
	if (f->initial && q->initial_name)
		put_initial(b, q->initial_name, q->initial_version);
	buf_put_slice(b, q->more);
}

void sds_metadata(struct buf *b, const char *key, const char *text)
{
	AUTO(buf) struct buf value = BUF_INIT(4096);
	AUTO(buf) struct buf entry = BUF_INIT(4096);
	AUTO(buf) struct buf fields = BUF_INIT(4096);

	if (text) {
		put_text(&value, 3, slice_str(text));
	} else {
		buf_put_u8(&value, 4 << 3); /* bool_value */
		buf_put_u8(&value, 1);
	}
	put_text(&entry, 1, slice_str(key));
	put_text(&entry, 2, buf_slice(&value));
	put_text(&fields, 1, buf_slice(&entry));
	put_text(b, 1, slice_str("scripted-client"));
	put_text(b, 3, buf_slice(&fields));
}

struct slice sds_member(struct slice m, unsigned int number)
{
	while (m.len && slice_ok(&m)) {
		struct field f = field_get(&m);

		if (f.number == number && f.type == 2)
			return f.bytes;
	}
	return slice_of(NULL, 0);
}

/* inline_bytes or inline_string of a DataSource. */
static struct slice inlined(struct slice source)
{
	struct slice bytes = sds_member(source, 2);

	return bytes.len ? bytes : sds_member(source, 3);
}

static void take_secret(struct slice any, struct secret *ret)
{
	struct slice m = sds_member(any, 2);
	struct slice tls = sds_member(m, 2), context = sds_member(m, 4);
	struct slice custom = sds_member(context, 12);

	ret->all = m;
	ret->name = sds_member(m, 1);
	ret->chain = inlined(sds_member(tls, 1));
	ret->key = inlined(sds_member(tls, 2));
	ret->trusted_ca = inlined(sds_member(context, 1));
	ret->context = context;
	ret->validator_name = sds_member(custom, 1);
	ret->validator_type = sds_member(sds_member(custom, 2), 1);
	ret->validator = sds_member(sds_member(custom, 2), 2);
}

/* The Any of a resource says what it is; a delta Resource carries name and version beside it. */
static int take_resource(struct slice m, bool delta, struct sds_answer *ret)
{
	struct slice any = delta ? sds_member(m, 2) : m;
	struct secret *s = &ret->secrets[ret->n];

	if (ret->n == SDS_SECRETS || !slice_eq_str(sds_member(any, 1), SECRET_TYPE))
		return -EPROTO;
	*s = (struct secret){ 0 };
	take_secret(any, s);
	if (delta) {
		s->version = sds_member(m, 1);
		if (!slice_eq(sds_member(m, 3), s->name) || !s->version.len)
			return -EPROTO;
	}
	ret->n++;
	return 0;
}

static int take_field(const struct field *f, bool delta, struct sds_answer *ret)
{
	if (f->type != 2)
		return 0;
	switch (f->number) {
	case 1:
		ret->version = f->bytes;
		return 0;
	case 2:
		return take_resource(f->bytes, delta, ret);
	case 4:
		ret->type_url = f->bytes;
		return 0;
	case 5:
		ret->nonce = f->bytes;
		return 0;
	case 6:
		if (!delta || ret->n_removed == SDS_SECRETS)
			return delta ? -EPROTO : 0;
		ret->removed[ret->n_removed++] = f->bytes;
		return 0;
	default:
		return 0;
	}
}

int sds_answer_parse(struct slice message, bool delta, struct sds_answer *ret)
{
	int err = 0;

	ret->bytes = (struct buf)BUF_INIT(MESSAGE_MAX);
	ret->version = ret->nonce = ret->type_url = slice_of(NULL, 0);
	ret->n = ret->n_removed = 0;
	buf_put_slice(&ret->bytes, message);
	if (buf_ok(&ret->bytes))
		return -ENOMEM;
	struct slice m = buf_slice(&ret->bytes);

	while (!err && m.len && slice_ok(&m)) {
		struct field f = field_get(&m);

		err = take_field(&f, delta, ret);
	}
	return err || !slice_ok(&m) ? -EPROTO : 0;
}

void sds_answer_done(struct sds_answer *a)
{
	buf_done(&a->bytes);
	a->n = a->n_removed = 0;
}

const struct secret *sds_find(const struct sds_answer *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++) {
		if (slice_eq_str(a->secrets[i].name, name))
			return &a->secrets[i];
	}
	return NULL;
}

bool sds_removed(const struct sds_answer *a, const char *name)
{
	for (size_t i = 0; i < a->n_removed; i++) {
		if (slice_eq_str(a->removed[i], name))
			return true;
	}
	return false;
}
