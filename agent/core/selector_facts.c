// SPDX-License-Identifier: Apache-2.0
/*
 * selector_facts.c - one small function per selector key: where its value is in the facts, and when it
 * must not be believed. Runs in svid-core. Next: selector.c.
 */
#include "agent/core/selector_facts.h"

#include "agent/base/err.h"
#include "agent/ipc/lists.h"

#define GROUP_NAME_MAX 256

static struct fact fact_end(void)
{
	return (struct fact){ .end = true };
}

static struct fact fact_unknown(const char *why)
{
	return (struct fact){ .why = why };
}

static struct fact fact_text(struct slice s)
{
	return (struct fact){ .text = s };
}

static struct fact fact_word(const char *word)
{
	return fact_text(slice_str(word));
}

static struct fact fact_number(uint64_t n)
{
	return (struct fact){ .is_number = true, .number = n };
}

bool facts_are_socket(const struct facts *f)
{
	return f->tier == TIER_SOCKET || (f->conn->image.flags & SVID_IMG_SOCKET);
}

static bool cred_flag(const struct eval *e, uint32_t flag)
{
	return e->f->conn->creds.flags & flag;
}

static bool image_flag(const struct eval *e, uint32_t flag)
{
	return e->f->conn->image.flags & flag;
}

/* A10, A11: a path is only a name. It counts when nobody but the initial user could choose what it names. */
static const char *exe_doubt(const struct eval *e)
{
	if (facts_are_socket(e->f))
		return NULL;
	if (image_flag(e, SVID_IMG_MEMFD))
		return "the executable is a memfd";
	if (image_flag(e, SVID_IMG_DELETED))
		return "the executable was deleted before exec";
	if (image_flag(e, SVID_IMG_FS_UNPRIV))
		return "the executable's file system is served by an unprivileged party";
	if (image_flag(e, SVID_IMG_MNT_USERNS))
		return "the executable was reached by a mount of an unprivileged user";
	if (!cred_flag(e, SVID_CRED_USERNS_INIT))
		return "it is in a user namespace of its own";
	if (!cred_flag(e, SVID_CRED_MNTNS_INIT))
		return "its mount namespace belongs to an unprivileged user";
	return NULL;
}

static bool is_deleted(struct slice path)
{
	static const char end[] = " (deleted)";
	size_t n = sizeof(end) - 1;

	return path.len >= n && memcmp(path.p + path.len - n, end, n) == 0;
}

static struct fact get_path(struct eval *e, size_t i)
{
	const char *doubt = exe_doubt(e);

	if (i)
		return fact_end();
	if (doubt)
		return fact_unknown(doubt);
	if (e->f->path_err)
		return fact_unknown(err_text(e->f->path_err));
	if (!e->f->path.len || e->f->path.p[0] != '/')
		return fact_unknown("the executable has no path");
	if (is_deleted(e->f->path))
		return fact_unknown("the executable was deleted or replaced");
	return fact_text(e->f->path);
}

static struct fact get_filename(struct eval *e, size_t i)
{
	struct fact path = get_path(e, i);
	const uint8_t *slash;

	if (path.end || path.why)
		return path;
	slash = memrchr(path.text.p, '/', path.text.len);
	return fact_text(slice_of(slash + 1, (size_t)(path.text.p + path.text.len - slash - 1)));
}

/* digest.c says when a digest tells what runs; here it is there or it is not. */
static struct fact get_sha256(struct eval *e, size_t i)
{
	if (i)
		return fact_end();
	if (e->f->sha256_why)
		return fact_unknown(e->f->sha256_why);
	return e->f->sha256.len ? fact_text(e->f->sha256) : fact_unknown("not hashed: nothing else that is asked for matches");
}

/*
 * A space of a document stands between arguments. One inside an argument becomes NUL, which no document holds: else
 * argv[0], which the caller makes up, could carry all the words that are wanted, and argv[1] what is really done.
 */
static void join_argv(struct eval *e)
{
	const struct svid_image *img = &e->f->conn->image;
	size_t len = img->argv_len;

	for (size_t i = 0; i < len; i++)
		e->argv[i] = !img->argv[i] ? ' ' : img->argv[i] == ' ' ? 0 : (uint8_t)img->argv[i];
	e->argv_len = len && !img->argv[len - 1] ? len - 1 : len;
}

/* A9: the arguments as of exec and whole, or nothing. */
static struct fact get_cmdline(struct eval *e, size_t i)
{
	const struct svid_image *img = &e->f->conn->image;

	if (i)
		return fact_end();
	if (!facts_are_socket(e->f) && image_flag(e, SVID_IMG_SCANNED))
		return fact_unknown("it started before svidd, so its arguments may be rewritten; restart it");
	if (image_flag(e, SVID_IMG_ARGV_TRUNC) || img->argv_len != img->argv_total || img->argv_len > SVID_ARGV_MAX)
		return fact_unknown("the arguments are longer than what is kept");
	if (!img->argv_len)
		return fact_unknown("there are no arguments");
	join_argv(e);
	return fact_text(slice_of(e->argv, e->argv_len));
}

static struct fact get_uid(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_number(e->f->conn->creds.ids.euid);
}

static struct fact get_gid(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_number(e->f->conn->creds.ids.egid);
}

static struct fact get_name(const struct eval *e, size_t i, struct slice name)
{
	if (i)
		return fact_end();
	if (e->f->names_err)
		return fact_unknown(err_text(e->f->names_err));
	return name.len ? fact_text(name) : fact_unknown("the id has no name");
}

static struct fact get_user(struct eval *e, size_t i)
{
	return get_name(e, i, e->f->user);
}

static struct fact get_group(struct eval *e, size_t i)
{
	return get_name(e, i, e->f->group);
}

/* What follows the last group that the record holds. */
static struct fact groups_over(const struct eval *e)
{
	return cred_flag(e, SVID_CRED_GROUPS_TRUNC) ? fact_unknown("it has more groups than the record holds") :
						      fact_end();
}

static size_t groups_kept(const struct eval *e)
{
	uint32_t n = e->f->conn->creds.ngroups;

	return n < SVID_GROUPS_MAX ? n : SVID_GROUPS_MAX;
}

static struct fact get_supplementary_gid(struct eval *e, size_t i)
{
	return i < groups_kept(e) ? fact_number(e->f->conn->creds.groups[i]) : groups_over(e);
}

static struct fact get_supplementary_group(struct eval *e, size_t i)
{
	struct slice list = e->f->groups, name = { 0 };

	if (i >= groups_kept(e))
		return groups_over(e);
	if (e->f->names_err)
		return fact_unknown(err_text(e->f->names_err));
	for (size_t k = 0; k <= i && slice_ok(&list); k++)
		name = list_get_str(&list, GROUP_NAME_MAX);
	if (!slice_ok(&list))
		return fact_unknown("the names of the groups are not complete");
	return fact_text(name); /* empty when the group has none: no value is empty */
}

static struct fact get_cgroup(struct eval *e, size_t i)
{
	if (i)
		return fact_end();
	if (e->f->cgroup_err)
		return fact_unknown(err_text(e->f->cgroup_err));
	return e->f->cgroup.len ? fact_text(e->f->cgroup) : fact_unknown("the cgroup has no path");
}

static struct fact get_unit(struct eval *e, size_t i)
{
	if (i)
		return fact_end();
	if (e->f->cgroup_err)
		return fact_unknown(err_text(e->f->cgroup_err));
	return e->f->unit.len ? fact_text(e->f->unit) : fact_unknown("it is in no systemd unit");
}

static struct fact get_observed(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_word(image_flag(e, SVID_IMG_SCANNED) ? "scan" : "exec");
}

static struct fact get_user_namespace(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_word(cred_flag(e, SVID_CRED_USERNS_INIT) ? "initial" : "other");
}

static struct fact get_mount_namespace(struct eval *e, size_t i)
{
	if (i)
		return fact_end();
	if (cred_flag(e, SVID_CRED_MNTNS_PID1))
		return fact_word("initial");
	return fact_word(cred_flag(e, SVID_CRED_MNTNS_INIT) ? "trusted" : "foreign");
}

static struct fact get_root(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_word(cred_flag(e, SVID_CRED_ROOT_DIFFERS) ? "changed" : "same");
}

static struct fact get_loginuid(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_number(e->f->conn->creds.loginuid);
}

static struct fact get_no_new_privs(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_word(cred_flag(e, SVID_CRED_NO_NEW_PRIVS) ? "true" : "false");
}

static struct fact get_seccomp(struct eval *e, size_t i)
{
	static const char *const modes[] = { "off", "strict", "filter" };
	uint32_t mode = e->f->conn->creds.seccomp;

	if (i)
		return fact_end();
	return mode < ARRAY_SIZE(modes) ? fact_word(modes[mode]) : fact_unknown("unknown seccomp mode");
}

static struct fact get_secure_exec(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_word(image_flag(e, SVID_IMG_SECURE) ? "true" : "false");
}

static struct fact get_lsm_label(struct eval *e, size_t i)
{
	const struct svid_creds *c = &e->f->conn->creds;

	if (i)
		return fact_end();
	if (cred_flag(e, SVID_CRED_LABEL_TRUNC) || c->label_len > SVID_LABEL_MAX)
		return fact_unknown("the label is longer than what is kept");
	return c->label_len ? fact_text(slice_of(c->label, c->label_len)) : fact_unknown("it has no label");
}

static struct fact get_ancestor(struct eval *e, size_t i)
{
	const struct svid_image *img = &e->f->conn->image;

	if (i >= img->n_ancestors || i >= SVID_ANCESTORS)
		return fact_end();
	return fact_text(slice_of(img->ancestors[i].comm, strnlen(img->ancestors[i].comm, SVID_COMM_LEN)));
}

static struct fact get_parent(struct eval *e, size_t i)
{
	return i ? fact_end() : get_ancestor(e, 0);
}

/* K24: the interpreter opens the script again by this name, so it says what was meant, not what runs. */
static struct fact get_script(struct eval *e, size_t i)
{
	const struct svid_image *img = &e->f->conn->image;

	if (i)
		return fact_end();
	if (!image_flag(e, SVID_IMG_SCRIPT))
		return fact_unknown("it is not a script");
	if (image_flag(e, SVID_IMG_SCANNED))
		return fact_unknown("it started before svidd; restart it");
	if (image_flag(e, SVID_IMG_PATH_TRUNC) || img->filename_len > SVID_PATH_MAX)
		return fact_unknown("the script's path is longer than what is kept");
	return fact_text(slice_of(img->filename, strnlen(img->filename, img->filename_len)));
}

static struct fact get_filesystem(struct eval *e, size_t i)
{
	return i ? fact_end() : fact_number(e->f->conn->image.exe.magic);
}

/* FUSE makes an owner up, and who may replace the libraries of root's program makes it his own. */
static struct fact get_executable_uid(struct eval *e, size_t i)
{
	const char *doubt = exe_doubt(e);

	if (doubt)
		return i ? fact_end() : fact_unknown(doubt);
	return i ? fact_end() : fact_number(e->f->conn->image.exe.uid);
}

static struct fact (*const getters[SEL_COUNT])(struct eval *e, size_t i) = {
	[SEL_UNIX_UID] = get_uid,
	[SEL_UNIX_USER] = get_user,
	[SEL_UNIX_GID] = get_gid,
	[SEL_UNIX_GROUP] = get_group,
	[SEL_UNIX_SUPPLEMENTARY_GID] = get_supplementary_gid,
	[SEL_UNIX_SUPPLEMENTARY_GROUP] = get_supplementary_group,
	[SEL_UNIX_PATH] = get_path,
	[SEL_UNIX_SHA256] = get_sha256,
	[SEL_PROCESS_PATH] = get_path,
	[SEL_PROCESS_BINARY_NAME] = get_filename,
	[SEL_PROCESS_NAME] = get_filename,
	[SEL_PROCESS_CMDLINE] = get_cmdline,
	[SEL_PROCESS_UID] = get_uid,
	[SEL_PROCESS_GID] = get_gid,
	[SEL_SYSTEMD_ID] = get_unit,
	[SEL_KERNEL_OBSERVED] = get_observed,
	[SEL_KERNEL_USER_NAMESPACE] = get_user_namespace,
	[SEL_KERNEL_MOUNT_NAMESPACE] = get_mount_namespace,
	[SEL_KERNEL_ROOT] = get_root,
	[SEL_KERNEL_CGROUP] = get_cgroup,
	[SEL_KERNEL_LOGINUID] = get_loginuid,
	[SEL_KERNEL_NO_NEW_PRIVS] = get_no_new_privs,
	[SEL_KERNEL_SECCOMP] = get_seccomp,
	[SEL_KERNEL_SECURE_EXEC] = get_secure_exec,
	[SEL_KERNEL_LSM_LABEL] = get_lsm_label,
	[SEL_KERNEL_PARENT] = get_parent,
	[SEL_KERNEL_ANCESTOR] = get_ancestor,
	[SEL_KERNEL_SCRIPT] = get_script,
	[SEL_KERNEL_FILESYSTEM] = get_filesystem,
	[SEL_KERNEL_EXECUTABLE_UID] = get_executable_uid,
};

static struct fact look_up(unsigned int id, struct eval *e, size_t i)
{
	if (term_selector(id)->flags & TERM_F_KERNEL && facts_are_socket(e->f))
		return i ? fact_end() : fact_unknown("only the kernel's record can tell this");
	if (!facts_are_socket(e->f) && !(e->f->conn->flags & SVID_CONN_VALID))
		return i ? fact_end() : fact_unknown("the kernel's record is not complete");
	return getters[id](e, i);
}

const struct fact *fact_get(unsigned int id, struct eval *e, size_t i, struct fact *scratch)
{
	if (i || id >= SEL_COUNT || !getters[id]) {
		*scratch = id < SEL_COUNT && getters[id] ? look_up(id, e, i) : fact_unknown("unknown selector");
		return scratch;
	}
	if (!(e->known & 1ull << id)) {
		e->first[id] = look_up(id, e, 0);
		e->known |= 1ull << id;
	}
	return &e->first[id];
}
