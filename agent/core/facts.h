/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - what is known of a caller, in words: for whoami, explain and audit. Facts come from the kernel's
 * record, from svid-attest and from the cgroup tree; every string is a workload's and goes out escaped.
 */
#ifndef CORE_FACTS_H
#define CORE_FACTS_H

#include "agent/core/json.h"
#include "agent/core/policy.h"

/** facts_put() - the members of an object that tells everything: "tier", "process", "executable", "argv"... */
void facts_put(struct json *j, const struct facts *f);

/** facts_put_short() - the few members that an audit line needs. */
void facts_put_short(struct json *j, const struct facts *f);

/** facts_put_argv() - an array of the recorded arguments. */
void facts_put_argv(struct json *j, const char *key, const struct svid_image *img);

/** facts_not_enforced() - array of what this tier cannot see or refuse, in words. */
void facts_not_enforced(struct json *j, const char *key, unsigned int tier);

#endif
