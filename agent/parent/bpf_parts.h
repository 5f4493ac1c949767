/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_parts.h - what the files of bpf.c share with each other and with nobody else. svidd. */
#ifndef PARENT_BPF_PARTS_H
#define PARENT_BPF_PARTS_H

#include "agent/parent/bpf.h"

#define BPF_LINKS_MAX 24
#define BPF_NAME_MAX 32
#define BPF_MAPS 12

struct bpf_link_fd {
	char name[BPF_NAME_MAX]; /* of its program */
	int fd;
};

struct bpf_named_map {
	const char *name; /* in the object */
	int kind;	  /* enum svid_map, or -1: not for core */
	uint32_t size;	  /* of a value; 0 where there is none: a pinned map of another size is not ours */
};

extern const struct bpf_named_map bpf_named_maps[BPF_MAPS];

struct bpf {
	uint32_t tier;
	int maps[BPF_MAPS]; /* as bpf_named_maps; -1 when not open */
	struct bpf_link_fd links[BPF_LINKS_MAX];
	unsigned int n_links;
	struct svid_stats *stats;	/* mapped by bpf_watch() */
	uint64_t skipped;		/* what bpf_watch() has counted so far */
};

/** bpf_tier_prefix() - programs of @tier start with this; NULL when it is no BPF tier. */
const char *bpf_tier_prefix(uint32_t tier);

/** bpf_tier_build() - hash of the programs and what they are set to: equal means that pinned ones can stay. */
uint64_t bpf_tier_build(uint32_t tier, const char *listener);

/**
 * bpf_tier_load() - load and attach the programs of b->tier.
 * @b: maps that are open are used instead of new ones; all maps and links are set on 0.
 * @why: on error, one sentence; 256 bytes.
 * Errors: -errno or what libbpf says.
 */
MUST int bpf_tier_load(struct bpf *b, const char *listener, char *why);

/** bpf_tier_scan() - read the scan iterator twice. Errors: -errno. */
MUST int bpf_tier_scan(struct bpf *b);

/** bpf_pin_dir() - directory of @instance into @ret (128 bytes). Errors: -EINVAL. */
MUST int bpf_pin_dir(const char *instance, char *ret);

/** bpf_pin_mount() - bpffs is at its place afterwards. Errors: -errno of mount. */
MUST int bpf_pin_mount(void);

/** bpf_pin_dir_check() - nobody but us may put pins into @dir or take them out, if it is there. Errors: -EPERM, -errno. */
MUST int bpf_pin_dir_check(const char *dir);

/** bpf_pin_maps_open() - open the pinned maps that match our ABI and schema into @b. Errors: -ENOENT, -errno. */
MUST int bpf_pin_maps_open(struct bpf *b, const char *dir, struct svid_config *ret_config);

/** bpf_pin_links_open() - open the pinned links of b->tier. Errors: -ENOENT (an iterator is not there), -errno. */
MUST int bpf_pin_links_open(struct bpf *b, const char *dir);

/** bpf_pin_all() - pin maps and links, replacing what is there. Errors: -errno. */
MUST int bpf_pin_all(const struct bpf *b, const char *dir);

/** bpf_pin_drop() - unlink the pins in @dir, only the links with @links_only. Errors: -errno. */
MUST int bpf_pin_drop(const char *dir, bool links_only);

/** bpf_why_not() - what the system itself says against @tier, into @why (256 bytes); false when it says nothing. */
bool bpf_why_not(uint32_t tier, char *why);

/** bpf_why_reused() - why @tier is not in use while pinned programs of a weaker one are, into @why (256 bytes). */
void bpf_why_reused(uint32_t tier, char *why);

/** bpf_why_failed() - a sentence for libbpf's error @err in @program, and what usually causes it. */
void bpf_why_failed(uint32_t tier, const char *what, const char *program, int err, char *why);

#endif
