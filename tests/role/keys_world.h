/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys_world.h - the real svid-keys with its sandbox on, between a fake svidd, a fake core and fake fronts.
 * For tests/role/keys*_test.c. Everything that goes wrong fails the test.
 */
#ifndef TESTS_ROLE_KEYS_WORLD_H
#define TESTS_ROLE_KEYS_WORLD_H

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define ERR_STATE SVID_ERR_STATE /* libcrypto has a type of that name */
#include "agent/base/secret.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/lists.h"
#include "agent/ipc/plan.h"
#include "tests/lib/busy.h"

#define KEYS SVID_BIN "/svid-keys"
#define ID "spiffe://example.org/web"
#define WAIT_MS 20000

/* One svid-keys and our ends of its channels. */
struct rig {
	pid_t pid;
	int svidd;
	int core;
	struct buf in; /* scratch of receive() */
	bool full_disk; /* KY_LOADED is not answered by KY_STORED */
};

/** pair_with() - a SOCK_SEQPACKET pair: ours is returned. */
int pair_with(int *ret_theirs);

/**
 * receive() - the next message on @fd, which must be of @type; the body lives until the next one. A KY_LOADED that
 * is not waited for is passed over; each is stored, but for a full_disk.
 */
void receive(struct rig *r, int fd, uint16_t type, struct chan_msg *m);

/** is_closed() - the other end is closed, now or soon; what was queued is dropped. */
bool is_closed(int fd);

/** start() - a new svid-keys that has said ready. */
void start(struct rig *r);

/** give_seal() - a sealing key of @len bytes @fill. */
void give_seal(struct rig *r, uint8_t fill, size_t len);

/** give_core() - a new core channel: r->core. */
void give_core(struct rig *r);

/** give_front() - a new front channel; ours is returned. */
int give_front(struct rig *r, uint32_t number);

/** bind_front() - core binds @front to @ids. */
void bind_front(struct rig *r, uint32_t front, const uint32_t *ids, size_t n);

/** load() - core loads or creates the authority; the answer. */
struct msg_KY_LOADED load(struct rig *r, struct slice sealed, uint32_t may_create);

/** load_with() - the same with everything but the trust domain as @order says. */
struct msg_KY_LOADED load_with(struct rig *r, const struct msg_KY_LOAD *order);

/** send_load() - load() without waiting for the answer, which has the number 7. */
void send_load(struct rig *r, struct slice sealed, uint32_t may_create);

/** loaded_with() - the next KY_LOADED, which must be a success of number @id; 0 is one that nobody asked for. */
struct msg_KY_LOADED loaded_with(struct rig *r, uint32_t id);

/** start_loaded() - start() with a new authority. */
void start_loaded(struct rig *r);

/** start_sealed() - start() with a sealing key and core, which has loaded nothing yet. */
void start_sealed(struct rig *r);

/** start_serving() - start_loaded() with front 1, which is bound to @identity; our end of its channel. */
int start_serving(struct rig *r, uint32_t identity);

/** order() - core orders an SVID. */
void order(struct rig *r, uint32_t identity, enum key_type type);

/** issued() - the next KY_ISSUED. */
struct msg_KY_ISSUED issued(struct rig *r);

/** attached() - wait until svid-keys serves @front, which is bound to @identity. */
void attached(struct rig *r, int front, uint32_t identity);

/** order_jwt() - core orders a JWT-SVID for "api"; order and request have the number 31. */
void order_jwt(struct rig *r, uint32_t front, uint32_t identity, uint32_t alg);

/** minted() - the next KY_JWT_DONE. */
struct msg_KY_JWT_DONE minted(struct rig *r);

/** ask() - a front asks for a key. */
void ask(int front, uint32_t identity, uint64_t generation);

/** ended() - the status of wait(2), once it ended by itself; -1 when it does not. */
int ended(struct rig *r);

/** stop() - end it and free what start() made. */
void stop(struct rig *r);

/** assert_dies() - it ends with status 1; then stop(). */
void assert_dies(struct rig *r);

/** cert_of() - one certificate parsed. */
X509 *cert_of(struct slice der);

/** assert_key_fits() - the front gets a key, and it belongs to @leaf. */
void assert_key_fits(struct rig *r, int front, X509 *leaf);

#endif
