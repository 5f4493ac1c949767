/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - the path of a cgroup v2 group from the id that the kernel recorded, and its systemd unit. svid-core.
 *
 * An id is the inode number of the group's directory; ids are never used again and a v2 group cannot be
 * renamed, so a path that was found once stays true. /proc/PID/cgroup is a hint only: the inode of the directory
 * it names decides. Without a usable hint the tree is searched, a few times a second at most.
 */
#ifndef CORE_CGROUP_H
#define CORE_CGROUP_H

#include <sys/types.h>

#include "agent/base/slice.h"

struct cgroups;

/**
 * cgroups_new() - open the v2 hierarchy below @mount, NULL for the usual places. Owned by the caller.
 * Errors: -ENOENT (no v2 hierarchy mounted), -ENOMEM, -errno.
 */
MUST int cgroups_new(const char *mount, struct cgroups **ret_groups);

/** cgroups_free() - NULL is fine. */
void cgroups_free(struct cgroups *g);

/**
 * cgroups_path() - path of the group @id, "/system.slice/app.service"; "/" for the root.
 * @pid: a process that was in the group, for the hint; 0 = none.
 * @ret_path: borrowed until the next call.
 * Errors: -ENOENT (no such group now), -EBUSY (searched too often lately), -ENOMEM, -errno.
 */
MUST int cgroups_path(struct cgroups *g, pid_t pid, uint64_t id, struct slice *ret_path);

/**
 * cgroup_hint() - where /proc/PID/cgroup says that @pid is in the v2 hierarchy now; empty when it does not say.
 * The slice borrows from @text and ends with a NUL there.
 */
struct slice cgroup_hint(pid_t pid, char *text, size_t size);

/**
 * cgroup_unit() - the systemd unit that a v2 path belongs to: the first component that is not a slice, when it
 * has a unit's suffix. Groups that a unit makes below itself, whatever their names, belong to that unit.
 * Empty when there is none. The slice borrows from @path.
 */
struct slice cgroup_unit(struct slice path);

#endif
