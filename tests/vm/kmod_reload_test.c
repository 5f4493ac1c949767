// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/kmod_rig.c tests/lib/evidence_caller.c tests/lib/tree_rig.c */
/*
 * kmod_reload_test.c - svid.ko comes and goes while everybody connects, execs, exits and traces. Runs as root in the VM:
 * tests/vm/module_test.sh, which says why it is started apart.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/kmod_rig.h"
#include "tests/lib/tree_rig.h"

#define PEERS 6
#define RELOADS 12

static int load(void **state)
{
	(void)state;
	return rig_load();
}

static int unload(void **state)
{
	(void)state;
	return rig_unload();
}

static int bystander;

static pid_t bystander_start(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		close(accept(bystander, NULL, NULL));
}

static void seat_for_a_moment(void)
{
	struct seat s;
	int fd;

	seat_take(&s, "/tmp/kmod-other.sock");
	for (int i = 0; i < 4; i++) {
		int c = traffic_connect(s.path);

		fd = seat_accept(&s);
		assert_true(fd >= 0);
		assert_int_equal(seat_ask(&s, fd, SVID_OP_ATTACH, 1 + i, 16, NULL), 0);
		close(fd);
		close(c);
	}
	seat_leave(&s);
}

static void module_comes_and_goes_under_traffic(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = SEAT_PATH };
	pid_t peers[PEERS + 1];

	(void)state;
	bystander = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(SEAT_PATH);
	assert_int_equal(bind(bystander, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(bystander, 64), 0);
	for (int i = 0; i < PEERS; i++)
		peers[i] = traffic_start(SEAT_PATH);
	peers[PEERS] = bystander_start();
	for (int i = 0; i < RELOADS; i++) {
		seat_for_a_moment();
		assert_int_equal(rig_unload(), 0);
		assert_int_equal(slab_objects("svid_image"), -1);
		assert_int_equal(rig_load(), 0);
	}
	for (int i = 0; i <= PEERS; i++)
		traffic_end(peers[i]);
	close(bystander);
}

static void open_file_keeps_the_module(void **state)
{
	int dev = open(SVID_DEV_PATH, O_RDWR | O_CLOEXEC), ev = ioctl(dev, SVID_IOC_EVIDENCE), words;

	(void)state;
	close(dev);
	assert_int_equal(rig_unload(), -EWOULDBLOCK);
	words = ioctl(ev, SVID_IOC_WORDS);
	close(ev);
	assert_int_equal(rig_unload(), -EWOULDBLOCK);
	close(words);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_file_keeps_the_module),
		cmocka_unit_test(module_comes_and_goes_under_traffic),
	};

	caller_main(argc, argv);
	return cmocka_run_group_tests_name("kmod_reload", tests, load, unload);
}
