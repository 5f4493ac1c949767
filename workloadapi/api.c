// SPDX-License-Identifier: Apache-2.0
/* api.c - the feeds of one front. svid-front. Who publishes: front.c. Who reads: grpc.c. */
#include "workloadapi/api.h"

#include "gen/health.pb-c.h"
#include "workloadapi/encode.h"

static void refresh_health(struct api *a)
{
	bool ok = !a->state_err && a->feeds[FEED_SVIDS].serial;

	api_publish(a, FEED_HEALTH, message_ref(ok ? a->serving : a->not_serving), 0, 0);
}

int api_init(struct api *a)
{
	struct message *unknown;
	int err;

	*a = (struct api){ .state_err = 0 };
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

void api_done(struct api *a)
{
	for (int i = 0; i < FEED_COUNT; i++)
		message_unref(a->feeds[i].msg);
	message_unref(a->serving);
	message_unref(a->not_serving);
	*a = (struct api){ .state_err = 0 };
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

void api_set_state(struct api *a, int err)
{
	a->state_err = err;
	refresh_health(a);
}
