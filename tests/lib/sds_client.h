/* SPDX-License-Identifier: Apache-2.0 */
/* sds_client.h - what an Envoy says and hears over SDS, as bytes. Tests of workloadapi only: a failure is a cmocka assertion. */
#ifndef TESTS_SDS_CLIENT_H
#define TESTS_SDS_CLIENT_H

#include "agent/base/pb.h"
#include "tests/lib/call_fixture.h"
#include "workloadapi/sds.h"

#define SDS_SERVICE "/envoy.service.secret.v3.SecretDiscoveryService/"
#define SDS_STREAM SDS_SERVICE "StreamSecrets"
#define SDS_DELTA SDS_SERVICE "DeltaSecrets"
#define SDS_FETCH SDS_SERVICE "FetchSecrets"

#define SDS_HEARD 16
enum { SECRET_CERTIFICATE = 2, SECRET_VALIDATION = 4 };

/* One answer. Slices borrow from the stream's bytes. */
struct sds_heard {
	struct slice version, type, nonce;
	struct {
		struct slice name, version; /* version: delta */
		uint32_t kind;
		struct slice content; /* of TlsCertificate or CertificateValidationContext */
	} secret[SDS_HEARD];
	size_t n;
	struct slice removed[SDS_HEARD];
	size_t n_removed;
};

/* One request. What is NULL or 0 is left out. Lists end with NULL. */
struct sds_says {
	bool delta;
	const char *const *names;   /* delta: to subscribe to */
	const char *const *without; /* delta: to unsubscribe from */
	const char *const *have;    /* delta: name, version, name... */
	const char *type;	    /* "": none; NULL: that of secrets */
	const char *version;
	const struct sds_heard *ack;
	const char *refuse;	    /* why ack is refused */
	const char *key, *value;    /* of the Node's metadata */
	uint32_t minor;		    /* the Node's Envoy is 1.minor */
	size_t extensions;	    /* of the Node */
};

/** sds_message() - a request. */
void sds_message(struct buf *b, const struct sds_says *says);

/** sds_put() - the same with its prefix. */
void sds_put(struct buf *b, const struct sds_says *says);

/** sds_open() - a stream without requests. */
struct answer *sds_open(struct peer *p, const char *path);

/** sds_send() - some bytes of requests on it, and whatever follows from that. */
void sds_send(struct peer *p, struct answer *a, struct slice bytes);

/** sds_say() - a request on it, and whatever follows from that. */
void sds_say(struct peer *p, struct answer *a, const struct sds_says *says);

/** sds_begin() - a stream whose first request has these names. */
struct answer *sds_begin(struct fixture *f, const char *const *names);

/** sds_last() - the last of @want answers of StreamSecrets or FetchSecrets. */
struct sds_heard sds_last(const struct answer *a, size_t want);

/** sds_serve() - another set is served, and whatever follows from that. */
void sds_serve(struct fixture *f, const struct test_set *set);

/** sds_hear() - take an answer apart. */
struct sds_heard sds_hear(struct slice message, bool delta);

/** sds_count() - how many fields @number there are. */
size_t sds_count(struct slice message, uint32_t number);

/** sds_nth() - the content of field @number, the @n th of them from 0. */
struct slice sds_nth(struct slice message, uint32_t number, size_t n);

/** sds_field() - field @inner of field @outer; @inner 0: that itself. */
struct slice sds_field(struct slice message, uint32_t outer, uint32_t inner);

/** assert_secret() - exactly one of this name is in it, of this kind. */
void assert_secret(const struct sds_heard *h, const char *name, uint32_t kind);

/** assert_pem() - it is one PEM block with this label, around what test_der() makes of @len and @fill. */
void assert_pem(struct slice pem, const char *label, size_t len, uint8_t fill);

#endif
