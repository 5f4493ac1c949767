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

/* Fronts of svid-core, one spare, and those of a dead svid-core that have not ended yet. */
#define FRONT_SLOTS (LIM_FRONTS + 64)

/* The command line (options.c). Strings borrow from argv. */
struct options {
	const char *config_path;
	const char *policy_dir;
	const char *run_dir;
	const char *state_dir;
	const char *audit_path;
	const char *instance;
	const char *bin_dir; /* NULL: where svidd itself is */
	unsigned int ids;    /* first of the numeric users; 0: names from /etc/passwd */
	unsigned int tier;   /* enum svid_tier; TIER_AUTO: svid.yaml decides */
	unsigned int log_level;
	bool allow_socket;
	bool debug_sandbox;
	bool remove_pins;
	bool remove_pins_at_exit;
	bool help;
};

/** options_parse() - fill @ret_o or say what is wrong on stderr. Errors: -EINVAL. */
MUST int options_parse(int argc, char **argv, struct options *ret_o);

/** options_help() - the option table as text on stdout. */
void options_help(void);

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

/* What svidd opened and keeps over restarts of the others (setup.c). */
struct things {
	int lock;
	int listen_public;
	int listen_admin;
	int sealing_key;
	int state_dir;
	int audit;
	char public_path[108];
	char admin_path[108];
};

/** setup_things() - directories, bound sockets, sealing key, audit log. Logs what failed. Errors: -errno, -ERR_x. */
MUST int setup_things(const struct options *o, struct identity core, struct things *ret_t);

/** setup_listen() - from now on clients can connect; evidence must work by then. Errors: -errno. */
MUST int setup_listen(const struct things *t);

/** setup_sealing_key() - the systemd credential, else @state_dir's key file, made when missing. Errors: -errno, -ERR_x. */
MUST int setup_sealing_key(int state_dir, int *ret_fd);

/** setup_remove() - take the sockets away at a clean end. */
void setup_remove(const struct things *t);

struct svidd;
struct evidence;

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
	PHASE_STOP_CORE, /* SIGTERM sent to svid-core */
	PHASE_STOP_REST,
};

struct svidd {
	struct options o;
	struct loop *loop;
	struct identity who[ROLE_COUNT];
	int exec_fds[ROLE_COUNT];
	struct things t;
	struct evidence *evidence;
	struct child core;
	struct child keys;
	struct child attest[LIM_ATTEST_WORKERS];
	struct child policy;
	struct child *fronts; /* FRONT_SLOTS */
	unsigned int core_life;
	bool core_was_ready;
	bool compile_again;
	struct loop_timer stale_fronts;
	struct loop_timer policy_deadline;
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

/** links_pair() - a SOCK_SEQPACKET pair. Errors: -errno. */
MUST int links_pair(int ret_pair[static 2]);

/* requests.c: what svid-core may ask for */

extern const struct chan_ops core_ops;

/** requests_compile() - run the policy compiler now, or once more after the present run. */
void requests_compile(struct svidd *d);

/** requests_exit() - tell svid-core that a child ended; nothing when there is no svid-core. */
void requests_exit(struct child *c, int status);

/* boot.c */

/** boot_tier() - run `svid compile --boot` and take its one message. Errors: -ERR_x, -errno; logged. */
MUST int boot_tier(struct svidd *d, unsigned int *ret_tier);

/** boot_policy_fds() - the policy directory and svid.yaml, freshly opened. Errors: -errno; logged. */
MUST int boot_policy_fds(const struct options *o, int *ret_dir, int *ret_file);

/* evidence.c: the provider, whichever it is */

/** evidence_load() - load and attach @tier (TIER_AUTO: the strongest that works). Errors: -ERR_PROVIDER, -errno; logged. */
MUST int evidence_load(const struct svidd *d, unsigned int tier, struct evidence **ret_e);

/** evidence_send() - P_FD of every descriptor that svid-core reads evidence with. Errors: as chan_send(). */
MUST int evidence_send(const struct evidence *e, struct chan *core);

/** evidence_core() - only @tgid may adopt connections from now on; 0 is nobody. Errors: -errno. */
MUST int evidence_core(struct evidence *e, pid_t tgid);

/** evidence_words() - the descriptor of the validity words for a front; stays with @e. */
int evidence_words(const struct evidence *e);

/** evidence_tier() - enum svid_tier in use, never TIER_AUTO. */
unsigned int evidence_tier(const struct evidence *e);

/** evidence_notes() - why better tiers are not in use, one "tier: reason" per line. */
const char *evidence_notes(struct evidence *e);

/** evidence_free() - close; pins stay, so a restart is no gap. */
void evidence_free(struct evidence *e);

/** evidence_unpin() - remove what an instance left in the BPF file system. Errors: -errno. */
MUST int evidence_unpin(const char *instance);

/* notify.c */

/** notify() - tell systemd ("READY=1"); nothing without NOTIFY_SOCKET. */
void notify(const char *state);

#endif
