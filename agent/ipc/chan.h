/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chan.h - one end of a SOCK_SEQPACKET pair between two programs.
 *
 * Wire: a header {u16 type, u16 flags, u32 id, u32 length} and the body. A body above
 * LIM_IPC_INLINE travels as a sealed memfd, the last descriptor of the message (flag CHAN_F_MEMFD).
 * The receiver states what it permits in a table; each rule names the states in which a message may
 * come. Anything else - unknown type, wrong descriptor count, wrong length, a handler that refuses -
 * means that the sibling is broken or taken over: the channel closes and @dead says why.
 */
#ifndef IPC_CHAN_H
#define IPC_CHAN_H

#include "agent/base/limits.h"
#include "agent/base/list.h"
#include "agent/base/loop.h"
#include "agent/ipc/msg.h"

struct chan;

/* A received message. The handler owns nothing: body and descriptors end when it returns, except a
 * descriptor that it takes by setting fds[i] = -1. */
struct chan_msg {
	uint16_t type;
	uint32_t id; /* of a request; its reply carries the same */
	struct slice body;
	int fds[LIM_IPC_FDS];
	unsigned int n_fds;
};

struct chan_rule {
	uint16_t type;
	uint32_t states; /* bit mask of 1u << state; 0 is never */
	/* 0, or the error that condemns the sibling. */
	int (*handle)(struct chan *c, struct chan_msg *m);
};

struct chan_ops {
	const char *peer; /* for logs: "svid-keys" */
	const struct chan_rule *rules;
	size_t n_rules;
	/* The channel is closed already; the owner drops its pointer and frees it with chan_free(). */
	void (*dead)(struct chan *c, int err);
};

/**
 * chan_new() - take over @fd (closed by chan_free, and on error too) and read it in @loop.
 * @owner is what chan_owner() gives back. State starts as 0.
 * Errors: -ENOMEM, -errno of epoll_ctl.
 */
MUST int chan_new(struct loop *loop, int fd, const struct chan_ops *ops, void *owner, struct chan **ret_chan);

/** chan_free() - close and release; NULL is fine; allowed inside a handler and inside dead(). */
void chan_free(struct chan *c);

/** chan_owner() - the @owner of chan_new(). */
void *chan_owner(struct chan *c);

/** chan_set_state() - which rules apply from now on (0..31). */
void chan_set_state(struct chan *c, unsigned int state);

/**
 * chan_send() - send or queue one message. @fds stay with the caller (they are duplicated when queued).
 * Errors: -ERR_CLOSED, -ERR_SIZE (body above LIM_IPC_BODY, or queue above LIM_IPC_QUEUE or _FDS: the channel is
 * condemned, dead() follows from the loop), -ENOMEM, -errno.
 */
MUST int chan_send(struct chan *c, uint16_t type, uint32_t id, struct slice body, const int *fds,
		   unsigned int n_fds);

/**
 * chan_pause() - by a handler whose work takes long: the sibling's next message waits until the loop has looked at all
 * others. Without it a busy one has many read in a row.
 */
void chan_pause(struct chan *c);

/** chan_keep_secret() - what travels here from now on is wiped from our memory when it has been sent or handled. */
void chan_keep_secret(struct chan *c);

/** chan_idle() - whether nothing waits to be sent. */
bool chan_idle(const struct chan *c);

/** chan_taken() - how many messages that had to wait were taken so far: the same twice and not idle is a sibling that hangs. */
uint64_t chan_taken(const struct chan *c);

/*
 * chan_put(c, NAME, id, fds, n_fds, .field = value, ...) - build and send in one expression.
 */
#define chan_put_with(c, NAME, id, secret_, fds_, n_fds_, ...)                                 \
	({                                                                                     \
		struct msg_##NAME put_m_ = { __VA_ARGS__ };                                    \
		AUTO(buf) struct buf put_b_ = { .max = LIM_IPC_BODY, .secret = secret_ };      \
		msg_put_##NAME(&put_b_, &put_m_);                                              \
		int put_e_ = buf_ok(&put_b_);                                                  \
		put_e_ ? put_e_                                                                \
		       : chan_send(c, MSG_##NAME, id, buf_slice(&put_b_), fds_, n_fds_);       \
	})
#define chan_put_fds(c, NAME, id, fds_, n_fds_, ...) chan_put_with(c, NAME, id, false, fds_, n_fds_, ##__VA_ARGS__)
#define chan_put(c, NAME, id, ...) chan_put_with(c, NAME, id, false, NULL, 0, ##__VA_ARGS__)
#define chan_put_secret(c, NAME, id, ...) chan_put_with(c, NAME, id, true, NULL, 0, ##__VA_ARGS__)

/*
 * Without a loop (svid-attest, svid on admin.sock, svidd, tests): blocking calls on a bare descriptor.
 */

/** ipc_send() - one message on @fd. Errors: -ERR_CLOSED, -ERR_SIZE, -errno (-EAGAIN on a non-blocking one). */
MUST int ipc_send(int fd, uint16_t type, uint32_t id, struct slice body, const int *fds, unsigned int n_fds);

/**
 * ipc_recv() - one message into @scratch (reset first; the body borrows from it).
 * Descriptors in ret_m->fds belong to the caller (ipc_msg_done). Checks type and descriptor count
 * against msg.def. Errors: -ERR_CLOSED, -ERR_FORMAT, -ERR_SIZE, -ENOMEM, -errno (-EAGAIN).
 */
MUST int ipc_recv(int fd, struct buf *scratch, struct chan_msg *ret_m);

/** ipc_msg_done() - close the descriptors that were not taken. */
void ipc_msg_done(struct chan_msg *m);

#define ipc_put_fds(fd, NAME, id, fds_, n_fds_, ...)                                           \
	({                                                                                     \
		struct msg_##NAME put_m_ = { __VA_ARGS__ };                                    \
		AUTO(buf) struct buf put_b_ = BUF_INIT(LIM_IPC_BODY);                          \
		msg_put_##NAME(&put_b_, &put_m_);                                              \
		int put_e_ = buf_ok(&put_b_);                                                  \
		put_e_ ? put_e_                                                                \
		       : ipc_send(fd, MSG_##NAME, id, buf_slice(&put_b_), fds_, n_fds_);       \
	})
#define ipc_put(fd, NAME, id, ...) ipc_put_fds(fd, NAME, id, NULL, 0, ##__VA_ARGS__)

#endif
