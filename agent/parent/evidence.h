/* SPDX-License-Identifier: Apache-2.0 */
/* evidence.h - the provider, whichever it is, as the rest of svidd sees it. svidd only. */
#ifndef PARENT_EVIDENCE_H
#define PARENT_EVIDENCE_H

#include "agent/ipc/chan.h"

struct svidd;
struct evidence;

/** evidence_load() - load and attach @tier (TIER_AUTO: the strongest that works). Errors: -ERR_PROVIDER, -errno; logged. */
MUST int evidence_load(const struct svidd *d, unsigned int tier, struct evidence **ret_e);

/** evidence_listening() - @listener listens from now on; connections from before have no record. Errors: -errno; logged. */
MUST int evidence_listening(const struct evidence *e, int listener);

/** evidence_send() - P_FD of every descriptor that svid-core reads evidence with. Errors: as chan_send(). */
MUST int evidence_send(const struct evidence *e, struct chan *core);

/** evidence_core() - only @tgid may adopt connections from now on; 0 is nobody. Errors: -errno. */
MUST int evidence_core(struct evidence *e, pid_t tgid);

/** evidence_words() - the descriptor of the validity words for a front; stays with @e. */
int evidence_words(const struct evidence *e);

/** evidence_tier() - enum svid_tier in use, never TIER_AUTO. */
unsigned int evidence_tier(const struct evidence *e);

/** evidence_notes() - why better tiers are not in use, one "tier: reason" per line. */
const char *evidence_notes(struct evidence *e);

/** evidence_free() - close; pins stay, so a restart is no gap. */
void evidence_free(struct evidence *e);

/** evidence_unpin() - remove what an instance left in the BPF file system. Errors: -errno. */
MUST int evidence_unpin(const char *instance);

#endif
