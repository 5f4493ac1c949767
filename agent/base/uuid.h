/* SPDX-License-Identifier: Apache-2.0 */
/* uuid.h - the UUID that names an identity's directory in the credential tree: an address, not a secret. Any role. */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include "agent/base/slice.h"

#define UUID_TEXT 37 /* "6ba7b811-9dad-11d1-80b4-00c04fd430c8" and its NUL */

/** uuid_of_url() - version 5 of @url in the URL namespace, as text (RFC 9562 5.5). */
void uuid_of_url(struct slice url, char ret_text[static UUID_TEXT]);

#endif
