// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - svid-core: decides who gets which identity. Own user, no capability, one loop, one thread; it sees no
 * private key and no byte that a workload or the network sent. Started by svidd. Next: core.h.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "agent/ipc/plan.h"
#include "agent/sandbox/sandbox.h"

static int open_state(struct core *c)
{
	char dir[32];

	snprintf(dir, sizeof(dir), "/proc/self/fd/%d", c->plan.state_dir);
	return state_open(dir, &c->state);
}

/* What needs a file system that is still whole. */
static int open_things(struct core *c)
{
	int err = open_state(c);

	if (err)
		return err;
	if (state_set_aside(c->state))
		log_error(EV_STATE, KV("set_aside", V_S(state_set_aside(c->state))),
			  KV("why", V_S("state.db was damaged or another program's; no new authority is made")));
	err = provider_open(&c->plan.fds, &c->provider);
	if (err)
		return err;
	if (cgroups_new(NULL, &c->cgroups))
		log_warn(EV_PROVIDER, KV("what", V_S("no cgroup v2 hierarchy: cgroup and systemd selectors do not match")));
	return compiler_watch(c);
}

static int start(struct core *c)
{
	int err;

	audit_init(&c->audit, c->plan.audit, AUDIT_REQUIRED);
	err = open_things(c);
	if (!err)
		err = core_sandbox(c);
	if (!err)
		err = core_make_parts(c);
	if (!err)
		err = tree_start(c);
	if (!err)
		err = parent_start(c, FD_CHANNEL);
	if (!err)
		err = hold_start(c);
	if (!err)
		err = fronts_start(c->fronts);
	if (!err)
		err = compiler_start(c);
	if (!err)
		err = revoke_start(c);
	if (!err)
		err = canary_start(c);
	if (!err)
		err = admin_start(c);
	return err ? err : server_start(c);
}

int main(int argc, char **argv)
{
	static struct core core = {
		.holds = { [HOLD_EVIDENCE] = -ERR_NOT_READY, [HOLD_AUTHORITY] = -ERR_NOT_READY,
			   [HOLD_DOCUMENTS] = -ERR_NOT_READY },
	};
	int err;

	core.log_level = role_start(argc, argv, "svid-core", 1).log_level;
	core.started = clock_boot_ns();
	err = parent_receive_plan(FD_CHANNEL, &core.plan);
	if (err)
		log_fatal("plan from svidd", err);
	err = loop_new(&core.loop);
	if (!err)
		err = start(&core);
	if (err)
		log_fatal("start", err);
	log_info(EV_START, KV("tier", V_S(tier_name(core.plan.tier))), KV("instance", V_S(core.plan.instance)));
	err = loop_run(core.loop);
	core_end(&core);
	_exit(role_end(err ? 1 : 0)); /* nothing that runs at exit is permitted any more */
}
