// SPDX-License-Identifier: Apache-2.0
/*
 * links.c - which channel ends go where. svidd makes every pair, gives both ends away and keeps one
 * kind only: svid-keys' ends of the front pairs, so that a new svid-keys serves the fronts that are
 * there. svidd only. The order is in agent/ipc/PROTOCOL.md.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/parent.h"

int links_pair(int ret_pair[static 2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_pair) < 0 ? -errno : 0;
}

static void close_pair(const int pair[static 2])
{
	close(pair[0]);
	close(pair[1]);
}

static int send_peer(struct chan *core, const struct child *c, int fd)
{
	return chan_put_fds(core, P_PEER, 0, &fd, 1, .role = c->role, .index = c->index, .pid = (uint32_t)c->pid);
}

static int send_fronts(struct svidd *d)
{
	for (size_t i = 0; i < FRONT_SLOTS; i++) {
		struct child *f = &d->fronts[i];
		int err;

		if (!f->pid || f->life != d->core_life)
			continue;
		err = chan_put_fds(d->keys.chan, K_FRONT, 0, &f->keys_fd, 1, .number = f->index);
		if (err)
			return err;
	}
	return 0;
}

/* K_CORE first: with it svid-keys forgets the numbers of the svid-core before. */
int links_keys(struct svidd *d)
{
	int pair[2];
	int err;

	if (!d->keys.chan || !d->core.chan)
		return 0; /* the other one's start comes here again */
	err = links_pair(pair);
	if (err)
		return err;
	err = chan_put_fds(d->keys.chan, K_CORE, 0, &pair[0], 1);
	if (!err)
		err = send_peer(d->core.chan, &d->keys, pair[1]);
	close_pair(pair);
	if (!err && d->cloud.pid)
		err = chan_put_fds(d->keys.chan, K_CLOUD, 0, &d->cloud.keys_fd, 1);
	return err ? err : send_fronts(d);
}

int links_attest(struct child *c)
{
	struct chan *core = c->d->core.chan;
	int pair[2];
	int err;

	if (!c->chan || !core)
		return 0;
	err = links_pair(pair);
	if (err)
		return err;
	err = chan_put_fds(c->chan, A_CORE, 0, &pair[0], 1);
	if (!err)
		err = send_peer(core, c, pair[1]);
	close_pair(pair);
	return err;
}

/* svid-keys may be in its back-off: links_keys() brings it then. */
int links_cloud(const struct child *c, int core_fd)
{
	struct svidd *d = c->d;
	int err = d->keys.chan ? chan_put_fds(d->keys.chan, K_CLOUD, 0, &c->keys_fd, 1) : 0;

	return err ? err : send_peer(d->core.chan, c, core_fd);
}

int links_undertaker(const struct child *c, int fd)
{
	return send_peer(c->d->core.chan, c, fd);
}

static int send_fd(struct chan *core, enum fd_kind kind, int fd)
{
	return chan_put_fds(core, P_FD, 0, &fd, 1, .kind = kind);
}

/* One that cannot be opened is logged, and the former one goes on being used. */
void links_audit(struct svidd *d)
{
	int fd;

	if (setup_audit(d->o.audit_path, &fd))
		return;
	close(d->t.audit);
	d->t.audit = fd;
	if (d->core.chan && send_fd(d->core.chan, FD_KIND_AUDIT, fd))
		super_kill(&d->core);
}

static int send_things(struct svidd *d)
{
	struct chan *core = d->core.chan;
	int dir = open(d->o.policy_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = dir < 0 ? -errno : send_fd(core, FD_KIND_POLICY_DIR, dir);

	if (dir >= 0)
		close(dir);
	if (!err)
		err = send_fd(core, FD_KIND_PUBLIC, d->t.listen_public);
	if (!err)
		err = send_fd(core, FD_KIND_ADMIN, d->t.listen_admin);
	if (!err)
		err = send_fd(core, FD_KIND_STATE_DIR, d->t.state_dir);
	if (!err)
		err = send_fd(core, FD_KIND_AUDIT, d->t.audit);
	if (!err)
		err = delivery_send(&d->delivery, core);
	return err ? err : evidence_send(d->evidence, core);
}

static int send_go(struct svidd *d)
{
	return chan_put(d->core.chan, P_GO, 0, .tier = evidence_tier(d->evidence),
			.instance = slice_str(d->o.instance), .public_path = slice_str(d->t.public_path),
			.admin_path = slice_str(d->t.admin_path), .config_path = slice_str(d->o.config_path),
			.policy_path = slice_str(d->o.policy_dir), .state_path = slice_str(d->o.state_dir),
			.audit_path = slice_str(d->o.audit_path),
			.tier_notes = slice_str(evidence_notes(d->evidence)),
			.tree_path = slice_str(d->delivery.path),
			.tree_notes = slice_str(buf_cstr(&d->delivery.notes)), .oidc_port = setup_oidc_port(&d->t));
}

int links_core(struct svidd *d)
{
	int err = send_things(d);

	if (!err)
		err = links_keys(d);
	for (size_t i = 0; i < LIM_ATTEST_WORKERS && !err; i++)
		err = links_attest(&d->attest[i]);
	return err ? err : send_go(d);
}
