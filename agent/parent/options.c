// SPDX-License-Identifier: Apache-2.0
/* options.c - svidd's command line as one table. svidd only. */
#include <errno.h>
#include <stdio.h>

#include "agent/parent/parent.h"

enum kind {
	STRING,
	NUMBER,
	FLAG,
	TIER,
	DELIVERY,
	LEVEL,
};

struct row {
	const char *name;
	enum kind kind;
	size_t offset;
	const char *help;
};

#define ROW(name_, kind_, field_, help_) { name_, kind_, offsetof(struct options, field_), help_ }
static const struct row rows[] = {
	ROW("--config", STRING, config_path, "FILE   agent document (/etc/svid/svid.yaml)"),
	ROW("--policy-dir", STRING, policy_dir, "DIR    documents (/etc/svid/policy.d)"),
	ROW("--run-dir", STRING, run_dir, "DIR    public/api.sock, private/admin.sock (/run/svid)"),
	ROW("--state-dir", STRING, state_dir, "DIR    state.db, sealing.key (/var/lib/svid)"),
	ROW("--cloud-dir", STRING, cloud_dir, "DIR    cache.db of svid-cloud (/var/lib/svid-cloud)"),
	ROW("--audit", STRING, audit_path, "FILE   audit log (/var/log/svid-audit.jsonl)"),
	ROW("--instance", STRING, instance, "NAME   pins are in /sys/fs/bpf/svid-NAME (default)"),
	ROW("--ids", NUMBER, ids, "BASE   run roles as numeric users BASE, BASE+1, ... instead of names"),
	ROW("--bin-dir", STRING, bin_dir, "DIR    where svid-core and the others are (svidd's own)"),
	ROW("--attestation", TIER, tier, "TIER   overrides the agent document: auto, bpf-lsm, bpf-fentry, ..."),
	ROW("--allow-socket-attestation", FLAG, allow_socket,
	    "accept `attestation: socket` of the agent document: DEVELOPMENT ONLY"),
	ROW("--delivery", DELIVERY, delivery, "HOW    overrides the agent document: auto, sysfs, fuse or none"),
	ROW("--tree-dir", STRING, tree_dir, "DIR    where FUSE shows the credential tree (RUN-DIR/credentials)"),
	ROW("--log-level", LEVEL, log_level, "LEVEL  error, warn, info or debug (info)"),
	ROW("--debug-sandbox", FLAG, debug_sandbox, "forbidden system calls are logged, not fatal"),
	ROW("--remove-pins", FLAG, remove_pins, "remove this instance's BPF pins and end"),
	ROW("--remove-pins-at-exit", FLAG, remove_pins_at_exit, "remove them after a clean stop"),
	ROW("--help", FLAG, help, "this list"),
};

void options_help(void)
{
	printf("usage: svidd [option ...]    SPIFFE Workload API agent; must be started as root\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		printf("  %-27s %s\n", rows[i].name, rows[i].help);
}

static int name_in(const char *value, const char *(*name_of)(unsigned int), unsigned int count, unsigned int *ret_n)
{
	for (unsigned int i = 0; i < count; i++)
		if (slice_eq_str(slice_str(value), name_of(i))) {
			*ret_n = i;
			return 0;
		}
	return -EINVAL;
}

static const char *level_name(unsigned int level)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };

	return names[level];
}

static int number(const char *value, unsigned int *ret_n)
{
	uint64_t n;
	int err = slice_u64_dec(slice_str(value), &n);

	/* Room for the offsets, and never a user that the kernel reserves. */
	if (err || n == 0 || n > 0x7ffffff0)
		return -EINVAL;
	*ret_n = (unsigned int)n;
	return 0;
}

static int set(struct options *o, const struct row *row, const char *value)
{
	void *field = (char *)o + row->offset;

	switch (row->kind) {
	case FLAG:
		*(bool *)field = true;
		return 0;
	case STRING:
		*(const char **)field = value;
		return *value ? 0 : -EINVAL;
	case NUMBER:
		return number(value, field);
	case TIER:
		return name_in(value, tier_name, TIER_COUNT, field);
	case DELIVERY:
		return name_in(value, delivery_name, DELIVERY_COUNT, field);
	case LEVEL:
		return name_in(value, level_name, LOG_DEBUG + 1, field);
	}
	return -EINVAL;
}

static const struct row *row_of(const char *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (slice_eq_str(slice_str(arg), rows[i].name))
			return &rows[i];
	return NULL;
}

static bool is_plain_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");

	return n && n <= 32 && !s[n];
}

int options_parse(int argc, char **argv, struct options *ret_o)
{
	struct options o = {
		.config_path = "/etc/svid/svid.yaml",
		.policy_dir = "/etc/svid/policy.d",
		.run_dir = "/run/svid",
		.state_dir = "/var/lib/svid",
		.audit_path = "/var/log/svid-audit.jsonl",
		.instance = "default",
		.log_level = LOG_INFO,
	};

	for (int i = 1; i < argc; i++) {
		const struct row *row = row_of(argv[i]);
		const char *value = row && row->kind != FLAG ? argv[++i] : "";

		if (!row || !value || set(&o, row, value)) {
			fprintf(stderr, "svidd: %s: %s\n", row ? row->name : argv[i],
				!row ? "unknown option" : value ? "not a valid value" : "needs a value");
			return -EINVAL;
		}
	}
	if (!is_plain_name(o.instance)) {
		fprintf(stderr, "svidd: --instance: letters, digits, - and _ only, 32 at most\n");
		return -EINVAL;
	}
	*ret_o = o;
	return 0;
}
