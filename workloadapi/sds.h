/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sds.h - Envoy's Secret Discovery Service: what a front keeps for it, and the parts it is made of. Sans-I/O. svid-front.
 *
 * A stream holds an ask (names and form, shared by all streams that ask alike) and the view that it was told last. A view says
 * which version each name has; its answer is encoded once. publish.c gives the versions, by comparing a set with the one
 * before it: no byte of an answer is made before a stream wants it.
 *
 * Read in this order: sds_request.c, sds.c, sds_delta.c, sds_view.c, sds_names.c, sds_secret.c.
 */
#ifndef FRONT_SDS_H
#define FRONT_SDS_H

#include "agent/base/list.h"
#include "agent/base/limits.h"
#include "workloadapi/message.h"
#include "workloadapi/set.h"

#define SDS_BUCKETS 32
#define SDS_TYPE "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

struct api;

struct sds {
	struct list asks[SDS_BUCKETS];
	struct list gone;    /* trust domains whose bundle was served and is not any more, oldest first */
	size_t n_gone;
	uint64_t versions;   /* the last one given; starts at the clock, so that no two fronts give the same */
	uint64_t nonces;     /* likewise */
	uint64_t epoch;	     /* of api->set */
	uint64_t shrunk;     /* version at which something was last withdrawn */
};

/* How a stream wants bundles, as its node says: bits. The identity set decides what is left open. */
enum sds_wish {
	SDS_WISH_PLAIN = 1,	/* metadata disable_spiffe_cert_validation: true */
	SDS_WISH_VALIDATOR = 2, /* the same: false */
	SDS_WISH_MAP = 4,	/* metadata spiffe_bundle_map: true */
	SDS_WISH_NO_MAP = 8,	/* the same: false; or an Envoy that does not know it */
	SDS_WISH_OLD = 16,	/* an Envoy without the SPIFFE validator */
};

enum sds_form { SDS_FORM_VALIDATOR, SDS_FORM_PLAIN, SDS_FORM_MAP };

/* What a name stands for. */
enum sds_kind {
	SDS_NOTHING,
	SDS_CERT,   /* id: chain and key */
	SDS_BUNDLE, /* domain */
	SDS_ALL,    /* all bundles, each for its own trust domain */
	SDS_NOBODY, /* domain: a trust domain that is not trusted (any more) */
};

struct sds_source {
	enum sds_kind kind;
	const struct set_identity *id;
	const struct set_bundle *bundle; /* SDS_BUNDLE */
	struct slice domain;		 /* SDS_BUNDLE, SDS_NOBODY: without scheme */
	uint64_t version;		 /* 0: SDS_NOTHING */
};

struct sds_row {
	struct slice name;
	uint64_t version; /* 0: there is no such thing now */
};

/* Names and versions at one moment; never changed, counted. Sorted by name, none twice. */
struct sds_view {
	uint32_t refs;
	uint64_t nonce;		/* of its answer */
	uint64_t version;	/* the newest of its rows */
	int64_t expires;	/* wall clock seconds; 0: never */
	struct message *msg;	/* DiscoveryResponse; NULL: not wanted yet, or not served any more */
	struct sds_view *from;	/* whoever was told this one */
	struct message *delta;	/* gets this DeltaDiscoveryResponse; NULL as above */
	size_t n;
	struct sds_row rows[];	/* their bytes follow */
};

/* What a stream asks for. Shared by all that ask alike. */
struct sds_ask {
	struct list node;
	uint32_t refs;
	uint32_t wish;		/* enum sds_wish */
	uint32_t hash;		/* of the names */
	bool all;		/* identities and bundles, whatever there is, besides the names */
	bool held;		/* the client has bundles of an earlier stream: what is not trusted must be replaced */
	struct sds_view *names; /* without versions */
	struct sds_view *view;	/* NULL: not known yet */
	uint64_t epoch;		/* of view */
};

/* sds_names.c */

/** sds_find() - what @name stands for in the set that is served, for a stream like @ask. */
struct sds_source sds_find(const struct api *api, struct slice name, const struct sds_ask *ask);

/** sds_is_domain() - whether it is "spiffe://td" and no path. */
bool sds_is_domain(struct slice id);

/** sds_form_of() - how such a stream gets bundles now. */
enum sds_form sds_form_of(const struct set *s, uint32_t wish);

/**
 * sds_prepare() - make room for what sds_follow() must remember when @next is served after api->set.
 * Errors: -ENOMEM.
 */
MUST int sds_prepare(struct api *api, const struct set *next);

/** sds_follow() - api->set is another one: versions of what it holds; what is as it was in @old keeps its version. */
void sds_follow(struct api *api, const struct set *old);

/* sds_secret.c */

/* One answer before it is encoded. */
struct sds_answer {
	const struct api *api;
	const struct sds_ask *ask;
	const struct sds_view *view;
	const struct sds_view *from; /* delta: what the client has; NULL: nothing */
	bool delta;
};

/**
 * sds_encode() - the DiscoveryResponse of a->view, or the DeltaDiscoveryResponse from a->from to it.
 * @ret_m: in wiped pages when there is a private key in it; one reference, owned by the caller.
 * Errors: -ERR_SIZE (above LIM_GRPC_RESPONSE), -ERR_NOT_READY (a key is not here), -ERR_FORMAT, -ENOMEM.
 */
MUST int sds_encode(const struct sds_answer *a, struct message **ret_m);

/* sds_view.c */

/** sds_init() - no streams. */
void sds_init(struct sds *s);

/** sds_done() - forget everything; streams are gone already. */
void sds_done(struct sds *s);

/**
 * sds_view_new() - a view of @rows, which are sorted here; of equal names the first stays.
 * @ret_view: one reference, owned by the caller.
 * Errors: -ENOMEM.
 */
MUST int sds_view_new(struct sds_row *rows, size_t n, struct sds_view **ret_view);

/** sds_view_ref() - one more reference; returns @v. */
struct sds_view *sds_view_ref(struct sds_view *v);

/** sds_view_unref() - drop one; NULL is fine. */
void sds_view_unref(struct sds_view *v);

static inline void sds_view_autoclean(struct sds_view **v)
{
	sds_view_unref(*v);
}

/** sds_view_find() - the row of this name; NULL when it has none, or @v is NULL. */
const struct sds_row *sds_view_find(const struct sds_view *v, struct slice name);

/** sds_ask_get() - the ask for @names (taken over, on error too). Errors: -ENOMEM. */
MUST int sds_ask_get(struct api *api, struct sds_view *names, const struct sds_ask *like, struct sds_ask **ret_ask);

/** sds_ask_unref() - drop one reference; NULL is fine. */
void sds_ask_unref(struct sds_ask *ask);

/** sds_ask_view() - what is served to it now; borrowed. Errors: -ENOMEM. */
MUST int sds_ask_view(struct api *api, struct sds_ask *ask, struct sds_view **ret_view);

/** sds_ask_message() - the answer with its current view, borrowed. Errors: of sds_encode(). */
MUST int sds_ask_message(const struct api *api, struct sds_ask *ask, struct message **ret_m);

/** sds_ask_delta() - the answer for whoever was told @from (NULL: nothing), borrowed. Errors: of sds_encode(). */
MUST int sds_ask_delta(const struct api *api, struct sds_ask *ask, struct sds_view *from, struct message **ret_m);

#endif
