/* SPDX-License-Identifier: Apache-2.0 */
/* identity_rig.h - identities and their authority, with the test as svid-keys: a new world for each case. */
#ifndef TESTS_IDENTITY_RIG_H
#define TESTS_IDENTITY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/core/identity.h"
#include "agent/core/state_db.h"

extern struct loop *loop;
extern struct state *st;
extern struct authority *auth;
extern struct audit audit;
extern struct identities *ids;
extern int keys; /* our end as svid-keys */
extern unsigned int changes, killed, authority_changes;
extern bool stored_before_use; /* when the authority was good for the first time */
extern struct authority_config config;
extern struct identity doc; /* the only one */

/* For cmocka. */
int identity_rig_setup(void **unused);
int identity_rig_teardown(void **unused);

#define T(name) cmocka_unit_test_setup_teardown(name, identity_rig_setup, identity_rig_teardown)

/* svid-keys is there, again. */
void new_keys(void);

/* The next message to svid-keys, which must be of @type. */
struct chan_msg next(uint16_t type);

/* Whether nothing was, but that something is stored. */
bool nothing_said(void);

void say_loaded(int err);
void say_issued(uint32_t id, uint64_t generation, int err);

/* From nothing to an authority that signs. */
void make_ready(void);

/* The number of the request for an SVID that is next. */
uint32_t asked(void);

/* Of the SVID that is shown; 0: none is. */
uint64_t generation(void);

/* Why none is. */
int entry_err(void);

#endif
