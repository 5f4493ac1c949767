// SPDX-License-Identifier: Apache-2.0
/*
 * evidence.c - the provider that this svidd runs with, as the rest of svidd sees it: a tier, its
 * descriptors, and who may read. BPF is in bpf.c, the kernel module in module.c; `attestation: socket` is a memfd and
 * nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/parent/bpf.h"
#include "agent/parent/module.h"
#include "agent/parent/parent.h"
#include "agent/parent/store.h"

#define NOTES_MAX 8192 /* bytes; P_GO's field */
#define LISTENER_TAG 1 /* the only listener so far */
#define WATCH_NS NS_PER_S
#define STORED_MODULE "module"

struct evidence {
	unsigned int tier;
	struct bpf *bpf;  /* NULL: kmod, or attestation: socket */
	int module;	  /* kmod: the evidence file */
	int words;	  /* socket: validity words that svid-core writes */
	int words_front;  /* kmod, socket: the same, not writable */
	struct buf notes; /* what evidence_notes() shows */
	struct loop_timer watch;
};

/* kmod/uapi/svid.h and agent/ipc/plan.h number the tiers alike. */
_Static_assert(TIER_AUTO == SVID_TIER_NONE && TIER_BPF_LSM == SVID_TIER_LSM && TIER_BPF_FENTRY == SVID_TIER_FENTRY &&
	       TIER_KMOD == SVID_TIER_KMOD && TIER_BPF_TP == SVID_TIER_TP && TIER_SOCKET == SVID_TIER_SOCKET,
	       "tiers");

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

static int load_socket(struct evidence *e)
{
	log_warn(EV_PROVIDER, KV("attestation", V_S("socket")),
		 KV("why", V_S("DEVELOPMENT ONLY: callers are identified by SO_PEERCRED and /proc, which they can fool")));
	e->words = memfd_create("svid-words", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (e->words < 0)
		return -errno;
	if (ftruncate(e->words, sizeof(struct svid_words)) < 0 ||
	    fcntl(e->words, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	e->tier = TIER_SOCKET;
	return reopen_read_only(e->words, &e->words_front);
}

/* Strongest first, as people read the list. */
static void put_notes(struct evidence *e, const struct bpf_report *r)
{
	for (uint32_t k = 0; k < SVID_TIER_COUNT; k++)
		if (r->why[k][0]) {
			buf_printf(&e->notes, "%s: %s\n", tier_name(k), r->why[k]);
			log_info(EV_PROVIDER, KV("not", V_S(tier_name(k))), KV("why", V_S(r->why[k])));
		}
}

/* @report gathers the reasons of several attempts. */
static int load_bpf(const struct svidd *d, unsigned int tier, unsigned int weakest, struct evidence *e,
		    struct bpf_report *report)
{
	struct bpf_options opt = { .instance = d->o.instance, .listener = d->t.public_path,
				   .tier = tier, .weakest = weakest, .pin = true };
	struct bpf_report now;
	int err = bpf_open(&opt, &now, &e->bpf);

	for (size_t k = 0; k < SVID_TIER_COUNT; k++)
		if (now.why[k][0])
			memcpy(report->why[k], now.why[k], sizeof(now.why[k]));
	report->reused = now.reused;
	if (err)
		return err;
	e->tier = bpf_tier(e->bpf);
	return bpf_tag_listener(e->bpf, d->t.listen_public, LISTENER_TAG);
}

/* BPF programs of an earlier start would do the same work for nobody. */
static int load_module(const struct svidd *d, int dev, struct evidence *e, char *why)
{
	int kept = -1, err;

	(void)store_take_file(STORED_MODULE, &kept);
	err = module_evidence(dev, kept, &e->module, &e->words_front, why);
	if (err)
		return err;
	e->tier = TIER_KMOD;
	(void)store_put(STORED_MODULE, e->module);
	if (bpf_unpin(d->o.instance))
		log_warn(EV_PROVIDER, KV("what", V_S("pins not removed")), KV("instance", V_S(d->o.instance)));
	return 0;
}

static void close_module(struct evidence *e)
{
	if (e->module >= 0)
		close(e->module);
	if (e->words_front >= 0)
		close(e->words_front);
	e->module = e->words_front = -1;
}

/* With a module there are two kinds of makers, and BPF's weakest tier comes after it. */
static int load_with_module(const struct svidd *d, unsigned int tier, int dev, struct evidence *e,
			    struct bpf_report *report)
{
	int err = -ERR_PROVIDER;

	if (tier == TIER_AUTO)
		err = load_bpf(d, TIER_AUTO, TIER_BPF_FENTRY, e, report);
	if (err)
		err = load_module(d, dev, e, report->why[TIER_KMOD]);
	if (!err)
		return 0;
	close_module(e);
	return tier == TIER_AUTO ? load_bpf(d, TIER_BPF_TP, 0, e, report) : err;
}

static int load_kernel(const struct svidd *d, unsigned int tier, struct evidence *e, struct bpf_report *report)
{
	char why[MODULE_WHY];
	int dev, err = -ENOENT;

	if (tier == TIER_AUTO || tier == TIER_KMOD)
		err = module_open(&dev, why);
	if (!err) {
		err = load_with_module(d, tier, dev, e, report);
		close(dev);
		return err;
	}
	if (tier != TIER_KMOD)
		err = load_bpf(d, tier, 0, e, report);
	if (tier == TIER_KMOD || (tier == TIER_AUTO && (err || e->tier > TIER_KMOD)))
		(void)snprintf(report->why[TIER_KMOD], sizeof(report->why[0]), "%s", why);
	return err;
}

static int load_tier(const struct svidd *d, unsigned int tier, struct evidence *e)
{
	struct bpf_report report = { .reused = false };
	int err = load_kernel(d, tier, e, &report);

	put_notes(e, &report);
	if (err) {
		log_error(EV_PROVIDER, KV("attestation", V_S(tier_name(tier))), KV("err", V_S(err_name(err))),
			  KV("hint", V_S("svid doctor")));
		return err;
	}
	log_info(EV_PROVIDER, KV("tier", V_S(tier_name(e->tier))), KV("reused", V_U(report.reused)));
	return 0;
}

/* What the kernel left out by itself becomes a loss that svid-core sees. */
static void on_watch(struct loop_timer *t)
{
	struct evidence *e = container_of(t, struct evidence, watch);
	int err = bpf_watch(e->bpf);

	if (!err)
		err = loop_timer_in(t->loop, t, WATCH_NS);
	if (err)
		log_error(EV_PROVIDER, KV("what", V_S("watch ends")), KV("err", V_S(err_name(err))));
}

static int start_watch(struct loop *loop, struct evidence *e)
{
	e->watch.cb = on_watch;
	return e->bpf ? loop_timer_in(loop, &e->watch, WATCH_NS) : 0;
}

int evidence_load(const struct svidd *d, unsigned int tier, struct evidence **ret_e)
{
	struct evidence *e = mem_new(struct evidence);
	int err;

	if (!e)
		return -ENOMEM;
	e->module = e->words = e->words_front = -1;
	e->notes = (struct buf)BUF_INIT(NOTES_MAX);
	err = tier == TIER_SOCKET ? load_socket(e) : load_tier(d, tier, e);
	if (!err)
		err = start_watch(d->loop, e);
	if (err) {
		evidence_free(e);
		return err;
	}
	if (e->tier != TIER_KMOD)
		store_forget(STORED_MODULE);
	*ret_e = e;
	return 0;
}

/* A listener that systemd kept is known already. BPF tags it before it listens. */
int evidence_listening(const struct evidence *e, int listener)
{
	int err = e->module < 0 ? 0 : module_listen(e->module, listener, LISTENER_TAG);

	if (err)
		log_error(EV_PROVIDER, KV("what", V_S("svid.ko does not take the listener")), KV("err", V_S(err_name(err))));
	return err;
}

static int send_one(struct chan *core, enum fd_kind kind, uint32_t arg, int fd)
{
	return fd < 0 ? 0 : chan_put_fds(core, P_FD, 0, &fd, 1, .kind = kind, .arg = arg);
}

int evidence_send(const struct evidence *e, struct chan *core)
{
	int err = 0;

	if (!e->bpf)
		return e->module < 0 ? send_one(core, FD_KIND_MAP, SVID_MAP_WORDS, e->words) :
				       send_one(core, FD_KIND_MODULE, 0, e->module);
	for (uint32_t i = 0; i < SVID_MAP_COUNT && !err; i++)
		err = send_one(core, FD_KIND_MAP, i, bpf_map_fd(e->bpf, (enum svid_map)i));
	for (uint32_t i = 0; i < SVID_ITER_COUNT && !err; i++)
		err = send_one(core, FD_KIND_ITER, i, bpf_iter_fd(e->bpf, (enum svid_iter)i));
	return err;
}

int evidence_core(struct evidence *e, pid_t tgid)
{
	return e->bpf ? bpf_set_core(e->bpf, tgid) : 0;
}

/* A BPF descriptor that is read-only cannot be mapped at all: the front maps it so and seals itself (K18). */
int evidence_words(const struct evidence *e)
{
	return e->bpf ? bpf_map_fd(e->bpf, SVID_MAP_WORDS) : e->words_front;
}

unsigned int evidence_tier(const struct evidence *e)
{
	return e->tier;
}

const char *evidence_notes(struct evidence *e)
{
	return buf_cstr(&e->notes);
}

void evidence_free(struct evidence *e)
{
	if (!e)
		return;
	loop_timer_stop(&e->watch);
	bpf_free(e->bpf);
	if (e->words >= 0)
		close(e->words);
	close_module(e);
	buf_done(&e->notes);
	mem_free(e);
}

int evidence_unpin(const char *instance)
{
	return bpf_unpin(instance);
}
