// SPDX-License-Identifier: Apache-2.0
/*
 * A12: a library that the attacker has loaded into the trusted program by LD_PRELOAD, LD_AUDIT, or, under the name of
 * one that it needs, LD_LIBRARY_PATH. Built by attack_test.py. Loading it is the attack: the key is now in its reach.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void loaded(void)
{
	static const char line[] = "injected: yes\n";

	if (write(STDOUT_FILENO, line, sizeof(line) - 1) < 0)
		_exit(4);
}

/* What LD_AUDIT asks a library for. */
unsigned int la_version(unsigned int version)
{
	return version;
}

#ifdef STAND_IN
/* The few functions of libnghttp2 that the trusted program uses, so that it starts. */
int nghttp2_hd_inflate_new(void **ret)
{
	static int nothing;

	*ret = &nothing;
	return 0;
}

long nghttp2_hd_inflate_hd2(void *a, void *nv, int *flags, const unsigned char *in, size_t len, int final)
{
	(void)a, (void)nv, (void)flags, (void)in, (void)len, (void)final;
	return -1;
}

int nghttp2_hd_inflate_end_headers(void *a)
{
	(void)a;
	return 0;
}
#endif
