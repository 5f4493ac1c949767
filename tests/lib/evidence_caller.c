// SPDX-License-Identifier: Apache-2.0
/* evidence_caller.c - see evidence_caller.h. Descriptor 3 is the control socket, 4 the connection; both survive exec. */
#include "tests/lib/evidence_caller.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/prctl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define CTL 3
#define CONN 4
#define STAT_FIELDS 53
#define OTHER_ID 1000

static char **self_argv;
static const char *target; /* where to connect */

static void answer(int result)
{
	int32_t r = result;

	if (send(CTL, &r, sizeof(r), MSG_NOSIGNAL) != sizeof(r))
		_exit(3);
}

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0)
		return -errno;
	if (fd != CONN) {
		dup2(fd, CONN);
		close(fd);
	}
	return 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	return connect(CONN, (struct sockaddr *)&sa, sizeof(sa)) < 0 ? -errno : 0;
}

static int miss(void)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/nowhere%s", strrchr(target, '/'));
	return connect_to(path) == -ENOENT ? 0 : -EEXIST;
}

static int do_send(void)
{
	return send(CONN, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int do_recv(void)
{
	char c;

	return recv(CONN, &c, 1, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int do_splice(int from_socket)
{
	int p[2];

	if (pipe(p) < 0)
		return -errno;
	if (from_socket)
		return splice(CONN, NULL, p[1], NULL, 1, SPLICE_F_NONBLOCK) < 0 ? -errno : 0;
	if (write(p[1], "y", 1) != 1)
		return -errno;
	return splice(p[0], NULL, CONN, NULL, 1, 0) < 0 ? -errno : 0;
}

static int child_does(enum caller_do what)
{
	switch (what) {
	case CALLER_CHILD_SEND:
		return do_send();
	case CALLER_CHILD_RECV:
		return do_recv();
	case CALLER_CHILD_SPLICE_READ:
		return do_splice(1);
	case CALLER_CHILD_SPLICE_WRITE:
		return do_splice(0);
	default:
		return connect_to(target);
	}
}

/* The child's errno comes back as its exit code. */
static int in_child(enum caller_do what)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(-child_does(what));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

static int linger(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(CTL);
	while (getppid() == parent) /* it may have ended before the line above */
		pause();
	_exit(0);
}

static void *exec_again(void *unused)
{
	char *argv[] = { self_argv[0], "--caller", self_argv[2], "trusted", NULL };

	(void)unused;
	execv("/proc/self/exe", argv);
	answer(-errno);
	return NULL;
}

static void *thread_fsuid(void *ret)
{
	*(int *)ret = syscall(SYS_setfsuid, OTHER_ID) < 0 ? -errno : 0;
	answer(*(int *)ret);
	for (;;)
		pause();
	return NULL;
}

static int in_thread(void *(*f)(void *), void *arg)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, f, arg);

	if (err)
		return -err;
	for (;;) {
		/* exec_again() replaces us; thread_fsuid() answers for us */
		if (f != exec_again)
			return 0;
		pause();
	}
}

static int rewrite_argv(void)
{
	char *end = self_argv[2] + strlen(self_argv[2]);

	memset(self_argv[0], 'T', (size_t)(end - self_argv[0]));
	return 0;
}

/* Replace the mappings of our file by anonymous copies, so that the kernel lets the exe link go elsewhere (K4). */
static int unmap_own_file(void)
{
	char line[512], exe[256];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long lo[16], hi[16];
	int prot[16], count = 0;
	char perms[5];

	if (!f || n < 0)
		return -errno;
	exe[n] = 0;
	while (count < 16 && fgets(line, sizeof(line), f)) {
		if (!strstr(line, exe) || sscanf(line, "%lx-%lx %4s", &lo[count], &hi[count], perms) != 3)
			continue;
		prot[count++] = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
				(perms[2] == 'x' ? PROT_EXEC : 0);
	}
	fclose(f);
	for (int i = 0; i < count; i++) {
		size_t len = hi[i] - lo[i];
		void *copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (copy == MAP_FAILED)
			return -errno;
		memcpy(copy, (void *)lo[i], len);
		if (mprotect(copy, len, prot[i]) < 0 ||
		    mremap(copy, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)lo[i]) == MAP_FAILED)
			return -errno;
	}
	return 0;
}

static int stat_fields(unsigned long ret[STAT_FIELDS])
{
	char text[1024];
	FILE *f = fopen("/proc/self/stat", "re");
	char *p;

	memset(ret, 0, STAT_FIELDS * sizeof(*ret));
	if (!f || !fgets(text, sizeof(text), f))
		return -EIO;
	fclose(f);
	p = strrchr(text, ')');
	for (int i = 2; p && i < STAT_FIELDS; i++) {
		ret[i] = strtoul(p + 1, NULL, 10);
		p = strchr(p + 1, ' ');
	}
	return 0;
}

static int spoof_exe(void)
{
	unsigned long s[STAT_FIELDS];
	struct prctl_mm_map map = { 0 };
	int err = unmap_own_file();

	if (!err)
		err = stat_fields(s);
	if (err)
		return err;
	/* as proc(5) numbers them */
	map.start_code = s[26];
	map.end_code = s[27];
	map.start_stack = s[28];
	map.start_data = s[45];
	map.end_data = s[46];
	map.start_brk = s[47];
	map.brk = (uint64_t)sbrk(0);
	map.arg_start = s[48];
	map.arg_end = s[49];
	map.env_start = s[50];
	map.env_end = s[51];
	map.exe_fd = (uint32_t)open("/bin/true", O_RDONLY | O_CLOEXEC);
	return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0 ? -errno : 0;
}

static int do_setgroups(void)
{
	gid_t g = OTHER_ID;

	return setgroups(1, &g) < 0 ? -errno : 0;
}

static int do_chroot(void)
{
	static char name[128];
	char dir[128];

	(void)snprintf(name, sizeof(name), "%s", strrchr(target, '/'));
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(target, '/') - target), target);
	target = name;
	return chroot(dir) < 0 ? -errno : 0;
}

/* Returns 1 when somebody else answers. */
static int obey(enum caller_do what, int *ret)
{
	static int fsuid_result;

	switch (what) {
	case CALLER_CONNECT:
		*ret = make_socket();
		if (!*ret)
			*ret = connect_to(target);
		return 0;
	case CALLER_SOCKET:
		*ret = make_socket();
		return 0;
	case CALLER_MISS:
		*ret = miss();
		return 0;
	case CALLER_SEND:
		*ret = do_send();
		return 0;
	case CALLER_RECV:
		*ret = do_recv();
		return 0;
	case CALLER_EXEC:
		exec_again(NULL);
		return 1;
	case CALLER_THREAD_EXEC:
		*ret = in_thread(exec_again, NULL);
		return 0;
	case CALLER_LINGER:
		*ret = linger();
		return 0;
	case CALLER_SETUID:
		*ret = setresuid(OTHER_ID, OTHER_ID, OTHER_ID) < 0 ? -errno : 0;
		return 0;
	case CALLER_THREAD_FSUID:
		return in_thread(thread_fsuid, &fsuid_result) == 0;
	case CALLER_SETGROUPS:
		*ret = do_setgroups();
		return 0;
	case CALLER_REWRITE_ARGV:
		*ret = rewrite_argv();
		return 0;
	case CALLER_SPOOF_EXE:
		*ret = spoof_exe();
		return 0;
	case CALLER_CHROOT:
		*ret = do_chroot();
		return 0;
	case CALLER_USERNS:
	case CALLER_MNTNS:
		*ret = unshare(CLONE_NEWUSER | (what == CALLER_MNTNS ? CLONE_NEWNS : 0)) < 0 ? -errno : 0;
		return 0;
	case CALLER_QUIT:
		_exit(0);
	default:
		*ret = in_child(what);
		return 0;
	}
}

void caller_main(int argc, char **argv)
{
	char what;

	if (argc < 3 || strcmp(argv[1], "--caller") != 0)
		return;
	/* a script's line has put its own words in front */
	self_argv = argc > 4 && strcmp(argv[3], "--caller") == 0 ? argv + 2 : argv;
	target = self_argv[2];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc > 3 && strcmp(argv[3], "trusted") == 0)
		answer(0);
	while (recv(CTL, &what, 1, 0) == 1) {
		int result = -EINVAL;

		if (!obey(what, &result))
			answer(result);
	}
	_exit(0);
}

static void become_caller(int ctl, const char *exe, const char *path, char *const args[], char *const env[])
{
	char *argv[16] = { "caller", "--caller", (char *)path };

	for (int i = 0; args && args[i] && i < 12; i++)
		argv[3 + i] = args[i];
	dup2(ctl, CTL);
	close_range(CONN, ~0u, 0);
	execve(exe, argv, env);
	_exit(127);
}

struct caller caller_start(const char *path, char *const args[], char *const env[])
{
	return caller_start_exe("/proc/self/exe", path, args, env);
}

struct caller caller_start_exe(const char *exe, const char *path, char *const args[], char *const env[])
{
	static char *no_env[] = { NULL };
	struct caller c;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		abort();
	c.pid = fork();
	if (c.pid < 0)
		abort();
	if (c.pid == 0)
		become_caller(sv[1], exe, path, args, env ? env : no_env);
	close(sv[1]);
	c.ctl = sv[0];
	return c;
}

int caller_do(struct caller *c, enum caller_do what)
{
	char byte = (char)what;
	int32_t r;

	if (send(c->ctl, &byte, 1, MSG_NOSIGNAL) != 1 || recv(c->ctl, &r, sizeof(r), 0) != sizeof(r))
		return -EPIPE;
	return r;
}

void caller_end(struct caller *c)
{
	char byte = CALLER_QUIT;

	if (c->pid <= 0)
		return;
	(void)!send(c->ctl, &byte, 1, MSG_NOSIGNAL);
	waitpid(c->pid, NULL, 0);
	close(c->ctl);
	c->pid = 0;
}
