#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `svid cloud setup` prints, done: the AWS CLI runs it against an IAM, and each cloud then trusts whom it names, and nobody else."""
import http.server
import json
import logging
import os
import shlex
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402  pylint: disable=wrong-import-position
import case  # noqa: E402  pylint: disable=wrong-import-position
from moto.server import ThreadedMotoServer  # noqa: E402  pylint: disable=wrong-import-position,import-error
from services import anywhere  # noqa: E402  pylint: disable=wrong-import-position
from services.aws import ACCOUNT  # noqa: E402  pylint: disable=wrong-import-position

logging.getLogger("werkzeug").setLevel(logging.ERROR)
AWS = os.path.join(rig.VENV, "bin", "aws")


class World(rig.Rig):
    """app and other are identities; what the clouds trust comes from the commands alone."""

    def __init__(self, name):
        super().__init__(name)
        for workload in ("app", "other"):
            self.identity(workload, self.agent.program(workload, "/bin/cat"))

    def steps(self, cloud, source):
        """The commands that are printed for a source, each as the words that a shell makes of it."""
        code, out, err = self.agent.svid("cloud", "setup", cloud, source, "-o", "json")
        assert code == 0, (out, err, self.agent.explain())
        return json.loads(out)["steps"]

    def words(self, cloud, source, *first):
        """Those that begin so."""
        found = [shlex.split(s["command"]) for s in self.steps(cloud, source)]
        return [words for words in found if words[:len(first)] == list(first)]

    def refresh(self, name, *wanted, code=0):
        """Exchanges until this is said of one."""
        said = []

        def over():
            got, out, err = self.agent.svid("credentials", "refresh", name, "--timeout", "20", timeout=40)
            said.append(out + err)
            return got == code and all(w in out + err for w in wanted)
        assert rig.until(over, 20, every=0.5), (name, said[-1], self.agent.explain())

    def is_ready(self, name):
        self.refresh(name, "state           ready")

    def is_refused(self, name, *why):
        self.refresh(name, "not there", *why, code=1)

    def uses(self, cloud, source, workload):
        """Wait until the documents say that this workload uses the source too."""
        assert rig.until(lambda: self.spiffe_id(workload) in self.agent.svid("cloud", "setup", cloud, source)[1], 20)


def option(words, name):
    return words[words.index(name) + 1]


class Iam:
    """moto's IAM, as the AWS CLI speaks with it."""

    def __init__(self):
        self.server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)

    def __enter__(self):
        self.server.start()
        _, port = self.server.get_host_and_port()
        self.env = {"PATH": os.path.dirname(AWS) + ":/usr/bin:/bin", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
                    "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": rig.REGION,
                    "AWS_CONFIG_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}
        return self

    def __exit__(self, *what):
        self.server.stop()

    def run(self, command):
        done = subprocess.run(["/bin/sh", "-ec", command], env=self.env, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return json.loads(done.stdout or "{}")

    def run_those(self, steps, *starts):
        """Run those of the printed commands that begin so."""
        for start in starts:
            mine = [s["command"] for s in steps if s["command"].startswith(start)]
            assert len(mine) == 1, (start, steps)
            self.run(mine[0])

    def trust(self, role):
        """(trust policy, seconds) of a role, as IAM has it now."""
        got = self.run(f"aws iam get-role --role-name {role}")["Role"]
        return got["AssumeRolePolicyDocument"], got["MaxSessionDuration"]

    def providers(self):
        """Issuer URLs and their client ids."""
        arns = [p["Arn"] for p in self.run("aws iam list-open-id-connect-providers")["OpenIDConnectProviderList"]]
        got = [self.run(f"aws iam get-open-id-connect-provider --open-id-connect-provider-arn {arn}") for arn in arns]
        return [("https://" + p["Url"].removeprefix("https://"), p["ClientIDList"]) for p in got]


def test_the_aws_cli_takes_the_commands_and_the_role_is_for_the_named_identities_alone():
    with World("setup-aws") as w, Iam() as iam:
        role = f"arn:aws:iam::{ACCOUNT}:role/reader"
        w.aws_source("aws-source", role, tags={"team": "it's"}, lifetime="2h")
        w.credential("app-aws", "app", "aws-source")
        w.start()
        w.aws.providers.clear()
        w.is_refused("app-aws", "AccessDenied")  # there is no such role yet
        iam.run_those(w.steps("aws", "aws-source"), "aws iam create-open-id-connect-provider", "aws iam create-role")
        (issuer, clients), = iam.providers()
        assert issuer == w.issuer.url, issuer
        w.aws.provider(issuer, *clients)
        policy, seconds = iam.trust("reader")
        w.aws.role("reader", policy, longest=seconds)
        w.is_ready("app-aws")
        w.credential("other-aws", "other", "aws-source")
        w.uses("aws", "aws-source", "other")
        w.is_refused("other-aws", "AccessDenied", "next step", "trust policy")
        iam.run_those(w.steps("aws", "aws-source"), "aws iam update-assume-role-policy")
        w.aws.role("reader", iam.trust("reader")[0], longest=seconds)
        w.is_ready("other-aws")
        w.is_ready("app-aws")


class Recorder(http.server.BaseHTTPRequestHandler):
    """An endpoint that takes what the AWS CLI, which knows the API's model, is willing to send."""

    def log_message(self, *words):  # pylint: disable=arguments-differ
        pass

    def do_POST(self):  # pylint: disable=invalid-name
        self.server.bodies.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_PATCH = do_POST


def anywhere_calls(iam, steps):
    """Paths and bodies that the AWS CLI makes of the commands for Roles Anywhere."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        server.bodies = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for step in steps:
            if step["command"].startswith("aws rolesanywhere"):
                done = subprocess.run(["/bin/sh", "-ec", step["command"]], capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False,
                                      env={**iam.env, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}"})
                assert done.returncode == 0, (step, done.stderr)
        server.shutdown()
        return dict(server.bodies)


def test_the_aws_cli_takes_the_commands_of_roles_anywhere_and_the_anchor_is_our_ca():
    with World("setup-anywhere") as w, Iam() as iam:
        role = f"arn:aws:iam::{ACCOUNT}:role/anywhere"
        anchor, profile = (f"arn:aws:rolesanywhere:{rig.REGION}:{ACCOUNT}:{what}/11111111-2222-3333-4444-555555555555"
                           for what in ("trust-anchor", "profile"))
        w.source("anywhere-source", "awsRolesAnywhere", trustAnchorArn=anchor, profileArn=profile, roleArn=role, endpoint=w.aws.url,
                 sessionName=True)
        w.credential("app-anywhere", "app", "anywhere-source")
        w.start()
        steps = w.steps("aws", "anywhere-source")
        calls = anywhere_calls(iam, steps)
        made = calls["/trustanchors"]
        assert made["enabled"] is True and made["source"]["sourceType"] == "CERTIFICATE_BUNDLE", made
        assert calls["/trustanchor/11111111-2222-3333-4444-555555555555"]["source"] == made["source"], calls
        asked = calls["/profiles"]
        assert asked["roleArns"] == [role] and asked["acceptRoleSessionName"] is True, asked
        iam.run_those(steps, "aws iam create-role")
        policy, _ = iam.trust("anywhere")
        w.aws.anchors[anchor] = anywhere.x509.load_pem_x509_certificates(made["source"]["sourceData"]["x509CertificateData"].encode())
        w.aws.profiles[profile] = anywhere.Profile([w.aws.role("anywhere", policy)], True, asked["durationSeconds"])
        w.is_ready("app-anywhere")
        w.credential("other-anywhere", "other", "anywhere-source")
        w.uses("aws", "anywhere-source", "other")
        w.is_refused("other-anywhere", "AccessDenied")


def test_google_s_provider_and_bindings_are_for_the_named_identities_alone():
    with World("setup-gcp") as w:
        name = "//iam.googleapis.com/projects/1234567890/locations/global/workloadIdentityPools/pool/providers/svid"
        email = "app@demo.iam.gserviceaccount.com"
        w.gcp_source("gcp-source", name, serviceAccount=email)
        w.credential("app-gcp", "app", "gcp-source")
        w.start()
        w.is_refused("app-gcp", "invalid_target")
        made, = w.words("gcp", "gcp-source", "gcloud", "iam", "workload-identity-pools", "providers", "create-oidc")
        assert option(made, "--attribute-mapping") == "google.subject=assertion.sub", made
        assert w.gcp.provider(option(made, "--issuer-uri"), [option(made, "--allowed-audiences")], number=option(made, "--project"),
                              pool=option(made, "--workload-identity-pool"), name=made[5]) == name
        bound, = w.words("gcp", "gcp-source", "gcloud", "iam", "service-accounts", "add-iam-policy-binding")
        assert bound[4] == email and option(bound, "--role") == "roles/iam.workloadIdentityUser", bound
        w.gcp.account(email, option(bound, "--member"))
        w.is_ready("app-gcp")
        w.credential("other-gcp", "other", "gcp-source")
        w.uses("gcp", "gcp-source", "other")
        w.is_refused("other-gcp", "PERMISSION_DENIED", "roles/iam.workloadIdentityUser")


def test_google_takes_the_exported_keys_as_an_upload():
    with World("setup-upload") as w:
        provider = w.gcp.provider(w.issuer.url)
        w.gcp_source("gcp-source", provider)
        w.credential("app-gcp", "app", "gcp-source")
        w.start()
        w.issuer.documents = dict  # nothing is public
        w.is_refused("app-gcp", "invalid_grant")
        place = os.path.join(w.top, "upload")
        assert w.agent.svid("oidc", "export", place)[0] == 0
        with open(os.path.join(place, "keys"), encoding="utf-8") as f:
            assert w.gcp.provider(w.issuer.url, uploaded=json.load(f)["keys"]) == provider
        w.is_ready("app-gcp")


def test_entra_s_federated_credentials_are_for_the_named_identities_alone():
    with World("setup-azure") as w:
        tenant, client = w.azure.app()
        w.azure_source("azure-source", tenant, client)
        w.credential("app-azure", "app", "azure-source")
        w.start()
        w.is_refused("app-azure", "AADSTS70021", "federated credential")
        made, = w.words("azure", "azure-source", "az", "ad", "app", "federated-credential", "create")
        asked = json.loads(option(made, "--parameters"))
        w.azure.federate(option(made, "--id"), asked["issuer"], asked["subject"], *asked["audiences"])
        w.is_ready("app-azure")
        w.credential("other-azure", "other", "azure-source")
        w.uses("azure", "azure-source", "other")
        w.is_refused("other-azure", "AADSTS")


if __name__ == "__main__":
    case.main(globals())
