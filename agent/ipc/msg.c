// SPDX-License-Identifier: Apache-2.0
/* msg.c - encoders, decoders and names, all expanded from msg.def. Any role. */
#include "agent/ipc/msg.h"

#define MSG(name, number, route, fds)                                  \
	void msg_put_##name(struct buf *b, const struct msg_##name *m) \
	{                                                              \
		(void)b;                                               \
		(void)m;
#define U32(f) buf_put_u32(b, m->f);
#define U64(f) buf_put_u64(b, m->f);
#define I32(f) buf_put_u32(b, (uint32_t)m->f);
#define I64(f) buf_put_u64(b, (uint64_t)m->f);
#define STR(f, max) buf_put_blob(b, m->f);
#define BLOB(f, max) buf_put_blob(b, m->f);
#define END(name) }
#include "agent/ipc/msg.def"

#define MSG(name, number, route, fds)                                    \
	int msg_get_##name(struct slice body, struct msg_##name *ret_m)  \
	{                                                                \
		struct msg_##name m;                                     \
		int err;                                                 \
		memset(&m, 0, sizeof(m));
#define U32(f) m.f = slice_get_u32(&body);
#define U64(f) m.f = slice_get_u64(&body);
#define I32(f) m.f = (int32_t)slice_get_u32(&body);
#define I64(f) m.f = (int64_t)slice_get_u64(&body);
#define STR(f, max) m.f = slice_get_str(&body, max);
#define BLOB(f, max) m.f = slice_get_blob(&body, max);
#define END(name)                \
	err = slice_end(&body);  \
	if (err)                 \
		return err;      \
	*ret_m = m;              \
	return 0;                \
	}
#include "agent/ipc/msg.def"

struct row {
	unsigned int number;
	const char *name;
	int fds;
};

static const struct row rows[] = {
#define MSG(name_, number_, route, fds_) { number_, #name_, fds_ },
#include "agent/ipc/msg.def"
};

static const struct row *row_of(unsigned int type)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].number == type)
			return &rows[i];
	return NULL;
}

const char *msg_name(unsigned int type)
{
	const struct row *row = row_of(type);

	return row ? row->name : "?";
}

int msg_fds(unsigned int type)
{
	const struct row *row = row_of(type);

	return row ? row->fds : -1;
}
