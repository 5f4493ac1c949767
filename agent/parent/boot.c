// SPDX-License-Identifier: Apache-2.0
/*
 * boot.c - what svidd must know of svid.yaml before it starts anything: which attestation, which delivery, which
 * port. It does not read YAML; an unprivileged `svid compile --boot` does and sends three numbers. svidd only.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/parent.h"

#define BOOT_MS 10000
#define LAST_WORDS_MS 500

static int open_or_say(const char *path, int flags)
{
	int fd = open(path, flags | O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fd = -errno;
		log_error(EV_CONFIG, KV("path", V_S(path)), KV("err", V_S(err_name(fd))), KV("why", V_S(err_text(fd))));
	}
	return fd;
}

int boot_policy_fds(const struct options *o, int *ret_dir, int *ret_file)
{
	int dir = open_or_say(o->policy_dir, O_DIRECTORY);
	int file;

	if (dir < 0)
		return dir;
	file = open_or_say(o->config_path, 0);
	if (file < 0) {
		close(dir);
		return file;
	}
	*ret_dir = dir;
	*ret_file = file;
	return 0;
}

static int start_compiler(struct svidd *d, int pair_end, pid_t *ret_pid)
{
	static const char *const argv[] = { "svid", "compile", "--boot", NULL };
	int fds[3] = { pair_end, -1, -1 };
	struct launch l = { .role = ROLE_POLICY, .exec_fd = d->exec_fds[ROLE_POLICY], .who = d->who[ROLE_POLICY],
			    .fds = fds, .n_fds = 3, .log_fd = STDERR_FILENO, .argv = argv };
	int err = boot_policy_fds(&d->o, &fds[1], &fds[2]);

	if (err)
		return err;
	err = launch(&l, ret_pid);
	close(fds[1]);
	close(fds[2]);
	return err;
}

/* One message of one type and size; its numbers in range. Anything else is refused. */
static int read_answer(int fd, struct boot *ret_boot)
{
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct msg_PC_BOOT boot;
	struct chan_msg m;
	int err;

	if (poll(&p, 1, BOOT_MS) != 1)
		return -ERR_DEADLINE;
	err = ipc_recv(fd, &scratch, &m);
	if (err)
		return err;
	err = m.type == MSG_PC_BOOT ? msg_get_PC_BOOT(m.body, &boot) : -ERR_PERMIT;
	ipc_msg_done(&m);
	if (err)
		return err;
	if (boot.errors)
		return -ERR_POLICY;
	if (boot.attestation >= TIER_COUNT || boot.delivery >= DELIVERY_COUNT || boot.oidc_port > UINT16_MAX)
		return -ERR_FORMAT;
	*ret_boot = (struct boot){ boot.attestation, boot.delivery, boot.oidc_port };
	return 0;
}

/* It says on the log what is wrong with the file; let it finish the sentence. */
static void wait_for_end(int fd)
{
	struct pollfd p = { .fd = fd };

	(void)poll(&p, 1, LAST_WORDS_MS);
}

int boot_ask(struct svidd *d, struct boot *ret_boot)
{
	pid_t pid = 0;
	int pair[2];
	int err = links_pair(pair);

	if (err)
		return err;
	err = start_compiler(d, pair[1], &pid);
	close(pair[1]);
	if (!err)
		err = read_answer(pair[0], ret_boot);
	if (err == -ERR_POLICY)
		wait_for_end(pair[0]);
	close(pair[0]);
	if (pid) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (err)
		log_error(EV_CONFIG, KV("what", V_S("svid.yaml could not be used")), KV("file", V_S(d->o.config_path)),
			  KV("err", V_S(err_name(err))), KV("why", V_S(err_text(err))));
	return err;
}
