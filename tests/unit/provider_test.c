// SPDX-License-Identifier: Apache-2.0
/* links: agent/parent/bpf.c agent/parent/bpf_tier.c agent/parent/bpf_pin.c agent/parent/bpf_why.c agent/parent/module.c agent/core/provider.c agent/core/provider_attach.c agent/core/provider_bpf.c agent/core/provider_kmod.c agent/core/provider_socket.c tests/lib/evidence_caller.c tests/lib/evidence_world.c */
/* provider_test.c - what the record of a connection says, for every kind of caller. Next: provider_change_test.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "tests/lib/evidence_world.h"

static uint32_t ns_inum(const char *name)
{
	char at[64];
	struct stat st;

	(void)snprintf(at, sizeof(at), "/proc/self/ns/%s", name);
	return stat(at, &st) == 0 ? (uint32_t)st.st_ino : 0;
}

static void record_names_the_program_and_its_arguments(void **state)
{
	static const char want[] = "caller\0--caller";
	char *args[] = { "one", "two", NULL };
	struct svid_conn conn;
	struct caller c;
	struct stat st;
	int fd;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(stat("/proc/self/exe", &st), 0); /* since Linux 6.13 a bit of ctime_nsec remembers that */
	c = caller_start(world.path, args, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_int_equal(conn.image.exe.ino, st.st_ino);
	assert_int_equal(conn.image.exe.size, st.st_size);
	assert_int_equal(conn.image.exe.mtime_sec, st.st_mtim.tv_sec);
	assert_int_equal(conn.image.exe.mtime_nsec, st.st_mtim.tv_nsec);
	assert_int_equal(conn.image.exe.ctime_sec, st.st_ctim.tv_sec);
	assert_int_equal(conn.image.exe.ctime_nsec, st.st_ctim.tv_nsec);
	assert_int_equal(conn.image.exe.mode, st.st_mode);
	assert_int_equal(conn.image.exe.uid, st.st_uid);
	assert_memory_equal(conn.image.argv, want, sizeof(want));
	assert_int_equal(conn.image.argv_len, sizeof(want) + strlen(world.path) + 1 + sizeof("one") + sizeof("two"));
	assert_int_equal(conn.image.argv_total, conn.image.argv_len);
	assert_memory_equal(conn.image.filename, "/proc/self/exe", conn.image.filename_len);
	assert_int_equal(conn.image.filename_len, strlen("/proc/self/exe"));
	assert_int_equal(conn.image.flags & ~(uint32_t)SVID_IMG_FS_REMOTE, 0);
	assert_int_equal(conn.listener, world_tier_is(SVID_TIER_TP) ? 0 : 7);
	assert_int_equal(conn.tier, provider_tier(world.p));
	assert_true(conn.image.exec_time < conn.connect_time);
	caller_end(&c);
	close(fd);
}

static void record_names_credentials_and_surroundings(void **state)
{
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	assert_int_equal(g.conn.creds.ids.euid, geteuid());
	assert_int_equal(g.conn.creds.ids.gid, getgid());
	assert_int_equal(g.conn.creds.ngroups, getgroups(0, NULL));
	assert_int_equal(g.conn.creds.ids.user_ns, ns_inum("user"));
	assert_int_equal(g.conn.creds.mnt_ns, ns_inum("mnt"));
	assert_int_equal(g.conn.creds.pid_ns, ns_inum("pid"));
	assert_int_equal(g.conn.creds.net_ns, ns_inum("net"));
	assert_int_equal(g.conn.creds.cgroup_ns, ns_inum("cgroup"));
	assert_true(g.conn.creds.ids.cap_effective & 1ull << 21); /* CAP_SYS_ADMIN */
	assert_true(g.conn.creds.flags & SVID_CRED_USERNS_INIT);
	assert_true(g.conn.creds.flags & SVID_CRED_MNTNS_INIT);
	assert_true(g.conn.creds.flags & SVID_CRED_MNTNS_PID1);
	assert_false(g.conn.creds.flags & SVID_CRED_ROOT_DIFFERS);
	assert_true(g.conn.creds.cgroup_id != 0);
	assert_int_equal(g.conn.image.n_ancestors > 0, 1);
	assert_int_equal(g.conn.image.ancestors[0].exec_id != 0, 1);
	guest_close(&g);
}

static void creds_after(enum caller_do what, struct svid_creds *ret)
{
	struct svid_conn conn;
	struct caller c = caller_start(world.path, NULL, NULL);
	int fd;

	assert_int_equal(caller_do(&c, what), 0);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_peek(world.p, fd, &conn), 0);
	*ret = conn.creds;
	caller_end(&c);
	close(fd);
}

/* A10 */
static void jails_and_namespaces_are_told_apart(void **state)
{
	struct svid_creds c;

	(void)state;
	NEED_KERNEL();
	creds_after(CALLER_CHROOT, &c);
	assert_true(c.flags & SVID_CRED_ROOT_DIFFERS);
	assert_true(c.flags & SVID_CRED_MNTNS_PID1);
	creds_after(CALLER_USERNS, &c);
	assert_false(c.flags & SVID_CRED_USERNS_INIT);
	assert_true(c.flags & SVID_CRED_MNTNS_INIT);
	assert_int_equal(c.userns_level, 1);
	assert_int_equal(c.userns_owner, geteuid());
	assert_int_equal(c.ids.uid, getuid()); /* in the initial namespace, not as the caller sees itself */
	assert_int_not_equal(c.ids.user_ns, ns_inum("user"));
	creds_after(CALLER_MNTNS, &c);
	assert_false(c.flags & SVID_CRED_MNTNS_INIT);
	assert_false(c.flags & SVID_CRED_MNTNS_PID1);
}

static void copy_self(int to)
{
	char bytes[4096];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(to, bytes, (size_t)n), n);
	close(from);
}

static void record_of(const char *exe, struct svid_conn *ret)
{
	struct caller c = caller_start_exe(exe, world.path, NULL, NULL);
	int fd;

	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_peek(world.p, fd, ret), 0);
	caller_end(&c);
	close(fd);
}

/* Through a second, read-only descriptor: a file that is open for writing does not execute. */
static int read_only_again(int fd, char *ret, size_t size)
{
	int ro;

	(void)snprintf(ret, size, "/proc/%d/fd/%d", (int)getpid(), fd);
	ro = open(ret, O_RDONLY);
	close(fd);
	(void)snprintf(ret, size, "/proc/%d/fd/%d", (int)getpid(), ro);
	return ro;
}

/* A11 */
static void memfd_and_deleted_files_are_flagged(void **state)
{
	struct svid_conn conn;
	char path[128], at[64];
	int fd;

	(void)state;
	NEED_KERNEL();
	fd = memfd_create("innocent", 0);
	copy_self(fd);
	fd = read_only_again(fd, at, sizeof(at));
	record_of(at, &conn);
	assert_true(conn.image.flags & SVID_IMG_MEMFD);
	close(fd);

	(void)snprintf(path, sizeof(path), "%s/copy", world.dir);
	fd = open(path, O_RDWR | O_CREAT, 0755);
	copy_self(fd);
	fd = read_only_again(fd, at, sizeof(at));
	record_of(path, &conn);
	assert_int_equal(conn.image.flags & (SVID_IMG_MEMFD | SVID_IMG_DELETED), 0);
	assert_int_equal(unlink(path), 0);
	record_of(at, &conn);
	assert_int_equal(conn.image.flags & (SVID_IMG_MEMFD | SVID_IMG_DELETED), SVID_IMG_DELETED);
	close(fd);
}

/* K24 */
static void script_is_named_beside_what_runs(void **state)
{
	struct svid_conn conn;
	struct stat st;
	char path[128];
	FILE *f;

	(void)state;
	NEED_KERNEL();
	(void)snprintf(path, sizeof(path), "%s/script", world.dir);
	f = fopen(path, "we");
	fprintf(f, "#!/proc/%d/exe --caller\n", (int)getpid());
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	record_of(path, &conn);
	assert_true(conn.image.flags & SVID_IMG_SCRIPT);
	assert_int_equal(conn.image.filename_len, strlen(path));
	assert_memory_equal(conn.image.filename, path, strlen(path));
	assert_memory_equal(conn.image.interp, "/proc/", 6);
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_int_equal(conn.image.exe.ino, st.st_ino);
	assert_int_equal(unlink(path), 0);
}

static void long_argv_is_cut_and_says_so(void **state)
{
	char big[2000];
	char *args[] = { big, NULL };
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	memset(big, 'b', sizeof(big));
	big[sizeof(big) - 1] = 0;
	c = caller_start(world.path, args, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_true(conn.image.flags & SVID_IMG_ARGV_TRUNC);
	assert_int_equal(conn.image.argv_len, SVID_ARGV_MAX);
	assert_true(conn.image.argv_total > sizeof(big));
	caller_end(&c);
	close(fd);
}

/* A9 */
static void argv_is_that_of_exec(void **state)
{
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_SOCKET), 0);
	assert_int_equal(caller_do(&c, CALLER_REWRITE_ARGV), 0);
	caller_end(&c);
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(caller_do(&c, CALLER_REWRITE_ARGV), 0);
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_memory_equal(conn.image.argv, "caller", sizeof("caller"));
	caller_end(&c);
	close(fd);
}

/* A15 */
static void exe_link_that_was_moved_changes_nothing(void **state)
{
	struct svid_conn conn;
	struct stat own, link;
	struct caller c;
	char at[64];
	int fd, err;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	err = caller_do(&c, CALLER_SPOOF_EXE);
	if (err) {
		caller_end(&c);
		print_message("skipped: PR_SET_MM_MAP: %s\n", err_name(err));
		skip();
	}
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	(void)snprintf(at, sizeof(at), "/proc/%d/exe", (int)c.pid);
	assert_int_equal(stat(at, &link), 0);
	assert_int_equal(stat("/proc/self/exe", &own), 0);
	assert_int_not_equal(link.st_ino, own.st_ino); /* the control: /proc believes it */
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_int_equal(conn.image.exe.ino, own.st_ino);
	caller_end(&c);
	close(fd);
}

static uint32_t env_flags(char *const env[])
{
	struct svid_conn conn;
	struct caller c = caller_start(world.path, NULL, env);
	int fd;

	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	caller_end(&c);
	close(fd);
	return conn.image.flags & (SVID_IMG_ENV_TRUNC | SVID_IMG_LD_PRELOAD | SVID_IMG_LD_AUDIT |
				   SVID_IMG_LD_LIBRARY_PATH | SVID_IMG_ENV_OTHER);
}

/* A12 */
static void loader_variables_are_flagged(void **state)
{
	static const struct {
		char *var;
		uint32_t flags;
	} table[] = {
		{ "LD_PRELOAD=", SVID_IMG_LD_PRELOAD },
		{ "LD_AUDIT=", SVID_IMG_LD_AUDIT },
		{ "LD_LIBRARY_PATH=/nowhere", SVID_IMG_LD_LIBRARY_PATH },
		{ "LD_ORIGIN_PATH=/x", SVID_IMG_LD_LIBRARY_PATH },
		{ "LD_PROFILE=libc.so.6", SVID_IMG_LD_LIBRARY_PATH },
	};
	static char *const others[] = {
		"LD_BIND_NOW=1", "GLIBC_TUNABLES=", "GCONV_PATH=/x", "PYTHONPATH=/x", "PERLLIB=/x", "RUBYOPT=-rx",
		"NODE_OPTIONS=", "NODE_PATH=/x", "JAVA_TOOL_OPTIONS=", "JDK_JAVA_OPTIONS=", "_JAVA_OPTIONS=",
		"CLASSPATH=/x", "BASH_ENV=/x", "BASH_FUNC_x%%=() {", "SHELLOPTS=xtrace", "PS4=$(x)", "LUA_PATH=/x",
		"PHPRC=/x", "PHP_INI_SCAN_DIR=/x", "ERL_FLAGS=", "DOTNET_STARTUP_HOOKS=/x", "CORECLR_PROFILER=x",
		"OPENSSL_CONF=/x", "KRB5_CONFIG=/x", "GIO_MODULE_DIR=/x", "GTK_MODULES=x", "QT_PLUGIN_PATH=/x",
	};
	static char *const near[] = {
		"XLD_PRELOAD=1", "A=LD_PRELOAD=1", "PATH=/bin", "LDPATH=/x", "PYT=", "PERIOD=1", "RUN=1",
		"NODE_ENV=x", "JAVA_HOME=/x", "PS1=$", "BASH=/bin/bash", "SHELL=/bin/sh", "COLUMNS=80", "DOMAIN=x",
		"ld_preload=", "L", "G=1", NULL,
	};
	char *env[] = { "HOME=/", NULL, "Z=1", NULL };

	(void)state;
	NEED_KERNEL();
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		env[1] = others[i];
		assert_int_equal(env_flags(env), SVID_IMG_ENV_OTHER);
	}
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		env[1] = table[i].var;
		assert_int_equal(env_flags(env), table[i].flags);
		assert_int_equal(env_flags(env + 1), table[i].flags); /* the very first one */
	}
	assert_int_equal(env_flags(near), 0);
}

/* The search works in chunks of 4096, blocks of 128 and words of 8 bytes: no place, and no byte before it, may hide a name. */
static void loader_variable_is_found_at_every_edge(void **state)
{
	static char pad[8400];
	char *env[] = { pad, "LD_AUDIT=", NULL }, *none[] = { "A=1", NULL };
	static const size_t around[] = { 8, 127, 4095, 4096, 8191 };
	static const char fill[] = { 'p', '\x01', '\x80', '\xff' };

	(void)state;
	NEED_KERNEL();
	for (size_t i = 0; i < ARRAY_SIZE(around); i++) {
		for (size_t n = around[i] - 6; n < around[i] + 3; n++) {
			memset(pad, fill[n % ARRAY_SIZE(fill)], n);
			pad[n] = 0;
			assert_int_equal(env_flags(env), SVID_IMG_LD_AUDIT);
		}
		assert_int_equal(env_flags(none), 0); /* what that left in the kernel's buffer is nobody's */
	}
}

static void environment_beyond_the_search_is_flagged(void **state)
{
	static char pad[SVID_ENV_SCAN];
	char *env[] = { "LD_PRELOAD=", pad, "LD_AUDIT=", NULL };

	(void)state;
	NEED_KERNEL();
	memset(pad, 'p', sizeof(pad) - 1);
	assert_int_equal(env_flags(env), SVID_IMG_LD_PRELOAD | SVID_IMG_ENV_TRUNC);
}

/* A2 as far as the record goes: what connected, not what asks. */
static void exec_after_connect_leaves_the_record(void **state)
{
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	assert_int_equal(caller_do(&c, CALLER_LINGER), 0);
	assert_int_equal(caller_do(&c, CALLER_EXEC), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_int_equal(conn.image.argv_len, sizeof("caller") + sizeof("--caller") + strlen(world.path) + 1);
	caller_end(&c);
	close(fd);
}

/* A1 */
static void dead_callers_record_is_still_theirs(void **state)
{
	struct provider_ticket t;
	struct svid_conn conn;
	struct caller c;
	pid_t pid;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	pid = c.pid;
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	caller_end(&c);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_memory_equal(conn.image.argv, "caller", sizeof("caller"));
	assert_int_equal(conn.tid != 0 && pid != 0, 1);
	assert_int_equal(provider_attach(world.p, fd, &conn, &t), -ERR_CHANGED);
	close(fd);
}

/* Who connects is recorded, not who made the socket. */
static void socket_connected_by_a_child_is_the_childs(void **state)
{
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_SOCKET), 0);
	assert_int_equal(caller_do(&c, CALLER_CHILD_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_true(conn.image.flags & SVID_IMG_FORKED);
	assert_memory_equal(conn.image.ancestors[0].comm, "exe", 4); /* comm of /proc/self/exe */
	caller_end(&c);
	close(fd);
}

/* An earlier attempt leaves nothing that another process could use. */
static void failed_connect_is_replaced_by_the_one_that_works(void **state)
{
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_SOCKET), 0);
	assert_int_equal(caller_do(&c, CALLER_MISS), 0);
	assert_int_equal(caller_do(&c, CALLER_CHILD_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	assert_true(conn.image.flags & SVID_IMG_FORKED);
	caller_end(&c);
	close(fd);
}

/* bpf-lsm and bpf-fentry know the listener by its tag, bpf-tp by its name. */
static void connection_to_another_listener_has_no_record(void **state)
{
	struct svid_conn conn;
	struct caller c;
	char other[128];
	int fd, l;

	(void)state;
	NEED_KERNEL();
	(void)snprintf(other, sizeof(other), "%s/other.sock", world.dir);
	l = world_listen(other);
	c = caller_start(other, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), -ENOENT);
	caller_end(&c);
	close(fd);
	close(l);
	unlink(other);
}

static void socket_without_peer_is_told_apart(void **state)
{
	struct svid_conn conn;
	int fd;

	(void)state;
	NEED_KERNEL();
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), -ENOTCONN);
	close(fd);
}

/* Only the process that svidd named may ask; a provider that does not answer is noticed. */
static void nobody_but_core_gets_a_record(void **state)
{
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(bpf_set_core(world.kernel, c.pid), 0);
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), -ERR_EVIDENCE);
	assert_int_equal(bpf_set_core(world.kernel, 0), 0);
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), -ERR_EVIDENCE);
	assert_int_equal(bpf_set_core(world.kernel, getpid()), 0);
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), 0);
	caller_end(&c);
	close(fd);
}

static void processes_older_than_the_provider_say_so(void **state)
{
	struct svid_image img;
	struct svid_key key = { 0 };
	struct guest g;

	(void)state;
	NEED_KERNEL();
	guest_open(&g);
	key = g.conn.image.ancestors[0].key; /* this test, which loaded the provider */
	if (world_tier_is(SVID_TIER_KMOD)) /* but not the module */
		assert_int_equal(provider_key_of(world.p, 1, &key), 0);
	assert_int_equal(provider_image(world.p, &key, &img), 0);
	assert_true(img.flags & SVID_IMG_SCANNED);
	assert_true(img.flags & SVID_IMG_ARGV_TRUNC);
	assert_int_equal(img.exec_time, 0);
	guest_close(&g);
	key.start++;
	assert_int_equal(provider_image(world.p, &key, &img), -ENOENT);
}

/* Nothing is left out on an idle machine; what was left out before is told once, not again. */
static void watch_finds_nothing_left_out(void **state)
{
	struct svid_stats s;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(bpf_watch(world.kernel), 0);
	provider_stats(world.p, &s);
	assert_int_equal(s.n[SVID_STAT_SKIPPED], 0);
	assert_int_equal(bpf_watch(world.kernel), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record_names_the_program_and_its_arguments),
		cmocka_unit_test(record_names_credentials_and_surroundings),
		cmocka_unit_test(jails_and_namespaces_are_told_apart),
		cmocka_unit_test(memfd_and_deleted_files_are_flagged),
		cmocka_unit_test(script_is_named_beside_what_runs),
		cmocka_unit_test(long_argv_is_cut_and_says_so),
		cmocka_unit_test(argv_is_that_of_exec),
		cmocka_unit_test(exe_link_that_was_moved_changes_nothing),
		cmocka_unit_test(loader_variables_are_flagged),
		cmocka_unit_test(loader_variable_is_found_at_every_edge),
		cmocka_unit_test(environment_beyond_the_search_is_flagged),
		cmocka_unit_test(exec_after_connect_leaves_the_record),
		cmocka_unit_test(dead_callers_record_is_still_theirs),
		cmocka_unit_test(socket_connected_by_a_child_is_the_childs),
		cmocka_unit_test(failed_connect_is_replaced_by_the_one_that_works),
		cmocka_unit_test(connection_to_another_listener_has_no_record),
		cmocka_unit_test(socket_without_peer_is_told_apart),
		cmocka_unit_test(processes_older_than_the_provider_say_so),
	};
	/* Of the module whoever has the evidence file may ask, and it counts by itself what it left out. */
	const struct CMUnitTest bpf_tests[] = {
		cmocka_unit_test(nobody_but_core_gets_a_record),
		cmocka_unit_test(watch_finds_nothing_left_out),
	};
	const char *tier = getenv("SVID_TEST_TIER");
	int failed;

	caller_main(argc, argv);
	failed = cmocka_run_group_tests_name("provider", tests, world_up, world_down);
	if (!tier || strcmp(tier, "kmod") != 0)
		failed += cmocka_run_group_tests_name("provider_bpf", bpf_tests, world_up, world_down);
	return failed;
}
