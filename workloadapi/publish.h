/* SPDX-License-Identifier: Apache-2.0 */
/* publish.h - from an identity set and its keys to what every feed serves. svid-front. Who calls: front.c. */
#ifndef FRONT_PUBLISH_H
#define FRONT_PUBLISH_H

#include "workloadapi/api.h"
#include "workloadapi/keyring.h"

/**
 * publish() - serve @s (taken over on success), whose keys are all in @ring, from now on.
 * @ring: keeps those keys as long as @s is served: Envoy's secrets are encoded when they are wanted.
 * Errors: of encode.h; then everything is as it was, and @s is still the caller's.
 */
MUST int publish(struct api *a, const struct keyring *ring, struct set *s);

#endif
