/* SPDX-License-Identifier: Apache-2.0 */
/* setup.h - what svidd opens and keeps over restarts of the others. svidd only. */
#ifndef PARENT_SETUP_H
#define PARENT_SETUP_H

#include "agent/parent/launch.h"
#include "agent/parent/options.h"

/* What svidd opened and keeps over restarts of the others (setup.c). */
struct things {
	int lock;
	int listen_public;
	int listen_admin;
	int sealing_key;
	int state_dir;
	int audit;
	int listen_oidc; /* loopback, for svid-cloud; -1: none */
	bool stored; /* systemd keeps the listeners for the next svidd */
	char public_path[108];
	char admin_path[108];
};

/** setup_dir() - make or take over a directory of root's own; an error is not logged. Errors: -EPERM (another's), -errno. */
MUST int setup_dir(const char *path, mode_t mode, gid_t gid, int *ret_fd);

/** setup_audit() - open or make the audit log. Logs what failed. Errors: -errno, -EPERM (not root's own plain file). */
MUST int setup_audit(const char *path, int *ret_fd);

/** setup_things() - directories, bound sockets, sealing key, audit log. Logs what failed. Errors: -errno, -ERR_x. */
MUST int setup_things(const struct options *o, struct identity core, struct things *ret_t);

/** setup_oidc() - the loopback listener of the OIDC documents; t->listen_oidc stays -1 without, which is logged. */
void setup_oidc(uint32_t port, struct things *t);

/** setup_oidc_port() - where that is; 0: nowhere. */
uint32_t setup_oidc_port(const struct things *t);

/** setup_listen() - from now on clients can connect; evidence must work by then. Errors: -errno. */
MUST int setup_listen(struct things *t);

/** setup_sealing_key() - the systemd credential, else @state_dir's key file, made when missing. Errors: -errno, -ERR_x. */
MUST int setup_sealing_key(int state_dir, int *ret_fd);

/** setup_remove() - take the sockets away at a clean end, unless systemd keeps them. */
void setup_remove(const struct things *t);

#endif
