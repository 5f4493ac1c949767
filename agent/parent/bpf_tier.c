// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_tier.c - which programs make up a tier, and how they get onto their hooks. Runs in svidd as root.
 * The programs are kmod/bpf/svid.bpf.c; a name's prefix says in which tiers it runs.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/parent/bpf_parts.h"
#include "gen/svid.skel.h"

/* libbpf 1.1 is older than the hook (Linux 6.7), so its numbers are ours to know. */
#define CGROUP_UNIX_CONNECT ((enum bpf_attach_type)49)

#define FNV64_START 14695981039346656037ull
#define FNV64_PRIME 1099511628211ull

static void skel_autoclean(struct svid_bpf **s)
{
	svid_bpf__destroy(*s);
}

static void btf_ptr_autoclean(struct btf **b)
{
	btf__free(*b);
}

const char *bpf_tier_prefix(uint32_t tier)
{
	switch (tier) {
	case SVID_TIER_LSM:
		return "lsm_";
	case SVID_TIER_FENTRY:
		return "fentry_";
	case SVID_TIER_TP:
		return "tp_";
	default:
		return NULL;
	}
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static uint64_t fnv64(uint64_t h, const void *p, size_t n)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * FNV64_PRIME;
	return h;
}

uint64_t bpf_tier_build(uint32_t tier, const char *listener)
{
	const char *name = last_component(listener);
	size_t size = 0;
	const void *elf = svid_bpf__elf_bytes(&size);
	uint64_t h = fnv64(FNV64_START, elf, size);

	return fnv64(fnv64(h, &tier, sizeof(tier)), name, strlen(name));
}

static uint32_t tier_conn_flags(uint32_t tier)
{
	uint32_t trampolines = SVID_CONN_SEES_TRACE | SVID_CONN_SEES_CRED | SVID_CONN_SEES_SPLICE;

	if (tier == SVID_TIER_LSM)
		return trampolines | SVID_CONN_REFUSES;
	return tier == SVID_TIER_FENTRY ? trampolines : 0;
}

static int set_rodata(struct svid_bpf *s, uint32_t tier, const char *listener)
{
	const char *name = last_component(listener);
	size_t n = strlen(name);

	if (n == 0 || n >= sizeof(s->rodata->svid_name))
		return -ENAMETOOLONG;
	*(uint32_t *)&s->rodata->svid_tier = tier;
	*(uint32_t *)&s->rodata->svid_conn_flags = tier_conn_flags(tier);
	memset((char *)s->rodata->svid_name, 0, sizeof(s->rodata->svid_name));
	memcpy((char *)s->rodata->svid_name, name, n);
	*(uint32_t *)&s->rodata->svid_name_len = (uint32_t)n;
	return 0;
}

/* A program that hooks a function which newer kernels lack is left out there; nothing else may be missing. */
static bool is_wanted(const struct btf *kernel, const char *program, uint32_t tier)
{
	const char *prefix = bpf_tier_prefix(tier);

	if (strcmp(program, "fentry_sendpage") == 0 &&
	    btf__find_by_name_kind(kernel, "unix_stream_sendpage", BTF_KIND_FUNC) < 0)
		return false;
	if (strncmp(program, "all_", 4) == 0 || strncmp(program, prefix, strlen(prefix)) == 0)
		return true;
	return strncmp(program, "any_", 4) == 0 && tier != SVID_TIER_TP;
}

static int choose_programs(struct svid_bpf *s, uint32_t tier)
{
	AUTO(btf_ptr) struct btf *kernel = btf__load_vmlinux_btf();
	struct bpf_program *p;
	int err = 0;

	if (!kernel)
		return -ENOENT;
	bpf_object__for_each_program(p, s->obj) {
		err = bpf_program__set_autoload(p, is_wanted(kernel, bpf_program__name(p), tier));
		if (err)
			return err;
	}
	*(uint32_t *)&s->rodata->svid_looks_up = btf__find_by_name_kind(kernel, "bpf_task_from_pid", BTF_KIND_FUNC) > 0;
	err = bpf_program__set_type(s->progs.tp_connect, BPF_PROG_TYPE_CGROUP_SOCK_ADDR);
	return err ? err : bpf_program__set_expected_attach_type(s->progs.tp_connect, CGROUP_UNIX_CONNECT);
}

static int reuse_maps(struct bpf *b, struct svid_bpf *s)
{
	int err = 0;

	for (int i = 0; i < BPF_MAPS && !err; i++)
		if (b->maps[i] >= 0)
			err = bpf_map__reuse_fd(bpf_object__find_map_by_name(s->obj, bpf_named_maps[i].name), b->maps[i]);
	return err;
}

/* Descriptors of our own, so that the skeleton can go. */
static int keep_maps(struct bpf *b, struct svid_bpf *s)
{
	for (int i = 0; i < BPF_MAPS; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(s->obj, bpf_named_maps[i].name);

		if (b->maps[i] >= 0)
			continue;
		b->maps[i] = map ? fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 10) : -1;
		if (b->maps[i] < 0)
			return -errno;
	}
	return 0;
}

/* The mount point of cgroup v2 (a hybrid host has it elsewhere), as a descriptor. */
static int cgroup2_open(void)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int fd = -ENOENT;

	if (!f)
		return -errno;
	while (fd < 0 && (m = getmntent(f))) {
		if (strcmp(m->mnt_type, "cgroup2") != 0)
			continue;
		fd = open(m->mnt_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	endmntent(f);
	return fd;
}

static int attach_cgroup(const struct bpf_program *p)
{
	int cgroup = cgroup2_open();
	int fd;

	if (cgroup < 0)
		return cgroup;
	fd = bpf_link_create(bpf_program__fd(p), cgroup, CGROUP_UNIX_CONNECT, NULL);
	if (fd < 0)
		fd = -errno;
	close(cgroup);
	return fd;
}

static int attach_one(const struct bpf_program *p)
{
	struct bpf_link *link;
	int fd;

	if (bpf_program__expected_attach_type(p) == CGROUP_UNIX_CONNECT)
		return attach_cgroup(p);
	link = bpf_program__attach(p);
	if (!link)
		return -errno;
	fd = fcntl(bpf_link__fd(link), F_DUPFD_CLOEXEC, 10);
	if (fd < 0)
		fd = -errno;
	bpf_link__destroy(link);
	return fd;
}

static int attach_all(struct bpf *b, struct svid_bpf *s, char *why)
{
	struct bpf_program *p;
	int fd;

	bpf_object__for_each_program(p, s->obj) {
		if (!bpf_program__autoload(p))
			continue;
		if (b->n_links == BPF_LINKS_MAX)
			return -E2BIG;
		fd = attach_one(p);
		if (fd < 0) {
			bpf_why_failed(b->tier, "cannot attach", bpf_program__name(p), fd, why);
			return fd;
		}
		b->links[b->n_links].fd = fd;
		(void)snprintf(b->links[b->n_links].name, BPF_NAME_MAX, "%s", bpf_program__name(p));
		b->n_links++;
	}
	return 0;
}

/* libbpf tells which program failed only in its log; this keeps the name. */
static char failed_program[BPF_NAME_MAX];

PRINTF_LIKE(2, 0)
static int listen_to_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[256];
	char *start, *end;

	if (level != LIBBPF_WARN)
		return 0;
	(void)vsnprintf(line, sizeof(line), fmt, args);
	start = strstr(line, "prog '");
	end = start ? strstr(start + 6, "': ") : NULL;
	if (end && !failed_program[0])
		(void)snprintf(failed_program, sizeof(failed_program), "%.*s", (int)(end - start - 6), start + 6);
	return 0;
}

static int load_programs(struct svid_bpf *s, uint32_t tier, char *why)
{
	libbpf_print_fn_t before = libbpf_set_print(listen_to_libbpf);
	int err;

	failed_program[0] = 0;
	err = svid_bpf__load(s);
	(void)libbpf_set_print(before);
	if (err)
		bpf_why_failed(tier, "cannot load", failed_program, err, why);
	return err;
}

int bpf_tier_load(struct bpf *b, const char *listener, char *why)
{
	AUTO(skel) struct svid_bpf *s = svid_bpf__open();
	int err;

	if (!s)
		return -errno;
	err = set_rodata(s, b->tier, listener);
	if (!err)
		err = choose_programs(s, b->tier);
	if (!err)
		err = reuse_maps(b, s);
	if (err) {
		bpf_why_failed(b->tier, "cannot prepare", "programs", err, why);
		return err;
	}
	err = load_programs(s, b->tier, why);
	if (err)
		return err;
	err = attach_all(b, s, why);
	return err ? err : keep_maps(b, s);
}

static int read_to_end(int link_fd)
{
	int fd = bpf_iter_create(link_fd);
	char sink[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, sink, sizeof(sink));
	} while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
	close(fd);
	return n < 0 ? -errno : 0;
}

int bpf_tier_scan(struct bpf *b)
{
	int err = 0;

	for (unsigned int i = 0; i < b->n_links; i++) {
		if (strcmp(b->links[i].name, "all_scan") != 0)
			continue;
		err = read_to_end(b->links[i].fd);
		return err ? err : read_to_end(b->links[i].fd);
	}
	return -ENOENT;
}
