/* SPDX-License-Identifier: Apache-2.0 */
/* provider_parts.h - what the makers of provider.h share. svid-core. */
#ifndef CORE_PROVIDER_PARTS_H
#define CORE_PROVIDER_PARTS_H

#include "agent/core/provider.h"

#define PROVIDER_BUCKETS 4096 /* of held processes; a power of two */

/* A process that holds at least one attached connection. */
struct provider_held {
	struct provider_held *next; /* in its bucket */
	struct svid_key key;
	uint32_t slot;
	uint32_t conns;
};

/* One question to the maker: as struct svid_mailbox. */
struct provider_ask {
	int fd;
	uint32_t op; /* SVID_OP_* */
	uint32_t conn_slot;
	uint32_t conn_word;
	uint32_t holder_slot; /* offered, then in force */
	uint32_t holder_word;
	bool held; /* the offered slot was taken */
};

struct provider_ops {
	/* on 0 and -ESTALE: *conn and the answers in *ask are set */
	int (*record)(struct provider *p, struct provider_ask *ask, struct svid_conn *conn);
	int (*hold)(struct provider *p, const struct svid_conn *conn, uint32_t slot);
	void (*unhold)(struct provider *p, const struct svid_key *key);
	int (*reader)(struct provider *p, uint32_t tid, struct svid_conn *conn);
	int (*image)(struct provider *p, const struct svid_key *key, struct svid_image *ret);
	int (*key_of)(struct provider *p, uint32_t tgid, struct svid_key *ret);
	int (*poll)(struct provider *p);
	/* NULL where there are none */
	int (*events)(struct provider *p, void (*cb)(void *ctx, const struct svid_event *e), void *ctx);
	/* NULL where connect() cannot be refused */
	void (*leave)(struct provider *p, int fd);
	void (*door)(struct provider *p, const struct svid_who *who, uint64_t until);
};

struct provider {
	const struct provider_ops *ops;
	struct provider_fds fds;
	struct svid_words *words;
	struct svid_mailbox *mailbox;	/* of BPF */
	int own_socket;			/* of BPF: to ask by recv() of what is no connection; -1 */
	const struct svid_stats *stats; /* NULL in socket mode */
	struct svid_stats base;		/* counters that provider_health() starts from */
	int events_fd;			/* -1: no events */
	struct ring_buffer *ring;
	void (*event_cb)(void *ctx, const struct svid_event *e);
	void *event_ctx;
	uint64_t request;
	/* slots given back, oldest first: a ring of SVID_WORDS entries */
	uint32_t *free_slots;
	uint32_t free_head;
	uint32_t free_count;
	bool own_words; /* socket mode without a memfd from svidd */
	struct provider_held **held;
};

/** provider_ask() - put the question; a record is tidy. Errors: as provider_attach(), and -ESTALE with *ret set. */
MUST int provider_ask(struct provider *p, struct provider_ask *ask, struct svid_conn *ret);

/** provider_held_slot() - the slot of a process that is attached already; false and untouched when it is not. */
bool provider_held_slot(const struct provider *p, const struct svid_key *key, uint32_t *ret_slot);

/** provider_bpf_open() - set up @p for p->fds of a BPF tier. Errors: as provider_open(). */
MUST int provider_bpf_open(struct provider *p);

/** provider_socket_open() - set up @p without the kernel's help, on svidd's memfd or one of its own. Errors: -errno. */
MUST int provider_socket_open(struct provider *p);

/** provider_kmod_open() - set up @p for p->fds.module. Errors: -ERR_PROVIDER (not an evidence file of this version), -errno. */
MUST int provider_kmod_open(struct provider *p);

/** provider_bpf_done() - unmap and close what provider_bpf_open() made; half-made is fine. */
void provider_bpf_done(struct provider *p);

#endif
