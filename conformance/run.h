/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - what a conformance test is, what it is given, and the few calls that most tests are made
 * of. Tests are in one file per noun: status.c grpc.c conn.c hostile.c ids.c leaf.c response.c
 * jwt.c jwtbundle.c validate.c wit.c reflection.c, and sds*.c, which share sds.h.
 */
#ifndef CONFORMANCE_RUN_H
#define CONFORMANCE_RUN_H

#include "conformance/message.h"
#include "conformance/wire.h"

enum verdict { PASS, FAIL, SKIP, NOT_OFFERED /* a profile that this server does not have, or has */ };

/* Which caller a test needs: one that has an identity, one that has none. */
enum mode { MODE_IDENTITY = 1, MODE_NONE = 2, MODE_BOTH = 3 };

/* First answers, fetched once. The JWT-SVIDs are for JWT_AUDIENCES. */
enum answer_of { ANSWER_JWT, ANSWER_JWT_BUNDLES, ANSWER_WIT, ANSWER_WIT_BUNDLES, ANSWERS };
#define JWT_AUDIENCES "one", "two"

struct answer {
	struct buf bytes;
	struct items items;
	bool have;
};

struct run {
	const char *socket;
	enum mode mode;
	const struct test *test; /* that runs now */
	struct foreign *foreign; /* --foreign: keys of a trust domain whose bundle the server has; NULL: not told */
	bool wit;		 /* --wit: the operator offers the WIT-SVID profile */
	const char *first_id; /* --first: the default identity that the operator's policy gives; NULL: not told */
	int watch_s;	      /* --watch: seconds to wait for a rotation; 0: do not */
	char why[600];	      /* of the last fail or skip */
	struct buf svid_bytes, bundle_bytes; /* first answers, fetched once */
	struct svid_response svids;
	struct bundle_response bundles;
	bool have_svids, have_bundles;
	struct answer answers[ANSWERS];
};

/* The name of a test is its clause; several tests may share one. */
struct test {
	const char *clause;
	const char *what;
	enum mode mode;
	enum verdict (*run)(struct run *r);
	const void *arg; /* of a function that makes many tests */
};

extern const struct test status_tests[], grpc_tests[], conn_tests[], hostile_tests[], id_tests[], leaf_tests[],
	response_tests[], jwt_tests[], bundle_tests[], validate_tests[], wit_tests[], reflection_tests[], sds_tests[],
	sds_form_tests[], sds_delta_tests[], sds_watch_tests[];

/* Requests as an ordinary client sends them; tests copy and change them. */
extern const struct request fetch_svid, fetch_bundles, health_check, fetch_jwt, fetch_jwt_bundles, validate_jwt, fetch_wit,
	fetch_wit_bundles;

/** fail() - remember why, and FAIL. */
enum verdict fail(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** not_offered() - the clause binds only servers that offer (or do not offer) the WIT profile. */
enum verdict not_offered(struct run *r);

/** skip() - remember why, and SKIP. */
enum verdict skip(struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* One connection and the call on it that a test looks at. */
struct call {
	struct wire w;
	uint32_t id;
	struct reply *p;
};

static inline void call_autoclean(struct call *c)
{
	wire_done(&c->w);
}

/**
 * call_connect() - connection with SETTINGS exchanged, no request yet.
 * Errors: those of wire_connect() and wire_start().
 */
MUST int call_connect(struct run *r, struct call *c);

/**
 * call_make() - one more request on the connection; waits as far as @until.
 * Errors: those of wire_call() and wire_wait().
 */
MUST int call_make(struct call *c, const struct request *q, enum until until);

/** call_send() - call_make() with a request message. Errors: likewise. */
MUST int call_send(struct call *c, const struct request *q, struct slice message, enum until until);

/**
 * ask() - one call on a connection of its own, and its first message in *ret (may be NULL), borrowed from @c.
 * Errors: -EBADE (it ended with a status), those of call_send().
 */
MUST int ask(struct run *r, struct call *c, const struct request *q, struct slice message, struct slice *ret);

/** put_text() - a length-delimited protobuf field. */
void put_text(struct buf *b, unsigned int number, struct slice text);

/** want_served() - PASS when the call gets what this caller is due: a message, or PermissionDenied. */
enum verdict want_served(struct run *r, const struct request *q);

/** want_served_reply() - the same for an answer that came already; err is what waiting for it gave. */
enum verdict want_served_reply(struct run *r, int err, const struct reply *p);

/** want_status() - PASS when the call ends with this gRPC status (HTTP 200 and a gRPC content type). */
enum verdict want_status(struct run *r, const struct request *q, int status);

/** want_alive() - PASS when a fresh connection is still served promptly. */
enum verdict want_alive(struct run *r, const char *after);

/**
 * run_svids() - the first FetchX509SVID answer of this run; NULL when there was none (r->why says why).
 */
const struct svid_response *run_svids(struct run *r);

/** run_bundles() - likewise for FetchX509Bundles. */
const struct bundle_response *run_bundles(struct run *r);

/** run_answer() - the first answer of a JWT or WIT call; NULL when there was none. */
const struct items *run_answer(struct run *r, enum answer_of which);

/** run_forget() - fetch everything anew when it is asked for again. */
void run_forget(struct run *r);

/** trust_domain_of() - "spiffe://td" of an ID. */
struct slice trust_domain_of(struct slice id);

/** reply_text() - how an answer ended, for messages; a static buffer. */
const char *reply_text(int err, const struct reply *p);

#endif
