/* SPDX-License-Identifier: Apache-2.0 */
/* core_case.h - what the role tests of svid-core share: one world per case, and short words about it. */
#ifndef TESTS_ROLE_CORE_CASE_H
#define TESTS_ROLE_CORE_CASE_H

#include "tests/role/core_world.h"

#define TWO_USERS                                                                    \
	"root {\"workloadID\":\"root\",\"selectors\":[{\"unix:uid\":[\"0\"]}]}\n"    \
	"other {\"workloadID\":\"other\",\"selectors\":[{\"unix:uid\":[\"48700\"]}]}"
#define OTHER_UID 48700
#define NOBODY_UID 48701

extern struct world w;

/* For cmocka; setup gives -1 without root. */
int case_setup(void **state);
int case_teardown(void **state);

#define T(name) cmocka_unit_test_setup_teardown(name, case_setup, case_teardown)

/* Connection @i of those that fronts were given, once it is there. */
struct world_conn *conn_at(size_t i);

/* The front that was given it. */
struct world_front *front_of(const struct world_conn *c);

/* A caller whose front has its set: in the world that runs; and in one that is started for it. */
struct world_front *serve_one(int *ret_fd);
struct world_front *served(int *ret_fd);

/* What the caller of connection @i would read as WhoAmI. */
const char *whoami_at(size_t i);

/* The documents of the world come into force; what follows for callers does so after it. */
void documents_apply(void);

/* The world goes on for so long: for what must not happen. */
void time_passes(int ms);

/* Of world_client_as(). */
void end_child(pid_t pid, int fd);

/* Whether @text is somewhere in @json. */
bool json_has(struct slice json, const char *text);

/* It is alive, answers, and does not serve less than before. */
void assert_core_is_well(void);

#endif
