/* SPDX-License-Identifier: Apache-2.0 */
/* core_clients.c - who comes to svid-core from outside: callers, root on admin.sock, an editor of documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/role/core_world.h"

static int connect_to(const char *path, int type)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -1;
	return fd;
}

int world_client(struct world *w)
{
	int fd = connect_to(world_path(w, "api.sock"), SOCK_STREAM);

	assert_true(fd >= 0);
	assert_int_equal(send(fd, "P", 1, MSG_NOSIGNAL), 1);
	return fd;
}

int world_client_as(struct world *w, unsigned int uid, pid_t *ret_pid)
{
	int pair[2], fd;
	char byte;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	*ret_pid = fork();
	assert_true(*ret_pid >= 0);
	if (*ret_pid == 0) {
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(1);
		assert_int_equal(dup2(pair[1], 3), 3);
		pair[1] = 3;
		close_range(4, ~0u, 0); /* it must not keep another's connection open */
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which clears it */
		fd = connect_to(world_path(w, "api.sock"), SOCK_STREAM);
		if (fd < 0 || send(fd, "P", 1, MSG_NOSIGNAL) != 1 || write(pair[1], "x", 1) != 1)
			_exit(1);
		while (read(fd, &byte, 1) > 0)
			;
		(void)!write(pair[1], "e", 1); /* the end was seen */
		pause();
		_exit(0);
	}
	close(pair[1]);
	assert_int_equal(read(pair[0], &byte, 1), 1);
	return pair[0];
}

bool world_is_closed(struct world *w, int fd, int ms)
{
	uint64_t until = clock_boot_ns() + (uint64_t)ms * NS_PER_MS;
	char byte;

	do {
		ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
		world_step(w, 5);
	} while (clock_boot_ns() < until);
	return false;
}

int world_admin_msg(struct world *w, uint16_t type, struct slice body, struct slice *ret_json)
{
	static struct buf answer = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64);
	int fd = connect_to(world_path(w, "admin.sock"), SOCK_SEQPACKET);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct msg_AD_REPLY reply;
	struct chan_msg m;

	assert_true(fd >= 0);
	assert_int_equal(ipc_send(fd, type, 7, body, NULL, 0), 0);
	for (int i = 0; i < 400 && poll(&p, 1, 0) == 0; i++)
		world_step(w, 10);
	assert_int_equal(ipc_recv(fd, &answer, &m), 0);
	assert_int_equal(m.type, MSG_AD_REPLY);
	assert_int_equal(m.id, 7);
	assert_int_equal(msg_get_AD_REPLY(m.body, &reply), 0);
	close(fd);
	*ret_json = reply.json;
	return reply.err;
}

int world_admin(struct world *w, uint32_t what, uint32_t arg, struct slice *ret_json)
{
	const struct msg_AD_REQUEST ask = { .what = what, .arg = arg };
	AUTO(buf) struct buf body = BUF_INIT(64);

	msg_put_AD_REQUEST(&body, &ask);
	return world_admin_msg(w, MSG_AD_REQUEST, buf_slice(&body), ret_json);
}

void world_recompile(struct world *w)
{
	unsigned int before = w->compiles;
	int fd = open(world_path(w, "policy/changed.yaml"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	close(fd);
	world_until(w, w->compiles > before);
}
