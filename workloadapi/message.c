// SPDX-License-Identifier: Apache-2.0
/* message.c - the life of one encoded answer. svid-front. */
#include "workloadapi/message.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"

struct message {
	uint32_t refs;
	uint32_t len;
	struct secret *secret; /* NULL: the bytes follow */
	uint8_t plain[];
};

static uint8_t *bytes_of(struct message *m)
{
	return m->secret ? secret_bytes(m->secret) : m->plain;
}

static void put_prefix(uint8_t *p, uint32_t body)
{
	p[0] = 0; /* never compressed */
	p[1] = (uint8_t)(body >> 24);
	p[2] = (uint8_t)(body >> 16);
	p[3] = (uint8_t)(body >> 8);
	p[4] = (uint8_t)body;
}

int message_new(size_t body, bool secret, uint8_t **ret_body, struct message **ret_m)
{
	struct message *m;

	if (body > LIM_GRPC_RESPONSE)
		return -ERR_SIZE;
	m = mem_calloc(1, sizeof(*m) + (secret ? 0 : GRPC_PREFIX + body));
	if (!m)
		return -ENOMEM;
	m->refs = 1;
	m->len = (uint32_t)(GRPC_PREFIX + body);
	if (secret) {
		m->secret = secret_new(m->len);
		if (!m->secret) {
			mem_free(m);
			return -ENOMEM;
		}
	}
	put_prefix(bytes_of(m), (uint32_t)body);
	*ret_body = bytes_of(m) + GRPC_PREFIX;
	*ret_m = m;
	return 0;
}

struct message *message_ref(struct message *m)
{
	m->refs++;
	return m;
}

void message_unref(struct message *m)
{
	if (!m || --m->refs)
		return;
	if (!m->secret)
		mem_wipe(m->plain, m->len); /* it may be a token */
	secret_free(m->secret);
	mem_free(m);
}

struct slice message_bytes(const struct message *m)
{
	return slice_of(m->secret ? secret_bytes(m->secret) : m->plain, m->len);
}

bool message_same(const struct message *a, const struct message *b)
{
	return a->len == b->len && mem_same(message_bytes(a).p, message_bytes(b).p, a->len);
}
