/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evidence_world.h - the set-up of provider tests: this process is svidd and svid-core at once, callers are processes.
 * SVID_TEST_TIER (lsm, fentry, kmod, tp) picks a tier; without it the strongest one of BPF that works is taken. Needs root.
 */
#ifndef TESTS_EVIDENCE_WORLD_H
#define TESTS_EVIDENCE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/provider.h"
#include "agent/parent/bpf.h"
#include "tests/lib/evidence_caller.h"

struct evidence_world {
	struct bpf *kernel; /* NULL in kmod */
	int module;	    /* kmod: the evidence file */
	struct provider *p; /* NULL when no tier works here: skip */
	char dir[64];
	char path[96];
	int listener; /* tagged 7 */
	struct svid_event last;
	int events;
};

/* One caller, connected and attached. */
struct guest {
	struct caller c;
	int fd;
	struct svid_conn conn;
	struct provider_ticket t;
};

extern struct evidence_world world;

#define NEED_KERNEL()              \
	do {                       \
		if (!world.p)      \
			skip();    \
	} while (0)

/** world_up() - group set-up; leaves world.p NULL and says why when there is no kernel evidence. */
int world_up(void **state);

/** world_down() - group tear-down. */
int world_down(void **state);

/** world_tier_is() - the tier in use. */
bool world_tier_is(uint32_t tier);

/** world_options() - what bpf_open() takes for this world. */
struct bpf_options world_options(const char *instance, bool pin);

/** world_fds() - duplicates of a provider's descriptors; NULL: those of the kernel module. */
struct provider_fds world_fds(const struct bpf *b);

/** world_set_core() - who may ask from now on; nothing in kmod, where whoever has the file may. */
void world_set_core(pid_t pid);

/** world_listen() - a listening socket at @at; aborts on failure. */
int world_listen(const char *at);

/** world_accept() - one connection of the world's listener. */
int world_accept(void);

/** world_drain() - consume events: world.events, world.last. */
void world_drain(void);

/** world_cgroup2() - where cgroup v2 is mounted; false when it is not. */
bool world_cgroup2(char *ret, size_t size);

/** world_cgroup_move() - put @pid into the directory @group. Errors: -errno. */
int world_cgroup_move(const char *group, pid_t pid);

/** guest_open() - a caller that has connected, been attached and is valid. */
void guest_open(struct guest *g);

/** guest_close() - the end of guest_open(). */
void guest_close(struct guest *g);

#endif
