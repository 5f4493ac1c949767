/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_agent.c - files, sockets and directories of an installed svidd as they are on disk. svid doctor. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/cli/doctor.h"
#include "agent/cli/endpoint.h"

#define LINE_BYTES 4096

static int look(const struct patient *p, const char *path, struct stat *st)
{
	AUTO(buf) struct buf full = BUF_INIT(LINE_BYTES);

	buf_printf(&full, "%s%s", p->root, path);
	return lstat(buf_cstr(&full), st) < 0 ? -errno : 0;
}

/* Starts the line; a missing or unreadable thing is a finding of its own. */
static int begin(const struct patient *p, const char *name, const char *path, struct stat *st, struct buf *what)
{
	int err = look(p, path, st);

	buf_printf(what, "%s ", name);
	buf_put_esc(what, slice_str(path));
	if (err)
		buf_printf(what, ": %s", err_text(err));
	else
		buf_printf(what, ": mode %04o, uid %u", st->st_mode & 07777, (unsigned int)st->st_uid);
	return err;
}

static void put_parent(struct buf *out, const char *path)
{
	const char *slash = strrchr(path, '/');

	buf_put(out, path, slash && slash != path ? (size_t)(slash - path) : 1);
}

static enum finding check_socket(const struct patient *p, struct buf *what, struct buf *todo)
{
	struct stat st;
	int err = begin(p, "Workload API socket", p->socket, &st, what);
	int fd;

	if (err) {
		buf_put_str(todo, "is svidd running? systemctl status svidd");
		return FINDING_FAIL;
	}
	if (!S_ISSOCK(st.st_mode) || (st.st_mode & 0777) != 0777) {
		buf_put_str(todo, "every workload must be able to connect: it is made 0777 by svidd; restart svidd");
		return FINDING_FAIL;
	}
	err = *p->root ? 0 : endpoint_connect(p->socket, 0, &fd);
	if (err) {
		buf_printf(todo, "connecting fails (%s): is svidd running? systemctl status svidd", err_text(err));
		return FINDING_FAIL;
	}
	if (!*p->root)
		close(fd);
	return FINDING_OK;
}

static enum finding check_socket_dir(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf dir = BUF_INIT(LINE_BYTES);
	struct stat st;

	put_parent(&dir, p->socket);
	if (begin(p, "its directory", buf_cstr(&dir), &st, what))
		return FINDING_WARN;
	if (st.st_uid == 0 && !(st.st_mode & 022))
		return FINDING_OK;
	buf_put_str(todo, "whoever may write there can put another socket in place: chown root, chmod 0755");
	return FINDING_FAIL;
}

static enum finding check_admin(const struct patient *p, struct buf *what, struct buf *todo)
{
	AUTO(buf) struct buf dir = BUF_INIT(LINE_BYTES);
	struct stat st;

	put_parent(&dir, p->admin);
	if (begin(p, "directory of admin.sock", buf_cstr(&dir), &st, what)) {
		buf_put_str(todo, "is svidd running? systemctl status svidd");
		return FINDING_WARN;
	}
	if (!(st.st_mode & 07))
		return FINDING_OK;
	buf_put_str(todo, "others may not enter it: chmod o-rwx");
	return FINDING_FAIL;
}

static enum finding check_state(const struct patient *p, struct buf *what, struct buf *todo)
{
	struct stat st;

	if (begin(p, "state directory", p->state_dir, &st, what)) {
		buf_put_str(todo, "svidd makes it at its first start; until then there is no authority");
		return FINDING_WARN;
	}
	/* svidd gives it to svid-core's group and keeps the sealing key there as root's, 0600. */
	if (S_ISDIR(st.st_mode) && st.st_uid == 0 && !(st.st_mode & 07))
		return FINDING_OK;
	buf_put_str(todo, "it holds the sealed authority and its key: chown root, chmod o-rwx");
	return FINDING_FAIL;
}

static enum finding check_config(const struct patient *p, struct buf *what, struct buf *todo)
{
	struct stat st;

	if (begin(p, "configuration", p->config, &st, what)) {
		buf_put_str(todo, "svidd needs it; trustDomain is the one required key");
		return FINDING_WARN;
	}
	if (st.st_uid == 0 && !(st.st_mode & 022))
		return FINDING_OK;
	buf_put_str(todo, "whoever may write it decides who is who: chown root, chmod 0644");
	return FINDING_FAIL;
}

static enum finding check_policy(const struct patient *p, struct buf *what, struct buf *todo)
{
	struct stat st;

	if (begin(p, "policy directory", p->policy_dir, &st, what)) {
		buf_put_str(todo, "make it and put WorkloadIdentity documents there; check them with: svid policy check");
		return FINDING_WARN;
	}
	if (st.st_uid == 0 && !(st.st_mode & 022))
		return FINDING_OK;
	buf_put_str(todo, "whoever may write there decides who is who: chown root, chmod 0755");
	return FINDING_FAIL;
}

static enum finding check_env(const struct patient *p, struct buf *what, struct buf *todo)
{
	buf_put_str(what, "SPIFFE_ENDPOINT_SOCKET ");
	if (!p->bad_env) {
		buf_put_str(what, "is usable or not set");
		return FINDING_OK;
	}
	buf_put_esc(what, slice_str(p->bad_env));
	buf_put_str(todo, "no client can use it; it must be unix:///absolute/path");
	return FINDING_WARN;
}

const struct check doctor_agent_checks[] = {
	{ "environment", check_env },
	{ "socket", check_socket },
	{ "socket-directory", check_socket_dir },
	{ "admin-directory", check_admin },
	{ "state-directory", check_state },
	{ "configuration", check_config },
	{ "policy-directory", check_policy },
	{ NULL, NULL },
};
