// SPDX-License-Identifier: Apache-2.0
/* policy_form_fuzz.c - any bytes as a document that a taken-over compiler sends to svid-core.
 * links: agent/core/docs.c agent/core/docs_apply.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/docs_rows.c agent/core/docs_settings.c agent/core/docs_save.c agent/core/sorter.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c agent/core/json.c agent/core/state.c agent/db agent/core/state_docs.c */
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/core/docs.h"
#include "agent/ipc/msg.h"
#include "tests/unit/policy_facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEND(d, NAME, ...)                                                   \
	({                                                                   \
		struct msg_##NAME m_ = { __VA_ARGS__ };                      \
		AUTO(buf) struct buf b_ = BUF_INIT(1 << 20);                 \
		msg_put_##NAME(&b_, &m_);                                    \
		docs_message(d, MSG_##NAME, buf_slice(&b_));                 \
	})

enum what {
	AN_IDENTITY,
	AN_AGENT,
	A_MESSAGE,
	A_SOURCE,
	A_CREDENTIAL,
	WHATS,
};

static int send_doc(struct docs *d, const char *kind, struct slice json)
{
	return SEND(d, PC_DOC, .file = slice_str("f"), .kind = slice_str(kind), .name = slice_str("agent"), .json = json);
}

/* The first byte says what the rest is: a document of some kind, with what else it needs, or the body of a message. */
static int feed(struct docs *d, uint8_t byte, struct slice rest)
{
	struct slice agent = slice_str("{\"trustDomain\":\"example.org\"}");
	struct slice identity = slice_str("{\"workloadID\":\"a\",\"selectors\":[{\"unix:uid\":[\"1\"]}]}");
	struct slice source = slice_str("{\"jwt\":{\"audiences\":[\"x\"]}}");
	struct slice credential = slice_str("{\"workloadID\":\"a\",\"credentialSource\":\"agent\"}");
	enum what what = byte % WHATS;
	int err = SEND(d, PC_FILE, .file = slice_str("f"), .parsed = 1);

	if (what == A_MESSAGE)
		return err ? err : docs_message(d, 128 + byte / WHATS % 5, rest);
	if (!err)
		err = send_doc(d, "Agent", what == AN_AGENT ? rest : agent);
	if (!err)
		err = send_doc(d, "WorkloadIdentity", what == AN_IDENTITY ? rest : identity);
	if (!err)
		err = send_doc(d, "CredentialSource", what == A_SOURCE ? rest : source);
	if (!err)
		err = send_doc(d, "WorkloadCredential", what == A_CREDENTIAL ? rest : credential);
	return err ? err : SEND(d, PC_DONE, .documents = 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 20);
	AUTO(caller) struct caller c = { 0 };
	struct docs *d = NULL;
	struct match m;
	bool changed = false;

	if (!size || docs_new(NULL, &d))
		return 0;
	log_init("fuzz", LOG_ERROR);
	docs_begin(d);
	if (feed(d, data[0], slice_of(data + 1, size - 1)))
		docs_end(d, "ended");
	while (docs_busy(d)) {
		struct budget b = BUDGET_INIT(100);

		if (docs_step(d, &b, &changed))
			break;
	}
	caller_init(&c);
	policy_match(docs_policy(d), &c.f, &m, &out);
	docs_put_status(d, &out);
	docs_free(d);
	return 0;
}
