// SPDX-License-Identifier: Apache-2.0
/* api.c - the feeds of one front. svid-front. Who publishes: publish.c. Who reads: grpc.c. */
#include "workloadapi/api.h"

#include "agent/base/mem.h"
#include "gen/health.pb-c.h"
#include "workloadapi/encode.h"

static void poke_nobody(struct api *a, struct grpc_conn *g)
{
	(void)a;
	(void)g;
}

static int no_order(struct api *a, const struct grpc_conn *g, struct msg_FR_JWT *m)
{
	(void)a;
	(void)g;
	(void)m;
	return -ERR_NOT_READY;
}

static int no_verify(struct api *a, const struct msg_FK_VERIFY *m)
{
	(void)a;
	(void)m;
	return -ERR_NOT_READY;
}

static const struct api_ops no_ops = { poke_nobody, no_order, no_verify };

static void refresh_health(struct api *a)
{
	bool ok = !a->state_err && a->feeds[FEED_SVIDS].serial;

	api_publish(a, FEED_HEALTH, message_ref(ok ? a->serving : a->not_serving), 0, 0);
}

int api_init(struct api *a)
{
	struct message *unknown;
	int err;

	*a = (struct api){ .ops = &no_ops };
	tokens_init(&a->tokens);
	checks_init(&a->checks);
	sds_init(&a->sds);
	err = encode_health(GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING, &a->serving);
	if (!err)
		err = encode_health(GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING,
				    &a->not_serving);
	if (!err)
		err = encode_health(GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN,
				    &unknown);
	if (err) {
		api_done(a);
		return err;
	}
	api_publish(a, FEED_HEALTH_UNKNOWN, unknown, 0, 0);
	refresh_health(a);
	return 0;
}

static void free_wits(struct api_wit *wits, size_t n)
{
	for (size_t i = 0; i < n; i++)
		message_unref(wits[i].feed.msg);
	mem_free(wits);
}

void api_done(struct api *a)
{
	for (int i = 0; i < FEED_COUNT; i++)
		message_unref(a->feeds[i].msg);
	free_wits(a->wits, a->n_wits);
	tokens_done(&a->tokens);
	checks_done(&a->checks);
	sds_done(&a->sds);
	set_free(a->set);
	message_unref(a->serving);
	message_unref(a->not_serving);
	*a = (struct api){ .ops = &no_ops };
	tokens_init(&a->tokens);
	checks_init(&a->checks);
	sds_init(&a->sds);
}

static bool unchanged(const struct feed *f, const struct message *m, int err)
{
	if (!f->serial)
		return false;
	if (!m || !f->msg)
		return !m && !f->msg && f->err == err;
	return message_same(f->msg, m);
}

void api_publish(struct api *a, enum feed_id id, struct message *m, int err, int64_t expires)
{
	struct feed *f = &a->feeds[id];

	if (unchanged(f, m, err)) {
		message_unref(m);
		return;
	}
	message_unref(f->msg);
	*f = (struct feed){ .msg = m, .err = m ? 0 : err, .expires = expires, .serial = ++a->serial };
	if (id == FEED_SVIDS)
		refresh_health(a);
}

static struct api_wit *find_wit(const struct api *a, uint32_t identity)
{
	for (size_t i = 0; i < a->n_wits; i++)
		if (a->wits[i].identity == identity)
			return &a->wits[i];
	return NULL;
}

void api_publish_wits(struct api *a, struct api_wit *wits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct api_wit *old = find_wit(a, wits[i].identity);
		struct feed *f = &wits[i].feed;

		if (old && old->feed.msg && (!f->msg || message_same(old->feed.msg, f->msg))) {
			message_unref(f->msg); /* none for now: the one of before goes on */
			*f = old->feed;
			message_ref(f->msg);
		} else if (f->msg) {
			f->serial = ++a->serial;
		}
	}
	free_wits(a->wits, a->n_wits);
	a->wits = wits;
	a->n_wits = n;
}

const struct feed *api_one(const struct api *a, uint32_t identity)
{
	const struct api_wit *w = find_wit(a, identity);

	return w ? &w->feed : NULL;
}

void api_set_state(struct api *a, int err)
{
	a->state_err = err;
	refresh_health(a);
}
