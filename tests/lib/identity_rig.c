/* SPDX-License-Identifier: Apache-2.0 */
/* identity_rig.c - see identity_rig.h. */
#include "tests/lib/identity_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"

struct loop *loop;
struct state *st;
struct authority *auth;
struct audit audit;
struct identities *ids;
int keys;
unsigned int changes, killed, authority_changes;
bool stored_before_use;
struct authority_config config;

static char dir[64];
static struct buf scratch;

struct identity doc = { .number = 7, .name = (char *)"app", .spiffe_id = (char *)"spiffe://example.org/app",
			.hint = (char *)"", .x509_ttl = 3600, .key_type = KEY_EC_P256 };

static void on_changed(void *owner, uint32_t number)
{
	(void)owner;
	assert_int_equal(number, doc.number);
	changes++;
}

static void on_authority(void *owner)
{
	AUTO(buf) struct buf blob = BUF_INIT(LIM_SEALED);

	(void)owner;
	authority_changes++;
	if (authority_err(auth))
		return;
	stored_before_use = state_get_blob(st, STATE_AUTHORITY, &blob) == 0;
	identities_ready(ids);
}

static void on_issued(void *owner, uint32_t identity, enum svid_kind kind, uint32_t id, int err,
		      const struct svid_issued *svid)
{
	(void)owner;
	identities_issued(ids, identity, kind, id, err, svid);
}

static void on_jwt_done(void *owner, uint32_t id, int err, const struct jwt_issued *jwt)
{
	(void)owner;
	(void)id;
	(void)err;
	(void)jwt;
}

static void on_sign_done(void *owner, uint32_t id, int err)
{
	(void)owner;
	(void)id;
	(void)err;
}

static void on_lost(void *owner)
{
	(void)owner;
	identities_lost(ids);
}

static void on_kill(void *owner)
{
	(void)owner;
	killed++;
}

static const struct authority_ops authority_ops = {
	on_authority, on_issued, on_jwt_done, on_sign_done, on_lost, on_kill,
};
static const struct identities_ops identities_ops = { on_changed };

void new_keys(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	if (keys >= 0)
		close(keys);
	keys = pair[0];
	assert_int_equal(authority_peer(auth, pair[1]), 0);
}

int identity_rig_setup(void **unused)
{
	(void)unused;
	log_init("test", LOG_ERROR);
	changes = killed = authority_changes = 0;
	config = (struct authority_config){ "example.org", 1000, 2000, false };
	stored_before_use = false;
	keys = -1;
	doc.x509_ttl = 3600;
	scratch = (struct buf)BUF_INIT(LIM_IPC_BODY);
	snprintf(dir, sizeof(dir), "/tmp/svid-identity-XXXXXX");
	if (!mkdtemp(dir) || loop_new(&loop) || state_open(dir, &st))
		return -1;
	audit_init(&audit, open("/dev/null", O_WRONLY | O_CLOEXEC), AUDIT_REQUIRED);
	if (authority_new(loop, st, &authority_ops, NULL, &auth))
		return -1;
	return identities_new(loop, auth, &audit, &identities_ops, NULL, &ids);
}

int identity_rig_teardown(void **unused)
{
	char path[128];

	(void)unused;
	identities_free(ids);
	authority_free(auth);
	audit_done(&audit);
	state_close(st);
	loop_free(loop);
	buf_done(&scratch);
	close(keys);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

/* The next message to svid-keys, which must be of @type. */
struct chan_msg next(uint16_t type)
{
	struct pollfd p = { .fd = keys, .events = POLLIN };
	struct chan_msg m;

	do {
		for (int i = 0; i < 100 && poll(&p, 1, 0) == 0; i++)
			assert_int_equal(loop_once(loop, 10), 0);
		assert_int_equal(ipc_recv(keys, &scratch, &m), 0);
	} while (m.type == MSG_KY_STORED && type != MSG_KY_STORED);
	assert_string_equal(msg_name(m.type), msg_name(type));
	return m;
}

/* KY_STORED follows each KY_LOADED; whoever wants it says so. */
bool nothing_said(void)
{
	struct pollfd p = { .fd = keys, .events = POLLIN };
	struct chan_msg m = { .type = MSG_KY_STORED };

	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_once(loop, 5), 0);
	while (m.type == MSG_KY_STORED && poll(&p, 1, 0) == 1)
		assert_int_equal(ipc_recv(keys, &scratch, &m), 0);
	return m.type == MSG_KY_STORED;
}

void say_loaded(int err)
{
	assert_int_equal(ipc_put(keys, KY_LOADED, 0, .err = err, .bundle = slice_str(err ? "" : "bundle"),
				 .not_after = clock_wall_s() + 1000, .sealed = slice_str(err ? "" : "sealed")), 0);
	assert_int_equal(loop_once(loop, 100), 0);
}

void make_ready(void)
{
	new_keys();
	authority_configure(auth, &config);
	next(MSG_KY_LOAD);
	say_loaded(0);
	assert_int_equal(authority_err(auth), 0);
}

uint32_t asked(void)
{
	struct chan_msg m = next(MSG_KY_ISSUE);
	struct msg_KY_ISSUE ask;

	assert_int_equal(msg_get_KY_ISSUE(m.body, &ask), 0);
	assert_int_equal(ask.identity, doc.number);
	return m.id;
}

void say_issued(uint32_t id, uint64_t generation, int err)
{
	int64_t now = clock_wall_s();

	assert_int_equal(ipc_put(keys, KY_ISSUED, id, .identity = doc.number, .err = err, .generation = generation,
				 .not_before = now - 30, .not_after = now + 3600, .serial = slice_str("s"),
				 .chain = slice_str("chain")), 0);
	assert_int_equal(loop_once(loop, 100), 0);
}

uint64_t generation(void)
{
	struct set_entry e = { 0 };

	return identity_entry(ids, doc.number, &e) ? 0 : e.generation;
}

int entry_err(void)
{
	struct set_entry e;

	return identity_entry(ids, doc.number, &e);
}
