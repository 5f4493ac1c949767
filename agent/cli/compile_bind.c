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

/* Sorted, so that thousands of documents find each other. */
struct join {
	struct compiler *c;
	struct cdoc **sources; /* by name */
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
	const struct cdoc *x = *(struct cdoc *const *)a, *y = *(struct cdoc *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : (int)x->refused - (int)y->refused;
}

static int by_id(const void *a, const void *b, void *c)
{
	const struct cdoc *x = *(struct cdoc *const *)a, *y = *(struct cdoc *const *)b;
	int order = strcmp(id_of(c, x), id_of(c, y));

	return order ? order : (int)x->refused - (int)y->refused;
}

/* The first of equals is a good one, when there is one. */
static const struct cdoc *find_source(const struct join *j, const char *name)
{
	size_t low = 0, high = j->n_sources;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(j->sources[mid]->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < j->n_sources && strcmp(j->sources[low]->name, name) == 0 ? j->sources[low] : NULL;
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

void cdoc_read(struct compiler *c, const json_t *spec, struct cdoc *d)
{
	const json_t *cloud = NULL;
	const char *text = json_string_value(json_object_get(json_object_get(json_object_get(spec, "svid"), "jwt"), "alg"));

	d->es256 = text && strcmp(text, "ES256") == 0;
	text = json_string_value(json_object_get(spec, "credentialSource"));
	d->source = keep(c, slice_str(text ? text : ""));
	for (d->cloud = 0; d->cloud < CLOUD_KIND_COUNT && !cloud; d->cloud += !cloud)
		cloud = json_object_get(spec, cloud_kind_name(d->cloud));
	text = json_string_value(json_object_get(cloud, "subject"));
	d->whole_subject = d->cloud == CLOUD_GCP && text && strcmp(text, "sub") == 0;
	text = json_string_value(json_object_get(cloud, "endpoint"));
	d->is_amazons = d->cloud == CLOUD_AWS && text && strstr(text, ".amazonaws.");
	text = json_string_value(json_object_get(cloud, "clientID"));
	d->client = keep(c, slice_str(text ? text : ""));
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
			j->sources[j->n_sources++] = &c->docs[i];
		else if (strcmp(c->docs[i].kind, "WorkloadIdentity") == 0 && c->docs[i].id)
			j->ids[j->n_ids++] = &c->docs[i];
	}
	qsort(j->sources, j->n_sources, sizeof(struct cdoc *), by_name);
	qsort_r(j->ids, j->n_ids, sizeof(struct cdoc *), by_id, c);
	return true;
}

/* A port is possible where it is not Amazon's STS. The agent's own check has seen to the characters. */
static const char *issuer_why(const struct cdoc *s, const char *issuer)
{
	static const char https[] = "https://";
	const char *host = issuer + strlen(https);

	if (strncmp(issuer, https, strlen(https)) != 0 || !*host || strpbrk(issuer, "?#"))
		return "it must be an https:// URL without query and fragment";
	if (strlen(issuer) > takes[s->cloud].issuer)
		return "it is longer than this cloud takes";
	if (s->is_amazons && strchr(host, ':') && strchr(host, ':') < host + strcspn(host, "/"))
		return "AWS takes no port in it";
	return NULL;
}

static void judge_issuer(struct compiler *c, struct cdoc *s)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	const char *why;

	if (s->refused || !c->issuer || s->cloud >= CLOUD_KIND_COUNT || !takes[s->cloud].issuer)
		return;
	why = *c->issuer ? issuer_why(s, c->issuer) : NULL;
	if (!*c->issuer)
		buf_printf(&text,
			   "%s looks the keys up at the issuer of a token, and the agent has none: set spec.jwt.issuer in "
			   "svid.yaml to the https:// URL under which the files of `svid oidc export` are published",
			   cloud_kind_name(s->cloud));
	else if (why)
		buf_printf(&text, "spec.jwt.issuer of the agent does not suit %s: %s", cloud_kind_name(s->cloud), why);
	if (text.len || buf_ok(&text))
		cdoc_refuse(c, s, &text);
}

/* What the source's cloud would refuse of this identity, each day anew. */
static void put_refusal(const struct join *j, const struct cdoc *d, const struct cdoc *s, const struct cdoc *identity,
			struct buf *out)
{
	size_t len = strlen(d->id);

	if (s->cloud >= CLOUD_KIND_COUNT || !j->c->trust_domain)
		return;
	if (takes[s->cloud].subject && len > takes[s->cloud].subject)
		buf_printf(out, "the SPIFFE ID has %zu bytes, and %s takes %zu as subject of a token", len,
			   cloud_kind_name(s->cloud), takes[s->cloud].subject);
	else if (s->whole_subject && len > GOOGLE_SUBJECT)
		buf_printf(out,
			   "the SPIFFE ID has %zu bytes, and google.subject holds %d: have the provider map a part of it "
			   "(google.subject=assertion.sub.extract(...)) and say spec.gcp.subject: mapped in %s",
			   len, GOOGLE_SUBJECT, s->name);
	else if (s->cloud == CLOUD_AZURE && identity->es256)
		buf_printf(out, "Entra takes RS256 alone, and %s has spec.svid.jwt.alg: ES256", identity->name);
}

static void judge_credential(struct join *j, struct cdoc *d)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	const struct cdoc *s = find_source(j, d->source);
	const struct cdoc *identity = find_identity(j, id_of(j->c, d));

	if (!s)
		buf_printf(&text, "there is no CredentialSource %s", d->source);
	else if (s->refused)
		buf_printf(&text, "its CredentialSource %s is refused", s->name);
	else if (!identity)
		buf_printf(&text, "no WorkloadIdentity has its SPIFFE ID: nobody could read it");
	else if (identity->refused)
		buf_printf(&text, "its WorkloadIdentity %s is refused", identity->name);
	else if (j->n_bindings == LIM_BINDINGS)
		buf_printf(&text, "there are more than %d WorkloadCredentials", LIM_BINDINGS);
	else
		put_refusal(j, d, s, identity, &text);
	if (text.len || buf_ok(&text))
		cdoc_refuse(j->c, d, &text);
	else
		j->n_bindings++;
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
		const struct cdoc *s;

		if (c->docs[i].refused || strcmp(c->docs[i].kind, "WorkloadCredential") != 0)
			continue;
		s = find_source(j, c->docs[i].source);
		if (s && s->cloud == CLOUD_AZURE)
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
		judge_issuer(c, j.sources[i]);
	for (size_t i = 0; i < c->n_docs && ok && !c->no_memory; i++)
		if (!c->docs[i].refused && strcmp(c->docs[i].kind, "WorkloadCredential") == 0)
			judge_credential(&j, &c->docs[i]);
	if (ok && !c->no_memory)
		judge_azure(&j);
	mem_free(j.sources);
	mem_free(j.ids);
}
