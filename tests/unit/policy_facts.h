/* SPDX-License-Identifier: Apache-2.0 */
/* policy_facts.h - a caller that nothing is wrong with, for tests to spoil one fact at a time. */
#ifndef UNIT_POLICY_FACTS_H
#define UNIT_POLICY_FACTS_H

#include <string.h>

#include "agent/base/buf.h"
#include "agent/core/policy.h"
#include "agent/ipc/lists.h"

#define CALLER_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OTHER_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b854"

struct caller {
	struct svid_conn conn;
	struct facts f;
	struct buf groups;
};

static inline void caller_args(struct caller *c, const char *bytes, size_t len)
{
	memcpy(c->conn.image.argv, bytes, len);
	c->conn.image.argv_len = c->conn.image.argv_total = (uint32_t)len;
}

static inline void caller_creds(struct svid_creds *cr)
{
	cr->ids.uid = 7;
	cr->ids.euid = 1000;
	cr->ids.gid = 8;
	cr->ids.egid = 1001;
	cr->flags = SVID_CRED_USERNS_INIT | SVID_CRED_MNTNS_INIT | SVID_CRED_MNTNS_PID1 | SVID_CRED_CGROUP;
	cr->loginuid = UINT32_MAX;
	cr->seccomp = 2;
	cr->ngroups = 2;
	cr->groups[0] = 27;
	cr->groups[1] = 1001;
	memcpy(cr->label, "unconfined", 10);
	cr->label_len = 10;
}

/** caller_init() - uid 1000 runs /usr/bin/app --serve x, observed at exec, tier bpf-lsm. */
static inline void caller_init(struct caller *c)
{
	memset(c, 0, sizeof(*c));
	c->groups = (struct buf)BUF_INIT(1000);
	list_put_str(&c->groups, slice_str("sudo"));
	list_put_str(&c->groups, slice_str(""));
	caller_creds(&c->conn.creds);
	c->conn.size = sizeof(c->conn);
	c->conn.flags = SVID_CONN_VALID | SVID_CONN_SEES_TRACE;
	c->conn.tier = SVID_TIER_LSM;
	caller_args(c, "/usr/bin/app\0--serve\0x", 23);
	c->conn.image.exe.magic = 0xef53;
	c->conn.image.exe.uid = 0;
	c->conn.image.n_ancestors = 2;
	memcpy(c->conn.image.ancestors[0].comm, "bash", 4);
	memcpy(c->conn.image.ancestors[1].comm, "abcdefghijklmnop", SVID_COMM_LEN);
	c->f = (struct facts){
		.conn = &c->conn,
		.tier = TIER_BPF_LSM,
		.path = slice_str("/usr/bin/app"),
		.user = slice_str("alice"),
		.group = slice_str("staff"),
		.groups = buf_slice(&c->groups),
		.cgroup = slice_str("/system.slice/app.service"),
		.unit = slice_str("app.service"),
		.sha256 = slice_str(CALLER_SHA256),
	};
}

static inline void caller_done(struct caller *c)
{
	buf_done(&c->groups);
}

static inline void caller_autoclean(struct caller *c)
{
	caller_done(c);
}

#endif
