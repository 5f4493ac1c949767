// SPDX-License-Identifier: Apache-2.0
/*
 * bpf_pin.c - maps and links under /sys/fs/bpf/svid-<instance>, so that a restart of svidd is no gap. svidd as root.
 * Names: map_<map>, link_<program>.
 */
#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/bpf_parts.h"

#define PIN_ROOT "/sys/fs/bpf"
#define PIN_PATH 192

int bpf_pin_dir(const char *instance, char *ret)
{
	size_t n = strlen(instance);

	if (n == 0 || n > 64)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)instance[i]) && instance[i] != '-' && instance[i] != '_')
			return -EINVAL;
	(void)snprintf(ret, 128, PIN_ROOT "/svid-%s", instance);
	return 0;
}

int bpf_pin_mount(void)
{
	struct statfs fs;

	if (statfs(PIN_ROOT, &fs) == 0 && fs.f_type == BPF_FS_MAGIC)
		return 0;
	if (mount("bpf", PIN_ROOT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return -errno;
	return 0;
}

/* Where bpffs was mounted with the kernel's mode, 01777, anybody may have made it before us. */
int bpf_pin_dir_check(const char *dir)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

static int pin_open(const char *dir, const char *kind, const char *name)
{
	char path[PIN_PATH];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s_%s", dir, kind, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static void maps_forget(struct bpf *b)
{
	for (int i = 0; i < BPF_MAPS; i++) {
		if (b->maps[i] >= 0)
			close(b->maps[i]);
		b->maps[i] = -1;
	}
}

/* A map of another size belongs to another svidd: nothing of it is read. */
static int map_check(int fd, uint32_t size)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	return size == 0 || info.value_size == size ? 0 : -ENOENT;
}

static int config_check(const struct bpf *b, struct svid_config *ret)
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(bpf_map_fd(b, SVID_MAP_CONFIG), &zero, ret) < 0)
		return -errno;
	return ret->abi == SVID_ABI_VERSION && ret->schema == SVID_SCHEMA_VERSION ? 0 : -ENOENT;
}

int bpf_pin_maps_open(struct bpf *b, const char *dir, struct svid_config *ret_config)
{
	int err = 0;

	for (int i = 0; i < BPF_MAPS && !err; i++) {
		b->maps[i] = pin_open(dir, "map", bpf_named_maps[i].name);
		err = b->maps[i] < 0 ? b->maps[i] : map_check(b->maps[i], bpf_named_maps[i].size);
	}
	if (!err)
		err = config_check(b, ret_config);
	if (err)
		maps_forget(b);
	return err;
}

/* Every link_ file of the directory: which they must be was settled by the build number of who pinned them. */
int bpf_pin_links_open(struct bpf *b, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int fd = 0;

	if (!d)
		return -errno;
	while (fd >= 0 && (e = readdir(d))) {
		if (strncmp(e->d_name, "link_", 5) != 0 || b->n_links == BPF_LINKS_MAX)
			continue;
		fd = pin_open(dir, "link", e->d_name + 5);
		if (fd < 0)
			break;
		b->links[b->n_links].fd = fd;
		(void)snprintf(b->links[b->n_links].name, BPF_NAME_MAX, "%s", e->d_name + 5);
		b->n_links++;
	}
	closedir(d);
	if (fd < 0)
		return fd;
	for (int i = 0; i < SVID_ITER_COUNT; i++)
		if (bpf_iter_fd(b, (enum svid_iter)i) < 0)
			return -ENOENT;
	return 0;
}

static int pin_one(const char *dir, const char *kind, const char *name, int fd)
{
	char path[PIN_PATH];

	(void)snprintf(path, sizeof(path), "%s/%s_%s", dir, kind, name);
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

static int maps_pin(const struct bpf *b, const char *dir)
{
	int err = 0;

	for (int i = 0; i < BPF_MAPS && !err; i++) {
		err = pin_one(dir, "map", bpf_named_maps[i].name, b->maps[i]);
		if (err == -EEXIST) /* taken over, the same map */
			err = 0;
	}
	return err;
}

int bpf_pin_all(const struct bpf *b, const char *dir)
{
	struct svid_config cfg;
	struct bpf pinned = { 0 };
	int err = bpf_pin_maps_open(&pinned, dir, &cfg);

	maps_forget(&pinned);
	err = bpf_pin_drop(dir, err == 0);
	if (err)
		return err;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	err = bpf_pin_dir_check(dir);
	if (!err)
		err = maps_pin(b, dir);
	for (unsigned int i = 0; i < b->n_links && !err; i++)
		err = pin_one(dir, "link", b->links[i].name, b->links[i].fd);
	return err;
}

int bpf_pin_drop(const char *dir, bool links_only)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int err = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while (!err && (e = readdir(d))) {
		if (e->d_name[0] == '.' || (links_only && strncmp(e->d_name, "link_", 5) != 0))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			err = -errno;
	}
	closedir(d);
	if (!err && !links_only && rmdir(dir) < 0)
		err = -errno;
	return err;
}
