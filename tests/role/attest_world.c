/* SPDX-License-Identifier: Apache-2.0 */
/* attest_world.c - starts svid-attest as svidd does, and speaks to it. */
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
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/ipc/plan.h"
#include "agent/parent/launch.h"
#include "tests/role/attest_world.h"

/* As svidd does it: own user, two capabilities. */
static pid_t start_worker(int channel, unsigned int index)
{
	char word[32];
	const char *const argv[] = { "svid-attest", word, "--log=warn", NULL };
	/* What it says when it refuses is expected; VERBOSE=1 shows it. */
	struct launch l = { .role = ROLE_ATTEST, .who = { IDS, IDS }, .fds = &channel, .n_fds = 1, .argv = argv };
	pid_t pid = 0;

	snprintf(word, sizeof(word), "--index=%u", index);
	l.exec_fd = open(SVID_BIN "/svid-attest", O_PATH | O_CLOEXEC);
	l.log_fd = getenv("VERBOSE") ? 2 : open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(l.exec_fd >= 0 && l.log_fd >= 0);
	assert_int_equal(launch(&l, &pid), 0);
	close(l.exec_fd);
	if (l.log_fd != 2)
		close(l.log_fd);
	return pid;
}

void world_give_core(struct world *w)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ipc_put_fds(w->svidd, A_CORE, 0, &pair[1], 1), 0);
	close(pair[1]);
	if (w->core >= 0)
		close(w->core);
	w->core = pair[0];
}

int world_receive(struct world *w, int fd, struct chan_msg *ret_m)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, WAIT_MS) != 1)
		return -ETIME;
	return ipc_recv(fd, &w->scratch, ret_m);
}

static int setup(void **state, unsigned int index)
{
	struct world *w = mem_new(struct world);
	struct chan_msg m;
	int pair[2];

	if (!w || geteuid() != 0)
		return -1;
	w->core = -1;
	w->scratch = (struct buf)BUF_INIT(LIM_IPC_BODY);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	w->worker = start_worker(pair[1], index);
	close(pair[1]);
	w->svidd = pair[0];
	assert_int_equal(world_receive(w, w->svidd, &m), 0);
	assert_int_equal(m.type, MSG_A_READY);
	world_give_core(w);
	*state = w;
	return 0;
}

int world_setup(void **state)
{
	return setup(state, 1);
}

int world_setup_hasher(void **state)
{
	return setup(state, LIM_ATTEST_LOOKERS);
}

static void end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;

	end(&w->victim);
	end(&w->worker);
	close(w->svidd);
	if (w->core >= 0)
		close(w->core);
	buf_done(&w->scratch);
	mem_free(w);
	return 0;
}

/* The wait(2) status of the worker, which must end by itself. */
int world_worker_status(struct world *w)
{
	int status;

	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (waitpid(w->worker, &status, WNOHANG) == w->worker) {
			w->worker = 0;
			return status;
		}
		usleep(5000);
	}
	fail_msg("the worker did not end");
	return -1;
}

void world_assert_refused(struct world *w)
{
	int status = world_worker_status(w);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
}

void world_run_victim(struct world *w, const char *path)
{
	int ready[2];
	char end_of_exec;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	w->victim = fork();
	if (w->victim == 0) {
		if (setgid(VICTIM) < 0 || setuid(VICTIM) < 0)
			_exit(126);
		execl(path, "victim", "30", NULL);
		_exit(127);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &end_of_exec, 1), 0); /* closed by exec */
	close(ready[0]);
}

uint64_t world_start(pid_t pid)
{
	char path[64], text[1024], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	p = strrchr(text, ')') + 2;
	for (int field = 3; field < 22; field++)
		p = strchr(p, ' ') + 1;
	return strtoull(p, NULL, 10) * (NS_PER_S / 100) + 1234567; /* inside the tick */
}

struct msg_A_IDENTIFY world_question(const struct world *w, const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (struct msg_A_IDENTIFY){
		.pid = (uint32_t)w->victim,
		.start = world_start(w->victim),
		.dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev),
		.ino = st.st_ino,
	};
}

struct msg_A_IDENTITY world_ask(struct world *w, const struct msg_A_IDENTIFY *q)
{
	struct msg_A_IDENTITY a = { .path_err = 1 };
	struct chan_msg m;
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);

	msg_put_A_IDENTIFY(&body, q);
	assert_int_equal(ipc_send(w->core, MSG_A_IDENTIFY, 42, buf_slice(&body), NULL, 0), 0);
	assert_int_equal(world_receive(w, w->core, &m), 0);
	assert_int_equal(m.type, MSG_A_IDENTITY);
	assert_int_equal(m.id, 42);
	assert_int_equal(msg_get_A_IDENTITY(m.body, &a), 0);
	return a;
}
