/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyring.h - the private keys of the identities served, by (identity, kind, generation). svid-front.
 *
 * A key is kept after it was encoded, because a new bundle means a new message with the same key.
 */
#ifndef FRONT_KEYRING_H
#define FRONT_KEYRING_H

#include "agent/base/list.h"
#include "agent/base/secret.h"
#include "workloadapi/set.h"

struct keyring {
	struct list keys;
};

/** keyring_init() - empty. */
void keyring_init(struct keyring *r);

/** keyring_done() - wipe and release every key. */
void keyring_done(struct keyring *r);

/** keyring_ask() - remember that this key was asked for. Errors: -ENOMEM. */
MUST int keyring_ask(struct keyring *r, struct key_id id);

/** keyring_is_asked() - whether it was asked for and has not come. */
bool keyring_is_asked(const struct keyring *r, struct key_id id);

/** keyring_has() - whether it is here or was asked for. */
bool keyring_has(const struct keyring *r, struct key_id id);

/** keyring_get() - the key, borrowed; NULL when it is not here. */
struct secret *keyring_get(const struct keyring *r, struct key_id id);

/** keyring_put() - the key that was asked for; takes over @key. */
void keyring_put(struct keyring *r, struct key_id id, struct secret *key);

/** keyring_drop() - forget one. */
void keyring_drop(struct keyring *r, struct key_id id);

/** keyring_forget_asked() - svid-keys is gone: what was asked for will not come. */
void keyring_forget_asked(struct keyring *r);

/** keyring_keep() - drop the keys that @s does not need; what was asked for stays. */
void keyring_keep(struct keyring *r, const struct set *s);

#endif
