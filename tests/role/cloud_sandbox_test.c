/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/cloud_case.c tests/role/cloud_world.c tests/role/cloud_answers.c tests/role/keys_world.c */
/* links: tests/lib/busy.c tests/lib/https.c tests/lib/certs.c tests/lib/child.c tests/lib/names.c */
/* links: federation/sandbox.c agent/sandbox */
/*
 * cloud_sandbox_test.c - svid-cloud's own plan, entered in a child that then is a taken-over svid-cloud: which sockets it gets,
 * beside the same plan without the filter; and that names are found all the same, by the plan and by the real program.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <linux/netlink.h>

#include "tests/lib/child.h"
#include "tests/lib/names.h"
#include "tests/role/cloud_case.h"

#include "federation/cloud.h"

#define NAME "elsewhere.example" /* of HTTPS_OTHER_NAME */

static struct sandbox_plan plan;
static char listening[64]; /* a Unix socket that anybody may connect to */

/* Where svidd puts the directory of cache.db. */
static bool enter(void)
{
	return dup2(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), FD_CLOUD_STATE) >= 0 && !cloud_sandbox(&plan);
}

/* errno of socket(2), 0 when there is one. */
static int try_socket(int family, int type, int protocol)
{
	int fd = socket(family, type | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* 1 + index of the first family that is not refused as none that there is. */
static int other_families(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET };

	if (!enter())
		return 200;
	for (int family = 0; family < 64; family++)
		for (size_t i = 0; i < ARRAY_SIZE(types) && family != AF_INET && family != AF_INET6; i++)
			if (try_socket(family, types[i], 0) != EAFNOSUPPORT)
				return family + 1;
	return 0;
}

static int netlink(void)
{
	return enter() ? try_socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) : 200;
}

static int connect_to_listener(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", listening);
	if (!enter())
		return 200;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? errno : 0;
}

static int internet(void)
{
	int six = try_socket(AF_INET6, SOCK_STREAM, 0); /* a kernel may have none */

	if (!enter())
		return 200;
	return try_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) || try_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP) ||
	       try_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) || try_socket(AF_INET6, SOCK_STREAM, 0) != six;
}

static int other_protocol(void)
{
	return enter() ? try_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP) : 200;
}

static int pair_of_streams(void)
{
	int pair[2];

	return enter() ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) : 200;
}

static int pair_of_datagrams(void)
{
	int pair[2];

	return enter() ? socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) : 200;
}

/* What a pair of streams cannot do and one of datagrams could: lead to somebody else. */
static int reconnect_stream(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int pair[2];

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", listening);
	if (!enter() || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 200;
	close(pair[1]);
	return connect(pair[0], (struct sockaddr *)&at, sizeof(at)) < 0 ? errno : 0;
}

static int look_up(void)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	int rc = enter() ? getaddrinfo(NAME, "443", &hints, &found) : 200;

	return rc < 0 ? -rc : rc; /* EAI_ codes are negative */
}

static void only_the_internet_is_reached(void **state)
{
	(void)state;
	plan = cloud_plan;
	assert_int_equal(child_run(internet), 0);
	assert_int_equal(child_run(other_families), 0);
	assert_int_equal(child_run(connect_to_listener), EAFNOSUPPORT);
	assert_int_equal(child_run(other_protocol), CHILD_KILLED);
}

/* The control: it is this filter, and neither the list nor Landlock, that keeps svid-cloud from them. */
static void without_the_filter_local_services_are_reached(void **state)
{
	(void)state;
	plan = cloud_plan;
	plan.n_families = 0;
	assert_int_equal(child_run(connect_to_listener), 0);
	assert_int_equal(child_run(netlink), 0);
	plan = cloud_plan;
	assert_int_equal(child_run(netlink), EAFNOSUPPORT);
}

static void pairs_lead_nowhere_else(void **state)
{
	(void)state;
	plan = cloud_plan;
	assert_int_equal(child_run(pair_of_streams), 0);
	assert_int_equal(child_run(pair_of_datagrams), CHILD_KILLED);
	assert_int_equal(child_run(reconnect_stream), EISCONN);
}

/* By libc as it is: in a child that asks nothing but getaddrinfo(). */
static void names_are_found_in_hosts_and_dns(void **state)
{
	unsigned int before = names_asked();

	(void)state;
	plan = cloud_plan;
	names_set("127.0.0.1 " NAME "\n", "hosts: files dns\n");
	assert_int_equal(child_run(look_up), 0);
	assert_int_equal(names_asked(), before);
	names_set("", "hosts: files dns\n");
	assert_int_equal(child_run(look_up), 0);
	assert_int_equal(names_asked(), before + 1);
}

/* Modules are code, some of them speak over Unix sockets. Without Landlock it is the sandbox alone that meets them. */
static void modules_of_nsswitch_are_not_missed(void **state)
{
	(void)state;
	names_set("", "hosts: systemd hesiod resolve [!UNAVAIL=return] sss files\n");
	plan = cloud_plan;
	assert_int_equal(child_run(look_up), 0);
	plan.no_landlock = "as on a kernel without it";
	assert_int_equal(child_run(look_up), 0);
}

/* A token service by name, and the real program. */
static void svid_cloud_finds_its_token_service(const char *hosts, unsigned int questions)
{
	struct service service = { .kind = CLOUD_AWS, .life = 3600 };
	struct https *https = https_start(HTTPS_OTHER_NAME, false, service_answer, &service);
	unsigned int before = names_asked();
	struct cloud_rig rig;
	char url[128], *spec;

	snprintf(url, sizeof(url), "https://" NAME "%s", strrchr(https_url(https), ':'));
	spec = source_of(CLOUD_AWS, url, https_ca(https), "", "");
	names_set(hosts, "hosts: files resolve [!UNAVAIL=return] dns\n");
	cloud_setup(&rig);
	cloud_start(&rig, -1);
	cloud_bind(&rig, 1, CLOUD_AWS, WEB, "cred", spec);
	cloud_bound(&rig);
	cloud_state(&rig, 1, CLOUD_READY);
	assert_int_equal(names_asked() - before, questions);
	assert_non_null(strstr(cloud_read(&rig, 1, CLOUD_FILE_AWS_CREDENTIALS), "secret-1"));
	cloud_teardown(&rig);
	https_stop(https);
	free(spec);
}

static void svid_cloud_finds_it_by_dns(void **state)
{
	(void)state;
	svid_cloud_finds_its_token_service("", 1);
}

static void svid_cloud_finds_it_in_hosts(void **state)
{
	(void)state;
	svid_cloud_finds_its_token_service("127.0.0.1 " NAME "\n", 0);
}

static int listener = -1;

static int begin(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };

	(void)state;
	names_start();
	snprintf(listening, sizeof(listening), "/tmp/svid-sockets-%d", getpid());
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", listening);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 8) < 0;
}

static int end(void **state)
{
	(void)state;
	names_stop();
	close(listener);
	return unlink(listening);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_internet_is_reached),
		cmocka_unit_test(without_the_filter_local_services_are_reached),
		cmocka_unit_test(pairs_lead_nowhere_else),
		cmocka_unit_test(names_are_found_in_hosts_and_dns),
		cmocka_unit_test(modules_of_nsswitch_are_not_missed),
		cmocka_unit_test(svid_cloud_finds_it_by_dns),
		cmocka_unit_test(svid_cloud_finds_it_in_hosts),
	};

	return cmocka_run_group_tests_name("cloud_sandbox", tests, begin, end);
}
