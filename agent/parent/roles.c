// SPDX-License-Identifier: Apache-2.0
/* roles.c - the table of programs: user, capabilities, limits. svidd only. tests/role checks it against /proc. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/parent/parent.h"

#define MIB (1ull << 20)
#define CAP(c) (1ull << (c))

/*
 * nproc 0: the role can neither fork nor make threads. svid-keys has two threads, svid-attest a child
 * for the canary; both kinds count per user, so there is room for a predecessor that is still ending.
 */
const struct role roles[ROLE_COUNT] = {
	[ROLE_CORE] = { .program = "svid-core", .user = "svid-core", .id_offset = 0,
			.nofile = 2 * LIM_CONNS + 4 * LIM_FRONTS, .as = 8192 * MIB },
	[ROLE_KEYS] = { .program = "svid-keys", .user = "svid-keys", .id_offset = 1,
			.nofile = 2 * LIM_FRONTS, .nproc = 8, .memlock = 1024 * MIB, .as = 1024 * MIB },
	[ROLE_ATTEST] = { .program = "svid-attest", .user = "svid-attest", .id_offset = 2,
			  /* Each worker gives up what is not for its kind (agent/attest/sandbox.c). */
			  .caps = CAP(CAP_SYS_PTRACE) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_SYS_CHROOT),
			  .nofile = 64, .nproc = 8 * LIM_ATTEST_WORKERS, .as = 512 * MIB },
	[ROLE_FRONT] = { .program = "svid-front", .user = "svid-front", .id_offset = 3,
			 .nofile = LIM_CONNS + 64, .memlock = 1 * MIB, .as = 512 * MIB },
	[ROLE_POLICY] = { .program = "svid", .user = "svid-policy", .id_offset = 4,
			  .nofile = 64, .as = 1024 * MIB },
	/* Names are looked up in threads of libcurl's. */
	[ROLE_CLOUD] = { .program = "svid-cloud", .user = "svid-cloud", .id_offset = 6, .nofile = 1024,
			 .nproc = 4 * LIM_CLOUD_AT_ONCE, .memlock = 16 * MIB, .as = 2048 * MIB },
	[ROLE_UNDERTAKER] = { .program = "svid-undertaker", .user = "svid-undertaker", .id_offset = 5,
			      .nofile = 64, .as = 128 * MIB },
};

/* fgetpwent reads the file; getpwnam would load NSS plugins into a root process. */
static int user_in(FILE *f, const char *name, struct identity *ret_who)
{
	struct passwd *pw;

	rewind(f);
	while ((pw = fgetpwent(f)))
		if (slice_eq_str(slice_str(pw->pw_name), name)) {
			*ret_who = (struct identity){ pw->pw_uid, pw->pw_gid };
			return pw->pw_uid && pw->pw_gid ? 0 : -EINVAL;
		}
	return -ENOENT;
}

static int named_users(struct identity who[static ROLE_COUNT])
{
	FILE *f = fopen("/etc/passwd", "re");
	int err = f ? 0 : -errno;

	for (int i = 0; i < ROLE_COUNT && !err; i++) {
		err = user_in(f, roles[i].user, &who[i]);
		if (err)
			log_error(EV_CONFIG, KV("user", V_S(roles[i].user)), KV("err", V_S(err_name(err))),
				  KV("hint", V_S("run systemd-sysusers, or use --ids")));
	}
	if (f)
		fclose(f);
	return err;
}

int roles_users(unsigned int ids, struct identity ret_who[static ROLE_COUNT])
{
	struct identity who[ROLE_COUNT];
	int err = ids ? 0 : named_users(who);

	if (err)
		return err;
	for (int i = 0; i < ROLE_COUNT; i++)
		if (ids)
			who[i] = (struct identity){ ids + roles[i].id_offset, ids + roles[i].id_offset };
	/* Two roles under one user could signal and trace each other. */
	for (int i = 0; i < ROLE_COUNT; i++)
		for (int j = 0; j < i; j++)
			if (who[i].uid == who[j].uid)
				return -EINVAL;
	memcpy(ret_who, who, sizeof(who));
	return 0;
}

static int open_bin_dir(const char *bin_dir)
{
	char self[LIM_PATH];
	ssize_t n;

	if (bin_dir)
		return open(bin_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return -1;
	while (n > 1 && self[n - 1] != '/')
		n--;
	self[n] = 0;
	return open(self, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int roles_open(const char *bin_dir, int ret_fds[static ROLE_COUNT])
{
	int dir = open_bin_dir(bin_dir);
	int err = dir < 0 ? -errno : 0;

	for (int i = 0; i < ROLE_COUNT && !err; i++) {
		ret_fds[i] = openat(dir, roles[i].program, O_PATH | O_CLOEXEC);
		if (ret_fds[i] < 0)
			err = -errno;
		if (err)
			log_error(EV_CONFIG, KV("program", V_S(roles[i].program)), KV("err", V_S(err_name(err))),
				  KV("hint", V_S("--bin-dir")));
	}
	if (dir >= 0)
		close(dir);
	return err;
}
