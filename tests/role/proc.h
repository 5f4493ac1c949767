/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - looking at running programs through /proc, for the role tests. */
#ifndef TESTS_ROLE_PROC_H
#define TESTS_ROLE_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether /proc/@name is a process of that user; one that nobody has reaped yet is not. */
bool proc_runs_as(const char *name, unsigned int uid);

/* A living process of that user; 0 when there is none. */
pid_t proc_of_user(unsigned int uid);

/* The test fails when one is still there after some seconds. */
void proc_wait_no_user(unsigned int uid);

/* Whether that process has its system call filter: the last step of a role's way into its sandbox. */
bool proc_is_sandboxed(pid_t pid);

/* What follows @key ("Uid:") in /proc/PID/status, blanks included; empty when there is no such line. */
void proc_status(pid_t pid, const char *key, char out[static 128]);

/* The same, which must be @want. */
void proc_assert_status(pid_t pid, const char *key, const char *want);

#endif
