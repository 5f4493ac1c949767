// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - svid-cloud: JWT-SVIDs become short-lived cloud credentials, kept sealed in cache.db and handed out as sealed memfds.
 * Own user, no capability, the network outbound; no private key is ever here. Started by svidd. Next: cloud.h.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* libcrypto has a type of the name of one of our error codes; it is never used here. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/crypto.h>
#undef ERR_STATE

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "federation/cloud.h"
#include "federation/oidc.h"
#include "federation/http.h"

#define N_FDS (FD_CLOUD_OIDC - FD_CHANNEL + 1)
#define HEAD 16 /* bytes in front of a block that knows its length */

/* What libraries keep may be a secret: their memory is wiped when it is released. */
static void *wiped_alloc(size_t len)
{
	size_t *p = len < SIZE_MAX - HEAD ? mem_calloc(1, len + HEAD) : NULL;

	if (!p)
		return NULL;
	*p = len;
	return (char *)p + HEAD;
}

/* jansson goes on after an allocation that failed, over what it has not: better none of us. */
static void *json_alloc(size_t len)
{
	void *block = wiped_alloc(len);

	if (!block)
		log_fatal("memory", -ENOMEM);
	return block;
}

static void wiped_free(void *block)
{
	size_t *p = block ? (size_t *)((char *)block - HEAD) : NULL;

	if (p)
		mem_wipe(p, *p + HEAD);
	mem_free(p);
}

static void *wiped_realloc(void *block, size_t len)
{
	size_t old = block ? *(size_t *)((char *)block - HEAD) : 0;
	void *to = wiped_alloc(len);

	if (!to)
		return NULL;
	if (old)
		memcpy(to, block, old < len ? old : len);
	wiped_free(block);
	return to;
}

static void *wiped_calloc(size_t n, size_t size)
{
	size_t len;

	return __builtin_mul_overflow(n, size, &len) ? NULL : wiped_alloc(len); /* zeroed in any case */
}

static char *wiped_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = wiped_alloc(len);

	return copy ? memcpy(copy, s, len) : NULL;
}

static void *ossl_alloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return wiped_alloc(len);
}

static void *ossl_realloc(void *block, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	if (len)
		return wiped_realloc(block, len);
	wiped_free(block);
	return NULL;
}

static void ossl_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	wiped_free(block);
}

static bool is_listener(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
}

static int start(struct cloud *c)
{
	char dir[32];
	int err;

	snprintf(dir, sizeof(dir), "/proc/self/fd/%d", FD_CLOUD_STATE);
	cache_open(c, dir);
	err = cloud_sandbox(&cloud_plan);
	if (!err)
		err = http_new(c->loop, &c->http);
	c->serves_oidc = is_listener(FD_CLOUD_OIDC);
	if (!err)
		err = keys_start(c, FD_CLOUD_KEYS);
	if (!err)
		err = core_start(c, FD_CHANNEL);
	return err ? err : chan_put(c->core, CR_READY, 0);
}

static void free_one(struct binding *b, void *arg)
{
	(void)arg;
	binding_free(b);
}

static void tear_down(struct cloud *c)
{
	bindings_each(c, free_one, NULL);
	cache_close(c);
	oidc_free(c->oidc);
	http_free(c->http);
	chan_free(c->core);
	chan_free(c->keys);
	buf_done(&c->jwks);
	mem_free(c->trust_domain);
	mem_free(c->issuer);
	mem_free(c->node);
	loop_free(c->loop);
}

int main(int argc, char **argv)
{
	static struct cloud cloud = { .jwks = BUF_INIT(LIM_JWKS) };
	int err;

	(void)role_start(argc, argv, "svid-cloud", N_FDS);
	/* An answer to the svid-cloud before us, which svid-keys had not sent yet, is none of ours. */
	cloud.last_order = (uint32_t)clock_random(UINT32_MAX);
	json_set_alloc_funcs(json_alloc, wiped_free);
	if (CRYPTO_set_mem_functions(ossl_alloc, ossl_realloc, ossl_free) != 1 ||
	    curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiped_alloc, wiped_free, wiped_realloc, wiped_strdup, wiped_calloc))
		log_fatal("start", -ENOMEM);
	cloud.pace.cb = bindings_on_pace;
	list_init(&cloud.queue);
	list_init(&cloud.fetches);
	for (size_t i = 0; i < BINDING_BUCKETS; i++)
		list_init(&cloud.bindings[i]);
	err = loop_new(&cloud.loop);
	if (!err)
		err = start(&cloud);
	if (err)
		log_fatal("start", err);
	err = loop_run(cloud.loop);
	if (err)
		log_fatal("loop", err);
	tear_down(&cloud);
	curl_global_cleanup();
	OPENSSL_cleanup(); /* its tables are on our heap */
	return role_end(0);
}
