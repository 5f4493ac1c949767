// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - svidd: from the command line to the loop. Root; everything with a parser in it runs
 * elsewhere. Next: setup.c (what it opens), super.c (whom it runs), requests.c (what it may be asked).
 */
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/leak.h"
#include "agent/base/mem.h"
#include "agent/parent/parent.h"
#include "agent/parent/store.h"

static void reload(struct svidd *d)
{
	links_audit(d);
	requests_compile(d);
}

static void on_signal(struct loop_watch *w, uint32_t events)
{
	struct svidd *d = container_of(w, struct svidd, signals);
	struct signalfd_siginfo si;

	(void)events;
	while (read(w->fd, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGHUP)
			reload(d);
		else if (si.ssi_signo == SIGUSR1)
			super_dump(d);
		else
			super_stop(d, false);
	}
}

static int watch_signals(struct svidd *d)
{
	static const int list[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		sigaddset(&set, list[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	d->signals = (struct loop_watch){ .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .cb = on_signal };
	return d->signals.fd < 0 ? -errno : loop_add(d->loop, &d->signals, EPOLLIN);
}

/* Nothing that whoever started us left open stays, but for our own listeners; two descriptors per front must fit. */
static void clean_process(void)
{
	struct rlimit nofile;

	store_init();
	umask(077);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &nofile) < 0)
		return;
	nofile.rlim_cur = nofile.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &nofile);
}

static int choose(struct svidd *d, struct boot *ret_boot)
{
	struct boot boot;
	int err = boot_ask(d, &boot);

	if (err)
		return err;
	if (boot.tier == TIER_SOCKET && d->o.tier == TIER_AUTO && !d->o.allow_socket) {
		log_error(EV_PROVIDER, KV("attestation", V_S("socket")),
			  KV("why", V_S("trusts /proc: development only; needs --allow-socket-attestation")));
		return -ERR_PROVIDER;
	}
	if (d->o.tier != TIER_AUTO)
		boot.tier = d->o.tier;
	if (d->o.delivery != DELIVERY_AUTO)
		boot.delivery = d->o.delivery;
	*ret_boot = boot;
	return 0;
}

static int prepare(struct svidd *d)
{
	struct boot boot;
	int err = loop_new(&d->loop);

	if (!err)
		err = roles_users(d->o.ids, d->who);
	if (!err)
		err = roles_open(d->o.bin_dir, d->exec_fds);
	if (!err)
		err = setup_things(&d->o, d->who[ROLE_CORE], &d->t);
	if (!err)
		err = choose(d, &boot);
	if (!err)
		err = evidence_load(d, boot.tier, &d->evidence);
	if (!err)
		err = delivery_open(d, boot.delivery);
	if (!err)
		setup_oidc(boot.oidc_port, &d->t);
	if (!err)
		err = setup_listen(&d->t);
	if (!err)
		err = evidence_listening(d->evidence, d->t.listen_public);
	if (!err)
		err = watch_signals(d);
	return err;
}

static int finish(struct svidd *d, int err)
{
	evidence_free(d->evidence);
	delivery_end(&d->delivery);
	setup_remove(&d->t);
	if (d->o.remove_pins_at_exit && evidence_unpin(d->o.instance))
		log_warn(EV_PROVIDER, KV("what", V_S("pins not removed")), KV("instance", V_S(d->o.instance)));
	super_free(d);
	loop_free(d->loop);
	if (d->o.debug_sandbox && leak_check())
		d->exit_code = 1;
	return err ? 1 : d->exit_code;
}

static int run(struct svidd *d)
{
	int err = prepare(d);

	if (err) {
		delivery_end(&d->delivery);
		log_fatal("svidd cannot start", err);
	}
	log_info(EV_START, KV("tier", V_S(tier_name(evidence_tier(d->evidence)))), KV("instance", V_S(d->o.instance)));
	mem_trim(); /* reading the kernel's types took 10 MB */
	super_start(d);
	return finish(d, loop_run(d->loop));
}

int main(int argc, char **argv)
{
	static struct svidd d = { .delivery = DELIVERY_INIT };

	if (options_parse(argc, argv, &d.o))
		return 2;
	if (d.o.help) {
		options_help();
		return 0;
	}
	log_init("svidd", (enum log_level)d.o.log_level);
	leak_one(leak_arg("svidd"));
	if (geteuid() != 0)
		log_fatal("svidd must be started as root", -EPERM);
	if (d.o.remove_pins) {
		int err = evidence_unpin(d.o.instance);

		if (err)
			log_fatal("pins not removed", err);
		return 0;
	}
	clean_process();
	d.fronts = mem_calloc(FRONT_SLOTS, sizeof(*d.fronts));
	if (!d.fronts)
		log_fatal("fronts", -ENOMEM);
	return run(&d);
}
