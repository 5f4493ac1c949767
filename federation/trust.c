// SPDX-License-Identifier: Apache-2.0
/* trust.c - one certificate store for all connections of libcurl. svid-cloud. */
#include "federation/trust.h"

#include <errno.h>
#include <sys/stat.h>

/* libcrypto has a type of the name of one of our error codes; it is never used here. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/ssl.h>
#undef ERR_STATE

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"

struct trust {
	char *path;
	X509_STORE *store;
	struct timespec changed; /* of the file that the store is of */
	ino_t ino;
};

static X509_STORE *new_store(void)
{
	X509_STORE *store = X509_STORE_new();

	/* As libcurl does it: an intermediate that is listed is trusted as it is. */
	if (store)
		X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
	return store;
}

static bool is_as_read(const struct trust *t, const struct stat *st)
{
	return t->ino == st->st_ino && t->changed.tv_sec == st->st_mtim.tv_sec && t->changed.tv_nsec == st->st_mtim.tv_nsec;
}

void trust_refresh(struct trust *t)
{
	struct stat st;
	X509_STORE *store;

	if (stat(t->path, &st) < 0 || is_as_read(t, &st))
		return;
	store = new_store();
	t->ino = st.st_ino;
	t->changed = st.st_mtim;
	if (store && X509_STORE_load_file(store, t->path) == 1) {
		X509_STORE_free(t->store);
		t->store = store;
	} else {
		log_warn(EV_CLOUD, KV("what", V_S("CA certificates cannot be read")), KV("path", V_S(t->path)));
		X509_STORE_free(store);
	}
	ERR_clear_error();
}

int trust_new(const char *path, struct trust **ret_trust)
{
	struct trust *t = mem_new(struct trust);

	if (!t)
		return -ENOMEM;
	t->path = mem_strdup(path);
	t->store = new_store();
	if (!t->path || !t->store) {
		trust_free(t);
		return -ENOMEM;
	}
	trust_refresh(t);
	*ret_trust = t;
	return 0;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	X509_STORE_free(t->store);
	mem_free(t->path);
	mem_free(t);
}

void trust_apply(struct trust *t, void *ssl_ctx)
{
	SSL_CTX_set1_cert_store(ssl_ctx, t->store);
}
