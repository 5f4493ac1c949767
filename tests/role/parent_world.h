/* SPDX-License-Identifier: Apache-2.0 */
/* parent_world.h - one svidd with played roles in a directory of its own, and what they say. */
#ifndef TESTS_ROLE_PARENT_WORLD_H
#define TESTS_ROLE_PARENT_WORLD_H

#include <sys/types.h>

#include "agent/base/compiler.h"

#define IDS 48620 /* nobody else's on a developer's machine */
#define IDS_ARG "48620"

#define WORLD_STORED 4

/* Names in systemd's descriptor store. */
extern const char *const world_stored[WORLD_STORED];

struct world {
	char dir[64];
	pid_t svidd;
	int log;
	const char *delivery; /* NULL: none, so that nothing is mounted */
	int notify;    /* -1: this svidd was not started by systemd */
	int stored[WORLD_STORED]; /* what it gave systemd, as world_stored; 0: nothing */
};

/* For cmocka; -1 without root. */
int world_setup(void **state);
int world_teardown(void **state);

/* DIR/name */
void world_path(const struct world *w, const char *name, char out[static 128]);
void world_write(const struct world *w, const char *name, const char *text);

/* Start svidd: with "--attestation" (socket), or without when @extra is NULL. */
void world_start_with(struct world *w, const char *extra);

/* Start it and wait until it is ready. */
void world_start(struct world *w);

/* The wait(2) status of svidd, which must end by itself; -1 is a failed test. Errors: none. */
int world_end(struct world *w);

/* Before the start: take its notices, as systemd does. */
void world_be_systemd(struct world *w);

/* The next one, with its descriptor (-1: none). */
void world_notice(struct world *w, char text[static 64], int *ret_fd);

/* How often @text was logged by svidd or by a role; and wait until it was @n times. */
unsigned int world_count(const struct world *w, const char *text);
void world_wait(const struct world *w, const char *text, unsigned int n);

/* A word to the played svid-core (obey() in parent_fakes.c). */
void world_tell_core(const struct world *w, const char *word);

#endif
