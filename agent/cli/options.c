/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - options of svid as one table: parsing and help come from the same rows. */
#include "agent/cli/options.h"

#include <errno.h>

#include "agent/cli/endpoint.h"

#define TIMEOUT_MS 10000
#define TIMEOUT_MAX_S 3600

struct option_row {
	const char *name;
	const char *value; /* what it is called in help; NULL: takes none */
	const char *help;
	unsigned int use; /* USES_*; 0: every verb */
	int (*set)(struct options *o, const char *value);
};

static int set_socket(struct options *o, const char *value)
{
	return endpoint_path(value, &o->cli.socket);
}

static int set_admin(struct options *o, const char *value)
{
	return endpoint_path(value, &o->cli.admin);
}

static int set_output(struct options *o, const char *value)
{
	static const char *const names[] = { [OUT_TEXT] = "text", [OUT_JSON] = "json", [OUT_PEM] = "pem" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(value, names[i]) == 0) {
			o->cli.output = (enum cli_output)i;
			return 0;
		}
	return -EINVAL;
}

static int set_write(struct options *o, const char *value)
{
	o->cli.write_dir = value;
	return *value ? 0 : -EINVAL;
}

static int set_timeout(struct options *o, const char *value)
{
	uint64_t s;

	if (slice_u64_dec(slice_str(value), &s) || !s || s > TIMEOUT_MAX_S)
		return -EINVAL;
	o->cli.timeout_ms = (unsigned int)s * 1000;
	return 0;
}

static int set_help(struct options *o, const char *value)
{
	(void)value;
	o->help = true;
	return 0;
}

static int set_version(struct options *o, const char *value)
{
	(void)value;
	o->version = true;
	return 0;
}

static const struct option_row rows[] = {
	{ "--socket", "ADDRESS", "Workload API socket (SPIFFE_ENDPOINT_SOCKET, else " CLI_SOCKET ")", USES_SOCKET,
	  set_socket },
	{ "--admin", "PATH", "admin socket (" CLI_ADMIN ")", USES_ADMIN, set_admin },
	{ "-o", "FORM", "text (default), json, or pem for certificates", USES_OUTPUT, set_output },
	{ "--write", "DIR", "fetch x509: also write svid.N.pem, svid.N.key (0600) and bundle.N.pem", USES_WRITE,
	  set_write },
	{ "--timeout", "SECONDS", "1 to 3600; default 10", USES_TIMEOUT, set_timeout },
	{ "--help", NULL, "what a verb does, its options, an example", 0, set_help },
	{ "-h", NULL, NULL, 0, set_help },
	{ "--version", NULL, "print the version", 0, set_version },
};

void options_help(struct buf *out, unsigned int uses)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].help && (!rows[i].use || rows[i].use & uses))
			buf_printf(out, "  %-10s %-9s %s\n", rows[i].name, rows[i].value ? rows[i].value : "", rows[i].help);
}

/* "--name" or, for long names, "--name=value"; *ret_value is NULL unless the latter. */
static const struct option_row *find(const char *arg, const char **ret_value)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t n = strlen(rows[i].name);

		if (strncmp(arg, rows[i].name, n) != 0)
			continue;
		if (arg[n] == 0 || (arg[n] == '=' && n > 2 && rows[i].value)) {
			*ret_value = arg[n] ? arg + n + 1 : NULL;
			return &rows[i];
		}
	}
	return NULL;
}

/* Returns how many arguments were used, or -EINVAL. */
static int parse_one(struct options *o, int left, char **args)
{
	const struct option_row *row;
	const char *value = NULL;
	int used = 1;

	row = find(args[0], &value);
	if (!row) {
		cli_error("unknown option", args[0], "not in the list", "svid help");
		return -EINVAL;
	}
	if (row->value && !value) {
		if (left < 2) {
			cli_error("option", args[0], "needs a value", "svid help");
			return -EINVAL;
		}
		value = args[used++];
	}
	if (row->set(o, value)) {
		cli_error("option", row->name, "the value is not of the right form", row->help);
		return -EINVAL;
	}
	return used;
}

int options_parse(int argc, char **argv, const char *env, struct options *ret_o)
{
	struct options o = { .cli = { .admin = CLI_ADMIN, .timeout_ms = TIMEOUT_MS } };
	bool plain = false;

	for (int i = 1; i < argc;) {
		int used = 1;

		if (!plain && strcmp(argv[i], "--") == 0) {
			plain = true;
		} else if (plain || argv[i][0] != '-') {
			if (o.n_words == CLI_WORDS) {
				cli_error("too many words:", argv[i], "no verb takes so many", "svid help");
				return -EINVAL;
			}
			o.words[o.n_words++] = argv[i];
		} else {
			used = parse_one(&o, argc - i, argv + i);
			if (used < 0)
				return used;
		}
		i += used;
	}
	if (!o.cli.socket && env && *env && endpoint_path(env, &o.cli.socket))
		o.cli.bad_env = env;
	if (!o.cli.socket && endpoint_path(CLI_SOCKET, &o.cli.socket))
		return -EINVAL;
	*ret_o = o;
	return 0;
}
