/* SPDX-License-Identifier: Apache-2.0 */
/* session_name.h - what a workload is called in a session of AWS. */
#ifndef BASE_SESSION_NAME_H
#define BASE_SESSION_NAME_H

#include "agent/base/slice.h"

#define SESSION_NAME_MAX 64 /* bytes of an AWS RoleSessionName */

/** session_name() - a RoleSessionName of the SPIFFE ID's path and the node: 2 to 64 of [A-Za-z0-9_+=,.@-]. */
void session_name(struct slice spiffe_id, struct slice node, char ret_name[static SESSION_NAME_MAX + 1]);

#endif
