/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - every bound of the system on one screen. Bytes, counts or milliseconds as said.
 * A resource that a caller controls is checked against its line here before any work is done for it.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* names and documents */
#define LIM_SPIFFE_ID 2048	   /* bytes of a SPIFFE ID (SPIFFE-ID 2.3) */
#define LIM_TRUST_DOMAIN 255	   /* bytes of a trust domain name (SPIFFE-ID 2.3) */
#define LIM_HINT 1024		   /* bytes of a hint (Workload API 8) */
#define LIM_DOC_NAME 253	   /* bytes of metadata.name */
#define LIM_POLICY_FILE (1u << 20) /* bytes of one policy file */
#define LIM_POLICY_FILES 4096	   /* files in the policy directory */
#define LIM_DOCS 20000		   /* documents in all */
#define LIM_DOC_JSON (64u << 10)   /* bytes of one normal-form document */
#define LIM_SELECTOR_SETS 64	   /* maps in selectors[] */
#define LIM_SELECTOR_KEYS 32	   /* keys in one map */
#define LIM_SELECTOR_VALUES 64	   /* values of one key */
#define LIM_SELECTOR_VALUE 1024	   /* bytes of one value */
#define LIM_DNS_NAMES 32	   /* dnsNames of one identity */
#define LIM_DNS_NAME 253	   /* bytes of one DNS name */
#define LIM_AGENT_GROUP 255	   /* bytes of an agent group's id */
#define LIM_AGENT_GROUPS 64	   /* groups that one agent is in */
#define LIM_FEDERATES 64	   /* trust domains in federatesWith */
#define LIM_AUDIENCES 32	   /* audiences of one identity or request */
#define LIM_AUDIENCE 1024	   /* bytes of one audience */
#define LIM_YAML_DEPTH 16	   /* nesting of a policy file */
#define LIM_YAML_NODES 100000	   /* nodes of a policy file */
#define LIM_POLICY_ERRORS 10000	   /* errors and warnings reported by one run of the compiler */

/* IPC */
#define LIM_IPC_INLINE (32u << 10) /* bytes of a message body in the socket; above, a sealed memfd */
#define LIM_IPC_BODY (8u << 20)	   /* bytes of a message body at all */
#define LIM_IPC_QUEUE (16u << 20)  /* bytes waiting for one sibling; above, the sibling counts as dead */
#define LIM_IPC_FDS 4		   /* descriptors in one message */
#define LIM_IPC_QUEUE_FDS 8192	   /* descriptors waiting for one sibling; above, the same: LIM_CONNS may come at once */

/* fronts and connections */
#define LIM_FRONTS 1024		       /* fronts alive at once */
#define LIM_SET_IDENTITIES 64	       /* identities in one identity set */
#define LIM_CONNS 8192		       /* connections in all */
#define LIM_CONNS_RESERVE 8	       /* of these, kept for what may be the canary */
#define LIM_CONNS_PER_UID 4096	       /* connections of one uid */
#define LIM_CONNS_ANON 1024	       /* connections of callers without identity */
#define LIM_CONNS_ANON_EACH 64	       /* the same of one uid, maker of user namespaces, or cgroup */
#define LIM_FRONT_MEMORY (256u << 20)  /* bytes of heap of one front: its clients can exhaust nobody else */
#define LIM_FRONT_IDLE_MS 60000	       /* a front without connections exits */
#define LIM_FIRST_REQUEST_MS 10000     /* a connection without a complete request */
#define LIM_CUT_MS 100		       /* core cuts a connection that its front did not end */
#define LIM_UNDERTAKERS 2	       /* svid-undertaker processes */
#define LIM_BURY_AT_ONCE 32	       /* connections that one of them holds */
#define LIM_BURY_MS 1000	       /* closing them; then the undertaker is killed */
#define LIM_GRAVES 1024		       /* refused connections that wait for an undertaker; above, nobody is accepted */
#define LIM_ALIVE_MS 1000	       /* svid-core tells svidd that its loop runs */
#define LIM_CORE_SILENT_MS 15000       /* svid-core that told nothing is started anew */
#define LIM_DRAIN_MS 3000	       /* a draining stop */
#define LIM_STREAMS 100		       /* concurrent streams of one connection */
#define LIM_HEADER_BYTES 8192	       /* header list of one request */
#define LIM_HEADERS 64		       /* header fields of one request */
#define LIM_GRPC_MESSAGE (64u << 10)   /* bytes of one request message */
#define LIM_GRPC_RESPONSE (4u << 20)   /* bytes of one response message (clients' default) */
#define LIM_GRPC_ERROR 512	       /* bytes of grpc-message (8 KiB header lists at the client) */
#define LIM_CONN_OUT (64u << 10)       /* bytes queued for one connection beyond shared messages */
#define LIM_CONN_IN (256u << 10)       /* bytes of incomplete requests of one connection */
#define LIM_SET_WAIT_MS 5000	       /* a request waits for the first identity set */
#define LIM_STALL_MS 30000	       /* a client that takes nothing of what it asked for */
#define LIM_END_MS 50		       /* from being told to end a connection to closing it */
#define LIM_FEDERATED 128	       /* federated bundles in one answer (rust-spiffe takes 200) */
#define LIM_CHAIN_CERTS 16	       /* certificates in one chain (rust-spiffe) */
#define LIM_WHOAMI (16u << 10)	       /* bytes of the WhoAmI document of one connection */

/* X.509 */
#define LIM_CHAIN (64u << 10)	  /* bytes of one SVID chain, DER */
#define LIM_BUNDLE (1u << 20)	  /* bytes of one trust bundle, DER */
#define LIM_KEY_DER 4096	  /* bytes of one PKCS#8 key */
#define LIM_SEALED (256u << 10)	  /* bytes of the sealed authority state */
#define LIM_IDENTITIES 20000	  /* identities that svid-keys holds keys for */
#define LIM_CA_TTL_S (10u * 366 * 86400) /* seconds that an embedded root may live */
#define LIM_SVID_TTL_S (366u * 86400)	  /* seconds that an X.509-SVID may live */
#define LIM_KEY_JOBS 1024		  /* RSA keys waiting to be made */
#define LIM_KEY_PREVIOUS_MS 60000	  /* the previous generation of a key stays fetchable */
#define LIM_KEY_FETCHES 4		  /* fetches of one key by one front */
#define LIM_FRONT_PENDING_MS 10000	  /* a front told by only one of svidd and core */
#define LIM_KEYS_SECURE (32u << 20)	  /* bytes of svid-keys' secure heap, less where RLIMIT_MEMLOCK is small:
					   * LIM_IDENTITIES x 2 kinds x 2 generations x 256 bytes of EC key, and
					   * 100 KB for the authority */
#define LIM_KEYS_SECURE_MIN (1u << 20)	  /* the least of it: 4 000 EC keys */

/* JWT-SVIDs */
#define LIM_JWT (64u << 10)	     /* bytes of one token, issued or to be validated */
#define LIM_JWKS (256u << 10)	     /* bytes of one JWK Set */
#define LIM_JWKS_KEYS 256	     /* keys in one JWK Set */
#define LIM_JWT_AUDIENCES (LIM_AUDIENCES * (LIM_AUDIENCE + 8)) /* bytes of the audiences of one request, as a list */
#define LIM_JWT_CACHE 512	     /* tokens that one front remembers */
#define LIM_JWT_CACHE_BYTES (16u << 20) /* bytes of them */
#define LIM_JWT_ORDERS 64	     /* orders of one front without an answer: JWT-SVIDs and validations, each */
#define LIM_JWT_WAIT_MS 5000	     /* a front waits for one answer */
#define LIM_JWT_RATE 50		     /* JWT-SVIDs signed for one identity set per second, on average */
#define LIM_JWT_BURST 500	     /* the same, at once */
#define LIM_ISSUER 2048		     /* bytes of the iss claim */
#define LIM_JWT_TTL_S 86400u	     /* seconds that a JWT-SVID may live */
#define LIM_JWT_NBF_S 5		     /* seconds that a token's nbf may be ahead of our clock */
#define LIM_JWT_TRIES 8		     /* keys tried for a token without kid */
#define LIM_JSON_DEPTH 16	     /* nesting of JSON in a token or JWK Set; Struct takes three levels for each, clients 100 */
#define LIM_JWT_KEY_TTL_S (366u * 86400) /* seconds that a JWT key may live */
#define LIM_RSA_E_BITS 31	     /* bits of a public exponent: Go takes no more, so no client needs to */
#define LIM_FOREIGN_BUNDLES 1024     /* foreign trust domains whose bundles are kept */

/* SDS */
#define LIM_SDS_SPECIAL 253	     /* bytes of a configured name: "default", "ROOTCA", "ALL" */
#define LIM_NOBODY_CA 4096	     /* bytes of the certificate that trusts nobody, DER */
#define LIM_SDS_NAMES 256	     /* resource names that one stream subscribes to */
#define LIM_SDS_NAME 2048	     /* bytes of one */
#define LIM_SDS_REQUEST (1u << 20)   /* bytes of one request; LIM_GRPC_MESSAGE of what we keep of it */
#define LIM_SDS_PEERS 64	     /* SPIFFE IDs in sds.peers of one identity */
#define LIM_SDS_PEERS_BYTES (LIM_SDS_PEERS * (LIM_SPIFFE_ID + 16)) /* of that list */

/* the credential tree */
#define LIM_TREE_ENTRIES 60000	     /* files shown; identities beyond it have none */
#define LIM_TREE_READS 1024	     /* reads that wait for their answer */
#define LIM_TREE_READS_UID 64	     /* likewise, of one uid */
#define LIM_TREE_WAIT_MS 4000	     /* a read waits for its decision and content; the kernel's own bound is 5 s */
#define LIM_TREE_FILE (1u << 20)     /* bytes of one file */
#define LIM_TREE_KEPT_MS 1000	     /* a file that a front made is given to others of its set, too */

/* cloud credentials */
#define LIM_BINDINGS 4096	     /* WorkloadCredentials in force */
#define LIM_CLOUD_ORDERS 256	     /* JWT-SVIDs and signatures of svid-cloud without an answer */
#define LIM_CLOUD_RATE 100	     /* orders of svid-cloud per second, on average: each is a record, and work of svid-keys */
#define LIM_CLOUD_BURST (4 * LIM_BINDINGS) /* the same, at once */
#define LIM_CLOUD_CLAIMS 8192	     /* bytes of claims added for one cloud */
#define LIM_CLOUD_RESPONSE (256u << 10) /* bytes of one answer of a token service */
#define LIM_CLOUD_MS 15000	     /* one exchange */
#define LIM_CLOUD_AT_ONCE 32	     /* exchanges under way */
#define LIM_CLOUD_SECRET (64u << 10) /* bytes of one credential */
#define LIM_CLOUD_NEGATIVE_S 300     /* the longest that a refusal is remembered */
#define LIM_OIDC_CONNS 64	     /* connections to the OIDC listener */

/* attestation */
#define LIM_ATTEST_LOOKERS 2	/* svid-attest processes that look at processes and names: the first ones */
#define LIM_ATTEST_HASHERS 2	/* svid-attest processes that hash executables: the others */
#define LIM_ATTEST_WORKERS (LIM_ATTEST_LOOKERS + LIM_ATTEST_HASHERS)
#define LIM_ATTEST_MS 2000	/* deadline of one attest request; then the worker is killed */
#define LIM_ATTEST_QUEUE 256	/* attest requests waiting */
#define LIM_PATH 4096		/* bytes of a path */
#define LIM_ATTEST_PER_UID 32	/* attest requests waiting or running for callers of one uid */
#define LIM_DIGEST_FILE (1u << 30) /* bytes of an executable that is hashed */
#define LIM_DIGEST_MS 10000	/* one digest; then the worker is killed. Waiting for a worker: the same again */
#define LIM_DIGESTS 4096	/* digests remembered */
#define LIM_DIGEST_FAILED_MS 10000 /* a file that could not be hashed is not tried again */
#define LIM_DIGEST_BURST_MS 5000 /* hashing for callers of one uid at once */
#define LIM_DIGEST_SHARE 4	/* the same in the long run: this fraction of one worker's time */
#define LIM_DIGEST_UIDS 64	/* users whose share is remembered */
#define LIM_DIGEST_SETTLE_MS 1000 /* a digest is remembered when the file's change time is that old */
#define LIM_DIGEST_EXEC_MS 20	/* the same at exec: two clock ticks at the least, or what runs may be other content */
#define LIM_DIGEST_COARSE_MS 3000 /* the same, both, where the file system keeps whole seconds */
#define LIM_DECISIONS 1024	/* decisions remembered beyond those in use (4 KB each) */
#define LIM_FACTS_MS 60000	/* a decision is made from facts at most this old */
#define LIM_FACTS_FAILED_MS 1000 /* the same when a source of facts failed */
#define LIM_CGROUPS 16384	/* cgroup paths remembered, and directories of one search */
#define LIM_CGROUP_DEPTH 64	/* levels that a search goes down */
#define LIM_CGROUP_SEARCHES 2	/* searches of the cgroup tree in one second */

/* svid-core's clockwork */
#define LIM_ACCEPT_BATCH 32	  /* connections accepted in one turn of the loop */
#define LIM_CONNS_PER_CGROUP 4096 /* connections of one cgroup */
#define LIM_CONNS_PER_USERNS 1024 /* connections of the user namespaces that one uid made */
#define LIM_BOUNDS_KEPT 4096	  /* callers without a connection whose offences are remembered */
#define LIM_BLAME_LEAST 4	  /* connections that the worst offender may have all the same */
#define LIM_BLAME_HALF_MS 10000	  /* an offence weighs half after this long */
#define LIM_DOOR_MS 1000	  /* bpf-lsm: who is over a bound cannot connect for this long, or until one of its ends */
#define LIM_START_HOLD_MS 1000	  /* callers wait this long for an agent that is starting */
#define LIM_CANARY_MS 1000	  /* between two canaries */
#define LIM_CREDS_POLL_MS 100	  /* bpf-tp: between two looks at the credentials of holders */
#define LIM_POLICY_DEBOUNCE_MS 100 /* between a change of a policy file and the compiler */
#define LIM_COMPILE_MS 30000	  /* a run of the policy compiler; then it is killed */
#define LIM_FRONT_START_MS 5000	  /* from C_SPAWN_FRONT to FR_READY */
#define LIM_FRONT_STALL_MS 5000	  /* a front that takes nothing of what waits for it */
#define LIM_FRONT_BACKOFF_MS 1000 /* the longest wait before a set gets another front */
#define LIM_ISSUE_BACKOFF_MS 30000 /* the longest wait before an SVID is asked for again */
#define LIM_ADMIN_CONNS 16	  /* connections to admin.sock */

/* audit and logs */
#define LIM_LOG_LINE 4096	/* bytes of one log line */
#define LIM_AUDIT_LINE (48u << 10) /* bytes of one audit record: LIM_JWT_AUDIENCES and who asked for them */
#define LIM_AUDIT_NOBODY_BURST 64  /* records of one person's callers without identity at once; the rest is counted */
#define LIM_AUDIT_NOBODY_RATE 4	   /* the same per second, on average */
#define LIM_AUDIT_NOBODIES 256	   /* persons counted apart */
#define LIM_AUDIT_REPEAT_MS 10000  /* one record for all that was only counted; and between two of one caller */

#endif
