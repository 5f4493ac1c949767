#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What svid says and prints about cloud credentials, against a real svidd and token services on loopback."""
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, ROOT, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from token_service import CLIENT, PROVIDER, ROLE, TENANT, TokenService, claims  # noqa: E402  pylint: disable=wrong-import-position
from tree import Tree  # noqa: E402  pylint: disable=wrong-import-position

ISSUER = "https://issuer.example/e2e"
NO, USAGE, LOCAL = 1, 2, 5
ANYWHERE = {"awsRolesAnywhere": {
    "trustAnchorArn": "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/aaaa",
    "profileArn": "arn:aws:rolesanywhere:eu-central-1:123456789012:profile/bbbb",
    "roleArn": "arn:aws:iam::123456789012:role/team/demo", "endpoint": "https://127.0.0.1:1", "sessionName": True}}


def header(token):
    part = token.split(".", maxsplit=1)[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Clouds(Tree):
    """A Tree with sources of these kinds; alice has a credential of each."""

    def __init__(self, name, service, *kinds, issuer=ISSUER, sources=None):
        super().__init__(name)
        self.service = service
        self.agent.settings(more=f"  jwt:\n    issuer: {issuer}\n" if issuer else "")
        for kind in kinds:
            self.agent.source(f"{kind}-source", (sources or {}).get(kind) or service.source(kind))
            self.agent.credential(f"alice-{kind}", "alice", f"{kind}-source")

    def svid(self, *words, code=0):
        got, out, err = self.agent.svid(*words)
        assert got == code, (words, got, out, err, self.agent.explain())
        return out if code == 0 else out + err

    def json(self, *words, code=0):
        got, out, err = self.agent.svid(*words, "-o", "json")
        assert got == code, (words, got, out, err, self.agent.explain())
        return json.loads(out)

    def credential(self, name):
        """What is said of it now."""
        _, out, _ = self.agent.svid("credentials", name, "-o", "json")
        return json.loads(out) if out else {}

    def wait(self, name, **want):
        assert until(lambda: all(self.credential(name).get(k) == v for k, v in want.items()), 20), (
            want, self.credential(name), self.agent.explain())
        return self.credential(name)


def test_credentials_says_until_when_each_works_and_ends_well():
    with TokenService() as service, Clouds("ccli-list", service, "aws", "gcp", "azure", "jwt") as t:
        for kind in ("aws", "gcp", "azure"):
            said = t.wait(f"alice-{kind}", state="ready", kind=kind, source=f"{kind}-source", spiffe_id=t.ids["alice"])
            assert said["error"] is None and said["failures"] == 0 and said["expires_at"] > said["refresh_at"], said
        text = t.svid("credentials")
        assert text.count("state           ready") == 4 and text.count(" min left") >= 6, text
        assert "a token is made when somebody reads it" in text, text
        one = t.svid("credentials", "alice-gcp")
        assert "alice-gcp: gcp from gcp-source for " + t.ids["alice"] in one and "alice-aws" not in one, one
        everything = t.svid("credentials", "-o", "json") + text
        assert "secret" not in everything and "token-" not in everything and "ASIA" not in everything, everything
        assert until(lambda: t.read(t.alice, "self/jwt/alice-jwt")[0], 20), t.agent.explain()
        assert t.wait("alice-jwt", state="ready")["expires_at"], t.credential("alice-jwt")
        assert "valid until" in t.svid("credentials", "alice-jwt")


def test_what_fails_is_said_with_the_next_step_and_refresh_mends_it():
    with TokenService() as service:
        service.broken = True
        with Clouds("ccli-broken", service, "aws") as t:
            assert until(lambda: "503" in (t.credential("alice-aws").get("error") or ""), 20), t.credential("alice-aws")
            text = t.svid("credentials", code=NO)
            assert "not there: the exchange failed and is tried again" in text and "next try" in text, text
            assert "next step" in text and "last success" not in text, text
            assert "503" in t.svid("credentials", "refresh", "alice-aws", code=NO)
            service.broken = False
            said = t.json("credentials", "refresh", "alice-aws")
            assert said["state"] == "ready" and said["error"] is None, said
            asked, before = service.count(), t.credential("alice-aws")
            assert "state           ready" in t.svid("credentials", "refresh", "alice-aws")
            assert service.count() == asked + 1 and t.credential("alice-aws")["refresh_at"] != before["refresh_at"]
            service.broken = True
            text = t.svid("credentials", "refresh", "alice-aws", code=NO)
            assert "what it has is served" in text and "valid until" in text, text
            assert "what it has is served" in t.svid("credentials"), "what is served is no failure"


def test_refresh_says_why_there_is_nothing_to_do():
    with TokenService() as service, Clouds("ccli-none", service, "jwt") as t:
        assert "made when somebody reads it" in t.svid("credentials", "refresh", "alice-jwt", code=NO)
        assert "no WorkloadCredential in force is called nobody" in t.svid("credentials", "refresh", "nobody", code=NO)
        assert "svid policy check" in t.svid("credentials", "nobody", code=NO)
        t.agent.remove("alice-jwt")
        assert until(lambda: "no WorkloadCredential is in force" in t.agent.svid("credentials")[1], 10)
        assert "wrong number of words" in t.svid("credentials", "a", "b", code=USAGE)


CREDENTIAL = """---
apiVersion: svid/v1alpha1
kind: WorkloadCredential
metadata: {{name: {name}}}
spec: {{workloadID: {workload}, credentialSource: {source}}}
"""


def test_a_list_that_no_answer_holds_is_counted_and_no_error():
    with TokenService() as service, Clouds("ccli-many", service) as t:
        workload, source, n = "w/" + "x" * 1900, "s" * 253, 1300
        t.agent.identity("carol", t.carol, workload=workload)
        t.agent.source(source[:40], service.source("jwt"))
        with open(os.path.join(t.agent.policy_dir, source[:40] + ".yaml"), encoding="utf-8") as f:
            t.agent.document(source[:40], f.read().replace(source[:40], source))
        for first in range(0, n, 400):
            t.agent.document(f"many-{first}", "".join(CREDENTIAL.format(name=f"{i:05}" + "c" * 248, workload=workload, source=source)
                                                      for i in range(first, min(n, first + 400))))
        assert until(lambda: " more, which" in t.agent.svid("credentials")[1], 30), t.agent.svid("status")
        said = t.json("credentials")
        assert len(said["credentials"]) + said["left_out"] == n and said["left_out"], said["left_out"]
        assert f"and {said['left_out']} more" in t.svid("credentials")


def test_whoami_and_explain_name_the_credentials_of_an_identity():
    with TokenService() as service, Clouds("ccli-explain", service, "aws", "jwt") as t:
        sleeper = t.agent.program("alice", "/bin/sleep")  # under alice's path, and so alice
        with t.popen(sleeper, "60") as process:
            try:
                said = t.json("explain", str(process.pid))
                assert said["identities"][0]["credentials"] == ["alice-aws", "alice-jwt"], said["identities"]
                assert "alice-aws" in t.svid("explain", str(process.pid))
            finally:
                process.kill()


def variables(text):
    return dict(line.split("=", 1) for line in text.splitlines())


def test_env_has_the_same_variables_in_every_form():
    with TokenService() as service, Clouds("ccli-env", service, "aws", "gcp", "azure", "jwt") as t:
        t.wait("alice-aws", state="ready")
        want = variables(t.read(t.bob, f"{t.own('alice')}/env")[0].decode())
        assert want["AWS_ROLE_ARN"] == ROLE and want["AZURE_CLIENT_ID"] == CLIENT, want
        assert t.json("env", "alice")["variables"] == want
        script = t.svid("env", "alice") + "env -0\n"
        got = subprocess.run(["/bin/sh"], input=script.encode(), capture_output=True, env={}, check=True).stdout.decode()
        assert want.items() <= dict(line.split("=", 1) for line in got.split("\0") if line).items(), got
        unit = t.svid("env", t.ids["alice"], "--for", "systemd").splitlines()
        assert "[Service]" in unit and all(f'Environment="{k}={v}"' in unit for k, v in want.items()), unit
        compose = t.svid("env", "alice", "--for=compose").splitlines()
        assert all(f"      {k}: {json.dumps(v)}" in compose for k, v in want.items()), compose
        pod = t.svid("env", "/alice", "--for", "k8s").splitlines()
        assert all(f"          value: {json.dumps(v)}" in pod for v in want.values()), pod
        for lines in (compose, pod):
            assert any(json.dumps(t.dir) in line for line in lines), lines
        note = [line for line in unit if line.startswith("# alice-jwt")]
        path = note[0].split()[-1]
        assert until(lambda: t.read(t.alice, path)[0], 20), t.agent.explain()
        assert t.read(t.alice, path)[0].count(b".") == 2 and "Permission denied" in t.read(t.bob, path)[1]
        for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AZURE_FEDERATED_TOKEN_FILE"):
            assert t.read(t.alice, want[name])[0].count(b".") == 2 and "Permission denied" in t.read(t.bob, want[name])[1]


def test_files_without_secrets_are_for_everybody_before_and_after_a_change():
    with TokenService() as service, Clouds("ccli-public", service, "aws", "gcp") as t:
        t.wait("alice-aws", state="ready")
        for _ in range(2):
            for file in ("env", "aws/config", "gcp/credentials.json", "alice-aws/aws/config"):
                texts = {t.read(program, f"{t.own('alice')}/{file}")[0] for program in (t.alice, t.bob, "/bin/cat")}
                assert len(texts) == 1 and texts.pop(), file
            t.agent.source("gcp-source", {"gcp": {**service.source("gcp")["gcp"], "serviceAccount": "me@p.iam.gserviceaccount.com"},
                                          "caBundle": service.ca})
            assert until(lambda: b"impersonation" in t.read(t.bob, f"{t.own('alice')}/gcp/credentials.json")[0], 10)


def test_env_says_who_has_none_and_what_roles_anywhere_needs():
    with TokenService() as service, Clouds("ccli-envno", service, "awsRolesAnywhere", sources={"awsRolesAnywhere": ANYWHERE}) as t:
        assert "no cloud credentials for bob" in t.svid("env", "bob", code=NO).replace("\n", " ")
        assert "sh (default)" in t.svid("env", "alice", "--for", "fish", code=USAGE)
        assert until(lambda: t.agent.svid("env", "alice")[0] == 0, 10), t.agent.svid("env", "alice")
        text = t.svid("env", "alice")
        assert "AWS_CONFIG_FILE=" in text and "needs helpers: [/bin/cat]" in text, text
        t.agent.credential("alice-awsRolesAnywhere", "alice", "awsRolesAnywhere-source", helpers=["/bin/cat"])
        assert until(lambda: "helpers" not in t.agent.svid("env", "alice")[1], 10)


def test_oidc_export_writes_what_the_tokens_are_checked_with():
    with TokenService() as service, Clouds("ccli-oidc", service, "jwt") as t, tempfile.TemporaryDirectory() as directory:
        assert until(lambda: t.read(t.alice, "self/jwt/alice-jwt")[0], 20), t.agent.explain()  # an RSA key is being made
        token = t.read(t.alice, "self/jwt/alice-jwt")[0].decode()
        said = t.json("oidc", "export", directory)
        with open(os.path.join(directory, ".well-known/openid-configuration"), encoding="utf-8") as f:
            discovery = json.load(f)
        with open(os.path.join(directory, "keys"), encoding="utf-8") as f:
            keys = json.load(f)["keys"]
        assert discovery["issuer"] == ISSUER == said["issuer"] and discovery["jwks_uri"] == ISSUER + "/keys", discovery
        assert [k["kid"] for k in keys] == [k["kid"] for k in said["keys"]] and {k["kty"] for k in keys} == {"RSA", "EC"}, said
        for key in keys:
            assert key["use"] == "sig" and set(key) <= {"kty", "alg", "use", "kid", "n", "e", "x", "y", "crv"}, key
        assert claims(token)["iss"] == ISSUER and header(token)["kid"] in [k["kid"] for k in keys], token
        for path in ("keys", ".well-known/openid-configuration"):
            assert os.stat(os.path.join(directory, path)).st_mode & 0o777 == 0o644
        assert sorted(os.listdir(directory)) == [".well-known", "keys"]
        text = t.svid("oidc", "export", directory)
        assert "--jwk-json-path=keys" in text and ISSUER + "/.well-known/openid-configuration" in text, text
        assert "No such file" in t.svid("oidc", "export", "/nonexistent/a", code=LOCAL)
        with open(os.path.join(directory, "keys"), "rb") as f:
            want = f.read()
        os.makedirs(os.path.join(directory, "led/elsewhere"))
        os.symlink("elsewhere", os.path.join(directory, "led/.well-known"))
        assert "cannot write" in t.svid("oidc", "export", os.path.join(directory, "led"), code=LOCAL)
        assert not os.listdir(os.path.join(directory, "led/elsewhere"))
        before = os.umask(0o077)
        try:
            t.svid("oidc", "export", os.path.join(directory, "new"))
        finally:
            os.umask(before)
        for made in ("new", "new/.well-known"):
            assert os.stat(os.path.join(directory, made)).st_mode & 0o777 == 0o755
        with open(os.path.join(directory, "new", "keys"), "rb") as f:
            assert f.read() == want


def next_key_is_exported_before_it_signs():
    """A key of a minute: 20 s between its first export and its first signature."""
    with Agent("ccli-keys") as agent, tempfile.TemporaryDirectory() as directory:
        agent.settings(more=f"  jwt:\n    issuer: {ISSUER}\n    keyTTL: 1m\n    ttl: 10s\n")
        agent.identity("cli", os.path.join(BIN, "svid"))
        agent.start()
        exported, signed = {}, {}

        def look():
            code, out, _ = agent.svid("oidc", "export", directory, "-o", "json")
            for key in json.loads(out)["keys"] if code == 0 else ():
                exported.setdefault(key["kid"], time.monotonic())
            code, out, _ = agent.svid("fetch", "jwt", "--audience", f"a{len(signed)}-{time.monotonic()}", "-o", "token")
            if code == 0:
                signed.setdefault(header(out.strip())["kid"], time.monotonic())
            return len(signed) == 2
        assert until(look, 120, every=1), (exported, signed, agent.explain())
        last = max(signed, key=signed.get)
        assert signed[last] - exported[last] > 10, (exported, signed)


if case.ALL:
    test_the_next_key_is_exported_before_it_signs = next_key_is_exported_before_it_signs


def test_without_an_https_issuer_nothing_is_exported_or_set_up():
    for number, issuer in enumerate((None, ISSUER + "/")):
        with TokenService() as service, Clouds(f"ccli-noiss{number}", service, "jwt", issuer=issuer) as t, \
                tempfile.TemporaryDirectory() as directory:
            assert "spec.jwt.issuer in svid.yaml" in t.svid("oidc", "export", directory, code=NO)
            assert not os.listdir(directory)


RECORDER = """#!{python}
import json, os, sys
with open(os.environ["CALLS"], "a", encoding="utf-8") as f:
    f.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + chr(10))
"""


class Calls:
    """What the script that was printed runs, word by word, as a shell reads it."""

    def __init__(self, script):
        with tempfile.TemporaryDirectory() as directory:
            calls = os.path.join(directory, "calls")
            for name in ("aws", "gcloud", "az", "svid"):
                with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
                    f.write(RECORDER.format(python=sys.executable))
                os.chmod(f.name, 0o755)
            subprocess.run(["/bin/sh", "-e"], input=script.encode(), cwd=directory, check=True,
                           env={"PATH": directory + ":/usr/bin:/bin", "CALLS": calls, "ROLE": "r", "PROJECT": "p"})
            with open(calls, encoding="utf-8") as f:
                self.all = [json.loads(line) for line in f]

    def of(self, *words):
        """Options of the one call that begins so; what stands alone has None."""
        found = [c for c in self.all if c[:len(words)] == list(words)]
        assert len(found) == 1, (words, self.all)
        rest, options = found[0][len(words):], {}
        for at, word in enumerate(rest):
            if word.startswith("--"):
                follows = rest[at + 1] if at + 1 < len(rest) else "--"
                options[word] = None if follows.startswith("--") else follows
        return options


def test_setup_of_aws_trusts_the_identities_that_use_the_source_and_its_audience():
    with TokenService() as service, Clouds("ccli-aws", service, "aws") as t:
        tags = {"aws": {**service.source("aws")["aws"], "tags": {"team": "it's $HOME"}, "sourceIdentity": True, "lifetime": "2h",
                        "audience": "it's-`id`-$(id)"}, "caBundle": service.ca}
        calls = Calls(t.svid("cloud", "setup", "aws", "aws-source"))
        assert calls.all[0] == ["svid", "oidc", "export", "oidc"] and calls.all[-1] == ["svid", "credentials", "refresh", "alice-aws"]
        provider = calls.of("aws", "iam", "create-open-id-connect-provider")
        assert provider == {"--url": ISSUER, "--client-id-list": '["sts.amazonaws.com"]'}, provider
        role = calls.of("aws", "iam", "create-role")
        assert role["--role-name"] == "demo" and role["--path"] == "/" and role["--max-session-duration"] == "3600", role
        trust = json.loads(role["--assume-role-policy-document"])
        assert json.loads(calls.of("aws", "iam", "update-assume-role-policy")["--policy-document"]) == trust
        statement, = trust["Statement"]
        assert statement["Principal"] == {"Federated": "arn:aws:iam::123456789012:oidc-provider/issuer.example/e2e"}, statement
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity" and statement["Effect"] == "Allow", statement
        assert statement["Condition"] == {"StringEquals": {"issuer.example/e2e:aud": "sts.amazonaws.com",
                                                           "issuer.example/e2e:sub": t.ids["alice"]}}, statement
        t.agent.credential("bob-aws", "bob", "aws-source")
        t.agent.source("aws-source", tags)
        assert until(lambda: t.ids["bob"] in t.agent.svid("cloud", "setup", "aws", "aws-source")[1] and
                     "7200" in t.agent.svid("cloud", "setup", "aws", "aws-source")[1], 10)
        calls = Calls(t.svid("cloud", "setup", "aws", "aws-source"))
        provider = calls.of("aws", "iam", "create-open-id-connect-provider")
        assert json.loads(provider["--client-id-list"]) == ["it's-`id`-$(id)"], provider
        role = calls.of("aws", "iam", "create-role")
        statement, = json.loads(role["--assume-role-policy-document"])["Statement"]
        assert role["--max-session-duration"] == "7200", role
        assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"], statement
        assert statement["Condition"]["StringEquals"] == {"issuer.example/e2e:aud": "it's-`id`-$(id)",
                                                          "issuer.example/e2e:sub": [t.ids["alice"], t.ids["bob"]]}, statement


def test_setup_of_roles_anywhere_carries_our_ca_and_pins_the_certificate_s_id():
    with TokenService() as service, Clouds("ccli-anywhere", service, "awsRolesAnywhere", issuer=None,
                                           sources={"awsRolesAnywhere": ANYWHERE}) as t:
        calls = Calls(t.svid("cloud", "setup", "aws", "awsRolesAnywhere-source"))
        for verb in ("create-trust-anchor", "update-trust-anchor"):
            anchor = calls.of("aws", "rolesanywhere", verb)
            assert json.loads(anchor["--source"])["sourceData"]["x509CertificateData"] == t.svid("bundle", "show", "-o", "pem")
            assert anchor["--region"] == "eu-central-1", anchor
        assert calls.of("aws", "rolesanywhere", "update-trust-anchor")["--trust-anchor-id"] == "aaaa"
        role = calls.of("aws", "iam", "create-role")
        statement, = json.loads(role["--assume-role-policy-document"])["Statement"]
        assert role["--path"] == "/team/" and statement["Principal"] == {"Service": "rolesanywhere.amazonaws.com"}, role
        assert statement["Condition"] == {
            "StringEquals": {"aws:PrincipalTag/x509SAN/URI": t.ids["alice"]},
            "ArnEquals": {"aws:SourceArn": ANYWHERE["awsRolesAnywhere"]["trustAnchorArn"]}}, statement
        profile = calls.of("aws", "rolesanywhere", "create-profile")
        assert "--accept-role-session-name" in profile and profile["--duration-seconds"] == "3600", profile


def test_setup_of_google_limits_the_provider_to_the_identities():
    with TokenService() as service, Clouds("ccli-gcp", service, "gcp") as t:
        calls = Calls(t.svid("cloud", "setup", "gcp", "gcp-source"))
        assert calls.of("gcloud", "iam", "workload-identity-pools", "create", "pool")["--project"] == "123"
        for verb in ("create-oidc", "update-oidc"):
            provider = calls.of("gcloud", "iam", "workload-identity-pools", "providers", verb, "svidd")
            assert provider["--issuer-uri"] == ISSUER and provider["--allowed-audiences"] == "https:" + PROVIDER, provider
            assert provider["--attribute-condition"] == f'assertion.sub in ["{t.ids["alice"]}"]', provider
            assert provider["--attribute-mapping"] == "google.subject=assertion.sub", provider
        pool = PROVIDER.split("/providers")[0]
        for audience, item in (("a,b", "^ ^a,b"), ("^a^b", "^ ^^a^b"), ("x^y", "x^y")):  # gcloud topic escaping
            t.agent.source("gcp-source", {"gcp": {**service.source("gcp")["gcp"], "audience": audience}, "caBundle": service.ca})
            assert until(lambda: item in t.agent.svid("cloud", "setup", "gcp", "gcp-source")[1], 10), audience
            provider = Calls(t.svid("cloud", "setup", "gcp", "gcp-source")).of("gcloud", "iam", "workload-identity-pools",
                                                                               "providers", "create-oidc", "svidd")
            assert provider["--allowed-audiences"] == item, provider
        assert calls.of("gcloud", "projects", "add-iam-policy-binding", "p")["--member"] == f"principal:{pool}/subject/{t.ids['alice']}"
        account = {"gcp": {**service.source("gcp")["gcp"], "serviceAccount": "me@p.iam.gserviceaccount.com",
                           "subject": "mapped"}, "caBundle": service.ca}
        t.agent.source("gcp-source", account)
        long = t.agent.identity("carol", t.carol, workload="long/" + "x" * 110)
        t.agent.credential("carol-gcp", "long/" + "x" * 110, "gcp-source")
        assert until(lambda: "workloadIdentityUser" in t.agent.svid("cloud", "setup", "gcp", "gcp-source")[1] and
                     long in t.agent.svid("cloud", "setup", "gcp", "gcp-source")[1], 10)
        calls = Calls(t.svid("cloud", "setup", "gcp", "gcp-source"))
        provider = calls.of("gcloud", "iam", "workload-identity-pools", "providers", "create-oidc", "svidd")
        assert provider["--attribute-mapping"] == \
            'google.subject=assertion.sub.extract("spiffe://e2e.test/{path}"),attribute.spiffe_id=assertion.sub', provider
        members = [c[c.index("--member") + 1] for c in calls.all if c[2:4] == ["service-accounts", "add-iam-policy-binding"]]
        assert members == [f"principal:{pool}/subject/alice", f"principal:{pool}/subject/long/{'x' * 110}"], calls.all


def test_setup_of_azure_has_a_federated_credential_for_each_identity():
    with TokenService() as service, Clouds("ccli-azure", service, "azure") as t:
        t.agent.credential("bob.azure", "bob", "azure-source")
        t.agent.credential("bob2", "bob", "azure-source")
        assert until(lambda: "bob2" in t.agent.svid("cloud", "setup", "azure", "azure-source")[1], 10)
        said = t.json("cloud", "setup", "azure", "azure-source")
        assert said["subjects"] == [t.ids["alice"], t.ids["bob"]] and said["kind"] == "azure" and said["issuer"] == ISSUER, said
        script = "\n".join(s["command"] for s in said["steps"])
        calls = Calls("IDENTITY=i GROUP=g SCOPE=s\n" + script)
        assert calls.of("az", "login") == {"--tenant": TENANT}
        found = [json.loads(c[c.index("--parameters") + 1]) for c in calls.all if c[:3] == ["az", "ad", "app"]]
        assert found == [{"name": f"svid-{n}", "issuer": ISSUER, "subject": t.ids[w], "audiences": ["api://AzureADTokenExchange"]}
                         for n, w in (("alice-azure", "alice"), ("bob-azure", "bob"))], found
        assert all(CLIENT in c for c in calls.all if c[:3] == ["az", "ad", "app"])


def test_setup_refuses_what_would_trust_everybody_or_is_another_cloud():
    with TokenService() as service, Clouds("ccli-refuse", service, "aws", "jwt") as t:
        t.agent.source("lonely", service.source("gcp"))
        assert until(lambda: "nobody uses lonely" in t.agent.svid("cloud", "setup", "gcp", "lonely")[2], 10)
        assert "WorkloadCredential" in t.svid("cloud", "setup", "gcp", "lonely", code=NO)
        assert "svid cloud setup aws aws-source" in t.svid("cloud", "setup", "azure", "aws-source", code=USAGE)
        assert "of kind jwt" in t.svid("cloud", "setup", "aws", "jwt-source", code=USAGE)
        assert "no CredentialSource in force is called none" in t.svid("cloud", "setup", "aws", "none", code=NO)
        assert "wrong number of words" in t.svid("cloud", "setup", "aws", code=USAGE)


def test_the_pages_documents_are_good_and_their_variables_are_the_ones_that_env_prints():
    with TokenService() as service, Clouds("ccli-pages", service, "aws", "gcp", "azure") as t:
        t.wait("alice-aws", state="ready")
        printed = t.json("env", "alice")["variables"]
        for page in ("AWS", "GCP", "AZURE"):
            with open(os.path.join(ROOT, "federation", page + ".md"), encoding="utf-8") as f:
                text = f.read()
            blocks = re.findall(r"```yaml\n(.*?)```", text, re.S)
            assert blocks, page
            for number, block in enumerate(blocks):
                path = os.path.join(t.agent.top, f"{page}-{number}.yaml")
                t.agent.replace(path, block)
                code, out, err = t.agent.svid("policy", "check", "-c", t.agent.config, path)
                assert code == 0 and " 0 errors" in out, (page, out, err)
            for name in printed:
                cloud = {"AWS": "AWS", "AZU": "AZURE"}.get(name[:3], "GCP")
                assert cloud != page or name in text, (page, name)


if __name__ == "__main__":
    case.main(globals())
