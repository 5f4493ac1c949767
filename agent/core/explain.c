// SPDX-License-Identifier: Apache-2.0
/*
 * explain.c - what a running process would get, and why: from the record of a connection that it holds, else from
 * what the kernel and /proc say now, which is said with it. svid-core.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/admin.h"
#include "agent/core/whoami.h"

/* What svid-attest is asked for by A_IDENTIFY.around. */
#define AROUND_FLAGS (SVID_CRED_USERNS_INIT | SVID_CRED_MNTNS_INIT | SVID_CRED_MNTNS_PID1 | SVID_CRED_ROOT_DIFFERS)

struct explain {
	struct admin_client *client;
	uint32_t id;
	pid_t pid;
	struct svid_conn record;
	struct attest_job job;
	struct digest_want digest;
	struct facts facts;
	struct buf path, user, group, groups; /* what facts borrow from while the executable is hashed */
	char source[256];
	char cgroup[LIM_PATH];
	bool image_known; /* the record's image is the kernel's, not /proc's */
};

static void explain_free(struct explain *x)
{
	attest_cancel(&x->job);
	digest_cancel(&x->digest);
	buf_done(&x->path);
	buf_done(&x->user);
	buf_done(&x->group);
	buf_done(&x->groups);
	mem_free(x);
}

static void answer(struct admin_client *cl, uint32_t id, const struct facts *f, const char *source)
{
	AUTO(buf) struct buf out = BUF_INIT(ADMIN_REPLY_MAX);
	AUTO(buf) struct buf why = BUF_INIT(ADMIN_REPLY_MAX / 2);
	struct json j = JSON_INIT(&out);
	struct match m;

	policy_match(docs_policy(cl->core->docs), f, &m, &why);
	json_open(&j, NULL, '{');
	json_str(&j, "source", source);
	whoami_put_identities(&j, "identities", &m);
	facts_put(&j, f);
	facts_not_enforced(&j, "not_enforced", f->tier);
	json_bool(&j, "not_traced_waived", m.not_traced_waived);
	if (!buf_ok(&why))
		json_raw(&j, "documents", buf_slice(&why));
	json_close(&j, '}');
	admin_reply(cl, id, buf_ok(&out), buf_ok(&out) ? slice_of(NULL, 0) : buf_slice(&out));
}

struct search {
	pid_t pid;
	const struct decision *found;
};

static void look_at(struct conn *conn, void *arg)
{
	struct search *s = arg;

	if (conn->pid == s->pid && conn->asker.decision && conn->asker.decision->done && !conn_changed(conn))
		s->found = conn->asker.decision;
}

/* One file of /proc/PID, NUL-terminated; -ESRCH when there is no such process. */
static int read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	text[n] = 0;
	return 0;
}

/* "CapEff:\t000001ffffffffff", "Seccomp:\t2"; 0 when there is no such line. */
static uint64_t read_number(const char *status, const char *key, int base)
{
	const char *line = strstr(status, key);

	return line ? strtoull(line + strlen(key), NULL, base) : 0;
}

/* "Uid:\t1\t2\t3\t4": the first line that begins so is the kernel's own, a name cannot hold a newline there. */
static void read_ids(const char *status, const char *key, uint32_t ids[static 4])
{
	const char *line = strstr(status, key);
	char *end;

	for (size_t i = 0; line && i < 4; i++) {
		line = i ? end : line + strlen(key);
		ids[i] = (uint32_t)strtoul(line, &end, 10);
	}
}

static void read_groups(const char *status, struct svid_creds *c)
{
	const char *at = strstr(status, "\nGroups:\t");

	for (at = at ? at + 9 : ""; *at >= '0' && *at <= '9';) {
		char *end;
		uint32_t gid = (uint32_t)strtoul(at, &end, 10);

		if (c->ngroups < SVID_GROUPS_MAX)
			c->groups[c->ngroups] = gid;
		c->ngroups++;
		at = *end == ' ' ? end + 1 : end;
	}
}

static void read_rights(const char *status, struct svid_creds *c)
{
	c->ids.cap_effective = read_number(status, "\nCapEff:\t", 16);
	c->ids.cap_permitted = read_number(status, "\nCapPrm:\t", 16);
	c->seccomp = (uint32_t)read_number(status, "\nSeccomp:\t", 10);
	if (read_number(status, "\nNoNewPrivs:\t", 10))
		c->flags |= SVID_CRED_NO_NEW_PRIVS;
	if (read_number(status, "\nTracerPid:\t", 10))
		c->flags |= SVID_CRED_TRACED_NOW;
}

static void read_comm(struct explain *x)
{
	char text[64] = "";

	if (read_proc(x->pid, "comm", text, sizeof(text)) == 0)
		snprintf(x->record.comm, sizeof(x->record.comm), "%.*s", (int)strcspn(text, "\n"), text);
}

static uint32_t loginuid_of(pid_t pid)
{
	char text[32];

	/* A kernel without audit has no such file, and 4294967295 says just that. */
	return read_proc(pid, "loginuid", text, sizeof(text)) ? UINT32_MAX : (uint32_t)strtoul(text, NULL, 10);
}

static int creds_from_proc(struct explain *x)
{
	struct svid_creds *c = &x->record.creds;
	char text[16384]; /* "Groups:" may be long, and what is wanted is behind it */
	uint32_t ids[4] = { 0 };
	struct slice hint;
	int err = read_proc(x->pid, "status", text, sizeof(text));

	if (err)
		return err;
	read_ids(text, "\nUid:\t", ids);
	c->ids.uid = ids[0], c->ids.euid = ids[1], c->ids.suid = ids[2], c->ids.fsuid = ids[3];
	read_ids(text, "\nGid:\t", ids);
	c->ids.gid = ids[0], c->ids.egid = ids[1], c->ids.sgid = ids[2], c->ids.fsgid = ids[3];
	read_groups(text, c);
	read_rights(text, c);
	read_comm(x);
	c->loginuid = loginuid_of(x->pid);
	hint = cgroup_hint(x->pid, text, sizeof(text));
	if (hint.len < sizeof(x->cgroup))
		memcpy(x->cgroup, hint.p ? hint.p : (const uint8_t *)"", hint.len);
	return 0;
}

/* What the answer rests on, in words. */
static void put_source(const struct explain *x, int around_err, char *text, size_t size)
{
	const char *image = "/proc, as of now: the kernel has no record of this process";

	if (x->image_known && x->record.image.flags & SVID_IMG_SCANNED)
		image = "the kernel's table, filled when svidd came: it started before svidd; restart it";
	else if (x->image_known)
		image = "the kernel's record of its exec";
	if (around_err)
		snprintf(text, size, "%s; credentials and cgroup as of now; namespaces are unknown (%s)", image,
			 err_text(around_err));
	else
		snprintf(text, size, "%s; credentials, cgroup and namespaces as of now", image);
}

static void finish(struct explain *x)
{
	x->client->explain = NULL;
	answer(x->client, x->id, &x->facts, x->source);
	explain_free(x);
}

static void on_digest(struct digest_want *w)
{
	struct explain *x = container_of(w, struct explain, digest);

	x->facts.sha256_why = w->err ? digest_why(w->err) : NULL;
	x->facts.sha256 = slice_str(w->hex);
	finish(x);
}

static int keep(struct buf *b, struct slice from, struct slice *ret_kept)
{
	buf_put_slice(b, from);
	if (buf_ok(b))
		return -ENOMEM;
	*ret_kept = buf_slice(b);
	return 0;
}

static void take_answer(struct explain *x, const struct msg_A_IDENTITY *m)
{
	struct facts *f = &x->facts;
	int err;

	x->record.creds.flags |= m->around_err ? 0 : m->around & AROUND_FLAGS;
	err = keep(&x->path, m->path, &f->path);
	f->path_err = m->path_err ? m->path_err : err;
	err = keep(&x->user, m->user, &f->user);
	if (!err)
		err = keep(&x->group, m->group, &f->group);
	if (!err)
		err = keep(&x->groups, m->groups, &f->groups);
	f->names_err = m->names_err ? m->names_err : err;
	if (!x->image_known)
		attest_take_proc(&x->record.image, m);
}

static void on_attested(struct attest_job *job, const struct attest_answer *answer, int err)
{
	struct explain *x = container_of(job, struct explain, job);
	struct facts *f = &x->facts;

	put_source(x, err ? err : answer->identity->around_err, x->source, sizeof(x->source));
	*f = (struct facts){ .conn = &x->record, .tier = x->client->core->plan.tier, .path_err = err, .names_err = err };
	if (!err)
		take_answer(x, answer->identity);
	f->cgroup_err = x->cgroup[0] ? 0 : -ENODATA;
	f->cgroup = slice_str(x->cgroup);
	f->unit = cgroup_unit(f->cgroup);
	if (!policy_wants_digest(docs_policy(x->client->core->docs), f)) {
		finish(x);
		return;
	}
	f->sha256_why = digest_doubt(&x->record);
	x->digest.done = on_digest;
	if (f->sha256_why)
		finish(x);
	else if (digest_ask(x->client->core->digests, &x->digest, &x->record, x->pid, x->image_known))
		on_digest(&x->digest);
}

static int ask(struct explain *x)
{
	attest_about(&x->job, &x->record, x->pid, x->image_known);
	x->job.ask.around = 1;
	x->job.caller = 0;
	x->job.done = on_attested;
	return attest_ask(x->client->core->attest, &x->job);
}

/* What a connection of this process would say of itself, as far as it can be known without one. */
static void image_from_kernel(struct explain *x)
{
	struct provider *p = x->client->core->provider;
	struct svid_key key;

	if (provider_key_of(p, (uint32_t)x->pid, &key) || provider_image(p, &key, &x->record.image))
		return;
	x->image_known = true;
	if (x->client->core->plan.tier != TIER_BPF_TP)
		x->record.flags |= SVID_CONN_SEES_TRACE | SVID_CONN_SEES_CRED | SVID_CONN_SEES_SPLICE;
}

static int begin(struct explain *x)
{
	int err;

	x->record.size = sizeof(x->record);
	x->record.flags = SVID_CONN_VALID;
	x->record.tier = x->client->core->plan.fds.tier;
	x->record.image.key.tgid = (uint32_t)x->pid;
	x->record.image.flags = SVID_IMG_SCANNED | SVID_IMG_SOCKET;
	image_from_kernel(x);
	err = creds_from_proc(x);
	return err ? err : ask(x);
}

int explain_start(struct admin_client *cl, uint32_t id, pid_t pid)
{
	struct search s = { .pid = pid };
	struct explain *x;
	int err;

	conns_each(cl->core, look_at, &s);
	if (s.found) {
		struct facts f = decision_facts(s.found);

		answer(cl, id, &f, "the record of a connection that it holds");
		return 0;
	}
	if (cl->explain)
		return -ERR_LIMIT;
	x = mem_new(struct explain);
	if (!x)
		return -ENOMEM;
	*x = (struct explain){ .client = cl, .id = id, .pid = pid, .path = BUF_INIT(LIM_PATH), .user = BUF_INIT(256),
			       .group = BUF_INIT(256), .groups = BUF_INIT(LIM_IPC_INLINE) };
	err = begin(x);
	if (err)
		explain_free(x);
	else
		cl->explain = x;
	return err;
}

void explain_cancel(struct explain *x)
{
	if (x)
		explain_free(x);
}
