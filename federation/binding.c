// SPDX-License-Identifier: Apache-2.0
/*
 * binding.c - one WorkloadCredential's life: when its credential is exchanged, what is served meanwhile, who waits. svid-cloud.
 *
 * A credential is renewed at a random point of 50 to 70 % of its life, or when its cloud says; a failure is tried again after a
 * random part of a doubling time; what the cloud refused for good is remembered for minutes. The old value is served until it
 * really expires, and before that there is another try.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "federation/cloud.h"
#include "federation/leaf.h"

#define BACKOFF_FIRST_S 1
#define SLOW_FIRST_S 30	   /* propagation of a change in a cloud takes minutes */
#define SPREAD_PER_BINDING_MS 20
#define SPREAD_MAX_MS 60000
#define TOKEN_LEFT_S 600   /* of one in a file: SDKs keep the file's content for 10 minutes */
#define TOKEN_AGAIN_NS NS_PER_S
#define LIFE_MIN_S 30
#define CLOCK_SLACK_S 60
#define LEFT_MIN_S 60	   /* of a credential: with less, no try is made sooner for its sake */
#define RETRY_MAX_S 4600   /* the longest that a cloud can make us wait, with its jitter */

static void answer(struct binding *b, uint32_t order, enum cloud_file what);

struct binding *binding_find(const struct cloud *c, uint32_t number)
{
	const struct list *head = &c->bindings[number % BINDING_BUCKETS];
	struct binding *b;

	list_for_each(b, head, in_hash)
		if (b->number == number)
			return b;
	return NULL;
}

void bindings_each(struct cloud *c, void (*each)(struct binding *b, void *arg), void *arg)
{
	struct binding *b, *tmp;

	for (size_t i = 0; i < BINDING_BUCKETS; i++)
		list_for_each_safe(b, tmp, &c->bindings[i], in_hash)
			each(b, arg);
}

static bool binding_is_valid(const struct binding *b)
{
	return b->got.expires_at > clock_wall_s();
}

/* ---- what svid-core is told ---- */

static void set_text(char **at, const char *s)
{
	mem_free(*at);
	*at = s && *s ? mem_strdup(s) : NULL;
}

/* When what a reader gets ends. */
static int64_t valid_until(const struct binding *b)
{
	int64_t end = b->kind == CLOUD_JWT ? b->token.not_after : b->got.expires_at;

	return end > clock_wall_s() ? end : 0;
}

static void tell_state(struct binding *b)
{
	cloud_told(b->cloud, chan_put(b->cloud->core, CR_STATE, 0, .binding = b->number, .state = b->state,
				      .expires_at = valid_until(b), .refresh_at = b->refresh_at,
				      .last_success = b->last_success, .failures = b->failures, .error = slice_str(b->error),
				      .next_step = slice_str(b->next_step)));
}

static void no_file(struct binding *b, uint32_t order, int err)
{
	cloud_told(b->cloud, chan_put(b->cloud->core, CR_NOFILE, 0, .order = order, .err = err));
}

static void refuse_waits(struct binding *b, int err)
{
	struct file_wait *w, *tmp;

	list_for_each_safe(w, tmp, &b->waits, node) {
		no_file(b, w->order, err);
		list_del(&w->node);
		mem_free(w);
	}
}

static void answer_waits(struct binding *b, enum file_needs needs, int err)
{
	struct file_wait *w, *tmp;

	list_for_each_safe(w, tmp, &b->waits, node) {
		struct file_wait wait = *w;

		if (file_needs(b, w->what) != needs)
			continue;
		list_del(&w->node);
		mem_free(w);
		if (err)
			no_file(b, wait.order, err);
		else
			answer(b, wait.order, wait.what);
	}
}

/* ---- its time ---- */

static void on_timer(struct loop_timer *t)
{
	struct binding *b = container_of(t, struct binding, timer);

	if (!b->fetch && list_empty(&b->in_queue))
		list_add_tail(&b->cloud->queue, &b->in_queue);
	bindings_go(b->cloud);
}

static void exchange_in(struct binding *b, uint64_t ns)
{
	if (b->kind == CLOUD_JWT)
		return; /* nothing is exchanged: the token in the file is all */
	if (loop_timer_in(b->cloud->loop, &b->timer, ns))
		log_error(EV_CLOUD, KV("err", V_S("ENOMEM")));
}

static void exchange_in_s(struct binding *b, int64_t seconds)
{
	b->refresh_at = clock_wall_s() + seconds;
	exchange_in(b, (uint64_t)seconds * NS_PER_S + clock_random(NS_PER_S));
}

static int64_t point_of_life(int64_t now, int64_t end)
{
	int64_t life = end - now > LIFE_MIN_S ? end - now : LIFE_MIN_S;

	return life / 2 + (int64_t)clock_random((uint64_t)life / 5 + 1);
}

/* Full jitter: a thousand machines that were refused at once do not come back at once. */
static int64_t back_off(unsigned int failures, int64_t first)
{
	int64_t ceiling = first;

	while (failures-- > 1 && ceiling < LIM_CLOUD_NEGATIVE_S)
		ceiling *= 2;
	if (ceiling > LIM_CLOUD_NEGATIVE_S)
		ceiling = LIM_CLOUD_NEGATIVE_S;
	return 1 + (int64_t)clock_random((uint64_t)ceiling);
}

void binding_not_started(struct binding *b)
{
	b->failures++;
	exchange_in_s(b, back_off(b->failures, BACKOFF_FIRST_S));
}

void binding_refresh(struct binding *b)
{
	if (b->job != JOB_OPEN)
		exchange_in(b, 0);
}

/* ---- outcomes ---- */

/* As the cloud said, if that is neither in a hurry nor too near to the end; with jitter of our own. */
static int64_t renewal(const struct binding *b, int64_t now, const struct outcome *o)
{
	int64_t life = b->got.expires_at - now;

	if (o->refresh_in < LIFE_MIN_S || o->refresh_in < life / 10 || o->refresh_in > life / 5 * 4)
		return point_of_life(now, b->got.expires_at);
	return o->refresh_in + (int64_t)clock_random((uint64_t)life / 10 + 1);
}

/*
 * Not so late that what is served ends first, whatever the cloud said: it may have recovered long before. Each time after half
 * of what is left or more, so that it is asked a few times at the most.
 */
static int64_t while_it_lives(const struct binding *b, int64_t wait)
{
	int64_t left = b->got.expires_at - clock_wall_s();

	if (left < LEFT_MIN_S || wait <= left * 3 / 4)
		return wait;
	return left / 2 + (int64_t)clock_random((uint64_t)left / 4 + 1);
}

static int64_t next_try(struct binding *b, const struct outcome *o)
{
	if (o->retry_after)
		return o->retry_after + (int64_t)clock_random(o->retry_after / 4 + 1);
	if (o->verdict == VERDICT_SLOW)
		return SLOW_FIRST_S / 2 + back_off(b->failures, SLOW_FIRST_S);
	if (o->verdict == VERDICT_PERMANENT)
		return LIM_CLOUD_NEGATIVE_S / 2 + (int64_t)clock_random(LIM_CLOUD_NEGATIVE_S / 2);
	return back_off(b->failures, BACKOFF_FIRST_S);
}

static void failed(struct binding *b, const struct outcome *o)
{
	static const enum cloud_state states[] = {
		[VERDICT_RETRY] = CLOUD_RETRYING, [VERDICT_NEW_JWT] = CLOUD_RETRYING,
		[VERDICT_SLOW] = CLOUD_SLOW,	  [VERDICT_PERMANENT] = CLOUD_FAILED,
	};
	AUTO(buf) struct buf text = BUF_INIT(1024);

	b->failures++;
	b->state = states[o->verdict];
	buf_put_slice(&text, slice_cut(buf_slice(&o->code), 128));
	if (o->code.len && o->message.len)
		buf_put_str(&text, ": ");
	buf_put_slice(&text, slice_cut(buf_slice(&o->message), text.max - 1 - text.len));
	set_text(&b->error, buf_cstr(&text));
	set_text(&b->next_step, o->next_step);
	log_warn(EV_CLOUD, KV("credential", V_S(b->credential)), KV("spiffe_id", V_S(b->spiffe_id)),
		 KV("state", V_S(cloud_state_name(b->state))), KV("error", V_B(buf_slice(&text))));
	exchange_in_s(b, while_it_lives(b, next_try(b, o)));
	cache_store_failure(b);
	answer_waits(b, FILE_CREDENTIAL, -ERR_NOT_READY);
}

static void credential_take(struct credential *to, struct credential *from)
{
	struct buf *t[] = { &to->key_id, &to->secret_key, &to->session_token, &to->access_token, &to->id_token };
	struct buf *f[] = { &from->key_id, &from->secret_key, &from->session_token, &from->access_token, &from->id_token };

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		buf_done(t[i]);
		*t[i] = *f[i];
		*f[i] = (struct buf)BUF_INIT_SECRET(LIM_CLOUD_SECRET);
	}
	to->expires_at = from->expires_at;
}

void credential_done(struct credential *c)
{
	struct buf *parts[] = { &c->key_id, &c->secret_key, &c->session_token, &c->access_token, &c->id_token };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		buf_done(parts[i]);
	c->expires_at = 0;
}

static void succeeded(struct binding *b, struct exchange *x, const struct outcome *o)
{
	int64_t now = clock_wall_s();

	credential_take(&b->got, &x->got);
	b->failures = 0;
	b->state = CLOUD_READY;
	b->last_success = now;
	set_text(&b->error, NULL);
	set_text(&b->next_step, NULL);
	exchange_in_s(b, renewal(b, now, o));
	cache_store(b);
	answer_waits(b, FILE_CREDENTIAL, 0);
}

void binding_exchanged(struct binding *b, struct exchange *x, const struct outcome *o, const struct fetch *f)
{
	struct msg_CR_EXCHANGE m = { .binding = b->number, .err = o->verdict == VERDICT_DONE ? 0 : -ERR_NOT_READY };

	fetch_put_record(f, &m);
	m.code = slice_cut(buf_slice(&o->code), 128);
	m.principal = buf_slice(&o->principal);
	m.request_id = slice_cut(buf_slice(&o->request_id), 256);
	m.session = slice_str(x->session);
	if (o->verdict == VERDICT_DONE) {
		m.key_id = buf_slice(&x->got.key_id);
		m.expires_at = x->got.expires_at;
	}
	/* The record goes before anybody can be given what it is about: both travel on one channel. */
	cloud_told(b->cloud, chan_put(b->cloud->core, CR_EXCHANGE, 0, .binding = m.binding, .err = m.err,
				      .http_status = m.http_status, .code = m.code, .endpoint = m.endpoint, .jti = m.jti,
				      .kid = m.kid, .session = m.session, .principal = m.principal, .key_id = m.key_id,
				      .request_id = m.request_id, .expires_at = m.expires_at));
	b->fetch = NULL;
	if (o->verdict == VERDICT_DONE)
		succeeded(b, x, o);
	else
		failed(b, o);
	tell_state(b);
}

void binding_failed_before(struct binding *b, enum cloud_state state, unsigned int failures, const char *error,
			   const char *next_step)
{
	b->state = state;
	b->failures = failures;
	set_text(&b->error, error);
	set_text(&b->next_step, next_step);
}

/*
 * Seconds until the next exchange as it was planned before a restart; 0 when it is due, or when the plan makes no sense any more
 * because the clock was set.
 */
static int64_t left_of_plan(const struct binding *b, int64_t refresh_at)
{
	int64_t now = clock_wall_s(), left = refresh_at - now;
	int64_t most = b->failures ? RETRY_MAX_S : b->got.expires_at - b->last_success;

	if (!b->failures && (!binding_is_valid(b) || b->last_success > now + CLOCK_SLACK_S))
		return 0;
	return left > 0 && left <= most ? left : 0;
}

void binding_cached(struct binding *b, int err, struct credential *got, int64_t refresh_at, int64_t last_success)
{
	uint64_t spread_ms = b->cloud->n_bindings * SPREAD_PER_BINDING_MS;
	int64_t left;

	if (!err && got->expires_at > clock_wall_s()) {
		credential_take(&b->got, got);
		b->last_success = last_success;
		b->state = b->failures ? b->state : CLOUD_READY;
	}
	left = left_of_plan(b, b->failures ? b->refresh_at : refresh_at);
	if (left)
		exchange_in_s(b, left);
	else if (!list_empty(&b->waits))
		exchange_in(b, 0); /* somebody waits already */
	else
		exchange_in(b, clock_random(spread_ms < SPREAD_MAX_MS ? spread_ms : SPREAD_MAX_MS) * NS_PER_MS);
	if (binding_is_valid(b))
		answer_waits(b, FILE_CREDENTIAL, 0);
	else if (left)
		answer_waits(b, FILE_CREDENTIAL, -ERR_NOT_READY);
	tell_state(b);
}

/* ---- files ---- */

static void send_file(struct binding *b, uint32_t order, struct slice content)
{
	int fd, err = file_seal(content, &fd);

	if (err) {
		no_file(b, order, err);
		return;
	}
	cloud_told(b->cloud, chan_put_fds(b->cloud->core, CR_FILE, 0, &fd, 1, .order = order, .len = (uint32_t)content.len));
	close(fd);
}

static void answer(struct binding *b, uint32_t order, enum cloud_file what)
{
	AUTO(buf) struct buf content = BUF_INIT_SECRET(2 * LIM_CLOUD_SECRET);
	int err = file_put(b, what, &content);

	if (!err)
		err = buf_ok(&content);
	if (err)
		no_file(b, order, err);
	else
		send_file(b, order, buf_slice(&content));
}

/* One that was issued later than now is from before the clock was set: clouds will not take it. */
static bool has_token(const struct binding *b)
{
	int64_t now = clock_wall_s();

	return b->token.text.len && b->token.not_after - TOKEN_LEFT_S > now && b->token.issued_at <= now + CLOCK_SLACK_S;
}

/* Neither svid-core nor svid-keys said a word: one of them was restarted in between. */
static void on_token_late(struct loop_timer *t)
{
	binding_token(container_of(t, struct binding, token.deadline), -ERR_DEADLINE, NULL);
}

static void want_token(struct binding *b)
{
	struct cloud *c = b->cloud;

	if (b->token.order || clock_boot_ns() < b->token.retry_at)
		return;
	if (loop_timer_in(c->loop, &b->token.deadline, LIM_JWT_WAIT_MS * NS_PER_MS))
		return;
	b->token.order = cloud_order(c);
	cloud_told(c, chan_put(c->core, CR_JWT, 0, .order = b->token.order, .binding = b->number, .file = 1));
}

void binding_token(struct binding *b, int err, const struct msg_CK_JWT *m)
{
	b->token.order = 0;
	loop_timer_stop(&b->token.deadline);
	if (!err) {
		buf_reset(&b->token.text);
		buf_put_slice(&b->token.text, m->token);
		err = buf_ok(&b->token.text);
		b->token.issued_at = m->issued_at;
		b->token.not_after = m->not_after;
	}
	if (err)
		b->token.retry_at = clock_boot_ns() + TOKEN_AGAIN_NS;
	if (b->kind == CLOUD_JWT) {
		b->last_success = err ? b->last_success : b->token.issued_at;
		b->state = err ? CLOUD_RETRYING : CLOUD_READY;
		set_text(&b->error, err ? err_text(err) : NULL);
		tell_state(b);
	}
	answer_waits(b, FILE_TOKEN, err ? -ERR_NOT_READY : 0);
}

static int wait_for(struct binding *b, uint32_t order, enum cloud_file what)
{
	struct file_wait *w = mem_new(struct file_wait);

	if (!w)
		return -ENOMEM;
	*w = (struct file_wait){ .order = order, .what = what };
	list_init(&w->node);
	list_add_tail(&b->waits, &w->node);
	return 0;
}

static bool is_exchanging(const struct binding *b)
{
	return b->fetch || b->job == JOB_OPEN || !list_empty(&b->in_queue);
}

/* A thousand readers of one credential wait for one exchange. After a refusal they hear so until the next try. */
int binding_file(struct binding *b, uint32_t order, enum cloud_file what)
{
	enum file_needs needs = what < CLOUD_FILE_COUNT ? file_needs(b, what) : FILE_NONE;
	bool there = needs == FILE_NOTHING || (needs == FILE_CREDENTIAL && binding_is_valid(b)) ||
		     (needs == FILE_TOKEN && has_token(b));

	if (needs == FILE_NONE)
		return -ERR_FORMAT;
	if (there)
		answer(b, order, what);
	else if (needs == FILE_CREDENTIAL && b->failures && !is_exchanging(b))
		no_file(b, order, -ERR_NOT_READY);
	else if (wait_for(b, order, what))
		no_file(b, order, -ENOMEM);
	else if (needs == FILE_TOKEN)
		want_token(b);
	else if (!is_exchanging(b))
		exchange_in(b, 0);
	if (needs == FILE_TOKEN && !there && !b->token.order)
		answer_waits(b, FILE_TOKEN, -ERR_NOT_READY);
	return 0;
}

/* ---- its life ---- */

static void clear(struct binding *b)
{
	loop_timer_stop(&b->timer);
	loop_timer_stop(&b->token.deadline);
	list_del(&b->in_queue);
	cache_leave(b);
	fetch_cancel(b->fetch);
	b->fetch = NULL;
	credential_done(&b->got);
	buf_done(&b->token.text);
	b->token = (struct token){ .text = BUF_INIT_SECRET(LIM_JWT), .deadline.cb = on_token_late };
	b->refresh_at = b->last_success = 0;
	b->failures = 0;
	b->state = CLOUD_WAITING;
	set_text(&b->error, NULL);
	set_text(&b->next_step, NULL);
}

static void settings_free(struct binding *b)
{
	mem_free(b->spiffe_id);
	mem_free(b->credential);
	mem_free(b->source);
	mem_free(b->dir);
	json_decref(b->source_json);
}

void binding_free(struct binding *b)
{
	refuse_waits(b, -ERR_NOT_FOUND);
	clear(b);
	settings_free(b);
	list_del(&b->in_hash);
	b->cloud->n_bindings--;
	mem_free(b);
}

/* Of all that decides what the cloud gives; where it is shown and who may help are not among it. */
static int read_digest(struct binding *b, const struct msg_CL_BIND *m)
{
	AUTO(buf) struct buf all = BUF_INIT(2 * LIM_CLOUD_SECRET);
	int err;

	buf_put_u32(&all, m->kind);
	buf_put_blob(&all, m->spiffe_id);
	buf_put_blob(&all, m->credential);
	buf_put_blob(&all, m->source);
	buf_put_blob(&all, m->source_json);
	err = buf_ok(&all) ? buf_ok(&all) : leaf_hash(buf_slice(&all), b->digest);
	memcpy(&b->generation, b->digest, sizeof(b->generation));
	return err;
}

static int read_settings(struct binding *b, const struct msg_CL_BIND *m)
{
	b->kind = m->kind;
	b->spiffe_id = slice_dup(m->spiffe_id);
	b->credential = slice_dup(m->credential);
	b->source = slice_dup(m->source);
	b->dir = slice_dup(m->dir);
	b->source_json = json_loadb((const char *)m->source_json.p, m->source_json.len, JSON_REJECT_DUPLICATES, NULL);
	if (!b->spiffe_id || !b->credential || !b->source || !b->dir)
		return -ENOMEM;
	if (m->kind >= CLOUD_KIND_COUNT || !b->source_json)
		return -ERR_FORMAT;
	b->spec = json_object_get(b->source_json, cloud_kind_name(m->kind));
	return exchange_check(m->kind, b->spec) ? -ERR_FORMAT : read_digest(b, m);
}

static void settings_move(struct binding *to, struct binding *from)
{
	to->kind = from->kind;
	to->spiffe_id = take(&from->spiffe_id);
	to->credential = take(&from->credential);
	to->source = take(&from->source);
	to->dir = take(&from->dir);
	to->source_json = take(&from->source_json);
	to->spec = from->spec;
	to->generation = from->generation;
	memcpy(to->digest, from->digest, sizeof(to->digest));
}

static struct binding *binding_new(struct cloud *c, uint32_t number)
{
	struct binding *b = mem_new(struct binding);

	if (!b)
		return NULL;
	b->cloud = c;
	b->number = number;
	b->timer.cb = on_timer;
	list_init(&b->in_hash);
	list_init(&b->in_queue);
	list_init(&b->in_jobs);
	list_init(&b->waits);
	list_add_tail(&c->bindings[number % BINDING_BUCKETS], &b->in_hash);
	c->n_bindings++;
	return b;
}

/* What is under way borrows from the settings: they stay as they are, but for the place, or everything begins anew. */
static void change(struct binding *b, struct binding *fresh)
{
	if (b->spiffe_id && !memcmp(b->digest, fresh->digest, sizeof(b->digest))) {
		mem_free(b->dir);
		b->dir = take(&fresh->dir);
		return;
	}
	refuse_waits(b, -ERR_CHANGED);
	clear(b);
	if (b->spiffe_id)
		cache_drop(b);
	settings_free(b);
	settings_move(b, fresh);
	cache_load(b);
	bindings_go(b->cloud);
}

int binding_put(struct cloud *c, const struct msg_CL_BIND *m)
{
	struct binding *b = binding_find(c, m->binding), fresh = { .number = m->binding };
	int err = b || c->n_bindings < LIM_BINDINGS ? read_settings(&fresh, m) : -ERR_LIMIT;

	if (!err && !b) {
		b = binding_new(c, m->binding);
		err = b ? 0 : -ENOMEM;
	}
	if (!err)
		change(b, &fresh);
	settings_free(&fresh);
	return err;
}
