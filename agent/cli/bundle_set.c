// SPDX-License-Identifier: Apache-2.0
/* bundle_set.c - `svid bundle set`, `delete`, `list`: files are read here, svid-core gets what came of them. svid, root. */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/cli/admin.h"
#include "agent/cli/bundle_out.h"
#include "agent/cli/dump.h"
#include "agent/cli/files.h"
#include "agent/cli/foreign.h"
#include "agent/cli/view.h"
#include "agent/ipc/msg.h"

/* {"trust_domain": ..., "error": ...} */
static int refused_bundle(const struct cli *c, int refused, struct slice json)
{
	json_t *answer = json_loadb((const char *)json.p, json.len, 0, NULL);
	const char *why = json_string_value(json_object_get(answer, "error"));

	cli_error("the agent refused the bundle of", c->args[0], why ? why : err_text(refused),
		  "what it keeps: svid bundle list; its own trust domain: svid status");
	json_decref(answer);
	return refused == -ERR_NOT_READY || refused == -ENOMEM || refused == -ERR_STATE ? CLI_AGENT : CLI_NO;
}

static int send_bundle(const struct cli *c, struct slice name, const struct foreign *f)
{
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);
	AUTO(buf) struct buf json = BUF_INIT(VIEW_MAX);
	const struct msg_AD_BUNDLE m = { .trust_domain = name, .bundle = buf_slice(&f->der), .jwks = buf_slice(&f->jwks),
					 .sequence = f->sequence };
	int err, refused = 0;

	msg_put_AD_BUNDLE(&body, &m);
	err = buf_ok(&body);
	if (!err)
		err = admin_ask(c->admin, MSG_AD_BUNDLE, buf_slice(&body), c->timeout_ms, &json, &refused);
	if (err)
		return cli_agent_error(c->admin, err);
	return refused ? refused_bundle(c, refused, buf_slice(&json)) : CLI_DONE;
}

static int say_kept(const struct cli *c, struct slice name, const struct foreign *f)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 20);

	if (c->output == OUT_JSON) {
		buf_put_str(&out, "{\"trust_domain\": ");
		buf_put_json(&out, name);
		buf_printf(&out, ", \"x509_authorities\": %zu, \"jwt_keys\": %zu, \"sequence\": %llu", f->n_x509, f->n_jwt,
			   (unsigned long long)f->sequence);
		cli_json_lines(&out, "warnings", buf_slice(&f->warnings));
		buf_put_str(&out, "}\n");
		return cli_print(&out, CLI_DONE);
	}
	buf_put_esc(&out, name);
	buf_printf(&out, ": %zu certificate%s, %zu JWT key%s kept\n", f->n_x509, f->n_x509 == 1 ? "" : "s", f->n_jwt,
		   f->n_jwt == 1 ? "" : "s");
	cli_lines(&out, 8, "warning", buf_slice(&f->warnings));
	return cli_print(&out, CLI_DONE);
}

static int read_bundle(const struct cli *c, struct slice name, struct foreign *f)
{
	AUTO(buf) struct buf file = BUF_INIT(FOREIGN_FILE);
	AUTO(buf) struct buf why = BUF_INIT(1 << 12);
	int err = file_read(c->args[1], &file);

	if (err) {
		cli_error("cannot read", c->args[1], err_text(err), NULL);
		return CLI_LOCAL;
	}
	err = foreign_read(name, buf_slice(&file), clock_wall_s(), f);
	if (!err)
		return CLI_DONE;
	buf_put_slice(&why, err == -ERR_FORMAT ? buf_slice(&f->why) : slice_str(err_text(err)));
	cli_error("cannot use", c->args[1], buf_cstr(&why),
		  "a SPIFFE bundle (JSON) or CA certificates (PEM) are wanted; nothing was changed");
	return err == -ENOMEM ? CLI_LOCAL : CLI_NO;
}

int bundle_set(const struct cli *c)
{
	AUTO(foreign) struct foreign f = FOREIGN_INIT;
	struct slice name;
	int code = bundle_trust_domain(c->args[0], &name) ? CLI_USAGE : read_bundle(c, name, &f);

	if (!code)
		code = send_bundle(c, name, &f);
	return code ? code : say_kept(c, name, &f);
}

int bundle_delete(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 12);
	const struct foreign none = { .sequence = 0 };
	struct slice name;
	int code = bundle_trust_domain(c->args[0], &name) ? CLI_USAGE : send_bundle(c, name, &none);

	if (code)
		return code;
	buf_put_str(&out, c->output == OUT_JSON ? "{\"deleted\": " : "");
	if (c->output == OUT_JSON)
		buf_put_json(&out, name);
	else
		buf_put_esc(&out, name);
	buf_put_str(&out, c->output == OUT_JSON ? "}\n" : ": deleted\n");
	return cli_print(&out, CLI_DONE);
}

/* What is in the bundles is `svid bundle show`'s. */
static void leave_out_content(struct buf *json)
{
	json_t *root = json_loadb((const char *)json->data, json->len, 0, NULL), *item;
	size_t i;

	json_array_foreach(json_object_get(root, "bundles"), i, item) {
		(void)json_object_del(item, "x509_authorities_der");
		(void)json_object_del(item, "jwks");
	}
	if (root) {
		buf_reset(json);
		json_put(json, root, JSON_COMPACT);
	}
	json_decref(root);
}

int bundle_list(const struct cli *c)
{
	AUTO(buf) struct buf json = BUF_INIT(VIEW_MAX);
	int refused = 0;
	int err = admin_call(c->admin, ADMIN_BUNDLES, 0, c->timeout_ms, &json, &refused);

	if (err || refused)
		return cli_agent_error(c->admin, err ? err : refused);
	leave_out_content(&json);
	return view_show(buf_slice(&json), c->output == OUT_JSON, false, "bundles");
}
