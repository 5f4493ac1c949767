/* SPDX-License-Identifier: Apache-2.0 */
/* core_world.c - good siblings for svid-core; what goes wrong is told by struct world_ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/ipc/lists.h"
#include "agent/parent/launch.h"
#include "kmod/uapi/svid.h"
#include "tests/role/core_world.h"

#define STEP_START 200
#define CA_END 4000000000 /* wall clock: the same each time it is told */

static void make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

const char *world_path(const struct world *w, const char *name)
{
	static char path[100];

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

void world_new(struct world *w)
{
	*w = (struct world){ .bundle = "bundle", .sealed = "sealed", .jwks = "{\"keys\":[{\"kid\":\"kid-1\"}]}",
			     .svidd = -1, .keys = -1, .compiler = -1, .cloud.fd = -1,
			     .agent = "{\"trustDomain\":\"example.org\",\"audit\":\"required\"}",
			     .documents = "root {\"workloadID\":\"root\",\"selectors\":[{\"unix:uid\":[\"0\"]}]}" };
	w->scratch = (struct buf)BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64);
	snprintf(w->dir, sizeof(w->dir), "/tmp/svid-core-role-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	assert_int_equal(mkdir(world_path(w, "state"), 0700), 0);
	assert_int_equal(chown(world_path(w, "state"), WORLD_IDS, WORLD_IDS), 0);
	assert_int_equal(mkdir(world_path(w, "policy"), 0755), 0);
	for (size_t i = 0; i < WORLD_FRONTS; i++)
		w->fronts[i].fd = w->fronts[i].log = -1;
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		w->attest[i] = -1;
	for (size_t i = 0; i < LIM_UNDERTAKERS; i++)
		w->undertakers[i] = -1;
}

static int listener(const struct world *w, const char *name, int type)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", world_path(w, name));
	unlink(sa.sun_path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(chmod(sa.sun_path, 0777), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void give_fd(struct world *w, uint32_t kind, uint32_t arg, int fd)
{
	assert_true(fd >= 0);
	assert_int_equal(ipc_put_fds(w->svidd, P_FD, 0, &fd, 1, .kind = kind, .arg = arg), 0);
	close(fd);
}

static int words(void)
{
	int fd = memfd_create("words", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, sizeof(struct svid_words)), 0);
	return fd;
}

static void give_peer(struct world *w, uint32_t role, uint32_t index, int *our_end)
{
	int pair[2];

	make_pair(pair);
	if (*our_end >= 0)
		close(*our_end);
	*our_end = pair[0];
	assert_int_equal(ipc_put_fds(w->svidd, P_PEER, 0, &pair[1], 1, .role = role, .index = index, .pid = 1), 0);
	close(pair[1]);
}

void world_new_keys(struct world *w)
{
	give_peer(w, ROLE_KEYS, 0, &w->keys);
}

void world_new_cloud(struct world *w)
{
	int fd = w->cloud.fd;

	w->cloud = (struct world_cloud){ .fd = fd, .started = w->cloud.started + 1 };
	give_peer(w, ROLE_CLOUD, 0, &w->cloud.fd);
	if (!w->ways.cloud_silent)
		assert_int_equal(ipc_put(w->cloud.fd, CR_READY, 0), 0);
}

void world_new_attest(struct world *w, unsigned int i)
{
	give_peer(w, ROLE_ATTEST, i, &w->attest[i]);
}

void world_new_undertaker(struct world *w, unsigned int i)
{
	give_peer(w, ROLE_UNDERTAKER, i, &w->undertakers[i]);
}

static void give_plan(struct world *w, const char *audit_path)
{
	give_fd(w, FD_KIND_PUBLIC, 0, listener(w, "api.sock", SOCK_STREAM));
	give_fd(w, FD_KIND_ADMIN, 0, listener(w, "admin.sock", SOCK_SEQPACKET));
	give_fd(w, FD_KIND_STATE_DIR, 0, open(world_path(w, "state"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	give_fd(w, FD_KIND_POLICY_DIR, 0, open(world_path(w, "policy"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	give_fd(w, FD_KIND_AUDIT, 0, open(audit_path ? audit_path : world_path(w, "audit.log"),
					   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
	give_fd(w, FD_KIND_MAP, SVID_MAP_WORDS, words());
	world_new_keys(w);
	for (unsigned int i = 0; i < LIM_ATTEST_WORKERS; i++)
		world_new_attest(w, i);
	assert_int_equal(ipc_put(w->svidd, P_GO, 0, .tier = TIER_SOCKET, .instance = slice_str("role"),
				 .public_path = slice_str(world_path(w, "api.sock")), .admin_path = slice_str("-"),
				 .config_path = slice_str("/nowhere/svid.yaml"), .policy_path = slice_str("-"),
				 .state_path = slice_str("-"), .audit_path = slice_str("-"),
				 .tier_notes = slice_str("a: why\nb: why")), 0);
	for (unsigned int i = 0; i < LIM_UNDERTAKERS; i++)
		world_new_undertaker(w, i);
}

void world_begin(struct world *w, const char *audit_path, int *ret_fd)
{
	int pair[2];

	make_pair(pair);
	w->svidd = pair[0];
	give_plan(w, audit_path);
	*ret_fd = pair[1];
}

void world_start(struct world *w, const char *audit_path)
{
	static const char *const argv[] = { "svid-core", "--index=0", "--log=debug", NULL };
	int pair[2];
	struct launch l = { .role = ROLE_CORE, .who = { WORLD_IDS, WORLD_IDS }, .fds = &pair[1], .n_fds = 1, .argv = argv };

	make_pair(pair);
	w->svidd = pair[0];
	w->ready = w->drained = false;
	l.exec_fd = open(SVID_BIN "/svid-core", O_PATH | O_CLOEXEC);
	l.log_fd = getenv("VERBOSE") ? 2 : open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(l.exec_fd >= 0 && l.log_fd >= 0);
	assert_int_equal(launch(&l, &w->core), 0);
	close(pair[1]);
	close(l.exec_fd);
	if (l.log_fd != 2)
		close(l.log_fd);
	give_plan(w, audit_path);
	for (int i = 0; i < STEP_START && !w->ready && w->core; i++)
		world_step(w, 10);
}

void world_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void front_close(struct world_front *f)
{
	world_close_fd(&f->fd);
	world_close_fd(&f->log);
}

void world_stop(struct world *w)
{
	if (w->core) {
		kill(w->core, SIGKILL);
		assert_int_equal(waitpid(w->core, NULL, 0), w->core);
	}
	w->core = 0;
	world_close_fd(&w->svidd);
	world_close_fd(&w->keys);
	world_close_fd(&w->cloud.fd);
	world_close_fd(&w->compiler);
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		world_close_fd(&w->attest[i]);
	for (size_t i = 0; i < LIM_UNDERTAKERS; i++)
		world_close_fd(&w->undertakers[i]);
	for (size_t i = 0; i < WORLD_FRONTS; i++) {
		front_close(&w->fronts[i]);
		w->fronts[i] = (struct world_front){ .fd = -1, .log = -1 };
	}
	for (size_t i = 0; i < w->n_conns; i++)
		world_close_fd(&w->conns[i].fd);
	w->n_conns = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void world_free(struct world *w)
{
	world_stop(w);
	nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	buf_done(&w->scratch);
}

struct world_front *world_front_of(struct world *w, uint32_t number)
{
	for (size_t i = 0; i < WORLD_FRONTS; i++)
		if (w->fronts[i].number == number)
			return &w->fronts[i];
	fail_msg("no front %u", number);
	return NULL;
}

/* ---- svidd ---- */

static void spawn_front(struct world *w, uint32_t number)
{
	struct world_front *f = &w->fronts[w->spawns++ % WORLD_FRONTS];
	int pair[2], logs[2], fds[2];

	front_close(f);
	make_pair(pair);
	assert_int_equal(pipe2(logs, O_CLOEXEC), 0);
	*f = (struct world_front){ .number = number, .fd = pair[0], .log = logs[1] };
	fds[0] = pair[1];
	fds[1] = logs[0];
	assert_int_equal(ipc_put_fds(w->svidd, P_FRONT, 0, fds, 2, .number = number, .pid = 1), 0);
	close(pair[1]);
	close(logs[0]);
	if (!w->ways.front_never_ready)
		assert_int_equal(ipc_send(f->fd, MSG_FR_READY, 0, slice_of(NULL, 0), NULL, 0), 0);
}

static void put_doc(struct world *w, const char *file, const char *kind, struct slice name, struct slice json)
{
	assert_int_equal(ipc_put(w->compiler, PC_DOC, 0, .file = slice_str(file), .line = 1, .kind = slice_str(kind),
				 .name = name, .json = json), 0);
}

static void compile(struct world *w)
{
	const char *at = w->documents;
	uint32_t n = 1;
	char word[64];

	w->compiles++;
	give_peer(w, ROLE_POLICY, 0, &w->compiler);
	assert_int_equal(ipc_put(w->compiler, PC_FILE, 0, .file = slice_str("svid.yaml"), .parsed = 1), 0);
	put_doc(w, "svid.yaml", "Agent", slice_str("agent"), slice_str(w->agent));
	assert_int_equal(ipc_put(w->compiler, PC_FILE, 0, .file = slice_str("a.yaml"), .parsed = 1), 0);
	while (*at) {
		size_t name = strcspn(at, " "), line = strcspn(at, "\n");

		size_t kind = memchr(at, '/', name) ? strcspn(at, "/") : 0;

		snprintf(word, sizeof(word), "%.*s", kind ? (int)kind : 16, kind ? at : "WorkloadIdentity");
		if (kind)
			kind++;
		put_doc(w, "a.yaml", word, slice_of(at + kind, name - kind), slice_of(at + name + 1, line - name - 1));
		at += line + (at[line] == '\n');
		n++;
	}
	assert_int_equal(ipc_put(w->compiler, PC_DONE, 0, .documents = n), 0);
	world_close_fd(&w->compiler);
}

static void front_killed(struct world *w, uint32_t number)
{
	for (size_t i = 0; i < WORLD_FRONTS; i++)
		if (w->fronts[i].number == number)
			front_close(&w->fronts[i]);
	assert_int_equal(ipc_put(w->svidd, P_EXIT, 0, .role = ROLE_FRONT, .index = number, .status = SIGKILL), 0);
}

static void on_svidd(struct world *w, struct chan_msg *m)
{
	struct msg_C_SPAWN_FRONT spawn;

	switch (m->type) {
	case MSG_C_READY:
		w->ready = true;
		break;
	case MSG_C_ALIVE:
		w->alive++;
		break;
	case MSG_C_SPAWN_FRONT:
		assert_int_equal(msg_get_C_SPAWN_FRONT(m->body, &spawn), 0);
		spawn_front(w, spawn.number);
		break;
	case MSG_C_COMPILE:
		compile(w);
		break;
	case MSG_C_KILL:
		assert_int_equal(msg_get_C_KILL(m->body, &w->last_kill), 0);
		w->kills++;
		if (w->last_kill.role == ROLE_FRONT)
			front_killed(w, w->last_kill.index);
		if (w->last_kill.role == ROLE_ATTEST)
			world_close_fd(&w->attest[w->last_kill.index]);
		if (w->last_kill.role == ROLE_KEYS)
			world_close_fd(&w->keys);
		if (w->last_kill.role == ROLE_CLOUD)
			world_close_fd(&w->cloud.fd);
		if (w->last_kill.role == ROLE_UNDERTAKER)
			world_close_fd(&w->undertakers[w->last_kill.index]);
		if (w->ways.restart && w->last_kill.role == ROLE_UNDERTAKER)
			world_new_undertaker(w, w->last_kill.index);
		if (w->ways.restart && w->last_kill.role == ROLE_CLOUD)
			world_new_cloud(w);
		if (w->ways.restart && w->last_kill.role == ROLE_ATTEST)
			world_new_attest(w, w->last_kill.index);
		if (w->ways.restart && w->last_kill.role == ROLE_KEYS)
			world_new_keys(w);
		break;
	case MSG_C_CLOUD:
		world_new_cloud(w);
		break;
	case MSG_C_DRAINED:
		w->drained = true;
		break;
	default:
		fail_msg("svid-core says %s to svidd", msg_name(m->type));
	}
}

/* ---- svid-keys ---- */

static void on_bind(struct world *w, struct chan_msg *m)
{
	struct msg_KY_BIND bind;
	struct world_front *f;

	assert_int_equal(msg_get_KY_BIND(m->body, &bind), 0);
	f = world_front_of(w, bind.front);
	f->binds++;
	for (f->n_bound = 0; bind.identities.len && f->n_bound < ARRAY_SIZE(f->bound); f->n_bound++)
		f->bound[f->n_bound] = slice_get_u32(&bind.identities);
}

static void on_issue(struct world *w, struct chan_msg *m)
{
	int64_t now = clock_wall_s();
	struct msg_KY_ISSUE ask;

	assert_int_equal(msg_get_KY_ISSUE(m->body, &ask), 0);
	w->issues++;
	if (w->ways.keys_silent)
		return;
	assert_int_equal(ipc_put(w->keys, KY_ISSUED, m->id, .identity = ask.identity, .kind = ask.kind,
				 .err = ask.kind == SVID_WIT ? w->ways.keys_wit_err : w->ways.keys_issue_err,
				 .generation = ++w->generation, .not_before = now - 30,
				 .not_after = now + (w->ways.svid_life ? w->ways.svid_life : 3600),
				 .serial = slice_str("0123456789"), .chain = slice_str("chain")), 0);
}

void world_say_loaded(struct world *w)
{
	assert_int_equal(ipc_put(w->keys, KY_LOADED, 0, .err = w->ways.keys_load_err, .bundle = slice_str(w->bundle),
				 .not_after = CA_END, .jwks = slice_str(w->jwks),
				 .wit_jwks = slice_str(w->load.wit ? "{\"keys\":[]}" : ""),
				 .sealed = slice_str(w->sealed),
				 .nobody_ca = slice_str(w->loads > 1 ? "another nobody" : "nobody")), 0);
}

static void on_load(struct world *w, struct chan_msg *m)
{
	assert_int_equal(msg_get_KY_LOAD(m->body, &w->load), 0);
	w->load.trust_domain = w->load.sealed = slice_of(NULL, 0); /* they borrow */
	w->loads++;
	if (!w->ways.keys_silent)
		world_say_loaded(w);
}

/* As svid-keys does it: the token to the front, then the word to svid-core. */
static void on_jwt(struct world *w, struct chan_msg *m)
{
	struct world_jwt *j = &w->jwts[w->n_jwts++ % WORLD_JWTS];
	struct msg_KY_JWT ask;

	assert_int_equal(msg_get_KY_JWT(m->body, &ask), 0);
	*j = (struct world_jwt){ .id = m->id, .front = ask.front, .order = ask.order, .identity = ask.identity,
				 .ttl = ask.ttl, .alg = ask.alg };
	snprintf(j->spiffe_id, sizeof(j->spiffe_id), "%.*s", (int)ask.spiffe_id.len, (const char *)ask.spiffe_id.p);
	snprintf(j->issuer, sizeof(j->issuer), "%.*s", (int)ask.issuer.len, (const char *)ask.issuer.p);
	snprintf(j->claims, sizeof(j->claims), "%.*s", (int)ask.claims.len, (const char *)ask.claims.p);
	while (ask.audiences.len && slice_ok(&ask.audiences)) {
		struct slice audience = list_get_str(&ask.audiences, LIM_AUDIENCE);

		if (!j->audiences++)
			snprintf(j->audience, sizeof(j->audience), "%.*s", (int)audience.len, (const char *)audience.p);
	}
	if (!w->ways.keys_keep_jwts)
		world_say_jwt(w, j, w->ways.keys_jwt_err);
}

void world_say_jwt(struct world *w, const struct world_jwt *j, int err)
{
	assert_int_equal(ipc_put(w->keys, KY_JWT_DONE, j->id, .err = err, .jti = slice_str("jti-1"),
				 .kid = slice_str("kid-1"), .not_after = clock_wall_s() + 300), 0);
}

static void on_keys(struct world *w, struct chan_msg *m)
{
	switch (m->type) {
	case MSG_KY_LOAD:
		on_load(w, m);
		break;
	case MSG_KY_JWT:
		on_jwt(w, m);
		break;
	case MSG_KY_BIND:
		on_bind(w, m);
		break;
	case MSG_KY_ISSUE:
		on_issue(w, m);
		break;
	case MSG_KY_SIGN:
		assert_int_equal(ipc_put(w->keys, KY_SIGN_DONE, m->id, .err = 0), 0);
		break;
	case MSG_KY_FORGET:
	case MSG_KY_STORED:
		break;
	default:
		fail_msg("svid-core says %s to svid-keys", msg_name(m->type));
	}
}

/* ---- svid-attest ---- */

static void on_attest(struct world *w, unsigned int i, struct chan_msg *m)
{
	assert_int_equal(m->type, MSG_A_IDENTIFY);
	w->identifies++;
	if (!w->ways.attest_silent)
		assert_int_equal(ipc_put(w->attest[i], A_IDENTITY, m->id, .path = slice_str("/usr/bin/app"), .ino = 1,
					 .user = slice_str("root"), .group = slice_str("root"),
					 .argv = slice_of("app\0\n<\"", 7)), 0);
}

/* ---- svid-undertaker: what it takes it closes with the message ---- */

static void on_undertaker(struct world *w, int fd, struct chan_msg *m)
{
	w->taken += m->type == MSG_U_TAKE;
	if (m->type != MSG_U_CLOSE || w->ways.undertakers_hang)
		return;
	w->buried++;
	assert_int_equal(ipc_put(fd, U_CLOSED, 0), 0);
}

/* ---- svid-cloud ---- */

static void on_bound_to(struct world_cloud *c, const struct msg_CL_BIND *b)
{
	unsigned int i = c->binds++ % ARRAY_SIZE(c->bindings);

	c->bindings[i] = b->binding;
	c->kinds[i] = b->kind;
	snprintf(c->spiffe_ids[i], sizeof(c->spiffe_ids[i]), "%.*s", (int)b->spiffe_id.len, (const char *)b->spiffe_id.p);
	snprintf(c->names[i], sizeof(c->names[i]), "%.*s", (int)b->credential.len, (const char *)b->credential.p);
}

static void on_cloud(struct world_cloud *c, struct chan_msg *m)
{
	union {
		struct msg_CL_CONF conf;
		struct msg_CL_BIND bind;
		struct msg_CL_UNBIND unbind;
		struct msg_CL_REFUSED refused;
	} u;

	if (m->type == MSG_CL_CONF && ++c->confs && !msg_get_CL_CONF(m->body, &u.conf))
		snprintf(c->issuer, sizeof(c->issuer), "%.*s", (int)u.conf.issuer.len, (const char *)u.conf.issuer.p);
	else if (m->type == MSG_CL_BIND && !msg_get_CL_BIND(m->body, &u.bind))
		on_bound_to(c, &u.bind);
	else if (m->type == MSG_CL_UNBIND && ++c->unbinds && !msg_get_CL_UNBIND(m->body, &u.unbind))
		c->unbound = u.unbind.binding;
	else if (m->type == MSG_CL_FILE && ++c->files)
		assert_int_equal(msg_get_CL_FILE(m->body, &c->file), 0);
	else if (m->type == MSG_CL_REFUSED && ++c->refusals && !msg_get_CL_REFUSED(m->body, &u.refused))
		c->refused = u.refused.order, c->refused_err = u.refused.err;
	c->bounds += m->type == MSG_CL_BOUND;
	c->chains += m->type == MSG_CL_CHAIN;
	c->refreshes += m->type == MSG_CL_REFRESH;
}

/* ---- the loop ---- */

static bool receive(struct world *w, int *fd, struct chan_msg *ret_m)
{
	int err = ipc_recv(*fd, &w->scratch, ret_m);

	if (err == -ERR_CLOSED)
		world_close_fd(fd);
	assert_true(err == 0 || err == -ERR_CLOSED);
	return err == 0;
}

#define FIRST_FRONT (2 + LIM_ATTEST_WORKERS) /* in the order of world_step() */
#define UNDERTAKERS (FIRST_FRONT + WORLD_FRONTS)
#define CLOUD (UNDERTAKERS + LIM_UNDERTAKERS)

static int *fd_at(struct world *w, size_t i)
{
	if (i < 2)
		return i ? &w->keys : &w->svidd;
	if (i < FIRST_FRONT)
		return &w->attest[i - 2];
	if (i == CLOUD)
		return &w->cloud.fd;
	return i < UNDERTAKERS ? &w->fronts[i - FIRST_FRONT].fd : &w->undertakers[i - UNDERTAKERS];
}

static void handle(struct world *w, const struct pollfd *p, size_t i)
{
	int *fd = fd_at(w, i);
	struct chan_msg m;

	if (!(p->revents & (POLLIN | POLLHUP)) || *fd != p->fd || !receive(w, fd, &m))
		return;
	if (i == 0)
		on_svidd(w, &m);
	else if (i == 1)
		on_keys(w, &m);
	else if (i < FIRST_FRONT)
		on_attest(w, (unsigned int)i - 2, &m);
	else if (i < UNDERTAKERS)
		world_on_front(w, &w->fronts[i - FIRST_FRONT], &m);
	else if (i < CLOUD)
		on_undertaker(w, *fd, &m);
	else
		on_cloud(&w->cloud, &m);
	ipc_msg_done(&m);
}

static void reap(struct world *w)
{
	if (w->core && waitpid(w->core, &w->status, WNOHANG) == w->core)
		w->core = 0;
}

void world_step(struct world *w, int ms)
{
	struct pollfd p[CLOUD + 1];

	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = (struct pollfd){ .fd = *fd_at(w, i), .events = POLLIN };
	if (poll(p, ARRAY_SIZE(p), ms) > 0)
		for (size_t i = 0; i < ARRAY_SIZE(p); i++)
			handle(w, &p[i], i);
	reap(w);
}
