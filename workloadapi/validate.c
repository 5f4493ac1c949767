// SPDX-License-Identifier: Apache-2.0
/* validate.c - ValidateJWTSVID, from the request to the question for svid-keys and back. svid-front. */
#include "workloadapi/validate.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "workloadapi/claims.h"
#include "workloadapi/jwks.h"
#include "workloadapi/service.h"

#define SCHEME_LEN 9 /* "spiffe://" */

/* Of ValidateJWTSVIDRequest, less one. */
enum { REQUEST_AUDIENCE, REQUEST_SVID, REQUEST_FIELDS };

/* One token whose signature is being checked. */
struct check {
	struct call_wait wait;
	struct list node;
	uint32_t order;
	uint64_t asked;	  /* CLOCK_BOOTTIME ns */
	struct buf token; /* the jwt borrows from it */
	struct jwt jwt;
	bool own;	   /* of our trust domain */
	struct jwks *keys; /* the tries are of it */
	const struct jwk *tries[LIM_JWT_TRIES];
	size_t n_tries, next;
};

void checks_init(struct checks *k)
{
	*k = (struct checks){ .n = 0 };
	list_init(&k->open);
}

static void release(struct check *k)
{
	jwt_done(&k->jwt);
	mem_wipe(k->token.data, k->token.len);
	buf_done(&k->token);
	jwks_unref(k->keys);
	k->keys = NULL;
}

static void check_free(struct check *k)
{
	release(k);
	mem_free(k);
}

static void check_autoclean(struct check **k)
{
	if (*k)
		check_free(*k);
}

static void close_order(struct checks *all, struct check *k)
{
	list_del(&k->node);
	all->n--;
	check_free(k);
}

void checks_done(struct checks *all)
{
	struct check *k, *tmp;

	list_for_each_safe(k, tmp, &all->open, node)
		close_order(all, k);
}

/* The call ended. svid-keys is still at it, so the order counts until it answers or is overdue. */
static void on_gone(struct call_wait *w)
{
	release(container_of(w, struct check, wait));
}

static void tidy(struct api *api)
{
	struct check *k, *tmp;

	list_for_each_safe(k, tmp, &api->checks.open, node)
		if (!k->wait.call && api->now - k->asked >= LIM_JWT_WAIT_MS * NS_PER_MS)
			close_order(&api->checks, k);
}

/* Workload API 6.3: the bundle of the subject's trust domain, and no other. */
static struct set_bundle *bundle_of(struct set *s, struct slice trust_domain)
{
	if (slice_eq_str(trust_domain, s->own.trust_domain_id + SCHEME_LEN))
		return &s->own;
	for (size_t i = 0; i < s->n_feds; i++)
		if (slice_eq_str(trust_domain, s->feds[i].trust_domain_id + SCHEME_LEN))
			return &s->feds[i];
	return NULL;
}

/* Parsed when the first token needs it: most fronts never validate one. */
static int keys_of(struct set_bundle *b, struct jwks **ret_keys)
{
	int err = b->parsed ? 0 : jwks_parse(b->all_jwks, &b->parsed);

	if (!err)
		*ret_keys = jwks_ref(b->parsed);
	return err;
}

/* JWT-SVID 2.2: kid is optional; without it every key that fits might be the one. */
static const char *pick(struct check *k)
{
	bool found = false;

	for (size_t i = 0; i < k->keys->n_keys && k->n_tries < LIM_JWT_TRIES; i++) {
		const struct jwk *key = &k->keys->keys[i];

		if (k->jwt.has_kid && (!key->kid || !slice_eq_str(k->jwt.kid, key->kid)))
			continue;
		found = true;
		if (jwk_fits(key, k->jwt.alg))
			k->tries[k->n_tries++] = key;
	}
	if (k->n_tries)
		return NULL;
	if (!k->keys->n_keys) /* SPIFFE bundle 4.1.3 */
		return "no JWT keys in the bundle of the token's trust domain";
	if (k->jwt.has_kid)
		return found ? "token alg is not one of the key that kid names" : "token kid names no key of its trust domain";
	return "token alg fits no key of its trust domain";
}

static int ask(struct api *api, struct check *k)
{
	const struct jwk *key = k->tries[k->next];
	struct msg_FK_VERIFY m = { .alg = k->jwt.alg, .curve = key->curve, .input = k->jwt.input,
				   .signature = buf_slice(&k->jwt.signature), .a = key->a, .b = key->b };

	if (!++api->checks.last)
		api->checks.last = 1;
	k->order = m.order = api->checks.last;
	k->asked = api->now;
	return api->ops->verify(api, &m);
}

static void refuse(struct call *c, const char *why)
{
	call_fail(c, GRPC_INVALID_ARGUMENT, why);
}

/* Everything that can be said without the signature. Not 0: the call was ended. */
static int look(struct call *c, struct check *k, struct slice audience)
{
	const char *why = NULL;
	int err = jwt_parse(buf_slice(&k->token), &k->jwt, &why);

	if (err == -ERR_REQUEST && k->jwt.detail)
		call_fail_about(c, GRPC_INVALID_ARGUMENT, why, slice_str(k->jwt.detail));
	else if (err == -ERR_REQUEST)
		refuse(c, why);
	else if (err)
		call_fail_err(c, err);
	if (err)
		return err;
	why = jwt_why_not(&k->jwt, audience, (double)clock_wall_ms() / 1000);
	if (why)
		refuse(c, why);
	return why ? -ERR_REQUEST : 0;
}

static int find_keys(struct call *c, struct check *k)
{
	struct set *s = call_conn(c)->api->set;
	struct set_bundle *b = bundle_of(s, k->jwt.id.trust_domain);
	const char *why;
	int err = b && b->all_jwks.len ? keys_of(b, &k->keys) : -ERR_NOT_FOUND;

	if (err == -ERR_NOT_FOUND || err == -ERR_FORMAT || err == -ERR_SIZE)
		call_fail_about(c, GRPC_INVALID_ARGUMENT, "no JWT bundle for the token's trust domain",
				k->jwt.id.trust_domain);
	else if (err)
		call_fail_err(c, err);
	if (err)
		return err;
	k->own = b == &s->own;
	why = pick(k);
	if (why)
		refuse(c, why);
	return why ? -ERR_REQUEST : 0;
}

static struct check *check_new(struct slice token)
{
	struct check *k = mem_new(struct check);

	if (!k)
		return NULL;
	k->wait.gone = on_gone;
	k->jwt = (struct jwt)JWT_INIT;
	k->token = (struct buf)BUF_INIT(LIM_GRPC_MESSAGE);
	buf_put_slice(&k->token, token);
	if (!buf_ok(&k->token))
		return k;
	check_free(k);
	return NULL;
}

static void validate(struct call *c, struct slice audience, struct slice token)
{
	struct api *api = call_conn(c)->api;
	AUTO(check) struct check *k = NULL;
	int err;

	tidy(api);
	if (api->checks.n >= LIM_JWT_ORDERS) {
		call_fail_err(c, -ERR_RATE);
		return;
	}
	k = check_new(token);
	if (!k) {
		call_fail_err(c, -ENOMEM);
		return;
	}
	if (look(c, k, audience) || find_keys(c, k))
		return;
	err = ask(api, k);
	if (err) {
		call_fail_err(c, -ERR_NOT_READY);
		return;
	}
	list_add_tail(&api->checks.open, &k->node);
	api->checks.n++;
	call_wait(c, &k->wait);
	k = NULL; /* owned by the list */
}

void validate_jwt_svid(struct call *c, struct slice body)
{
	struct slice f[REQUEST_FIELDS];

	if (pb_strings(body, f, REQUEST_FIELDS) || !slice_is_utf8(f[REQUEST_AUDIENCE]) || !slice_is_utf8(f[REQUEST_SVID]))
		call_fail_err(c, -ERR_REQUEST);
	else if (!f[REQUEST_AUDIENCE].len) /* Workload API 4.5 */
		refuse(c, "audience must be specified");
	else if (!f[REQUEST_SVID].len)
		refuse(c, "svid must be specified");
	else if (!call_conn(c)->api->set->n_ids)
		call_fail_err(c, -ERR_NO_IDENTITY);
	else
		validate(c, f[REQUEST_AUDIENCE], f[REQUEST_SVID]);
}

/* What svid-keys cannot do now is no fault of the token. */
static void fail(struct call *c, int err)
{
	if (err == -ERR_SIGNATURE)
		call_fail_err(c, err);
	else if (err == -ERR_FORMAT)
		refuse(c, "the key that the token names cannot be used");
	else
		call_fail_err(c, -ERR_NOT_READY);
}

static void answer(struct call *c, const struct check *k)
{
	AUTO(message) struct message *m = NULL;
	int err = claims_encode(&k->jwt, k->own, &m);

	if (err)
		call_fail_err(c, err);
	else
		call_answer(c, m);
}

static void finish(struct checks *all, struct check *k, int err)
{
	struct call *c = call_wake(&k->wait);

	if (c && err)
		fail(c, err);
	else if (c)
		answer(c, k);
	close_order(all, k);
	if (c)
		call_push(c);
}

static bool try_next(struct api *api, struct check *k)
{
	if (!k->wait.call || ++k->next >= k->n_tries)
		return false;
	api->now = clock_boot_ns();
	return !ask(api, k);
}

int checks_answer(struct api *api, const struct msg_FK_VERIFIED *m)
{
	struct checks *all = &api->checks;
	struct check *k;

	if (!m->order || (int32_t)(m->order - all->last) > 0)
		return -ERR_PERMIT;
	list_for_each(k, &all->open, node) {
		if (k->order != m->order)
			continue;
		if (m->err != -ERR_SIGNATURE || !try_next(api, k))
			finish(all, k, m->err);
		break;
	}
	return 0;
}

void checks_fail(struct api *api, int err)
{
	while (!list_empty(&api->checks.open))
		finish(&api->checks, list_entry(api->checks.open.next, struct check, node), err);
}
