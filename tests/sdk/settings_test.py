#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a CredentialSource says is what its cloud gets, verified there: lives, policies, tags, scopes, audiences, algorithms.

Also what becomes of a cloud's errors: each class once, as the cloud says it, seen from `svid credentials`.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402  pylint: disable=wrong-import-position
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, until  # noqa: E402  pylint: disable=wrong-import-position
from services import anywhere, aws_trust, jose, web  # noqa: E402  pylint: disable=wrong-import-position
from services.aws import ACCOUNT  # noqa: E402  pylint: disable=wrong-import-position

READONLY = "https://www.googleapis.com/auth/devstorage.read_only"


class World(rig.Rig):
    """app is a cat with an identity."""

    def __init__(self, name, workload="app", more="", settings=""):
        super().__init__(name, settings)
        self.app, self.workload = self.agent.program("app", "/bin/cat"), workload
        self.identity("app", self.app, workload=workload, more=more)

    def __enter__(self):
        super().__enter__()
        return self.start()

    def read(self, file):
        """What app reads, "" when it is refused."""
        done = subprocess.run([self.app, os.path.join(self.own(self.workload), file)], stdout=subprocess.PIPE, cwd="/",
                              timeout=60,
                              stderr=subprocess.DEVNULL, user=CALLER_UID, group=CALLER_UID, extra_groups=[], check=False)
        return done.stdout.decode()

    def wait(self, file):
        text = until(lambda: self.read(file), 30, 0.1)
        assert text, (file, self.agent.svid("credentials")[1], self.agent.explain())
        return text

    def state(self, name):
        """What `svid credentials` says of one."""
        _, out, _ = self.agent.svid("credentials", name, "-o", "json")
        said = json.loads(out)
        return said[0] if isinstance(said, list) else said.get("credentials", [said])[0]


def claims(token):
    return json.loads(jose.unb64(token.split(".")[1]))


def header(token):
    return json.loads(jose.unb64(token.split(".", maxsplit=1)[0]))


def test_aws_gets_life_policies_tags_and_source_identity():
    with World("aws-settings") as w:
        trust = w.trusts("app", actions=("sts:TagSession", "sts:SetSourceIdentity"))
        policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
        arns = ["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::123456789012:policy/team/own"]
        w.aws_source("full", w.aws.role("reader", trust, longest=7200), lifetime="2h", sessionPolicy=policy, policyArns=arns,
                     tags={"team": "blue & red", "cost": "7"}, transitiveTags=["team"], sourceIdentity=True)
        w.credential("app-full", "app", "full")
        key = json.loads(w.wait("app-full/aws/credentials.json"))["AccessKeyId"]
        s = w.aws.sessions[key]
        assert s.duration == 7200 and s.policies == (policy, *arns), (s.duration, s.policies)
        assert s.tags == {"team": "blue & red", "cost": "7"} and s.transitive == ["team"] and s.source_identity, vars(s)
        assert "rest" not in claims(w.wait("app-full/aws/web_identity_token"))


def test_a_long_spiffe_id_becomes_a_session_name_that_aws_takes():
    workload = "ns/a-rather-long-name-of-a-team/sa/" + "x" * 60 + "_and-more"
    with World("aws-name", workload) as w:
        w.aws_source("source", w.aws.role("reader", w.trusts(workload)))
        w.credential("named", workload, "source")
        key = json.loads(w.wait("named/aws/credentials.json"))["AccessKeyId"]
        assert len(w.aws.sessions[key].name) == 64 and w.aws.sessions[key].subject == w.spiffe_id(workload)


def test_roles_anywhere_takes_keys_of_each_kind():
    for kind, algorithm in (("ec-p256", "ECDSA"), ("ec-p384", "ECDSA"), ("rsa-2048", "RSA")):
        with World(f"any-{kind}", more=f"  svid:\n    x509:\n      keyType: {kind}\n") as w:
            code, out, err = w.agent.svid("bundle", "show", "-o", "pem")
            assert code == 0, err
            anchor, profile, (role,) = anywhere.set_up(
                w.aws, ACCOUNT, out, takes_name=True,
                roles={"anywhere": lambda arn, w=w: aws_trust.roles_anywhere(arn, w.spiffe_id("app"))})
            w.source("anywhere", "awsRolesAnywhere", trustAnchorArn=anchor, profileArn=profile, roleArn=role, endpoint=w.aws.url,
                     lifetime="30m", sessionName=True)
            w.credential("app-anywhere", "app", "anywhere")
            s = w.aws.sessions[json.loads(w.wait("app-anywhere/aws/credentials.json"))["AccessKeyId"]]
            assert s.algorithm == f"AWS4-X509-{algorithm}-SHA256" and s.duration == 1800 and s.name.startswith("app@"), vars(s)
            assert not w.issuer.log, "no OIDC document is asked for"


def test_google_gets_scopes_audience_and_principal_and_gives_tokens_of_each_kind():
    with World("gcp-settings") as w:
        own = w.gcp.provider(w.issuer.url, allowed=("of-our-own",), name="own")
        principal = w.gcp.providers[own].principal(w.spiffe_id("app"))
        w.gcp.account("app@demo.iam.gserviceaccount.com", principal)
        w.gcp_source("direct", own, audience="of-our-own", scopes=[READONLY])
        w.gcp_source("account", own, audience="of-our-own", serviceAccount="app@demo.iam.gserviceaccount.com", lifetime="20m",
                     scopes=[READONLY, "https://www.googleapis.com/auth/compute.readonly"],
                     idTokenAudience="https://service.example")
        for name in ("direct", "account"):
            w.credential(f"app-{name}", "app", name)
        direct = w.gcp.tokens[w.wait("app-direct/gcp/access_token")]
        assert direct.principal == principal and direct.scopes == [READONLY], vars(direct)
        account = w.gcp.tokens[w.wait("app-account/gcp/access_token")]
        assert account.principal == "serviceAccount:app@demo.iam.gserviceaccount.com" and len(account.scopes) == 2, vars(account)
        assert claims(w.wait("app-account/gcp/subject_token"))["aud"] in ("of-our-own", ["of-our-own"])
        assert claims(w.wait("app-account/gcp/id_token"))["aud"] == "https://service.example"
        assert "id_token" not in os.listdir(os.path.join(w.own("app"), "app-direct/gcp"))


def test_es256_is_taken_by_aws_and_google():
    with World("es256", more="  svid:\n    jwt:\n      alg: ES256\n") as w:
        w.grant_aws("app")
        w.grant_gcp("app")
        for token, granted in (("app-aws/aws/web_identity_token", "app-aws/aws/credentials.json"),
                               ("app-gcp/gcp/subject_token", "app-gcp/gcp/access_token")):
            assert header(w.wait(token))["alg"] == "ES256" and w.wait(granted)


def test_a_token_for_any_relying_party_verifies_there():
    with World("jwt") as w:
        w.source("party", "jwt", audiences=["https://party.example"], ttl="30m")
        w.credential("app-party", "app", "party")
        token = w.wait("jwt/app-party")
        said = jose.RelyingParty(w.authority, jose.Rules(("RS256",), kid=True, use=True, life=1800)).check(token, w.issuer.url)
        assert said["sub"] == w.spiffe_id("app") and jose.audiences(said) == ["https://party.example"], said
        assert said["exp"] - said["iat"] == 1800 and not token.endswith("\n"), said


def keys_follow_each_other_without_a_refused_token():
    """A key is in the exported set before it signs: an upload that is a third of a key's life old has it."""
    with World("rotation", settings="    keyTTL: 60s\n    ttl: 10s\n") as w:
        provider = w.gcp.provider(w.issuer.url)
        w.gcp_source("gcp-source", provider)
        w.credential("app-gcp", "app", "gcp-source")
        assert until(lambda: w.agent.svid("oidc", "export", w.top)[0] == 0, 20), w.agent.explain()
        kids, start, uploaded = set(), time.monotonic(), 0
        while len(kids) < 3:
            assert time.monotonic() - start < 240, kids
            if time.monotonic() - uploaded > 15:
                place = tempfile.mkdtemp(dir=w.top)
                code, out, err = w.agent.svid("oidc", "export", place)
                assert code == 0, (out, err)
                with open(os.path.join(place, "keys"), encoding="ascii") as f:
                    assert w.gcp.provider(w.issuer.url, uploaded=json.load(f)["keys"]) == provider
                uploaded = time.monotonic()
            kids.add(header(w.wait("app-gcp/gcp/subject_token"))["kid"])
            code, out, err = w.agent.svid("credentials", "refresh", "app-gcp")
            assert code == 0, (kids, out, err)
            time.sleep(1)


if case.ALL:  # a key lives for a minute at least
    test_keys_follow_each_other_without_a_refused_token = keys_follow_each_other_without_a_refused_token


def test_each_class_of_error_is_outlived_or_said():
    """Transient ones pass by themselves; for the rest `svid credentials` has the cloud's words, and refresh tries."""
    with World("errors") as w:
        for cloud in ("aws", "gcp", "azure"):
            getattr(w, "grant_" + cloud)("app")
        files = {"app-aws": "app-aws/aws/credentials.json", "app-gcp": "app-gcp/gcp/access_token",
                 "app-azure": "app-azure/azure/access_token"}
        for file in files.values():
            w.wait(file)
        for name, fail, words in (
                ("app-aws", lambda: w.aws.fail("AccessDenied"), "AccessDenied"),
                ("app-aws", lambda: w.aws.fail("PackedPolicyTooLarge"), "PackedPolicyTooLarge"),
                ("app-aws", lambda: w.aws.fail("Throttling"), "Throttling"),
                ("app-gcp", lambda: w.gcp.fail("invalid_target"), "invalid_target"),
                ("app-gcp", lambda: w.gcp.fail_account("PERMISSION_DENIED"), "PERMISSION_DENIED"),
                ("app-azure", lambda: w.azure.fail(700213), "AADSTS700213"),
                ("app-azure", lambda: w.azure.fail(5002738), "AADSTS5002738"),
                ("app-azure", lambda: w.azure.instead(web.Answer(429, b"slow", "text/plain", {"Retry-After": "1"})), "429")):
            fail()
            code, out, err = w.agent.svid("credentials", "refresh", name)
            assert code == 1 and words in out + err, (name, words, code, out, err)
            assert w.read(files[name]), f"{name}: what it had is served on"
            code, out, err = w.agent.svid("credentials", "refresh", name)
            assert code == 0, (name, words, out, err)


def test_an_issuer_that_cannot_be_reached_is_outlived():
    with World("issuer") as w:
        documents, w.issuer.documents = w.issuer.documents, dict
        w.grant_aws("app")
        assert until(lambda: w.aws.count("/", 400), 30, 0.1), (w.aws.log, w.agent.explain())
        assert not w.read("app-aws/aws/credentials.json")
        w.issuer.documents = documents
        w.wait("app-aws/aws/credentials.json")


if __name__ == "__main__":
    case.main(globals())
