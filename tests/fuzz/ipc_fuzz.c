// SPDX-License-Identifier: Apache-2.0
/*
 * ipc_fuzz.c - what a sibling that was taken over may send: one raw datagram through ipc_recv(), then the
 * decoder of every message and list on its body. What decodes must encode to the same bytes again.
 */
/* links: agent/ipc/lists.c */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/mem.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/lists.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

#define MSG(name, number, route, fds)                                                       \
	static void round_trip_##name(struct slice body)                                    \
	{                                                                                   \
		AUTO(buf) struct buf again = BUF_INIT(LIM_IPC_BODY);                        \
		struct msg_##name m;                                                        \
		if (msg_get_##name(body, &m))                                               \
			return;                                                             \
		msg_put_##name(&again, &m);                                                 \
		must(buf_ok(&again) == 0 && slice_eq(buf_slice(&again), body));             \
	}
#include "agent/ipc/msg.def"

static void every_message(struct slice body)
{
#define MSG(name, number, route, fds) round_trip_##name(body);
#include "agent/ipc/msg.def"
}

static void every_list(struct slice body)
{
	struct slice a = body, b = body, c = body;

	while (a.len)
		(void)list_get_entry(&a);
	while (b.len)
		(void)list_get_fed(&b);
	while (c.len)
		(void)list_get_str(&c, LIM_SELECTOR_VALUE);
}

static void through_a_socket(const uint8_t *data, size_t size)
{
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64);
	struct chan_msg m;
	int sv[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == 0);
	if (send(sv[0], data, size, 0) == (ssize_t)size && ipc_recv(sv[1], &scratch, &m) == 0) {
		must(msg_fds(m.type) == (int)m.n_fds && m.body.len <= LIM_IPC_BODY);
		ipc_msg_done(&m);
	}
	close(sv[0]);
	close(sv[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	every_message(slice_of(data, size));
	every_list(slice_of(data, size));
	through_a_socket(data, size);
	return 0;
}
