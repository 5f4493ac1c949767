/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rotate.c - the authority's keys follow each other (signer.h says when), and svid-core hears of each step: what is
 * published and what is to be stored come in one KY_LOADED, and a key signs only after KY_STORED. svid-keys.
 *
 * The wall clock decides; the timer only looks again, a minute apart at most, because that clock can be set and
 * the machine can sleep. Before anything is signed rotate_now() looks too.
 */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/keys/keys.h"
#include "agent/keys/pkey.h"
#include "agent/keys/seal.h"

#define LOOK_S 60  /* the longest time without looking at the clock */
#define RETRY_S 1  /* after a step that failed */
#define RESEAL_S 60 /* a crash forgets at most this much of the clock rule */

/* An RSA key on its way: seconds on a slow machine, while everything else goes on. */
struct slow {
	struct pool_job job;
	struct keys *keys; /* NULL: nobody wants it any more */
	enum signer_use use;
	EVP_PKEY *key;
	int err;
};

static void slow_free(struct slow *s)
{
	EVP_PKEY_free(s->key);
	mem_free(s);
}

static int tell(struct keys *k, uint32_t id, int64_t now, bool store)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_BUNDLE);
	AUTO(buf) struct buf jwks = BUF_INIT(LIM_JWKS);
	AUTO(buf) struct buf wit = BUF_INIT(LIM_JWKS);
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	const struct signer *ca = ring_signer(&k->authority->rings[SIGN_CA], now);
	int err = authority_put_bundle(k->authority, now, &der);

	if (!err)
		err = authority_put_jwks(k->authority, now, &jwks);
	if (!err)
		err = authority_put_wit_jwks(k->authority, now, &wit);
	if (!err && store)
		err = seal_write(k->authority, secbytes_slice(&k->seal_key), &sealed);
	if (err)
		return err;
	if (store)
		k->rotation.sealed_at = k->authority->last_signature;
	return chan_put(k->core, KY_LOADED, id, .bundle = buf_slice(&der), .not_after = ca ? ca->not_after : 0,
			.jwks = buf_slice(&jwks), .wit_jwks = buf_slice(&wit), .sealed = buf_slice(&sealed),
			.nobody_ca = buf_slice(&k->nobody_ca), .serial = ++k->rotation.serial);
}

static int publish(struct keys *k, uint32_t id, int64_t now, bool store)
{
	int err = tell(k, id, now, store);

	if (!err)
		authority_told(k->authority, now);
	return err;
}

static void on_work(struct pool_job *job)
{
	struct slow *s = container_of(job, struct slow, job);

	s->err = pkey_generate(signer_key_type(s->use), &s->key);
}

static void on_done(struct pool_job *job)
{
	struct slow *s = container_of(job, struct slow, job);
	struct keys *k = s->keys;
	int err = s->err;

	if (k) {
		k->rotation.slow = NULL;
		if (!err)
			err = authority_adopt(k->authority, s->use, take(&s->key), clock_wall_s());
		if (err)
			log_error(EV_AUTHORITY, KV("what", V_S("key not made")), KV("for", V_S(signer_name(s->use))),
				  KV("err", V_S(err_name(err))));
		rotate_now(k);
	}
	slow_free(s);
}

/* One at a time: there is one use with slow keys. */
static int start_slow(struct keys *k, unsigned int uses)
{
	struct slow *s;
	int err;

	if (!uses || k->rotation.slow)
		return 0;
	s = mem_new(struct slow);
	if (!s)
		return -ENOMEM;
	s->job = (struct pool_job){ .work = on_work, .done = on_done };
	s->keys = k;
	s->use = (enum signer_use)__builtin_ctz(uses);
	err = pool_submit(k->pool, &s->job);
	if (err)
		slow_free(s);
	else
		k->rotation.slow = s;
	return err;
}

static void arm(struct keys *k, int64_t next)
{
	int64_t ms = next * 1000 - clock_wall_ms();
	int err = loop_timer_in(k->loop, &k->rotation.timer, (uint64_t)(ms > 0 ? ms : 0) * NS_PER_MS + NS_PER_MS);

	k->rotation.next = next;
	if (err) /* what is signed next looks at the clock as well */
		log_warn(EV_AUTHORITY, KV("what", V_S("no timer")), KV("err", V_S(err_name(err))));
}

static int step(struct keys *k, int64_t now)
{
	unsigned int slow;
	int err = authority_advance(k->authority, now, &slow);
	int slow_err = start_slow(k, slow);

	return err ? err : slow_err;
}

static void look(struct keys *k)
{
	int64_t now = clock_wall_s();
	int err = step(k, now), told = 0;

	if (authority_has_news(k->authority, now)) {
		told = publish(k, 0, now, true);
		if (!told)
			log_info(EV_AUTHORITY, KV("what", V_S("keys rotated")));
	}
	err = err ? err : told;
	if (err)
		log_error(EV_AUTHORITY, KV("what", V_S("keys not rotated")), KV("err", V_S(err_name(err))));
	arm(k, err ? now + RETRY_S : authority_next(k->authority, now, LOOK_S));
}

static void on_timer(struct loop_timer *t)
{
	look(container_of(t, struct keys, rotation.timer));
}

int rotate_start(struct keys *k, uint32_t id)
{
	int64_t now = clock_wall_s();
	int late = step(k, now);
	int err;

	/* Without any CA there is nothing to serve; whatever else could not be made yet can wait. */
	if (late && !k->authority->rings[SIGN_CA].n)
		return late;
	err = publish(k, id, now, k->authority->changed);
	if (err)
		return err;
	k->rotation.timer.cb = on_timer;
	arm(k, late ? now + RETRY_S : authority_next(k->authority, now, LOOK_S));
	return 0;
}

void rotate_now(struct keys *k)
{
	int64_t now = clock_wall_s();

	if (now >= k->rotation.next || authority_has_news(k->authority, now))
		look(k);
}

void rotate_stored(struct keys *k, uint32_t serial)
{
	if (serial == k->rotation.serial)
		authority_stored(k->authority);
}

void rotate_seal(struct keys *k)
{
	int err;

	if (k->authority->last_signature < k->rotation.sealed_at + RESEAL_S)
		return;
	err = publish(k, 0, clock_wall_s(), true);
	if (err)
		log_warn(EV_AUTHORITY, KV("what", V_S("not sealed again")), KV("err", V_S(err_name(err))));
}

void rotate_stop(struct keys *k)
{
	struct slow *s = k->rotation.slow;

	loop_timer_stop(&k->rotation.timer);
	k->rotation.slow = NULL;
	if (!s)
		return;
	s->keys = NULL;
	if (pool_cancel(k->pool, &s->job))
		slow_free(s);
}
