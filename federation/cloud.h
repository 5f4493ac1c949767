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
#include "agent/db/db.h"
#include "agent/ipc/chan.h"
#include "federation/exchange.h"

#define BINDING_BUCKETS 256

struct cloud;
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
	uint64_t generation; /* hash of what was said: a cached row of another is not taken */
	struct credential got; /* what the cloud gave; expires_at 0: nothing */
	int64_t refresh_at, last_success; /* seconds since 1970 */
	enum cloud_state state;
	unsigned int failures;
	char *error, *next_step; /* NULL: none */
	struct fetch *fetch;	 /* an exchange under way */
	struct token token;
	struct list waits; /* struct file_wait */
	struct loop_timer timer; /* of the next exchange */
	uint32_t opening;	 /* order of CK_OPEN: the cached row is being opened; 0: no */
	struct credential sealing; /* of CK_SEAL: times of what is being sealed; no secret is in it */
	uint32_t seal_order;
};

struct cloud {
	struct loop *loop;
	struct chan *core, *keys;
	struct db db;
	bool db_works;
	char *trust_domain, *issuer, *node;
	struct buf jwks;
	struct list bindings[BINDING_BUCKETS];
	size_t n_bindings;
	struct list queue;   /* bindings that want to exchange */
	unsigned int n_fetches;
	struct list fetches; /* struct fetch, fetch.c */
	struct http *http;
	bool serves_oidc;  /* there is a listener for the OIDC documents */
	struct oidc *oidc; /* NULL: not served, or there are no keys yet */
	uint32_t last_order;
	bool bound; /* CL_BOUND came: what is cached of others goes */
};

/** cloud_order() - a number for the next question to svid-core or svid-keys; never 0. */
uint32_t cloud_order(struct cloud *c);

/** cloud_told() - @err of telling svid-core or svid-keys something: without them this process has no purpose. */
void cloud_told(struct cloud *c, int err);

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

/** binding_cached() - the row of the cache is open: use it, or with @err exchange. @got is taken over on success. */
void binding_cached(struct binding *b, int err, struct credential *got, int64_t refresh_at, int64_t last_success);

/** binding_exchanged() - @f is over; what it says of @o holds for the next try. */
void binding_exchanged(struct binding *b, struct exchange *x, const struct outcome *o, const struct fetch *f);

/** binding_file() - answer, now or when the exchange is over, what svid-core asks for. Errors: -ENOMEM, -ERR_FORMAT. */
MUST int binding_file(struct binding *b, uint32_t order, enum cloud_file what);

/** binding_token() - the JWT-SVID that was ordered for a file is there, or not. */
void binding_token(struct binding *b, int err, const struct msg_CK_JWT *m);

/** binding_is_valid() - it has a credential that has not expired. */
bool binding_is_valid(const struct binding *b);

/** bindings_go() - start exchanges that wait, as far as LIM_CLOUD_AT_ONCE allows. */
void bindings_go(struct cloud *c);

/** bindings_each() - @each may free what it is given. */
void bindings_each(struct cloud *c, void (*each)(struct binding *b, void *arg), void *arg);

/* fetch.c: one exchange, from the JWT-SVID to the verdict */

/** fetch_start() - begin one for @b; binding_exchanged() follows. Errors: -ENOMEM, those of chan_send(). */
MUST int fetch_start(struct binding *b);

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

/* cache.c */

/** cache_open() - open the database in @dir. A failure is logged and no error: then nothing is kept over a restart. */
void cache_open(struct cloud *c, const char *dir);

/** cache_load() - have the row of @b opened; binding_cached() follows, or has been called when there is none. */
void cache_load(struct binding *b);

/** cache_opened() - svid-keys' answer to that. */
void cache_opened(struct binding *b, const struct msg_CK_OPENED *m);

/** cache_store() - have the credential of @b sealed, then stored. */
void cache_store(struct binding *b);

/** cache_sealed() - svid-keys' answer to that. */
void cache_sealed(struct binding *b, const struct msg_CK_SEALED *m);

/** cache_drop() - forget what was kept of @b. */
void cache_drop(struct binding *b);

/** cache_prune() - forget what belongs to no binding. */
void cache_prune(struct cloud *c);

/* http.c */

/* One request on its way. */
struct http_call;
typedef void http_done(void *arg, const struct http_response *r, const char *why);

/** http_new() - Errors: -ENOMEM. */
MUST int http_new(struct loop *loop, struct http **ret_http);

/** http_free() - requests on their way end without an answer. */
void http_free(struct http *h);

/**
 * http_post() - send @r, which is taken over; done() follows from the loop: with a response, or with @why there is none.
 * @proxy, @ca: empty for none; @ca is PEM.
 * Errors: -ENOMEM.
 */
MUST int http_post(struct http *h, struct http_request *r, struct slice proxy, struct slice ca, http_done *done, void *arg,
		   struct http_call **ret_call);

/** http_cancel() - done() does not follow. */
void http_cancel(struct http_call *call);

/* oidc.c */

/** oidc_start() - serve the discovery document and the key set on listener @fd, plain HTTP. Errors: -ENOMEM, -errno. */
MUST int oidc_start(struct cloud *c, int fd);

/** oidc_free() - NULL is fine. */
void oidc_free(struct oidc *o);

#endif
