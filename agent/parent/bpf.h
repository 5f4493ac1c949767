/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf.h - svidd's side of kernel evidence: choose a tier, load and attach its programs, pin them, hand out descriptors.
 * Split: bpf.c order of events, bpf_tier.c programs and hooks, bpf_pin.c bpffs, bpf_why.c reasons for doctor.
 * The other side is agent/core/provider.h; the records are kmod/uapi/svid.h.
 */
#ifndef PARENT_BPF_H
#define PARENT_BPF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/compiler.h"
#include "kmod/uapi/svid.h"

struct bpf;

struct bpf_options {
	const char *instance; /* names the pin directory; letters, digits, '-', '_'; at most 64 */
	const char *listener; /* path of the public socket; bpf-tp knows connections to it by the last component */
	uint32_t tier;	      /* SVID_TIER_*; SVID_TIER_NONE takes the strongest BPF tier that works */
	uint32_t weakest;     /* with SVID_TIER_NONE: none that is weaker than this one; SVID_TIER_NONE: any */
	bool pin;	      /* false: everything ends with this process (tests) */
};

/* Why a tier is not used: one sentence each, empty when it was not tried or works. */
struct bpf_report {
	char why[SVID_TIER_COUNT][256];
	bool reused; /* pinned programs of an earlier svidd were taken over, without a gap */
};

/**
 * bpf_open() - make kernel evidence work: take over what is pinned, else load, attach, scan and pin.
 * @opt:        borrowed for the call.
 * @ret_report: filled in any case.
 * @ret_bpf:    on 0, owned by the caller (bpf_free).
 *
 * Needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and, to mount bpffs, CAP_SYS_ADMIN. Takes 0.1 to 2 s.
 * Errors: -ERR_PROVIDER (no tier works; the report says why), -EINVAL (instance or tier), -ENOMEM.
 */
MUST int bpf_open(const struct bpf_options *opt, struct bpf_report *ret_report, struct bpf **ret_bpf);

/** bpf_free() - close every descriptor; pins stay and keep the programs running. NULL is fine. */
void bpf_free(struct bpf *b);

/** bpf_tier() - SVID_TIER_* that is running. */
uint32_t bpf_tier(const struct bpf *b);

/** bpf_map_fd() - the descriptor of @map, borrowed: duplicate or send it, never close it. */
int bpf_map_fd(const struct bpf *b, enum svid_map map);

/** bpf_iter_fd() - the descriptor of an iterator link, borrowed. */
int bpf_iter_fd(const struct bpf *b, enum svid_iter iter);

/**
 * bpf_set_core() - from now on only process @pid may adopt connections; 0: nobody (say so when core has died).
 * @pid is as svidd sees it; core must live in svidd's pid namespace.
 * Errors: -errno.
 */
MUST int bpf_set_core(struct bpf *b, pid_t pid);

/**
 * bpf_tag_listener() - record connections to the listening socket @fd; @tag (not 0) appears in each record.
 * In bpf-tp this does nothing: there the name decides.
 * Errors: -EINVAL (tag 0), -errno.
 */
MUST int bpf_tag_listener(struct bpf *b, int fd, uint32_t tag);

/**
 * bpf_watch() - call once a second: where the kernel left a program out (it does so when a hook is met again on a CPU
 * that is in the middle of that program), this is counted in the stats map, and core treats it as lost evidence.
 * Needs CAP_SYS_ADMIN.
 * Errors: -errno.
 */
MUST int bpf_watch(struct bpf *b);

/**
 * bpf_unpin() - remove the pins of @instance, which ends its programs once nobody holds them.
 * Errors: -EINVAL (instance), -errno of unlink; absent pins are no error.
 */
MUST int bpf_unpin(const char *instance);

#endif
