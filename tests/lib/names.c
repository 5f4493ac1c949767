/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - files mounted over the machine's in a mount namespace, and a DNS server in a thread (RFC 1035 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/names.h"

#define HEAD 12 /* bytes of a DNS message before its question */
#define TYPE_A 1

static atomic_uint asked;
static pthread_t thread;
static int server, stop[2];

static void write_over(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void mount_over(const char *path)
{
	char own[] = "/tmp/svid-names-XXXXXX";
	int fd = mkstemp(own);

	assert_true(fd >= 0 && fchmod(fd, 0644) == 0);
	close(fd);
	if (mount(own, path, NULL, MS_BIND, NULL) < 0)
		fail_msg("%s cannot be another here", path);
	unlink(own);
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
}

/* The question comes back, and for TYPE_A an address with it; 0: that was no question. */
static size_t answer(uint8_t *m, size_t len)
{
	static const uint8_t address[] = { 0xc0, HEAD, 0, TYPE_A, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1 };
	size_t at = HEAD;

	while (at < len && m[at])
		at += m[at] + 1u;
	at += 5; /* its end, type and class */
	if (at > len)
		return 0;
	m[2] |= 0x80; /* a response */
	m[3] = 0x80;  /* recursion is there */
	memset(m + 6, 0, 6);
	if (m[at - 3] != TYPE_A)
		return at;
	asked++;
	m[7] = 1;
	memcpy(m + at, address, sizeof(address));
	return at + sizeof(address);
}

static void *serve(void *arg)
{
	struct pollfd p[] = { { .fd = server, .events = POLLIN }, { .fd = stop[0], .events = POLLIN } };

	while (poll(p, 2, -1) >= 0 && !p[1].revents) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		uint8_t m[1024];
		ssize_t n = recvfrom(server, m, 512, 0, (struct sockaddr *)&from, &from_len);
		size_t len = n > HEAD ? answer(m, (size_t)n) : 0;

		if (len)
			(void)!sendto(server, m, len, 0, (struct sockaddr *)&from, from_len);
	}
	return arg;
}

void names_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail_msg("no namespaces: this test takes root");
	loopback_up();
	mount_over("/etc/hosts");
	mount_over("/etc/nsswitch.conf");
	mount_over("/etc/resolv.conf");
	write_over("/etc/resolv.conf", "nameserver 127.0.0.1\n");
	server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
}

void names_stop(void)
{
	close(stop[1]);
	pthread_join(thread, NULL);
	close(stop[0]);
	close(server);
}

void names_set(const char *hosts, const char *nsswitch)
{
	write_over("/etc/hosts", hosts);
	write_over("/etc/nsswitch.conf", nsswitch);
}

unsigned int names_asked(void)
{
	return asked;
}
