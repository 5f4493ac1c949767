/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sds.h - Envoy's secret discovery service as a scripted client speaks it: one stream, requests with any
 * fields, answers taken apart. svid-conformance; sdsmessage.c has the bytes, tests are in sds.c,
 * sdsform.c, sdsdelta.c and sdswatch.c.
 */
#ifndef CONFORMANCE_SDS_H
#define CONFORMANCE_SDS_H

#include "conformance/run.h"
#include "conformance/x509.h"

#define SECRET_TYPE "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
#define VALIDATOR_TYPE "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
#define VALIDATOR_NAME "envoy.tls.cert_validator.spiffe"
#define SDS_SERVICE "/envoy.service.secret.v3.SecretDiscoveryService/"

/* The first thing wrong is the verdict. */
#define TRY(x)                         \
	do {                           \
		enum verdict v_ = (x); \
		if (v_ != PASS)        \
			return v_;     \
	} while (0)

/* A request for these names; the same as a list. */
#define SECRETS(...) ((struct sds_request){ .type_url = SECRET_TYPE, .names = { __VA_ARGS__ } })
#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

enum { SDS_SECRETS = 64, SDS_QUIET_MS = 250 };

extern const struct request stream_secrets, delta_secrets, fetch_secrets;

/* One Secret of an answer; what is not there is empty. */
struct secret {
	struct slice name, all;
	struct slice version;	/* delta: of the Resource */
	struct slice chain, key; /* PEM */
	struct slice trusted_ca; /* PEM */
	struct slice validator_name, validator_type, validator;
	struct slice context; /* the whole CertificateValidationContext */
};

/* A DiscoveryResponse or DeltaDiscoveryResponse, with bytes of its own. */
struct sds_answer {
	struct buf bytes;
	struct slice version, nonce, type_url;
	struct secret secrets[SDS_SECRETS];
	struct slice removed[SDS_SECRETS];
	size_t n, n_removed;
};

/* What a request says; NULL and empty fields are left out. */
struct sds_request {
	const char *names[8]; /* delta: to subscribe to */
	const char *drop[4];  /* delta: to unsubscribe from */
	struct slice version, nonce, node;
	const char *type_url;
	const char *error;	   /* makes it a NACK */
	const char *initial_name;  /* delta: initial_resource_versions */
	struct slice initial_version;
	struct slice more; /* further fields, as they are */
};

/* One stream of a connection. */
struct sds {
	struct call *c;
	uint32_t id;
	struct reply *p;
	bool delta;
};

/* Names that the policy gives to this program, NUL-terminated. */
struct own_names {
	char first[2112], second[2112], domain[320]; /* second: empty when there is one identity only */
};

void sds_answer_done(struct sds_answer *a);

static inline void sds_answer_autoclean(struct sds_answer *a)
{
	sds_answer_done(a);
}

/** sds_request_put() - the bytes of a request, without prefix. */
void sds_request_put(struct buf *b, bool delta, const struct sds_request *q);

/** sds_answer_parse() - copy and take apart an answer. Errors: -EPROTO, -ENOMEM. */
MUST int sds_answer_parse(struct slice message, bool delta, struct sds_answer *ret);

/** sds_metadata() - a Node with one member of metadata: a bool, or a string when @text is not NULL. */
void sds_metadata(struct buf *b, const char *key, const char *text);

/** sds_connect() - a connection for streams. */
enum verdict sds_connect(struct run *r, struct call *c);

/** sds_open() - one more stream on the connection. */
enum verdict sds_open(struct run *r, struct call *c, bool delta, struct sds *ret);

/** sds_say() - send one request on the stream. */
enum verdict sds_say(struct run *r, struct sds *s, const struct sds_request *q);

/** sds_hear() - the next answer, into @ret, which must be zeroed or done. */
enum verdict sds_hear(struct run *r, struct sds *s, struct sds_answer *ret);

/** sds_ask() - sds_say(), then sds_hear(). */
enum verdict sds_ask(struct run *r, struct sds *s, const struct sds_request *q, struct sds_answer *ret);

/** sds_begin() - connection, stream and its first answer at once. */
enum verdict sds_begin(struct run *r, struct call *c, struct sds *s, bool delta, const struct sds_request *q,
		       struct sds_answer *ret);

/** sds_quiet() - PASS when the stream lives and says nothing for SDS_QUIET_MS. */
enum verdict sds_quiet(struct run *r, struct sds *s, const char *after);

/** sds_ends() - PASS when the stream ends with this status, or with @or_status. */
enum verdict sds_ends(struct run *r, struct sds *s, int status, int or_status);

/** sds_ack() - the ACK of @a, with the names it was for. */
struct sds_request sds_ack(const struct sds_request *q, const struct sds_answer *a);

/** sds_find() - the secret of that name; NULL when the answer has none. */
const struct secret *sds_find(const struct sds_answer *a, const char *name);

/** sds_member() - the first length-delimited field of that number; empty when there is none. */
struct slice sds_member(struct slice m, unsigned int number);

/** sds_removed() - whether removed_resources has the name. */
bool sds_removed(const struct sds_answer *a, const char *name);

/** sds_has() - PASS when the answer has exactly these names, in any order; the list ends with NULL. */
enum verdict sds_has(struct run *r, const struct sds_answer *a, const char *const *names);

/** sds_own() - what this program is called; NULL when the Workload API did not say (r->why). */
const struct own_names *sds_own(struct run *r);

/** sds_pair() - PASS when the Secret has a chain and the PKCS#8 key of its leaf; the chain into @ret. */
enum verdict sds_pair(struct run *r, const struct secret *s, struct certs *ret);

/** sds_pem_certs() - certificates of a PEM text. Errors: -EPROTO. */
MUST int sds_pem_certs(struct slice pem, struct certs *ret);

/** sds_watch() - subscribe and print each answer as a line of JSON, for @seconds or until the stream ends; exit code. */
int sds_watch(const char *socket, bool delta, const char *names, int seconds);

#endif
