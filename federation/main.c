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
#include "federation/wiped.h"

#define N_FDS (FD_CLOUD_OIDC - FD_CHANNEL + 1)

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
	err = wiped_for_libraries();
	if (err)
		log_fatal("start", err);
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
