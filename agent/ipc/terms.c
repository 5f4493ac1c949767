// SPDX-License-Identifier: Apache-2.0
/* terms.c - the tables of terms.def and the syntax of values. Compiler and svid-core. */
#include "agent/ipc/terms.h"

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/spiffe_id.h"

#define COMM_MAX 15 /* bytes of a process name, TASK_COMM_LEN without its NUL */
#define NAME_MAX_BYTES 255

struct refused_term {
	const char *key;
	const char *why;
};

static const struct selector_term selectors[SEL_COUNT] = {
#define SELECTOR(id, key_, kind_, words_, flags_, help_) \
	[SEL_##id] = { .key = key_, .kind = TERM_##kind_, .words = words_, .flags = flags_, .help = help_ },
#define RULE(id, name, help)
#define REFUSED(key, why)
#include "agent/ipc/terms.def"
#undef SELECTOR
#undef RULE
#undef REFUSED
};

static const struct rule_term rules[RULE_COUNT] = {
#define SELECTOR(id, key, kind, words, flags, help)
#define RULE(id, name_, help_) [RULE_##id] = { .name = name_, .help = help_ },
#define REFUSED(key, why)
#include "agent/ipc/terms.def"
#undef SELECTOR
#undef RULE
#undef REFUSED
};

static const struct refused_term refused[] = {
#define SELECTOR(id, key, kind, words, flags, help)
#define RULE(id, name, help)
#define REFUSED(key_, why_) { .key = key_, .why = why_ },
#include "agent/ipc/terms.def"
#undef SELECTOR
#undef RULE
#undef REFUSED
};

static const struct {
	const char *name;
	uint64_t magic;
} filesystems[] = {
	{ "ext4", 0xef53 },	    { "xfs", 0x58465342 },   { "btrfs", 0x9123683e }, { "tmpfs", 0x01021994 },
	{ "overlay", 0x794c7630 },  { "squashfs", 0x73717368 }, { "erofs", 0xe0f5e1e2 }, { "f2fs", 0xf2f52010 },
	{ "zfs", 0x2fc12fc1 },	    { "nfs", 0x6969 },	     { "cifs", 0xff534d42 },  { "smb2", 0xfe534d42 },
	{ "fuse", 0x65735546 },	    { "9p", 0x01021997 },    { "bcachefs", 0xca451a4e }, { "ramfs", 0x858458f6 },
	{ "iso9660", 0x9660 },	    { "vfat", 0x4d44 },	     { "exfat", 0x2011bab0 }, { "ceph", 0x00c36400 },
};

const struct selector_term *term_selector(unsigned int id)
{
	return &selectors[id];
}

unsigned int term_selector_find(struct slice key)
{
	unsigned int id = 0;

	while (id < SEL_COUNT && !slice_eq_str(key, selectors[id].key))
		id++;
	return id;
}

const char *term_selector_refused(struct slice key)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct slice row = slice_str(refused[i].key);
		bool prefix = row.p[row.len - 1] == ':';

		if (slice_eq(key, row) || (prefix && slice_starts(key, row)))
			return refused[i].why;
	}
	return NULL;
}

const struct rule_term *term_rule(unsigned int id)
{
	return &rules[id];
}

unsigned int term_rule_find(struct slice name)
{
	unsigned int id = 0;

	while (id < RULE_COUNT && !slice_eq_str(name, rules[id].name))
		id++;
	return id;
}

bool term_word_in(const char *words, struct slice value)
{
	struct slice left = slice_str(words);

	while (left.len) {
		const uint8_t *bar = memchr(left.p, '|', left.len);
		size_t n = bar ? (size_t)(bar - left.p) : left.len;

		if (slice_eq(value, slice_of(left.p, n)))
			return true;
		(void)slice_get_bytes(&left, bar ? n + 1 : n);
	}
	return false;
}

static int hex_value(struct slice s, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (s.len < 3 || s.len > 18 || s.p[0] != '0' || s.p[1] != 'x')
		return -ERR_NOT_FOUND;
	for (size_t i = 2; i < s.len; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *at = memchr(digits, s.p[i], 16);

		if (!at)
			return -ERR_NOT_FOUND;
		v = v << 4 | (uint64_t)(at - digits);
	}
	*ret_value = v;
	return 0;
}

int term_filesystem(struct slice name, uint64_t *ret_magic)
{
	for (size_t i = 0; i < ARRAY_SIZE(filesystems); i++) {
		if (slice_eq_str(name, filesystems[i].name)) {
			*ret_magic = filesystems[i].magic;
			return 0;
		}
	}
	return hex_value(name, ret_magic);
}

const char *term_filesystem_name(uint64_t magic)
{
	for (size_t i = 0; i < ARRAY_SIZE(filesystems); i++)
		if (filesystems[i].magic == magic)
			return filesystems[i].name;
	return NULL;
}

static bool has_byte(struct slice s, char c)
{
	return s.len && memchr(s.p, c, s.len);
}

static const char *number_why(struct slice v)
{
	uint64_t n;

	if (slice_u64_dec(v, &n) || n > UINT32_MAX)
		return "a number from 0 to 4294967295 is wanted";
	/* A leading zero is octal to some readers of YAML and decimal to others. */
	return v.len > 1 && v.p[0] == '0' ? "a number without leading zeros is wanted" : NULL;
}

static bool has_dot_segment(struct slice path)
{
	while (path.len) {
		const uint8_t *slash = memchr(path.p, '/', path.len);
		size_t n = slash ? (size_t)(slash - path.p) : path.len;
		struct slice seg = slice_get_bytes(&path, n);

		if (slice_eq_str(seg, ".") || slice_eq_str(seg, ".."))
			return true;
		(void)slice_get_bytes(&path, path.len ? 1 : 0);
	}
	return false;
}

static bool ends_with(struct slice s, const char *end)
{
	size_t n = strlen(end);

	return s.len >= n && slice_eq_str(slice_of(s.p + s.len - n, n), end);
}

/* A path that could never match is an error in the document, not a rule that silently does nothing. */
static const char *path_why(struct slice v, bool glob)
{
	if (v.len < 2 || v.p[0] != '/')
		return "an absolute path, or glob: and one, is wanted";
	if (has_dot_segment(v))
		return "the path has a . or .. component and could never match";
	if (memmem(v.p, v.len, "//", 2) || v.p[v.len - 1] == '/')
		return "the path has an empty component and could never match";
	if (ends_with(v, " (deleted)"))
		return "deleted executables never match";
	if (!glob && (has_byte(v, '*') || has_byte(v, '?')))
		return "* and ? are plain characters here: write glob: in front to mean a pattern";
	return NULL;
}

static const char *filename_why(struct slice v, bool glob)
{
	if (has_byte(v, '/'))
		return "a file name without directories is wanted";
	if (!glob && has_byte(v, '*'))
		return "* is a plain character here: write glob: in front to mean a pattern";
	return NULL;
}

static const char *unit_why(struct slice v)
{
	if (has_byte(v, '/') || !has_byte(v, '.'))
		return "a unit name with its suffix is wanted, such as app.service";
	return NULL;
}

static const char *filesystem_why(struct slice v)
{
	uint64_t magic;

	return term_filesystem(v, &magic) ? "not a file system known here; 0xMAGIC in lower case hex is possible" : NULL;
}

/* Bytes are compared, so the spelling is the one that SPIRE and sha256sum print. */
static const char *sha256_why(struct slice v)
{
	bool ok = v.len == 64;

	for (size_t i = 0; ok && i < v.len; i++)
		ok = (v.p[i] >= '0' && v.p[i] <= '9') || (v.p[i] >= 'a' && v.p[i] <= 'f');
	return ok ? NULL : "64 digits in lower-case hex are wanted, as sha256sum prints them";
}

static const char *kind_why(const struct selector_term *t, struct slice v, bool glob)
{
	switch (t->kind) {
	case TERM_NUMBER:
		return number_why(v);
	case TERM_LOGINUID:
		return slice_eq_str(v, TERM_LOGINUID_UNSET) ? NULL : number_why(v);
	case TERM_PATH:
		return path_why(v, glob);
	case TERM_FILENAME:
		return filename_why(v, glob);
	case TERM_UNIT:
		return unit_why(v);
	case TERM_WORD:
		return term_word_in(t->words, v) ? NULL : "not one of the words of this selector";
	case TERM_COMM:
		return v.len > COMM_MAX ? "process names have at most 15 bytes" : NULL;
	case TERM_NAME:
		return v.len > NAME_MAX_BYTES ? "longer than 255 bytes" : NULL;
	case TERM_FILESYSTEM:
		return filesystem_why(v);
	case TERM_SHA256:
		return sha256_why(v);
	case TERM_LABEL:
	case TERM_CMDLINE:
		return NULL;
	}
	return "unknown kind of selector";
}

static bool takes_glob(enum term_kind kind)
{
	return kind == TERM_PATH || kind == TERM_FILENAME || kind == TERM_CMDLINE;
}

const char *term_value_why(unsigned int id, struct slice value)
{
	const struct selector_term *t;
	bool glob = slice_starts(value, slice_str(TERM_GLOB));

	if (id >= SEL_COUNT)
		return "unknown selector";
	t = &selectors[id];
	if (glob && !takes_glob(t->kind))
		return "glob: is possible for paths and command lines only";
	if (glob)
		(void)slice_get_bytes(&value, strlen(TERM_GLOB));
	if (!value.len)
		return "the value is empty";
	if (value.len > LIM_SELECTOR_VALUE)
		return "the value is longer than 1024 bytes";
	if (has_byte(value, 0))
		return "the value has a NUL byte";
	return kind_why(t, value, glob);
}

static const char *label_why(struct slice label)
{
	if (!label.len || label.len > 63)
		return "each label has 1 to 63 bytes";
	if (label.p[0] == '-' || label.p[label.len - 1] == '-')
		return "a label begins or ends with a dash";
	for (size_t i = 0; i < label.len; i++) {
		uint8_t c = label.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
			return "a byte other than a-z 0-9 - in a label (lower case is wanted)";
	}
	return NULL;
}

const char *term_dns_why(struct slice name)
{
	bool last_is_number = true;

	if (!name.len || name.len > LIM_DNS_NAME)
		return "a DNS name has 1 to 253 bytes";
	for (bool more = true; more;) {
		const uint8_t *dot = memchr(name.p, '.', name.len);
		struct slice label = slice_get_bytes(&name, dot ? (size_t)(dot - name.p) : name.len);
		const char *why = label_why(label);
		uint64_t n;

		if (why)
			return why;
		last_is_number = slice_u64_dec(label, &n) == 0;
		more = dot;
		(void)slice_get_bytes(&name, dot ? 1 : 0);
		if (more && !name.len)
			return "the name ends with a dot";
	}
	return last_is_number ? "an IP address is not a DNS name" : NULL;
}

/* Source: RFC 7519 2 (StringOrURI), RFC 3986 3.1. What is behind the colon is compared as bytes, not taken apart. */
const char *term_credential_why(struct slice name)
{
	static const char *const reserved[] = { "svid", "aws", "gcp", "azure", "jwt", "env", "self" };

	for (size_t i = 0; i < ARRAY_SIZE(reserved); i++)
		if (slice_eq_str(name, reserved[i]))
			return "svid, aws, gcp, azure, jwt, env and self are names in the credential tree already";
	return NULL;
}

const char *term_uri_why(struct slice uri)
{
	const uint8_t *colon = memchr(uri.p, ':', uri.len);

	for (size_t i = 0; i < uri.len; i++)
		if (uri.p[i] <= ' ' || uri.p[i] >= 0x7f || memchr("\"<>\\^`{|}", uri.p[i], 9))
			return "a URI is printable ASCII without spaces";
	if (!colon || colon == uri.p || colon + 1 == uri.p + uri.len)
		return "a URI is wanted, such as https://issuer.example.org";
	for (const uint8_t *c = uri.p; c < colon; c++) {
		bool alpha = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');

		if (!alpha && (c == uri.p || !((*c >= '0' && *c <= '9') || memchr("+-.", *c, 3))))
			return "a URI is wanted, such as https://issuer.example.org";
	}
	return NULL;
}

/* A prefix ends with a whole segment: "spiffe://td/ns/a" would also mean "spiffe://td/ns/attacker". */
const char *term_peer_why(struct slice peer)
{
	struct slice prefix = slice_str(TERM_PREFIX);
	struct spiffe_id id;
	bool many = slice_starts(peer, prefix);
	const char *why;

	if (many) {
		(void)slice_get_bytes(&peer, prefix.len);
		if (!peer.len || peer.p[peer.len - 1] != '/')
			return "behind prefix: the beginning of SPIFFE IDs is wanted, with a slash at its end";
		peer.len--;
	}
	why = spiffe_id_why(peer);
	if (why || many)
		return why;
	return spiffe_id_parse(peer, &id) || !id.path.len ? "the SPIFFE ID of a workload has a path" : NULL;
}

const char *term_sds_name_why(struct slice name)
{
	if (!name.len || name.len > LIM_SDS_SPECIAL)
		return "a name has 1 to 253 bytes";
	for (size_t i = 0; i < name.len; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
			return "a name is printable ASCII without spaces";
	return slice_starts(name, slice_str("spiffe:")) ? "a SPIFFE ID stands for itself" : NULL;
}
