/* SPDX-License-Identifier: Apache-2.0 */
/* cloud_world.c - starts svid-cloud and plays svid-core to it and to svid-keys. */
#include "tests/role/cloud_world.h"

#include "agent/base/clock.h"

static const char *const no_env[] = { NULL };

/* ---- svid-core's part ---- */

static void copy(struct slice from, char *to, size_t size)
{
	assert_true(from.len < size);
	memcpy(to, from.p ? (const char *)from.p : "", from.len);
	to[from.len] = 0;
}

static void refuse(struct cloud_rig *w, uint32_t order)
{
	assert_int_equal(ipc_put(w->core, CL_REFUSED, 0, .order = order, .err = w->refuse), 0);
}

static void on_jwt(struct cloud_rig *w, const struct chan_msg *m)
{
	AUTO(buf) struct buf audiences = BUF_INIT(64);
	struct msg_CR_JWT ask;

	assert_int_equal(msg_get_CR_JWT(m->body, &ask), 0);
	assert_true(ask.order && ask.binding < BINDINGS && w->ids[ask.binding][0]);
	w->jwts += !ask.file;
	w->file_jwts += !!ask.file;
	if (w->deaf)
		return;
	if (w->refuse) {
		refuse(w, ask.order);
		return;
	}
	list_put_str(&audiences, slice_str("cloud"));
	assert_int_equal(ipc_put(w->keys.core, KY_JWT, 31, .front = FRONT_CLOUD, .order = ask.order, .identity = IDENTITY,
				 .spiffe_id = slice_str(w->ids[ask.binding]), .issuer = slice_str(ISSUER),
				 .ttl = ask.file ? w->ttl : 300, .alg = JWT_ES256, .audiences = buf_slice(&audiences)), 0);
	assert_int_equal(minted(&w->keys).err, 0);
}

static void issue(struct cloud_rig *w)
{
	struct msg_KY_ISSUED i;

	order(&w->keys, IDENTITY, w->key_type);
	i = issued(&w->keys);
	assert_int_equal(i.err, 0);
	w->generation = i.generation;
	buf_reset(&w->chain);
	buf_put_slice(&w->chain, i.chain);
}

static void send_chain(struct cloud_rig *w, uint32_t order)
{
	assert_int_equal(ipc_put(w->core, CL_CHAIN, 0, .order = order, .chain = buf_slice(&w->chain)), 0);
}

static void on_sign(struct cloud_rig *w, const struct chan_msg *m)
{
	struct msg_CR_SIGN ask;
	struct chan_msg done;
	bool late;

	assert_int_equal(msg_get_CR_SIGN(m->body, &ask), 0);
	w->signs += !ask.chain_only;
	if (w->deaf)
		return;
	if (w->refuse) {
		refuse(w, ask.order);
		return;
	}
	late = w->late_chain && !ask.chain_only;
	if (!w->generation || late)
		issue(w);
	if (!late)
		send_chain(w, ask.order);
	if (ask.chain_only)
		return;
	assert_true(slice_starts(ask.text, slice_str("AWS4-X509-")));
	assert_int_equal(ipc_put(w->keys.core, KY_SIGN, 12, .order = ask.order, .identity = IDENTITY,
				 .generation = w->generation, .text = ask.text), 0);
	receive(&w->keys, w->keys.core, MSG_KY_SIGN_DONE, &done);
	if (!late)
		return;
	busy_idle(w->pid); /* it has read the signature */
	send_chain(w, ask.order);
}

static void on_state(struct cloud_rig *w, const struct chan_msg *m)
{
	struct msg_CR_STATE said;
	struct seen *s;

	assert_int_equal(msg_get_CR_STATE(m->body, &said), 0);
	assert_true(said.binding < BINDINGS && said.state < CLOUD_STATE_COUNT);
	s = &w->seen[said.binding];
	*s = (struct seen){ .said = s->said + 1, .state = said.state, .failures = said.failures, .expires_at = said.expires_at,
			    .refresh_at = said.refresh_at, .last_success = said.last_success };
	copy(said.error, s->error, sizeof(s->error));
	copy(said.next_step, s->next_step, sizeof(s->next_step));
}

static void on_exchange(struct cloud_rig *w, const struct chan_msg *m)
{
	struct msg_CR_EXCHANGE x;
	struct record *r = &w->record;

	assert_int_equal(msg_get_CR_EXCHANGE(m->body, &x), 0);
	w->exchanges++;
	*r = (struct record){ .binding = x.binding, .err = x.err, .http_status = x.http_status, .expires_at = x.expires_at };
	copy(x.code, r->code, sizeof(r->code));
	copy(x.endpoint, r->endpoint, sizeof(r->endpoint));
	copy(x.jti, r->jti, sizeof(r->jti));
	copy(x.kid, r->kid, sizeof(r->kid));
	copy(x.session, r->session, sizeof(r->session));
	copy(x.principal, r->principal, sizeof(r->principal));
	copy(x.key_id, r->key_id, sizeof(r->key_id));
	copy(x.request_id, r->request_id, sizeof(r->request_id));
}

static struct answered *answered(struct cloud_rig *w, uint32_t order)
{
	assert_true(order && order < ORDERS && w->files[order].asked && !w->files[order].done);
	w->files[order].done = true;
	return &w->files[order];
}

static void on_file(struct cloud_rig *w, struct chan_msg *m)
{
	struct msg_CR_FILE file;
	struct answered *a;
	char *to;

	assert_int_equal(msg_get_CR_FILE(m->body, &file), 0);
	a = answered(w, file.order);
	a->content = (struct buf)BUF_INIT(LIM_CLOUD_SECRET * 2);
	to = buf_reserve(&a->content, file.len + 1);
	assert_non_null(to);
	assert_int_equal(fcntl(m->fds[0], F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	assert_int_equal(pread(m->fds[0], to, file.len + 1, 0), file.len); /* as long as it says, and no longer */
	to[file.len] = 0;
	buf_added(&a->content, file.len);
}

static void on_nofile(struct cloud_rig *w, const struct chan_msg *m)
{
	struct msg_CR_NOFILE no;

	assert_int_equal(msg_get_CR_NOFILE(m->body, &no), 0);
	assert_true(no.err < 0);
	answered(w, no.order)->err = no.err;
}

static void handle(struct cloud_rig *w, struct chan_msg *m)
{
	switch (m->type) {
	case MSG_CR_JWT:
		on_jwt(w, m);
		break;
	case MSG_CR_SIGN:
		on_sign(w, m);
		break;
	case MSG_CR_STATE:
		on_state(w, m);
		break;
	case MSG_CR_EXCHANGE:
		on_exchange(w, m);
		break;
	case MSG_CR_FILE:
		on_file(w, m);
		break;
	case MSG_CR_NOFILE:
		on_nofile(w, m);
		break;
	default:
		fail_msg("unexpected %s", msg_name(m->type));
	}
}

bool cloud_pump(struct cloud_rig *w, int ms)
{
	struct pollfd p = { .fd = w->core, .events = POLLIN };
	struct chan_msg m;
	int err;

	if (poll(&p, 1, ms) != 1)
		return false;
	err = ipc_recv(w->core, &w->in, &m);
	if (err == -ERR_CLOSED)
		return false;
	assert_int_equal(err, 0);
	handle(w, &m);
	ipc_msg_done(&m);
	return true;
}

void cloud_quiet(struct cloud_rig *w)
{
	bool more = true;

	while (more) {
		busy_idle(w->pid);
		more = false;
		while (cloud_pump(w, 0))
			more = true;
	}
}

/* How often it ran so far. */
static unsigned long runs(pid_t pid)
{
	char path[64], line[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, line, sizeof(line) - 1) > 0);
	close(fd);
	return strtoul(strrchr(line, ' '), NULL, 10);
}

void cloud_settle(struct cloud_rig *w)
{
	unsigned long before, now = 0;

	do {
		before = now;
		cloud_quiet(w);
		usleep(200000);
		busy_idle(w->keys.pid);
		now = runs(w->pid) + runs(w->keys.pid);
	} while (now != before);
}

static void pump_until_late(struct cloud_rig *w, const struct stopwatch *watch, const char *what)
{
	if (!cloud_pump(w, 100) && stopwatch_ms(watch) > WAIT_MS) {
		char log[4096] = "";

		(void)!pread(w->log, log, sizeof(log) - 1, 0);
		fail_msg("waited too long for %s; svid-cloud logged:\n%s", what, log);
	}
}

/* ---- its life ---- */

void cloud_setup(struct cloud_rig *w)
{
	*w = (struct cloud_rig){ .core = -1, .cloud_keys = -1, .dir = "/tmp/svid-cloud-XXXXXX", .ttl = 3600,
				 .in = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64), .chain = BUF_INIT(LIM_CHAIN),
				 .jwks = BUF_INIT(LIM_JWKS) };
	w->seen = calloc(BINDINGS, sizeof(*w->seen));
	w->files = calloc(ORDERS, sizeof(*w->files));
	w->ids = calloc(BINDINGS, sizeof(*w->ids));
	assert_non_null(mkdtemp(w->dir));
	w->log = memfd_create("log", MFD_CLOEXEC);
	start_loaded(&w->keys);
	while (!w->jwks.len) {
		buf_reset(&w->jwks);
		buf_put_slice(&w->jwks, loaded_with(&w->keys, 0).jwks);
	}
}

static void remove_dir(const char *dir)
{
	pid_t pid = fork();

	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", dir, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

void cloud_teardown(struct cloud_rig *w)
{
	cloud_kill(w);
	stop(&w->keys);
	remove_dir(w->dir);
	for (size_t i = 0; i < ORDERS; i++)
		buf_done(&w->files[i].content);
	close(w->log);
	free(w->seen);
	free(w->files);
	free(w->ids);
	buf_done(&w->in);
	buf_done(&w->chain);
	buf_done(&w->jwks);
}

/* Descriptors 3 to 6, in that order; what is in the way was moved above before. */
static void run_child(const int fds[static 4], int log)
{
	int high[4], high_log = fcntl(log, F_DUPFD, 20);

	for (int i = 0; i < 4; i++)
		high[i] = fcntl(fds[i], F_DUPFD, 20);
	for (int i = 0; i < 4; i++)
		dup2(high[i], FD_CHANNEL + i);
	dup2(high_log, 2);
	execle(CLOUD, "svid-cloud", "--log=info", NULL, no_env);
	_exit(127);
}

static void cloud_conf(struct cloud_rig *w)
{
	assert_int_equal(ipc_put(w->core, CL_CONF, 0, .trust_domain = slice_str("example.org"), .issuer = slice_str(ISSUER),
				 .jwks = buf_slice(&w->jwks), .node = slice_str("node1"), .generation = 1), 0);
}

void cloud_start(struct cloud_rig *w, int oidc)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), dir = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int core, keys = pair_with(&w->cloud_keys), fds[4];
	struct chan_msg m;

	w->core = pair_with(&core);
	memcpy(fds, (const int[]){ core, keys, dir, oidc >= 0 ? oidc : null }, sizeof(fds));
	assert_int_equal(ipc_put_fds(w->keys.svidd, K_CLOUD, 0, &w->cloud_keys, 1), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0)
		run_child(fds, w->log);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	close(null);
	receive(&w->keys, w->core, MSG_CR_READY, &m);
	cloud_conf(w);
}

static void forget(struct cloud_rig *w)
{
	close(w->core);
	close(w->cloud_keys);
	w->core = w->cloud_keys = -1;
	w->pid = 0;
	memset(w->seen, 0, BINDINGS * sizeof(*w->seen));
	for (size_t i = 0; i < ORDERS; i++)
		if (w->files[i].asked)
			w->files[i].done = true;
}

void cloud_kill(struct cloud_rig *w)
{
	if (w->pid <= 0)
		return;
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	forget(w);
}

int cloud_ended(struct cloud_rig *w)
{
	struct stopwatch watch = stopwatch_start(w->pid);
	int status = -1;

	while (waitpid(w->pid, &status, WNOHANG) != w->pid)
		pump_until_late(w, &watch, "its end");
	forget(w);
	return status;
}

bool cloud_logged(struct cloud_rig *w, const char *text)
{
	AUTO(buf) struct buf log = BUF_INIT(1 << 20);
	char bytes[4096];
	ssize_t n;

	for (off_t at = 0; (n = pread(w->log, bytes, sizeof(bytes), at)) > 0; at += n)
		buf_put(&log, bytes, (size_t)n);
	assert_int_equal(buf_ok(&log), 0);
	return log.len && memmem(log.data, log.len, text, strlen(text));
}

/* ---- what it is told ---- */

void cloud_bind(struct cloud_rig *w, uint32_t number, enum cloud_kind kind, const char *id, const char *name, const char *spec)
{
	char dir[512];

	assert_true(number < BINDINGS);
	snprintf(dir, sizeof(dir), "/run/svid/credentials/0b7a/%s", name);
	snprintf(w->ids[number], sizeof(w->ids[number]), "%s", id);
	assert_int_equal(ipc_put(w->core, CL_BIND, 0, .binding = number, .kind = kind, .spiffe_id = slice_str(id),
				 .credential = slice_str(name), .source = slice_str(w->source ? w->source : SOURCE),
				 .dir = slice_str(dir),
				 .source_json = slice_str(spec), .credential_json = slice_str("{}")), 0);
}

void cloud_bound(struct cloud_rig *w)
{
	assert_int_equal(ipc_put(w->core, CL_BOUND, 0, .generation = 1), 0);
}

void cloud_unbind(struct cloud_rig *w, uint32_t number)
{
	assert_int_equal(ipc_put(w->core, CL_UNBIND, 0, .binding = number), 0);
}

void cloud_refresh(struct cloud_rig *w, uint32_t number)
{
	assert_int_equal(ipc_put(w->core, CL_REFRESH, 0, .binding = number), 0);
}

const struct seen *cloud_state(struct cloud_rig *w, uint32_t number, enum cloud_state state)
{
	struct stopwatch watch = stopwatch_start(w->pid);

	while (!w->seen[number].said || w->seen[number].state != state)
		pump_until_late(w, &watch, cloud_state_name(state));
	return &w->seen[number];
}

uint32_t cloud_ask(struct cloud_rig *w, uint32_t number, enum cloud_file what)
{
	uint32_t order = ++w->last_order;

	assert_true(order < ORDERS);
	w->files[order].asked = true;
	assert_int_equal(ipc_put(w->core, CL_FILE, 0, .order = order, .binding = number, .what = what), 0);
	return order;
}

int cloud_answer(struct cloud_rig *w, uint32_t order, const char **ret_text)
{
	struct stopwatch watch = stopwatch_start(w->pid);

	while (!w->files[order].done)
		pump_until_late(w, &watch, "a file");
	*ret_text = buf_cstr(&w->files[order].content);
	return w->files[order].err;
}

const char *cloud_read(struct cloud_rig *w, uint32_t number, enum cloud_file what)
{
	const char *text;

	assert_int_equal(cloud_answer(w, cloud_ask(w, number, what), &text), 0);
	return text;
}

int cloud_refused(struct cloud_rig *w, uint32_t number, enum cloud_file what)
{
	const char *text;
	int err = cloud_answer(w, cloud_ask(w, number, what), &text);

	assert_true(err < 0);
	return err;
}
