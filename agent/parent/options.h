/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - svidd's command line. svidd only. */
#ifndef PARENT_OPTIONS_H
#define PARENT_OPTIONS_H

#include <stdbool.h>

#include "agent/base/compiler.h"

/* The command line (options.c). Strings borrow from argv. */
struct options {
	const char *config_path;
	const char *policy_dir;
	const char *run_dir;
	const char *state_dir;
	const char *cloud_dir; /* NULL: the state directory's name and "-cloud" */
	const char *audit_path;
	const char *instance;
	const char *bin_dir; /* NULL: where svidd itself is */
	unsigned int ids;    /* first of the numeric users; 0: names from /etc/passwd */
	unsigned int tier;   /* enum svid_tier; TIER_AUTO: svid.yaml decides */
	const char *tree_dir;  /* NULL: in the run directory */
	unsigned int delivery; /* enum delivery; DELIVERY_AUTO: svid.yaml decides */
	unsigned int log_level;
	bool allow_socket;
	bool debug_sandbox;
	bool remove_pins;
	bool remove_pins_at_exit;
	bool help;
};

/** options_parse() - fill @ret_o or say what is wrong on stderr. Errors: -EINVAL. */
MUST int options_parse(int argc, char **argv, struct options *ret_o);

/** options_help() - the option table as text on stdout. */
void options_help(void);

#endif
