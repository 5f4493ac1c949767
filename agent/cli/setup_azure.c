// SPDX-License-Identifier: Apache-2.0
/*
 * setup_azure.c - federated credentials of an Entra application, or of a user-assigned identity, for a CredentialSource of kind
 * azure. svid. Facts: clouds.md 1.4, 2.
 */
#include <stdio.h>

#include "agent/cli/dump.h"
#include "agent/cli/setup.h"

#define NAME_MAX_BYTES 120
#define CREDENTIALS_MAX 20 /* of one application or identity */

/* National clouds are other clouds to az, too. */
static const struct {
	const char *authority, *cloud;
} clouds[] = {
	{ "https://login.microsoftonline.us", "AzureUSGovernment" },
	{ "https://login.partner.microsoftonline.cn", "AzureChinaCloud" },
};

static void put_login(struct setup *s)
{
	const char *authority = json_text(s->spec, "authority");

	for (size_t i = 0; i < ARRAY_SIZE(clouds); i++)
		if (strcmp(clouds[i].authority, authority) == 0) {
			setup_words(s, "az cloud set --name ");
			setup_words(s, clouds[i].cloud);
			setup_words(s, "\n");
		}
	setup_words(s, "az login --tenant ");
	setup_word(s, slice_str(json_text(s->spec, "tenantID")));
	setup_step(s, "As somebody who may change the application.");
}

/* Letters, digits, dash and underscore; it cannot be changed later, and is for people. */
static void put_name(const json_t *user, struct buf *out)
{
	buf_put_str(out, "svid-");
	for (const char *p = json_text(user, "credential"); *p && out->len < NAME_MAX_BYTES; p++)
		buf_put_u8(out, *p == '.' ? '-' : (uint8_t)*p);
}

static void put_application(struct setup *s, const json_t *user, const char *why)
{
	AUTO(buf) struct buf name = BUF_INIT(256);

	put_name(user, &name);
	setup_words(s, "az ad app federated-credential create");
	setup_option(s, "--id", slice_str(json_text(s->spec, "clientID")));
	setup_option_json(s, "--parameters",
			  json_pack("{s:s, s:s, s:s, s:[s]}", "name", buf_cstr(&name), "issuer", s->issuer, "subject",
				    json_text(user, "spiffe_id"), "audiences", json_text(s->spec, "audience")));
	setup_step(s, why);
}

static void put_identity(struct setup *s, const json_t *user, const char *why)
{
	AUTO(buf) struct buf name = BUF_INIT(256);

	put_name(user, &name);
	setup_words(s, "az identity federated-credential create --identity-name \"$IDENTITY\" --resource-group \"$GROUP\"");
	setup_option(s, "--name", buf_slice(&name));
	setup_option(s, "--issuer", slice_str(s->issuer));
	setup_option(s, "--subject", slice_str(json_text(user, "spiffe_id")));
	setup_option(s, "--audiences", slice_str(json_text(s->spec, "audience")));
	setup_step(s, why);
}

/* Two credentials of one identity need one trust. */
static bool is_repeated(const struct setup *s, size_t at)
{
	const char *id = json_text(json_array_get(s->users, at), "spiffe_id");

	for (size_t i = 0; i < at; i++)
		if (strcmp(json_text(json_array_get(s->users, i), "spiffe_id"), id) == 0)
			return true;
	return false;
}

static void put_all(struct setup *s, void (*put)(struct setup *s, const json_t *user, const char *why), const char *why)
{
	for (size_t i = 0; i < json_array_size(s->users); i++) {
		const json_t *user = json_array_get(s->users, i);

		if (!is_repeated(s, i))
			put(s, user, i ? json_text(user, "spiffe_id") : why);
	}
}

void setup_azure(struct setup *s)
{
	AUTO(json) json_t *subjects = setup_subjects(s);

	if (json_array_size(subjects) > CREDENTIALS_MAX) {
		s->refused = "more than 20 identities use it, and an application takes 20 federated credentials: use several";
		return;
	}
	setup_publish(s, " Entra reads it from the public internet, and takes no upload.");
	put_login(s);
	put_all(s, put_application,
		"Tokens of this issuer with this subject are the application. Compared byte by byte; takes minutes.");
	put_all(s, put_identity, "Instead, where clientID is a user-assigned identity's: IDENTITY and GROUP are its names.");
	setup_words(s, "az role assignment create");
	setup_option(s, "--assignee", slice_str(json_text(s->spec, "clientID")));
	setup_words(s, " --role \"$ROLE\" --scope \"$SCOPE\"");
	setup_step(s, "What it may do is yours to say: ROLE and SCOPE.");
}
