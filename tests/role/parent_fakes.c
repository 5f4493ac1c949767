/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parent_fakes.c - the roles, played: each reports on its log what svidd gave it. parent_test.c runs
 * itself under the names of the programs, which ends up here.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"
#include "tests/role/parent_fakes.h"

static void say(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void say(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		(void)!write(2, line, (size_t)n);
}

/* "0 1 2 3": which descriptors this process was born with. */
static void say_fds(const char *who)
{
	char list[128] = "";
	size_t len = 0;

	for (int fd = 0; fd < 1024 && len < sizeof(list) - 8; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			len += (size_t)snprintf(list + len, sizeof(list) - len, " %d", fd);
	say("FAKE %s fds%s.\n", who, list);
}

static void say_raw(const char *who, int fd)
{
	char text[64];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return;
	text[n] = 0;
	say("FAKE %s heard %s.\n", who, text);
}

static void send_text(int fd, const char *word, unsigned int n)
{
	char text[64];

	snprintf(text, sizeof(text), "%s-%u", word, n);
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static int fake_keys(void)
{
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
	struct msg_K_FRONT front;
	struct chan_msg m;
	char key[33];

	say_fds("keys");
	(void)!ipc_put(FD_CHANNEL, K_READY, 0);
	while (!ipc_recv(FD_CHANNEL, &scratch, &m)) {
		if (m.type == MSG_K_SEAL)
			say("FAKE keys sealing key of %zd bytes.\n", read(m.fds[0], key, sizeof(key)));
		if (m.type == MSG_K_CORE)
			send_text(m.fds[0], "keys", 0);
		if (m.type == MSG_K_FRONT && !msg_get_K_FRONT(m.body, &front)) {
			say("FAKE keys front %u.\n", front.number);
			send_text(m.fds[0], "keys-for", front.number);
		}
		if (m.type == MSG_K_CLOUD)
			send_text(m.fds[0], "keys-for-cloud", 0);
		ipc_msg_done(&m);
	}
	return 0;
}

static int fake_attest(void)
{
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
	struct chan_msg m;

	(void)!ipc_put(FD_CHANNEL, A_READY, 0);
	while (!ipc_recv(FD_CHANNEL, &scratch, &m)) {
		if (m.type == MSG_A_CORE)
			send_text(m.fds[0], "attest", 0);
		ipc_msg_done(&m);
	}
	return 0;
}

static int fake_undertaker(void)
{
	char byte;

	say_fds("undertaker");
	return read(FD_CHANNEL, &byte, 1) < 0; /* until svid-core ends */
}

/* A front that was taken over: it does not end when svid-core does. */
static int fake_front(void)
{
	struct pollfd p[2] = { { .fd = FD_CHANNEL, .events = POLLIN }, { .fd = FD_FRONT_KEYS, .events = POLLIN } };

	say_fds("front");
	while (poll(p, 2, -1) > 0) {
		if (p[0].revents & POLLIN)
			say_raw("front", FD_CHANNEL);
		if (p[1].revents & POLLIN)
			say_raw("front", FD_FRONT_KEYS);
		if ((p[0].revents | p[1].revents) & POLLHUP)
			usleep(10000);
	}
	return 0;
}

static unsigned int port_of(int listener)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);

	return getsockname(listener, (struct sockaddr *)&sa, &len) ? 0 : ntohs(sa.sin_port);
}

/* Like the real one it ends with svid-core, and not with svid-keys. */
static int fake_cloud(void)
{
	struct pollfd p[2] = { { .fd = FD_CHANNEL, .events = POLLIN }, { .fd = FD_CLOUD_KEYS, .events = POLLIN } };

	say_fds("cloud");
	say("FAKE cloud listens on %u.\n", port_of(FD_CLOUD_OIDC));
	send_text(FD_CHANNEL, "cloud", 0);
	while (poll(p, 2, -1) > 0) {
		if (p[1].revents & POLLIN)
			say_raw("cloud", FD_CLOUD_KEYS);
		if (p[0].revents & POLLHUP)
			break;
	}
	return 0;
}

/* "port: 8080" of the configuration */
static unsigned int configured_port(void)
{
	char text[256];
	ssize_t n = pread(FD_POLICY_AGENT, text, sizeof(text) - 1, 0);
	const char *at;

	text[n > 0 ? n : 0] = 0;
	at = strstr(text, "port: ");
	return at ? (unsigned int)strtoul(at + 6, NULL, 10) : 0;
}

static int fake_svid(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[2], "--boot") == 0)
		return ipc_put(FD_CHANNEL, PC_BOOT, 0, .attestation = TIER_SOCKET, .oidc_port = configured_port()) != 0;
	say_fds("compiler");
	return ipc_put(FD_CHANNEL, PC_DONE, 0) != 0;
}

struct fake_core {
	struct buf scratch;
	int admin, conn;
	struct {
		int fd;
		const char *who;
	} peers[32];
	unsigned int n_peers;
	bool drains;
};

static void add_peer(struct fake_core *f, struct chan_msg *m, unsigned int i, const char *who)
{
	if (f->n_peers < ARRAY_SIZE(f->peers)) {
		f->peers[f->n_peers].fd = m->fds[i];
		f->peers[f->n_peers++].who = who;
		m->fds[i] = -1;
	}
}

/* The first request after a mount is INIT; it comes once, to whoever reads it. */
static void say_request(int fuse)
{
	static char bytes[FUSE_MIN_READ_BUFFER];
	const struct fuse_in_header *head = (const void *)bytes;
	ssize_t n = read(fuse, bytes, sizeof(bytes));

	say("FAKE core fuse opcode %d.\n", n < (ssize_t)sizeof(*head) ? -1 : (int)head->opcode);
}

static void on_p_fd(struct fake_core *f, struct chan_msg *m)
{
	struct msg_P_FD fd;

	if (msg_get_P_FD(m->body, &fd))
		return;
	say("FAKE core fd kind %u arg %u.\n", fd.kind, fd.arg);
	if (fd.kind == FD_KIND_FUSE)
		say_request(m->fds[0]);
	if (fd.kind == FD_KIND_ADMIN) {
		f->admin = m->fds[0];
		m->fds[0] = -1;
	}
}

static void on_p_front(struct fake_core *f, struct chan_msg *m)
{
	struct msg_P_FRONT p;

	if (msg_get_P_FRONT(m->body, &p))
		return;
	say("FAKE core front %u pid %u.\n", p.number, p.pid);
	send_text(m->fds[0], "core-for", p.number);
	add_peer(f, m, 0, "core");
	add_peer(f, m, 1, NULL);
}

static void from_svidd(struct fake_core *f, struct chan_msg *m)
{
	struct msg_P_GO go;
	struct msg_P_PEER peer;
	struct msg_P_EXIT ended;

	if (m->type == MSG_P_FD) {
		on_p_fd(f, m);
	} else if (m->type == MSG_P_PEER && !msg_get_P_PEER(m->body, &peer)) {
		say("FAKE core peer role %u index %u.\n", peer.role, peer.index);
		add_peer(f, m, 0, "core");
	} else if (m->type == MSG_P_FRONT) {
		on_p_front(f, m);
	} else if (m->type == MSG_P_GO && !msg_get_P_GO(m->body, &go)) {
		say("FAKE core go tier %u pid %d.\n", go.tier, getpid());
		say("FAKE core tree <%.*s>.\n", (int)go.tree_path.len, (const char *)go.tree_path.p);
		(void)!ipc_put(FD_CHANNEL, C_READY, 0);
	} else if (m->type == MSG_P_EXIT && !msg_get_P_EXIT(m->body, &ended)) {
		say("FAKE core exit role %u index %u status %u.\n", ended.role, ended.index, ended.status);
	} else if (m->type == MSG_P_STOP) {
		say("FAKE core stop.\n");
		if (f->drains)
			(void)!ipc_put(FD_CHANNEL, C_DRAINED, 0);
	}
}

static void obey(struct fake_core *f, char *word)
{
	char *rest = strchr(word, ' ');
	unsigned int n = rest ? (unsigned int)strtoul(rest + 1, NULL, 10) : 0;

	say("FAKE core obeys.\n"); /* before, because it may be the end of us */
	if (!strncmp(word, "spawn", 5))
		(void)!ipc_put(FD_CHANNEL, C_SPAWN_FRONT, 0, .number = n);
	else if (!strncmp(word, "kill", 4))
		(void)!ipc_put(FD_CHANNEL, C_KILL, 0, .role = n / 100, .index = n % 100);
	else if (!strncmp(word, "compile", 7))
		(void)!ipc_put(FD_CHANNEL, C_COMPILE, 0);
	else if (!strncmp(word, "message", 7)) /* any type, with a body that fits none */
		(void)!ipc_send(FD_CHANNEL, (uint16_t)n, 0, slice_of("12345", 5), NULL, 0);
	else if (!strncmp(word, "bytes", 5))
		(void)!write(FD_CHANNEL, "x", 1);
	else if (!strncmp(word, "cloud", 5))
		(void)!ipc_put(FD_CHANNEL, C_CLOUD, 0);
	else if (!strncmp(word, "alive", 5))
		(void)!ipc_put(FD_CHANNEL, C_ALIVE, 0);
	else if (!strncmp(word, "nodrain", 7))
		f->drains = false;
	else if (!strncmp(word, "exit", 4))
		_exit((int)n);
}

static void from_test(struct fake_core *f)
{
	char word[64];
	ssize_t n;

	if (f->conn >= 0)
		close(f->conn);
	f->conn = accept(f->admin, NULL, NULL);
	n = f->conn < 0 ? -1 : recv(f->conn, word, sizeof(word) - 1, 0);
	if (n <= 0)
		return;
	word[n] = 0;
	obey(f, word);
}

static void core_peers(struct fake_core *f, const struct pollfd *p)
{
	char text[256];

	for (unsigned int i = 0; i < f->n_peers; i++) {
		if (!(p[i].revents & POLLIN))
			continue;
		if (f->peers[i].who) {
			say_raw(f->peers[i].who, f->peers[i].fd);
		} else { /* a front's log */
			ssize_t n = read(f->peers[i].fd, text, sizeof(text));

			if (n > 0)
				(void)!write(2, text, (size_t)n);
		}
	}
}

static int fake_core(void)
{
	static struct fake_core f = { .scratch = BUF_INIT(LIM_IPC_BODY), .admin = -1, .conn = -1, .drains = true };
	struct pollfd p[2 + ARRAY_SIZE(f.peers)];
	struct chan_msg m;

	say_fds("core");
	for (;;) {
		p[0] = (struct pollfd){ .fd = FD_CHANNEL, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = f.admin, .events = POLLIN };
		for (unsigned int i = 0; i < f.n_peers; i++)
			p[2 + i] = (struct pollfd){ .fd = f.peers[i].fd, .events = POLLIN };
		if (poll(p, 2 + f.n_peers, 100) < 0)
			return 1;
		core_peers(&f, p + 2);
		if (p[1].revents & POLLIN)
			from_test(&f);
		if (!p[0].revents)
			continue;
		if (ipc_recv(FD_CHANNEL, &f.scratch, &m))
			return 0;
		from_svidd(&f, &m);
		ipc_msg_done(&m);
	}
}

int fake_role(int argc, char **argv, bool *ret_is_role)
{
	const struct slice me = slice_str(argv[0]);

	*ret_is_role = true;
	if (slice_eq_str(me, "svid-core"))
		return fake_core();
	if (slice_eq_str(me, "svid-keys"))
		return fake_keys();
	if (slice_eq_str(me, "svid-attest"))
		return fake_attest();
	if (slice_eq_str(me, "svid-front"))
		return fake_front();
	if (slice_eq_str(me, "svid-undertaker"))
		return fake_undertaker();
	if (slice_eq_str(me, "svid-cloud"))
		return fake_cloud();
	if (slice_eq_str(me, "svid"))
		return fake_svid(argc, argv);
	*ret_is_role = false;
	return 0;
}
