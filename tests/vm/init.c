/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process 1 of the test VM (static, in the initramfs): loads the modules it finds, makes the host's tree its root, runs one
 * command with its output on the second serial port and leaves the exit code on the third. run.sh builds and starts it.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

struct mount_row {
	const char *type, *source, *target, *options;
};

/*
 * The host's own disk cannot be written: what must be writable is memory, or memory over the host's files. A row without a
 * type only makes the directory.
 */
static const struct mount_row mounts[] = {
	{ "proc", "proc", "/proc", NULL },
	{ "sysfs", "sysfs", "/sys", NULL },
	{ "devtmpfs", "devtmpfs", "/dev", NULL },
	{ "devpts", "devpts", "/dev/pts", "ptmxmode=0666" },
	{ "tmpfs", "tmpfs", "/dev/shm", "mode=1777" },
	{ "cgroup2", "cgroup2", "/sys/fs/cgroup", NULL },
	{ "bpf", "bpf", "/sys/fs/bpf", "mode=0700" },
	{ "securityfs", "securityfs", "/sys/kernel/security", NULL },
	{ "debugfs", "debugfs", "/sys/kernel/debug", NULL },
	{ "tracefs", "tracefs", "/sys/kernel/tracing", NULL },
	{ "tmpfs", "tmpfs", "/run", "mode=0755" },
	{ NULL, NULL, "/run/vm", NULL },
	{ NULL, NULL, "/run/vm/etc", NULL },
	{ NULL, NULL, "/run/vm/etc-work", NULL },
	{ NULL, NULL, "/run/vm/var", NULL },
	{ NULL, NULL, "/run/vm/var-work", NULL },
	{ "overlay", "etc", "/etc", "lowerdir=/etc,upperdir=/run/vm/etc,workdir=/run/vm/etc-work" },
	{ "overlay", "var", "/var", "lowerdir=/var,upperdir=/run/vm/var,workdir=/run/vm/var-work" },
	{ "tmpfs", "tmpfs", "/tmp", "mode=1777" },
};

static void must(int result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
}

/* run.sh numbered them so that each comes after those it needs. */
static void load_modules(void)
{
	char path[32];
	int fd;

	for (int i = 0;; i++) {
		snprintf(path, sizeof(path), "/modules/%d", i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		must(syscall(SYS_finit_module, fd, "", 0), path);
		close(fd);
	}
}

static void enter_host_tree(void)
{
	must(mount("host", "/host", "9p", MS_RDONLY, "trans=virtio,version=9p2000.L,msize=512000,cache=loose"),
	     "9p");
	must(chdir("/host"), "/host");
	must(mount(".", "/", NULL, MS_MOVE, NULL), "move root");
	must(chroot("."), "chroot");
}

static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct mount_row *m = &mounts[i];

		if (mkdir(m->target, 0755) < 0 && errno != EEXIST && errno != EROFS)
			warn("mkdir %s", m->target);
		if (m->type)
			must(mount(m->source, m->target, m->type, 0, m->options), m->target);
	}
}

static void link_descriptors(void)
{
	must(symlink("/proc/self/fd", "/dev/fd"), "/dev/fd");
	must(symlink("fd/0", "/dev/stdin"), "/dev/stdin");
	must(symlink("fd/1", "/dev/stdout"), "/dev/stdout");
	must(symlink("fd/2", "/dev/stderr"), "/dev/stderr");
}

/* A checkout under /tmp or /run would have vanished below the memory just mounted there. */
static void show_again(int tree, const char *path)
{
	char link[32], part[4096];

	if (access(path, F_OK) == 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", tree);
	for (size_t i = 1; path[i - 1] && i < sizeof(part); i++) {
		if (path[i] && path[i] != '/')
			continue;
		snprintf(part, sizeof(part), "%.*s", (int)i, path);
		mkdir(part, 0755);
	}
	must(mount(link, path, NULL, MS_BIND, NULL), path);
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(ioctl(fd, SIOCSIFFLAGS, &request), "lo");
	close(fd);
}

static int open_port(const char *path)
{
	struct termios mode;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	must(fd, path);
	must(tcgetattr(fd, &mode), path);
	cfmakeraw(&mode);
	must(tcsetattr(fd, TCSANOW, &mode), path);
	return fd;
}

static pid_t start(const char *job, int port)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
	dup2(port, 1);
	dup2(port, 2);
	execl("/bin/sh", "sh", job, (char *)NULL);
	err(127, "/bin/sh");
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(-1, &status, 0) != pid)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	int tree, port, result, code;

	/* What this kernel does not know of its command line comes first. */
	if (argc < 3)
		errx(1, "the kernel command line must name the job and the tree");
	argv += argc - 3;
	load_modules();
	enter_host_tree();
	tree = open(argv[2], O_PATH | O_CLOEXEC);
	must(tree, argv[2]);
	mount_all();
	show_again(tree, argv[2]);
	link_descriptors();
	loopback_up();
	port = open_port("/dev/ttyS1");
	result = open_port("/dev/ttyS2");
	code = wait_for(start(argv[1], port));
	tcdrain(port);
	dprintf(result, "%d\n", code);
	tcdrain(result);
	reboot(RB_AUTOBOOT);
	return 1;
}
