/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kmod_rig.h - for tests of svid.ko's evidence file, in the VM: this process is svidd and svid-core at once. The module is
 * loaded by rig_load() of tree_rig.h; callers are those of evidence_caller.h.
 */
#ifndef TESTS_KMOD_RIG_H
#define TESTS_KMOD_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "kmod/uapi/svid_dev.h"
#include "tests/lib/evidence_caller.h"

#define SEAT_TAG 7
#define SEAT_PATH "/tmp/kmod.sock"

/* An evidence file, mapped, with a listener at path. */
struct seat {
	int dev, ev, listener;
	struct svid_words *words;
	const struct svid_stats *stats;
	char path[64];
};

/* A caller that has connected and been attached with conn_slot and holder_slot of box. */
struct visit {
	struct caller c;
	int fd;
	struct svid_mailbox box;
};

/** seat_take() - a new evidence file and a listener that it knows. Aborts on failure. */
void seat_take(struct seat *s, const char *path);

/** seat_leave() - close all of it. */
void seat_leave(struct seat *s);

/** seat_setup(), seat_teardown() - for a whole test program: the module loaded, and @seat taken at SEAT_PATH. */
extern struct seat seat;
int seat_setup(void **state);
int seat_teardown(void **state);

/** seat_word() - a word of @seat as it is now. */
uint32_t seat_word(uint32_t slot);

/** seat_accept() - the next connection, waited for five seconds. Its descriptor or -errno. */
int seat_accept(const struct seat *s);

/** seat_ask() - @op for @fd. 0, box.status or -errno of the ioctl. */
int seat_ask(const struct seat *s, int fd, uint32_t op, uint32_t conn_slot, uint32_t holder_slot, struct svid_mailbox *ret);

/** seat_image() - the image of a process; start 0: whoever has the id. 0 or -errno. */
int seat_image(const struct seat *s, uint32_t tgid, uint64_t start, struct svid_image *ret);

/** seat_hold(), seat_unhold() - the requests. 0 or -errno. */
int seat_hold(const struct seat *s, const struct svid_image *img, uint32_t slot);
int seat_unhold(const struct seat *s, const struct svid_key *key);

/** seat_reader() - the record of a thread as of now. 0 or -errno. */
int seat_reader(const struct seat *s, int tid, struct svid_conn *ret);

/** seat_event() - the next event of @type (0: any), waited for five seconds; others are dropped. 0 or -ETIMEDOUT. */
int seat_event(const struct seat *s, uint32_t type, struct svid_event *ret);

/** seat_drain() - drop what there is; how many. */
int seat_drain(const struct seat *s);

/** visit_open() - start a caller, let it connect, attach it with these slots. Aborts on failure. */
void visit_open(const struct seat *s, struct visit *v, uint32_t conn_slot, uint32_t holder_slot);
void visit_close(struct visit *v);

/** dice() - 0 .. @sides - 1; the same run in each thread each time. */
uint32_t dice(uint32_t sides);

/** traffic_connect() - a socket that has tried to connect to @path. */
int traffic_connect(const char *path);

/**
 * traffic_start() - a process that connects to @path again and again and sends, receives, forks, execs, is traced and changes
 * its ids, until traffic_end().
 */
pid_t traffic_start(const char *path);
void traffic_end(pid_t pid);

/**
 * slab_becomes() - wait up to five seconds until there are @want live objects. True where nobody can tell: the debug
 * kernel's KASAN keeps what was freed (there kmemleak looks).
 */
bool slab_becomes(const char *name, long want);

/** slab_objects() - live objects of a slab cache, from /proc/slabinfo; -1: no such cache. */
long slab_objects(const char *name);

#endif
