// SPDX-License-Identifier: Apache-2.0
/*
 * module.c - the kernel module as svidd meets it: open, compare versions, let it make files. The protocol is
 * kmod/uapi/svid_dev.h. svidd as root; it never loads a module by itself. Next: evidence.c, delivery.c.
 */
#include "agent/parent/module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/slice.h"
#include "kmod/uapi/svid_dev.h"

#define TREE_TRIES 20
#define TREE_PAUSE_US 50000

/* The first byte of a switch in /proc/sys; '?' where there is none. */
static char switch_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = '?';

	if (fd < 0)
		return c;
	if (read(fd, &c, 1) != 1)
		c = '?';
	close(fd);
	return c;
}

static int say(char *why, int err, const char *text)
{
	(void)snprintf(why, MODULE_WHY, "%s", text);
	return err;
}

static int say_failed(char *why, int err, const char *what)
{
	(void)snprintf(why, MODULE_WHY, "%s: %s (%s)", what, err_name(err), "see the kernel log");
	return err;
}

static int not_there(char *why, int err)
{
	if (err != -ENOENT && err != -ENXIO && err != -ENODEV)
		return say_failed(why, err, "cannot open " SVID_DEV_PATH);
	if (switch_read("/proc/sys/kernel/modules_disabled") == '1')
		return say(why, -ENOENT, "svid.ko is not loaded, and kernel.modules_disabled is 1 -> load it at boot: "
					 "kmod/INSTALL.md");
	return say(why, -ENOENT, "svid.ko is not loaded -> modprobe svid (kmod/INSTALL.md), then restart svidd");
}

static int version_check(int dev, char *why)
{
	struct svid_dev_hello hello = { .size = sizeof(hello) };

	if (ioctl(dev, SVID_IOC_HELLO, &hello) < 0)
		return say_failed(why, -errno, "svid.ko does not answer");
	if (hello.version != SVID_DEV_VERSION || hello.abi != SVID_ABI_VERSION || hello.schema != SVID_SCHEMA_VERSION)
		return say(why, -ERR_PROVIDER, "the svid.ko that is loaded is of another version of svidd -> "
					       "stop svidd, rmmod svid, modprobe svid, start svidd");
	if (!hello.ready)
		return say(why, -ERR_PROVIDER, "svid.ko has not seen all processes yet -> start svidd again");
	return 0;
}

int module_open(int *ret_fd, char *why)
{
	int dev = open(SVID_DEV_PATH, O_RDWR | O_CLOEXEC);
	int err;

	if (dev < 0)
		return not_there(why, -errno);
	err = version_check(dev, why);
	if (err) {
		close(dev);
		return err;
	}
	*ret_fd = dev;
	return 0;
}

/* Only an evidence file makes words files, so this also tells whether @evidence is one. */
static int words_of(int evidence)
{
	int fd = ioctl(evidence, SVID_IOC_WORDS);

	return fd < 0 ? -errno : fd;
}

int module_evidence(int dev, int kept, int *ret_fd, int *ret_words, char *why)
{
	int fd = kept;
	int words = fd < 0 ? -EBADF : words_of(fd);

	if (switch_read("/proc/sys/kernel/ftrace_enabled") == '0') {
		if (fd >= 0)
			close(fd);
		if (words >= 0)
			close(words);
		return say(why, -ERR_PROVIDER, "kernel.ftrace_enabled is 0, which silences the module's hooks -> "
					       "sysctl kernel.ftrace_enabled=1");
	}
	if (words < 0) {
		if (fd >= 0)
			close(fd);
		fd = ioctl(dev, SVID_IOC_EVIDENCE);
		if (fd < 0)
			return say_failed(why, -errno, "svid.ko makes no evidence file");
		words = words_of(fd);
	}
	if (words < 0) {
		close(fd);
		return say_failed(why, words, "svid.ko makes no words file");
	}
	*ret_fd = fd;
	*ret_words = words;
	return 0;
}

int module_listen(int evidence, int listener, uint32_t tag)
{
	struct svid_dev_listen l = { .size = sizeof(l), .fd = listener, .tag = tag };

	return ioctl(evidence, SVID_IOC_LISTEN, &l) < 0 ? -errno : 0;
}

/* A svid-core whose svidd was just killed holds it until it has died of the same end. */
int module_tree(int dev, int *ret_fd, char *why)
{
	int fd = ioctl(dev, SVID_IOC_TREE);

	for (int i = 0; fd < 0 && errno == EBUSY && i < TREE_TRIES; i++) {
		usleep(TREE_PAUSE_US);
		fd = ioctl(dev, SVID_IOC_TREE);
	}
	if (fd < 0 && errno == EBUSY)
		return say(why, -EBUSY, "another svidd on this machine has the tree -> stop it, or use delivery: fuse");
	if (fd < 0)
		return say_failed(why, -errno, "svid.ko makes no tree file");
	*ret_fd = fd;
	return 0;
}
