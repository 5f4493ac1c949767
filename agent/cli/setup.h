/* SPDX-License-Identifier: Apache-2.0 */
/*
 * setup.h - the commands that set up the cloud's side of one CredentialSource. setup.c asks svid-core and prints; a file for
 * each cloud makes the commands, without I/O.
 */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define SETUP_TEXT (1u << 20)

struct setup {
	const char *source;	  /* name of the CredentialSource */
	const json_t *spec;	  /* what its document says of the cloud */
	const char *trust_domain, *issuer;
	const json_t *users;	  /* [{"credential", "spiffe_id"}], at least one */
	struct slice ca_pem;	  /* our CA certificates */
	json_t *steps;		  /* made here: [{"why", "command"}] */
	struct buf command;	  /* of the step in the making */
	const char *refused;	  /* why there is nothing to print; NULL: it is all right */
};

/** setup_words() - the fixed words that a command begins with, or goes on with. */
void setup_words(struct setup *s, const char *words);

/** setup_word() - @value as one word of the shell. */
void setup_word(struct setup *s, struct slice value);

/** setup_option() - " \\\n    NAME VALUE", the value as one word of the shell. */
void setup_option(struct setup *s, const char *name, struct slice value);

/** setup_option_json() - the same with JSON; @value is released. */
void setup_option_json(struct setup *s, const char *name, json_t *value);

/** setup_step() - the command is complete; @why may have several lines. */
void setup_step(struct setup *s, const char *why);

/** setup_publish() - the step that is the same for each cloud that checks our JWT-SVIDs. */
void setup_publish(struct setup *s, const char *more);

/** setup_subjects() - an array of the SPIFFE IDs that use the source; the caller's. */
json_t *setup_subjects(const struct setup *s);

/* One for each kind of source. What cannot be is said in @s->refused. */
void setup_aws(struct setup *s);
void setup_roles_anywhere(struct setup *s);
void setup_gcp(struct setup *s);
void setup_azure(struct setup *s);

#endif
