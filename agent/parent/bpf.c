// SPDX-License-Identifier: Apache-2.0
/* bpf.c - the order of events: reuse pins, or load, attach, scan, pin. Runs in svidd as root. Next: bpf_tier.c. */
#include "agent/parent/bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/parent/bpf_parts.h"

const struct bpf_named_map bpf_named_maps[BPF_MAPS] = {
	{ "svid_images", SVID_MAP_IMAGES, sizeof(struct svid_image) },
	{ "svid_holders", SVID_MAP_HOLDERS, sizeof(struct svid_holder) },
	{ "svid_words", SVID_MAP_WORDS, sizeof(struct svid_words) },
	{ "svid_mailbox", SVID_MAP_MAILBOX, sizeof(struct svid_mailbox) },
	{ "svid_stats", SVID_MAP_STATS, sizeof(struct svid_stats) },
	{ "svid_config", SVID_MAP_CONFIG, sizeof(struct svid_config) },
	{ "svid_ring", SVID_MAP_RING, 0 },
	/* kept pinned so that records and listeners survive an upgrade of the programs */
	{ "svid_conns", -1, sizeof(struct svid_conn) },
	{ "svid_listeners", -1, sizeof(uint32_t) },
	{ "svid_drafts", -1, sizeof(struct svid_image) },
	{ "svid_doors", SVID_MAP_DOORS, sizeof(uint64_t) },
	{ "svid_queues", -1, sizeof(struct svid_queue) },
};

#define MAP_LISTENERS 8

static void links_close(struct bpf *b)
{
	while (b->n_links)
		close(b->links[--b->n_links].fd);
}

static void maps_close(struct bpf *b)
{
	for (int i = 0; i < BPF_MAPS; i++) {
		if (b->maps[i] >= 0)
			close(b->maps[i]);
		b->maps[i] = -1;
	}
}

void bpf_free(struct bpf *b)
{
	if (!b)
		return;
	links_close(b);
	maps_close(b);
	if (b->stats)
		munmap(b->stats, sizeof(*b->stats));
	mem_free(b);
}

static void bpf_autoclean(struct bpf **b)
{
	bpf_free(*b);
}

static struct bpf *bpf_new(void)
{
	struct bpf *b = mem_new(struct bpf);

	if (!b)
		return NULL;
	for (int i = 0; i < BPF_MAPS; i++)
		b->maps[i] = -1;
	return b;
}

uint32_t bpf_tier(const struct bpf *b)
{
	return b->tier;
}

int bpf_map_fd(const struct bpf *b, enum svid_map map)
{
	for (int i = 0; i < BPF_MAPS; i++)
		if (bpf_named_maps[i].kind == (int)map)
			return b->maps[i];
	return -1;
}

int bpf_iter_fd(const struct bpf *b, enum svid_iter iter)
{
	static const char *const programs[SVID_ITER_COUNT] = {
		[SVID_ITER_POLL] = "all_poll",
		[SVID_ITER_READER] = "all_reader",
	};

	for (unsigned int i = 0; iter < SVID_ITER_COUNT && i < b->n_links; i++)
		if (strcmp(b->links[i].name, programs[iter]) == 0)
			return b->links[i].fd;
	return -1;
}

/* The kernel's own encoding of the device that holds namespace files; a small minor number in every kernel. */
static int own_pidns(struct svid_config *cfg)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) < 0)
		return -errno;
	cfg->pidns_dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev);
	cfg->pidns_ino = st.st_ino;
	return 0;
}

static int config_read(const struct bpf *b, struct svid_config *ret)
{
	uint32_t zero = 0;

	return bpf_map_lookup_elem(bpf_map_fd(b, SVID_MAP_CONFIG), &zero, ret);
}

static int config_write(const struct bpf *b, const struct svid_config *cfg)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(bpf_map_fd(b, SVID_MAP_CONFIG), &zero, cfg, BPF_ANY);
}

/* The scan has filled in pid 1's root; the rest is ours. Not ready yet: see set_ready(). */
static int config_finish(struct bpf *b, const char *listener)
{
	struct svid_config cfg;
	int err = config_read(b, &cfg);

	if (err)
		return err;
	cfg.abi = SVID_ABI_VERSION;
	cfg.schema = SVID_SCHEMA_VERSION;
	cfg.tier = b->tier;
	cfg.core_tgid = 0;
	cfg.build = bpf_tier_build(b->tier, listener);
	err = own_pidns(&cfg);
	if (err)
		return err;
	cfg.ready = 0;
	return config_write(b, &cfg);
}

/* The last word, after the last pin: half-made pins are never taken over. */
static int set_ready(struct bpf *b)
{
	struct svid_config cfg;
	int err = config_read(b, &cfg);

	cfg.ready = 1;
	return err ? err : config_write(b, &cfg);
}

static bool is_asked_for(const struct bpf_options *opt, uint32_t tier)
{
	if (opt->tier != SVID_TIER_NONE)
		return opt->tier == tier;
	return opt->weakest == SVID_TIER_NONE || tier <= opt->weakest;
}

/* The same programs with the same settings run already. */
static int reuse(struct bpf *b, const struct bpf_options *opt, const char *dir, const struct svid_config *cfg)
{
	if (!cfg->ready || !is_asked_for(opt, cfg->tier))
		return -ENOENT;
	if (cfg->build != bpf_tier_build(cfg->tier, opt->listener))
		return -ENOENT;
	b->tier = cfg->tier;
	return bpf_pin_links_open(b, dir);
}

static int start_tier(struct bpf *b, const struct bpf_options *opt, const char *dir, struct bpf_report *report)
{
	char *why = report->why[b->tier];
	int err;

	if (bpf_why_not(b->tier, why))
		return -ERR_PROVIDER;
	err = bpf_tier_load(b, opt->listener, why);
	if (err)
		return err;
	err = bpf_tier_scan(b);
	if (!err)
		err = config_finish(b, opt->listener);
	if (!err && opt->pin)
		err = bpf_pin_all(b, dir);
	if (!err)
		err = set_ready(b);
	if (err)
		bpf_why_failed(b->tier, "cannot finish", "scan or pins", err, why);
	return err;
}

static const uint32_t order[] = { SVID_TIER_LSM, SVID_TIER_FENTRY, SVID_TIER_TP };

/* Pinned programs were taken over and nothing was tried: say so of the tiers that would have been better. */
static void note_better(const struct bpf *b, const struct bpf_options *opt, struct bpf_report *report)
{
	for (size_t i = 0; opt->tier == SVID_TIER_NONE && i < ARRAY_SIZE(order) && order[i] != b->tier; i++)
		bpf_why_reused(order[i], report->why[order[i]]);
}

/* Tries tiers in order of strength. A tier that fails leaves nothing behind but its reason. */
static int start(struct bpf *b, const struct bpf_options *opt, const char *dir, struct bpf_report *report)
{
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		if (!is_asked_for(opt, order[i]))
			continue;
		b->tier = order[i];
		if (start_tier(b, opt, dir, report) == 0)
			return 0;
		links_close(b);
	}
	return -ERR_PROVIDER;
}

/* What was pinned by an svidd that did not come to its end: a program may have been missing since, and images are stale. */
static int drop_half_made(struct bpf *b, const char *dir, const struct svid_config *cfg)
{
	if (cfg->ready)
		return 0;
	maps_close(b);
	return bpf_pin_drop(dir, false);
}

/* Pinned maps of our layout are kept even when the programs are replaced: images and records live on. */
static int open_pinned(struct bpf *b, const struct bpf_options *opt, const char *dir, struct bpf_report *report)
{
	const char *what = "bpffs";
	struct svid_config cfg;
	int err = bpf_pin_mount();
	bool pinned = false;

	if (!err) {
		what = dir;
		err = bpf_pin_dir_check(dir);
	}
	if (!err)
		pinned = bpf_pin_maps_open(b, dir, &cfg) == 0;
	if (pinned)
		err = drop_half_made(b, dir, &cfg);
	if (err) {
		bpf_why_failed(SVID_TIER_NONE, "cannot use", what, err, report->why[SVID_TIER_NONE]);
		return -ERR_PROVIDER;
	}
	if (pinned && reuse(b, opt, dir, &cfg) == 0) {
		report->reused = true;
		note_better(b, opt, report);
		return bpf_set_core(b, 0);
	}
	links_close(b);
	return start(b, opt, dir, report);
}

int bpf_open(const struct bpf_options *opt, struct bpf_report *ret_report, struct bpf **ret_bpf)
{
	AUTO(bpf) struct bpf *b = bpf_new();
	char dir[128] = "";
	int err;

	memset(ret_report, 0, sizeof(*ret_report));
	if (!b)
		return -ENOMEM;
	if (opt->tier != SVID_TIER_NONE && !bpf_tier_prefix(opt->tier))
		return -EINVAL;
	err = bpf_pin_dir(opt->instance, dir);
	if (err)
		return err;
	err = opt->pin ? open_pinned(b, opt, dir, ret_report) : start(b, opt, dir, ret_report);
	if (err)
		return err;
	*ret_bpf = take(&b);
	return 0;
}

int bpf_set_core(struct bpf *b, pid_t pid)
{
	struct svid_config cfg;
	int err = config_read(b, &cfg);

	if (err)
		return err;
	err = own_pidns(&cfg);
	if (err)
		return err;
	cfg.core_tgid = (uint32_t)pid;
	return config_write(b, &cfg);
}

int bpf_tag_listener(struct bpf *b, int fd, uint32_t tag)
{
	if (tag == 0)
		return -EINVAL;
	if (b->tier == SVID_TIER_TP)
		return 0;
	return bpf_map_update_elem(b->maps[MAP_LISTENERS], &fd, &tag, BPF_ANY);
}

/* A trampoline leaves out a program that is already running on its CPU, which preemption can bring about. */
static uint64_t link_skipped(int link_fd)
{
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info prog = { 0 };
	uint32_t link_len = sizeof(link), prog_len = sizeof(prog);
	int fd;

	if (bpf_obj_get_info_by_fd(link_fd, &link, &link_len) < 0)
		return 0;
	fd = bpf_prog_get_fd_by_id(link.prog_id);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &prog, &prog_len) < 0)
		prog.recursion_misses = 0;
	close(fd);
	return prog.recursion_misses;
}

int bpf_watch(struct bpf *b)
{
	uint64_t now = 0;
	void *stats;

	if (!b->stats) {
		stats = mmap(NULL, sizeof(*b->stats), PROT_READ | PROT_WRITE, MAP_SHARED,
			     bpf_map_fd(b, SVID_MAP_STATS), 0);
		if (stats == MAP_FAILED)
			return -errno;
		b->stats = stats;
	}
	for (unsigned int i = 0; i < b->n_links; i++)
		now += link_skipped(b->links[i].fd);
	if (now > b->skipped)
		__atomic_fetch_add(&b->stats->n[SVID_STAT_SKIPPED], now - b->skipped, __ATOMIC_SEQ_CST);
	b->skipped = now;
	return 0;
}

int bpf_unpin(const char *instance)
{
	char dir[128];
	int err = bpf_pin_dir(instance, dir);

	return err ? err : bpf_pin_drop(dir, false);
}
