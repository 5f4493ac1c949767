/* SPDX-License-Identifier: Apache-2.0 */
/* whoami.h - one caller's facts and identities as the texts that others see: the WhoAmI document and the audit line. */
#ifndef CORE_WHOAMI_H
#define CORE_WHOAMI_H

#include "agent/core/facts.h"

/**
 * whoami_make() - {"tier",...facts...,"identities":[...],"not_enforced":[...],"documents":[...]} into @out (reset
 * first). @explain is the array of policy_match(), left out when it is empty or does not fit.
 */
void whoami_make(struct buf *out, const struct facts *f, const struct match *m, struct slice explain);

/** whoami_make_audit() - the members of an audit line that are the same for all connections of this caller. */
void whoami_make_audit(struct buf *out, const struct facts *f, const struct match *m);

/** whoami_put_identities() - array of {"spiffe_id","document","hint","stale"}, the default first. */
void whoami_put_identities(struct json *j, const char *key, const struct match *m);

#endif
