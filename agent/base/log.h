/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one line of logfmt per event to stderr, which svidd gave us.
 *
 * log_warn(EV_FRONT_PROTO, "uid", V_U(uid), "why", V_S(err_name(e)));
 * Event names come from the one list below. Values are escaped here, not by the caller. Secrets have
 * no formatter. Each event is limited to LOG_RATE lines a second; what was left out is counted.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "agent/base/slice.h"

#define LOG_RATE 50

/* X(name, text) - append only. */
#define LOG_EVENTS(X)                                 \
	X(START, "start")                             \
	X(READY, "ready")                             \
	X(STOP, "stop")                               \
	X(FATAL, "fatal")                             \
	X(CHILD_START, "child started")               \
	X(CHILD_EXIT, "child ended")                  \
	X(CHILD_BACKOFF, "child restarts later")      \
	X(CHILD_KILL, "child killed")                 \
	X(SANDBOX, "sandbox")                         \
	X(PROVIDER, "evidence provider")              \
	X(PROVIDER_LOSS, "evidence lost")             \
	X(CANARY, "canary")                           \
	X(CONN, "connection")                         \
	X(CONN_CUT, "connection cut")                 \
	X(CONN_REFUSED, "connection refused")         \
	X(DECISION, "decision")                       \
	X(FRONT, "front")                             \
	X(FRONT_PROTO, "protocol error in a front")   \
	X(FRONT_LOG, "front says")                    \
	X(IPC, "sibling message refused")             \
	X(POLICY, "policy")                           \
	X(POLICY_STALE, "policy document stale")      \
	X(POLICY_ERROR, "policy error")               \
	X(ISSUE, "SVID issued")                       \
	X(ISSUE_FAILED, "SVID not issued")            \
	X(AUTHORITY, "authority")                     \
	X(STATE, "state")                             \
	X(AUDIT, "audit")                             \
	X(ATTEST, "attest")                           \
	X(ADMIN, "admin")                             \
	X(LIMIT, "limit reached")                     \
	X(HTTP2, "http/2")                            \
	X(RPC, "rpc")                                 \
	X(CLOUD, "cloud credentials")                 \
	X(CONFIG, "configuration")                    \
	X(TREE, "credential tree") \
	X(LEAK, "leak check")

enum log_event {
#define X(name, text) EV_##name,
	LOG_EVENTS(X)
#undef X
	EV_END,
};

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* A typed value of one key. */
struct log_value {
	enum { LOG_V_STR, LOG_V_SLICE, LOG_V_U64, LOG_V_I64 } kind;
	union {
		const char *str;
		struct slice slice;
		uint64_t u64;
		int64_t i64;
	};
};

struct log_pair {
	const char *key;
	struct log_value value;
};

#define V_S(s_) ((struct log_value){ .kind = LOG_V_STR, .str = (s_) })
#define V_B(s_) ((struct log_value){ .kind = LOG_V_SLICE, .slice = (s_) })
#define V_U(u_) ((struct log_value){ .kind = LOG_V_U64, .u64 = (uint64_t)(u_) })
#define V_I(i_) ((struct log_value){ .kind = LOG_V_I64, .i64 = (int64_t)(i_) })
/* KV("uid", V_U(1)) - one pair; log calls take any number of them. */
#define KV(k, v) ((struct log_pair){ .key = (k), .value = v })

/** log_init() - name this process in every line ("svid-core") and drop lines less important than @max. */
void log_init(const char *role, enum log_level max);

/** log_set_level() - drop lines less important than @max from now on. */
void log_set_level(enum log_level max);

/** log_emit() - one line; use the macros. */
void log_emit(enum log_level level, enum log_event ev, const struct log_pair *pairs, size_t n);

#define LOG_AT(level, ev, ...)                                               \
	do {                                                                 \
		const struct log_pair log_pairs_[] = { __VA_ARGS__ };        \
		log_emit(level, ev, log_pairs_, ARRAY_SIZE(log_pairs_));     \
	} while (0)

#define log_error(ev, ...) LOG_AT(LOG_ERROR, ev, __VA_ARGS__)
#define log_warn(ev, ...) LOG_AT(LOG_WARN, ev, __VA_ARGS__)
#define log_info(ev, ...) LOG_AT(LOG_INFO, ev, __VA_ARGS__)
#define log_debug(ev, ...) LOG_AT(LOG_DEBUG, ev, __VA_ARGS__)

/** log_fatal() - log EV_FATAL with what failed and why (an error code), then exit(1). */
NORETURN void log_fatal(const char *what, int err);

#endif
