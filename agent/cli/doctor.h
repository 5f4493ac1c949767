/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h - the checks of `svid doctor`: each looks at one thing and says what to do about it. svid. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <jansson.h>

#include "agent/base/buf.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL };

/* Where to look; tests give another root. */
struct patient {
	const char *root;	 /* "" for this machine */
	const char *kernel;	 /* uname release, "6.1.0-25-amd64" */
	const char *socket;	 /* of the Workload API */
	const char *bad_env;	 /* NULL, or SPIFFE_ENDPOINT_SOCKET that names no socket */
	const char *admin;	 /* admin.sock */
	const char *state_dir;
	const char *config;
	const char *policy_dir;
	bool clock_synced;
	int64_t now; /* seconds since 1970 */
	const json_t *status; /* what the agent says of itself; NULL: none was asked */
};

struct check {
	const char *name; /* stable, for JSON */
	/* What is there goes to @what, what to do to @todo (empty when ok). */
	enum finding (*run)(const struct patient *p, struct buf *what, struct buf *todo);
};

extern const struct check doctor_kernel_checks[]; /* end: name NULL */
extern const struct check doctor_agent_checks[];
extern const struct check doctor_guess_checks[]; /* only while no agent says what is so */
extern const struct check doctor_status_checks[]; /* only when one does */

/** doctor_trouble() - what the agent says that somebody should do something about, the worst first; "ok" when nothing. */
void doctor_trouble(struct buf *out, const struct patient *p);

/** doctor_problem() - one of documents.errors of the status as FILE:LINE:COLUMN, @between, what is wrong there. */
void doctor_problem(struct buf *out, const json_t *problem, const char *between);

/** doctor_read() - the first line of @root/@path into @line, at most 4095 bytes. Errors: -errno. */
MUST int doctor_read(const struct patient *p, const char *path, struct buf *line);

/** doctor_mounted() - whether @path is a mount point of file system @type. Errors: none; unreadable is false. */
bool doctor_mounted(const struct patient *p, const char *path, const char *type);

#endif
