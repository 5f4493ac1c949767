/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provider.h - kernel evidence as svid-core sees it: records of accepted connections, validity words, events.
 * Three makers: provider_bpf.c (all BPF tiers, by the descriptors svidd sent), provider_kmod.c (the kernel module),
 * provider_socket.c (`attestation: socket`, weak on purpose). Runs in svid-core without any capability. Structs:
 * kmod/uapi/svid.h.
 *
 * A connection is accept(), provider_attach(), provider_valid() before every use, provider_detach(). The other calls are
 * its parts, for tests and doctor.
 */
#ifndef CORE_PROVIDER_H
#define CORE_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/compiler.h"
#include "kmod/uapi/svid.h"

struct provider;

/* What svidd sent; -1 for what the tier does not have. */
struct provider_fds {
	uint32_t tier; /* SVID_TIER_* */
	int maps[SVID_MAP_COUNT];
	int iters[SVID_ITER_COUNT];
	int module; /* SVID_TIER_KMOD: the evidence file; else not looked at */
};

/* A connection's two words and what they must hold; goes to the front as it is. Slot 0 is not to be compared. */
struct provider_ticket {
	uint32_t conn_slot;
	uint32_t conn_word;
	uint32_t holder_slot;
	uint32_t holder_word;
	struct svid_key key; /* the holder */
};

/* Losses since provider_open(). Any in events: give no identity until provider_recover(). */
struct provider_health {
	uint64_t lost_events;  /* core's picture may be behind, or a stranger's call was not seen */
	uint64_t lost_records; /* processes or connections without evidence; they get no identity */
	uint64_t refused;      /* calls that the kernel refused (bpf-lsm) */
	uint64_t doors;	       /* connect() refused for too many connections (bpf-lsm) */
};

/**
 * provider_open() - start using the evidence of @fds->tier.
 * @fds: for a BPF tier all of maps and iters; for SVID_TIER_KMOD the evidence file; for SVID_TIER_SOCKET the words or
 *       nothing. Owned by the provider on 0.
 * @ret: owned by the caller (provider_free).
 * Errors: -ERR_PROVIDER (descriptors missing or of another version), -ENOMEM, -errno.
 */
MUST int provider_open(const struct provider_fds *fds, struct provider **ret);

/** provider_free() - close everything; NULL is fine. Pinned programs keep running. */
void provider_free(struct provider *p);

/** provider_tier() - SVID_TIER_* */
uint32_t provider_tier(const struct provider *p);

/** provider_words_fd() - descriptor of the validity words, borrowed; fronts map it read-only. */
int provider_words_fd(const struct provider *p);

/** provider_word() - the word of @slot now; 0 for slot 0 and beyond SVID_WORDS. */
uint32_t provider_word(const struct provider *p, uint32_t slot);

/** provider_bump() - make every ticket on @slot void. */
void provider_bump(struct provider *p, uint32_t slot);

/**
 * provider_slot_get() - a slot that nobody uses; the one given back longest ago.
 * Errors: -ERR_LIMIT (all SVID_WORDS are in use).
 */
MUST int provider_slot_get(struct provider *p, uint32_t *ret_slot);

/** provider_slot_put() - give @slot back; its word is bumped, so a ticket still lying about is void. 0 is fine. */
void provider_slot_put(struct provider *p, uint32_t slot);

/**
 * provider_adopt() - the record of the connection whose accepted end is @fd, tied to @conn_slot from now on.
 * @ret: strings end at their lengths, everything beyond is zero. ret->marks not 0: already used by a stranger.
 *
 * Costs one recv() that takes nothing. Works when the client is dead. The word of @conn_slot now is the ticket's.
 * Errors: -ENOENT (the kernel recorded nothing), -ENOTCONN (no peer), -ERR_EVIDENCE (the provider is silenced),
 * -ERR_FORMAT (not our record), -errno.
 */
MUST int provider_adopt(struct provider *p, int fd, uint32_t conn_slot, struct svid_conn *ret);

/** provider_peek() - the same record, but nothing is stored: for doctor. Errors: as provider_adopt(). */
MUST int provider_peek(struct provider *p, int fd, struct svid_conn *ret);

/**
 * provider_reader() - what a record would say if thread @tid connected now: who reads an entry of the credential tree.
 * @tid: as svid-core's pid namespace numbers it. Of a thread that waits for our answer and so cannot change meanwhile;
 * its process can (other threads), which is for the caller to look at: image.exec_id and image.change, once more at the end.
 * @ret: as provider_adopt(); no slots, no cookie, no listener. Nothing is held.
 * Errors: -ESRCH (no such thread), -ENOENT (the kernel knows no image of it), -ERR_EVIDENCE (the provider is silenced),
 * -ERR_FORMAT, -errno.
 */
MUST int provider_reader(struct provider *p, uint32_t tid, struct svid_conn *ret);

/**
 * provider_hold() - from now on changes of the process in @conn bump @slot. One slot per process: a second call for
 * the same process replaces the first.
 * Errors: -ERR_CHANGED (it changed after it connected, or is gone; nothing is held then), -ENOMEM, -errno.
 */
MUST int provider_hold(struct provider *p, const struct svid_conn *conn, uint32_t slot);

/** provider_unhold() - forget the process; harmless when it is not held. */
void provider_unhold(struct provider *p, const struct svid_key *key);

/**
 * provider_attach() - slots, record, holder and ticket of the accepted @fd, in one system call.
 * Processes are counted: a process with several connections has one word for all.
 * Errors: -ERR_CHANGED (the process changed since it connected, or a stranger used the connection; @ret_conn is set,
 * for the audit), -ERR_LIMIT (no slot left), -ENOMEM, and those of provider_adopt(). After an error nothing is kept.
 */
MUST int provider_attach(struct provider *p, int fd, struct svid_conn *ret_conn, struct provider_ticket *ret_ticket);

/** provider_detach() - the connection is over: give back what provider_attach() took, and clear @ticket. */
void provider_detach(struct provider *p, struct provider_ticket *ticket);

/**
 * provider_leave() - the accepted @fd is turned away without having been attached: it no longer counts as waiting.
 * Only bpf-lsm counts; elsewhere nothing happens, likewise in provider_door().
 */
void provider_leave(struct provider *p, int fd);

/** provider_door() - connect() by @who fails with EAGAIN until @until (CLOCK_BOOTTIME ns); 0: from now on it may. */
void provider_door(struct provider *p, const struct svid_who *who, uint64_t until);

/** provider_valid() - both words of @ticket are as they were. */
bool provider_valid(const struct provider *p, const struct provider_ticket *ticket);

/** provider_image() - what the kernel knows of process @key now, for explain. Errors: -ENOENT, -errno. */
MUST int provider_image(struct provider *p, const struct svid_key *key, struct svid_image *ret);

/**
 * provider_key_of() - the process that has thread group id @tgid now, among those the kernel keeps an image of. Goes
 * through the whole table: for a person's question, not for a connection.
 * Errors: -ENOENT, -errno.
 */
MUST int provider_key_of(struct provider *p, uint32_t tgid, struct svid_key *ret);

/** provider_events_fd() - becomes readable when there are events; -1 when the tier has none. Borrowed. */
int provider_events_fd(const struct provider *p);

/**
 * provider_events() - call @cb for each waiting event. @cb must not call provider_events() or provider_free().
 * Returns how many there were. Errors: -errno.
 */
MUST int provider_events(struct provider *p, void (*cb)(void *ctx, const struct svid_event *e), void *ctx);

/** provider_needs_poll() - this tier sees no credential change: call provider_poll() every 100 ms while there are holders. */
bool provider_needs_poll(const struct provider *p);

/** provider_poll() - the kernel compares every thread of every holder with its record. Errors: -errno. */
MUST int provider_poll(struct provider *p);

/** provider_health() - losses and refusals since provider_open() or provider_recover(). */
void provider_health(const struct provider *p, struct provider_health *ret);

/** provider_recover() - losses up to now are dealt with (all connections ended): count from zero. */
void provider_recover(struct provider *p);

/** provider_stats() - the kernel's counters, for status and metrics; zero in socket mode. */
void provider_stats(const struct provider *p, struct svid_stats *ret);

#endif
