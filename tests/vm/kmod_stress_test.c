// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/kmod_rig.c tests/lib/evidence_caller.c tests/lib/tree_rig.c */
/*
 * kmod_stress_test.c - svid.ko under bad input and races: each call returns something documented, nothing is left, and the
 * kernel log stays clean, which run.sh judges. Runs as root in the VM: tests/vm/module_test.sh. SVID_STRESS_MS: how long each
 * part lasts. Next: kmod_reload_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/kmod_rig.h"
#include "tests/lib/tree_rig.h"

#define PEERS 6

static int64_t length(void)
{
	const char *s = getenv("SVID_STRESS_MS");

	return s ? strtol(s, NULL, 10) : 5000;
}

static int load(void **state)
{
	(void)state;
	return rig_load();
}

/* Children of traffic outlive it for a moment, with the file and its pages as they were forked; both keep the module. */
static int unload(void **state)
{
	int64_t end = rig_ms() + 5000;
	int err;

	(void)state;
	do
		err = rig_unload();
	while (err == -EWOULDBLOCK && rig_ms() < end && !usleep(10000));
	return err;
}

/* ---- fuzzing ---- */

static bool is_documented(int err)
{
	static const int known[] = { 0, EFAULT, EINVAL, E2BIG, ENOTTY, EBADF, ENOTSOCK, ENOENT, ESRCH, ESTALE, ENOSPC, EBUSY,
				     ENOMEM, ENOTCONN };

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (known[i] == err)
			return true;
	return false;
}

/* A word that is likely to mean something: small, a descriptor, all ones, a process. */
static uint32_t likely(void)
{
	switch (dice(6)) {
	case 0:
		return dice(8);
	case 1:
		return dice(64);
	case 2:
		return UINT32_MAX - dice(2);
	case 3:
		return (uint32_t)getpid();
	case 4:
		return dice(SVID_WORDS + 2);
	default:
		return dice(UINT32_MAX);
	}
}

static void fuzz_one(const struct seat *s, const int *fds, int n, uint32_t *page)
{
	static const unsigned long requests[] = { SVID_IOC_HELLO, SVID_IOC_LISTEN, SVID_IOC_ASK, SVID_IOC_HOLD,
						  SVID_IOC_UNHOLD, SVID_IOC_IMAGE, SVID_IOC_READER };
	static const uint32_t sizes[] = { sizeof(struct svid_dev_hello), sizeof(struct svid_dev_listen),
					  sizeof(struct svid_dev_ask), sizeof(struct svid_dev_hold),
					  sizeof(struct svid_dev_key), sizeof(struct svid_dev_image),
					  sizeof(struct svid_dev_reader) };
	uint32_t which = dice(7), words = dice(4) ? 16 : 1024;
	unsigned long request = dice(8) ? requests[which] : _IOC(dice(4), 0xB5, 0x10 + dice(16), dice(1 << 14));

	memset(page, 0, 4096);
	for (uint32_t i = 0; i < words; i++)
		if (dice(2))
			page[i] = likely();
	page[0] = dice(4) ? sizes[which] : likely();
	if (dice(2))
		page[1] = (uint32_t)fds[dice((uint32_t)n)];
	/* descriptors that such a number makes are closed by number: none is made here, WORDS and EVIDENCE are not asked */
	if (_IOC_NR(request) == _IOC_NR(SVID_IOC_WORDS))
		return;
	errno = 0;
	(void)ioctl(dice(4) ? s->ev : s->dev, request, dice(16) ? (void *)page : (void *)(uintptr_t)likely());
	if (!is_documented(errno))
		fail_msg("request %#lx: %s", request, strerror(errno));
}

static void any_bytes_get_a_documented_errno(void **state)
{
	uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int64_t end = rig_ms() + length();
	int fds[6], n = 0, calls = 0;
	struct visit v;
	struct seat s;

	(void)state;
	seat_take(&s, SEAT_PATH);
	visit_open(&s, &v, 5, 6);
	fds[n++] = s.ev;
	fds[n++] = s.listener;
	fds[n++] = v.fd;
	fds[n++] = v.c.ctl;
	fds[n++] = -1;
	while (rig_ms() < end) {
		for (int i = 0; i < 200; i++, calls++)
			fuzz_one(&s, fds, n, page);
		seat_drain(&s);
	}
	print_message("%d requests\n", calls);
	visit_close(&v);
	seat_leave(&s);
	munmap(page, 4096);
}

/* ---- races with close ---- */

struct race {
	struct seat s;
	int fd[8]; /* -1: none; somebody may close it while another asks */
	bool stop;
};

static void *closes(void *arg)
{
	struct race *r = arg;
	int fd;

	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		fd = __atomic_exchange_n(&r->fd[dice(8)], -1, __ATOMIC_SEQ_CST);
		if (fd >= 0)
			close(fd);
		else
			usleep(100);
	}
	return NULL;
}

static void *asks(void *arg)
{
	struct svid_mailbox box;
	struct race *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		uint32_t i = dice(8);
		int fd = __atomic_load_n(&r->fd[i], __ATOMIC_SEQ_CST);

		if (fd < 0)
			continue;
		if (seat_ask(&r->s, fd, SVID_OP_ATTACH + dice(4), 1 + i, 16 + i, &box) == 0 && dice(2))
			(void)seat_unhold(&r->s, &box.conn.image.key);
	}
	return NULL;
}

/* Another svidd comes and goes, with connections to its own listener. */
static void *comes_and_goes(void *arg)
{
	struct race *r = arg;
	struct seat other;

	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		seat_take(&other, "/tmp/kmod-other.sock");
		int s = traffic_connect(other.path), fd = dice(2) ? seat_accept(&other) : -1;

		if (fd >= 0) {
			(void)seat_ask(&other, fd, SVID_OP_ATTACH, 1, 2, NULL);
			(void)seat_drain(&other);
			close(fd);
		}
		if (dice(2)) {
			close(s);
			s = -1;
		}
		seat_leave(&other);
		if (s >= 0)
			close(s);
	}
	return NULL;
}

static void accept_for(struct race *r, int64_t end)
{
	int accepted = 0;

	while (rig_ms() < end) {
		int fd = seat_accept(&r->s);
		uint32_t i = dice(8);

		if (fd < 0) /* a slow machine */
			continue;
		accepted++;
		fd = __atomic_exchange_n(&r->fd[i], fd, __ATOMIC_SEQ_CST);
		if (fd >= 0)
			close(fd);
		if (accepted % 16 == 0)
			seat_drain(&r->s);
	}
	print_message("%d connections\n", accepted);
	assert_true(accepted > 0);
}

static void races_with_close_exec_and_exit_harm_nobody(void **state)
{
	static struct race r;
	void *(*const part[])(void *) = { closes, asks, asks, comes_and_goes };
	pthread_t t[4];
	pid_t peers[PEERS];

	(void)state;
	memset(&r, 0, sizeof(r));
	for (int i = 0; i < 8; i++)
		r.fd[i] = -1;
	seat_take(&r.s, SEAT_PATH);
	for (int i = 0; i < PEERS; i++)
		peers[i] = traffic_start(SEAT_PATH);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, part[i], &r), 0);
	accept_for(&r, rig_ms() + length());
	r.stop = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < PEERS; i++)
		traffic_end(peers[i]);
	for (int i = 0; i < 8; i++)
		if (r.fd[i] >= 0)
			close(r.fd[i]);
	seat_leave(&r.s);
	assert_true(slab_becomes("svid_record", 0));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_bytes_get_a_documented_errno),
		cmocka_unit_test(races_with_close_exec_and_exit_harm_nobody),
	};

	caller_main(argc, argv);
	return cmocka_run_group_tests_name("kmod_stress", tests, load, unload);
}
