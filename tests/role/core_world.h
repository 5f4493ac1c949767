/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_world.h - the real svid-core, sandbox on, among siblings that are all this test: svidd, svid-keys, svid-attest,
 * fronts, the compiler. They answer by themselves as good siblings do, unless told to misbehave. attestation: socket.
 */
#ifndef TESTS_ROLE_CORE_WORLD_H
#define TESTS_ROLE_CORE_WORLD_H

#include "agent/base/clock.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"
#include "tests/role/core_told.h"

#define WORLD_IDS 48670
#define WORLD_FRONTS 64
#define WORLD_CONNS 64
#define WORLD_JWTS 128
#define WORLD_WAIT_MS 10000

struct world_front {
	uint32_t number; /* 0: not used */
	int fd;		 /* -1: gone */
	int log;	 /* our end of its log pipe */
	uint32_t bound[8];
	size_t n_bound;
	int binds;
	uint64_t version; /* of the last F_SET */
	size_t entries;	  /* in it */
	size_t bundle;	  /* bytes of it */
	size_t jwks;	  /* likewise */
	uint32_t wit;
	size_t wits; /* entries with a WIT-SVID */
	uint32_t identities[8];
	char peers[128];     /* of the first entry, a comma behind each */
	size_t nobody_ca;    /* bytes of it */
	char sds[64];	     /* "SVID BUNDLE ALL FLAGS" */
	char federated[512]; /* "spiffe://td=BUNDLE+JWKS ", bytes of each */
	unsigned int nojwts;
	uint32_t nojwt_order; /* of the last F_NOJWT */
	int nojwt_err;
	int state;	  /* of the last F_STATE */
	size_t conns;
	unsigned int files; /* F_FILEs */
	struct msg_F_FILE last_file;
};

struct world_conn {
	uint64_t number;
	uint32_t front;
	int fd; /* what the front was given */
	int end_err;
	bool ended;
	char whoami[LIM_WHOAMI + 1];
};

/* What a front does with F_FILE. */
enum world_file {
	FILE_MADE, /* "front N identity N what N" */
	FILE_SILENT,
	FILE_REFUSED,
	FILE_NOT_SEALED, /* against writing */
	FILE_SHORT, /* it says that there is more than there is */
	FILE_OF_ANOTHER, /* that nobody asked for */
};

/* What to do instead of what is right; 0 is right. */
struct world_ways {
	bool front_never_ready;
	bool front_ignores_end;
	bool attest_silent;
	bool keys_silent;
	bool undertakers_hang; /* each takes one and never answers */
	bool restart; /* svidd starts what it killed again */
	bool cloud_silent; /* it never says that it is ready */
	bool keys_keep_jwts; /* world_say_jwt() comes later */
	int keys_load_err;
	int keys_issue_err;
	int keys_wit_err;
	int keys_jwt_err;
	int front_set_err;
	enum world_file front_file;
	uint32_t svid_life; /* seconds; 0 = 3600 */
};

struct world {
	pid_t core; /* 0: it has ended */
	int status; /* of wait(2) then */
	int svidd, keys, attest[LIM_ATTEST_WORKERS], undertakers[LIM_UNDERTAKERS], compiler;
	char dir[64];
	struct buf scratch;
	struct world_ways ways;
	struct world_front fronts[WORLD_FRONTS];
	struct world_conn conns[WORLD_CONNS];
	size_t n_conns;
	unsigned int alive; /* how often it said so */
	bool ready;
	bool drained;
	unsigned int taken, buried; /* by the undertakers */
	unsigned int compiles, issues, loads, identifies, kills, spawns;
	struct msg_C_KILL last_kill;
	struct world_cloud cloud;
	const char *documents; /* one a line: "name {json}", or "Kind/name {json}" when it is no WorkloadIdentity */
	const char *agent;     /* spec of the Agent document */
	uint64_t generation;
	const char *bundle, *jwks, *sealed; /* what svid-keys says next */
	struct msg_KY_LOAD load; /* the last one, numbers only */
	struct world_jwt jwts[WORLD_JWTS];
	size_t n_jwts;
	bool keep; /* stop leaves the directory: for a restart */
};

/** world_new() - directories and defaults; nothing runs. */
void world_new(struct world *w);

/** world_start() - svid-core with everything it needs; returns when it said ready, or after two seconds. */
void world_start(struct world *w, const char *audit_path);

/** world_path() - a file of this world; until the next call. */
const char *world_path(const struct world *w, const char *name);

/** world_begin() - the plan without a program: *@ret_fd is svid-core's end of the channel to svidd. */
void world_begin(struct world *w, const char *audit_path, int *ret_fd);

/** world_stop() - end it and close everything. */
void world_stop(struct world *w);

/** world_free() - stop, and remove the directory. */
void world_free(struct world *w);

/** world_step() - answer whatever comes within @ms. */
void world_step(struct world *w, int ms);

/** world_until() - step until @cond holds or WORLD_WAIT_MS are over; the test fails then. */
#define world_until(w, cond)                                                                    \
	do {                                                                                    \
		uint64_t until_ = clock_boot_ns() + WORLD_WAIT_MS * NS_PER_MS;                  \
		bool is_ = (cond);                                                              \
												\
		while (!is_ && clock_boot_ns() < until_) {                                      \
			world_step(w, 10);                                                      \
			is_ = (cond);                                                           \
		}                                                                               \
		if (!is_)                                                                       \
			fail_msg("not in %d ms: %s", WORLD_WAIT_MS, #cond);                     \
	} while (0)

/** world_client() - a connection to the public socket, with a byte sent so that it is looked at. */
int world_client(struct world *w);

/** world_client_as() - the same from a child process of user @uid; the child lives until *@ret_pid is killed. */
int world_client_as(struct world *w, unsigned int uid, pid_t *ret_pid);

/** world_front_of() - the front with @number; the test fails when there is none. */
struct world_front *world_front_of(struct world *w, uint32_t number);

/** world_is_closed() - whether @fd sees its end within @ms while the world goes on. */
bool world_is_closed(struct world *w, int fd, int ms);

/** world_new_keys() - svid-keys restarted. */
void world_new_keys(struct world *w);

/** world_say_loaded() - svid-keys says KY_LOADED, asked or not. */
void world_say_loaded(struct world *w);

/** world_say_jwt() - svid-keys says how @j ended. */
void world_say_jwt(struct world *w, const struct world_jwt *j, int err);

/** world_new_cloud() - svid-cloud started, or restarted. */
void world_new_cloud(struct world *w);

/** world_new_attest() - worker @i restarted. */
void world_new_attest(struct world *w, unsigned int i);

/** world_new_undertaker() - undertaker @i restarted. */
void world_new_undertaker(struct world *w, unsigned int i);

/** world_admin() - ask on admin.sock; the JSON is in w->scratch until the next message. Returns AD_REPLY.err. */
int world_admin(struct world *w, uint32_t what, uint32_t arg, struct slice *ret_json);

/** world_admin_msg() - the same with any message. */
int world_admin_msg(struct world *w, uint16_t type, struct slice body, struct slice *ret_json);

/** world_recompile() - tell svid-core by a change in the policy directory; returns when it asked for a run. */
void world_recompile(struct world *w);

/* Between core_world.c and core_fronts.c. */

/** world_on_front() - @m came from svid-core to @f. */
void world_on_front(struct world *w, struct world_front *f, struct chan_msg *m);

/** world_give_file() - @f answers the order @ask, in one of the ways. */
void world_give_file(struct world_front *f, const struct msg_F_FILE *ask, enum world_file way);

/** world_close_fd() - close *@fd unless it is -1, which it is then. */
void world_close_fd(int *fd);

#endif
