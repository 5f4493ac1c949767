// SPDX-License-Identifier: Apache-2.0
/*
 * setup.c - `svid cloud setup aws|gcp|azure SOURCE`: a script of the cloud's own commands, to be read and run by a person.
 * Everything that comes from a document is quoted as one word. svid, as root. Next: setup_aws.c, setup_gcp.c, setup_azure.c.
 */
#include "agent/cli/setup.h"

#include <errno.h>

#include "agent/cli/admin.h"
#include "agent/cli/cli.h"
#include "agent/cli/dump.h"
#include "agent/cli/env_form.h"
#include "agent/cli/issuer.h"
#include "agent/cli/x509.h"

static const struct {
	const char *cloud, *kind;
	bool tokens; /* it checks our JWT-SVIDs, and so needs an issuer */
	void (*run)(struct setup *s);
} setups[] = {
	{ "aws", "aws", true, setup_aws },
	{ "aws", "awsRolesAnywhere", false, setup_roles_anywhere },
	{ "gcp", "gcp", true, setup_gcp },
	{ "azure", "azure", true, setup_azure },
};

void setup_words(struct setup *s, const char *words)
{
	buf_put_str(&s->command, words);
}

void setup_word(struct setup *s, struct slice value)
{
	if (!quote_can(value))
		s->refused = "a document has characters that no command should have";
	quote_shell(&s->command, value);
}

void setup_option(struct setup *s, const char *name, struct slice value)
{
	buf_printf(&s->command, " \\\n    %s ", name);
	setup_word(s, value);
}

void setup_option_json(struct setup *s, const char *name, json_t *value)
{
	AUTO(buf) struct buf text = BUF_INIT(SETUP_TEXT);

	json_put(&text, value, JSON_COMPACT | JSON_ENSURE_ASCII);
	setup_option(s, name, buf_slice(&text));
	json_decref(value);
	if (!value || buf_ok(&text))
		s->refused = err_text(-ENOMEM);
}

void setup_step(struct setup *s, const char *why)
{
	if (buf_ok(&s->command) ||
	    json_array_append_new(s->steps, json_pack("{s:s, s:s}", "why", why, "command", buf_cstr(&s->command))))
		s->refused = err_text(-ENOMEM);
	buf_reset(&s->command);
}

void setup_publish(struct setup *s, const char *more)
{
	AUTO(buf) struct buf why = BUF_INIT(4096);

	buf_printf(&why, "Write what it needs to check our tokens, and publish it at\n%s\nagain daily.%s", s->issuer, more);
	setup_words(s, "svid oidc export oidc");
	setup_step(s, buf_cstr(&why));
}

json_t *setup_subjects(const struct setup *s)
{
	json_t *list = json_array(), *user, *seen;
	size_t i, k;

	json_array_foreach((json_t *)s->users, i, user) {
		bool there = false;

		json_array_foreach(list, k, seen)
			there = there || json_equal(seen, json_object_get(user, "spiffe_id"));
		if (!there)
			(void)json_array_append(list, json_object_get(user, "spiffe_id"));
	}
	return list;
}

/* ---- which source ---- */

static const json_t *find_source(const json_t *root, const char *name)
{
	const json_t *list = json_object_get(root, "sources"), *source;
	size_t i;

	json_array_foreach((json_t *)list, i, source)
		if (strcmp(json_text(source, "source"), name) == 0)
			return source;
	cli_error("no CredentialSource in force is called", name, "its document is missing or refused",
		  "see: svid status, and: svid policy check /etc/svid/policy.d");
	return NULL;
}

static json_t *users_of(const json_t *root, const char *name)
{
	const json_t *list = json_object_get(root, "credentials"), *user;
	json_t *mine = json_array();
	size_t i;

	json_array_foreach((json_t *)list, i, user)
		if (strcmp(json_text(user, "source"), name) == 0)
			(void)json_array_append(mine, (json_t *)user);
	return mine;
}

static const char *kind_of(const json_t *source)
{
	json_t *spec = json_object_get(source, "spec");

	for (size_t i = 0; i < ARRAY_SIZE(setups); i++)
		if (json_is_object(json_object_get(spec, setups[i].kind)))
			return setups[i].kind;
	return json_is_object(json_object_get(spec, "jwt")) ? "jwt" : "?";
}

static int wrong_cloud(const char *cloud, const char *name, const char *kind)
{
	AUTO(buf) struct buf why = BUF_INIT(256);
	AUTO(buf) struct buf next = BUF_INIT(1024);

	for (size_t i = 0; i < ARRAY_SIZE(setups); i++)
		if (strcmp(setups[i].kind, kind) == 0)
			buf_printf(&next, "svid cloud setup %s %s", setups[i].cloud, name);
	if (strcmp(kind, "jwt") == 0)
		buf_put_str(&why, "it is of kind jwt: the relying party, not a cloud, has to be told of the issuer");
	else
		buf_printf(&why, "it is of kind %s", kind);
	cli_error("nothing to set up in", cloud, buf_cstr(&why), next.len ? buf_cstr(&next) : NULL);
	return CLI_USAGE;
}

static int which(const char *cloud, const char *name, const json_t *source, size_t *ret_at)
{
	const char *kind = kind_of(source);

	for (size_t i = 0; i < ARRAY_SIZE(setups); i++)
		if (strcmp(setups[i].kind, kind) == 0 && strcmp(setups[i].cloud, cloud) == 0) {
			*ret_at = i;
			return CLI_DONE;
		}
	return wrong_cloud(cloud, name, kind);
}

/* ---- printing ---- */

static void put_why(const char *why, size_t number, struct buf *out)
{
	buf_printf(out, "\n# %zu. ", number);
	for (; *why; why++) {
		buf_put_esc(out, slice_of(why, *why != '\n'));
		buf_put_str(out, *why == '\n' ? "\n#    " : "");
	}
	buf_put_u8(out, '\n');
}

static int print(const struct cli *c, const struct setup *s, const char *kind)
{
	AUTO(buf) struct buf out = BUF_INIT(2 * SETUP_TEXT);
	const json_t *step;
	size_t i;

	if (c->output == OUT_JSON) {
		json_t *root = json_pack("{s:s, s:s, s:s, s:o, s:O}", "source", s->source, "kind", kind, "issuer", s->issuer,
					 "subjects", setup_subjects(s), "steps", s->steps);

		json_put(&out, root, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		buf_put_u8(&out, '\n');
		json_decref(root);
		return cli_print(&out, CLI_DONE);
	}
	buf_put_str(&out, "# The cloud's side of CredentialSource ");
	buf_put_esc(&out, slice_str(s->source));
	buf_put_str(&out, ". Nothing was run: read it, then run what is missing.\n");
	json_array_foreach(s->steps, i, step) {
		put_why(json_text(step, "why"), i + 1, &out);
		buf_put_str(&out, json_text(step, "command"));
		buf_put_u8(&out, '\n');
	}
	return cli_print(&out, CLI_DONE);
}

static int read_ca(const struct cli *c, struct buf *pem)
{
	AUTO(json) json_t *own = NULL;
	AUTO(buf) struct buf der = BUF_INIT(LIM_BUNDLE);
	int code = admin_json(c, ADMIN_BUNDLE, 0, &own);
	int err = code ? 0 : hex_get(slice_str(json_text(own, "x509_authorities_der")), &der);

	if (!code && !err)
		err = x509_put_pem(pem, buf_slice(&der));
	if (err)
		cli_error("no CA certificates from", c->admin, err_text(err), "see: svid bundle show");
	return err ? CLI_AGENT : code;
}

static void put_last(struct setup *s)
{
	const json_t *user;
	size_t i;

	json_array_foreach((json_t *)s->users, i, user) {
		setup_words(s, "svid credentials refresh ");
		setup_word(s, slice_str(json_text(user, "credential")));
		setup_step(s, i ? json_text(user, "spiffe_id") :
				  "Try it. A change in a cloud takes minutes until it holds everywhere.");
	}
}

static int make(const struct cli *c, struct setup *s, size_t at)
{
	int code = CLI_DONE;

	if (!json_array_size(s->users)) {
		cli_error("nobody uses", s->source, "without a subject the trust would be for every identity of the trust domain",
			  "write a WorkloadCredential that names it first, and the WorkloadIdentity");
		return CLI_NO;
	}
	if (setups[at].tokens)
		code = issuer_error(s->issuer);
	if (code)
		return code;
	setups[at].run(s);
	put_last(s);
	if (!s->refused)
		return print(c, s, setups[at].kind);
	cli_error("no commands for", s->source, s->refused, "see: svid policy check /etc/svid/policy.d");
	return CLI_NO;
}

static int check_cloud(const char *cloud)
{
	for (size_t i = 0; i < ARRAY_SIZE(setups); i++)
		if (strcmp(setups[i].cloud, cloud) == 0)
			return CLI_DONE;
	cli_error("unknown cloud", cloud, "aws, gcp and azure are known", "svid help cloud setup");
	return CLI_USAGE;
}

int cloud_setup(const struct cli *c)
{
	AUTO(json) json_t *root = NULL;
	AUTO(json) json_t *users = NULL;
	AUTO(json) json_t *steps = json_array();
	AUTO(buf) struct buf pem = BUF_INIT(SETUP_TEXT);
	struct setup s = { .source = c->args[1], .steps = steps, .command = BUF_INIT(SETUP_TEXT) };
	const json_t *source;
	size_t at;
	int code = check_cloud(c->args[0]);

	if (!code)
		code = admin_json(c, ADMIN_SOURCES, 0, &root);

	if (code)
		return code;
	if (json_integer_value(json_object_get(root, "left_out"))) {
		cli_error("cannot say who uses", s.source, "there are too many credentials and sources for one answer", NULL);
		return CLI_AGENT;
	}
	source = find_source(root, s.source);
	code = source ? which(c->args[0], s.source, source, &at) : CLI_NO;
	if (!code)
		code = read_ca(c, &pem);
	if (code)
		return code;
	users = users_of(root, s.source);
	s.users = users;
	s.spec = json_object_get(json_object_get(source, "spec"), setups[at].kind);
	s.trust_domain = json_text(root, "trust_domain");
	s.issuer = json_text(root, "issuer");
	s.ca_pem = buf_slice(&pem);
	code = make(c, &s, at);
	buf_done(&s.command);
	return code;
}
