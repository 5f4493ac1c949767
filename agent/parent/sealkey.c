// SPDX-License-Identifier: Apache-2.0
/* sealkey.c - the sealing key: opened or made here, read only by svid-keys. svidd only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/parent/parent.h"

#define KEY_BYTES 32
#define KEY_FILE "sealing.key"
#define KEY_NEW ".sealing.key.new"

/* The directory lets svid-core make files: one of its own under this name must not become the key. */
static int check_key(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_nlink != 1 || (st.st_mode & 077))
		return -EPERM;
	return st.st_size == KEY_BYTES ? 0 : -ERR_SIZE;
}

static int open_key(int dir, const char *name, int *ret_fd)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = check_key(fd);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int write_key(int fd)
{
	uint8_t key[KEY_BYTES];
	int err = 0;

	if (getrandom(key, sizeof(key), 0) != sizeof(key))
		return -EIO;
	if (write(fd, key, sizeof(key)) != sizeof(key) || fsync(fd) < 0)
		err = errno ? -errno : -EIO;
	mem_wipe(key, sizeof(key));
	return err;
}

/* Whole or not at all: a key that a crash cut short would lock the state away. */
static int make_key(int dir)
{
	int fd, err;

	unlinkat(dir, KEY_NEW, 0);
	fd = openat(dir, KEY_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
	if (fd < 0)
		return -errno;
	err = write_key(fd);
	close(fd);
	if (!err && renameat2(dir, KEY_NEW, dir, KEY_FILE, RENAME_NOREPLACE) < 0)
		err = -errno;
	if (!err && fsync(dir) < 0)
		err = -errno;
	if (err)
		unlinkat(dir, KEY_NEW, 0);
	else
		log_info(EV_STATE, KV("what", V_S("new sealing key made")));
	return err;
}

/* systemd-creds: bound to the TPM or to this installation. Returns -ENOENT when there is none. */
static int from_credential(int *ret_fd)
{
	const char *path = getenv("CREDENTIALS_DIRECTORY");
	int dir, err;

	if (!path)
		return -ENOENT;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	err = open_key(dir, "svid-sealing-key", ret_fd);
	close(dir);
	return err;
}

int setup_sealing_key(int state_dir, int *ret_fd)
{
	int err = from_credential(ret_fd);

	if (err != -ENOENT) {
		if (err)
			log_error(EV_STATE, KV("credential", V_S("svid-sealing-key")), KV("err", V_S(err_name(err))));
		return err;
	}
	err = open_key(state_dir, KEY_FILE, ret_fd);
	if (err != -ENOENT) {
		if (err)
			log_error(EV_STATE, KV("file", V_S(KEY_FILE)), KV("err", V_S(err_name(err))),
				  KV("rule", V_S("32 bytes, owned by root, mode 0400")));
		return err;
	}
	err = make_key(state_dir);
	return err ? err : open_key(state_dir, KEY_FILE, ret_fd);
}
