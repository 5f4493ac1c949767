// SPDX-License-Identifier: Apache-2.0
/* links: agent/core/provider.c agent/core/provider_attach.c agent/core/provider_bpf.c agent/core/provider_kmod.c agent/core/provider_socket.c tests/lib/evidence_caller.c */
/* provider_socket_test.c - `attestation: socket`, and what needs no kernel evidence: slots, words, memory running out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/core/provider.h"
#include "tests/lib/evidence_caller.h"

static const struct provider_fds none = { .tier = SVID_TIER_SOCKET,
					  .maps = { [0 ... SVID_MAP_COUNT - 1] = -1 }, .iters = { -1, -1 } };
static char dir[64], path[96];
static int listener;

static int setup(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/svid-socket-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/t.sock", dir);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&sa, sizeof(sa)) || listen(listener, 8);
}

static int teardown(void **state)
{
	(void)state;
	close(listener);
	unlink(path);
	return rmdir(dir);
}

/* `attestation: socket` is meant to be fooled; this is the control of the tests above. */
static void socket_mode_believes_proc(void **state)
{
	struct provider *weak = NULL;
	struct provider_ticket t;
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	assert_int_equal(provider_open(&none, &weak), 0);
	c = caller_start(path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	assert_int_equal(caller_do(&c, CALLER_LINGER), 0);
	assert_int_equal(caller_do(&c, CALLER_EXEC), 0);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(provider_attach(weak, fd, &conn, &t), 0);
	assert_true(conn.image.flags & SVID_IMG_SOCKET);
	assert_int_equal(conn.creds.ids.uid, getuid());
	assert_memory_equal(conn.image.argv + conn.image.argv_len - sizeof("trusted"), "trusted", sizeof("trusted"));
	assert_true(provider_valid(weak, &t));
	provider_bump(weak, t.conn_slot);
	assert_false(provider_valid(weak, &t));
	provider_detach(weak, &t);
	provider_free(weak);
	caller_end(&c);
	close(fd);
}

static void slots_run_out_and_come_back_void(void **state)
{
	struct provider *weak = NULL;
	uint32_t slot = 0, first = 0, word;

	(void)state;
	assert_int_equal(provider_open(&none, &weak), 0);
	assert_int_equal(provider_slot_get(weak, &first), 0);
	word = provider_word(weak, first);
	for (uint32_t i = 2; i < SVID_WORDS; i++)
		assert_int_equal(provider_slot_get(weak, &slot), 0);
	assert_int_equal(provider_slot_get(weak, &slot), -ERR_LIMIT);
	provider_slot_put(weak, first);
	assert_int_equal(provider_slot_get(weak, &slot), 0);
	assert_int_equal(slot, first);
	assert_int_not_equal(provider_word(weak, first), word);
	assert_int_equal(provider_word(weak, 0), 0);
	assert_int_equal(provider_word(weak, SVID_WORDS), 0);
	provider_free(weak);
}

/* The fronts map svidd's memfd: bumping another one would revoke nothing. */
static void words_are_those_that_svidd_gave(void **state)
{
	struct provider_fds given = none;
	struct provider *weak = NULL;
	struct svid_words *seen;
	uint32_t before;
	int fd = memfd_create("words", MFD_CLOEXEC), mine = dup(fd);

	(void)state;
	assert_int_equal(ftruncate(fd, sizeof(struct svid_words)), 0);
	seen = mmap(NULL, sizeof(*seen), PROT_READ, MAP_SHARED, mine, 0);
	assert_true(seen != MAP_FAILED);
	given.maps[SVID_MAP_WORDS] = fd;
	assert_int_equal(provider_open(&given, &weak), 0);
	assert_int_equal(provider_words_fd(weak), fd);
	before = seen->w[5];
	assert_true(before != 0); /* a new core voids what the last one gave out */
	provider_bump(weak, 5);
	assert_int_equal(seen->w[5], before + 1);
	provider_free(weak);
	munmap(seen, sizeof(*seen));
	close(mine);
}

static void one_process_has_one_word(void **state)
{
	struct provider *weak = NULL;
	struct provider_ticket a, b;
	struct svid_conn conn;
	struct caller c;
	int fd, fd2;

	(void)state;
	assert_int_equal(provider_open(&none, &weak), 0);
	c = caller_start(path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(provider_attach(weak, fd, &conn, &a), 0);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd2 = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(provider_attach(weak, fd2, &conn, &b), 0);
	assert_int_equal(a.holder_slot, b.holder_slot);
	assert_int_not_equal(a.conn_slot, b.conn_slot);
	provider_detach(weak, &a);
	assert_true(provider_valid(weak, &b));
	provider_detach(weak, &b);
	provider_free(weak);
	caller_end(&c);
	close(fd);
	close(fd2);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
	struct provider *weak = NULL;
	long n = 0;

	(void)state;
	for (;; n++) {
		int err;

		(void)mem_fail_after(n);
		err = provider_open(&none, &weak);
		if (!mem_fail_after(-1))
			break;
		assert_int_equal(err, -ENOMEM);
		assert_null(weak);
	}
	assert_int_equal(n, 3);
	provider_free(weak);
	provider_free(NULL);
}

static void kernel_tier_without_its_descriptors_is_refused(void **state)
{
	struct provider_fds fds = none;
	struct provider *p = NULL;

	(void)state;
	fds.tier = SVID_TIER_TP;
	assert_int_equal(provider_open(&fds, &p), -ERR_PROVIDER);
	assert_null(p);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socket_mode_believes_proc),
		cmocka_unit_test(slots_run_out_and_come_back_void),
		cmocka_unit_test(words_are_those_that_svidd_gave),
		cmocka_unit_test(one_process_has_one_word),
		cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
		cmocka_unit_test(kernel_tier_without_its_descriptors_is_refused),
	};

	caller_main(argc, argv);
	return cmocka_run_group_tests_name("provider_socket", tests, setup, teardown);
}
