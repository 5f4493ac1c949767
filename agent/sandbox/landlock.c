// SPDX-License-Identifier: Apache-2.0
/*
 * landlock.c - the file system, TCP and signals of a role, as far as this kernel's Landlock goes.
 * Any child of svidd. The ABI is asked at run time; the numbers are the kernel's (landlock(7)), spelled
 * here because Debian 12's headers stop at ABI 2.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/sandbox/internal.h"

#define RULE_PATH_BENEATH 1
#define CREATE_VERSION 1u

#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_TRUNCATE (1ull << 14)
#define FS_FILE_ONLY (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | 1ull << 15)
#define FS_OF_WRITE (FS_WRITE_FILE | 0x1ff0ull /* remove, make */ | 1ull << 13 /* refer */ | FS_TRUNCATE)
#define NET_BIND (1ull << 0)
#define NET_CONNECT (1ull << 1)

struct ruleset_attr {
	uint64_t handled_fs;
	uint64_t handled_net; /* ABI 4 */
	uint64_t scoped;      /* ABI 6 */
};

struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* All that ABI @abi can refuse, but for what the plan needs. Bits 0-12 came with 1, then one each with 2, 3 and 5. */
static struct ruleset_attr refused(int abi, const struct sandbox_plan *plan)
{
	unsigned int bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;

	return (struct ruleset_attr){
		.handled_fs = (1ull << bits) - 1,
		.handled_net = abi < 4 ? 0 : plan->connects ? NET_BIND : NET_BIND | NET_CONNECT,
		.scoped = abi >= 6 ? 3 /* abstract sockets and signals */ : 0,
	};
}

static uint64_t rights(unsigned int access)
{
	uint64_t r = 0;

	if (access & SANDBOX_READ)
		r |= FS_READ_FILE | FS_READ_DIR;
	if (access & SANDBOX_WRITE)
		r |= FS_OF_WRITE;
	if (access & SANDBOX_EXEC)
		r |= FS_EXECUTE | FS_READ_FILE;
	return r;
}

static int add_fd(int ruleset, int fd, uint64_t allowed)
{
	struct path_attr attr = { .allowed = allowed, .fd = fd };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		attr.allowed &= FS_FILE_ONLY;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0 ? -errno : 0;
}

/* A path that does not exist cannot be opened either: not an error. */
static int add_path(int ruleset, const struct sandbox_path *p, uint64_t handled)
{
	int fd, err;

	if (!p->path)
		return add_fd(ruleset, p->fd, rights(p->access) & handled);
	fd = open(p->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = add_fd(ruleset, fd, rights(p->access) & handled);
	close(fd);
	return err;
}

static int restrict_self(int ruleset, const struct sandbox_plan *plan, uint64_t handled)
{
	for (size_t i = 0; i < plan->n_paths; i++) {
		int err = add_path(ruleset, &plan->paths[i], handled);

		if (err)
			return err;
	}
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int sandbox_landlock(const struct sandbox_plan *plan)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	struct ruleset_attr attr = refused(abi, plan);
	size_t size = abi >= 6 ? sizeof(attr) : abi >= 4 ? 16 : 8;
	int ruleset, err;

	if (abi < 1) {
		log_info(EV_SANDBOX, KV("landlock", V_S("not in this kernel")));
		return 0;
	}
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return -errno;
	err = restrict_self(ruleset, plan, attr.handled_fs);
	close(ruleset);
	log_debug(EV_SANDBOX, KV("landlock", V_I(abi)), KV("err", V_S(err_name(err))));
	return err;
}
