/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - the verbs that ask svid-core on admin.sock: status, explain. svid, as root. */
#include "agent/cli/admin.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/slice.h"
#include "agent/cli/cli.h"
#include "agent/cli/doctor.h"
#include "agent/cli/endpoint.h"
#include "agent/cli/exec.h"
#include "agent/cli/view.h"
#include "agent/ipc/chan.h"

static int set_timeout(int fd, unsigned int ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)
		return -errno;
	return 0;
}

static int receive(int fd, struct buf *ret_json, int *ret_err)
{
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64);
	struct msg_AD_REPLY reply;
	struct chan_msg m;
	int err = ipc_recv(fd, &scratch, &m);

	if (err)
		return err == -EAGAIN ? -ERR_DEADLINE : err;
	err = m.type == MSG_AD_REPLY ? msg_get_AD_REPLY(m.body, &reply) : -ERR_FORMAT;
	if (!err) {
		buf_put_slice(ret_json, reply.json);
		err = buf_ok(ret_json);
		*ret_err = reply.err;
	}
	ipc_msg_done(&m);
	return err;
}

int admin_ask(const char *path, uint16_t type, struct slice body, unsigned int timeout_ms, struct buf *ret_json, int *ret_err)
{
	int fd, err = endpoint_connect(path, 1, &fd);

	if (err)
		return err;
	err = set_timeout(fd, timeout_ms);
	if (!err)
		err = ipc_send(fd, type, 1, body, NULL, 0);
	if (!err)
		err = receive(fd, ret_json, ret_err);
	close(fd);
	return err;
}

int admin_call(const char *path, enum admin_what what, uint32_t arg, unsigned int timeout_ms, struct buf *ret_json, int *ret_err)
{
	AUTO(buf) struct buf body = BUF_INIT(64);
	const struct msg_AD_REQUEST m = { .what = what, .arg = arg };

	msg_put_AD_REQUEST(&body, &m);
	return buf_ok(&body) ? -ENOMEM : admin_ask(path, MSG_AD_REQUEST, buf_slice(&body), timeout_ms, ret_json, ret_err);
}

int admin_json(const struct cli *c, enum admin_what what, uint32_t arg, json_t **ret_root)
{
	AUTO(buf) struct buf body = BUF_INIT(VIEW_MAX);
	int refused = 0;
	int err = admin_call(c->admin, what, arg, c->timeout_ms, &body, &refused);

	if (err)
		return cli_agent_error(c->admin, err);
	if (refused) {
		cli_error("the agent refused", "this", err_text(refused), "svid and svidd of different versions?");
		return CLI_AGENT;
	}
	*ret_root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(*ret_root))
		return CLI_DONE;
	json_decref(*ret_root);
	*ret_root = NULL;
	cli_error("the agent's answer is not JSON:", c->admin, err_text(-ERR_FORMAT), "svid and svidd of different versions?");
	return CLI_AGENT;
}

/* Whether everything that was configured is in force: stale documents are no accident to overlook. */
static int verdict(struct slice body, int code)
{
	json_t *root = json_loadb((const char *)body.p, body.len, 0, NULL);
	const json_t *documents = json_object_get(root, "documents");
	bool bad = json_is_false(json_object_get(root, "serving")) || json_is_false(json_object_get(root, "whole")) ||
		   json_array_size(json_object_get(documents, "stale"));

	json_decref(root);
	return code == CLI_DONE && bad ? CLI_NO : code;
}

static int report(const struct cli *c, int refused, struct slice json, bool caller, const char *subject)
{
	if (refused == -ERR_NOT_FOUND || refused == -ESRCH) {
		cli_error("nothing known of", subject, "no such process", "is the pid that of the host's namespace?");
		return CLI_NO;
	}
	if (refused) {
		cli_error("the agent refused", subject, err_text(refused), "see: svid status");
		return CLI_AGENT;
	}
	return view_show(json, c->output == OUT_JSON, caller, subject);
}

/* Each problem on a line of its own, as a compiler says it. */
static void lines_of_problems(const json_t *root)
{
	json_t *documents = json_object_get(root, "documents"), *lines = json_array();
	const json_t *problem;
	size_t i;

	json_array_foreach(json_object_get(documents, "errors"), i, problem) {
		AUTO(buf) struct buf line = BUF_INIT(VIEW_MAX);
		const char *severity = json_string_value(json_object_get(problem, "severity"));

		doctor_problem(&line, problem, severity && strcmp(severity, "warning") == 0 ? ": warning: " : ": error: ");
		(void)!json_array_append_new(lines, json_string(buf_cstr(&line)));
	}
	if (json_array_size(lines) == json_array_size(json_object_get(documents, "errors")))
		(void)!json_object_set(documents, "errors", lines);
	json_decref(lines);
}

/* What is wrong, and then everything. */
static int show_status(const struct cli *c, struct slice body)
{
	AUTO(buf) struct buf out = BUF_INIT(VIEW_MAX);
	json_t *root = json_loadb((const char *)body.p, body.len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *paths = json_object_get(root, "paths");
	const char *config = json_string_value(json_object_get(paths, "config"));
	const char *policy = json_string_value(json_object_get(paths, "policy"));
	const struct patient p = { .status = root, .config = config ? config : "svid.yaml",
				   .policy_dir = policy ? policy : "policy.d", .now = clock_wall_s() };

	if (c->output == OUT_JSON || !json_is_object(root)) {
		json_decref(root);
		return view_show(body, c->output == OUT_JSON, false, "status");
	}
	doctor_trouble(&out, &p);
	buf_put_str(&out, "\n");
	lines_of_problems(root);
	view_json(&out, root);
	json_decref(root);
	return cli_print(&out, CLI_DONE);
}

static int show(const struct cli *c, enum admin_what what, uint32_t arg, const char *subject)
{
	AUTO(buf) struct buf json = BUF_INIT(VIEW_MAX);
	int refused = 0;
	int err = admin_call(c->admin, what, arg, c->timeout_ms, &json, &refused);

	if (err)
		return cli_agent_error(c->admin, err);
	if (what == ADMIN_STATUS && !refused)
		return verdict(buf_slice(&json), show_status(c, buf_slice(&json)));
	return report(c, refused, buf_slice(&json), what == ADMIN_EXPLAIN, subject);
}

int admin_status(const struct cli *c)
{
	return show(c, ADMIN_STATUS, 0, "status");
}

/* The path as the kernel resolves it and what is in it; the agent has no business opening files that people name. */
static int explain_exec(const struct cli *c)
{
	AUTO(buf) struct buf path = BUF_INIT(LIM_PATH);
	AUTO(buf) struct buf body = BUF_INIT(2 * LIM_PATH);
	AUTO(buf) struct buf json = BUF_INIT(VIEW_MAX);
	uint8_t digest[EXEC_DIGEST];
	size_t len = 0;
	struct msg_AD_EXEC m;
	int refused = 0;
	int err = exec_look(c->exec, &path, digest, &len);

	if (err) {
		cli_error("cannot look at", c->exec, err_text(err), "the path of an executable file is wanted");
		return CLI_LOCAL;
	}
	m = (struct msg_AD_EXEC){ .path = buf_slice(&path), .sha256 = slice_of(digest, len) };
	msg_put_AD_EXEC(&body, &m);
	err = buf_ok(&body);
	if (!err)
		err = admin_ask(c->admin, MSG_AD_EXEC, buf_slice(&body), c->timeout_ms, &json, &refused);
	return err ? cli_agent_error(c->admin, err) : report(c, refused, buf_slice(&json), true, buf_cstr(&path));
}

int admin_explain(const struct cli *c)
{
	uint64_t pid;

	if (c->exec && !c->n_args)
		return explain_exec(c);
	if (c->exec || !c->n_args) {
		cli_error("nothing to explain", "",
			  c->exec ? "a process or an executable, not both" : "a process or an executable is wanted",
			  "svid explain 1234, or: svid explain --exec /usr/bin/app");
		return CLI_USAGE;
	}
	if (slice_u64_dec(slice_str(c->args[0]), &pid) || !pid || pid > INT32_MAX) {
		cli_error("not a process id:", c->args[0], "a number from 1 to 2147483647 is needed", "svid explain 1234");
		return CLI_USAGE;
	}
	return show(c, ADMIN_EXPLAIN, (uint32_t)pid, c->args[0]);
}
