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

/* One entry of a message that is nothing but a list: field 1, repeated, with strings or bytes as fields 1 to 4. */
struct encode_row {
	struct slice field[4]; /* empty ones are left out */
};

/**
 * encode_rows() - JWTSVIDResponse, WITSVIDResponse, and the maps of JWTBundlesResponse and WITBundlesResponse, which have
 * this shape: written from where the bytes are, because generated code would want copies that end with a NUL byte.
 * @secret: as in message_new().
 * Errors: -ERR_SIZE, -ENOMEM.
 */
MUST int encode_rows(const struct encode_row *rows, size_t n, bool secret, struct message **ret_m);

/** encode_jwt_bundles() - JWTBundlesResponse of a set with own keys. Errors: as encode_rows(). */
MUST int encode_jwt_bundles(const struct set *s, struct message **ret_m);

/** encode_join() - one answer out of several of encode_rows(), in their order. Errors: as encode_rows(). */
MUST int encode_join(struct message *const *parts, size_t n, struct message **ret_m);

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
