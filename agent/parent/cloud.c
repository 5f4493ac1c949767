// SPDX-License-Identifier: Apache-2.0
/*
 * cloud.c - svid-cloud's descriptors: a pair with svid-core, one with svid-keys of which we keep svid-keys' end, its state
 * directory, and the loopback listener of the OIDC documents. svidd only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/parent.h"

struct cloud_fds {
	int core[2], keys[2], state, oidc; /* [1] is svid-cloud's */
};

static void cloud_fds_autoclean(struct cloud_fds *f)
{
	int all[] = { f->core[0], f->core[1], f->keys[0], f->keys[1], f->state, f->oidc };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i] >= 0)
			close(all[i]);
}

/* Its own, and nobody else's: root owns the directory, sticky, as svid-core's. */
static int open_state(const struct svidd *d, int *ret_fd)
{
	char path[LIM_PATH];
	int n = snprintf(path, sizeof(path), "%s%s", d->o.cloud_dir ? d->o.cloud_dir : d->o.state_dir,
			 d->o.cloud_dir ? "" : "-cloud");

	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	return setup_dir(path, 01770, d->who[ROLE_CLOUD].gid, ret_fd);
}

static int make_fds(const struct svidd *d, struct cloud_fds *f)
{
	int err = links_pair(f->core);

	if (!err)
		err = links_pair(f->keys);
	if (!err)
		err = open_state(d, &f->state);
	if (err)
		return err;
	f->oidc = d->t.listen_oidc >= 0 ? fcntl(d->t.listen_oidc, F_DUPFD_CLOEXEC, 0) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	return f->oidc < 0 ? -errno : 0;
}

int cloud_launch(struct child *c, int *ret_core)
{
	AUTO(cloud_fds) struct cloud_fds f = { { -1, -1 }, { -1, -1 }, -1, -1 };
	int err = make_fds(c->d, &f);
	const int fds[] = { f.core[1], f.keys[1], f.state, f.oidc };
	struct launch l = { .role = ROLE_CLOUD, .fds = fds, .n_fds = ARRAY_SIZE(fds), .log_fd = STDERR_FILENO };
	pid_t pid;

	if (!err)
		err = super_launch(c->d, &l, &pid);
	if (!err)
		err = super_watch(c, pid);
	if (err)
		return err;
	c->keys_fd = f.keys[0];
	*ret_core = f.core[0];
	f.keys[0] = f.core[0] = -1;
	return 0;
}
