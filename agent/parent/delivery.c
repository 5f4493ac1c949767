// SPDX-License-Identifier: Apache-2.0
/*
 * delivery.c - the credential tree's one descriptor: the kernel module's tree file, or /dev/fuse mounted where people look.
 * svidd opens it before svid-core starts, keeps it over every restart, and never reads from it. svidd as root. Next: links.c.
 *
 * Nothing here may look at what is under the mount point: until svid-core answers, whoever does waits.
 */
#include "agent/parent/delivery.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/module.h"
#include "agent/parent/parent.h"
#include "agent/parent/store.h"
#include "kmod/uapi/svid_dev.h"

#define FUSE_TYPE "fuse.svid"
#define FUSE_DIR "credentials" /* of the run directory */
#define STORED_TREE "tree"
#define STORED_FUSE "fuse"
#define STORED_STATE "fuse-state"

/* Also a mark: only a mount with this name is ours to take away. */
static void mount_name(const struct svidd *d, char name[static 64])
{
	(void)snprintf(name, 64, "svid-%s", d->o.instance);
}

static int failed(char *why, int err, const char *what, const char *hint)
{
	(void)snprintf(why, MODULE_WHY, "%.120s: %s -> %.110s", what, err_name(err), hint);
	return err;
}

/* As the kernel prints it in its table of mounts. The last component stays as it is: it may be a mount of ours. */
static int place(const struct options *o, char path[static LIM_PATH])
{
	char dir[LIM_PATH], whole[PATH_MAX];
	const char *name = FUSE_DIR;
	char *slash;
	int n = snprintf(dir, sizeof(dir), "%s", o->tree_dir ? o->tree_dir : o->run_dir);

	if (n < 0 || (size_t)n >= sizeof(dir))
		return -ENAMETOOLONG;
	if (o->tree_dir) {
		slash = strrchr(dir, '/');
		if (!slash || !slash[1] || slice_eq_str(slice_str(slash), "/..") || slice_eq_str(slice_str(slash), "/."))
			return -EINVAL;
		name = o->tree_dir + (slash - dir) + 1;
		slash[slash == dir] = 0;
	}
	if (!realpath(dir, whole))
		return -errno;
	n = snprintf(path, LIM_PATH, "%s/%s", slice_eq_str(slice_str(whole), "/") ? "" : whole, name);
	return n < 0 || n >= LIM_PATH ? -ENAMETOOLONG : 0;
}

enum mounted {
	MOUNTED_NOTHING,
	MOUNTED_OURS,
	MOUNTED_OTHER,
};

/* What is on top at @path: the last one in the table. */
static enum mounted what_is_mounted(const char *path, const char *name)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	enum mounted what = MOUNTED_NOTHING;
	struct mntent *m;

	while (f && (m = getmntent(f))) {
		if (!slice_eq_str(slice_str(m->mnt_dir), path))
			continue;
		what = slice_eq_str(slice_str(m->mnt_type), FUSE_TYPE) && slice_eq_str(slice_str(m->mnt_fsname), name) ?
			       MOUNTED_OURS :
			       MOUNTED_OTHER;
	}
	if (f)
		endmntent(f);
	return what;
}

/* Of a svidd that was killed: nobody answers there any more. umount2() does not ask the file system. */
static int unmount_ours(const char *path, const char *name)
{
	while (what_is_mounted(path, name) == MOUNTED_OURS)
		if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
			return -errno;
	return 0;
}

static int mount_on(const char *path, const char *name, struct identity core, int fuse)
{
	char options[128], target[40];
	int err = 0, dir = -1;

	err = setup_dir(path, 0755, 0, &dir);
	if (err)
		return err;
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40555,user_id=%u,group_id=%u,allow_other", fuse, core.uid,
		       core.gid);
	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", dir);
	if (mount(name, target, FUSE_TYPE, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, options) < 0)
		err = -errno;
	close(dir);
	return err;
}

static int fuse_mount(struct svidd *d, const char *path, const char *name, char *why)
{
	struct delivery_point *v = &d->delivery;
	int err = unmount_ours(path, name);

	if (err)
		return failed(why, err, "cannot unmount what an earlier svidd left", "umount -l, then start svidd again");
	if (what_is_mounted(path, name) == MOUNTED_OTHER)
		return failed(why, -EBUSY, path, "something else is mounted there: unmount it, or choose another --tree-dir");
	v->state = memfd_create("svid-fuse", MFD_CLOEXEC);
	v->fd = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (v->fd < 0 || v->state < 0)
		return failed(why, -errno, "cannot open /dev/fuse", "modprobe fuse");
	err = mount_on(path, name, d->who[ROLE_CORE], v->fd);
	return err ? failed(why, err, path,
			    "cannot mount there: svidd needs CAP_SYS_ADMIN, and a directory that is root's own") :
		     0;
}

static void close_point(struct delivery_point *v)
{
	if (v->fd >= 0)
		close(v->fd);
	if (v->state >= 0)
		close(v->state);
	v->fd = v->state = -1;
}

/* A mount without its state is no use: the next svid-core could not know what the one before had read. */
static bool take_kept_fuse(struct delivery_point *v, const char *path, const char *name)
{
	bool both = store_take_file(STORED_FUSE, &v->fd);

	both = store_take_file(STORED_STATE, &v->state) && both;
	if (both && what_is_mounted(path, name) == MOUNTED_OURS)
		return true;
	close_point(v);
	return false;
}

static int fuse_open(struct svidd *d, char *why)
{
	struct delivery_point *v = &d->delivery;
	char name[64], path[LIM_PATH];
	int err = place(&d->o, path);

	if (err)
		return failed(why, err, d->o.tree_dir ? d->o.tree_dir : d->o.run_dir, "choose another --tree-dir");
	mount_name(d, name);
	if (!take_kept_fuse(v, path, name))
		err = fuse_mount(d, path, name, why);
	if (err) {
		close_point(v);
		return err;
	}
	v->how = DELIVERY_FUSE;
	memcpy(v->path, path, sizeof(v->path));
	v->stored = store_put(STORED_FUSE, v->fd) && store_put(STORED_STATE, v->state);
	return 0;
}

/* TREE_BEGIN is the first word of every svid-core, and of nothing but a tree file. */
static bool take_kept_tree(int *ret_fd)
{
	int fd = -1;

	if (!store_take_file(STORED_TREE, &fd))
		return false;
	if (ioctl(fd, SVID_IOC_TREE_BEGIN) < 0) {
		close(fd);
		return false;
	}
	*ret_fd = fd;
	return true;
}

static int sysfs_open(struct svidd *d, char *why)
{
	struct delivery_point *v = &d->delivery;
	int dev, err = 0;

	if (!take_kept_tree(&v->fd)) {
		err = module_open(&dev, why);
		if (err)
			return err;
		err = module_tree(dev, &v->fd, why);
		close(dev);
	}
	if (err)
		return err;
	v->how = DELIVERY_SYSFS;
	(void)snprintf(v->path, sizeof(v->path), "%s", SVID_TREE_DIR);
	v->stored = store_put(STORED_TREE, v->fd);
	return 0;
}

/* What an earlier start left behind in another way of delivery. */
static void forget_others(struct svidd *d)
{
	char name[64], path[LIM_PATH];

	if (d->delivery.how != DELIVERY_FUSE) {
		mount_name(d, name);
		if (place(&d->o, path) == 0 && unmount_ours(path, name))
			log_warn(EV_CONFIG, KV("what", V_S("a stale mount stays")), KV("path", V_S(path)));
		store_forget(STORED_FUSE);
		store_forget(STORED_STATE);
	}
	if (d->delivery.how != DELIVERY_SYSFS)
		store_forget(STORED_TREE);
}

static int try(struct svidd *d, unsigned int how)
{
	char why[MODULE_WHY] = "";
	int err = how == DELIVERY_SYSFS ? sysfs_open(d, why) : fuse_open(d, why);

	if (!err)
		return 0;
	buf_printf(&d->delivery.notes, "%s: %s\n", delivery_name(how), why);
	log_info(EV_CONFIG, KV("not", V_S(delivery_name(how))), KV("why", V_S(why)));
	return err;
}

int delivery_open(struct svidd *d, unsigned int wanted)
{
	static const unsigned int order[] = { DELIVERY_SYSFS, DELIVERY_FUSE };
	struct delivery_point *v = &d->delivery;
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(order) && v->fd < 0; i++)
		if (wanted == DELIVERY_AUTO || wanted == order[i])
			err = try(d, order[i]);
	forget_others(d);
	if (buf_ok(&v->notes))
		return -ENOMEM;
	if (v->fd < 0 && wanted != DELIVERY_AUTO && wanted != DELIVERY_NONE) {
		log_error(EV_CONFIG, KV("delivery", V_S(delivery_name(wanted))), KV("err", V_S(err_name(err))),
			  KV("hint", V_S("delivery: auto, or see svid doctor")));
		return err;
	}
	log_info(EV_CONFIG, KV("delivery", V_S(delivery_name(v->how))), KV("path", V_S(v->path)));
	return 0;
}

static int send_one(struct chan *core, enum fd_kind kind, int fd)
{
	return chan_put_fds(core, P_FD, 0, &fd, 1, .kind = kind);
}

int delivery_send(const struct delivery_point *v, struct chan *core)
{
	int err;

	if (v->how == DELIVERY_SYSFS)
		return send_one(core, FD_KIND_TREE, v->fd);
	if (v->how != DELIVERY_FUSE)
		return 0;
	err = send_one(core, FD_KIND_FUSE, v->fd);
	return err ? err : send_one(core, FD_KIND_FUSE_STATE, v->state);
}

void delivery_end(struct delivery_point *v)
{
	if (v->how == DELIVERY_FUSE && !v->stored && umount2(v->path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		log_warn(EV_CONFIG, KV("what", V_S("not unmounted")), KV("path", V_S(v->path)),
			 KV("err", V_S(err_name(-errno))));
	close_point(v);
	buf_done(&v->notes);
}
