/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud.h - svid-cloud as one object, and the calls that go across its files. Start reading at main.c, then core.c (what
 * svid-core says), binding.c (when to exchange), fetch.c (one exchange), http.c (on the wire).
 */
#ifndef CLOUD_CLOUD_H
#define CLOUD_CLOUD_H

#include "agent/base/list.h"
#include "agent/base/log.h"
#include "agent/base/loop.h"
#include "agent/ipc/chan.h"
#include "agent/sandbox/sandbox.h"
#include "federation/cache.h"
#include "federation/exchange.h"

#define BINDING_BUCKETS 256

struct fetch;
struct http;
struct oidc;

/* A file that svid-core waits for. */
struct file_wait {
	struct list node;
	uint32_t order;
	enum cloud_file what;
};

/* What is shown as a file: a JWT-SVID that the SDK exchanges by itself. */
struct token {
	struct buf text; /* secret */
	int64_t issued_at, not_after; /* seconds since 1970 */
	uint32_t order;	 /* being made; 0: no */
	uint64_t retry_at; /* CLOCK_BOOTTIME ns: not asked for again before */
	struct loop_timer deadline; /* of the order */
};

/* The times of a cached row that svid-keys opens: seconds since 1970. */
struct opening {
	int64_t not_before, expires_at, refresh_at;
};

/* One WorkloadCredential of one identity. */
struct binding {
	struct list in_hash;
	struct list in_queue; /* waits for its turn to exchange */
	struct cloud *cloud;
	uint32_t number;
	enum cloud_kind kind;
	char *spiffe_id, *credential, *source, *dir;
	json_t *source_json; /* CredentialSource.spec */
	const json_t *spec;  /* of the kind, in it */
	uint8_t digest[32];  /* of what was said: a cached row of another is not taken */
	int64_t generation;  /* its first bytes */
	struct credential got; /* what the cloud gave; expires_at 0: nothing */
	int64_t refresh_at, last_success; /* seconds since 1970 */
	enum cloud_state state;
	unsigned int failures;
	char *error, *next_step; /* NULL: none */
	struct fetch *fetch;	 /* an exchange under way */
	struct token token;
	struct list waits; /* struct file_wait */
	struct loop_timer timer; /* of the next exchange */
	struct list in_jobs;	 /* waits for svid-keys, cache.h */
	enum cache_job job;
	struct opening opening;
};

struct cloud {
	struct loop *loop;
	struct chan *core, *keys;
	struct cache cache;
	char *trust_domain, *issuer, *node;
	struct buf jwks;
	struct list bindings[BINDING_BUCKETS];
	size_t n_bindings;
	struct list queue;   /* bindings that want to exchange */
	unsigned int n_fetches;
	struct loop_timer pace; /* until the next may be started */
	struct list fetches; /* struct fetch, fetch.c */
	struct http *http;
	bool serves_oidc;  /* there is a listener for the OIDC documents */
	struct oidc *oidc; /* NULL: not served, or there are no keys yet */
	uint32_t last_order;
};

/** cloud_order() - a number for the next question to svid-core or svid-keys; never 0. */
uint32_t cloud_order(struct cloud *c);

/** cloud_told() - @err of telling svid-core or svid-keys something: without them this process has no purpose. */
void cloud_told(struct cloud *c, int err);

/* sandbox.c */

extern const struct sandbox_plan cloud_plan;

/** cloud_sandbox() - names are looked up in /etc/hosts and DNS from now on; enter @plan, for good. Errors: -errno. */
MUST int cloud_sandbox(const struct sandbox_plan *plan);

/* core.c, keys.c: channels */

/** core_start() - speak with svid-core on @fd. Errors: -ENOMEM, -errno. */
MUST int core_start(struct cloud *c, int fd);

/** keys_start() - speak with svid-keys on @fd. Errors: -ENOMEM, -errno. */
MUST int keys_start(struct cloud *c, int fd);

/* binding.c */

/** binding_find() - NULL when svid-core did not say it. */
struct binding *binding_find(const struct cloud *c, uint32_t number);

/** binding_put() - new, or changed. Errors: -ERR_FORMAT (svid-core is broken), -ERR_LIMIT, -ENOMEM. */
MUST int binding_put(struct cloud *c, const struct msg_CL_BIND *m);

/** binding_free() - withdrawn: what it had is wiped, whoever waits for it hears so. */
void binding_free(struct binding *b);

/** binding_refresh() - exchange now. */
void binding_refresh(struct binding *b);

/** binding_failed_before() - what the cache remembers of refusals. */
void binding_failed_before(struct binding *b, enum cloud_state state, unsigned int failures, const char *error,
			   const char *next_step);

/** binding_cached() - the row of the cache is open: use it, or with @err exchange. @got is taken over on success. */
void binding_cached(struct binding *b, int err, struct credential *got, int64_t refresh_at, int64_t last_success);

/** binding_exchanged() - @f is over; what it says of @o holds for the next try. */
void binding_exchanged(struct binding *b, struct exchange *x, const struct outcome *o, const struct fetch *f);

/** binding_file() - answer, now or when the exchange is over, what svid-core asks for. Errors: -ENOMEM, -ERR_FORMAT. */
MUST int binding_file(struct binding *b, uint32_t order, enum cloud_file what);

/** binding_token() - the JWT-SVID that was ordered for a file is there, or not. */
void binding_token(struct binding *b, int err, const struct msg_CK_JWT *m);

/** credential_done() - wipe what is in it. */
void credential_done(struct credential *c);

/** binding_not_started() - there was no memory for its exchange: later. */
void binding_not_started(struct binding *b);

/* queue.c */

/** bindings_go() - start exchanges that wait, as far as LIM_CLOUD_AT_ONCE allows. */
void bindings_go(struct cloud *c);

/** bindings_on_pace() - the timer of struct cloud. */
void bindings_on_pace(struct loop_timer *t);

/* binding.c again */

/** bindings_each() - @each may free what it is given. */
void bindings_each(struct cloud *c, void (*each)(struct binding *b, void *arg), void *arg);

/* fetch.c: one exchange, from the JWT-SVID to the verdict */

/** fetch_start() - begin one for @b; binding_exchanged() follows. Errors: -ENOMEM, those of chan_send(). */
MUST int fetch_start(struct binding *b);

/** fetches_of() - how many are under way for the CredentialSource @source. */
unsigned int fetches_of(const struct cloud *c, const char *source);

/** fetch_cancel() - nobody wants it any more. */
void fetch_cancel(struct fetch *f);

/** fetch_jwt() / fetch_chain() / fetch_signed() / fetch_refused() - answers to its orders; false when @order is none of them. */
bool fetch_jwt(struct cloud *c, const struct msg_CK_JWT *m);
bool fetch_chain(struct cloud *c, const struct msg_CL_CHAIN *m);
bool fetch_signed(struct cloud *c, const struct msg_CK_SIGNED *m);
bool fetch_refused(struct cloud *c, uint32_t order, int err);

/** fetch_put_record() - what is known of it for the audit record. */
void fetch_put_record(const struct fetch *f, struct msg_CR_EXCHANGE *m);

/* file.c: contents */

/** file_seal() - a memfd with @content that nobody can change any more. Errors: -errno. Owned by the caller. */
MUST int file_seal(struct slice content, int *ret_fd);

/** file_put() - the content of @what. Errors: -ERR_NOT_FOUND (this kind has no such file), -ERR_SIZE, -ENOMEM. */
MUST int file_put(const struct binding *b, enum cloud_file what, struct buf *out);

/** file_needs() - what a file is made of. */
enum file_needs {
	FILE_NOTHING, /* settings alone */
	FILE_CREDENTIAL,
	FILE_TOKEN,
	FILE_NONE, /* this kind has no such file */
};
enum file_needs file_needs(const struct binding *b, enum cloud_file what);

#endif
