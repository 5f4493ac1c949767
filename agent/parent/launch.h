/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h - who a role runs as, and how it is started: rows in roles.c, steps in spawn.c. svidd only. */
#ifndef PARENT_LAUNCH_H
#define PARENT_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

#include "agent/base/compiler.h"
#include "agent/ipc/plan.h"

/* Who a role runs as, and how far it may go: rows in roles.c. */
struct role {
	const char *program;
	const char *user;
	unsigned int id_offset; /* from --ids */
	uint64_t caps;		/* ambient, permitted and bounding: 1 << CAP_x; 0 is none at all */
	uint64_t nofile;
	uint64_t nproc;
	uint64_t memlock; /* bytes */
	uint64_t as;	  /* bytes of address space */
};

extern const struct role roles[ROLE_COUNT];

struct identity {
	uid_t uid;
	gid_t gid;
};

/** roles_users() - numeric users from --ids, else from /etc/passwd (no NSS). Errors: -ENOENT, -EINVAL, -errno. */
MUST int roles_users(unsigned int ids, struct identity ret_who[static ROLE_COUNT]);

/** roles_open() - the programs in @bin_dir as O_PATH descriptors: a restart runs what the start saw. Errors: -errno. */
MUST int roles_open(const char *bin_dir, int ret_fds[static ROLE_COUNT]);

/* One start of one program. fds become 3, 4, ...; nothing else is inherited. */
struct launch {
	enum role_id role;
	unsigned int index;
	int exec_fd;
	struct identity who;
	const int *fds;
	unsigned int n_fds;
	int log_fd; /* becomes 2 */
	const char *const *argv;
};

/** launch() - fork, drop everything the role does not have, exec. Errors: -errno of fork. */
MUST int launch(const struct launch *l, pid_t *ret_pid);

#endif
