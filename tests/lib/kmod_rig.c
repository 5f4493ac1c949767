// SPDX-License-Identifier: Apache-2.0
/* kmod_rig.c - see kmod_rig.h. */
#include "tests/lib/kmod_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tree_rig.h"

#define WAIT_MS 5000

struct seat seat;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static int listen_at(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	unlink(path);
	must(fd >= 0 && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 128) == 0, "listen");
	return fd;
}

void seat_take(struct seat *s, const char *path)
{
	struct svid_dev_listen msg = { .size = sizeof(msg), .tag = SEAT_TAG };

	(void)snprintf(s->path, sizeof(s->path), "%s", path);
	s->dev = open(SVID_DEV_PATH, O_RDWR | O_CLOEXEC);
	must(s->dev >= 0, SVID_DEV_PATH);
	s->ev = ioctl(s->dev, SVID_IOC_EVIDENCE);
	must(s->ev >= 0, "SVID_IOC_EVIDENCE");
	must(fcntl(s->ev, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
	s->words = mmap(NULL, sizeof(*s->words), PROT_READ | PROT_WRITE, MAP_SHARED, s->ev, SVID_DEV_WORDS);
	s->stats = mmap(NULL, sizeof(*s->stats), PROT_READ, MAP_SHARED, s->ev, SVID_DEV_STATS);
	must(s->words != MAP_FAILED && s->stats != MAP_FAILED, "mmap");
	msg.fd = s->listener = listen_at(path);
	must(ioctl(s->ev, SVID_IOC_LISTEN, &msg) == 0, "SVID_IOC_LISTEN");
}

void seat_leave(struct seat *s)
{
	munmap(s->words, sizeof(*s->words));
	munmap((void *)s->stats, sizeof(*s->stats));
	close(s->listener);
	close(s->ev);
	close(s->dev);
	unlink(s->path);
}

int seat_setup(void **state)
{
	int err = rig_load();

	(void)state;
	if (!err)
		seat_take(&seat, SEAT_PATH);
	return err;
}

int seat_teardown(void **state)
{
	(void)state;
	seat_leave(&seat);
	return rig_unload();
}

uint32_t seat_word(uint32_t slot)
{
	return __atomic_load_n(&seat.words->w[slot], __ATOMIC_SEQ_CST);
}

static bool is_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, WAIT_MS) == 1;
}

int seat_accept(const struct seat *s)
{
	int fd;

	if (!is_readable(s->listener))
		return -ETIMEDOUT;
	fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int seat_ask(const struct seat *s, int fd, uint32_t op, uint32_t conn_slot, uint32_t holder_slot, struct svid_mailbox *ret)
{
	struct svid_dev_ask msg = { .size = sizeof(msg), .fd = fd };

	msg.box.op = op;
	msg.box.request = 1;
	msg.box.conn_slot = conn_slot;
	msg.box.conn_word = s->words->w[conn_slot & (SVID_WORDS - 1)];
	msg.box.holder_slot = holder_slot;
	if (ioctl(s->ev, SVID_IOC_ASK, &msg) < 0)
		return -errno;
	if (ret)
		*ret = msg.box;
	return msg.box.answer == 1 ? msg.box.status : -EPROTO;
}

int seat_image(const struct seat *s, uint32_t tgid, uint64_t start, struct svid_image *ret)
{
	struct svid_dev_image msg = { .size = sizeof(msg), .key = { .tgid = tgid, .start = start } };

	if (ioctl(s->ev, SVID_IOC_IMAGE, &msg) < 0)
		return -errno;
	*ret = msg.image;
	return 0;
}

int seat_hold(const struct seat *s, const struct svid_image *img, uint32_t slot)
{
	struct svid_dev_hold msg = { .size = sizeof(msg), .slot = slot, .key = img->key, .exec_id = img->exec_id,
				     .change = img->change };

	return ioctl(s->ev, SVID_IOC_HOLD, &msg) < 0 ? -errno : 0;
}

int seat_unhold(const struct seat *s, const struct svid_key *key)
{
	struct svid_dev_key msg = { .size = sizeof(msg), .key = *key };

	return ioctl(s->ev, SVID_IOC_UNHOLD, &msg) < 0 ? -errno : 0;
}

int seat_reader(const struct seat *s, int tid, struct svid_conn *ret)
{
	struct svid_dev_reader msg = { .size = sizeof(msg), .tid = tid };

	if (ioctl(s->ev, SVID_IOC_READER, &msg) < 0)
		return -errno;
	*ret = msg.conn;
	return 0;
}

int seat_event(const struct seat *s, uint32_t type, struct svid_event *ret)
{
	for (;;) {
		if (!is_readable(s->ev))
			return -ETIMEDOUT;
		if (read(s->ev, ret, sizeof(*ret)) == sizeof(*ret) && (!type || ret->type == type))
			return 0;
	}
}

int seat_drain(const struct seat *s)
{
	struct svid_event e;
	int n = 0;

	while (read(s->ev, &e, sizeof(e)) == sizeof(e))
		n++;
	return n;
}

void visit_open(const struct seat *s, struct visit *v, uint32_t conn_slot, uint32_t holder_slot)
{
	v->c = caller_start(s->path, NULL, NULL);
	must(caller_do(&v->c, CALLER_CONNECT) == 0, "connect");
	v->fd = seat_accept(s);
	must(v->fd >= 0, "accept");
	must(seat_ask(s, v->fd, SVID_OP_ATTACH, conn_slot, holder_slot, &v->box) == 0, "attach");
}

void visit_close(struct visit *v)
{
	if (v->c.pid)
		caller_end(&v->c);
	close(v->fd);
}

long slab_objects(const char *name)
{
	char line[256], word[64];
	FILE *f = fopen("/proc/slabinfo", "re");
	long n, found = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", word, &n) == 2 && strcmp(word, name) == 0)
			found = n;
	if (f)
		fclose(f);
	return found;
}

bool slab_becomes(const char *name, long want)
{
	long n = -1;

	if (getenv("VM") && strcmp(getenv("VM"), "debug") == 0)
		return true;
	for (int i = 0; i < WAIT_MS / 20; i++) {
		n = slab_objects(name);
		if (n == want)
			break;
		usleep(20000);
	}
	return n == want;
}

/* xorshift: the same run each time, but for what other processes do. */
uint32_t dice(uint32_t sides)
{
	static __thread uint32_t x;

	if (!x)
		x = 2463534242u + (uint32_t)syscall(SYS_gettid);
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x % sides;
}

int traffic_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (connect(s, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		usleep(1000);
	return s;
}

static void traffic_step(const char *path)
{
	char *const argv[] = { "/bin/true", NULL };
	int s = traffic_connect(path);
	pid_t pid;
	char c;

	(void)!send(s, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	switch (dice(5)) {
	case 0:
		break;
	case 1:
		(void)!recv(s, &c, 1, MSG_DONTWAIT);
		break;
	case 2: /* the child uses it, and dies with it */
		pid = fork();
		if (pid == 0) {
			(void)!send(s, "y", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
			_exit(0);
		}
		close(s);
		waitpid(pid, NULL, 0);
		return;
	case 3: /* exec with the connection open */
		pid = fork();
		if (pid == 0) {
			fcntl(s, F_SETFD, 0);
			execv(argv[0], argv);
			_exit(0);
		}
		(void)ptrace(PTRACE_SEIZE, pid, NULL, NULL);
		waitpid(pid, NULL, 0);
		break;
	case 4:
		(void)syscall(SYS_setfsuid, dice(2) * 1000);
		break;
	}
	close(s);
}

pid_t traffic_start(const char *path)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		traffic_step(path);
}

void traffic_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
