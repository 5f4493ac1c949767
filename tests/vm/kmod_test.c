// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/kmod_rig.c tests/lib/evidence_caller.c tests/lib/tree_rig.c */
/*
 * kmod_test.c - svid.ko's evidence file: requests and their errors, words, events, marks, and that nothing is left behind.
 * Runs as root in the VM: tests/vm/module_test.sh. What records say is in tests/unit/provider_test.c. Next: kmod_state_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/kmod_rig.h"

#define CONN_SLOT 5
#define HOLDER_SLOT 6

static int call(int fd, unsigned long request, void *arg)
{
	int result = ioctl(fd, request, arg);

	return result < 0 ? -errno : result;
}

/* ---- the device and its structs ---- */

static void hello_says_what_this_is(void **state)
{
	struct svid_dev_hello h = { .size = sizeof(h) };

	(void)state;
	assert_int_equal(call(seat.dev, SVID_IOC_HELLO, &h), 0);
	assert_int_equal(h.version, SVID_DEV_VERSION);
	assert_int_equal(h.abi, SVID_ABI_VERSION);
	assert_int_equal(h.schema, SVID_SCHEMA_VERSION);
	assert_int_equal(h.conn_flags, SVID_CONN_SEES_TRACE | SVID_CONN_SEES_CRED | SVID_CONN_SEES_SPLICE);
	assert_int_equal(h.ready, 1);
}

/* Each struct of a request: shorter, longer with zeros, longer with something, not there. */
static void sizes_follow_the_rule(void **state)
{
	static const struct {
		unsigned long request;
		uint32_t size;
		bool on_device;
		int plain;	/* what the struct of the right size, all zero, says */
	} t[] = {
		{ SVID_IOC_HELLO, sizeof(struct svid_dev_hello), true, 0 },
		{ SVID_IOC_LISTEN, sizeof(struct svid_dev_listen), false, -ENOTSOCK },
		{ SVID_IOC_ASK, sizeof(struct svid_dev_ask), false, -EINVAL },
		{ SVID_IOC_HOLD, sizeof(struct svid_dev_hold), false, -EINVAL },
		{ SVID_IOC_UNHOLD, sizeof(struct svid_dev_key), false, -ENOENT },
		{ SVID_IOC_IMAGE, sizeof(struct svid_dev_image), false, -ENOENT },
		{ SVID_IOC_READER, sizeof(struct svid_dev_reader), false, -ESRCH },
	};
	char *at = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_int_equal(mprotect(at + 2 * 4096, 4096, PROT_NONE), 0);
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		int fd = t[i].on_device ? seat.dev : seat.ev;
		char *edge = at + 2 * 4096 - t[i].size;

		memset(at, 0, 2 * 4096);
		*(uint32_t *)at = t[i].size;
		assert_int_equal(call(fd, t[i].request, at), t[i].plain);
		*(uint32_t *)at = t[i].size - 4;
		assert_int_equal(call(fd, t[i].request, at), -EINVAL);
		*(uint32_t *)at = 0;
		assert_int_equal(call(fd, t[i].request, at), -EINVAL);
		memset(at, 0, 2 * 4096);
		*(uint32_t *)at = t[i].size + 64;
		assert_int_equal(call(fd, t[i].request, at), t[i].plain);
		at[t[i].size + 63] = 1;
		*(uint32_t *)at = t[i].size + 64;
		assert_int_equal(call(fd, t[i].request, at), -E2BIG);
		*(uint32_t *)at = UINT32_MAX;
		assert_int_equal(call(fd, t[i].request, at), -E2BIG);
		*(uint32_t *)edge = t[i].size + 4;
		assert_int_equal(call(fd, t[i].request, edge), -EFAULT);
		assert_int_equal(call(fd, t[i].request, NULL), -EFAULT);
		assert_int_equal(call(fd, t[i].request, at + 2 * 4096), -EFAULT);
		/* the size inside the number is nothing to go by */
		memset(at, 0, 2 * 4096);
		*(uint32_t *)at = t[i].size;
		assert_int_equal(call(fd, t[i].request ^ (8UL << _IOC_SIZESHIFT), at), t[i].plain);
	}
	munmap(at, 3 * 4096);
}

static void answer_is_cut_or_followed_by_zeros(void **state)
{
	struct {
		struct svid_dev_hello h;
		uint64_t beyond;
	} msg = { .h.size = sizeof(msg) };

	(void)state;
	assert_int_equal(call(seat.dev, SVID_IOC_HELLO, &msg), 0);
	assert_int_equal(msg.h.version, SVID_DEV_VERSION);
	assert_int_equal(msg.beyond, 0);
	assert_int_equal(msg.h.size, sizeof(msg));
}

static void unknown_requests_are_enotty(void **state)
{
	int words = ioctl(seat.ev, SVID_IOC_WORDS);

	(void)state;
	for (unsigned int nr = 0; nr < 256; nr++) {
		if (nr == 1 || nr == 2 || nr == 3)
			continue;
		assert_int_equal(call(seat.dev, _IO(0xB5, nr), NULL), -ENOTTY);
	}
	for (unsigned int nr = 0; nr < 256; nr++)
		if (nr < 0x10 || nr > 0x16)
			assert_int_equal(call(seat.ev, _IOWR(0xB5, nr, struct svid_dev_key), NULL), -ENOTTY);
	assert_int_equal(call(seat.ev, _IOWR(0xB6, 0x16, struct svid_dev_key), NULL), -ENOTTY);
	assert_int_equal(call(words, SVID_IOC_ASK, NULL), -ENOTTY);
	close(words);
}

static void pads_and_slots_are_checked(void **state)
{
	struct svid_dev_listen listen = { .size = sizeof(listen), .fd = seat.listener, .pad0 = 1 };
	struct svid_dev_key key = { .size = sizeof(key), .pad0 = 1 };
	struct svid_dev_image image = { .size = sizeof(image), .pad0 = 1 };
	struct svid_dev_hold hold = { .size = sizeof(hold), .slot = SVID_WORDS };

	(void)state;
	assert_int_equal(call(seat.ev, SVID_IOC_LISTEN, &listen), -EINVAL);
	assert_int_equal(call(seat.ev, SVID_IOC_UNHOLD, &key), -EINVAL);
	key = (struct svid_dev_key){ .size = sizeof(key), .key.pad = 1 };
	assert_int_equal(call(seat.ev, SVID_IOC_UNHOLD, &key), -EINVAL);
	assert_int_equal(call(seat.ev, SVID_IOC_IMAGE, &image), -EINVAL);
	image = (struct svid_dev_image){ .size = sizeof(image), .key = { .tgid = 1, .pad = 1 } };
	assert_int_equal(call(seat.ev, SVID_IOC_IMAGE, &image), -EINVAL);
	assert_int_equal(call(seat.ev, SVID_IOC_HOLD, &hold), -EINVAL);
	hold.slot = 0;
	assert_int_equal(call(seat.ev, SVID_IOC_HOLD, &hold), -EINVAL);
	assert_int_equal(seat_ask(&seat, seat.listener, SVID_OP_NONE, 1, 2, NULL), -EINVAL);
	assert_int_equal(seat_ask(&seat, seat.listener, SVID_OP_READER, 1, 2, NULL), -EINVAL);
	assert_int_equal(seat_ask(&seat, seat.listener, SVID_OP_ATTACH, 0, 2, NULL), -EINVAL);
	assert_int_equal(seat_ask(&seat, seat.listener, SVID_OP_ATTACH, 1, 0, NULL), -EINVAL);
	assert_int_equal(seat_ask(&seat, seat.listener, SVID_OP_ATTACH, SVID_WORDS, 2, NULL), -EINVAL);
	assert_int_equal(seat_ask(&seat, seat.listener, SVID_OP_PEEK, 1, UINT32_MAX, NULL), -EINVAL);
}

static void requests_that_make_things_need_the_capability(void **state)
{
	struct svid_dev_listen msg = { .size = sizeof(msg), .fd = seat.listener };
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int bad = syscall(SYS_setresuid, 1000, 1000, 1000) != 0;

		bad |= call(seat.dev, SVID_IOC_EVIDENCE, NULL) != -EPERM;
		bad |= call(seat.dev, SVID_IOC_TREE, NULL) != -EPERM;
		bad |= call(seat.ev, SVID_IOC_LISTEN, &msg) != -EPERM;
		bad |= open(SVID_DEV_PATH, O_RDWR) >= 0;
		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- listeners, sockets ---- */

static int stream(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int listening(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = stream();

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static int listen_on(const struct seat *s, int fd)
{
	struct svid_dev_listen msg = { .size = sizeof(msg), .fd = fd, .tag = SEAT_TAG };

	return call(s->ev, SVID_IOC_LISTEN, &msg);
}

static void only_listening_stream_sockets_can_be_listened_to(void **state)
{
	int s = stream(), d = socket(AF_UNIX, SOCK_DGRAM, 0), q = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	int in = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(listen_on(&seat, -1), -EBADF);
	assert_int_equal(listen_on(&seat, 9999), -EBADF);
	assert_int_equal(listen_on(&seat, seat.dev), -ENOTSOCK);
	assert_int_equal(listen_on(&seat, s), -EINVAL);
	assert_int_equal(listen_on(&seat, d), -EINVAL);
	assert_int_equal(listen_on(&seat, q), -EINVAL);
	assert_int_equal(listen(in, 1), 0);
	assert_int_equal(listen_on(&seat, in), -EINVAL);
	close(s);
	close(d);
	close(q);
	close(in);
}

static void listeners_and_files_are_bounded(void **state)
{
	int fd[SVID_DEV_LISTENERS], files[SVID_DEV_FILES];
	struct seat other;
	int extra = listening(), n = 0;

	(void)state;
	assert_int_equal(listen_on(&seat, seat.listener), 0); /* again: another tag */
	for (int i = 1; i < SVID_DEV_LISTENERS; i++) {
		fd[i] = listening();
		assert_int_equal(listen_on(&seat, fd[i]), 0);
	}
	assert_int_equal(listen_on(&seat, extra), -ENOSPC);
	close(fd[1]); /* a closed one makes room */
	assert_int_equal(listen_on(&seat, extra), 0);
	seat_take(&other, "/tmp/kmod-other.sock");
	assert_int_equal(listen_on(&other, extra), -EBUSY);
	seat_leave(&other);
	for (int i = 2; i < SVID_DEV_LISTENERS; i++)
		close(fd[i]);
	close(extra);
	while (n < SVID_DEV_FILES && (files[n] = ioctl(seat.dev, SVID_IOC_EVIDENCE)) >= 0)
		n++;
	assert_int_equal(errno, ENFILE);
	assert_int_equal(n, SVID_DEV_FILES - 1);
	while (n > 0)
		close(files[--n]);
}

static void sockets_without_a_record_are_told_apart(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = SEAT_PATH };
	struct svid_mailbox box;
	struct seat other;
	int pair[2], s = stream(), fd;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(seat_ask(&seat, -1, SVID_OP_PEEK, 0, 0, NULL), -EBADF);
	assert_int_equal(seat_ask(&seat, seat.ev, SVID_OP_PEEK, 0, 0, NULL), -ENOTSOCK);
	assert_int_equal(seat_ask(&seat, s, SVID_OP_PEEK, 0, 0, NULL), -ENOTCONN);
	assert_int_equal(seat_ask(&seat, pair[0], SVID_OP_PEEK, 0, 0, NULL), -ENOENT);
	assert_int_equal(connect(s, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(seat_ask(&seat, s, SVID_OP_PEEK, 0, 0, NULL), -ENOENT); /* the client's end */
	fd = seat_accept(&seat);
	assert_int_equal(seat_ask(&seat, fd, SVID_OP_LEAVE, 0, 0, &box), 0);
	assert_int_equal(box.conn.size, 0);
	assert_int_equal(seat_ask(&seat, fd, SVID_OP_PEEK, 0, 0, &box), 0);
	assert_int_equal(box.conn.listener, SEAT_TAG);
	assert_int_equal(box.conn.tier, SVID_TIER_KMOD);
	assert_int_equal(box.conn.image.key.tgid, getpid());
	assert_int_equal(box.conn.conn_slot, 0);
	seat_take(&other, "/tmp/kmod-other.sock");
	assert_int_equal(seat_ask(&other, fd, SVID_OP_PEEK, 0, 0, NULL), -ENOENT); /* another file's */
	seat_leave(&other);
	close(fd);
	close(s);
	close(pair[0]);
	close(pair[1]);
}

/* ---- memory ---- */

static void words_are_writable_only_where_they_may_be(void **state)
{
	size_t len = sizeof(struct svid_words);
	int words = ioctl(seat.ev, SVID_IOC_WORDS);
	const struct svid_words *w;
	void *stats;

	(void)state;
	assert_true(words >= 0);
	assert_true(fcntl(words, F_GETFD) & FD_CLOEXEC && fcntl(seat.ev, F_GETFD) & FD_CLOEXEC);
	assert_ptr_equal(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, words, 0), MAP_FAILED);
	assert_ptr_equal(mmap(NULL, len, PROT_READ, MAP_SHARED, words, SVID_DEV_STATS), MAP_FAILED);
	assert_ptr_equal(mmap(NULL, len, PROT_READ, MAP_PRIVATE, words, 0), MAP_FAILED);
	assert_ptr_equal(mmap(NULL, len + 4096, PROT_READ, MAP_SHARED, words, 0), MAP_FAILED);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_SHARED, words, 4096), MAP_FAILED);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, seat.ev, SVID_DEV_STATS), MAP_FAILED);
	assert_ptr_equal(mmap(NULL, 8192, PROT_READ, MAP_SHARED, seat.ev, SVID_DEV_STATS), MAP_FAILED);
	w = mmap(NULL, len, PROT_READ, MAP_SHARED, words, 0);
	assert_ptr_not_equal(w, MAP_FAILED);
	assert_int_equal(mprotect((void *)w, len, PROT_READ | PROT_WRITE), -1);
	stats = mmap(NULL, 4096, PROT_READ, MAP_SHARED, seat.ev, SVID_DEV_STATS);
	assert_int_equal(mprotect(stats, 4096, PROT_READ | PROT_WRITE), -1);
	munmap(stats, 4096);
	close(words);
	seat.words->w[9] = 77;
	assert_int_equal(w->w[9], 77);
	munmap((void *)w, len);
}

static void words_of_a_closed_file_are_another_value(void **state)
{
	struct seat other;
	const struct svid_words *w;
	int words;

	(void)state;
	seat_take(&other, "/tmp/kmod-other.sock");
	words = ioctl(other.ev, SVID_IOC_WORDS);
	w = mmap(NULL, sizeof(*w), PROT_READ, MAP_SHARED, words, 0);
	assert_ptr_not_equal(w, MAP_FAILED);
	close(words);
	other.words->w[9] = 77;
	seat_leave(&other);
	assert_int_equal(w->w[9], 78);
	assert_int_equal(w->w[SVID_WORDS - 1], 1);
	munmap((void *)w, sizeof(*w));
}

/* ---- holders, events, marks ---- */

static void expect_change(struct visit *v, uint32_t type, uint32_t before)
{
	struct svid_event e;

	assert_int_equal(seat_event(&seat, type, &e), 0);
	assert_int_equal(e.size, sizeof(e));
	assert_int_equal(e.key.tgid, v->box.conn.image.key.tgid);
	assert_int_equal(e.key.start, v->box.conn.image.key.start);
	assert_int_equal(e.holder_slot, HOLDER_SLOT);
	assert_int_not_equal(seat_word(HOLDER_SLOT), before);
}

static void every_change_bumps_the_holders_word(void **state)
{
	static const struct {
		enum caller_do what;
		uint32_t type;
	} t[] = {
		{ CALLER_EXEC, SVID_EVENT_EXEC },
		{ CALLER_THREAD_EXEC, SVID_EVENT_EXEC },
		{ CALLER_SETUID, SVID_EVENT_CRED },
		{ CALLER_THREAD_FSUID, SVID_EVENT_CRED },
		{ CALLER_SETGROUPS, SVID_EVENT_CRED },
		{ CALLER_USERNS, SVID_EVENT_CRED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct visit v;
		uint32_t before;

		visit_open(&seat, &v, CONN_SLOT, HOLDER_SLOT);
		seat_drain(&seat);
		before = seat_word(HOLDER_SLOT);
		assert_int_equal(v.box.holder_slot, HOLDER_SLOT);
		assert_int_equal(v.box.holder_word, before);
		assert_int_equal(v.box.held, 1);
		assert_int_equal(caller_do(&v.c, t[i].what), 0);
		expect_change(&v, t[i].type, before);
		assert_int_equal(seat_ask(&seat, v.fd, SVID_OP_ATTACH, CONN_SLOT, HOLDER_SLOT, NULL), -ESTALE);
		before = seat_word(HOLDER_SLOT);
		caller_end(&v.c);
		v.c.pid = 0;
		expect_change(&v, SVID_EVENT_EXIT, before);
		visit_close(&v);
		assert_int_equal(seat_unhold(&seat, &v.box.conn.image.key), 0);
	}
}

static void moving_a_holder_to_a_cgroup_is_seen(void **state)
{
	struct visit v;
	uint32_t before;
	FILE *f;

	(void)state;
	visit_open(&seat, &v, CONN_SLOT, HOLDER_SLOT);
	seat_drain(&seat);
	before = seat_word(HOLDER_SLOT);
	assert_true(mkdir("/sys/fs/cgroup/kmod", 0755) == 0 || errno == EEXIST);
	f = fopen("/sys/fs/cgroup/kmod/cgroup.procs", "we");
	assert_non_null(f);
	fprintf(f, "%d", (int)v.c.pid);
	assert_int_equal(fclose(f), 0);
	expect_change(&v, SVID_EVENT_CGROUP, before);
	visit_close(&v);
}

static void look_through_proc(pid_t pid)
{
	char at[32];
	int fd;

	(void)snprintf(at, sizeof(at), "/proc/%d/mem", (int)pid);
	fd = open(at, O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
}

static void look_by_call(pid_t pid)
{
	static char mine[8];
	struct iovec to = { mine, sizeof(mine) }, from = { mine, sizeof(mine) };

	(void)process_vm_readv(pid, &to, 1, &from, 1, 0);
}

static void attach_and_go(pid_t pid)
{
	assert_int_equal(ptrace(PTRACE_ATTACH, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
}

static void whoever_looks_into_a_holder_is_seen(void **state)
{
	static void (*const look[])(pid_t) = { look_through_proc, look_by_call, attach_and_go };

	(void)state;
	for (size_t i = 0; i < sizeof(look) / sizeof(*look); i++) {
		struct svid_image img;
		struct visit v;
		uint32_t before;

		visit_open(&seat, &v, CONN_SLOT, HOLDER_SLOT);
		seat_drain(&seat);
		before = seat_word(HOLDER_SLOT);
		assert_int_equal(v.box.conn.image.flags & SVID_IMG_TRACED, 0);
		look[i](v.c.pid);
		expect_change(&v, SVID_EVENT_TRACED, before);
		assert_int_equal(seat_image(&seat, v.c.pid, 0, &img), 0);
		assert_true(img.flags & SVID_IMG_TRACED);
		/* of the memory that was looked into; the next program's is new */
		assert_int_equal(caller_do(&v.c, CALLER_EXEC), 0);
		assert_int_equal(seat_image(&seat, v.c.pid, 0, &img), 0);
		assert_int_equal(img.flags & SVID_IMG_TRACED, 0);
		visit_close(&v);
	}
}

static void refused_look_marks_nobody(void **state)
{
	struct svid_image img;
	struct visit v;
	char at[32];
	int status;
	pid_t pid;

	(void)state;
	visit_open(&seat, &v, CONN_SLOT, HOLDER_SLOT);
	(void)snprintf(at, sizeof(at), "/proc/%d/mem", (int)v.c.pid);
	pid = fork();
	if (pid == 0)
		_exit(syscall(SYS_setresuid, 1000, 1000, 1000) || open(at, O_RDONLY) >= 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(seat_image(&seat, v.c.pid, 0, &img), 0);
	assert_int_equal(img.flags & SVID_IMG_TRACED, 0);
	visit_close(&v);
}

static void every_foreign_use_marks_and_voids_the_connection(void **state)
{
	/* since 6.5 splice() to a socket is a send; "debug" is a 6.1 */
	uint32_t write_mark = strcmp(getenv("VM"), "6.12") ? SVID_MARK_SPLICE_WRITE : SVID_MARK_FOREIGN_SEND;
	const struct {
		enum caller_do what;
		uint32_t mark;
	} t[] = {
		{ CALLER_CHILD_SEND, SVID_MARK_FOREIGN_SEND },
		{ CALLER_CHILD_RECV, SVID_MARK_FOREIGN_RECV },
		{ CALLER_CHILD_SPLICE_READ, SVID_MARK_SPLICE_READ },
		{ CALLER_CHILD_SPLICE_WRITE, write_mark },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct svid_event e;
		struct visit v;
		uint32_t before;

		visit_open(&seat, &v, CONN_SLOT, HOLDER_SLOT);
		seat_drain(&seat);
		before = seat_word(CONN_SLOT);
		assert_int_equal(write(v.fd, "hello", 5), 5);
		assert_int_equal(caller_do(&v.c, CALLER_SEND), 0);
		assert_int_equal(caller_do(&v.c, CALLER_RECV), 0);
		assert_int_equal(seat_word(CONN_SLOT), before);
		(void)caller_do(&v.c, t[i].what);
		assert_int_equal(seat_event(&seat, SVID_EVENT_FOREIGN, &e), 0);
		assert_int_equal(e.marks & t[i].mark, t[i].mark);
		assert_int_equal(e.conn_slot, CONN_SLOT);
		assert_int_equal(e.key.tgid, v.c.pid);
		assert_int_not_equal(e.by.tgid, v.c.pid);
		assert_int_equal(seat_word(CONN_SLOT), before + 1);
		visit_close(&v);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_says_what_this_is),
		cmocka_unit_test(sizes_follow_the_rule),
		cmocka_unit_test(answer_is_cut_or_followed_by_zeros),
		cmocka_unit_test(unknown_requests_are_enotty),
		cmocka_unit_test(pads_and_slots_are_checked),
		cmocka_unit_test(requests_that_make_things_need_the_capability),
		cmocka_unit_test(only_listening_stream_sockets_can_be_listened_to),
		cmocka_unit_test(listeners_and_files_are_bounded),
		cmocka_unit_test(sockets_without_a_record_are_told_apart),
		cmocka_unit_test(words_are_writable_only_where_they_may_be),
		cmocka_unit_test(words_of_a_closed_file_are_another_value),
		cmocka_unit_test(every_change_bumps_the_holders_word),
		cmocka_unit_test(moving_a_holder_to_a_cgroup_is_seen),
		cmocka_unit_test(whoever_looks_into_a_holder_is_seen),
		cmocka_unit_test(refused_look_marks_nobody),
		cmocka_unit_test(every_foreign_use_marks_and_voids_the_connection),
	};

	caller_main(argc, argv);
	return cmocka_run_group_tests_name("kmod", tests, seat_setup, seat_teardown);
}
