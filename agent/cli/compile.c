// SPDX-License-Identifier: Apache-2.0
/*
 * compile.c - `svid compile`: started by svidd under its own user, reads what it was handed, sends what it
 * found to svid-core and ends. Next: compile_files.c, compile_doc.c; svid-core's side is agent/core/docs.c.
 */
#include "agent/cli/compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/log.h"
#include "agent/cli/compile_files.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"
#include "agent/sandbox/sandbox.h"

#define AGENT_NAME "svid.yaml"
#define DIR_PREFIX "policy.d/"
#define CPU_SECONDS 20 /* svidd's own deadline is on the wall clock */

static const struct sandbox_call calls[] = {
	SANDBOX_BASE, CALL("openat"), CALL("openat2"), CALL("getdents64"), CALL("lseek"),
};

static const struct sandbox_limit limits[] = {
	{ RLIMIT_CPU, CPU_SECONDS },
	{ RLIMIT_FSIZE, LIM_IPC_BODY }, /* bodies travel in memfds */
	{ RLIMIT_NPROC, 0 },
};

static int lock_in(void)
{
	const struct sandbox_path paths[] = { { .fd = FD_POLICY_DIR, .access = SANDBOX_READ } };
	const struct sandbox_plan plan = {
		.calls = calls,
		.n_calls = ARRAY_SIZE(calls),
		.paths = paths,
		.n_paths = ARRAY_SIZE(paths),
		.limits = limits,
		.n_limits = ARRAY_SIZE(limits),
	};

	return sandbox_enter(&plan);
}

static int send_files(const struct compiler *c)
{
	int err = 0;

	for (size_t i = 0; i < c->n_files && !err; i++)
		err = ipc_put(FD_CHANNEL, PC_FILE, 0, .file = slice_str(c->files[i].name), .parsed = c->files[i].parsed);
	return err;
}

static int send_docs(const struct compiler *c, uint32_t *ret_sent)
{
	uint32_t sent = 0;
	int err = 0;

	for (size_t i = 0; i < c->n_docs && !err; i++) {
		const struct cdoc *d = &c->docs[i];

		if (d->refused)
			continue;
		err = ipc_put(FD_CHANNEL, PC_DOC, 0, .file = slice_str(c->files[d->file].name), .line = d->line,
			      .kind = slice_str(d->kind), .name = slice_str(d->name), .json = slice_str(d->json));
		sent++;
	}
	*ret_sent = sent;
	return err;
}

static int send_errors(const struct compiler *c)
{
	int err = 0;

	for (size_t i = 0; i < c->n_errors && !err; i++) {
		const struct cerror *e = &c->errors[i];

		err = ipc_put(FD_CHANNEL, PC_ERROR, 0, .file = slice_str(c->files[e->file].name), .line = e->mark.line,
			      .column = e->mark.column, .kind = slice_str(e->kind), .name = slice_str(e->name),
			      .warning = e->warning, .text = slice_str(e->text));
	}
	return err;
}

/* PC_DONE says that nothing was overlooked: only then does svid-core withdraw what is missing. */
static int send_all(const struct compiler *c, bool whole)
{
	uint32_t sent = 0;
	int err = send_files(c);

	if (!err)
		err = send_docs(c, &sent);
	if (!err)
		err = send_errors(c);
	if (!err && whole)
		err = ipc_put(FD_CHANNEL, PC_DONE, 0, .documents = sent,
			      .errors = (uint32_t)(c->n_errors - c->n_warnings));
	return err;
}

static int run(void)
{
	AUTO(compiler) struct compiler c = { 0 };
	int err;

	files_compile_fd(&c, FD_POLICY_AGENT, AGENT_NAME, AGENT_MUST, TRUST_STRICT);
	err = files_compile_dir(&c, FD_POLICY_DIR, DIR_PREFIX, TRUST_STRICT);
	compiler_finish(&c);
	if (c.no_memory)
		return -ENOMEM;
	if (err) {
		size_t dir = compiler_file(&c, DIR_PREFIX);

		if (c.no_memory)
			return -ENOMEM;
		compiler_refuse(&c, dir, err_text(err));
		log_error(EV_POLICY, KV("what", V_S("policy directory")), KV("why", V_S(err_text(err))));
	}
	return send_all(&c, !err);
}

/* Errors of the Agent document, and of a file that cannot be read at all, keep svidd from starting. */
static uint32_t boot_errors(const struct compiler *c)
{
	uint32_t n = 0;

	for (size_t i = 0; i < c->n_errors; i++) {
		const struct cerror *e = &c->errors[i];

		if (e->warning || (*e->kind && strcmp(e->kind, "Agent") != 0))
			continue;
		log_error(EV_CONFIG, KV("file", V_S(c->files[e->file].name)), KV("line", V_U(e->mark.line)),
			  KV("column", V_U(e->mark.column)), KV("why", V_S(e->text)));
		n++;
	}
	return n;
}

static int boot(void)
{
	AUTO(compiler) struct compiler c = { 0 };

	files_compile_fd(&c, FD_POLICY_AGENT, AGENT_NAME, AGENT_MUST, TRUST_STRICT);
	if (c.no_memory)
		return -ENOMEM;
	return ipc_put(FD_CHANNEL, PC_BOOT, 0, .attestation = c.attestation, .delivery = c.delivery,
		       .oidc_port = c.oidc_port, .errors = boot_errors(&c));
}

/* Take "--boot" out of @argv, which the rest of the roles does not know. */
static bool take_boot(int *argc, char **argv)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--boot") != 0)
			continue;
		memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof(char *));
		(*argc)--;
		return true;
	}
	return false;
}

int compile_main(int argc, char **argv)
{
	bool is_boot = take_boot(&argc, argv);
	int err;

	(void)role_start(argc, argv, "svid-compile", FD_POLICY_AGENT - FD_CHANNEL + 1);
	err = lock_in();
	if (err)
		log_fatal("sandbox", err);
	err = is_boot ? boot() : run();
	if (err)
		log_fatal("policy compiler", err);
	return role_end(0);
}
