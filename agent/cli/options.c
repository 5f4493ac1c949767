/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - options of svid as one table: parsing, help, man pages and completion come from the same rows. */
#include "agent/cli/options.h"

#include <errno.h>

#include "agent/base/spiffe_id.h"
#include "agent/cli/endpoint.h"
#include "agent/cli/env_form.h"
#include "agent/cli/nearest.h"

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

const char *output_name(enum cli_output output)
{
	static const char *const names[OUT_COUNT] = { [OUT_TEXT] = "text",   [OUT_JSON] = "json", [OUT_PEM] = "pem",
						      [OUT_TOKEN] = "token", [OUT_JWKS] = "jwks", [OUT_SPIFFE] = "spiffe" };

	return names[output];
}

static int set_output(struct options *o, const char *value)
{
	for (unsigned int i = 0; i < OUT_COUNT; i++)
		if (strcmp(value, output_name((enum cli_output)i)) == 0) {
			o->cli.output = (enum cli_output)i;
			return 0;
		}
	return -EINVAL;
}

static int set_audience(struct options *o, const char *value)
{
	if (!*value || strlen(value) > LIM_AUDIENCE || !slice_is_utf8(slice_str(value)) || o->cli.n_audiences == LIM_AUDIENCES)
		return -EINVAL;
	o->cli.audiences[o->cli.n_audiences++] = value;
	return 0;
}

static int set_id(struct options *o, const char *value)
{
	o->cli.spiffe_id = value;
	return spiffe_id_why(slice_str(value)) ? -EINVAL : 0;
}

static int set_exec(struct options *o, const char *value)
{
	o->cli.exec = value;
	return *value ? 0 : -EINVAL;
}

static int set_for(struct options *o, const char *value)
{
	o->cli.form = value;
	return env_form_at(value) ? 0 : -EINVAL;
}

static int set_since(struct options *o, const char *value)
{
	o->cli.since = value;
	return *value ? 0 : -EINVAL;
}

static int set_follow(struct options *o, const char *value)
{
	(void)value;
	o->cli.follow = true;
	return 0;
}

static int set_denied(struct options *o, const char *value)
{
	(void)value;
	o->cli.denied = true;
	return 0;
}

static int set_man(struct options *o, const char *value)
{
	(void)value;
	o->cli.man = true;
	return 0;
}

/* `svid policy check` reads its own words; this row is here for help and completion. */
static int set_config(struct options *o, const char *value)
{
	(void)o;
	(void)value;
	return 0;
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

/* clang-format off */
static const struct option_row rows[] = {
	{ "--socket", "ADDRESS", "Workload API socket (SPIFFE_ENDPOINT_SOCKET, else " CLI_SOCKET ")", USES_SOCKET,
	  set_socket },
	{ "--admin", "PATH", "admin socket (" CLI_ADMIN ")", USES_ADMIN, set_admin },
	{ "-o", "FORM", "text (default) or json; with svid fetch also pem or token", USES_OUTPUT, set_output },
	{ "--format", "FORM", "the same as -o: pem, jwks (its JWT keys) or spiffe (a SPIFFE bundle)", USES_FORMAT, set_output },
	{ "--audience", "NAME", "who will receive the JWT-SVID; may be given more than once", USES_AUDIENCE, set_audience },
	{ "--spiffe-id", "ID", "only this identity; else all", USES_ID, set_id },
	{ "--write", "DIR", "also write files into DIR, keys and tokens with mode 0600", USES_WRITE, set_write },
	{ "--exec", "PATH", "an executable instead of a process: who could be served", USES_EXEC, set_exec },
	{ "--for", "FORM", "sh (default), systemd, compose or k8s: where the lines are pasted", USES_FOR, set_for },
	{ "-f", NULL, "wait for more, as tail -F does", USES_FOLLOW, set_follow },
	{ "--since", "TIME", "from then on: 2026-11-22T10:00:00Z, or 90s, 30m, 2h, 7d before now", USES_SINCE, set_since },
	{ "--identity", "ID", "only records about this SPIFFE ID", USES_IDENTITY, set_id },
	{ "--denied", NULL, "only records of something that was not given", USES_DENIED, set_denied },
	{ "-c", "FILE", "svid.yaml to check them under", USES_CONFIG, set_config },
	{ "--man", NULL, "a manual page: svid, svid.yaml, svid-policy, or svidd (reads svidd --help)", USES_MAN, set_man },
	{ "--timeout", "SECONDS", "1 to 3600; default 10", USES_TIMEOUT, set_timeout },
	{ "--help", NULL, "what a verb does, its options, an example", 0, set_help },
	{ "-h", NULL, NULL, 0, set_help },
	{ "--version", NULL, "print the version", 0, set_version },
};
/* clang-format on */

struct option_view option_at(size_t i)
{
	if (i >= ARRAY_SIZE(rows))
		return (struct option_view){ 0 };
	return (struct option_view){ rows[i].name, rows[i].value, rows[i].help, rows[i].use };
}

const char *options_unused(const struct options *o, unsigned int uses)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].use & o->seen & ~uses & ~USES_ANY)
			return rows[i].name;
	return NULL;
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

static void unknown_option(const char *arg)
{
	AUTO(buf) struct buf next = BUF_INIT(256);
	AUTO(buf) struct buf name = BUF_INIT(LIM_PATH);
	unsigned int best = NEAREST_NONE;

	buf_put(&name, arg, strcspn(arg, "="));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		unsigned int cost = nearest_cost(buf_cstr(&name), rows[i].name);

		if (cost >= best || strlen(rows[i].name) < 4)
			continue;
		best = cost;
		buf_reset(&next);
		buf_printf(&next, "did you mean %s? see: svid help", rows[i].name);
	}
	cli_error("unknown option", arg, "not in the list", next.len ? buf_cstr(&next) : "svid help");
}

static void wrong_value(const struct option_row *row, const char *value)
{
	AUTO(buf) struct buf given = BUF_INIT(2 * LIM_PATH);

	buf_printf(&given, "%s %s", row->name, value ? value : "");
	cli_error("option", buf_ok(&given) ? row->name : buf_cstr(&given), "the value is not of the right form", row->help);
}

/* Returns how many arguments were used, or -EINVAL. */
static int parse_one(struct options *o, int left, char **args)
{
	const struct option_row *row;
	const char *value = NULL;
	int used = 1;

	row = find(args[0], &value);
	if (!row) {
		unknown_option(args[0]);
		return -EINVAL;
	}
	if (row->value && !value) {
		if (left < 2) {
			cli_error("option", args[0], "needs a value", "svid help");
			return -EINVAL;
		}
		value = args[used++];
	}
	o->seen |= row->use;
	if (row->set(o, value)) {
		wrong_value(row, value);
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
		} else if (plain || argv[i][0] != '-' || !argv[i][1]) {
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
