/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h - who signs: one asynchronous interface for svid-core. The embedded authority lives in svid-keys;
 * this is its client, and the keeper of its sealed state.
 *
 * The sealed state is stored before what it contains is used. A changed trust domain, a lost sealing key and a
 * clock behind the last signature are refusals with a reason, never a new authority.
 */
#ifndef CORE_AUTHORITY_H
#define CORE_AUTHORITY_H

#include "agent/core/json.h"
#include "agent/core/state.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"

struct authority;

/* An SVID as it was issued. Slices borrow for the call. */
struct svid_issued {
	uint64_t generation; /* of the key in svid-keys */
	int64_t not_before, not_after; /* wall clock, seconds */
	struct slice serial; /* X.509: serial number; WIT: jti */
	struct slice chain;  /* X.509: DER, leaf first; WIT: the token */
};

/* What is to be signed. Slices borrow for the call. */
struct svid_request {
	uint32_t identity;
	enum svid_kind kind;
	struct slice spiffe_id;
	uint32_t ttl; /* seconds */
	uint32_t key_type;
	struct slice dns_names; /* list of strings, agent/ipc/lists.h */
};

/* A JWT-SVID to be signed: svid-keys gives it to the front itself. Slices borrow for the call. */
struct jwt_request {
	uint32_t front, order, identity;
	struct slice spiffe_id, issuer;
	uint32_t ttl; /* seconds */
	uint32_t alg; /* enum jwt_alg */
	struct slice audiences; /* list of strings */
	struct slice claims;	/* JSON members to be added, for FRONT_CLOUD only; else empty */
};

/* What svid-core learns of one that was signed. Slices borrow for the call. */
struct jwt_issued {
	struct slice jti, kid;
	int64_t not_after;
};

/* What svid-keys is told when it loads, and not again: a change needs a restart. */
struct authority_config {
	const char *trust_domain; /* "" while there is no Agent document */
	uint32_t ca_ttl, jwt_key_ttl; /* seconds */
	bool wit;
};

struct authority_ops {
	/* authority_err() or the bundle may be different now. */
	void (*changed)(void *owner);
	/* The answer to request @id of authority_issue(); @svid is NULL when @err. */
	void (*issued)(void *owner, uint32_t identity, enum svid_kind kind, uint32_t id, int err,
		       const struct svid_issued *svid);
	/* The end of request @id of authority_jwt(); @jwt is NULL when @err. */
	void (*jwt_done)(void *owner, uint32_t id, int err, const struct jwt_issued *jwt);
	/* The end of request @id of authority_sign(). */
	void (*sign_done)(void *owner, uint32_t id, int err);
	/* svid-keys is gone and with it every key and every open request. */
	void (*lost)(void *owner);
	/* Ask svidd to kill svid-keys. */
	void (*kill)(void *owner);
};

/** authority_new() - without keys and without configuration. @st is borrowed. Errors: -ENOMEM. */
MUST int authority_new(struct loop *loop, struct state *st, const struct authority_ops *ops, void *owner,
		       struct authority **ret_authority);

/** authority_free() - NULL is fine. */
void authority_free(struct authority *a);

/** authority_peer() - svid-keys (re)started; takes over @fd. Errors: -ENOMEM, -errno. */
MUST int authority_peer(struct authority *a, int fd);

/** authority_configure() - what the Agent document says; the first one with a trust domain counts. */
void authority_configure(struct authority *a, const struct authority_config *config);

/** authority_config_of() - what counts; trust_domain is "" before it is configured. */
struct authority_config authority_config_of(const struct authority *a);

/** authority_err() - 0 when it can sign, else why not. */
int authority_err(const struct authority *a);

/** authority_trust_domain() - "" before it is configured. */
const char *authority_trust_domain(const struct authority *a);

/** authority_bundle() - own CA certificates, DER; empty before the first load. */
struct slice authority_bundle(const struct authority *a);

/** authority_jwks() / authority_wit_jwks() - JWK Sets of JWT- and WIT-SVID keys; empty while there are none. */
struct slice authority_jwks(const struct authority *a);
struct slice authority_wit_jwks(const struct authority *a);

/** authority_nobody_ca() - a CA certificate, DER, whose key nobody has: the first one that came; empty before. */
struct slice authority_nobody_ca(const struct authority *a);

/** authority_wit() - whether the WIT-SVID profile is on. */
bool authority_wit(const struct authority *a);

/** authority_serial() - another number whenever one of the bundles is different. */
uint64_t authority_serial(const struct authority *a);

/**
 * authority_issue() - have an SVID made and signed; issued() answers from the loop.
 * @ret_id: number of the request, never 0.
 * Errors: authority_err(), -ERR_CLOCK, and those of chan_send().
 */
MUST int authority_issue(struct authority *a, const struct svid_request *req, uint32_t *ret_id);

/**
 * authority_jwt() - have a JWT-SVID signed and given to the front; jwt_done() says from the loop how it ended.
 * @ret_id: number of the request, never 0.
 * Errors: authority_err(), -ERR_CLOCK, and those of chan_send().
 */
MUST int authority_jwt(struct authority *a, const struct jwt_request *req, uint32_t *ret_id);

/**
 * authority_sign() - have the @text of a request to IAM Roles Anywhere signed with the key of an X.509-SVID and the signature
 * given to svid-cloud under @order;
 * sign_done() says from the loop how it ended.
 * @ret_id: number of the request, never 0.
 * Errors: authority_err(), -ERR_CLOCK, and those of chan_send().
 */
MUST int authority_sign(struct authority *a, uint32_t order, uint32_t identity, uint64_t generation, struct slice text,
			uint32_t *ret_id);

/** authority_bind() - tell svid-keys once which identities front @front may have. Errors: as chan_send(). */
MUST int authority_bind(struct authority *a, uint32_t front, const uint32_t *identities, size_t n);

/** authority_forget() - no front holds @identity any more. */
void authority_forget(struct authority *a, uint32_t identity);

/** authority_put_status() - the members "state", "why", "not_after", "last_signed", "jwt_keys", "wit_keys", "unstored". */
void authority_put_status(const struct authority *a, struct json *j);

#endif
