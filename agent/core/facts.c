// SPDX-License-Identifier: Apache-2.0
/* facts.c - facts as JSON, bounded by the buffer, escaped by json.c. svid-core. */
#include "agent/core/facts.h"

#include <string.h>

#include "agent/base/err.h"
#include "agent/ipc/lists.h"

#define AUDIT_PATH 512 /* bytes of a path in an audit line */

struct flag_name {
	uint32_t flag;
	const char *name;
};

static const struct flag_name image_flags[] = {
	{ SVID_IMG_SCANNED, "started before svidd" },
	{ SVID_IMG_TRACED, "traced" },
	{ SVID_IMG_MEMFD, "memfd" },
	{ SVID_IMG_DELETED, "deleted" },
	{ SVID_IMG_OVERLAY, "overlay" },
	{ SVID_IMG_FS_UNPRIV, "unprivileged file system" },
	{ SVID_IMG_FS_REMOTE, "remote file system" },
	{ SVID_IMG_MNT_USERNS, "mount of a user namespace" },
	{ SVID_IMG_SECURE, "secure" },
	{ SVID_IMG_ARGV_TRUNC, "argv truncated" },
	{ SVID_IMG_ENV_TRUNC, "environment truncated" },
	{ SVID_IMG_LD_PRELOAD, "LD_PRELOAD" },
	{ SVID_IMG_LD_AUDIT, "LD_AUDIT" },
	{ SVID_IMG_LD_LIBRARY_PATH, "LD_LIBRARY_PATH, LD_ORIGIN_PATH or LD_PROFILE" },
	{ SVID_IMG_ENV_OTHER, "other loader variable" },
	{ SVID_IMG_SCRIPT, "script" },
	{ SVID_IMG_SOCKET, "from /proc only" },
	{ SVID_IMG_FORKED, "forked" },
};

static const struct flag_name cred_flags[] = {
	{ SVID_CRED_USERNS_INIT, "initial user namespace" },
	{ SVID_CRED_MNTNS_INIT, "mount namespace of the initial user namespace" },
	{ SVID_CRED_MNTNS_PID1, "mount namespace of pid 1" },
	{ SVID_CRED_ROOT_DIFFERS, "other root directory" },
	{ SVID_CRED_NO_NEW_PRIVS, "no_new_privs" },
	{ SVID_CRED_GROUPS_TRUNC, "groups truncated" },
	{ SVID_CRED_TRACED_NOW, "tracer attached" },
};

static void put_flags(struct json *j, const char *key, uint32_t flags, const struct flag_name *names, size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		if (flags & names[i].flag)
			json_str(j, NULL, names[i].name);
	json_close(j, ']');
}

static struct slice fixed(const char *p, size_t size)
{
	return slice_of(p, strnlen(p, size));
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* A fact, or why there is none. */
static void put_fact(struct json *j, const char *key, int err, struct slice s)
{
	json_open(j, key, '{');
	if (err)
		json_str(j, "unknown", err_text(err));
	else
		json_bytes(j, "value", s);
	json_close(j, '}');
}

void facts_put_argv(struct json *j, const char *key, const struct svid_image *img)
{
	struct slice all = slice_of(img->argv, least(img->argv_len, sizeof(img->argv)));

	json_open(j, key, '[');
	while (all.len) {
		const uint8_t *end = memchr(all.p, 0, all.len);
		struct slice arg = slice_get_bytes(&all, end ? (size_t)(end - all.p) : all.len);

		json_bytes(j, NULL, arg);
		if (end)
			(void)slice_get_bytes(&all, 1);
	}
	json_close(j, ']');
}

/* /proc tells neither ids of an exec nor what is in an inode: what is not known is left out, a zero would be a lie. */
static bool is_recorded(const struct svid_image *img)
{
	return !(img->flags & SVID_IMG_SOCKET);
}

static void put_exec(struct json *j, const struct svid_image *img)
{
	bool scanned = img->flags & SVID_IMG_SCANNED;

	json_str(j, "observed", scanned ? "scan" : "exec");
	if (scanned)
		json_str(j, "observed_why", "started before svidd; restart it");
	json_u64(j, "start", img->key.start);
	json_u64(j, "exec_id", img->exec_id);
	if (!scanned)
		json_u64(j, "exec_time", img->exec_time);
	if (img->filename_len)
		json_bytes(j, "execve_path", slice_of(img->filename, least(img->filename_len, sizeof(img->filename))));
}

static void put_process(struct json *j, const struct svid_conn *c)
{
	const struct svid_image *img = &c->image;

	json_open(j, "process", '{');
	json_u64(j, "pid", img->key.tgid);
	if (is_recorded(img))
		put_exec(j, img);
	if (*c->comm)
		json_bytes(j, "comm", fixed(c->comm, sizeof(c->comm)));
	put_flags(j, "flags", img->flags, image_flags, ARRAY_SIZE(image_flags));
	if (img->interp_len)
		json_bytes(j, "interpreter", slice_of(img->interp, least(img->interp_len, sizeof(img->interp))));
	facts_put_argv(j, "argv", img);
	if (img->argv_total)
		json_u64(j, "argv_bytes", img->argv_total);
	json_close(j, '}');
}

static void put_exe(struct json *j, const struct svid_image *img)
{
	const struct svid_exe *e = &img->exe;

	json_open(j, "executable", '{');
	json_u64(j, "inode", e->ino);
	json_u64(j, "device_major", e->dev >> 20);
	json_u64(j, "device_minor", e->dev & 0xfffff);
	if (is_recorded(img)) {
		json_u64(j, "generation", e->generation);
		json_u64(j, "size", e->size);
		json_time(j, "mtime", e->mtime_sec);
		json_u64(j, "owner", e->uid);
	}
	json_close(j, '}');
}

static void put_groups(struct json *j, const struct svid_creds *c)
{
	json_open(j, "groups", '[');
	for (size_t i = 0; i < least(c->ngroups, SVID_GROUPS_MAX); i++)
		json_u64(j, NULL, c->groups[i]);
	json_close(j, ']');
}

static void put_creds(struct json *j, const struct svid_creds *c)
{
	json_open(j, "credentials", '{');
	json_u64(j, "uid", c->ids.uid);
	json_u64(j, "euid", c->ids.euid);
	json_u64(j, "gid", c->ids.gid);
	json_u64(j, "egid", c->ids.egid);
	put_groups(j, c);
	if (c->loginuid != UINT32_MAX)
		json_u64(j, "loginuid", c->loginuid);
	json_u64(j, "capabilities", c->ids.cap_effective);
	json_u64(j, "seccomp", c->seccomp);
	put_flags(j, "flags", c->flags, cred_flags, ARRAY_SIZE(cred_flags));
	if (c->label_len)
		json_bytes(j, "label", slice_of(c->label, least(c->label_len, sizeof(c->label))));
	json_close(j, '}');
}

static void put_ancestors(struct json *j, const struct svid_image *img)
{
	json_open(j, "ancestors", '[');
	for (size_t i = 0; i < least(img->n_ancestors, SVID_ANCESTORS); i++) {
		json_open(j, NULL, '{');
		json_u64(j, "pid", img->ancestors[i].key.tgid);
		json_bytes(j, "comm", fixed(img->ancestors[i].comm, SVID_COMM_LEN));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_group_names(struct json *j, const struct facts *f)
{
	struct slice list = f->groups;

	json_open(j, "group_names", '[');
	while (list.len && slice_ok(&list)) {
		struct slice name = list_get_str(&list, 256);

		if (slice_ok(&list))
			json_bytes(j, NULL, name);
	}
	json_close(j, ']');
}

static void put_digest(struct json *j, const struct facts *f)
{
	if (!f->sha256_why && !f->sha256.len)
		return; /* nobody wanted to know */
	json_open(j, "sha256", '{');
	if (f->sha256_why)
		json_str(j, "unknown", f->sha256_why);
	else
		json_bytes(j, "value", f->sha256);
	json_close(j, '}');
}

void facts_put(struct json *j, const struct facts *f)
{
	json_str(j, "tier", tier_name(f->tier));
	put_fact(j, "path", f->path_err, f->path);
	put_digest(j, f);
	put_fact(j, "user", f->names_err, f->user);
	put_fact(j, "group", f->names_err, f->group);
	if (!f->names_err)
		put_group_names(j, f);
	put_fact(j, "cgroup", f->cgroup_err, f->cgroup);
	if (!f->cgroup_err && f->unit.len)
		json_bytes(j, "systemd_unit", f->unit);
	put_exe(j, &f->conn->image);
	put_creds(j, &f->conn->creds);
	put_process(j, f->conn);
	put_ancestors(j, &f->conn->image);
}

/* A24: a source that failed is named, so that a caller without identity need not guess why. */
void facts_put_short(struct json *j, const struct facts *f)
{
	const struct svid_conn *c = f->conn;

	json_u64(j, "pid", c->image.key.tgid);
	json_u64(j, "exec_id", c->image.exec_id);
	json_u64(j, "uid", c->creds.ids.euid);
	json_u64(j, "gid", c->creds.ids.egid);
	json_bytes(j, "comm", fixed(c->comm, sizeof(c->comm)));
	if (f->path_err)
		json_str(j, "path_unknown", err_name(f->path_err));
	else
		json_bytes(j, "path", slice_of(f->path.p, least(f->path.len, AUDIT_PATH)));
	if (f->sha256_why)
		json_str(j, "sha256_unknown", f->sha256_why);
	else if (f->sha256.len)
		json_bytes(j, "sha256", f->sha256);
	if (f->names_err)
		json_str(j, "names_unknown", err_name(f->names_err));
	if (f->cgroup_err)
		json_str(j, "cgroup_unknown", err_name(f->cgroup_err));
	else
		json_bytes(j, "cgroup", slice_of(f->cgroup.p, least(f->cgroup.len, AUDIT_PATH)));
	put_flags(j, "flags", c->image.flags, image_flags, ARRAY_SIZE(image_flags));
}

void facts_not_enforced(struct json *j, const char *key, unsigned int tier)
{
	json_open(j, key, '[');
	if (tier == TIER_SOCKET)
		json_str(j, NULL, "everything: callers are identified by SO_PEERCRED and /proc, which they can change");
	if (tier == TIER_BPF_TP) {
		json_str(j, NULL, "not-traced: tracing is not visible in bpf-tp");
		json_str(j, NULL, "splice from the socket by a foreign process is not visible in bpf-tp");
		json_str(j, NULL, "credential changes are polled every 100 ms in bpf-tp");
	}
	if (tier == TIER_BPF_TP || tier == TIER_BPF_FENTRY || tier == TIER_KMOD)
		json_str(j, NULL, "foreign use of a connection is noticed and cut, not refused");
	json_close(j, ']');
}
