/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud_world.h - the real svid-cloud with its sandbox on and the real svid-keys; the test is svid-core to both, and the
 * token service (tests/lib/https.h). For tests/role/cloud*_test.c. Everything that goes wrong fails the test.
 */
#ifndef TESTS_ROLE_CLOUD_WORLD_H
#define TESTS_ROLE_CLOUD_WORLD_H

#include "tests/lib/https.h"
#include "tests/role/keys_world.h"

#define CLOUD SVID_BIN "/svid-cloud"
#define BINDINGS 1100
#define ORDERS 2048
#define IDENTITY 5
#define ISSUER "https://oidc.example.org"
#define SOURCE "source"

/* What svid-cloud said last of a binding: CR_STATE. */
struct seen {
	unsigned int said; /* how often; 0: nothing else here is known */
	uint32_t state, failures;
	int64_t expires_at, refresh_at, last_success;
	char error[1025], next_step[513];
};

/* Its last CR_EXCHANGE. */
struct record {
	uint32_t binding, http_status;
	int err;
	int64_t expires_at;
	char code[129], endpoint[513], jti[65], kid[65], session[129], principal[2049], key_id[129], request_id[257];
};

struct answered {
	bool asked, done;
	int err;
	struct buf content;
};

struct cloud_rig {
	struct rig keys;
	pid_t pid;
	int core;      /* our end of svid-cloud's channel */
	int cloud_keys; /* svid-keys' end of theirs, for another svid-keys: as svidd keeps it */
	char dir[64];  /* of cache.db */
	struct buf in, chain, jwks;
	uint64_t generation; /* of the X.509-SVID; 0: none yet */
	enum key_type key_type;
	unsigned int jwts, file_jwts, signs, exchanges, ttl;
	const char *source; /* of bindings from now on; NULL: SOURCE */
	int refuse; /* CR_JWT and CR_SIGN are refused with this */
	bool deaf;  /* they are not answered */
	bool late_chain; /* the chain to a signature comes after it, and is another's */
	struct seen *seen; /* BINDINGS of them */
	struct record record;
	struct answered *files; /* ORDERS of them */
	uint32_t last_order;
	char (*ids)[96];
	int log; /* a memfd: all that every svid-cloud of this rig wrote to its log */
};

/** cloud_setup() - a directory, and svid-keys with every key there. */
void cloud_setup(struct cloud_rig *w);

/** cloud_teardown() - whatever runs ends; the directory goes. */
void cloud_teardown(struct cloud_rig *w);

/** cloud_start() - a new svid-cloud on the directory that has said ready, and heard CL_CONF; @oidc: its listener, or -1. */
void cloud_start(struct cloud_rig *w, int oidc);

/** cloud_kill() - SIGKILL, and its end. What it told of bindings is forgotten here. */
void cloud_kill(struct cloud_rig *w);

/** cloud_ended() - it ends by itself: its status. */
int cloud_ended(struct cloud_rig *w);

/** cloud_bind() - CL_BIND: credential @name of @id, with the source's @spec. */
void cloud_bind(struct cloud_rig *w, uint32_t number, enum cloud_kind kind, const char *id, const char *name, const char *spec);

/** cloud_bound() - CL_BOUND. */
void cloud_bound(struct cloud_rig *w);

/** cloud_unbind() - CL_UNBIND. */
void cloud_unbind(struct cloud_rig *w, uint32_t number);

/** cloud_refresh() - CL_REFRESH. */
void cloud_refresh(struct cloud_rig *w, uint32_t number);

/** cloud_pump() - handle what svid-cloud says within @ms; false when nothing came. */
bool cloud_pump(struct cloud_rig *w, int ms);

/** cloud_quiet() - all that it was told is handled, and all that it said to that is heard. */
void cloud_quiet(struct cloud_rig *w);

/** cloud_settle() - neither svid-cloud nor svid-keys had anything to do for a while: what was to be sealed is on disk. */
void cloud_settle(struct cloud_rig *w);

/** cloud_state() - wait until @number is in @state. */
const struct seen *cloud_state(struct cloud_rig *w, uint32_t number, enum cloud_state state);

/** cloud_ask() - CL_FILE; returns its order. */
uint32_t cloud_ask(struct cloud_rig *w, uint32_t number, enum cloud_file what);

/** cloud_answer() - wait for the answer to @order; the content is text that lives as long as @w. */
int cloud_answer(struct cloud_rig *w, uint32_t order, const char **ret_text);

/** cloud_read() - both; fails the test when there is no file. */
const char *cloud_read(struct cloud_rig *w, uint32_t number, enum cloud_file what);

/** cloud_refused() - the file is refused, with this error. */
int cloud_refused(struct cloud_rig *w, uint32_t number, enum cloud_file what);

/** cloud_logged() - whether @text is in what svid-cloud logged so far. */
bool cloud_logged(struct cloud_rig *w, const char *text);

/*
 * A source as JSON, of a token service at @url whose CA is @ca (PEM); @settings: more of the kind's, @more: beside it, each with
 * its comma in front. Owned by the caller (free).
 */
char *source_of(enum cloud_kind kind, const char *url, const char *ca, const char *settings, const char *more);

/* What a cloud answers. @in_s: life. */
void aws_grants(struct https_reply *r, const char *mark, int64_t in_s);
void aws_refuses(struct https_reply *r, unsigned int status, const char *code);
void google_grants(struct https_reply *r, const char *mark, int64_t in_s);
void google_account_grants(struct https_reply *r, const char *mark, int64_t in_s);
void azure_grants(struct https_reply *r, const char *mark, int64_t in_s);
void anywhere_grants(struct https_reply *r, const char *mark, int64_t in_s);

#endif
