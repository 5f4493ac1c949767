/* SPDX-License-Identifier: Apache-2.0 */
/* keys_world.c - starts svid-keys and plays its siblings. */
#include "tests/role/keys_world.h"

int pair_with(int *ret_theirs)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

/* As svid-core does it, at once. */
static void store(struct rig *r, const struct chan_msg *m)
{
	struct msg_KY_LOADED loaded;

	assert_int_equal(msg_get_KY_LOADED(m->body, &loaded), 0);
	if (!loaded.err)
		assert_int_equal(ipc_put(r->core, KY_STORED, 0, .serial = loaded.serial), 0);
}

void receive(struct rig *r, int fd, uint16_t type, struct chan_msg *m)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	/* The authority's next step may come at any time: KY_LOADED is there for those who wait for it. */
	do {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(ipc_recv(fd, &r->in, m), 0);
		if (m->type == MSG_KY_LOADED && !r->full_disk)
			store(r, m);
	} while (m->type == MSG_KY_LOADED && type != MSG_KY_LOADED);
	assert_string_equal(msg_name(m->type), msg_name(type));
}

bool is_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte[64];

	for (;;) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		n = recv(fd, byte, sizeof(byte), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return true;
		if (n < 0)
			return false;
	}
}

void start(struct rig *r)
{
	struct chan_msg m;
	int theirs;

	*r = (struct rig){ .core = -1, .in = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64) };
	r->svidd = pair_with(&theirs);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		dup2(theirs, 3);
		execl(KEYS, "svid-keys", "--log=error", NULL);
		_exit(127);
	}
	close(theirs);
	receive(r, r->svidd, MSG_K_READY, &m);
}

void give_seal(struct rig *r, uint8_t fill, size_t len)
{
	uint8_t key[64];
	int fd = memfd_create("seal", MFD_CLOEXEC);

	memset(key, fill, sizeof(key));
	assert_int_equal(write(fd, key, len), (ssize_t)len);
	assert_int_equal(ipc_put_fds(r->svidd, K_SEAL, 0, &fd, 1), 0);
	close(fd);
}

void give_core(struct rig *r)
{
	int theirs;

	r->core = pair_with(&theirs);
	assert_int_equal(ipc_put_fds(r->svidd, K_CORE, 0, &theirs, 1), 0);
	close(theirs);
}

int give_front(struct rig *r, uint32_t number)
{
	int theirs, ours = pair_with(&theirs);

	assert_int_equal(ipc_put_fds(r->svidd, K_FRONT, 0, &theirs, 1, .number = number), 0);
	close(theirs);
	return ours;
}

void bind_front(struct rig *r, uint32_t front, const uint32_t *ids, size_t n)
{
	assert_int_equal(ipc_put(r->core, KY_BIND, 0, .front = front, .identities = slice_of(ids, n * 4)), 0);
}

static void send_order(struct rig *r, const struct msg_KY_LOAD *order)
{
	assert_int_equal(ipc_put(r->core, KY_LOAD, 7, .trust_domain = slice_str("example.org"), .sealed = order->sealed,
				 .may_create = order->may_create, .ca_ttl = order->ca_ttl,
				 .jwt_key_ttl = order->jwt_key_ttl, .wit = order->wit), 0);
}

static struct msg_KY_LOAD usual(struct slice sealed, uint32_t may_create)
{
	return (struct msg_KY_LOAD){ .sealed = sealed, .may_create = may_create, .ca_ttl = 86400, .jwt_key_ttl = 86400 };
}

static struct msg_KY_LOADED answer_to(struct rig *r, uint32_t id)
{
	struct msg_KY_LOADED loaded;
	struct chan_msg m;

	receive(r, r->core, MSG_KY_LOADED, &m);
	assert_int_equal(m.id, id);
	assert_int_equal(msg_get_KY_LOADED(m.body, &loaded), 0);
	return loaded;
}

struct msg_KY_LOADED load_with(struct rig *r, const struct msg_KY_LOAD *order)
{
	send_order(r, order);
	return answer_to(r, 7);
}

void send_load(struct rig *r, struct slice sealed, uint32_t may_create)
{
	const struct msg_KY_LOAD order = usual(sealed, may_create);

	send_order(r, &order);
}

struct msg_KY_LOADED load(struct rig *r, struct slice sealed, uint32_t may_create)
{
	send_load(r, sealed, may_create);
	return answer_to(r, 7);
}

struct msg_KY_LOADED loaded_with(struct rig *r, uint32_t id)
{
	struct msg_KY_LOADED loaded = answer_to(r, id);

	assert_int_equal(loaded.err, 0);
	return loaded;
}

void start_sealed(struct rig *r)
{
	start(r);
	give_seal(r, 0x42, 32);
	give_core(r);
}

void start_loaded(struct rig *r)
{
	start_sealed(r);
	assert_int_equal(load(r, slice_of(NULL, 0), 1).err, 0);
}

int start_serving(struct rig *r, uint32_t identity)
{
	int front;

	start_loaded(r);
	front = give_front(r, 1);
	bind_front(r, 1, &identity, 1);
	return front;
}

void order(struct rig *r, uint32_t identity, enum key_type type)
{
	assert_int_equal(ipc_put(r->core, KY_ISSUE, identity, .identity = identity, .spiffe_id = slice_str(ID),
				 .ttl = 3600, .key_type = type), 0);
}

struct msg_KY_ISSUED issued(struct rig *r)
{
	struct msg_KY_ISSUED answer;
	struct chan_msg m;

	receive(r, r->core, MSG_KY_ISSUED, &m);
	assert_int_equal(msg_get_KY_ISSUED(m.body, &answer), 0);
	assert_int_equal(m.id, answer.identity);
	return answer;
}

void order_jwt(struct rig *r, uint32_t front, uint32_t identity, uint32_t alg)
{
	AUTO(buf) struct buf audiences = BUF_INIT(64);

	list_put_str(&audiences, slice_str("api"));
	assert_int_equal(ipc_put(r->core, KY_JWT, 31, .front = front, .order = 31, .identity = identity,
				 .spiffe_id = slice_str(ID), .issuer = slice_str("https://issuer.example"), .ttl = 300,
				 .alg = alg, .audiences = buf_slice(&audiences)), 0);
}

struct msg_KY_JWT_DONE minted(struct rig *r)
{
	struct msg_KY_JWT_DONE done;
	struct chan_msg m;

	receive(r, r->core, MSG_KY_JWT_DONE, &m);
	assert_int_equal(m.id, 31);
	assert_int_equal(msg_get_KY_JWT_DONE(m.body, &done), 0);
	return done;
}

void ask(int front, uint32_t identity, uint64_t generation)
{
	assert_int_equal(ipc_put(front, FK_GET, 5, .identity = identity, .generation = generation), 0);
}

void attached(struct rig *r, int front, uint32_t identity)
{
	struct chan_msg m;

	ask(front, identity, 1);
	receive(r, front, MSG_FK_NOKEY, &m);
}

/* The exit status, after the process ended by itself. */
int ended(struct rig *r)
{
	int status = 0;

	for (int i = 0; i < WAIT_MS / 10; i++) {
		if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
			r->pid = 0;
			return status;
		}
		usleep(10000);
	}
	return -1;
}

void stop(struct rig *r)
{
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	close(r->svidd);
	if (r->core >= 0)
		close(r->core);
	buf_done(&r->in);
}

void assert_dies(struct rig *r)
{
	int status = ended(r);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	stop(r);
}

static EVP_PKEY *key_of(struct slice pkcs8)
{
	const unsigned char *at = pkcs8.p;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8.len);
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

X509 *cert_of(struct slice der)
{
	const unsigned char *at = der.p;

	return d2i_X509(NULL, &at, (long)der.len);
}

void assert_key_fits(struct rig *r, int front, X509 *leaf)
{
	struct msg_FK_KEY got;
	struct secret *secret;
	struct chan_msg m;
	EVP_PKEY *key;

	receive(r, front, MSG_FK_KEY, &m);
	assert_int_equal(msg_get_FK_KEY(m.body, &got), 0);
	assert_int_equal(got.err, 0);
	assert_int_equal(secret_from_fd(m.fds[0], got.len, &secret), 0);
	key = key_of(slice_of(secret_bytes(secret), secret_len(secret)));
	assert_non_null(key);
	assert_int_equal(X509_check_private_key(leaf, key), 1);
	EVP_PKEY_free(key);
	secret_free(secret);
	ipc_msg_done(&m);
}
