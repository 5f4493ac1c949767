/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parent.h - svidd: the one process that stays root. It opens things, makes every channel, starts the
 * roles and starts them again; it parses nothing but its arguments and fixed-size requests.
 * Start reading at main.c, then super.c.
 */
#ifndef PARENT_PARENT_H
#define PARENT_PARENT_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "agent/base/limits.h"
#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"
#include "agent/parent/delivery.h"
#include "agent/parent/evidence.h"
#include "agent/parent/launch.h"
#include "agent/parent/notify.h"
#include "agent/parent/options.h"
#include "agent/parent/setup.h"

/* Fronts of svid-core, one spare, and those of a dead svid-core that have not ended yet. */
#define FRONT_SLOTS (LIM_FRONTS + 64)

struct svidd;

/* A running (or, between two starts, waiting) child. */
struct child {
	struct svidd *d;
	enum role_id role;
	unsigned int index; /* front number for a front */
	pid_t pid;	    /* 0: not running */
	struct loop_watch exit;
	struct loop_timer restart;
	struct chan *chan; /* NULL for fronts and the compiler */
	uint64_t started;  /* CLOCK_BOOTTIME ns */
	uint64_t delay;	   /* ns before the next restart */
	bool ready;	   /* said so in this life */
	int keys_fd;	   /* front: svid-keys' end of their pair, kept for the next svid-keys */
	unsigned int life; /* front: which svid-core asked for it */
};

enum phase {
	PHASE_RUN,
	PHASE_DRAIN,	 /* svid-core finishes what it holds */
	PHASE_STOP_CORE, /* svid-core is to end now */
	PHASE_STOP_REST,
};

struct svidd {
	struct options o;
	struct loop *loop;
	struct identity who[ROLE_COUNT];
	int exec_fds[ROLE_COUNT];
	struct things t;
	struct evidence *evidence;
	struct delivery_point delivery;
	struct child core;
	struct child keys;
	struct child attest[LIM_ATTEST_WORKERS];
	struct child policy;
	struct child undertakers[LIM_UNDERTAKERS];
	struct child cloud;
	bool cloud_wanted; /* this svid-core said C_CLOUD */
	struct child *fronts; /* FRONT_SLOTS */
	unsigned int core_life;
	bool core_was_ready;
	bool compile_again;
	struct loop_timer stale_fronts;
	struct loop_timer policy_deadline;
	struct loop_timer core_silent; /* armed by the first C_ALIVE of each svid-core */
	struct loop_timer stop_timer;
	struct loop_watch signals;
	enum phase phase;
	int exit_code;
};

/* super.c: lives of children */

/** super_start() - first start of every role. */
void super_start(struct svidd *d);

/** super_launch() - launch() with the arguments, user and program of @l->role filled in. Errors: -errno. */
MUST int super_launch(struct svidd *d, struct launch *l, pid_t *ret_pid);

/** super_stop() - draining stop; at once when called again or with @hard. */
void super_stop(struct svidd *d, bool hard);

/** super_free() - after the last child: what is kept of them. */
void super_free(struct svidd *d);

/** super_want_cloud() - svid-cloud is to run from now on. */
void super_want_cloud(struct svidd *d);

/** super_drained() - svid-core has finished (or had its time): on with the stop. */
void super_drained(struct svidd *d);

/** super_kill() - SIGKILL a child; its exit is handled like any other. */
void super_kill(struct child *c);

/** super_watch() - @pid is now @c's process. Errors: -errno, -ENOMEM; then the process is killed. */
MUST int super_watch(struct child *c, pid_t pid);

/** super_dump() - one log line per child. */
void super_dump(struct svidd *d);

/* links.c: channels between children */

/** links_core() - everything svid-core needs, in order, ending with P_GO. Errors: as chan_send(). */
MUST int links_core(struct svidd *d);

/** links_keys() - a new pair between svid-keys and svid-core, and svid-keys' ends of all front pairs. Errors: as chan_send(). */
MUST int links_keys(struct svidd *d);

/** links_attest() - a new pair between that worker and svid-core. Errors: as chan_send(). */
MUST int links_attest(struct child *c);

/** links_undertaker() - svid-core's end of the pair with @c. Errors: as chan_send(). */
MUST int links_undertaker(const struct child *c, int fd);

/** links_cloud() - the ends of svid-cloud's pairs: @core_fd to svid-core, c->keys_fd to svid-keys. Errors: as chan_send(). */
MUST int links_cloud(const struct child *c, int core_fd);

/** links_audit() - open the audit log again, which may have been moved away; svid-core writes there from now on. */
void links_audit(struct svidd *d);

/** links_pair() - a SOCK_SEQPACKET pair. Errors: -errno. */
MUST int links_pair(int ret_pair[static 2]);

/* requests.c: what svid-core may ask for */

extern const struct chan_ops core_ops;

/** requests_compile() - run the policy compiler now, or once more after the present run. */
void requests_compile(struct svidd *d);

/** requests_exit() - tell svid-core that a child ended; nothing when there is no svid-core. */
void requests_exit(struct child *c, int status);

/* cloud.c */

/** cloud_launch() - start svid-cloud; @ret_core is svid-core's end of its pair, c->keys_fd svid-keys'. Errors: -errno, -ERR_x. */
MUST int cloud_launch(struct child *c, int *ret_core);

/* boot.c */

/* What svid.yaml says of the start. */
struct boot {
	unsigned int tier;     /* enum svid_tier */
	unsigned int delivery; /* enum delivery */
	uint32_t oidc_port;    /* 0: none */
};

/** boot_ask() - run `svid compile --boot`. Errors: -ERR_x, -errno; logged. */
MUST int boot_ask(struct svidd *d, struct boot *ret_boot);

/** boot_policy_fds() - the policy directory and svid.yaml, freshly opened. Errors: -errno; logged. */
MUST int boot_policy_fds(const struct options *o, int *ret_dir, int *ret_file);

#endif
