/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.h - protobuf at the edge: requests are decoded, answers encoded once. svid-front.
 *
 * The generated code (build/gen) sees its memory only through agent/base/mem.h, and a private key only
 * on its way from one wiped page into another.
 */
#ifndef FRONT_ENCODE_H
#define FRONT_ENCODE_H

#include <protobuf-c/protobuf-c.h>

#include "workloadapi/message.h"
#include "workloadapi/set.h"

/**
 * encode_x509_svids() - X509SVIDResponse of a checked set.
 * @keys: PKCS#8 DER of each identity, in the order of the set.
 * @ret_m: in wiped pages; one reference, owned by the caller.
 *
 * Federated bundles that would lift the message above LIM_GRPC_RESPONSE are left out.
 * Errors: -ERR_FORMAT (a key is empty or no DER), -ERR_SIZE, -ENOMEM.
 */
MUST int encode_x509_svids(const struct set *s, struct secret *const *keys, struct message **ret_m);

/** encode_x509_bundles() - X509BundlesResponse of a checked set. Errors: -ERR_SIZE, -ENOMEM. */
MUST int encode_x509_bundles(const struct set *s, struct message **ret_m);

/** encode_whoami() - svid.v1 WhoAmIResponse around @json. Errors: -ENOMEM. */
MUST int encode_whoami(struct slice json, struct message **ret_m);

/** encode_health() - HealthCheckResponse with @status (its enum ServingStatus). Errors: -ENOMEM. */
MUST int encode_health(int status, struct message **ret_m);

/** decode_empty() - a request message without fields; unknown ones are skipped. Errors: -ERR_REQUEST. */
MUST int decode_empty(const ProtobufCMessageDescriptor *type, struct slice body);

/**
 * decode_health() - HealthCheckRequest; @ret_here is what @is_here says about its service name.
 * Errors: -ERR_REQUEST.
 */
MUST int decode_health(struct slice body, bool (*is_here)(const char *service), bool *ret_here);

#endif
