// SPDX-License-Identifier: Apache-2.0
/* tokens.c - a small cache with orders in it. svid-front. Source: DESIGN.md 1 ("The front encodes"). */
#include "workloadapi/tokens.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/ipc/lists.h"
#include "workloadapi/api.h"
#include "workloadapi/encode.h"

struct token {
	struct list node;  /* of its bucket */
	struct list line;  /* of tokens.ready or tokens.open */
	struct list waits; /* while it is ordered */
	uint64_t who;
	uint64_t hash;
	uint64_t ordered; /* CLOCK_BOOTTIME ns */
	struct token_life life;
	struct message *msg; /* NULL: ordered */
	uint32_t order;
	size_t len;
	uint8_t audiences[]; /* as a list */
};

void tokens_init(struct tokens *t)
{
	*t = (struct tokens){ .n_ready = 0 };
	for (size_t i = 0; i < TOKEN_BUCKETS; i++)
		list_init(&t->buckets[i]);
	list_init(&t->ready);
	list_init(&t->open);
}

/* Whoever waits is told before, or is the caller. */
static void drop(struct tokens *t, struct token *k)
{
	if (k->msg) {
		t->n_ready--;
		t->bytes -= message_bytes(k->msg).len;
	} else {
		t->n_open--;
	}
	list_del(&k->node);
	list_del(&k->line);
	message_unref(k->msg);
	mem_free(k);
}

void tokens_done(struct tokens *t)
{
	struct token *k, *tmp;

	list_for_each_safe(k, tmp, &t->ready, line)
		drop(t, k);
	list_for_each_safe(k, tmp, &t->open, line)
		drop(t, k);
}

/* Audiences */

static int compare(struct slice a, struct slice b)
{
	int c = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

static uint64_t mix(uint64_t hash, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ s.p[i]) * 0x100000001b3;
	return (hash ^ 0x1ff) * 0x100000001b3; /* where one string ends and the next begins */
}

void audiences_sort(struct audiences *a)
{
	size_t n = 0;

	for (size_t i = 1; i < a->n; i++) {
		struct slice s = a->each[i];
		size_t j = i;

		for (; j && compare(s, a->each[j - 1]) < 0; j--)
			a->each[j] = a->each[j - 1];
		a->each[j] = s;
	}
	a->hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < a->n; i++) {
		if (n && slice_eq(a->each[n - 1], a->each[i]))
			continue;
		a->each[n++] = a->each[i];
		a->hash = mix(a->hash, a->each[i]);
	}
	a->n = n;
}

void tokens_list(struct buf *b, const struct audiences *a)
{
	for (size_t i = 0; i < a->n; i++)
		list_put_str(b, a->each[i]);
}

static bool same_audiences(const struct token *k, const struct audiences *a)
{
	struct slice list = slice_of(k->audiences, k->len);

	for (size_t i = 0; i < a->n; i++)
		if (!slice_eq(list_get_str(&list, LIM_AUDIENCE), a->each[i]) || !slice_ok(&list))
			return false;
	return !list.len;
}

/* The cache */

static struct token *find(struct tokens *t, uint64_t who, const struct audiences *a)
{
	struct token *k;

	list_for_each(k, &t->buckets[a->hash % TOKEN_BUCKETS], node)
		if (k->hash == a->hash && k->who == who && same_audiences(k, a))
			return k;
	return NULL;
}

static bool is_fresh(const struct token *k, uint64_t now)
{
	return k->msg && now < k->life.boot && clock_wall_s() < k->life.wall;
}

struct message *tokens_get(struct api *api, uint64_t who, const struct audiences *a, struct token_life *ret_life)
{
	struct tokens *t = &api->tokens;
	struct token *k = find(t, who, a);

	if (!k || !k->msg)
		return NULL;
	if (!is_fresh(k, api->now)) {
		drop(t, k);
		return NULL;
	}
	list_del(&k->line);
	list_add_tail(&t->ready, &k->line);
	*ret_life = k->life;
	return k->msg;
}

static struct token *token_new(struct tokens *t, uint64_t who, uint64_t hash, struct slice audiences)
{
	struct token *k = mem_calloc(1, sizeof(*k) + audiences.len);

	if (!k)
		return NULL;
	k->who = who;
	k->hash = hash;
	k->len = audiences.len;
	memcpy(k->audiences, audiences.p, audiences.len);
	list_init(&k->waits);
	list_add_tail(&t->buckets[hash % TOKEN_BUCKETS], &k->node);
	list_add_tail(&t->open, &k->line);
	t->n_open++;
	return k;
}

/* An open order becomes a remembered answer; one reference of @m is taken over. */
static void fill(struct tokens *t, struct token *k, struct message *m, struct token_life life)
{
	k->msg = m;
	k->life = life;
	k->order = 0;
	t->n_open--;
	t->n_ready++;
	t->bytes += message_bytes(m).len;
	list_del(&k->line);
	list_add_tail(&t->ready, &k->line);
	while (t->n_ready > LIM_JWT_CACHE || t->bytes > LIM_JWT_CACHE_BYTES)
		drop(t, list_entry(t->ready.next, struct token, line));
}

void tokens_keep(struct api *api, struct slice audiences, struct message *m, struct token_life life)
{
	struct tokens *t = &api->tokens;
	struct audiences a = { .n = 0 };
	struct slice list = audiences;
	struct token *k;

	while (list.len && a.n < LIM_AUDIENCES)
		a.each[a.n++] = list_get_str(&list, LIM_AUDIENCE);
	audiences_sort(&a);
	k = find(t, TOKEN_ALL, &a);
	if (k)
		drop(t, k);
	k = token_new(t, TOKEN_ALL, a.hash, audiences);
	if (k)
		fill(t, k, message_ref(m), life);
}

/* Orders */

static bool is_overdue(const struct token *k, uint64_t now)
{
	return now - k->ordered >= LIM_JWT_WAIT_MS * NS_PER_MS;
}

/* What was not answered in time and nobody waits for is forgotten. */
static void tidy(struct tokens *t, uint64_t now)
{
	struct token *k, *tmp;

	list_for_each_safe(k, tmp, &t->open, line)
		if (is_overdue(k, now) && list_empty(&k->waits))
			drop(t, k);
}

static int send_order(struct api *api, const struct grpc_conn *g, struct token *k)
{
	struct tokens *t = &api->tokens;
	struct msg_FR_JWT m = { .identity = (uint32_t)k->who, .audiences = slice_of(k->audiences, k->len) };
	int err;

	if (!++t->last)
		t->last = 1;
	k->order = m.order = t->last;
	k->ordered = api->now;
	err = api->ops->order(api, g, &m);
	return err;
}

static struct token *open_new(struct api *api, uint32_t identity, const struct audiences *a)
{
	AUTO(buf) struct buf list = BUF_INIT(LIM_JWT_AUDIENCES);

	tokens_list(&list, a);
	return buf_ok(&list) ? NULL : token_new(&api->tokens, identity, a->hash, buf_slice(&list));
}

int tokens_order(struct api *api, const struct grpc_conn *g, uint32_t identity, const struct audiences *a,
		 struct token_wait *w)
{
	struct tokens *t = &api->tokens;
	struct token *k;
	bool fresh;
	int err = 0;

	tidy(t, api->now);
	k = find(t, identity, a);
	fresh = !k;
	if (!k && t->n_open >= LIM_JWT_ORDERS)
		return -ERR_RATE;
	if (!k)
		k = open_new(api, identity, a);
	if (!k)
		return -ENOMEM;
	if (fresh || is_overdue(k, api->now)) /* overdue: svid-keys ended meanwhile, or svid-core */
		err = send_order(api, g, k);
	if (err && list_empty(&k->waits))
		drop(t, k);
	if (!err)
		list_add_tail(&k->waits, &w->node);
	return err;
}

void tokens_leave(struct token_wait *w)
{
	list_del(&w->node);
}

/* Tell everybody who waited. What they do may end connections, and with them others who wait: one at a time. */
static void tell(struct list *waits, struct message *m, struct token_life life, int err)
{
	while (!list_empty(waits)) {
		struct token_wait *w = list_entry(waits->next, struct token_wait, node);

		list_del(&w->node);
		w->done(w, m ? message_ref(m) : NULL, life, err);
	}
}

static void move_waits(struct list *from, struct list *to)
{
	list_init(to);
	while (!list_empty(from)) {
		struct list *n = from->next;

		list_del(n);
		list_add_tail(to, n);
	}
}

static void refuse(struct tokens *t, struct token *k, int err)
{
	struct token_life none = { 0 };
	struct list waits;

	move_waits(&k->waits, &waits);
	drop(t, k);
	tell(&waits, NULL, none, err);
}

/* NULL with 0: late. */
static int order_of(struct tokens *t, uint32_t order, struct token **ret_k)
{
	struct token *k;

	*ret_k = NULL;
	if (!order || (int32_t)(order - t->last) > 0)
		return -ERR_PERMIT;
	list_for_each(k, &t->open, line)
		if (k->order == order)
			*ret_k = k;
	return 0;
}

/* Compact JWS: three parts of base64url. Anything else would make a client drop the whole answer. */
static bool is_token(struct slice s)
{
	unsigned int dots = 0;

	if (!s.len || s.len > LIM_JWT)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		dots += c == '.';
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		      c == '.'))
			return false;
	}
	return dots == 2;
}

static int encode(const struct api *api, const struct token *k, struct slice token, struct message **ret_m)
{
	const struct set_identity *id = api->set ? set_by_number(api->set, (uint32_t)k->who) : NULL;
	struct encode_row row;

	if (!id)
		return -ERR_NO_IDENTITY;
	row = (struct encode_row){ { id->e.spiffe_id, token, slice_str(id->hint) } };
	return encode_rows(&row, 1, false, ret_m);
}

static struct token_life life_of(const struct msg_FK_JWT *m, uint64_t now)
{
	int64_t half = (m->not_after - m->issued_at) / 2;

	return (struct token_life){ .boot = now + (uint64_t)half * NS_PER_S, .wall = m->not_after - half };
}

int tokens_answer(struct api *api, const struct msg_FK_JWT *m)
{
	struct tokens *t = &api->tokens;
	struct token *k;
	struct message *msg;
	struct token_life life;
	struct list waits;
	int err = order_of(t, m->order, &k);

	if (err || m->err)
		return err ? err : tokens_refuse(api, m->order, m->err);
	if (!is_token(m->token) || m->issued_at < 0 || m->not_after <= m->issued_at ||
	    m->not_after - m->issued_at > LIM_JWT_TTL_S)
		return -ERR_FORMAT;
	if (!k)
		return 0;
	err = encode(api, k, m->token, &msg);
	if (err) {
		refuse(t, k, err);
		return 0;
	}
	life = life_of(m, api->now);
	move_waits(&k->waits, &waits);
	fill(t, k, message_ref(msg), life);
	tell(&waits, msg, life, 0);
	message_unref(msg);
	return 0;
}

/* What cannot be signed now is Unavailable to a client; the log and the status of svid-core say why. */
static int shown(int err)
{
	enum grpc_status status = err_status(err);

	return status == GRPC_UNAVAILABLE || status == GRPC_PERMISSION_DENIED ? err : -ERR_NOT_READY;
}

int tokens_refuse(struct api *api, uint32_t order, int err)
{
	struct token *k;
	int bad = order_of(&api->tokens, order, &k);

	if (bad || !err)
		return bad ? bad : -ERR_FORMAT;
	if (k)
		refuse(&api->tokens, k, shown(err));
	return 0;
}

void tokens_fail(struct api *api, int err)
{
	struct tokens *t = &api->tokens;

	while (!list_empty(&t->open))
		refuse(t, list_entry(t->open.next, struct token, line), err);
}

static bool is_as_before(const struct set *old, const struct set *now, uint64_t who)
{
	const struct set_identity *a = old ? set_by_number(old, (uint32_t)who) : NULL;
	const struct set_identity *b = set_by_number(now, (uint32_t)who);

	/* The joined answers name all identities: they are made again from what is left. */
	return who != TOKEN_ALL && a && b && !strcmp(a->spiffe_id, b->spiffe_id) && !strcmp(a->hint, b->hint) &&
	       a->e.jwt_rules == b->e.jwt_rules;
}

static bool all_as_before(const struct set *old, const struct set *now)
{
	if (!old || old->n_ids != now->n_ids)
		return false;
	for (size_t i = 0; i < old->n_ids; i++)
		if (!is_as_before(old, now, old->ids[i].e.identity))
			return false;
	return true;
}

void tokens_follow(struct api *api, const struct set *old)
{
	struct tokens *t = &api->tokens;
	struct token *k, *tmp;
	struct list gone;

	t->changes += !all_as_before(old, api->set);
	list_for_each_safe(k, tmp, &t->ready, line)
		if (!is_as_before(old, api->set, k->who))
			drop(t, k);
	list_init(&gone);
	list_for_each_safe(k, tmp, &t->open, line)
		if (!is_as_before(old, api->set, k->who)) {
			list_del(&k->line);
			list_add_tail(&gone, &k->line);
		}
	while (!list_empty(&gone))
		refuse(t, list_entry(gone.next, struct token, line), -ERR_IDENTITIES);
}
