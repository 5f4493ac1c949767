/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - numbers that programs share: roles, descriptor numbers and kinds, tiers, key types. */
#ifndef IPC_PLAN_H
#define IPC_PLAN_H

/* asm-generic; newer than Debian's headers. Off: nobody can send descriptors (Linux 6.16). */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

/* The programs that svidd starts. Order is the index into its role table. */
enum role_id {
	ROLE_CORE,
	ROLE_KEYS,
	ROLE_ATTEST, /* index 0 .. LIM_ATTEST_WORKERS - 1 */
	ROLE_FRONT,  /* index = front number */
	ROLE_POLICY, /* svid compile, runs and ends */
	ROLE_UNDERTAKER, /* index 0 .. LIM_UNDERTAKERS - 1 */
	ROLE_CLOUD, /* once svid-core said C_CLOUD */
	ROLE_COUNT,
};

/* Descriptors at exec: 0 and 1 are /dev/null, 2 the log. Everything else comes by message. */
enum fixed_fd {
	FD_CHANNEL = 3,	     /* core, keys, attest: pair with svidd; front, compiler, undertaker, cloud: with core */
	FD_FRONT_KEYS = 4,   /* front: pair with keys */
	FD_FRONT_WORDS = 5,  /* front: validity words, mapped read-only and closed before ready */
	FD_POLICY_DIR = 4,   /* compiler: the policy directory (O_DIRECTORY) */
	FD_POLICY_AGENT = 5, /* compiler: svid.yaml, open for reading */
	FD_CLOUD_KEYS = 4,   /* cloud: pair with keys */
	FD_CLOUD_STATE = 5,  /* cloud: its state directory (O_DIRECTORY) */
	FD_CLOUD_OIDC = 6,   /* cloud: loopback listener of the OIDC documents, or /dev/null */
};

/* What a P_FD message carries; FD_KIND_MAP uses arg = enum svid_map of kmod/uapi/svid.h's provider list. */
enum fd_kind {
	FD_KIND_PUBLIC = 1, /* listener of the Workload API */
	FD_KIND_ADMIN,	    /* listener of admin.sock */
	FD_KIND_STATE_DIR,  /* O_DIRECTORY, core's own */
	FD_KIND_AUDIT,	    /* audit log, append */
	FD_KIND_MAP,	    /* BPF map; arg says which (agent/parent/bpf.h and agent/core/provider.h agree) */
	FD_KIND_ITER,	    /* BPF iterator link; arg says which */
	FD_KIND_POLICY_DIR, /* for inotify only */
	FD_KIND_MODULE,	    /* evidence file of the kernel module, kmod/uapi/svid_dev.h */
	FD_KIND_TREE,	    /* its tree file */
	FD_KIND_FUSE,	    /* /dev/fuse, mounted at P_GO's tree_path; a svid-core before may have answered INIT */
	FD_KIND_FUSE_STATE, /* a memfd as old as the mount, at first empty: what svid-core has not answered */
};

/* How callers are identified, strongest first (DESIGN.md 3). */
enum svid_tier {
	TIER_AUTO,
	TIER_BPF_LSM,
	TIER_BPF_FENTRY,
	TIER_KMOD,
	TIER_BPF_TP,
	TIER_SOCKET,
	TIER_COUNT,
};

/** tier_name() - "bpf-lsm" and so on; "?" when out of range. */
const char *tier_name(unsigned int tier);

/** role_name_of() - "svid-core" and so on; "?" when out of range. */
const char *role_name_of(unsigned int role);

enum key_type {
	KEY_EC_P256,
	KEY_EC_P384,
	KEY_RSA_2048,
	KEY_TYPE_COUNT,
};

/* What svid-keys makes for an identity; the numbers index arrays. */
enum svid_kind {
	SVID_X509,
	SVID_WIT,
	SVID_KINDS,
};

/* Algorithms of JWT-SVID 2.1, in the order of its table. svid-keys signs with the first and the fourth. */
enum jwt_alg {
	JWT_NONE, /* never valid */
	JWT_RS256,
	JWT_RS384,
	JWT_RS512,
	JWT_ES256,
	JWT_ES384,
	JWT_ES512,
	JWT_PS256,
	JWT_PS384,
	JWT_PS512,
	JWT_ALG_COUNT,
};

/** jwt_alg_name() - "RS256" and so on; "?" when out of range. */
const char *jwt_alg_name(unsigned int alg);

enum ec_curve {
	CURVE_NONE,
	CURVE_P256,
	CURVE_P384,
	CURVE_P521,
	CURVE_COUNT,
};

/* How secrets are shown over SDS, bits; a stream's node metadata may ask for another form. */
enum sds_flag {
	SDS_BUNDLES_FOR_NOBODY = 1u << 0, /* a caller without identity gets the own bundle */
	SDS_PLAIN_CA = 1u << 1,		  /* trusted_ca instead of the SPIFFE validator */
	SDS_BUNDLE_MAP = 1u << 2,	  /* the validator's bundles as one SPIFFE bundle map (Envoy 1.36 and newer) */
};

#define FRONT_CLOUD 0xffffffffu /* as the front of a KY_JWT: the token is svid-cloud's */

/* What a CredentialSource exchanges for. */
enum cloud_kind {
	CLOUD_AWS,
	CLOUD_AWS_ROLES_ANYWHERE,
	CLOUD_GCP,
	CLOUD_AZURE,
	CLOUD_JWT, /* nothing: another relying party takes the JWT-SVID itself */
	CLOUD_KIND_COUNT,
};

/** cloud_kind_name() - "aws", "awsRolesAnywhere" and so on, as documents spell it; "?" when out of range. */
const char *cloud_kind_name(unsigned int kind);

/* Files of a WorkloadCredential (DESIGN.md 7). */
enum cloud_file {
	CLOUD_FILE_AWS_CREDENTIALS,
	CLOUD_FILE_AWS_CREDENTIALS_JSON,
	CLOUD_FILE_AWS_CONFIG, /* no secret */
	CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN,
	CLOUD_FILE_GCP_CREDENTIALS_JSON, /* no secret */
	CLOUD_FILE_GCP_SUBJECT_TOKEN,
	CLOUD_FILE_GCP_ACCESS_TOKEN,
	CLOUD_FILE_GCP_ID_TOKEN, /* only where the source asks for one */
	CLOUD_FILE_AZURE_FEDERATED_TOKEN,
	CLOUD_FILE_AZURE_ACCESS_TOKEN,
	CLOUD_FILE_JWT,
	CLOUD_FILE_ENV, /* no secret; of all credentials of this identity */
	CLOUD_FILE_COUNT,
};

/** cloud_file_name() - "aws/credentials" and so on, "" for CLOUD_FILE_JWT (jwt/<credential>); "?" when out of range. */
const char *cloud_file_name(unsigned int file);

enum cloud_state {
	CLOUD_WAITING,	/* nothing yet: not exchanged, or the agent is not ready */
	CLOUD_READY,
	CLOUD_RETRYING, /* failed, tried again soon; a credential that is still valid is served */
	CLOUD_SLOW,	/* refused in a way that may mend itself in minutes: propagation, trust policy */
	CLOUD_FAILED,	/* refused for good until a document or the cloud's side changes */
	CLOUD_STATE_COUNT,
};

/** cloud_state_name() - "waiting", "ready" and so on; "?" when out of range. */
const char *cloud_state_name(unsigned int state);

/* How the credential tree is shown (DESIGN.md 7); svid.yaml: delivery. */
enum delivery {
	DELIVERY_AUTO, /* sysfs where the module is loaded, else FUSE */
	DELIVERY_SYSFS,
	DELIVERY_FUSE,
	DELIVERY_NONE,
	DELIVERY_COUNT,
};

/** delivery_name() - "auto", "sysfs" and so on; "?" when out of range. */
const char *delivery_name(unsigned int delivery);

/* Files of one X.509-SVID in the credential tree. */
enum svid_file {
	SVID_FILE_CERT,		     /* cert.pem: leaf, then intermediates */
	SVID_FILE_KEY,		     /* key.pem: PKCS#8 */
	SVID_FILE_BUNDLE,	     /* bundle.pem: own trust domain */
	SVID_FILE_CREDENTIAL_BUNDLE, /* credential-bundle.private-key.pem: key, then chain */
	SVID_FILE_BUNDLE_MAP,	     /* bundle-map.json: own and federated trust domains */
	SVID_FILE_COUNT,
};

/** svid_file_name() - "cert.pem" and so on; "?" when out of range. */
const char *svid_file_name(unsigned int file);

/* Requests on admin.sock. */
enum admin_what {
	ADMIN_STATUS = 1,
	ADMIN_EXPLAIN, /* arg: pid */
	ADMIN_BUNDLE,
	ADMIN_POLICY,
	ADMIN_RELOAD,
	ADMIN_BUNDLES, /* foreign bundles */
	ADMIN_CREDENTIALS, /* arg: 0, or a binding to be exchanged now */
	ADMIN_SOURCES, /* CredentialSources, and what uses them */
};

#endif
