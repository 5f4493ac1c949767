// SPDX-License-Identifier: Apache-2.0
/* setup.c - directories, listeners, audit log: what root opens for the others and keeps. svidd only. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/parent.h"
#include "agent/parent/store.h"

#define LOCK_TRIES 20
#define LOCK_PAUSE_US 50000

#define BACKLOG 4096 /* the kernel lowers it to net.core.somaxconn */

static int say(const char *path, int err)
{
	if (err < 0)
		log_error(EV_CONFIG, KV("path", V_S(path)), KV("err", V_S(err_name(err))), KV("why", V_S(err_text(err))));
	return err;
}

/* One that another user owns is a trap and is refused. */
int setup_dir(const char *path, mode_t mode, gid_t gid, int *ret_fd)
{
	struct stat st;
	int fd, err = 0;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (st.st_uid != 0)
		err = -EPERM;
	else if (fchown(fd, 0, gid) < 0 || fchmod(fd, mode) < 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int make_dir(const char *path, mode_t mode)
{
	int fd = -1;
	int err = setup_dir(path, mode, 0, &fd);

	if (!err)
		close(fd);
	return say(path, err);
}

static int path_in(char *out, size_t size, const char *dir, const char *name)
{
	int n = snprintf(out, size, "%s/%s", dir, name);

	return n < 0 || (size_t)n >= size ? say(dir, -ENAMETOOLONG) : 0;
}

/*
 * Nobody has to pass us descriptors: whoever frees a message that holds one may wait for it as long as its sender likes
 * (SO_LINGER, A21). Linux 6.16; where it is missing the tier has to see to it.
 */
static void refuse_rights(int fd)
{
	int off = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off)) < 0 && errno != ENOPROTOOPT)
		log_warn(EV_STATE, KV("what", V_S("SO_PASSRIGHTS")), KV("err", V_S(err_name(-errno))));
}

/* SO_PASSCRED before listen(): accepted sockets inherit it, so bytes queued before accept() are covered (K2). */
static int make_socket(const char *name, const char *path, int type, mode_t mode, int *ret_fd)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int on = 1, err = 0, fd;
	mode_t mask;

	if (store_take(name, path, ret_fd))
		return 0;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say(path, -errno);
	memcpy(sa.sun_path, path, strlen(path) + 1); /* both are 108 bytes */
	unlink(path);
	mask = umask(0777 & ~mode);
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		err = -errno;
	umask(mask);
	if (err) {
		close(fd);
		return say(path, err);
	}
	refuse_rights(fd);
	*ret_fd = fd;
	return 0;
}

/*
 * Children of a svidd that was just killed hold its lock for a moment, until they exec or die of the
 * same end: a restart waits for them.
 */
static int lock_patiently(int fd)
{
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (i == LOCK_TRIES)
			return -EBUSY;
		usleep(LOCK_PAUSE_US);
	}
	return 0;
}

/* Two agents on one run directory would take each other's sockets away. */
static int lock_dir(const char *run_dir, int *ret_fd)
{
	char path[LIM_PATH];
	int err = path_in(path, sizeof(path), run_dir, "lock");
	int fd;

	if (err)
		return err;
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return say(path, -errno);
	err = lock_patiently(fd);
	if (err) {
		if (err == -EBUSY)
			log_error(EV_CONFIG, KV("path", V_S(run_dir)), KV("what", V_S("another svidd runs here")));
		close(fd);
		return say(path, err);
	}
	*ret_fd = fd;
	return 0;
}

static int setup_run(const char *run_dir, struct things *t)
{
	char public_dir[sizeof(t->public_path)], private_dir[sizeof(t->admin_path)];
	int err = path_in(public_dir, sizeof(public_dir), run_dir, "public");

	if (!err)
		err = path_in(private_dir, sizeof(private_dir), run_dir, "private");
	if (!err)
		err = path_in(t->public_path, sizeof(t->public_path), public_dir, "api.sock");
	if (!err)
		err = path_in(t->admin_path, sizeof(t->admin_path), private_dir, "admin.sock");
	if (!err)
		err = make_dir(run_dir, 0755);
	if (!err)
		err = lock_dir(run_dir, &t->lock);
	if (!err)
		err = make_dir(public_dir, 0755);
	if (!err)
		err = make_dir(private_dir, 0700);
	if (!err)
		err = make_socket("public", t->public_path, SOCK_STREAM, 0777, &t->listen_public);
	if (!err)
		err = make_socket("admin", t->admin_path, SOCK_SEQPACKET, 0600, &t->listen_admin);
	return err;
}

/* Only root may have made it: a link to another file would let svid-core append there. */
int setup_audit(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	struct stat st;

	if (fd < 0)
		return say(path, -errno);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_nlink != 1) {
		close(fd);
		return say(path, -EPERM);
	}
	*ret_fd = fd;
	return 0;
}

int setup_things(const struct options *o, struct identity core, struct things *ret_t)
{
	struct things t = { -1, -1, -1, -1, -1, -1, -1, false, "", "" };
	int err = setup_run(o->run_dir, &t);

	/* svid-core may make files here (group, write), but sticky: it can neither remove nor replace root's key. */
	if (!err)
		err = say(o->state_dir, setup_dir(o->state_dir, 01770, core.gid, &t.state_dir));
	if (!err)
		err = say(o->state_dir, setup_sealing_key(t.state_dir, &t.sealing_key));
	if (!err)
		err = setup_audit(o->audit_path, &t.audit);
	if (!err)
		*ret_t = t;
	return err;
}

static int bind_loopback(uint32_t port, int *ret_fd)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1, err = 0, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		err = -errno;
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

/* Identities do not depend on it: a port that somebody else has stops nobody else. `svid doctor` says so. */
void setup_oidc(uint32_t port, struct things *t)
{
	int err = port ? bind_loopback(port, &t->listen_oidc) : 0;

	if (err)
		log_error(EV_CONFIG, KV("setting", V_S("oidc.port")), KV("port", V_U(port)), KV("err", V_S(err_name(err))),
			  KV("why", V_S(err_text(err))), KV("what", V_S("the OIDC documents are not served")));
}

uint32_t setup_oidc_port(const struct things *t)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	return t->listen_oidc >= 0 && getsockname(t->listen_oidc, (struct sockaddr *)&sa, &len) == 0 ? ntohs(sa.sin_port) : 0;
}

int setup_listen(struct things *t)
{
	if (listen(t->listen_public, BACKLOG) < 0 || listen(t->listen_admin, BACKLOG) < 0)
		return -errno;
	t->stored = store_put("public", t->listen_public) && store_put("admin", t->listen_admin);
	return 0;
}

void setup_remove(const struct things *t)
{
	if (t->stored)
		return;
	unlink(t->public_path);
	unlink(t->admin_path);
}
