/* SPDX-License-Identifier: Apache-2.0 */
/* leak.c - every block of mem.c that is alive, in a table that does not look like pointers. Sanitizer builds only. */
#include "agent/base/leak.h"

#ifdef SVID_SAN

#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"

#define SLOTS (1u << 20) /* a power of two */
#define FREED 1u	 /* a slot that was in use: a search goes on behind it */
#define SHOWN 5

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uintptr_t slots[SLOTS]; /* complements, so that the table keeps nothing alive for LeakSanitizer */
static size_t n_alive;
static void *volatile kept;

static uintptr_t *find(uintptr_t what, uintptr_t hidden)
{
	size_t i = (size_t)((hidden >> 4) * 0x9e3779b97f4a7c15ull >> 20) % SLOTS;

	for (size_t n = 0; n < SLOTS; n++, i = (i + 1) % SLOTS)
		if (slots[i] == what || (!what && slots[i] == FREED))
			return &slots[i];
		else if (what && !slots[i])
			return NULL;
	return NULL;
}

void leak_made(const void *p)
{
	uintptr_t *slot;

	if (!p)
		return;
	pthread_mutex_lock(&lock);
	slot = find(0, ~(uintptr_t)p);
	if (slot)
		*slot = ~(uintptr_t)p;
	n_alive++;
	pthread_mutex_unlock(&lock);
}

void leak_freed(const void *p)
{
	uintptr_t *slot;

	if (!p)
		return;
	pthread_mutex_lock(&lock);
	slot = find(~(uintptr_t)p, ~(uintptr_t)p);
	if (slot)
		*slot = FREED;
	n_alive--;
	pthread_mutex_unlock(&lock);
}

const char *leak_arg(const char *program)
{
	const char *wanted = getenv("SVID_LEAK");
	size_t n = strlen(program);
	static char arg[16];

	while (wanted && (strncmp(wanted, program, n) != 0 || wanted[n] != ':')) {
		wanted = strchr(wanted, ',');
		wanted = wanted ? wanted + 1 : NULL;
	}
	if (!wanted)
		return NULL;
	snprintf(arg, sizeof(arg), "--leak=%.4s", wanted + n + 1);
	return arg;
}

void leak_one(const char *arg)
{
	void *block = arg ? mem_calloc(1, 77) : NULL;

	if (arg && strcmp(arg, "--leak=kept") == 0)
		kept = block;
}

int leak_check(void)
{
	int lost = __lsan_do_recoverable_leak_check();
	unsigned int shown = 0;

	for (size_t i = 0; i < SLOTS && n_alive && shown < SHOWN; i++)
		if (slots[i] > FREED) {
			__asan_describe_address((void *)~slots[i]);
			shown++;
		}
	if (lost || n_alive)
		log_error(EV_LEAK, KV("lost", V_U((unsigned int)lost)), KV("blocks", V_U(n_alive)));
	else
		log_info(EV_LEAK, KV("lost", V_U(0)), KV("blocks", V_U(0)));
	return lost || n_alive;
}

#endif
