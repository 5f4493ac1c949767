/* SPDX-License-Identifier: Apache-2.0 */
/* attest_world.h - the real svid-attest between a test that is svidd and svid-core, and a process to look at. */
#ifndef TESTS_ROLE_ATTEST_WORLD_H
#define TESTS_ROLE_ATTEST_WORLD_H

#include "agent/ipc/chan.h"

#define WAIT_MS 30000 /* a machine that does much else */
#define IDS 48630    /* the worker's user */
#define VICTIM 48631 /* the user of what is looked at */

struct world {
	pid_t worker;
	int svidd; /* our end as svidd */
	int core;  /* our end as svid-core */
	struct buf scratch;
	pid_t victim; /* a process to be looked at */
};

/* For cmocka, a worker that looks; -1 without root. */
int world_setup(void **state);
/* The same with one that hashes. */
int world_setup_hasher(void **state);
int world_teardown(void **state);

/* A new pair with the worker; the one before is closed. */
void world_give_core(struct world *w);

/* The next message on @fd; -ETIME after WAIT_MS. Errors: as ipc_recv(). */
MUST int world_receive(struct world *w, int fd, struct chan_msg *ret_m);

/* The wait(2) status of the worker, which must end by itself; -1 is a failed test. Errors: none. */
int world_worker_status(struct world *w);

/* It ended because it refused something. */
void world_assert_refused(struct world *w);

/* Run @path as another user until teardown. */
void world_run_victim(struct world *w, const char *path);

/* Start of a process in ns, somewhere inside its clock tick. */
uint64_t world_start(pid_t pid);

/* A question about the victim that expects it to run the file @path. */
struct msg_A_IDENTIFY world_question(const struct world *w, const char *path);

/* Ask and return the answer; strings live until the next message. */
struct msg_A_IDENTITY world_ask(struct world *w, const struct msg_A_IDENTIFY *q);

#endif
