// SPDX-License-Identifier: Apache-2.0
/*
 * oidc_export.c - `svid oidc export DIR`: the two documents by which clouds check our JWT-SVIDs, as files for a public site.
 * svid, as root. Next: agent/oidc.
 */
#include <errno.h>
#include <sys/stat.h>

#include "agent/base/err.h"
#include "agent/cli/admin.h"
#include "agent/cli/cli.h"
#include "agent/cli/dump.h"
#include "agent/cli/files.h"
#include "agent/cli/issuer.h"
#include "agent/oidc/oidc_documents.h"

#define PUBLIC 0644
#define WELL_KNOWN ".well-known"

struct documents {
	const char *issuer;
	struct buf discovery, keys;
	json_t *set; /* of keys */
};

const char *issuer_why(const char *issuer)
{
	struct slice s = slice_str(issuer);

	if (!slice_starts(s, slice_str("https://")) || s.len <= strlen("https://"))
		return "no https:// URL, so no cloud can find the documents of this issuer";
	if (s.p[s.len - 1] == '/')
		return "it ends with a slash: clouds compare it byte by byte, and look for the documents behind it";
	if (strchr(issuer, '?') || strchr(issuer, '#'))
		return "it has a query or a fragment, and the documents are looked for behind it";
	return NULL;
}

int issuer_error(const char *issuer)
{
	const char *why = issuer_why(issuer);

	if (!why)
		return CLI_DONE;
	cli_error("cannot use the issuer", issuer, why,
		  "set spec.jwt.issuer in svid.yaml to the public https:// URL that the documents will have");
	return CLI_NO;
}

static int no_documents(int err)
{
	cli_error("no documents of", "the issuer", err_text(err),
		  err == -ERR_NOT_READY ? "the authority has no JWT keys yet; see: svid status" : NULL);
	return CLI_AGENT;
}

static int make(const struct cli *c, const json_t *sources, struct documents *d)
{
	AUTO(json) json_t *own = NULL;
	AUTO(buf) struct buf jwks = BUF_INIT(LIM_JWKS * 2);
	int err, code;

	d->issuer = json_text(sources, "issuer");
	code = issuer_error(d->issuer);
	if (!code)
		code = admin_json(c, ADMIN_BUNDLE, 0, &own);
	if (code)
		return code;
	if (json_is_object(json_object_get(own, "jwks")))
		json_put(&jwks, json_object_get(own, "jwks"), JSON_COMPACT);
	err = oidc_put_discovery(slice_str(d->issuer), &d->discovery);
	if (!err)
		err = buf_ok(&jwks);
	if (!err)
		err = oidc_put_keys(buf_slice(&jwks), &d->keys);
	if (err)
		return no_documents(err);
	d->set = json_loadb((const char *)d->keys.data, d->keys.len, 0, NULL);
	return CLI_DONE;
}

static int make_dir(const char *dir)
{
	return mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* The keys first: who reads the discovery document finds them. */
static int write_files(const char *dir, const struct documents *d)
{
	int err;

	umask(0022); /* a web server reads what is made here */
	err = make_dir(dir);
	if (!err)
		err = file_replace(dir, &OIDC_KEYS_PATH[1], buf_slice(&d->keys), PUBLIC);
	if (!err)
		err = file_replace_in(dir, WELL_KNOWN, &OIDC_DISCOVERY_PATH[strlen("/" WELL_KNOWN "/")], buf_slice(&d->discovery),
				      PUBLIC);
	if (!err)
		return CLI_DONE;
	cli_error("cannot write into", dir, err_text(err),
		  "a directory is wanted, or the name of one to be made in a directory that is there");
	return CLI_LOCAL;
}

static void put_json(const struct documents *d, const char *dir, struct buf *out)
{
	const json_t *key;
	size_t i;

	buf_put_str(out, "{\"issuer\": ");
	buf_put_json(out, slice_str(d->issuer));
	cli_json(out, "directory", slice_str(dir));
	buf_put_str(out, ", \"files\": [\"" WELL_KNOWN "/openid-configuration\", \"keys\"], \"keys\": [");
	json_array_foreach(json_object_get(d->set, "keys"), i, key) {
		buf_put_str(out, i ? ", {\"kid\": " : "{\"kid\": ");
		buf_put_json(out, slice_str(json_text(key, "kid")));
		cli_json(out, "alg", slice_str(json_text(key, "alg")));
		buf_put_str(out, "}");
	}
	buf_put_str(out, "]}\n");
}

static void put_text(const struct documents *d, const char *dir, struct buf *out)
{
	const json_t *key;
	size_t i;

	cli_field(out, 9, "issuer", slice_str(d->issuer));
	cli_field(out, 9, "directory", slice_str(dir));
	json_array_foreach(json_object_get(d->set, "keys"), i, key) {
		AUTO(buf) struct buf line = BUF_INIT(1024);

		buf_printf(&line, "%s %s", json_text(key, "alg"), json_text(key, "kid"));
		cli_field(out, 9, "key", buf_slice(&line));
	}
	buf_put_str(out, "\nPublish both, as application/json and without a redirect:\n"
			 "  " WELL_KNOWN "/openid-configuration  at ");
	buf_put_esc(out, slice_str(d->issuer));
	buf_put_str(out, OIDC_DISCOVERY_PATH "\n  keys                              at ");
	buf_put_esc(out, slice_str(d->issuer));
	buf_put_str(out, OIDC_KEYS_PATH "\n"
			 "Google also takes the keys without a public site; they have only what it accepts:\n"
			 "  gcloud iam workload-identity-pools providers update-oidc PROVIDER --workload-identity-pool=POOL \\\n"
			 "    --location=global --project=PROJECT --jwk-json-path=keys\n"
			 "Do it again daily: the next key is in here a third of a key's life (jwt.keyTTL) before it signs.\n");
}

int oidc_export(const struct cli *c)
{
	AUTO(json) json_t *sources = NULL;
	AUTO(buf) struct buf out = BUF_INIT(1 << 20);
	struct documents d = { .discovery = BUF_INIT(1 << 14), .keys = BUF_INIT(2 * LIM_JWKS) };
	int code = admin_json(c, ADMIN_SOURCES, 0, &sources);

	if (!code)
		code = make(c, sources, &d);
	if (!code)
		code = write_files(c->args[0], &d);
	if (!code && c->output == OUT_JSON)
		put_json(&d, c->args[0], &out);
	else if (!code)
		put_text(&d, c->args[0], &out);
	buf_done(&d.discovery);
	buf_done(&d.keys);
	json_decref(d.set);
	return code ? code : cli_print(&out, CLI_DONE);
}
