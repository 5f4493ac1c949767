/* SPDX-License-Identifier: Apache-2.0 */
/* cloud_case.c - the usual token service, and svid-cloud with one binding. */
#include "tests/role/cloud_case.h"

static void refuse(const struct service *s, struct https_reply *r)
{
	if (s->code)
		aws_refuses(r, s->status, s->code);
	if (s->text)
		buf_put_str(&r->body, s->text);
	r->status = s->status;
	if (s->headers)
		snprintf(r->headers, sizeof(r->headers), "%s", s->headers);
}

static void grant(struct service *s, const struct https_request *q, struct https_reply *r)
{
	char mark[16];

	snprintf(mark, sizeof(mark), "%u", s->n);
	if (s->kind == CLOUD_AWS)
		aws_grants(r, mark, s->life);
	else if (s->kind == CLOUD_AWS_ROLES_ANYWHERE)
		anywhere_grants(r, mark, s->life);
	else if (s->kind == CLOUD_AZURE)
		azure_grants(r, mark, s->life);
	else if (strstr(q->line, ":generateAccessToken"))
		google_account_grants(r, mark, s->life);
	else
		google_grants(r, mark, s->life);
	if (s->more_headers)
		snprintf(r->headers, sizeof(r->headers), "%s", s->more_headers);
}

void service_answer(void *arg, const struct https_request *q, struct https_reply *r)
{
	struct service *s = arg;

	snprintf(s->line, sizeof(s->line), "%s", q->line);
	snprintf(s->body, sizeof(s->body), "%s", q->body);
	snprintf(s->head, sizeof(s->head), "%s", q->head);
	r->wait_ms = s->wait_ms;
	r->declared = s->shape.declared;
	r->cut = s->shape.cut;
	r->drip_ms = s->shape.drip_ms;
	r->fillers = s->shape.fillers;
	r->silent = s->shape.silent;
	s->n++;
	if (s->n <= s->refusals)
		refuse(s, r);
	else
		grant(s, q, r);
}

static void serve(struct world *w, enum cloud_kind kind, const char *settings)
{
	w->service.kind = kind;
	if (!w->service.life)
		w->service.life = 3600;
	w->https = https_start(w->cert, w->tls11, service_answer, &w->service);
	w->spec = source_of(kind, https_url(w->https), w->no_ca ? NULL : https_ca(w->https), settings, w->more ? w->more : "");
}

void world_begin(struct world *w, enum cloud_kind kind, const char *settings)
{
	serve(w, kind, settings);
	cloud_setup(&w->rig);
	cloud_start(&w->rig, -1);
	cloud_bind(&w->rig, 1, kind, WEB, "cred", w->spec);
	cloud_bound(&w->rig);
}

void world_again(struct world *w)
{
	cloud_kill(&w->rig);
	cloud_start(&w->rig, -1);
	cloud_bind(&w->rig, 1, w->service.kind, WEB, "cred", w->spec);
	cloud_bound(&w->rig);
}

void world_end(struct world *w)
{
	cloud_teardown(&w->rig);
	if (w->https)
		https_stop(w->https);
	free(w->spec);
}
