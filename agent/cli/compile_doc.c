// SPDX-License-Identifier: Apache-2.0
/*
 * compile_doc.c - walks a document along the rows of its kind. svid compile. Next: compile_value.c.
 *
 * Everything wrong is reported, then the next thing is looked at; a document with an error is not sent.
 */
#include "agent/cli/compile_doc.h"

#include <errno.h>
#include <stdio.h>

#include "agent/base/limits.h"
#include "agent/cli/compile_ctx.h"
#include "agent/ipc/plan.h"
#include "agent/ipc/terms.h"

#define PATH_MAX_BYTES 128 /* of an option's path */
#define JWT_KEY_TTL_LOW (3 * 86400) /* seconds */

static json_t *walk(struct ctx *x, const struct ynode *map, const char *prefix);

/* What follows @prefix in the path of a row that lies directly in it, else NULL. */
static const char *leaf(const struct option_row *row, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(row->path, prefix, n) != 0 || strchr(row->path + n, '.'))
		return NULL;
	return row->path + n;
}

static const struct option_row *find_row(const struct ctx *x, const char *prefix, struct slice key)
{
	for (size_t i = 0; i < x->schema->n_rows; i++) {
		const char *name = leaf(&x->schema->rows[i], prefix);

		if (name && slice_eq_str(key, name))
			return &x->schema->rows[i];
	}
	return NULL;
}

static void unknown_key(struct ctx *x, const struct ynode *key, const char *prefix)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	bool first = true;

	buf_put_str(&text, "unknown key ");
	put_quoted(&text, key->text);
	buf_printf(&text, "%s%.*s; known here:", *prefix ? " in " : "", *prefix ? (int)strlen(prefix) - 1 : 0, prefix);
	for (size_t i = 0; i < x->schema->n_rows; i++) {
		const char *name = leaf(&x->schema->rows[i], prefix);

		if (name && x->schema->rows[i].type != OPT_LATER) {
			buf_printf(&text, "%s %s", first ? "" : ",", name);
			first = false;
		}
	}
	ctx_say(x, key->mark, false, &text);
}

static json_t *option_json(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	char prefix[PATH_MAX_BYTES];

	if (row->type != OPT_MAP)
		return value_json(x, row, n);
	if (n->type == Y_BAD)
		return NULL;
	if (n->type != Y_MAP) {
		ctx_error(x, n->mark, "%s: a map is wanted", row->path);
		return NULL;
	}
	snprintf(prefix, sizeof(prefix), "%s.", row->path);
	return walk(x, n, prefix);
}

static void put(struct ctx *x, json_t *out, const char *key, json_t *value)
{
	if (value && json_object_set_new(out, key, value))
		x->c->no_memory = true;
}

static void walk_pair(struct ctx *x, const struct ynode *v, const char *prefix, json_t *out)
{
	const struct option_row *row;
	struct mark *seen;

	if (v->key->type == Y_BAD)
		return;
	if (v->key->type != Y_SCALAR) {
		ctx_error(x, v->key->mark, "a key is plain text");
		return;
	}
	row = find_row(x, prefix, v->key->text);
	if (!row) {
		unknown_key(x, v->key, prefix);
		return;
	}
	seen = &x->seen[row - x->schema->rows];
	if (seen->line) {
		ctx_error(x, v->key->mark, "%s is there twice, first in line %u", row->path, seen->line);
		return;
	}
	*seen = v->key->mark;
	put(x, out, leaf(row, prefix), option_json(x, row, v));
}

static json_t *fallback_json(struct ctx *x, const struct option_row *row)
{
	struct ynode n = { .type = Y_SCALAR, .plain = true, .text = slice_str(row->fallback) };

	return value_json(x, row, &n);
}

/* @map is NULL for a map that is not there: only defaults come of it. */
static json_t *walk(struct ctx *x, const struct ynode *map, const char *prefix)
{
	json_t *out = made(x, json_object());

	for (const struct ynode *v = map ? map->first : NULL; v; v = v->next)
		walk_pair(x, v, prefix, out);
	for (size_t i = 0; i < x->schema->n_rows; i++) {
		const struct option_row *row = &x->schema->rows[i];
		const char *name = leaf(row, prefix);
		char below[PATH_MAX_BYTES];

		if (!name || x->seen[i].line)
			continue;
		if (row->required && map)
			ctx_error(x, map->mark, "%s is missing", row->path);
		else if (row->fallback)
			put(x, out, name, fallback_json(x, row));
		else if (row->type == OPT_MAP && !row->required) {
			snprintf(below, sizeof(below), "%s.", row->path);
			put(x, out, name, walk(x, NULL, below));
		}
	}
	if (!map && !json_object_size(out)) {
		json_decref(out);
		return NULL;
	}
	return out;
}

struct mark seen_at(const struct ctx *x, const char *path)
{
	for (size_t i = 0; i < x->schema->n_rows; i++)
		if (strcmp(x->schema->rows[i].path, path) == 0)
			return x->seen[i];
	return (struct mark){ 0 };
}

void judge_id(struct ctx *x, const struct ynode *root)
{
	struct mark path = seen_at(x, "spec.workloadID"), id = seen_at(x, "spec.spiffeID");

	if (path.line && id.line)
		ctx_error(x, id.line > path.line ? id : path, "workloadID and spiffeID: one of them, not both");
	else if (!path.line && !id.line)
		ctx_error(x, root->mark, "spec.workloadID (or spec.spiffeID) is missing");
}

void ctx_warn(struct ctx *x, struct mark mark, const char *why)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

	buf_put_str(&text, why);
	ctx_say(x, mark, true, &text);
}

static int64_t seconds(json_t *map, const char *key)
{
	return json_integer_value(json_object_get(map, key));
}

/* Each name asks for something else: with two alike one of them could never be asked for. */
static void judge_sds(struct ctx *x, json_t *sds)
{
	static const char *const names[] = { "defaultSVIDName", "defaultBundleName", "allBundlesName" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *name = json_string_value(json_object_get(sds, names[i]));

		for (size_t k = 0; name && k < i; k++) {
			const char *other = json_string_value(json_object_get(sds, names[k]));

			if (other && strcmp(name, other) == 0)
				ctx_error(x, seen_at(x, "spec.sds"), "spec.sds: %s and %s are the same name", names[k], names[i]);
		}
	}
}

static void judge_agent(struct ctx *x, json_t *spec)
{
	json_t *x509 = json_object_get(spec, "x509"), *jwt = json_object_get(spec, "jwt");

	if (seconds(x509, "ttl") > seconds(x509, "caTTL"))
		ctx_error(x, seen_at(x, "spec.x509"), "spec.x509: ttl is longer than caTTL");
	if (seconds(jwt, "ttl") > seconds(jwt, "keyTTL"))
		ctx_error(x, seen_at(x, "spec.jwt"), "spec.jwt: ttl is longer than keyTTL");
	else if (json_object_get(jwt, "keyTTL") && seconds(jwt, "keyTTL") < JWT_KEY_TTL_LOW)
		ctx_warn(x, seen_at(x, "spec.jwt.keyTTL"),
			 "spec.jwt.keyTTL: below 3d whoever checks the tokens may not have read the next key when it is used");
	if (json_object_get(json_object_get(spec, "oidc"), "port") &&
	    !slice_starts(slice_str(json_string_value(json_object_get(jwt, "issuer"))), slice_str("https://")))
		ctx_warn(x, seen_at(x, "spec.oidc.port"),
			 "spec.oidc.port: clouds look for the documents at spec.jwt.issuer, which is no https:// URL");
	judge_sds(x, json_object_get(spec, "sds"));
}

static void judge(struct ctx *x, const struct ynode *root, json_t *spec)
{
	if (strcmp(x->kind, "Agent") == 0)
		judge_agent(x, spec);
	else if (strcmp(x->kind, "CredentialSource") == 0)
		judge_source(x, root, spec);
	else
		judge_id(x, root);
	if (strcmp(x->kind, "WorkloadCredential") == 0)
		judge_helpers(x, spec);
}

static void use_agent(struct ctx *x, json_t *spec)
{
	struct slice word = slice_str(json_string_value(json_object_get(spec, "attestation")));

	x->c->trust_domain = keep(x->c, slice_str(json_string_value(json_object_get(spec, "trustDomain"))));
	x->c->issuer = keep(x->c, slice_str(json_string_value(json_object_get(json_object_get(spec, "jwt"), "issuer"))));
	x->c->attestation = TIER_AUTO;
	for (unsigned int t = 0; t < TIER_COUNT; t++)
		if (slice_eq_str(word, tier_name(t)))
			x->c->attestation = t;
	x->c->oidc_port = (uint32_t)json_integer_value(json_object_get(json_object_get(spec, "oidc"), "port"));
	word = slice_str(json_string_value(json_object_get(spec, "delivery")));
	x->c->delivery = DELIVERY_AUTO;
	for (unsigned int v = 0; v < DELIVERY_COUNT; v++)
		if (slice_eq_str(word, delivery_name(v)))
			x->c->delivery = v;
}

static char *workload_id(struct ctx *x, json_t *spec)
{
	const char *path = json_string_value(json_object_get(spec, "workloadID"));
	AUTO(buf) struct buf b = BUF_INIT(2 * LIM_SPIFFE_ID);

	if (!path)
		return keep(x->c, slice_str(json_string_value(json_object_get(spec, "spiffeID"))));
	buf_printf(&b, "/%s", path);
	return keep(x->c, slice_str(text_of(x->c, &b)));
}

static int dump_to_buf(const char *bytes, size_t n, void *out)
{
	buf_put(out, bytes, n);
	return buf_ok(out) ? -1 : 0;
}

/* Not json_dumps(): jansson overlooks some failures of its output, and a member would be missing. */
static void dump(struct compiler *c, json_t *spec, struct buf *out)
{
	if (json_dump_callback(spec, dump_to_buf, out, JSON_COMPACT) && !buf_ok(out))
		c->no_memory = true;
	if (buf_ok(out) == -ENOMEM)
		c->no_memory = true;
}

static void add_doc(struct ctx *x, const struct ynode *root, json_t *spec)
{
	AUTO(buf) struct buf text = BUF_INIT(LIM_DOC_JSON);
	struct compiler *c = x->c;
	bool has_id = json_object_get(spec, "workloadID") || json_object_get(spec, "spiffeID");
	struct cdoc d = { .file = x->file, .line = root->mark.line };

	dump(c, spec, &text);
	if (c->no_memory)
		return;
	if (buf_ok(&text)) {
		ctx_error(x, root->mark, "the document is too large");
	} else if (c->n_docs >= LIM_DOCS) {
		ctx_error(x, root->mark, "there are more than %d documents", LIM_DOCS);
	} else if (list_grow(c, &c->docs, c->n_docs, &c->cap_docs, sizeof(d))) {
		d.kind = keep(c, slice_str(x->kind));
		d.name = keep(c, slice_str(x->name));
		d.json = keep(c, buf_slice(&text));
		d.id = has_id ? workload_id(x, spec) : keep(c, slice_str(""));
		d.hint = keep(c, slice_str(json_string_value(json_object_get(spec, "hint"))));
		cdoc_read(c, spec, &d);
		c->docs[c->n_docs++] = d;
	}
}

/* The text at a key of a map, without a word about what is wrong with it. */
static const struct ynode *peek(const struct ynode *map, const char *key)
{
	for (const struct ynode *v = map && map->type == Y_MAP ? map->first : NULL; v; v = v->next)
		if (v->key->type == Y_SCALAR && slice_eq_str(v->key->text, key))
			return v;
	return NULL;
}

static const char *peek_text(const struct ynode *n, size_t max)
{
	return n && n->type == Y_SCALAR && n->text.len && n->text.len <= max ? (const char *)n->text.p : NULL;
}

static void refuse_kind(struct ctx *x, const struct ynode *root, const struct ynode *kind)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

	if (x->schema) {
		buf_put_str(&text, x->schema->later);
	} else if (!kind || kind->type != Y_SCALAR) {
		buf_put_str(&text, "kind is missing");
	} else {
		buf_put_str(&text, "unknown kind ");
		put_quoted(&text, kind->text);
		buf_put_str(&text, "; known kinds: Agent, WorkloadIdentity, CredentialSource, WorkloadCredential");
	}
	ctx_say(x, kind ? kind->mark : root->mark, false, &text);
}

static bool agent_may_stand(struct ctx *x, const struct ynode *root, enum agent_place agent)
{
	if (agent == AGENT_NO)
		ctx_error(x, root->mark, "kind Agent belongs in svid.yaml");
	else if (x->c->have_agent)
		ctx_error(x, root->mark, "a second Agent document: there is one for each agent");
	else
		return true;
	return false;
}

static void compile_root(struct ctx *x, const struct ynode *root, enum agent_place agent)
{
	const struct ynode *kind = peek(root, "kind");
	bool is_agent;
	json_t *out, *spec;

	x->kind = peek_text(kind, 63);
	x->name = peek_text(peek(peek(root, "metadata"), "name"), LIM_DOC_NAME);
	x->schema = schema_find(slice_str(x->kind));
	if (!x->schema || x->schema->later) {
		refuse_kind(x, root, kind);
		return;
	}
	is_agent = strcmp(x->kind, "Agent") == 0;
	if (is_agent) {
		x->name = "agent"; /* there is one: renaming it must not withdraw it */
		if (!agent_may_stand(x, root, agent))
			return;
		x->c->have_agent = true;
	}
	out = walk(x, root, "");
	spec = json_object_get(out, "spec");
	if (spec)
		judge(x, root, spec);
	if (!x->n_errors && !x->c->no_memory) {
		if (is_agent)
			use_agent(x, spec);
		add_doc(x, root, spec);
	}
	json_decref(out);
}

static void compile_tree(struct compiler *c, size_t file, const struct ytree *t, size_t doc, enum agent_place agent)
{
	struct ctx x = { .c = c, .file = file };

	/* What the reader refused already belongs to this document and keeps it from being sent. */
	for (size_t i = 0; i < t->n_errors; i++) {
		if (t->errors[i].doc != doc)
			continue;
		x.n_errors++;
		compiler_error(c, file, t->errors[i].mark, peek_text(peek(t->docs[doc], "kind"), 63),
			       peek_text(peek(peek(t->docs[doc], "metadata"), "name"), LIM_DOC_NAME), false,
			       t->errors[i].text);
	}
	if (t->docs[doc]->type == Y_BAD)
		return;
	if (t->docs[doc]->type != Y_MAP)
		ctx_error(&x, t->docs[doc]->mark, "a document is a map with apiVersion, kind, metadata and spec");
	else
		compile_root(&x, t->docs[doc], agent);
}

void compiler_bytes(struct compiler *c, size_t file, struct slice bytes, enum agent_place agent)
{
	AUTO(ytree) struct ytree t = { 0 };

	if (ytree_load(bytes, &t)) {
		c->no_memory = true;
		return;
	}
	c->files[file].parsed = t.parsed;
	for (size_t i = 0; !t.parsed && i < t.n_errors; i++)
		compiler_error(c, file, t.errors[i].mark, NULL, NULL, false, t.errors[i].text);
	for (size_t i = 0; t.parsed && i < t.n_docs; i++)
		compile_tree(c, file, &t, i, agent);
	if (agent == AGENT_MUST && t.parsed && !c->have_agent)
		compiler_error(c, file, (struct mark){ 1, 1 }, "Agent", "agent", false,
			       "there is no document of kind Agent");
}
