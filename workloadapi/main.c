// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - svid-front: serves the Workload API to the callers of one identity set.
 *
 * It parses what workloads send, so it can open nothing, connect to nothing and run nothing. Started by
 * svidd with the descriptors of agent/ipc/plan.h. Next: front.c.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/limits.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/ipc/plan.h"
#include "agent/sandbox/sandbox.h"
#include "kmod/uapi/svid.h"
#include "workloadapi/front.h"
#include "workloadapi/hpack.h"

#define FDS 3 /* core, keys, words */

/*
 * The list of kernel.md K18. recvmsg and sendmsg are in SANDBOX_BASE. Nothing here opens, connects,
 * accepts, signals or makes memory executable.
 */
static const struct sandbox_call calls[] = {
	SANDBOX_BASE,
	SANDBOX_LOOP,
	CALL("mlock"),
	CALL("mlock2"),
	CALL("munlock"),
	/* may this connection bring descriptors? */
	CALL_IF("getsockopt", 2, SB_INT, SO_PASSRIGHTS),
	CALL_IF("setsockopt", 2, SB_INT, SO_OOBINLINE),
};

static const struct sandbox_limit limits[] = {
#ifndef SVID_SAN /* the sanitizers reserve terabytes */
	{ RLIMIT_DATA, LIM_FRONT_MEMORY },
#endif
	{ RLIMIT_FSIZE, LIM_IPC_BODY }, /* only memfds can be written */
};

static const struct sandbox_plan plan = { .calls = calls, .n_calls = ARRAY_SIZE(calls), .limits = limits,
					  .n_limits = ARRAY_SIZE(limits) };

/* A BPF map has no size to ask for; the ABI header says it. Mapped read-only for good, then closed. */
static const uint32_t *map_words(void)
{
	void *p = mmap(NULL, sizeof(struct svid_words), PROT_READ, MAP_SHARED, FD_FRONT_WORDS, 0);

	if (p == MAP_FAILED)
		log_fatal("map validity words", -errno);
	close(FD_FRONT_WORDS);
	return ((const struct svid_words *)p)->w;
}

int main(int argc, char **argv)
{
	struct loop *loop;
	struct front *front;
	const uint32_t *words;
	int err;

	(void)role_start(argc, argv, "svid-front", FDS);
	words = map_words();
	err = sandbox_enter(&plan);
	if (err)
		log_fatal("sandbox", err);
	mem_trim(); /* libseccomp needed 50 KB to make the filter; hundreds of fronts idle */
	err = loop_new(&loop);
	if (!err)
		err = front_new(loop, FD_CHANNEL, FD_FRONT_KEYS, words, &front);
	if (err)
		log_fatal("start", err);
	err = loop_run(loop);
	if (err)
		log_fatal("loop", err);
	front_free(front);
	hpack_end();
	loop_free(loop);
	return role_end(0);
}
