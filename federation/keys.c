// SPDX-License-Identifier: Apache-2.0
/* keys.c - what svid-keys answers: tokens and signatures that svid-core let through, rows of the cache. svid-cloud. */
#include <errno.h>

#include "federation/cloud.h"

struct token_answer {
	const struct msg_CK_JWT *jwt;
	bool taken;
};

static void give_token(struct binding *b, void *arg)
{
	struct token_answer *a = arg;

	if (a->taken || b->token.order != a->jwt->order)
		return;
	a->taken = true;
	binding_token(b, a->jwt->err, a->jwt);
}

static int on_jwt(struct chan *ch, struct chan_msg *m)
{
	struct cloud *c = chan_owner(ch);
	struct msg_CK_JWT jwt;
	struct token_answer a = { .jwt = &jwt };
	int err = msg_get_CK_JWT(m->body, &jwt);

	if (!err && !fetch_jwt(c, &jwt))
		bindings_each(c, give_token, &a);
	return err;
}

static int on_signed(struct chan *ch, struct chan_msg *m)
{
	struct msg_CK_SIGNED answer;
	int err = msg_get_CK_SIGNED(m->body, &answer);

	if (!err && !fetch_signed(chan_owner(ch), &answer))
		log_debug(EV_CLOUD, KV("what", V_S("a signature that nobody waits for")));
	return err;
}

static int on_sealed(struct chan *ch, struct chan_msg *m)
{
	struct msg_CK_SEALED sealed;
	int err = msg_get_CK_SEALED(m->body, &sealed);

	if (!err)
		cache_sealed(chan_owner(ch), &sealed);
	return err;
}

static int on_opened(struct chan *ch, struct chan_msg *m)
{
	struct msg_CK_OPENED opened;
	int err = msg_get_CK_OPENED(m->body, &opened);

	if (!err)
		cache_opened(chan_owner(ch), &opened);
	return err;
}

/* Nothing can be signed or kept any more; svidd starts us anew with another channel. */
static void on_dead(struct chan *ch, int err)
{
	struct cloud *c = chan_owner(ch);

	log_warn(EV_IPC, KV("peer", V_S("svid-keys")), KV("err", V_S(err_name(err))));
	loop_stop(c->loop);
}

static const struct chan_rule rules[] = {
	{ MSG_CK_JWT, 1, on_jwt },
	{ MSG_CK_SIGNED, 1, on_signed },
	{ MSG_CK_SEALED, 1, on_sealed },
	{ MSG_CK_OPENED, 1, on_opened },
};

static const struct chan_ops ops = { .peer = "svid-keys", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead };

int keys_start(struct cloud *c, int fd)
{
	int err = chan_new(c->loop, fd, &ops, c, &c->keys);

	if (!err)
		chan_keep_secret(c->keys);
	return err;
}
