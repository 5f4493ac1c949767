// SPDX-License-Identifier: Apache-2.0
/* main.c - svid-bench COMMAND ARGS: see bench.h; tests/bench/bench.py runs it. */
#include <signal.h>
#include <stdio.h>

#include "tests/bench/bench.h"

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = { { "floor", cmd_floor }, { "connect", cmd_connect }, { "hold", cmd_hold },
			  { "jwt", cmd_jwt }, { "validate", cmd_validate }, { "sds", cmd_sds }, { "read", cmd_read } };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (argc > 1 && !strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "usage: svid-bench floor SOCKET BYTES [unary] | connect|hold SOCKET N | jwt|validate SOCKET N CONNS"
			" | sds SOCKET CONNS NAME... | read FILE N\n");
	return 2;
}
