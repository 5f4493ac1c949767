// SPDX-License-Identifier: Apache-2.0
/*
 * binding.c - one WorkloadCredential's life: when its credential is exchanged, what is served meanwhile, who waits. svid-cloud.
 *
 * A credential is renewed at a random point of 50 to 70 % of its life; a failure is tried again after a random part of a
 * doubling time; what the cloud refused for good is remembered for minutes. The old value is served until it really expires.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/base/secret.h"
#include "federation/cloud.h"

#define BACKOFF_FIRST_S 1
#define SLOW_FIRST_S 30	   /* propagation of a change in a cloud takes minutes */
#define SPREAD_PER_BINDING_MS 20
#define SPREAD_MAX_MS 60000
#define TOKEN_LEFT_S 600   /* of one in a file: SDKs keep the file's content for 10 minutes */
#define TOKEN_AGAIN_NS NS_PER_S
#define LIFE_MIN_S 30
#define FNV_START 14695981039346656037ull
#define FNV_PRIME 1099511628211ull

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

bool binding_is_valid(const struct binding *b)
{
	return b->got.expires_at > clock_wall_s();
}

/* ---- what svid-core is told ---- */

static void set_text(char **at, const char *s)
{
	mem_free(*at);
	*at = s && *s ? mem_strdup(s) : NULL;
}

static void tell_state(struct binding *b)
{
	cloud_told(b->cloud, chan_put(b->cloud->core, CR_STATE, 0, .binding = b->number, .state = b->state,
				      .expires_at = binding_is_valid(b) ? b->got.expires_at : 0, .refresh_at = b->refresh_at,
				      .last_success = b->last_success, .failures = b->failures, .error = slice_str(b->error),
				      .next_step = slice_str(b->next_step)));
}

static void no_file(struct binding *b, uint32_t order, int err)
{
	cloud_told(b->cloud, chan_put(b->cloud->core, CR_NOFILE, 0, .order = order, .err = err));
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

	if (b->opening) { /* the svid-keys that was asked is gone */
		binding_cached(b, -ERR_DEADLINE, NULL, 0, 0);
		return;
	}
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

void bindings_go(struct cloud *c)
{
	while (!list_empty(&c->queue) && c->n_fetches < LIM_CLOUD_AT_ONCE) {
		struct binding *b = list_entry(c->queue.next, struct binding, in_queue);
		int err;

		list_del(&b->in_queue);
		err = fetch_start(b);
		if (err) {
			b->failures++;
			exchange_in_s(b, back_off(b->failures, BACKOFF_FIRST_S));
		}
	}
}

void binding_refresh(struct binding *b)
{
	if (!b->opening)
		exchange_in(b, 0);
}

/* ---- outcomes ---- */

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
	buf_put_slice(&text, buf_slice(&o->code));
	if (o->code.len && o->message.len)
		buf_put_str(&text, ": ");
	buf_put_slice(&text, slice_of(o->message.data, o->message.len < 1024 - text.len ? o->message.len : 1024 - text.len));
	set_text(&b->error, buf_cstr(&text));
	set_text(&b->next_step, o->next_step);
	log_warn(EV_CLOUD, KV("credential", V_S(b->credential)), KV("spiffe_id", V_S(b->spiffe_id)),
		 KV("state", V_S(cloud_state_name(b->state))), KV("error", V_B(buf_slice(&text))));
	exchange_in_s(b, next_try(b, o));
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

static void credential_done(struct credential *c)
{
	struct credential none = { .expires_at = 0 };

	credential_take(c, &none);
	buf_done(&c->key_id);
}

static void succeeded(struct binding *b, struct exchange *x)
{
	int64_t now = clock_wall_s();

	credential_take(&b->got, &x->got);
	b->failures = 0;
	b->state = CLOUD_READY;
	b->last_success = now;
	set_text(&b->error, NULL);
	set_text(&b->next_step, NULL);
	exchange_in_s(b, point_of_life(now, b->got.expires_at));
	cache_store(b);
	answer_waits(b, FILE_CREDENTIAL, 0);
}

void binding_exchanged(struct binding *b, struct exchange *x, const struct outcome *o, const struct fetch *f)
{
	struct msg_CR_EXCHANGE m = { .binding = b->number, .err = o->verdict == VERDICT_DONE ? 0 : -ERR_NOT_READY };

	fetch_put_record(f, &m);
	m.code = buf_slice(&o->code);
	m.principal = buf_slice(&o->principal);
	m.request_id = slice_of(o->request_id.data, o->request_id.len < 256 ? o->request_id.len : 256);
	m.code.len = m.code.len < 128 ? m.code.len : 128;
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
		succeeded(b, x);
	else
		failed(b, o);
	tell_state(b);
	bindings_go(b->cloud);
}

void binding_cached(struct binding *b, int err, struct credential *got, int64_t refresh_at, int64_t last_success)
{
	int64_t now = clock_wall_s();
	uint64_t spread_ms = b->cloud->n_bindings * SPREAD_PER_BINDING_MS;

	b->opening = 0;
	if (!err) {
		credential_take(&b->got, got);
		b->last_success = last_success;
		b->state = CLOUD_READY;
		b->refresh_at = refresh_at;
	}
	if (!err && binding_is_valid(b) && refresh_at > now)
		exchange_in(b, (uint64_t)(refresh_at - now) * NS_PER_S);
	else if (!list_empty(&b->waits))
		exchange_in(b, 0); /* somebody waits already */
	else
		exchange_in(b, clock_random(spread_ms < SPREAD_MAX_MS ? spread_ms : SPREAD_MAX_MS) * NS_PER_MS);
	if (binding_is_valid(b))
		answer_waits(b, FILE_CREDENTIAL, 0);
	tell_state(b);
}

/* ---- files ---- */

static void send_file(struct binding *b, uint32_t order, struct slice content)
{
	AUTO(secret) struct secret *copy = content.len ? secret_new(content.len) : NULL;
	int fd = -1, err = copy ? 0 : -ENOMEM;

	if (!err) {
		memcpy(secret_bytes(copy), content.p, content.len);
		err = file_seal(slice_of(secret_bytes(copy), content.len), &fd);
	}
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

static bool has_token(const struct binding *b)
{
	return b->token.text.len && b->token.not_after - TOKEN_LEFT_S > clock_wall_s();
}

static void want_token(struct binding *b)
{
	struct cloud *c = b->cloud;
	char session[EXCHANGE_SESSION + 1] = "";

	if (b->token.order || clock_boot_ns() < b->token.retry_at)
		return;
	exchange_session(b->kind, slice_str(b->spiffe_id), slice_str(c->node), session);
	b->token.order = cloud_order(c);
	cloud_told(c, chan_put(c->core, CR_JWT, 0, .order = b->token.order, .binding = b->number, .file = 1,
			       .session = slice_str(session)));
}

void binding_token(struct binding *b, int err, const struct msg_CK_JWT *m)
{
	b->token.order = 0;
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
	else if (needs == FILE_CREDENTIAL && b->failures && !b->fetch && !b->opening && list_empty(&b->in_queue))
		no_file(b, order, -ERR_NOT_READY);
	else if (wait_for(b, order, what))
		no_file(b, order, -ENOMEM);
	else if (needs == FILE_TOKEN)
		want_token(b);
	else if (!b->fetch && !b->opening && list_empty(&b->in_queue))
		exchange_in(b, 0);
	if (needs == FILE_TOKEN && !there && !b->token.order)
		answer_waits(b, FILE_TOKEN, -ERR_NOT_READY);
	return 0;
}

/* ---- its life ---- */

static uint64_t hash_bytes(uint64_t h, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * FNV_PRIME;
	return (h ^ 0xff) * FNV_PRIME;
}

static void clear(struct binding *b)
{
	loop_timer_stop(&b->timer);
	list_del(&b->in_queue);
	fetch_cancel(b->fetch);
	b->fetch = NULL;
	credential_done(&b->got);
	buf_done(&b->token.text);
	b->token = (struct token){ .text = BUF_INIT_SECRET(LIM_JWT) };
	b->refresh_at = b->last_success = 0;
	b->failures = 0;
	b->state = CLOUD_WAITING;
	b->seal_order = b->opening = 0;
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
	b->spiffe_id = b->credential = b->source = b->dir = NULL;
	b->source_json = NULL;
}

void binding_free(struct binding *b)
{
	answer_waits(b, FILE_CREDENTIAL, -ERR_NOT_FOUND);
	answer_waits(b, FILE_TOKEN, -ERR_NOT_FOUND);
	clear(b);
	settings_free(b);
	list_del(&b->in_hash);
	b->cloud->n_bindings--;
	mem_free(b);
}

static int read_settings(struct binding *b, const struct msg_CL_BIND *m)
{
	settings_free(b);
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
	b->generation = hash_bytes(hash_bytes(FNV_START, m->source_json), m->spiffe_id);
	return exchange_check(m->kind, b->spec);
}

static struct binding *binding_new(struct cloud *c, uint32_t number)
{
	struct binding *b = c->n_bindings < LIM_BINDINGS ? mem_new(struct binding) : NULL;

	if (!b)
		return NULL;
	b->cloud = c;
	b->number = number;
	b->timer.cb = on_timer;
	list_init(&b->in_hash);
	list_init(&b->in_queue);
	list_init(&b->waits);
	list_add_tail(&c->bindings[number % BINDING_BUCKETS], &b->in_hash);
	c->n_bindings++;
	return b;
}

int binding_put(struct cloud *c, const struct msg_CL_BIND *m)
{
	struct binding *b = binding_find(c, m->binding);
	uint64_t before;
	int err;

	if (!b)
		b = binding_new(c, m->binding);
	if (!b)
		return c->n_bindings < LIM_BINDINGS ? -ENOMEM : -ERR_LIMIT;
	before = b->generation;
	err = read_settings(b, m);
	if (err) {
		binding_free(b);
		return err;
	}
	if (b->generation == before)
		return 0; /* only who may help changed, which is svid-core's */
	clear(b);
	cache_load(b);
	return 0;
}
