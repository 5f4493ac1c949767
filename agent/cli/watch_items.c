// SPDX-License-Identifier: Apache-2.0
/* watch_items.c - reads the messages of all watches into one form, so that one comparison serves them all. svid. */
#include "agent/cli/watch_items.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "agent/cli/jwt.h"
#include "agent/cli/ossl.h"
#include "agent/cli/x509.h"

#define ITEMS_MAX 1024
#define TEXT_MAX (16u << 10)

static void item_done(struct watch_item *i)
{
	mem_free(i->name);
	mem_free(i->value);
	mem_free(i->text);
}

void watch_items_done(struct watch_items *w)
{
	for (size_t i = 0; i < w->n; i++)
		item_done(&w->all[i]);
	mem_free(w->all);
	*w = (struct watch_items){ 0 };
}

static int grow(struct watch_items *w)
{
	size_t cap = w->cap ? w->cap * 2 : 16;
	struct watch_item *all;

	if (w->n < w->cap)
		return 0;
	if (w->n >= ITEMS_MAX)
		return -ERR_LIMIT;
	all = mem_realloc_array(w->all, cap, sizeof(*all));
	if (!all)
		return -ENOMEM;
	w->all = all;
	w->cap = cap;
	return 0;
}

/* @content: what makes this item this item; only its digest is kept, it may be a secret. */
static int add(struct watch_items *w, const char *prefix, struct slice name, struct slice content, struct buf *text)
{
	AUTO(buf) struct buf full = BUF_INIT(TEXT_MAX);
	AUTO(buf) struct buf value = BUF_INIT(256);
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t len = 0;
	struct watch_item item;
	int err = grow(w);

	if (err)
		return err;
	if (EVP_Q_digest(NULL, "SHA256", NULL, content.len ? content.p : digest, content.len, digest, &len) != 1)
		return -ENOMEM;
	buf_put_str(&full, prefix);
	buf_put_slice(&full, name);
	buf_put_hex(&value, slice_of(digest, len));
	item = (struct watch_item){ slice_dup(buf_slice(&full)), slice_dup(buf_slice(&value)), slice_dup(buf_slice(text)) };
	if (!item.name || !item.value || !item.text) {
		item_done(&item);
		return -ENOMEM;
	}
	w->all[w->n++] = item;
	return 0;
}

static void put_until(struct watch_items *w, struct buf *text, int64_t not_after)
{
	char until[32];

	clock_rfc3339(not_after, until);
	buf_printf(text, "until %s", until);
	if (not_after && (!w->not_after || not_after < w->not_after))
		w->not_after = not_after;
}

static void put_problems(struct buf *text, struct slice problems)
{
	for (; problems.len; buf_put_str(text, slice_get_u8(&problems) == '\n' ? "" : "?")) {
		const uint8_t *end = memchr(problems.p, '\n', problems.len);

		if (!end)
			return;
		buf_put_str(text, ", PROBLEM: ");
		buf_put_slice(text, slice_get_bytes(&problems, (size_t)(end - problems.p)));
	}
}

static int add_x509_bundle(struct watch_items *w, struct slice id, struct slice der)
{
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	size_t n = x509_count(der);

	buf_printf(&text, "%zu certificate%s", n, n == 1 ? "" : "s");
	return add(w, "bundle of ", id, der, &text);
}

/* The trust domain's own SPIFFE ID in @id. */
static struct slice trust_domain_of(struct slice id)
{
	struct slice scheme = slice_str("spiffe://");
	const uint8_t *slash;

	if (!slice_starts(id, scheme))
		return id;
	slash = memchr(id.p + scheme.len, '/', id.len - scheme.len);
	return slash ? slice_of(id.p, (size_t)(slash - id.p)) : id;
}

static int add_x509(struct watch_items *w, struct slice message)
{
	AUTO(x509_report) struct x509_report r = X509_REPORT_INIT;
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	bool first = !w->n;
	struct slice v[5];
	struct x509_svid svid;
	int err = pb_strings(message, v, ARRAY_SIZE(v));

	if (err)
		return err;
	svid = (struct x509_svid){ .spiffe_id = v[0], .chain = v[1], .key = v[2], .bundle = v[3], .hint = v[4] };
	err = x509_inspect(&svid, clock_wall_s(), &r);
	if (err)
		return err;
	buf_put_str(&text, "serial ");
	buf_put_slice(&text, buf_slice(&r.serial));
	buf_put_str(&text, " ");
	put_until(w, &text, r.not_after);
	put_problems(&text, buf_slice(&r.problems));
	err = add(w, "", svid.spiffe_id, svid.chain, &text);
	return err || !first ? err : add_x509_bundle(w, trust_domain_of(svid.spiffe_id), svid.bundle);
}

static void put_named(struct buf *text, const char *label, const json_t *value)
{
	if (!value)
		return;
	buf_printf(text, "%s ", label);
	jwt_claim(text, value);
	buf_put_str(text, " ");
}

static int add_token(struct watch_items *w, struct slice message, struct jwt_want want)
{
	AUTO(jwt_report) struct jwt_report r = JWT_REPORT_INIT;
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	struct slice v[3];
	int err = pb_strings(message, v, ARRAY_SIZE(v));

	if (err)
		return err;
	want.spiffe_id = v[0];
	want.key = v[2]; /* of a JWT-SVID it is the hint, which nobody looks at */
	err = jwt_inspect(v[1], &want, clock_wall_s(), &r);
	if (err)
		return err;
	put_named(&text, "kid", json_object_get(r.header, "kid"));
	put_named(&text, "jti", json_object_get(r.claims, "jti"));
	put_until(w, &text, r.not_after);
	put_problems(&text, buf_slice(&r.problems));
	return add(w, "", want.spiffe_id, v[1], &text);
}

static int add_jwks(struct watch_items *w, struct slice id, struct slice jwks)
{
	AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
	json_t *root = json_loadb((const char *)jwks.p, jwks.len, 0, NULL);
	const json_t *keys = json_object_get(root, "keys"), *key;
	size_t i;

	buf_put_str(&text, !json_is_array(keys) ? "PROBLEM: no JWK Set" : json_array_size(keys) ? "keys " : "no keys");
	json_array_foreach(keys, i, key) {
		buf_put_str(&text, i ? ", " : "");
		jwt_claim(&text, json_object_get(key, "kid"));
	}
	json_decref(root);
	return add(w, "bundle of ", id, jwks, &text);
}

static int add_entry(enum watch_kind kind, struct slice message, struct watch_items *w)
{
	struct slice v[2];
	int err = pb_strings(message, v, ARRAY_SIZE(v));

	if (err)
		return err;
	return kind == WATCH_JWT_BUNDLES || kind == WATCH_WIT_BUNDLES ? add_jwks(w, v[0], v[1]) : add_x509_bundle(w, v[0], v[1]);
}

static int add_field(enum watch_kind kind, const struct pb_field *f, const struct jwt_want *want, struct watch_items *w)
{
	switch (kind) {
	case WATCH_X509:
		return f->number == 1 ? add_x509(w, f->bytes) : f->number == 3 ? add_entry(kind, f->bytes, w) : 0;
	case WATCH_JWT:
	case WATCH_WIT:
		return f->number == 1 ? add_token(w, f->bytes, *want) : 0;
	case WATCH_BUNDLES:
		return f->number == 2 ? add_entry(kind, f->bytes, w) : 0;
	default:
		return f->number == 1 ? add_entry(kind, f->bytes, w) : 0;
	}
}

int watch_items_read(enum watch_kind kind, struct slice message, const char *const *audiences, size_t n_audiences,
		     struct watch_items *ret_items)
{
	AUTO(watch_items) struct watch_items w = { 0 };
	const struct jwt_want want = { .profile = kind == WATCH_WIT ? WIT_SVID : JWT_SVID, .audiences = audiences,
				       .n_audiences = n_audiences };
	int err = 0;

	for (struct pb_field f; !err && pb_next(&message, &f);)
		err = f.wire == PB_BYTES ? add_field(kind, &f, &want, &w) : -ERR_FORMAT;
	if (!err && !slice_ok(&message))
		err = -ERR_FORMAT;
	if (err)
		return err;
	*ret_items = w;
	w = (struct watch_items){ 0 };
	return 0;
}

static const struct watch_item *find(const struct watch_items *w, const char *name)
{
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->all[i].name, name) == 0)
			return &w->all[i];
	return NULL;
}

static void put_change(struct buf *out, bool as_json, bool first, const struct watch_item *i, const char *change)
{
	if (as_json) {
		buf_put_str(out, first ? "{\"name\": " : ", {\"name\": ");
		buf_put_json(out, slice_str(i->name));
		buf_printf(out, ", \"change\": \"%s\", \"is\": ", change);
		buf_put_json(out, slice_str(i->text));
		buf_put_str(out, "}");
		return;
	}
	buf_put_str(out, first ? "" : "; ");
	buf_put_esc(out, slice_str(i->name));
	buf_printf(out, " %s", change);
	if (strcmp(change, "gone") == 0)
		return;
	buf_put_str(out, ": ");
	buf_put_esc(out, slice_str(i->text));
}

void watch_items_diff(struct buf *out, const struct watch_items *before, const struct watch_items *now, bool as_json)
{
	bool first = true;

	for (size_t i = 0; i < now->n; i++) {
		const struct watch_item *old = find(before, now->all[i].name);

		if (old && strcmp(old->value, now->all[i].value) == 0)
			continue;
		put_change(out, as_json, first, &now->all[i], old ? "changed" : "new");
		first = false;
	}
	for (size_t i = 0; i < before->n; i++) {
		if (find(now, before->all[i].name))
			continue;
		put_change(out, as_json, first, &before->all[i], "gone");
		first = false;
	}
	if (first && !as_json)
		buf_put_str(out, now->n ? "the same as before" : "nothing in it");
}
