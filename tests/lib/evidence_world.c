// SPDX-License-Identifier: Apache-2.0
/* evidence_world.c - see evidence_world.h. */
#include "tests/lib/evidence_world.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/parent/module.h"

struct evidence_world world;
static uint32_t wanted;

bool world_tier_is(uint32_t tier)
{
	return world.p && provider_tier(world.p) == tier;
}

static uint32_t tier_from_env(void)
{
	const char *s = getenv("SVID_TEST_TIER");

	if (!s)
		return SVID_TIER_NONE;
	if (strcmp(s, "kmod") == 0)
		return SVID_TIER_KMOD;
	return strcmp(s, "lsm") == 0 ? SVID_TIER_LSM : strcmp(s, "fentry") == 0 ? SVID_TIER_FENTRY : SVID_TIER_TP;
}

struct bpf_options world_options(const char *instance, bool pin)
{
	struct bpf_options o = { .instance = instance, .listener = world.path, .tier = wanted, .pin = pin };

	return o;
}

struct provider_fds world_fds(const struct bpf *b)
{
	struct provider_fds f = { .tier = b ? bpf_tier(b) : SVID_TIER_KMOD, .module = -1 };

	if (!b) {
		f.module = fcntl(world.module, F_DUPFD_CLOEXEC, 10);
		return f;
	}
	for (int i = 0; i < SVID_MAP_COUNT; i++)
		f.maps[i] = fcntl(bpf_map_fd(b, (enum svid_map)i), F_DUPFD_CLOEXEC, 10);
	for (int i = 0; i < SVID_ITER_COUNT; i++)
		f.iters[i] = fcntl(bpf_iter_fd(b, (enum svid_iter)i), F_DUPFD_CLOEXEC, 10);
	return f;
}

int world_listen(const char *at)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", at);
	unlink(at);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 64) < 0)
		abort();
	return fd;
}

void world_set_core(pid_t pid)
{
	if (world.kernel)
		assert_int_equal(bpf_set_core(world.kernel, pid), 0);
}

static int open_bpf(void)
{
	struct bpf_options opt = world_options("unit-test", false);
	struct bpf_report report;

	if (bpf_open(&opt, &report, &world.kernel) == 0)
		return bpf_tag_listener(world.kernel, world.listener, 7);
	for (int i = 0; i < SVID_TIER_COUNT; i++)
		if (report.why[i][0])
			print_message("skipped: tier %d: %s\n", i, report.why[i]);
	return -1;
}

static int open_module(void)
{
	char why[MODULE_WHY] = "";
	int dev, words, err = module_open(&dev, why);

	if (!err) {
		err = module_evidence(dev, -1, &world.module, &words, why);
		close(dev);
	}
	if (err) {
		print_message("skipped: %s\n", why);
		return -1;
	}
	close(words);
	return module_listen(world.module, world.listener, 7);
}

int world_up(void **state)
{
	struct provider_fds fds;

	(void)state;
	world.module = -1;
	wanted = tier_from_env();
	(void)snprintf(world.dir, sizeof(world.dir), "/tmp/svid-provider-XXXXXX");
	if (!mkdtemp(world.dir))
		return -1;
	(void)chmod(world.dir, 0755);
	(void)snprintf(world.path, sizeof(world.path), "%s/t%d.sock", world.dir, (int)getpid());
	world.listener = world_listen(world.path);
	(void)chmod(world.path, 0777);
	if (geteuid() != 0) {
		print_message("skipped: not root\n");
		return 0;
	}
	if (wanted == SVID_TIER_KMOD ? open_module() : open_bpf())
		return getenv("SVID_TEST_TIER") ? -1 : 0;
	fds = world_fds(world.kernel);
	if (provider_open(&fds, &world.p) != 0)
		return -1;
	world_set_core(getpid());
	print_message("tier %u\n", provider_tier(world.p));
	return 0;
}

int world_down(void **state)
{
	(void)state;
	provider_free(world.p);
	bpf_free(world.kernel);
	if (world.module >= 0)
		close(world.module);
	unlink(world.path);
	rmdir(world.dir);
	return 0;
}

int world_accept(void)
{
	int fd = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void on_event(void *ctx, const struct svid_event *e)
{
	(void)ctx;
	world.last = *e;
	world.events++;
}

void world_drain(void)
{
	memset(&world.last, 0, sizeof(world.last));
	world.events = 0;
	assert_true(provider_events(world.p, on_event, NULL) >= 0);
}

void guest_open(struct guest *g)
{
	g->c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&g->c, CALLER_CONNECT), 0);
	g->fd = world_accept();
	assert_int_equal(provider_attach(world.p, g->fd, &g->conn, &g->t), 0);
	assert_true(provider_valid(world.p, &g->t));
	world_drain();
}

void guest_close(struct guest *g)
{
	caller_end(&g->c);
	close(g->fd);
	provider_detach(world.p, &g->t);
	world_drain();
}

bool world_cgroup2(char *ret, size_t size)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool found = false;

	while (f && !found && (m = getmntent(f))) {
		found = strcmp(m->mnt_type, "cgroup2") == 0;
		if (found)
			(void)snprintf(ret, size, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

int world_cgroup_move(const char *group, pid_t pid)
{
	char at[256];
	FILE *f;
	int bad;

	(void)snprintf(at, sizeof(at), "%s/cgroup.procs", group);
	f = fopen(at, "we");
	if (!f)
		return -errno;
	bad = fprintf(f, "%d", (int)pid) < 0;
	return fclose(f) != 0 || bad ? -EIO : 0;
}
