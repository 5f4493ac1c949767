// SPDX-License-Identifier: Apache-2.0
/* names.c - user and group names. NSS may load plugins, ask daemons and hang: that is why it is here. svid-attest. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "agent/attest/attest.h"
#include "agent/ipc/lists.h"

#define NSS_BUF (64u << 10) /* bytes of one entry; a group's members count */

static char nss_buf[NSS_BUF];

/* The ways in which NSS says "there is none" (getpwnam(3), ERRORS). */
static bool is_absent(int e)
{
	return e == 0 || e == ENOENT || e == ESRCH || e == EBADF || e == EPERM;
}

/* A source that failed may hide behind one that knows no such id ("files systemd"): what can be seen of it is looked at. */
static int absent_from(const char *database)
{
	return access(database, R_OK) < 0 && errno != ENOENT ? -errno : 0;
}

static int user_name(uint32_t uid, const char **ret_name)
{
	struct passwd pw, *found = NULL;
	int e = getpwuid_r(uid, &pw, nss_buf, sizeof(nss_buf), &found);

	if (!found && !is_absent(e))
		return -e;
	*ret_name = found ? pw.pw_name : "";
	return found ? 0 : absent_from("/etc/passwd");
}

static int group_name(uint32_t gid, const char **ret_name)
{
	struct group gr, *found = NULL;
	int e = getgrgid_r(gid, &gr, nss_buf, sizeof(nss_buf), &found);

	if (!found && !is_absent(e))
		return -e;
	*ret_name = found ? gr.gr_name : "";
	return found ? 0 : absent_from("/etc/group");
}

/* A name longer than the message has room for is as good as none. */
static void put_name(struct buf *b, const char *name)
{
	if (strlen(name) <= b->max)
		buf_put_str(b, name);
}

static int groups_names(struct slice gids, struct buf *out)
{
	while (gids.len) {
		const char *name = "";
		int err = group_name(slice_get_u32(&gids), &name);

		if (err)
			return err;
		list_put_str(out, slice_str(name));
	}
	return buf_ok(out);
}

void names_lookup(const struct msg_A_IDENTIFY *ask, struct names_answer *out)
{
	const char *name = "";
	int err = user_name(ask->uid, &name);

	if (!err) {
		put_name(&out->user, name);
		err = group_name(ask->gid, &name);
	}
	if (!err) {
		put_name(&out->group, name);
		err = groups_names(ask->groups, &out->groups);
	}
	out->err = err;
	if (!err)
		return;
	/* Never a part of the names: what needs them must not match by half (A24). */
	buf_reset(&out->user);
	buf_reset(&out->group);
	buf_reset(&out->groups);
}

/* An id that nobody has makes the lookup go through every configured source. */
void names_warm_up(void)
{
	const char *name;

	(void)!user_name(UINT32_MAX - 7, &name);
	(void)!group_name(UINT32_MAX - 7, &name);
}
