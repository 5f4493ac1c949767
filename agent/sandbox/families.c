// SPDX-License-Identifier: Apache-2.0
/*
 * families.c - a second filter, of socket(2) alone: the families of a plan, and "no such family" for all others. Any child of
 * svidd. By hand, since libseccomp has no rule for "any but these". Other architectures and x32 are the list's to kill; of two
 * filters the kernel takes the harder verdict.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/sandbox/internal.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IF_EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (uint8_t)(then), (uint8_t)(otherwise))
#define ANSWER(what) BPF_STMT(BPF_RET | BPF_K, (what))

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of args[0] comes first");

int sandbox_families(const struct sandbox_plan *plan, bool log_only)
{
	size_t n = plan->n_families, at = 0;
	struct sock_filter code[SANDBOX_FAMILIES + 5];
	struct sock_fprog prog = { .filter = code };
	long rc;

	if (!n)
		return 0;
	if (n > SANDBOX_FAMILIES)
		return -ERR_LIMIT;
	code[at++] = (struct sock_filter)LOAD(nr);
	code[at++] = (struct sock_filter)IF_EQUAL(SYS_socket, 0, n + 2); /* to the last line */
	code[at++] = (struct sock_filter)LOAD(args[0]);
	for (size_t i = 0; i < n; i++)
		code[at++] = (struct sock_filter)IF_EQUAL((uint32_t)plan->families[i], n - i, 0);
	code[at++] = (struct sock_filter)ANSWER(log_only ? SECCOMP_RET_LOG : SECCOMP_RET_ERRNO | EAFNOSUPPORT);
	code[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)at;
	rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
	return rc < 0 ? -errno : rc ? -EBUSY /* a thread that cannot have it */ : 0;
}
