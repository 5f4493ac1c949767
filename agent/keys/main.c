/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - svid-keys: the process that owns every private key. Start, sandbox, the channel to svidd.
 * Next: keys.h for the whole, core.c for what core may ask, front.c for what a front may ask.
 */
#include <errno.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/keys/keys.h"
#include "agent/keys/pkey.h"
#include "agent/keys/seal.h"
#include "agent/sandbox/sandbox.h"

#define POOL_THREADS 2

enum svidd_state { SVIDD_NEW, SVIDD_SEALED };

#define IN(state) (1u << (state))

/* No way to a file, a socket, another process or executable memory. */
static const struct sandbox_call calls[] = {
	SANDBOX_BASE,
	SANDBOX_LOOP,
	SANDBOX_SECRETS,
	CALL("pread64"),	  /* the sealing key */
	CALL("rt_sigprocmask"),	  /* end of a pool thread */
	CALL("set_robust_list"),  /* start of a pool thread that is late */
	CALL("rseq"),
	CALL("gettid"),
	CALL("sched_yield"),
	CALL("clock_nanosleep"),
};

static const struct sandbox_limit limits[] = {
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_FSIZE, LIM_IPC_BODY }, /* memfds of long messages */
};

static const struct sandbox_plan plan = {
	.calls = calls,
	.n_calls = ARRAY_SIZE(calls),
	.limits = limits,
	.n_limits = ARRAY_SIZE(limits),
	.lock_memory = true,
};

void keys_stop(struct keys *k, int err)
{
	k->err = err;
	loop_stop(k->loop);
}

static int read_seal_key(struct keys *k, int fd)
{
	AUTO(secbytes) struct secbytes key = { 0 };
	uint8_t more;
	int err = secbytes_new(SEAL_KEY_BYTES, &key);

	if (err)
		return err;
	/* pread: svidd keeps this open file for the next svid-keys, and the offset is shared. */
	if (pread(fd, key.p, key.len, 0) != SEAL_KEY_BYTES || pread(fd, &more, 1, SEAL_KEY_BYTES) != 0)
		return -ERR_SIZE;
	k->seal_key = key;
	key = (struct secbytes){ 0 };
	return 0;
}

static int on_seal(struct chan *c, struct chan_msg *m)
{
	struct msg_K_SEAL seal;
	int err = msg_get_K_SEAL(m->body, &seal);

	if (!err)
		err = read_seal_key(chan_owner(c), m->fds[0]);
	if (!err)
		chan_set_state(c, SVIDD_SEALED);
	return err;
}

static int take_fd(struct chan_msg *m)
{
	int fd = m->fds[0];

	m->fds[0] = -1;
	return fd;
}

static int on_core(struct chan *c, struct chan_msg *m)
{
	struct msg_K_CORE core;
	int err = msg_get_K_CORE(m->body, &core);

	return err ? err : core_attach(chan_owner(c), take_fd(m));
}

static int on_front(struct chan *c, struct chan_msg *m)
{
	struct msg_K_FRONT front;
	int err = msg_get_K_FRONT(m->body, &front);

	return err ? err : front_attach(chan_owner(c), front.number, take_fd(m));
}

static int on_cloud(struct chan *c, struct chan_msg *m)
{
	struct msg_K_CLOUD cloud;
	int err = msg_get_K_CLOUD(m->body, &cloud);

	return err ? err : cloud_attach(chan_owner(c), take_fd(m));
}

static const struct chan_rule rules[] = {
	{ MSG_K_SEAL, IN(SVIDD_NEW), on_seal },
	{ MSG_K_CORE, IN(SVIDD_SEALED), on_core },
	{ MSG_K_FRONT, IN(SVIDD_SEALED), on_front },
	{ MSG_K_CLOUD, IN(SVIDD_SEALED), on_cloud },
};

static void on_dead(struct chan *c, int err)
{
	struct keys *k = chan_owner(c);

	chan_free(c);
	k->svidd = NULL;
	keys_stop(k, err == -ERR_CLOSED ? 0 : err);
}

static const struct chan_ops ops = {
	.peer = "svidd", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead
};

/*
 * Everything that libc or libcrypto opens or allocates once has to happen before the sandbox: the time
 * zone, the provider and its algorithms, the random generator.
 */
static int warm_up(void)
{
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(secbytes) struct secbytes pkcs8 = { 0 };
	uint8_t byte;
	int err;

	tzset();
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || RAND_bytes(&byte, 1) != 1)
		return ossl_failed();
	err = pkey_generate(KEY_EC_P256, &key);
	return err ? err : pkey_encode(key, &pkcs8);
}

/* Better a smaller heap that is locked than a large one that is not; half is left for keys on their way. */
static size_t secure_size(void)
{
	size_t size = LIM_KEYS_SECURE;
	struct rlimit lock;

	if (getrlimit(RLIMIT_MEMLOCK, &lock) < 0)
		return size;
	while (size > LIM_KEYS_SECURE_MIN && size > lock.rlim_cur / 2)
		size /= 2;
	return size;
}

static int set_up(struct keys *k)
{
	bool locked = false;
	int err = heap_init(secure_size(), &locked);

	if (err)
		return err;
	if (!locked)
		log_warn(EV_SANDBOX, KV("what", V_S("secure heap not locked, raise LimitMEMLOCK")));
	list_init(&k->fronts);
	list_init(&k->jobs);
	turn_init(k);
	err = warm_up();
	if (!err)
		err = loop_new(&k->loop);
	if (!err)
		err = keystore_new(k->loop, &k->store);
	if (!err) /* before the filter, which then covers the threads too, and lets nobody start another */
		err = pool_new(k->loop, POOL_THREADS, LIM_KEY_JOBS, &k->pool);
	return err;
}

static void tear_down(struct keys *k)
{
	if (k->store)
		core_drop(k);
	cloud_drop(k);
	pool_free(k->pool);
	chan_free(k->svidd);
	keystore_free(k->store);
	loop_free(k->loop);
	secbytes_done(&k->seal_key);
	OPENSSL_cleanup(); /* its tables are on our heap (heap.c) */
}

int main(int argc, char **argv)
{
	struct keys k = { 0 };
	int err;

	(void)role_start(argc, argv, "svid-keys", 1);
	err = set_up(&k);
	if (err)
		log_fatal("start", err);
	err = sandbox_enter(&plan);
	if (err)
		log_fatal("sandbox", err);
	err = chan_new(k.loop, FD_CHANNEL, &ops, &k, &k.svidd);
	if (!err)
		err = chan_put(k.svidd, K_READY, 0);
	if (!err)
		err = loop_run(k.loop);
	if (err)
		log_fatal("loop", err);
	err = k.err;
	tear_down(&k);
	if (err)
		log_fatal("a sibling broke the rules", err);
	return role_end(0);
}
