/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - files mounted over the machine's in a mount namespace, and a DNS server (RFC 1035 4). It is a process: tests fork
 * children that go on without exec, and a thread may hold a lock of the heap meanwhile, which no child would ever get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/names.h"

#define HEAD 12 /* bytes of a DNS message before its question */
#define TYPE_A 1

static atomic_uint *asked; /* shared with the server */
static pid_t server;

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
	(*asked)++;
	m[7] = 1;
	memcpy(m + at, address, sizeof(address));
	return at + sizeof(address);
}

static _Noreturn void serve(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		uint8_t m[1024];
		ssize_t n = recvfrom(fd, m, 512, 0, (struct sockaddr *)&from, &from_len);
		size_t len = n > HEAD ? answer(m, (size_t)n) : 0;

		if (len)
			(void)!sendto(fd, m, len, 0, (struct sockaddr *)&from, from_len);
	}
}

void names_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd;

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail_msg("no namespaces: this test takes root");
	loopback_up();
	mount_over("/etc/hosts");
	mount_over("/etc/nsswitch.conf");
	mount_over("/etc/resolv.conf");
	write_over("/etc/resolv.conf", "nameserver 127.0.0.1\n");
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	asked = mmap(NULL, sizeof(*asked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(asked, MAP_FAILED);
	server = fork();
	assert_true(server >= 0);
	if (!server)
		serve(fd);
	close(fd);
}

void names_stop(void)
{
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	munmap(asked, sizeof(*asked));
}

void names_set(const char *hosts, const char *nsswitch)
{
	write_over("/etc/hosts", hosts);
	write_over("/etc/nsswitch.conf", nsswitch);
}

unsigned int names_asked(void)
{
	return *asked;
}
