/* SPDX-License-Identifier: Apache-2.0 */
/* terms.h - selector keys and require[] rules as tables, and what their values may be. Compiler and svid-core. */
#ifndef IPC_TERMS_H
#define IPC_TERMS_H

#include "agent/base/slice.h"

#define TERM_F_PATH (1u << 0)	/* identity by path: brings the defaults not-traced and no-preload */
#define TERM_F_ARGV (1u << 1)	/* identity by argv: likewise */
#define TERM_F_UNIT (1u << 2)	/* names a unit or container */
#define TERM_F_KERNEL (1u << 3) /* only the kernel's record knows it: never matches in attestation: socket */
#define TERM_F_INTENT (1u << 4) /* counts only beside a selector with TERM_F_PATH or TERM_F_DIGEST */
#define TERM_F_DIGEST (1u << 5) /* identity by content: brings the defaults; the executable must be hashed for it */

#define TERM_GLOB "glob:" /* prefix of a value that is a pattern */
#define TERM_LOGINUID_UNSET "unset"

enum term_kind {
	TERM_NUMBER,   /* 0 .. 4294967295, decimal */
	TERM_NAME,     /* user or group name */
	TERM_PATH,     /* absolute, or glob: */
	TERM_FILENAME, /* one path component, or glob: */
	TERM_CMDLINE,  /* prefix, or glob: */
	TERM_UNIT,     /* systemd unit */
	TERM_WORD,     /* one of the row's words */
	TERM_LABEL,
	TERM_COMM, /* at most 15 bytes */
	TERM_LOGINUID,
	TERM_FILESYSTEM,
	TERM_SHA256, /* 64 digits, lower-case hex */
};

enum selector_id {
#define SELECTOR(id, key, kind, words, flags, help) SEL_##id,
#define RULE(id, name, help)
#define REFUSED(key, why)
#include "agent/ipc/terms.def"
#undef SELECTOR
#undef RULE
	SEL_COUNT,
};

enum rule_id {
#define SELECTOR(id, key, kind, words, flags, help)
#define RULE(id, name, help) RULE_##id,
#include "agent/ipc/terms.def"
#undef SELECTOR
#undef RULE
#undef REFUSED
	RULE_COUNT,
};

struct selector_term {
	const char *key;
	enum term_kind kind;
	const char *words; /* "a|b" for TERM_WORD */
	unsigned int flags;
	const char *help;
};

struct rule_term {
	const char *name;
	const char *help;
};

/** term_selector() - the row of @id (below SEL_COUNT). */
const struct selector_term *term_selector(unsigned int id);

/** term_selector_find() - the number of @key, SEL_COUNT when there is none. */
unsigned int term_selector_find(struct slice key);

/** term_selector_refused() - why a known key of others is not taken here; NULL when it is not a known one. */
const char *term_selector_refused(struct slice key);

/** term_value_why() - NULL when @value may stand for selector @id, else a static sentence. */
const char *term_value_why(unsigned int id, struct slice value);

/** term_rule() - the row of @id (below RULE_COUNT). */
const struct rule_term *term_rule(unsigned int id);

/** term_rule_find() - the number of a require[] rule, RULE_COUNT when there is none. */
unsigned int term_rule_find(struct slice name);

/** term_word_in() - whether @value is one of the words of "a|b|c". */
bool term_word_in(const char *words, struct slice value);

/**
 * term_filesystem() - the super block magic of a file system name or 0xMAGIC.
 * Errors: -ERR_NOT_FOUND.
 */
MUST int term_filesystem(struct slice name, uint64_t *ret_magic);

/** term_filesystem_name() - a name for @magic, NULL when it has none here. */
const char *term_filesystem_name(uint64_t magic);

/** term_dns_why() - NULL when @name may be a DNS SAN, else a static sentence. */
const char *term_dns_why(struct slice name);

/** term_uri_why() - NULL when @uri is a scheme, a colon and printable ASCII without spaces, else a static sentence. */
const char *term_uri_why(struct slice uri);

/** term_credential_why() - NULL when a WorkloadCredential may be called so: it is a directory of the tree. */
const char *term_credential_why(struct slice name);

#define TERM_PREFIX "prefix:" /* of a peer that stands for all SPIFFE IDs that begin so */

/**
 * term_peer_why() - NULL when @peer is a workload's SPIFFE ID, or "prefix:" and the beginning of some with a slash at its
 * end ("prefix:spiffe://td/ns/a/"), else a static sentence.
 */
const char *term_peer_why(struct slice peer);

/** term_sds_name_why() - NULL when @name may stand for something of ours over SDS, else a static sentence. */
const char *term_sds_name_why(struct slice name);

#endif
