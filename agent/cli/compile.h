/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compile.h - the policy compiler: YAML documents in, normal-form JSON or errors with file, line and column out.
 *
 * Two entries of program svid. `svid compile` is started by svidd, unprivileged and locked in, with three
 * descriptors; `svid policy check` is the same compiler in a person's hands. Next: compile_schema.c for
 * what a document may say, compile_doc.c for how it is checked.
 */
#ifndef CLI_COMPILE_H
#define CLI_COMPILE_H

/**
 * compile_main() - `svid compile [--boot] [--log=LEVEL] [--sandbox=log]`: descriptors FD_CHANNEL, FD_POLICY_DIR,
 * FD_POLICY_AGENT. @argv[0] is "compile". Sends PC_FILE, PC_DOC and PC_ERROR messages and, when everything
 * could be looked at, PC_DONE; with --boot one PC_BOOT. Returns the exit code.
 */
int compile_main(int argc, char **argv);

/**
 * policy_check_main() - `svid policy check [-c SVID.YAML] [-o json] DIR|FILE...`. @argv[0] is "check".
 * Prints file:line:column: error: text. Returns enum cli_exit: CLI_DONE (all good, warnings or not), CLI_NO (errors),
 * CLI_USAGE, CLI_LOCAL (cannot look).
 */
int policy_check_main(int argc, char **argv);

#endif
