// SPDX-License-Identifier: Apache-2.0
/*
 * files.c - certificate, key and bundles of one identity as the files that a workload reads. svid-front. Next: text.h.
 *
 * A file is made when it is read, in pages of its own that are wiped afterwards: whoever keeps them for the next reader
 * keeps private keys as text.
 */
#include "workloadapi/files.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/sealed.h"
#include "agent/base/secret.h"
#include "workloadapi/der.h"
#include "workloadapi/text.h"

struct file {
	const struct set *set;
	const struct set_identity *id;
	struct slice key;
	uint32_t what;
};

/* Own trust domain first. */
static bool domain_at(const void *arg, size_t i, struct text_domain *ret)
{
	const struct set *s = arg;
	const struct set_bundle *b = i ? &s->feds[i - 1] : &s->own;

	if (i > s->n_feds)
		return false;
	*ret = (struct text_domain){ slice_str(b->trust_domain_id), b->der };
	(void)slice_get_bytes(&ret->name, strlen("spiffe://"));
	return true;
}

static void put_file(struct text *t, const struct file *f)
{
	switch (f->what) {
	case SVID_FILE_KEY:
		text_key(t, f->key);
		break;
	case SVID_FILE_CREDENTIAL_BUNDLE:
		text_key(t, f->key);
		text_certs(t, f->id->e.chain);
		break;
	case SVID_FILE_CERT:
		text_certs(t, f->id->e.chain);
		break;
	case SVID_FILE_BUNDLE:
		text_certs(t, f->set->own.der);
		break;
	case SVID_FILE_BUNDLE_MAP:
		text_map(t, domain_at, f->set);
		text_str(t, "\n");
		break;
	}
}

static int make(const struct file *f, int *ret_fd, uint32_t *ret_len)
{
	AUTO(secret) struct secret *pages = NULL;
	struct text count = { 0 }, out = { 0 };
	struct buf b = { 0 }; /* over the pages: it never grows */
	int err;

	put_file(&count, f);
	if (count.err)
		return count.err;
	if (!count.n || count.n > LIM_TREE_FILE)
		return -ERR_SIZE;
	pages = secret_new(count.n);
	if (!pages)
		return -ENOMEM;
	b = (struct buf){ .data = secret_bytes(pages), .cap = count.n, .max = count.n };
	out.to = &b;
	put_file(&out, f);
	err = buf_ok(&b);
	if (!err && b.len != b.max)
		err = -ERR_SIZE;
	if (!err)
		err = sealed_fd(buf_slice(&b), ret_fd);
	if (!err)
		*ret_len = (uint32_t)count.n;
	return err;
}

static int find_key(const struct api *a, struct file *f)
{
	struct key_id id = { f->id->e.identity, SVID_X509, f->id->e.generation };
	struct secret *key = keyring_get(a->ring, id);

	if (!key)
		return -ERR_NOT_READY;
	f->key = slice_of(secret_bytes(key), secret_len(key));
	return der_count(f->key) == 1 ? 0 : -ERR_FORMAT;
}

int files_make(const struct api *a, uint32_t identity, uint32_t what, int *ret_fd, uint32_t *ret_len)
{
	struct file f = { .set = a->set, .what = what };
	int err;

	if (a->state_err)
		return a->state_err;
	if (!a->set)
		return -ERR_NOT_READY;
	f.id = set_by_number(a->set, identity);
	if (!f.id || what >= SVID_FILE_COUNT)
		return -ERR_NOT_FOUND;
	if (f.id->e.not_after <= clock_wall_s())
		return -ERR_NOT_READY;
	err = find_key(a, &f);
	return err ? err : make(&f, ret_fd, ret_len);
}
