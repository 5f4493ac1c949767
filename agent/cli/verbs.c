// SPDX-License-Identifier: Apache-2.0
/* verbs.c - every verb of svid as one row. A verb is a row here, a function in cli.h and a file. svid. */
#include "agent/cli/verbs.h"

#include "agent/cli/compile.h"

#define FORMS_VIEW (FORM(OUT_TEXT) | FORM(OUT_JSON))
#define FORMS_X509 (FORMS_VIEW | FORM(OUT_PEM))
#define FORMS_TOKEN (FORMS_VIEW | FORM(OUT_TOKEN))
#define FORMS_BUNDLE (FORMS_X509 | FORM(OUT_JWKS) | FORM(OUT_SPIFFE))

static int version(const struct cli *c)
{
	AUTO(buf) struct buf out = BUF_INIT(256);

	buf_printf(&out, c->output == OUT_JSON ? "{\"version\": \"%s\"}\n" : "svid %s\n", SVID_VERSION);
	return cli_print(&out, CLI_DONE);
}

/* Where options come before the verb; main() takes the usual order, with any number of files. */
static int policy_check(const struct cli *c)
{
	char *argv[] = { "check", "-o", c->output == OUT_JSON ? "json" : "text", (char *)c->args[0], NULL };

	return policy_check_main(ARRAY_SIZE(argv) - 1, argv);
}

/* clang-format off */
static const struct verb verbs[] = {
	{ "fetch", "x509", "", 0, 0, FORMS_X509, USES_WORKLOAD | USES_WRITE, fetch_x509,
	  "fetch my X.509-SVIDs and check them strictly",
	  "The caller is attested like any workload: by what runs, not by who asks.\n"
	  "With --write: svid.N.pem, svid.N.key, bundle.N.pem and federated_bundle.N.M.pem, each replaced as a whole.\n"
	  "  svid fetch x509                   what a client checks\n"
	  "  svid fetch x509 --write /run/app  files for programs; keys are 0600\n" },
	{ "fetch", "jwt", "", 0, 0, FORMS_TOKEN, USES_WORKLOAD | USES_WRITE | USES_AUDIENCE | USES_ID, fetch_jwt,
	  "fetch JWT-SVIDs for an audience and check them strictly",
	  "Shows what is in the token; the token itself only with -o token, -o json or --write (svid.N.jwt, 0600).\n"
	  "  svid fetch jwt --audience api.example.org\n"
	  "  svid fetch jwt --audience api.example.org -o token\n" },
	{ "fetch", "wit", "", 0, 0, FORMS_TOKEN, USES_WORKLOAD | USES_WRITE | USES_ID, fetch_wit,
	  "fetch my WIT-SVIDs and their keys (where svid.yaml turns them on)",
	  "With --write: svid.N.wit and its private key, svid.N.wit.jwk, both 0600.\n"
	  "  svid fetch wit\n" },
	{ "validate", "jwt", "[TOKEN|-]", 0, 1, FORMS_VIEW, USES_WORKLOAD | USES_AUDIENCE, validate_jwt,
	  "have the agent check a JWT-SVID that somebody sent me",
	  "The token comes on standard input: other processes can read arguments. Ends with 1 when it is not valid.\n"
	  "  svid validate jwt --audience my-name < token\n" },
	{ "watch", NULL, "x509|jwt|wit|bundles|jwt-bundles|wit-bundles", 1, 1, FORMS_VIEW,
	  USES_WORKLOAD | USES_AUDIENCE | USES_ID, watch,
	  "follow the updates, one line for each with what changed",
	  "Comes again by itself when the stream ends, later each time; ends with ^C. A JWT-SVID is fetched again at half\n"
	  "of its life. --timeout is for the first answer.\n"
	  "  svid watch x509\n"
	  "  svid watch bundles -o json\n" },
	{ "whoami", NULL, "", 0, 0, FORMS_VIEW, USES_WORKLOAD, who_am_i,
	  "what the kernel recorded of me, which identities that gives, why not",
	  "Anybody may ask, also without an identity. Run it as the workload would run:\n"
	  "  systemd-run --pipe --uid=app svid whoami\n" },
	{ "bundle", "show", "[TRUSTDOMAIN]", 0, 1, FORMS_BUNDLE, USES_WORKLOAD | USES_ADMIN | USES_FORMAT, bundle_show,
	  "trust bundles: certificates, JWT keys",
	  "Root gets them from admin.sock, others need an identity. --format jwks and spiffe are of one trust domain.\n"
	  "  svid bundle show -o pem > bundle.pem\n"
	  "  svid bundle show --format spiffe > bundle.json   for: bundle set\n" },
	{ "bundle", "list", "", 0, 0, FORMS_VIEW, USES_ROOT, bundle_list,
	  "the foreign trust domains whose bundles are kept (root)",
	  "Workloads get those that federatesWith of their document names.\n"
	  "  svid bundle list\n" },
	{ "bundle", "set", "TRUSTDOMAIN FILE|-", 2, 2, FORMS_VIEW, USES_ROOT, bundle_set,
	  "keep a foreign trust domain's bundle (root)",
	  "FILE is a SPIFFE bundle (JSON) or CA certificates (PEM). It replaces what was kept; a document's federatesWith\n"
	  "says who gets it. Make sure by other means that it is theirs: who is in it can be anybody there.\n"
	  "  svid bundle set td.example bundle.json\n"
	  "  curl -sS https://td.example/bundle | svid bundle set td.example -\n" },
	{ "bundle", "delete", "TRUSTDOMAIN", 1, 1, FORMS_VIEW, USES_ROOT, bundle_delete,
	  "forget a foreign trust domain's bundle (root)",
	  "Workloads that had it are told at once.\n"
	  "  svid bundle delete td.example\n" },
	{ "status", NULL, "", 0, 0, FORMS_VIEW, USES_ROOT, admin_status,
	  "the agent's state (root)",
	  "Ends with 1 when nothing is served, when evidence is not whole, or when documents are stale.\n"
	  "  svid status -o json | jq .documents.errors\n" },
	{ "explain", NULL, "[PID]", 0, 1, FORMS_VIEW, USES_ROOT | USES_EXEC, admin_explain,
	  "whoami for another process, or for any process of an executable (root)",
	  "For a process that holds no connection: what it would get if it connected now. --exec says which identities a\n"
	  "process of that executable could get, and what else each of them asks for.\n"
	  "  svid explain $(pidof -s app)\n"
	  "  svid explain --exec /usr/bin/app\n" },
	{ "credentials", "refresh", "NAME", 1, 1, FORMS_VIEW, USES_ROOT, credentials_refresh,
	  "exchange a cloud credential now, and say how it went (root)",
	  "For after a change on the cloud's side: the agent tries again by itself, but minutes later. Ends with 1 when the\n"
	  "cloud refused.\n"
	  "  svid credentials refresh reports-bucket\n" },
	{ "credentials", NULL, "[NAME]", 0, 1, FORMS_VIEW, USES_ROOT, credentials,
	  "cloud credentials: which work, until when, what to do about the others (root)",
	  "Of all WorkloadCredentials, or of one. Ends with 1 when one of them has nothing to serve.\n"
	  "What a cloud has issued lives until the time that is shown, also when its document is gone.\n"
	  "  svid credentials\n"
	  "  svid credentials reports-bucket -o json\n" },
	{ "env", NULL, "WORKLOADID", 1, 1, FORMS_VIEW, USES_ROOT | USES_FOR, cloud_env,
	  "the variables by which a workload's SDKs find its cloud credentials (root)",
	  "WORKLOADID is the path of its SPIFFE ID, or all of it. The lines name files, and hold no secret.\n"
	  "  svid env batch/reports --for systemd  for: systemctl edit reports\n"
	  "  svid env batch/reports --for k8s      a pod's environment and mount\n" },
	{ "cloud", "setup", "aws|gcp|azure SOURCE", 2, 2, FORMS_VIEW, USES_ROOT, cloud_setup,
	  "the commands that set up the cloud's side of a CredentialSource (root)",
	  "Prints commands of aws, gcloud or az and runs none. Trust is for the identities that use SOURCE now, by their\n"
	  "SPIFFE IDs, and for its audience; after another one was added, run it again. awsRolesAnywhere is part of aws.\n"
	  "  svid cloud setup aws reports-bucket\n"
	  "  svid cloud setup gcp reports-bucket > setup.sh   read, then run it\n" },
	{ "oidc", "export", "DIR", 1, 1, FORMS_VIEW, USES_ROOT, oidc_export,
	  "write the issuer's public documents, by which clouds check our tokens (root)",
	  "DIR gets .well-known/openid-configuration and keys, each replaced as a whole; publish it at the issuer's URL,\n"
	  "jwt.issuer of svid.yaml. Google also takes keys as an upload. A new key is in it before it signs, for a third of\n"
	  "a key's life: run it daily.\n"
	  "  svid oidc export /srv/www/issuer\n" },
	{ "audit", NULL, "[FILE]", 0, 1, FORMS_VIEW, USES_ROOT | USES_FOLLOW | USES_SINCE | USES_IDENTITY | USES_DENIED, audit,
	  "the audit log for people: who asked, what was decided (root)",
	  "Reads the file of the running agent, else /var/log/svid-audit.jsonl.\n"
	  "  svid audit --since 1h --denied\n"
	  "  svid audit -f --identity spiffe://example.org/web\n" },
	{ "doctor", NULL, "", 0, 0, FORMS_VIEW, USES_WORKLOAD | USES_ADMIN, doctor,
	  "what this machine allows, what is missing, what to do",
	  "Runs without an agent too; as root beside a running one it knows which tier is in use and why.\n"
	  "  svid doctor\n" },
	{ "policy", "check", "DIR|FILE", 1, 1, FORMS_VIEW, USES_OUTPUT | USES_CONFIG, policy_check,
	  "compile policy documents as svidd would",
	  "Takes any number of files and directories; -c FILE checks them under that svid.yaml.\n"
	  "  svid policy check -c /etc/svid/svid.yaml /etc/svid/policy.d\n" },
	{ "completion", NULL, "bash|zsh", 1, 1, FORM(OUT_TEXT), 0, completion,
	  "a script that completes these words in a shell",
	  "Installed packages have it already.\n"
	  "  source <(svid completion bash)\n" },
	{ "help", NULL, "[VERB]", 0, 2, FORM(OUT_TEXT), USES_MAN, help,
	  "this text, or that of one verb",
	  "  svid help explain\n"
	  "  svid help --man svid.yaml | man -l -\n" },
	{ "version", NULL, "", 0, 0, FORMS_VIEW, USES_OUTPUT, version,
	  "print the version",
	  "  svid version\n" },
};
/* clang-format on */

static const struct exit_row exits[] = {
	{ CLI_DONE, "done" },
	{ CLI_NO, "the answer is no: no identity issued, a check failed, a document or a token is refused" },
	{ CLI_USAGE, "wrong usage" },
	{ CLI_UNREACHABLE, "the agent cannot be reached, or you may not speak with it" },
	{ CLI_AGENT, "the agent answered with an error, or not in time" },
	{ CLI_LOCAL, "this machine failed: a file could not be read or written, memory is out" },
};

const struct verb *verb_at(size_t i)
{
	return i < ARRAY_SIZE(verbs) ? &verbs[i] : NULL;
}

const struct exit_row *exit_at(size_t i)
{
	return i < ARRAY_SIZE(exits) ? &exits[i] : NULL;
}

void verb_name(struct buf *out, const struct verb *v)
{
	buf_printf(out, "%s%s%s", v->first, v->second ? " " : "", v->second ? v->second : "");
}

void verb_forms(struct buf *out, unsigned int forms)
{
	bool first = true;

	for (unsigned int i = 0; i < OUT_COUNT; i++)
		if (forms & FORM(i)) {
			buf_printf(out, "%s%s", first ? "" : ", ", output_name((enum cli_output)i));
			first = false;
		}
}

void verb_usage(struct buf *out, const struct verb *v)
{
	verb_name(out, v);
	buf_printf(out, "%s%s", *v->args ? " " : "", v->args);
}
