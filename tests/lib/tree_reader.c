// SPDX-License-Identifier: Apache-2.0
/* tree_reader.c - a process that reads the credential tree in the ways it is told (tree_rig.h). */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/tree_rig.h"

static int channel, file = -1;

struct job {
	const struct reader_call *call;
	struct reader_result *result;
};

static int64_t or_errno(int64_t ret)
{
	return ret < 0 ? -errno : ret;
}

static size_t bounded(int64_t count)
{
	return count < RIG_DATA ? (size_t)count : RIG_DATA;
}

static void *thread_main(void *arg)
{
	struct job *job = arg;

	job->result->ret = or_errno(pread(file, job->result->data, bounded(job->call->b), job->call->a));
	return NULL;
}

static int64_t in_thread(const struct reader_call *call, struct reader_result *result)
{
	struct job job = { call, result };
	pthread_t thread;

	pthread_create(&thread, NULL, thread_main, &job);
	pthread_join(thread, NULL);
	return result->ret;
}

static int64_t by_pipe(const struct reader_call *call, struct reader_result *result)
{
	int ends[2];
	int64_t n;

	if (pipe2(ends, O_NONBLOCK))
		return -errno;
	if (call->op == READER_SENDFILE)
		n = or_errno(sendfile(ends[1], file, NULL, bounded(call->b)));
	else
		n = or_errno(splice(file, NULL, ends[1], NULL, bounded(call->b), 0));
	if (n > 0)
		n = or_errno(read(ends[0], result->data, RIG_DATA));
	close(ends[0]);
	close(ends[1]);
	return n;
}

static int64_t by_uring(const struct reader_call *call, struct reader_result *result)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	int64_t n = io_uring_queue_init(4, &ring, (unsigned int)call->c);

	if (n < 0)
		return n;
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, file, result->data, (unsigned int)bounded(call->b), (uint64_t)call->a);
	sqe->flags = (uint8_t)call->d;
	io_uring_submit(&ring);
	n = io_uring_wait_cqe(&ring, &cqe);
	if (n == 0)
		n = cqe->res;
	io_uring_queue_exit(&ring);
	return n;
}

static int64_t steal(const struct reader_call *call)
{
	int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)call->a, 0);

	file = (int)syscall(SYS_pidfd_getfd, pidfd, (int)call->b, 0);
	if (file < 0)
		file = -errno;
	close(pidfd);
	return file;
}

static int64_t own_sysfs(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS))
		return -errno;
	return or_errno(mount("sysfs", "/sys", "sysfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
}

static void caught(int number)
{
	(void)number;
}

static int64_t fork_on(void)
{
	pid_t child = fork();

	if (child > 0) {
		waitpid(child, NULL, 0);
		_exit(0);
	}
	return child < 0 ? -errno : getpid();
}

static void exec_self(void)
{
	char word[16], name[64];
	ssize_t n = readlink("/proc/self/exe", name, sizeof(name) - 1);

	(void)n;
	snprintf(word, sizeof(word), "%d,%d", channel, file);
	execl("/proc/self/exe", "reader", "reader", word, NULL);
}

static int64_t run(const struct reader_call *call, struct reader_result *result)
{
	switch (call->op) {
	case READER_OPEN:
		file = open(call->path, O_RDONLY);
		return or_errno(file);
	case READER_USE:
		file = (int)call->a;
		return file;
	case READER_CLOSE:
		return or_errno(close(file));
	case READER_PREAD:
		return or_errno(pread(file, result->data, bounded(call->b), call->a));
	case READER_READ:
		return or_errno(read(file, result->data, bounded(call->b)));
	case READER_THREAD:
		return in_thread(call, result);
	case READER_MAP:
		return mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED ? -errno : 0;
	case READER_SENDFILE:
	case READER_SPLICE:
		return by_pipe(call, result);
	case READER_URING:
		return by_uring(call, result);
	case READER_STEAL:
		return steal(call);
	case READER_SETUID:
		return or_errno(setresuid((uid_t)call->a, (uid_t)call->a, (uid_t)call->a));
	case READER_EXEC:
		exec_self();
		return -errno;
	case READER_SYSFS:
		return own_sysfs();
	case READER_CATCH:
		return or_errno(sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = caught }, NULL));
	case READER_FORK:
		return fork_on();
	}
	return -EINVAL;
}

static void serve(void)
{
	static struct reader_result result;
	struct reader_call call;
	int64_t start;

	send(channel, &result, sizeof(result), MSG_NOSIGNAL);
	while (recv(channel, &call, sizeof(call), 0) == sizeof(call)) {
		memset(&result, 0, sizeof(result));
		start = rig_ms();
		result.ret = run(&call, &result);
		result.ms = rig_ms() - start;
		send(channel, &result, sizeof(result), MSG_NOSIGNAL);
	}
	_exit(0);
}

int reader_main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "reader"))
		return 0;
	channel = (int)strtol(argv[2], NULL, 10);
	file = (int)strtol(strchr(argv[2], ',') + 1, NULL, 10);
	serve();
	return 1;
}

struct reader reader_start(void)
{
	static struct reader_result hello;
	struct reader reader;
	int pair[2], room = 4 * (int)sizeof(struct reader_result);

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		abort();
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	reader.fd = pair[0];
	reader.pid = fork();
	if (reader.pid == 0) {
		/* the agent's file above all must not live on in a reader */
		dup2(pair[1], 3);
		syscall(SYS_close_range, 4, ~0U, 0);
		channel = 3;
		serve();
	}
	close(pair[1]);
	if (!reader_hear(&reader, 10000, &hello))
		abort();
	return reader;
}

void reader_tell(const struct reader *reader, const struct reader_call *call)
{
	if (send(reader->fd, call, sizeof(*call), MSG_NOSIGNAL) != sizeof(*call))
		abort();
}

bool reader_hear(const struct reader *reader, int ms, struct reader_result *ret)
{
	struct pollfd poller = { .fd = reader->fd, .events = POLLIN };

	return poll(&poller, 1, ms) == 1 && recv(reader->fd, ret, sizeof(*ret), 0) == sizeof(*ret);
}

int64_t reader_do(const struct reader *reader, const struct reader_call *call)
{
	static struct reader_result result;

	reader_tell(reader, call);
	return reader_hear(reader, 10000, &result) ? result.ret : -ETIME;
}

void reader_end(struct reader *reader)
{
	kill(reader->pid, SIGKILL);
	waitpid(reader->pid, NULL, 0);
	close(reader->fd);
}

pid_t loop_start(int tree)
{
	static const char *const names[] = { "self/svid/cert.pem", "self/svid/key.pem", "a/b", "a/c/d", "a" };
	char data[8192], paths[5][256];
	pid_t pid = fork();
	int fd;

	if (pid)
		return pid;
	close(tree);
	for (int i = 0; i < 5; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s", tree_path(names[i]));
	for (unsigned int i = (unsigned int)getpid();; i = i * 1103515245 + 12345) {
		fd = open(paths[(i >> 16) % 5], O_RDONLY);
		if (fd < 0)
			continue;
		while (read(fd, data, sizeof(data)) > 0)
			;
		close(fd);
	}
}

void loop_end(const pid_t *pids, int n)
{
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < n; i++)
		waitpid(pids[i], NULL, 0);
}
