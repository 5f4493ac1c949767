// SPDX-License-Identifier: Apache-2.0
/*
 * man_tables.c - manual pages out of other programs' tables: svid.yaml(5) and svid-policy(5) from the compiler's and the
 * terms', svidd(8) from what svidd --help says. svid; next: compile_schema.c, agent/ipc/terms.def.
 */
#include "agent/base/err.h"
#include "agent/cli/compile_schema.h"
#include "agent/cli/files.h"
#include "agent/cli/man.h"
#include "agent/ipc/terms.h"

#define OUT_MAX (1u << 18)

static void put_bounds(struct buf *out, const struct option_row *o)
{
	if (o->words) {
		buf_put_str(out, "; ");
		for (const char *p = o->words; *p; p++)
			buf_put_str(out, *p == '|' ? ", " : *p == '-' ? "\\-" : (const char[]){ *p, 0 });
	}
	if (o->type == OPT_NUMBER)
		buf_printf(out, "; %lld to %lld", (long long)o->min, (long long)o->max);
	else if (o->type == OPT_DURATION)
		buf_printf(out, "; %llds to %llds", (long long)o->min, (long long)o->max);
	if (o->max_n)
		buf_printf(out, "; at most %zu", o->max_n);
}

static void put_row(struct buf *out, const struct option_row *o)
{
	buf_put_str(out, ".It Ic ");
	man_text(out, o->path, strlen(o->path));
	buf_printf(out, "\n%s", schema_type_name(o->type));
	put_bounds(out, o);
	if (o->required)
		buf_put_str(out, "; required");
	if (o->fallback) {
		buf_put_str(out, "; default ");
		man_text(out, o->fallback, strlen(o->fallback));
	}
	buf_put_str(out, o->reloadable ? "\n.br\n" : "; a change needs a restart\n.br\n");
	man_words(out, o->help);
}

static void put_kind(struct buf *out, const char *title, const char *kind)
{
	const struct schema_kind *k = schema_find(slice_str(kind));

	buf_printf(out, ".Sh %s\nA document of kind %s has these keys, each below the one before its last dot.\n"
			".Bl -tag -width Ds\n", title, kind);
	for (size_t i = 0; i < k->n_rows; i++)
		if (k->rows[i].type != OPT_LATER)
			put_row(out, &k->rows[i]);
	buf_put_str(out, ".El\n");
}

static const char settings_text[] =
	".Sh DESCRIPTION\n"
	"This file holds the one document of kind Agent, the settings of\n.Xr svidd 8 .\n"
	"It belongs to root, is writable by root alone, and is read again when it changes.\n"
	"An error is refused and the last good version stays; at the first start there is none, and svidd does not start.\n"
	"Durations are numbers with a unit: 90s, 30m, 1h, 7d.\n"
	".Bd -literal -offset indent\n"
	"apiVersion: svid/v1alpha1\nkind: Agent\nspec:\n  trustDomain: example.org\n.Ed\n";

int man_settings(void)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);

	man_begin(&out, "svid.yaml", 5, "settings of svidd");
	buf_put_str(&out, settings_text);
	put_kind(&out, "KEYS", "Agent");
	buf_put_str(&out, ".Sh FILES\n.Pa /etc/svid/svid.yaml\n.Sh SEE ALSO\n.Xr svid 1 ,\n.Xr svid-policy 5 ,\n.Xr svidd 8\n");
	return cli_print(&out, CLI_DONE);
}

static void put_selectors(struct buf *out)
{
	buf_put_str(out, ".Sh SELECTORS\n"
			 "All keys of one map must match, any map of the list is enough,\n"
			 "and a value may be a list of which any is enough.\nValues are compared as bytes.\n"
			 "With\n.Ql glob:\nin front of paths, file names, cgroups and arguments\n"
			 ".Ql *\nand\n.Ql \\&?\nstop at a slash,\n.Ql **\ndoes not.\n.Bl -tag -width Ds\n");
	for (unsigned int i = 0; i < SEL_COUNT; i++) {
		const struct selector_term *t = term_selector(i);

		buf_put_str(out, ".It Ic ");
		man_text(out, t->key, strlen(t->key));
		buf_put_str(out, "\n");
		man_words(out, t->help);
		if (*t->words) {
			buf_put_str(out, ".br\none of: ");
			for (const char *p = t->words; *p; p++)
				buf_put_str(out, *p == '|' ? ", " : (const char[]){ *p, 0 });
			buf_put_str(out, "\n");
		}
	}
	buf_put_str(out, ".El\n");
}

static void put_rules(struct buf *out)
{
	buf_put_str(out, ".Sh RULES\nWords of spec.require.\n.Bl -tag -width Ds\n");
	for (unsigned int i = 0; i < RULE_COUNT; i++) {
		buf_put_str(out, ".It Ic ");
		man_text(out, term_rule(i)->name, strlen(term_rule(i)->name));
		buf_put_str(out, "\n");
		man_words(out, term_rule(i)->help);
	}
	buf_put_str(out, ".El\n");
}

static const char policy_text[] =
	".Sh DESCRIPTION\n"
	"Each document of kind WorkloadIdentity says which processes hold one identity;\n"
	"CredentialSource and WorkloadCredential say which of them get access to clouds, see\n.Sx CLOUD CREDENTIALS .\n"
	"A document is its kind and name; a file may hold several, with a line of three dashes between.\n"
	"Files end with .yaml or .yml, belong to root and are writable by root alone.\n"
	"A document that vanishes from files that can be read is withdrawn at once;\n"
	"one with an error keeps its last good version and is called stale.\nTry before:\n.Ic svid policy check .\n"
	".Bd -literal -offset indent\n"
	"apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata: {name: billing}\nspec:\n  workloadID: billing\n"
	"  selectors:\n    \\- unix:path: /usr/bin/billing\n      systemd:id: billing.service\n.Ed\n";

static const char cloud_text[] =
	".Sh CLOUD CREDENTIALS\n"
	"A document of kind CredentialSource says what a cloud gives for a JWT\\-SVID or X.509\\-SVID,\n"
	"one of kind WorkloadCredential which identity gets it.\n"
	"They hold no secret.\nThe other side is set up with the commands that\n.Ic svid cloud setup\nprints;\n"
	"aws, gcp and azure need\n.Ic spec.jwt.issuer\nof\n.Xr svid.yaml 5 ,\nwhose documents\n.Ic svid oidc export\nwrites.\n"
	"A WorkloadCredential that is removed ends new credentials and reads of its files at once;\n"
	"what the cloud has given lives until it expires.\n"
	".Bd -literal -offset indent\n"
	"apiVersion: svid/v1alpha1\nkind: CredentialSource\nmetadata: {name: reports-bucket}\nspec:\n  aws:\n"
	"    roleArn: arn:aws:iam::123456789012:role/reports\n    region: eu\\-central\\-1\n\\-\\-\\-\n"
	"apiVersion: svid/v1alpha1\nkind: WorkloadCredential\nmetadata: {name: reports-bucket}\nspec:\n"
	"  workloadID: batch/reports\n  credentialSource: reports-bucket\n.Ed\n";

static const char cloud_files[] =
	".Sh CREDENTIAL FILES\n"
	"Below\n.Pa /sys/kernel/svid/credentials\nwith the kernel module, else\n.Pa /run/svid/credentials ,\n"
	"each identity has a directory, named by a UUID, and\n.Pa self\nis the reader's own.\n"
	"A file is readable by the process that holds the identity and by no other; names are for everybody.\n"
	".Bl -tag -width Ds\n"
	".It Pa CREDENTIAL/aws/credentials\nstatic keys, for single runs: SDKs do not read them again\n"
	".It Pa CREDENTIAL/aws/credentials.json\nwhat a credential_process prints; its reader, such as cat, goes into helpers\n"
	".It Pa CREDENTIAL/aws/config\na profile that runs that; for everybody\n"
	".It Pa CREDENTIAL/aws/web_identity_token\na JWT\\-SVID that the SDK exchanges itself, again and again\n"
	".It Pa CREDENTIAL/gcp/credentials.json\nfor GOOGLE_APPLICATION_CREDENTIALS; for everybody\n"
	".It Pa CREDENTIAL/gcp/subject_token\nthe JWT\\-SVID that it names\n"
	".It Pa CREDENTIAL/gcp/access_token\nfor CLOUDSDK_AUTH_ACCESS_TOKEN_FILE of gcloud\n"
	".It Pa CREDENTIAL/gcp/id_token\nfor spec.gcp.idTokenAudience of the source, where it is set\n"
	".It Pa CREDENTIAL/azure/federated_token\na JWT\\-SVID, for AZURE_FEDERATED_TOKEN_FILE\n"
	".It Pa CREDENTIAL/azure/access_token\na ready access token\n"
	".It Pa jwt/CREDENTIAL\na JWT\\-SVID of a source of kind jwt\n"
	".It Pa env\nthe variables that name these files, see\n.Ic svid env ;\nfor everybody\n.El\n"
	"Where an identity has exactly one of a cloud, aws, gcp and azure are there without CREDENTIAL, too.\n"
	"Token files have no newline.\n";

int man_policy(void)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);

	man_begin(&out, "svid-policy", 5, "who gets which identity from svidd");
	buf_put_str(&out, policy_text);
	put_kind(&out, "KEYS", "WorkloadIdentity");
	put_selectors(&out);
	put_rules(&out);
	buf_put_str(&out, cloud_text);
	put_kind(&out, "KEYS OF A SOURCE", "CredentialSource");
	put_kind(&out, "KEYS OF A CREDENTIAL", "WorkloadCredential");
	buf_put_str(&out, cloud_files);
	buf_put_str(&out, ".Sh FILES\n.Pa /etc/svid/policy.d/*.yaml\n"
			  ".Sh SEE ALSO\n.Xr svid 1 ,\n.Xr svid.yaml 5 ,\n.Xr svidd 8\n");
	return cli_print(&out, CLI_DONE);
}

static struct slice take_line(struct slice *s)
{
	const uint8_t *end = memchr(s->p, '\n', s->len);
	struct slice line = slice_get_bytes(s, end ? (size_t)(end - s->p) : s->len);

	if (end)
		(void)slice_get_u8(s);
	return line;
}

static void skip_blanks(struct slice *s)
{
	while (s->len && *s->p == ' ')
		(void)slice_get_u8(s);
}

static struct slice take_word(struct slice *s)
{
	size_t n = 0;

	while (n < s->len && s->p[n] != ' ')
		n++;
	return slice_get_bytes(s, n);
}

/* "  --name   VALUE  help" or "  --name   help": values are in capitals. */
static void put_daemon_option(struct buf *out, struct slice line)
{
	struct slice name, rest, value;

	skip_blanks(&line);
	name = take_word(&line);
	skip_blanks(&line);
	rest = line;
	value = take_word(&rest);
	buf_put_str(out, ".It Fl ");
	man_text(out, (const char *)name.p + 1, name.len - 1);
	if (value.len > 1 && value.p[0] >= 'A' && value.p[0] <= 'Z' && value.p[1] >= 'A' && value.p[1] <= 'Z') {
		buf_put_str(out, " Ar ");
		man_text(out, (const char *)value.p, value.len);
		skip_blanks(&rest);
		line = rest;
	}
	buf_put_str(out, "\n");
	man_text(out, (const char *)line.p, line.len);
	buf_put_str(out, "\n");
}

static const char daemon_text[] =
	".Sh SYNOPSIS\n.Nm\n.Op Ar option ...\n"
	".Sh DESCRIPTION\n"
	".Nm\nserves the SPIFFE Workload API on a Unix socket and tells who is calling\n"
	"by what the kernel recorded while the caller connected.\n"
	"It must be started as root, usually by systemd as svidd.service;\n"
	"everything but starting and watching the others is done by programs without privilege.\n"
	"SIGTERM drains and ends; SIGHUP reads the documents again, which changes of the files do by themselves.\n"
	".Sh OPTIONS\n.Bl -tag -width Ds\n";

static const char daemon_rest[] =
	".El\n.Sh FILES\n.Bl -tag -width Ds\n"
	".It Pa /etc/svid/svid.yaml\nsettings,\n.Xr svid.yaml 5\n"
	".It Pa /etc/svid/policy.d\ndocuments,\n.Xr svid-policy 5\n"
	".It Pa /run/svid\nsockets\n.It Pa /var/lib/svid\nstate, the sealed authority\n"
	".It Pa /var/lib/svid\\-cloud\nsealed cloud credentials\n"
	".It Pa /sys/kernel/svid/credentials\nSVIDs and cloud credentials as files, with the kernel module; else\n"
	".It Pa /run/svid/credentials\nthe same by FUSE\n"
	".It Pa /var/log/svid\\-audit.jsonl\naudit log, see\n.Ic svid audit\n.El\n"
	".Sh SEE ALSO\n.Xr svid 1 ,\n.Xr svid-policy 5 ,\n.Xr svid.yaml 5\n";

int man_svidd(void)
{
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX);
	AUTO(buf) struct buf help = BUF_INIT(1 << 16);
	struct slice rest;
	int err = file_read("-", &help);

	if (err) {
		cli_error("cannot read", "standard input", err_text(err), "svidd --help | svid help --man svidd");
		return CLI_LOCAL;
	}
	man_begin(&out, "svidd", 8, "SPIFFE Workload API agent");
	buf_put_str(&out, daemon_text);
	for (rest = buf_slice(&help); rest.len;) {
		struct slice line = take_line(&rest);

		if (slice_starts(line, slice_str("  --")))
			put_daemon_option(&out, line);
	}
	buf_put_str(&out, daemon_rest);
	return cli_print(&out, CLI_DONE);
}
