// SPDX-License-Identifier: Apache-2.0
/*
 * compile_bind.c - what no document says alone: a WorkloadCredential with its source, its identity and the agent's issuer, and
 * what the source's cloud takes of them (clouds.md 0). svid compile.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/cli/compile_ctx.h"
#include "agent/ipc/plan.h"

#define GOOGLE_SUBJECT 127 /* bytes of google.subject */
#define AZURE_TRUSTS 20	   /* federated credentials of one application */

/* What a cloud takes, in bytes; 0: what fits us fits it. Those with an issuer look our keys up by it. */
static const struct {
	size_t subject, issuer;
} takes[CLOUD_KIND_COUNT] = {
	[CLOUD_AWS] = { 255, 255 },
	[CLOUD_GCP] = { 0, LIM_ISSUER },
	[CLOUD_AZURE] = { 600, 600 },
};

struct source {
	struct cdoc *d;
	unsigned int kind;
	bool whole_subject; /* Google gets all of the SPIFFE ID */
	bool is_amazons;    /* its endpoint is Amazon's own */
	char *client;	    /* of Azure; "" */
};

/* Sorted, so that thousands of documents find each other. */
struct join {
	struct compiler *c;
	struct source *sources; /* by name */
	struct cdoc **ids;	/* WorkloadIdentities, by SPIFFE ID */
	size_t n_sources, n_ids, n_bindings;
};

/* Without an agent's document the trust domain is not known: then paths are compared. */
static const char *id_of(const struct compiler *c, const struct cdoc *d)
{
	static const char scheme[] = "spiffe://";
	const char *path;

	if (c->trust_domain || strncmp(d->id, scheme, strlen(scheme)) != 0)
		return d->id;
	path = strchr(d->id + strlen(scheme), '/');
	return path ? path : "";
}

static int by_name(const void *a, const void *b)
{
	const struct source *x = a, *y = b;
	int order = strcmp(x->d->name, y->d->name);

	return order ? order : (int)x->d->refused - (int)y->d->refused;
}

static int by_id(const void *a, const void *b, void *c)
{
	const struct cdoc *x = *(struct cdoc *const *)a, *y = *(struct cdoc *const *)b;
	int order = strcmp(id_of(c, x), id_of(c, y));

	return order ? order : (int)x->refused - (int)y->refused;
}

/* The first of equals is a good one, when there is one. */
static const struct source *find_source(const struct join *j, const char *name)
{
	size_t low = 0, high = j->n_sources;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(j->sources[mid].d->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < j->n_sources && strcmp(j->sources[low].d->name, name) == 0 ? &j->sources[low] : NULL;
}

static const struct cdoc *find_identity(const struct join *j, const char *id)
{
	size_t low = 0, high = j->n_ids;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(id_of(j->c, j->ids[mid]), id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < j->n_ids && strcmp(id_of(j->c, j->ids[low]), id) == 0 ? j->ids[low] : NULL;
}

static void read_source(struct compiler *c, struct cdoc *d, struct source *s)
{
	json_t *spec = json_loads(d->json, 0, NULL), *cloud;
	const char *text;

	*s = (struct source){ .d = d };
	if (!spec)
		c->no_memory = true;
	while (s->kind < CLOUD_KIND_COUNT && !json_object_get(spec, cloud_kind_name(s->kind)))
		s->kind++;
	cloud = s->kind < CLOUD_KIND_COUNT ? json_object_get(spec, cloud_kind_name(s->kind)) : NULL;
	text = json_string_value(json_object_get(cloud, "subject"));
	s->whole_subject = s->kind == CLOUD_GCP && text && strcmp(text, "sub") == 0;
	text = json_string_value(json_object_get(cloud, "endpoint"));
	s->is_amazons = s->kind == CLOUD_AWS && text && strstr(text, ".amazonaws.");
	text = json_string_value(json_object_get(cloud, "clientID"));
	s->client = keep(c, slice_str(text ? text : ""));
	json_decref(spec);
}

static bool make_join(struct join *j)
{
	struct compiler *c = j->c;

	j->sources = mem_calloc(c->n_docs + 1, sizeof(*j->sources));
	j->ids = mem_calloc(c->n_docs + 1, sizeof(*j->ids));
	if (!j->sources || !j->ids) {
		c->no_memory = true;
		return false;
	}
	for (size_t i = 0; i < c->n_docs; i++) {
		if (strcmp(c->docs[i].kind, "CredentialSource") == 0)
			read_source(c, &c->docs[i], &j->sources[j->n_sources++]);
		else if (strcmp(c->docs[i].kind, "WorkloadIdentity") == 0 && c->docs[i].id)
			j->ids[j->n_ids++] = &c->docs[i];
	}
	qsort(j->sources, j->n_sources, sizeof(*j->sources), by_name);
	qsort_r(j->ids, j->n_ids, sizeof(struct cdoc *), by_id, c);
	return !c->no_memory;
}

static void join_done(struct join *j)
{
	for (size_t i = 0; j->sources && i < j->n_sources; i++)
		mem_free(j->sources[i].client);
	mem_free(j->sources);
	mem_free(j->ids);
}

/* A port is possible where it is not Amazon's STS. The agent's own check has seen to the characters. */
static const char *issuer_why(const struct source *s, const char *issuer)
{
	static const char https[] = "https://";
	const char *host = issuer + strlen(https);

	if (strncmp(issuer, https, strlen(https)) != 0 || !*host || strpbrk(issuer, "?#"))
		return "it must be an https:// URL without query and fragment";
	if (strlen(issuer) > takes[s->kind].issuer)
		return "it is longer than this cloud takes";
	if (s->is_amazons && strchr(host, ':') && strchr(host, ':') < host + strcspn(host, "/"))
		return "AWS takes no port in it";
	return NULL;
}

static void judge_issuer(struct compiler *c, struct source *s)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	const char *why;

	if (s->d->refused || !c->issuer || s->kind >= CLOUD_KIND_COUNT || !takes[s->kind].issuer)
		return;
	why = *c->issuer ? issuer_why(s, c->issuer) : NULL;
	if (!*c->issuer)
		buf_printf(&text,
			   "%s looks the keys up at the issuer of a token, and the agent has none: set spec.jwt.issuer in "
			   "svid.yaml to the https:// URL under which the files of `svid oidc export` are published",
			   cloud_kind_name(s->kind));
	else if (why)
		buf_printf(&text, "spec.jwt.issuer of the agent does not suit %s: %s", cloud_kind_name(s->kind), why);
	if (text.len)
		cdoc_refuse(c, s->d, &text);
}

static bool signs_es256(struct compiler *c, const struct cdoc *identity)
{
	json_t *spec = json_loads(identity->json, 0, NULL);
	const json_t *jwt = json_object_get(json_object_get(spec, "svid"), "jwt");
	const char *alg = json_string_value(json_object_get(jwt, "alg"));
	bool yes = alg && strcmp(alg, "ES256") == 0;

	if (!spec)
		c->no_memory = true;
	json_decref(spec);
	return yes;
}

/* What the source's cloud would refuse of this identity, each day anew. */
static void put_refusal(struct join *j, const struct cdoc *d, const struct source *s, const struct cdoc *identity,
			struct buf *out)
{
	size_t len = strlen(d->id);

	if (s->kind >= CLOUD_KIND_COUNT || !j->c->trust_domain)
		return;
	if (takes[s->kind].subject && len > takes[s->kind].subject)
		buf_printf(out, "the SPIFFE ID has %zu bytes, and %s takes %zu as subject of a token", len,
			   cloud_kind_name(s->kind), takes[s->kind].subject);
	else if (s->whole_subject && len > GOOGLE_SUBJECT)
		buf_printf(out,
			   "the SPIFFE ID has %zu bytes, and google.subject holds %d: have the provider map a part of it "
			   "(google.subject=assertion.sub.extract(...)) and say spec.gcp.subject: mapped in %s",
			   len, GOOGLE_SUBJECT, s->d->name);
	else if (s->kind == CLOUD_AZURE && signs_es256(j->c, identity))
		buf_printf(out, "Entra takes RS256 alone, and %s has spec.svid.jwt.alg: ES256", identity->name);
}

static void judge_credential(struct join *j, struct cdoc *d)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	json_t *spec = json_loads(d->json, 0, NULL);
	const char *name = json_string_value(json_object_get(spec, "credentialSource"));
	const struct source *s = name ? find_source(j, name) : NULL;
	const struct cdoc *identity = find_identity(j, id_of(j->c, d));

	if (!spec)
		j->c->no_memory = true;
	else if (!s)
		buf_printf(&text, "there is no CredentialSource %s", name ? name : "?");
	else if (s->d->refused)
		buf_printf(&text, "its CredentialSource %s is refused", name);
	else if (!identity)
		buf_printf(&text, "no WorkloadIdentity has its SPIFFE ID: nobody could read it");
	else if (identity->refused)
		buf_printf(&text, "its WorkloadIdentity %s is refused", identity->name);
	else if (j->n_bindings == LIM_BINDINGS)
		buf_printf(&text, "there are more than %d WorkloadCredentials", LIM_BINDINGS);
	else
		put_refusal(j, d, s, identity, &text);
	if (text.len)
		cdoc_refuse(j->c, d, &text);
	else
		j->n_bindings++;
	json_decref(spec);
}

struct trust {
	const char *client;
	const struct cdoc *d;
};

static int by_client(const void *a, const void *b)
{
	const struct trust *x = a, *y = b;
	int order = strcmp(x->client, y->client);

	return order ? order : strcmp(x->d->id, y->d->id);
}

static size_t list_trusts(struct join *j, struct trust *v)
{
	struct compiler *c = j->c;
	size_t n = 0;

	for (size_t i = 0; i < c->n_docs; i++) {
		const struct source *s;
		json_t *spec;

		if (c->docs[i].refused || strcmp(c->docs[i].kind, "WorkloadCredential") != 0)
			continue;
		spec = json_loads(c->docs[i].json, 0, NULL);
		s = find_source(j, json_string_value(json_object_get(spec, "credentialSource")));
		json_decref(spec);
		if (s && s->kind == CLOUD_AZURE)
			v[n++] = (struct trust){ s->client, &c->docs[i] };
	}
	return n;
}

/* Each identity needs a federated credential of its own there: Entra compares the whole subject. */
static void judge_azure(struct join *j)
{
	AUTO_FREE struct trust *v = mem_calloc(j->n_bindings + 1, sizeof(*v));
	size_t n = v ? list_trusts(j, v) : 0, ids = 0;

	j->c->no_memory |= !v;
	if (n)
		qsort(v, n, sizeof(*v), by_client);
	for (size_t i = 0; i < n; i++) {
		AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

		if (!i || strcmp(v[i - 1].client, v[i].client) != 0)
			ids = 1;
		else
			ids += strcmp(v[i - 1].d->id, v[i].d->id) != 0;
		if (ids != AZURE_TRUSTS + 1)
			continue;
		buf_printf(&text, "more than %d identities use client %s, and Entra holds %d federated credentials for each",
			   AZURE_TRUSTS, v[i].client, AZURE_TRUSTS);
		compiler_error(j->c, v[i].d->file, (struct mark){ v[i].d->line, 1 }, v[i].d->kind, v[i].d->name, true,
			       text_of(j->c, &text));
		ids++; /* once for each client */
	}
}

void judge_credentials(struct compiler *c)
{
	struct join j = { .c = c };
	bool ok = make_join(&j);

	for (size_t i = 0; i < j.n_sources && ok; i++)
		judge_issuer(c, &j.sources[i]);
	for (size_t i = 0; i < c->n_docs && ok && !c->no_memory; i++)
		if (!c->docs[i].refused && strcmp(c->docs[i].kind, "WorkloadCredential") == 0)
			judge_credential(&j, &c->docs[i]);
	if (ok && !c->no_memory)
		judge_azure(&j);
	join_done(&j);
}
