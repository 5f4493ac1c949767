// SPDX-License-Identifier: Apache-2.0
/*
 * cloud_env.c - `svid env WORKLOADID`: what svid-cloud says in the identity's env file, as lines to paste, and what no
 * variable says. The file is for everybody and holds no secret. svid, as root (for the names). Next: env_form.c.
 */
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/uuid.h"
#include "agent/cli/admin.h"
#include "agent/cli/cli.h"
#include "agent/cli/dump.h"
#include "agent/cli/env_form.h"
#include "agent/cli/files.h"

#define ENV_FILE (64u << 10)

struct wanted {
	const struct cli *c;
	const char *id; /* SPIFFE ID; NULL until one was found */
	const char *tree;
	size_t n;	/* its credentials */
	struct buf note;
};

/* "spiffe://td/path", "path" or "/path". */
static bool is_meant(const char *id, const char *words)
{
	const char *path = strncmp(id, "spiffe://", 9) == 0 ? strchr(id + 9, '/') : NULL;

	return strcmp(id, words) == 0 || (path && strcmp(path + 1, *words == '/' ? words + 1 : words) == 0);
}

/* What is no variable: tokens in files, and who may read for credential_process. */
static void put_note(struct wanted *w, const json_t *b)
{
	const char *kind = json_text(b, "kind"), *name = json_text(b, "credential");
	char uuid[UUID_TEXT];

	uuid_of_url(slice_str(w->id), uuid);
	if (strcmp(kind, "jwt") == 0)
		buf_printf(&w->note, "%s: its JWT-SVID is in %s/%s/jwt/%s\n", name, w->tree, uuid, name);
	else
		buf_printf(&w->note, "%s: its files are in %s/%s/%s\n", name, w->tree, uuid, name);
	if (strcmp(kind, "awsRolesAnywhere") == 0 && !json_integer_value(json_object_get(b, "helpers")))
		buf_printf(&w->note, "%s: AWS_CONFIG_FILE runs /bin/cat; the WorkloadCredential needs helpers: [/bin/cat]\n",
			   name);
}

static void look_at(struct wanted *w, const json_t *root)
{
	const json_t *list = json_object_get(root, "credentials"), *b;
	size_t i;

	w->tree = json_text(root, "tree");
	json_array_foreach((json_t *)list, i, b) {
		const char *id = json_text(b, "spiffe_id");

		if (!is_meant(id, w->c->args[0]))
			continue;
		w->id = id;
		w->n++;
		put_note(w, b);
	}
}

static int refuse(const struct wanted *w)
{
	const char *what = w->c->args[0];

	if (!w->n) {
		cli_error("no cloud credentials for", what, "no WorkloadCredential in force has this workloadID or SPIFFE ID",
			  "see: svid credentials");
		return CLI_NO;
	}
	if (!*w->tree) {
		cli_error("no files for", what, "the credential tree is not shown", "see tree_notes of: svid status");
		return CLI_NO;
	}
	return CLI_DONE;
}

static int read_file(const struct wanted *w, struct buf *text)
{
	AUTO(buf) struct buf path = BUF_INIT(LIM_PATH);
	char uuid[UUID_TEXT];
	int err;

	uuid_of_url(slice_str(w->id), uuid);
	buf_printf(&path, "%s/%s/env", w->tree, uuid);
	err = buf_ok(&path);
	if (!err)
		err = file_read(buf_cstr(&path), text);
	if (!err)
		return CLI_DONE;
	cli_error("cannot read", buf_cstr(&path), err_text(err), "svid-cloud makes it; see: svid credentials");
	return CLI_LOCAL;
}

static void put_json(const struct wanted *w, const struct env_vars *e, struct buf *out)
{
	buf_put_str(out, "{\"spiffe_id\": ");
	buf_put_json(out, slice_str(w->id));
	cli_json(out, "tree", slice_str(w->tree));
	buf_put_str(out, ", \"variables\": {");
	for (size_t i = 0; i < e->n; i++) {
		buf_put_str(out, i ? ", " : "");
		buf_put_json(out, e->v[i].name);
		buf_put_str(out, ": ");
		buf_put_json(out, e->v[i].value);
	}
	buf_put_str(out, "}");
	cli_json_lines(out, "notes", buf_slice(&w->note));
	buf_put_str(out, "}\n");
}

static int print(const struct wanted *w)
{
	AUTO(buf) struct buf text = BUF_INIT(ENV_FILE);
	AUTO(buf) struct buf out = BUF_INIT(4 * ENV_FILE);
	struct env_vars e = { .tree = w->tree, .note = buf_slice(&w->note) };
	int code = read_file(w, &text);

	if (code)
		return code;
	if (env_read(buf_slice(&text), &e)) {
		cli_error("cannot use the env file of", w->id, err_text(-ERR_FORMAT), "svid and svidd of different versions?");
		return CLI_AGENT;
	}
	if (w->c->output == OUT_JSON)
		put_json(w, &e, &out);
	else
		env_form_put(env_form_at(w->c->form ? w->c->form : "sh"), &e, &out);
	return cli_print(&out, CLI_DONE);
}

int cloud_env(const struct cli *c)
{
	AUTO(json) json_t *root = NULL;
	struct wanted w = { .c = c, .note = BUF_INIT(ENV_FILE) };
	int code = admin_json(c, ADMIN_CREDENTIALS, 0, &root);

	if (!code) {
		look_at(&w, root);
		code = refuse(&w);
	}
	if (!code)
		code = print(&w);
	buf_done(&w.note);
	return code;
}
