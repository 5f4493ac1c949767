// SPDX-License-Identifier: Apache-2.0
/*
 * evidence.c - the provider that this svidd runs with, as the rest of svidd sees it: a tier, its
 * descriptors, and who may read. BPF is in bpf.c; `attestation: socket` is a memfd and nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/parent/parent.h"
#include "kmod/uapi/svid.h"

struct evidence {
	unsigned int tier;
	int words;	  /* socket: validity words that svid-core writes */
	int words_front;  /* socket: the same, not writable */
};

/* A descriptor that was opened for reading cannot be mapped writable, nor made so. */
static int reopen_read_only(int fd, int *ret_fd)
{
	char path[40];
	int ro;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	if (ro < 0)
		return -errno;
	*ret_fd = ro;
	return 0;
}

static int make_words(struct evidence *e)
{
	e->words = memfd_create("svid-words", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (e->words < 0)
		return -errno;
	if (ftruncate(e->words, sizeof(struct svid_words)) < 0 ||
	    fcntl(e->words, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return reopen_read_only(e->words, &e->words_front);
}

static int load_socket(struct evidence *e)
{
	log_warn(EV_PROVIDER, KV("attestation", V_S("socket")),
		 KV("why", V_S("DEVELOPMENT ONLY: callers are identified by SO_PEERCRED and /proc, which they can fool")));
	e->tier = TIER_SOCKET;
	return make_words(e);
}

int evidence_load(const struct svidd *d, unsigned int tier, struct evidence **ret_e)
{
	struct evidence *e = mem_new(struct evidence);
	int err;

	(void)d;
	if (!e)
		return -ENOMEM;
	e->words = e->words_front = -1;
	err = tier == TIER_SOCKET ? load_socket(e) : -ERR_PROVIDER;
	if (err) {
		evidence_free(e);
		return err;
	}
	*ret_e = e;
	return 0;
}

int evidence_send(const struct evidence *e, struct chan *core)
{
	return chan_put_fds(core, P_FD, 0, &e->words, 1, .kind = FD_KIND_MAP, .arg = SVID_MAP_WORDS);
}

int evidence_core(struct evidence *e, pid_t tgid)
{
	(void)e;
	(void)tgid;
	return 0;
}

int evidence_words(const struct evidence *e)
{
	return e->words_front;
}

unsigned int evidence_tier(const struct evidence *e)
{
	return e->tier;
}

const char *evidence_notes(const struct evidence *e)
{
	(void)e;
	return "";
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	if (e->words >= 0)
		close(e->words);
	if (e->words_front >= 0)
		close(e->words_front);
	mem_free(e);
}

int evidence_unpin(const char *instance)
{
	(void)instance;
	return 0;
}
