/* SPDX-License-Identifier: Apache-2.0 */
/* parent_world.c - starts svidd on this test program, and reads what the roles say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/mem.h"
#include "tests/role/parent_world.h"

#define WAIT_MS 8000

const char *const world_stored[WORLD_STORED] = { "public", "admin", "fuse", "fuse-state" };

void world_path(const struct world *w, const char *name, char out[static 128])
{
	snprintf(out, 128, "%s/%s", w->dir, name);
}

void world_write(const struct world *w, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	world_path(w, name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_bin_dir(const struct world *w)
{
	static const char *const names[] = { "svid-core", "svid-keys", "svid-attest", "svid-front", "svid-undertaker",
					     "svid-cloud", "svid" };
	char self[256], path[128];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = 0;
	world_path(w, "bin", path);
	assert_int_equal(mkdir(path, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/bin/%s", w->dir, names[i]);
		assert_int_equal(symlink(self, path), 0);
	}
}

int world_setup(void **state)
{
	struct world *w = mem_new(struct world);
	char path[128];

	if (!w || geteuid() != 0)
		return -1;
	strncpy(w->dir, "/tmp/svid-parent-XXXXXX", sizeof(w->dir) - 1);
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	make_bin_dir(w);
	world_path(w, "policy.d", path);
	assert_int_equal(mkdir(path, 0755), 0);
	world_write(w, "svid.yaml", "kind: Agent\n");
	world_path(w, "log", path);
	w->notify = -1;
	w->log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(w->log >= 0);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;
	char command[160];

	if (w->svidd) {
		kill(w->svidd, SIGKILL);
		waitpid(w->svidd, NULL, 0);
	}
	close(w->log);
	for (int i = 0; i < WORLD_STORED; i++)
		if (w->stored[i] > 0)
			close(w->stored[i]);
	snprintf(command, sizeof(command), "%s/run/credentials", w->dir);
	while (w->delivery && umount2(command, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	if (w->notify >= 0)
		close(w->notify);
	snprintf(command, sizeof(command), "%s", w->dir);
	mem_free(w);
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", command, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

/* As systemd does after a crash. */
static void pass_stored(const struct world *w)
{
	char number[16], names[64] = "";
	int high[WORLD_STORED], n = 0;

	for (int i = 0; i < WORLD_STORED; i++) {
		if (w->stored[i] <= 0)
			continue;
		high[n++] = fcntl(w->stored[i], F_DUPFD, 20);
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", *names ? ":" : "", world_stored[i]);
	}
	for (int i = 0; i < n; i++)
		dup2(high[i], 3 + i);
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%d", n);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static NORETURN void exec_svidd(const struct world *w, const char *extra)
{
	char config[128], policy[128], run[128], state[128], audit[128], bin[128], notify_path[128];
	const char *argv[] = { "svidd", "--config", config, "--policy-dir", policy, "--run-dir", run, "--state-dir", state,
			       "--audit", audit, "--bin-dir", bin, "--ids", IDS_ARG, "--instance", "parent-test",
			       "--log-level", "debug", "--delivery", w->delivery ? w->delivery : "none", extra,
			       extra ? "socket" : NULL, NULL };

	world_path(w, "svid.yaml", config);
	world_path(w, "policy.d", policy);
	world_path(w, "run", run);
	world_path(w, "state", state);
	world_path(w, "audit", audit);
	world_path(w, "bin", bin);
	world_path(w, "notify", notify_path);
	if (w->notify >= 0)
		setenv("NOTIFY_SOCKET", notify_path, 1);
	dup2(w->log, 2);
	if (w->stored[0] > 0)
		pass_stored(w);
	execv(SVID_BIN "/svidd", (char *const *)argv);
	_exit(127);
}

void world_start_with(struct world *w, const char *extra)
{
	w->svidd = fork();
	if (w->svidd == 0)
		exec_svidd(w, extra);
	assert_true(w->svidd > 0);
}

void world_be_systemd(struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", w->dir);
	w->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(w->notify, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

/* The next datagram to systemd, with its descriptor (-1: none). */
void world_notice(struct world *w, char text[static 64], int *ret_fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { text, 63 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(w->notify, &mh, MSG_CMSG_CLOEXEC);

	assert_true(n > 0);
	text[n] = 0;
	*ret_fd = -1;
	if (CMSG_FIRSTHDR(&mh))
		memcpy(ret_fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(int));
}

unsigned int world_count(const struct world *w, const char *text)
{
	static char all[1 << 20];
	ssize_t n = pread(w->log, all, sizeof(all) - 1, 0);
	unsigned int found = 0;

	assert_true(n >= 0);
	all[n] = 0;
	for (const char *p = all; (p = strstr(p, text)); p += strlen(text))
		found++;
	return found;
}

static void dump_log(const struct world *w)
{
	char text[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(w->log, text, sizeof(text), at)) > 0) {
		(void)!write(2, text, (size_t)n);
		at += n;
	}
}

void world_wait(const struct world *w, const char *text, unsigned int n)
{
	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (world_count(w, text) >= n)
			return;
		usleep(5000);
	}
	dump_log(w);
	fail_msg("never saw %u x '%s'", n, text);
}

void world_start(struct world *w)
{
	world_start_with(w, "--attestation");
	world_wait(w, "event=\"ready\"", 1);
}

void world_tell_core(const struct world *w, const char *word)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	unsigned int before = world_count(w, "FAKE core obeys");

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/private/admin.sock", w->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_true(send(fd, word, strlen(word), 0) > 0);
	world_wait(w, "FAKE core obeys", before + 1);
	close(fd);
}

int world_end(struct world *w)
{
	int status = -1;

	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (waitpid(w->svidd, &status, WNOHANG) == w->svidd) {
			w->svidd = 0;
			return status;
		}
		usleep(5000);
	}
	dump_log(w);
	fail_msg("svidd did not end");
	return -1;
}
