/* SPDX-License-Identifier: Apache-2.0 */
/* cloud_case.h - a token service that grants, or refuses first as often as said, and svid-cloud with one binding to it. */
#ifndef TESTS_ROLE_CLOUD_CASE_H
#define TESTS_ROLE_CLOUD_CASE_H

#include "tests/role/cloud_world.h"

#define WEB "spiffe://example.org/web"

struct service {
	enum cloud_kind kind;
	unsigned int refusals, status; /* first so many are refused with this status */
	const char *code;	       /* AWS: its error code */
	const char *text;	       /* or this body */
	const char *headers;	       /* of a refusal */
	const char *more_headers;      /* of every answer */
	unsigned int n, wait_ms;
	int64_t life;
	struct https_reply shape; /* rude: declared, cut, drip_ms, fillers, silent */
	char line[4096], body[8192], head[8192]; /* of the last request */
};

struct world {
	struct cloud_rig rig;
	struct service service;
	struct https *https;
	char *spec;
	const char *more; /* of the source, beside its kind */
	enum https_cert cert;
	bool tls11, no_ca;
};

/** service_answer() - what https_start() wants; @arg: struct service. */
void service_answer(void *arg, const struct https_request *q, struct https_reply *r);

/** world_begin() - the service, and svid-cloud with binding 1, "cred", to it. A life of 0 is an hour. */
void world_begin(struct world *w, enum cloud_kind kind, const char *settings);

/** world_again() - svid-cloud is killed, and another one gets the same binding. */
void world_again(struct world *w);

/** world_end() - */
void world_end(struct world *w);

#endif
