#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The token services of tests/sdk refuse what their clouds refuse: tables of tokens and requests with one thing broken each,
beside the good one that is taken. What they take from svidd means something for that reason. No agent is here.
"""
import base64
import datetime
import hashlib
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from xml.etree import ElementTree

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402  pylint: disable=wrong-import-position
import case  # noqa: E402  pylint: disable=wrong-import-position
from services import anywhere, aws_trust, jose, pki, sigv4, web  # noqa: E402  pylint: disable=wrong-import-position
from services.aws import ACCOUNT, ERRORS  # noqa: E402  pylint: disable=wrong-import-position
from services.azure import CODES  # noqa: E402  pylint: disable=wrong-import-position
from services.gcp import OAUTH, STATUS  # noqa: E402  pylint: disable=wrong-import-position
from cryptography.hazmat.primitives import hashes  # noqa: E402  pylint: disable=wrong-import-position
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: E402  pylint: disable=wrong-import-position

SUBJECT = "spiffe://example.org/app"
RSA, FOREIGN, EC = pki.rsa_key(), pki.rsa_key(), pki.ec_key()
DROP = object()  # a member that is taken away


class World(rig.Clouds):
    """An issuer with an RSA and an EC key, and an access of SUBJECT at each cloud."""

    def __init__(self):
        super().__init__()
        self.issuer.publish([jose.public_jwk(RSA, "rsa"), jose.public_jwk(EC, "ec"), jose.public_jwk(FOREIGN, "enc", "enc")])
        self.aws.provider(self.issuer.url)
        self.role = self.aws.role("reader", aws_trust.web_identity(ACCOUNT, self.issuer.url, SUBJECT))
        self.resource = self.gcp.provider(self.issuer.url)
        self.principal = self.gcp.providers[self.resource].principal(SUBJECT)
        self.gcp.account("app@demo", self.principal)
        self.tenant, self.client = self.azure.app()
        self.azure.federate(self.client, self.issuer.url, SUBJECT)
        self._context = ssl.create_default_context(cadata=self.authority.pem())

    def token(self, audience, header=(), key=None, tamper=None, **claims):
        """A good token, but for what is said."""
        at = int(time.time())
        head = {"alg": "RS256", "kid": "rsa", "typ": "JWT", **dict(header)}
        body = {"iss": self.issuer.url, "sub": SUBJECT, "aud": [audience], "iat": at, "exp": at + 300, "jti": "1", **claims}
        text = jose.encode(key or RSA, {k: v for k, v in head.items() if v is not DROP},
                           {k: v for k, v in body.items() if v is not DROP})
        return tamper(text) if tamper else text

    def send(self, url, data=None, headers=()):
        """(status, body)"""
        request = urllib.request.Request(url, data=data, headers=dict(headers))
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=20) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def form(self, url, **fields):
        data = urllib.parse.urlencode({k: v for k, v in fields.items() if v is not DROP}).encode()
        return self.send(url, data)

    # one exchange each: what the cloud says, as (status, code, whole answer)

    def ask_aws(self, token, **fields):
        status, body = self.form(self.aws.url + "/", **{
            "Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": self.role, "RoleSessionName": "app@node",
            "DurationSeconds": "3600", "WebIdentityToken": token, **fields})
        root = ElementTree.fromstring(body)
        return status, _text(root, "Code"), root

    def ask_gcp(self, token, **fields):
        status, body = self.form(self.gcp.url + "/v1/token", **{
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": self.resource,
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "subject_token": token, **fields})
        reply = json.loads(body)
        return status, reply.get("error"), reply

    def ask_azure(self, token, tenant=None, **fields):
        status, body = self.form(f"{self.azure.url}/{tenant or self.tenant}/oauth2/v2.0/token", **{
            "grant_type": "client_credentials", "client_id": self.client, "scope": "https://vault.azure.net/.default",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": token,
            **fields})
        reply = json.loads(body)
        return status, (reply.get("error_codes") or [None])[0], reply


def _text(root, name):
    found = [e for e in root.iter() if e.tag.rpartition("}")[2] == name]
    return found[0].text if found else None


def other_bit(text):
    """A signature with one bit turned."""
    head, _, tail = text.rpartition(".")
    raw = bytearray(jose.unb64(tail))
    raw[7] ^= 1
    return head + "." + jose.b64(bytes(raw))


def other_claims(text):
    """Another subject under the same signature."""
    head, body, tail = text.split(".")
    claims = {**json.loads(jose.unb64(body)), "sub": SUBJECT + "2"}
    return ".".join((head, jose.b64(json.dumps(claims).encode()), tail))


def by_hmac(text):
    """The oldest trick: the public key as the secret of HS256."""
    claims = text.split(".")[1]
    head = jose.b64(json.dumps({"alg": "HS256", "kid": "rsa"}).encode()) + "." + claims
    secret = RSA.public_key().public_bytes(pki.serialization.Encoding.PEM, pki.serialization.PublicFormat.SubjectPublicKeyInfo)
    return head + "." + jose.b64(sigv4.hmac.new(secret, head.encode(), hashlib.sha256).digest())


def unsigned(text):
    return jose.b64(b'{"alg":"none","kid":"rsa"}') + "." + text.split(".")[1] + "."


def now(offset):
    return int(time.time()) + offset


# One thing broken in each token: what token() is told, and what the three clouds say. None: this cloud takes it.
TOKENS = [
    ("one bit of the signature is turned", {"tamper": other_bit}, "InvalidIdentityToken", "invalid_grant", 700027),
    ("the claims are not those that were signed", {"tamper": other_claims}, "InvalidIdentityToken", "invalid_grant", 700027),
    ("signed by somebody else under our kid", {"key": FOREIGN}, "InvalidIdentityToken", "invalid_grant", 700027),
    ("a kid that nobody published", {"header": {"kid": "other"}}, "InvalidIdentityToken", "invalid_grant", 700027),
    ("not signed at all", {"tamper": unsigned}, "InvalidIdentityToken", "invalid_request", 5002738),
    ("HS256 with the public key as secret", {"tamper": by_hmac}, "InvalidIdentityToken", "invalid_request", 5002738),
    ("PS256", {"header": {"alg": "PS256"}}, "InvalidIdentityToken", "invalid_request", 5002738),
    ("ES256", {"header": {"alg": "ES256", "kid": "ec"}, "key": EC}, None, None, 5002738),
    ("ES256 said of the RSA key", {"header": {"alg": "ES256"}, "key": EC}, "InvalidIdentityToken", "invalid_grant", 5002738),
    ("RS384", {"header": {"alg": "RS384"}}, None, "invalid_request", 5002738),
    ("without kid", {"header": {"kid": DROP}}, None, "invalid_grant", None),
    ("a critical header that nobody knows", {"header": {"crit": ["b64"], "b64": True}}, "InvalidIdentityToken", "invalid_grant",
     50027),
    ("another issuer", {"iss": "https://other.example"}, "InvalidIdentityToken", "invalid_grant", 700211),
    ("the issuer with a slash", {"iss": "/"}, "InvalidIdentityToken", "invalid_grant", 700211),
    ("no issuer", {"iss": DROP}, "InvalidIdentityToken", "invalid_grant", 700211),
    ("another audience", {"aud": ["other"]}, "InvalidIdentityToken", "invalid_grant", 700212),
    ("no audience", {"aud": DROP}, "InvalidIdentityToken", "invalid_grant", 50027),
    ("an audience that is no text", {"aud": 7}, "InvalidIdentityToken", "invalid_grant", 700212),
    ("expired", {"exp": -1, "iat": -600}, "ExpiredTokenException", "invalid_grant", 700024),
    ("without exp", {"exp": DROP}, "InvalidIdentityToken", "invalid_grant", 50027),
    ("exp is a text", {"exp": "tomorrow"}, "InvalidIdentityToken", "invalid_grant", 50027),
    ("without iat", {"iat": DROP}, "InvalidIdentityToken", "invalid_grant", None),
    ("issued in ten minutes", {"iat": 600, "exp": 900}, "InvalidIdentityToken", "invalid_grant", 700024),
    ("valid in ten minutes", {"nbf": 600, "exp": 900}, "InvalidIdentityToken", "invalid_grant", 700024),
    ("a life of two days", {"exp": 2 * 86400}, None, "invalid_grant", None),
    ("another subject", {"sub": SUBJECT + "2"}, "AccessDenied", None, 700213),
    ("the subject in capitals", {"sub": SUBJECT.upper()}, "AccessDenied", None, 700213),
    ("no subject", {"sub": DROP}, "InvalidIdentityToken", "invalid_grant", 50027),
    ("a subject of 128 bytes", {"sub": "spiffe://example.org/" + "a" * 107}, "AccessDenied", "invalid_request", 700213),
    ("two parts only", {"tamper": lambda t: t.rpartition(".")[0]}, "InvalidIdentityToken", "invalid_grant", 50027),
    ("padded", {"tamper": lambda t: t + "=="}, "InvalidIdentityToken", "invalid_grant", 50027),
    ("a newline at its end", {"tamper": lambda t: t + "\n"}, "InvalidIdentityToken", "invalid_grant", 50027),
]


def made(w, audience, how):
    """A token of the table: times are offsets, and "/" is the issuer with a slash."""
    how = {k: now(v) if k in ("exp", "iat", "nbf") and isinstance(v, int) else v for k, v in how.items()}
    if how.get("iss") == "/":
        how["iss"] = w.issuer.url + "/"
    return w.token(audience, **how)


def walk(name, ask, audience, column):
    """Each row of the table: what is said, all at once."""
    wrong, refused = [], 0
    for row in TOKENS:
        status, code, _ = ask(made(ask.__self__, audience, row[1]))
        refused += row[column] is not None
        if code != row[column] or (status == 200) != (row[column] is None):
            wrong.append(f"{row[0]}: {status} {code}, wanted {row[column]}")
    assert not wrong, "\n".join(wrong)
    assert refused >= 12, refused
    print(f"| {name} | {refused} tokens with one thing broken refused, {len(TOKENS) - refused} others taken |")


def test_aws_refuses_each_broken_token():
    with World() as w:
        status, _, root = w.ask_aws(w.token("sts.amazonaws.com"))
        assert status == 200 and _text(root, "SubjectFromWebIdentityToken") == SUBJECT
        assert _text(root, "Arn").endswith(":assumed-role/reader/app@node") and _text(root, "AccessKeyId").startswith("ASIA")
        walk("AWS", w.ask_aws, "sts.amazonaws.com", 2)


def test_gcp_refuses_each_broken_token():
    with World() as w:
        for audience in (w.resource, "https:" + w.resource):
            status, _, reply = w.ask_gcp(w.token(audience))
            assert status == 200 and 0 < reply["expires_in"] <= 300 and reply["token_type"] == "Bearer", reply
        walk("GCP", w.ask_gcp, "https:" + w.resource, 3)


def test_azure_refuses_each_broken_token():
    with World() as w:
        status, _, reply = w.ask_azure(w.token("api://AzureADTokenExchange"))
        assert status == 200 and reply["expires_in"] == 3599, reply
        walk("Azure", w.ask_azure, "api://AzureADTokenExchange", 4)
        two = w.token(None, aud=["api://AzureADTokenExchange", "other"])
        assert w.ask_azure(two)[1] == 700212, "exactly one audience"
        assert w.ask_azure(w.token("api://AzureADTokenExchange", header={"kid": "enc"}, key=FOREIGN))[1] == 700027, "use: enc"


def test_aws_refuses_each_broken_request():
    with World() as w:
        good = w.token("sts.amazonaws.com")
        for why, fields, code in (
                ("no such role", {"RoleArn": w.role + "2"}, "AccessDenied"),
                ("14 minutes", {"DurationSeconds": "899"}, "ValidationError"),
                ("above the role's limit", {"DurationSeconds": "3601"}, "ValidationError"),
                ("above AWS's limit", {"DurationSeconds": "43201"}, "ValidationError"),
                ("no number", {"DurationSeconds": "1h"}, "ValidationError"),
                ("a slash in the session name", {"RoleSessionName": "a/b"}, "ValidationError"),
                ("a colon in the session name", {"RoleSessionName": "a:b"}, "ValidationError"),
                ("a session name of one", {"RoleSessionName": "a"}, "ValidationError"),
                ("a session name of 65", {"RoleSessionName": "a" * 65}, "ValidationError"),
                ("no session name", {"RoleSessionName": DROP}, "ValidationError"),
                ("no token", {"WebIdentityToken": DROP}, "ValidationError"),
                ("a token of 20001", {"WebIdentityToken": "a" * 20001}, "ValidationError"),
                ("a policy that is none", {"Policy": "{"}, "MalformedPolicyDocument"),
                ("a policy of 2049", {"Policy": json.dumps({"a": "b" * 2041})}, "PackedPolicyTooLarge"),
                ("eleven policies", {f"PolicyArns.member.{i}.arn": "arn:aws:iam::aws:policy/P" for i in range(1, 12)},
                 "PackedPolicyTooLarge"),
                ("an unknown parameter", {"Duration": "3600"}, "ValidationError"),
                ("no version", {"Version": DROP}, "InvalidAction")):
            status, said, _ = w.ask_aws(good, **fields)
            assert (said, status == 200) == (code, False), (why, status, said)
        assert w.ask_aws(good, RoleSessionName="a" * 64, DurationSeconds="900")[0] == 200


def test_aws_session_tags_and_source_identity_need_the_role_s_word():
    tags = {"https://aws.amazon.com/tags": {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}}
    source = {"https://aws.amazon.com/source_identity": "app"}
    with World() as w:
        for claims in (tags, source):
            assert w.ask_aws(w.token("sts.amazonaws.com", **claims))[1] == "AccessDenied"
        trust = aws_trust.web_identity(ACCOUNT, w.issuer.url, SUBJECT, actions=("sts:TagSession", "sts:SetSourceIdentity"))
        role = w.aws.role("tagged", trust)
        status, _, root = w.ask_aws(w.token("sts.amazonaws.com", **tags, **source), RoleArn=role)
        assert status == 200 and _text(root, "SourceIdentity") == "app"
        session = w.aws.sessions[_text(root, "AccessKeyId")]
        assert session.tags == {"team": "blue"} and session.source_identity == "app"
        for broken in ({"principal_tags": {"team": "blue"}}, {"principal_tags": {}, "transitive_tag_keys": ["team"]},
                       {"principal_tags": {f"t{i}": ["v"] for i in range(51)}}, {"principal_tags": {"team": ["v" * 257]}}):
            assert w.ask_aws(w.token("sts.amazonaws.com", **{"https://aws.amazon.com/tags": broken}),
                             RoleArn=role)[0] == 400, broken
        assert w.ask_aws(w.token("sts.amazonaws.com", azp="other"))[1] == "InvalidIdentityToken", "azp is what counts"


def test_gcp_refuses_each_broken_request():
    with World() as w:
        good, off = w.token(w.resource), "https://www.googleapis.com/auth/"
        for why, fields, code in (
                ("another grant", {"grant_type": "client_credentials"}, "invalid_request"),
                ("no such provider", {"audience": w.resource + "2"}, "invalid_target"),
                ("no scope", {"scope": DROP}, "invalid_scope"), ("an unknown scope", {"scope": "all"}, "invalid_scope"),
                ("another kind of token", {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
                ("an id token is wanted", {"requested_token_type": "urn:ietf:params:oauth:token-type:id_token"},
                 "invalid_request")):
            assert w.ask_gcp(good, **fields)[1] == code, why
        w.gcp.providers[w.resource].enabled = False
        assert w.ask_gcp(good)[1] == "invalid_target", "a disabled provider"
        w.gcp.providers[w.resource].enabled = True
        status, body = w.send(w.gcp.url + "/v1/token", b"x=1", {"Authorization": "Bearer x"})
        assert status == 401 and b"invalid_request" in body
        narrow = w.ask_gcp(good, scope=off + "devstorage.read_only")[2]["access_token"]
        account = w.gcp.url + "/v1/projects/-/serviceAccounts/%s:generateAccessToken"
        wide = w.ask_gcp(good)[2]["access_token"]
        for why, email, bearer, body, status in (
                ("good", "app@demo", wide, {"scope": [off + "cloud-platform"], "lifetime": "3600s"}, 200),
                ("no bearer", "app@demo", "", {"scope": [off + "cloud-platform"]}, 401),
                ("no token of ours", "app@demo", wide + "x", {"scope": ["a"]}, 401),
                ("a token for storage only", "app@demo", narrow, {"scope": [off + "cloud-platform"]}, 403),
                ("another account", "other@demo", wide, {"scope": [off + "cloud-platform"]}, 403),
                ("more than an hour", "app@demo", wide, {"scope": [off + "cloud-platform"], "lifetime": "3601s"}, 400),
                ("a life that is none", "app@demo", wide, {"scope": [off + "cloud-platform"], "lifetime": 3600}, 400),
                ("no scope", "app@demo", wide, {}, 400)):
            said = w.send(account % email, json.dumps(body).encode(), {"Authorization": "Bearer " + bearer})
            assert said[0] == status, (why, said)


def test_gcp_takes_the_keys_that_were_uploaded_and_no_others():
    with World() as w:
        resource = w.gcp.provider("https://not.reachable.example", uploaded=[jose.public_jwk(RSA, "rsa")], name="uploaded")
        before = len(w.issuer.log)
        token = w.token(resource, iss="https://not.reachable.example")
        assert w.ask_gcp(token, audience=resource)[0] == 200 and len(w.issuer.log) == before
        other = w.token(resource, iss="https://not.reachable.example", header={"kid": "ec", "alg": "ES256"}, key=EC)
        assert w.ask_gcp(other, audience=resource)[1] == "invalid_grant"
        for broken in ({"key_ops": ["verify"]}, {"use": "jwt-svid"}, {"x5c": []}):
            try:
                w.gcp.provider(w.issuer.url, uploaded=[{**jose.public_jwk(RSA, "rsa"), **broken}])
            except ValueError:
                continue
            raise AssertionError(f"{broken} was uploaded")


def test_azure_refuses_each_broken_request():
    with World() as w:
        good = w.token("api://AzureADTokenExchange")
        other_tenant, other = w.azure.app()
        for why, fields, number in (
                ("no such tenant", {"tenant": "nobody"}, 90002), ("no such application", {"client_id": web.new_id()}, 700016),
                ("an application of another tenant", {"client_id": other}, 700016),
                ("two resources", {"scope": "https://vault.azure.net/.default https://graph.microsoft.com/.default"}, 70011),
                ("no /.default", {"scope": "https://vault.azure.net/read"}, 70011), ("no scope", {"scope": DROP}, 900144),
                ("a resource without permission", {"scope": "https://graph.microsoft.com/.default"}, 1001010),
                ("no assertion", {"client_assertion": DROP}, 900144),
                ("another kind of assertion", {"client_assertion_type": "saml"}, 50027),
                ("another grant", {"grant_type": "password"}, 50027)):
            assert w.ask_azure(good, **fields)[1] == number, why
        assert w.ask_azure(good, tenant=other_tenant, client_id=other)[1] == 700211, "without a federated credential"
        for i in range(20):
            w.azure.federate(other, w.issuer.url, f"{SUBJECT}{i}")
        try:
            w.azure.federate(other, w.issuer.url, SUBJECT)
        except ValueError:
            return
        raise AssertionError("a 21st federated credential was taken")


DOCUMENTS = [
    ("another issuer in the discovery document", lambda w: w.issuer.publish([jose.public_jwk(RSA, "rsa")],
                                                                            issuer=w.issuer.url + "/")),
    ("keys over plain HTTP", lambda w: w.issuer.publish([jose.public_jwk(RSA, "rsa")],
                                                        jwks_uri=w.issuer.url.replace("https", "http") + "/keys")),
    ("no keys", lambda w: w.issuer.publish([])),
    ("no documents", lambda w: setattr(w.issuer, "documents", dict)),
    ("a private key among them", lambda w: w.issuer.publish([{**jose.public_jwk(RSA, "rsa"), "d": "AQAB"}])),
    ("documents that are no JSON", lambda w: setattr(w.issuer, "documents",
                                                     lambda: {"/.well-known/openid-configuration": b"<html>"})),
]


def test_documents_that_are_broken_or_away_verify_nothing():
    with World() as w:
        for why, spoil in DOCUMENTS:
            for site in (w.aws, w.gcp, w.azure):
                site.verifier.forget()
            spoil(w)
            assert w.ask_aws(w.token("sts.amazonaws.com"))[1] == "InvalidIdentityToken", why
            assert w.ask_gcp(w.token(w.resource))[1] == "invalid_grant", why
            assert w.ask_azure(w.token("api://AzureADTokenExchange"))[1] == 50166, why
        w.issuer.publish([jose.public_jwk(RSA, "rsa", use=None)])
        assert w.ask_aws(w.token("sts.amazonaws.com"))[0] == 200
        assert w.ask_azure(w.token("api://AzureADTokenExchange"))[1] == 700027, "use: sig is what Entra wants"


def test_a_new_key_is_found_and_an_old_one_is_not_forgotten():
    with World() as w:
        assert w.ask_aws(w.token("sts.amazonaws.com"))[0] == 200
        w.issuer.publish([jose.public_jwk(FOREIGN, "new")])
        fetched = w.issuer.count("/keys")
        assert w.ask_aws(w.token("sts.amazonaws.com"))[0] == 200, "it is cached"
        assert w.issuer.count("/keys") == fetched
        assert w.ask_aws(w.token("sts.amazonaws.com", header={"kid": "new"}, key=FOREIGN))[0] == 200
        assert w.issuer.count("/keys") == fetched + 1


# IAM Roles Anywhere

class Signer:
    """A client of CreateSession whose parts can be broken."""

    def __init__(self, w, ca, key, **leaf):
        self.w, self.ca, self.key = w, ca, key
        self.leaf = ca.leaf(key, uri=leaf.pop("uri", SUBJECT), **leaf)
        self.anchor, self.profile, (self.role,) = anywhere.set_up(
            w.aws, ACCOUNT, ca.pem(), {"anywhere": lambda arn: aws_trust.roles_anywhere(arn, SUBJECT)})

    def ask(self, body=b'{"durationSeconds":3600}', key=None, serial=None, at=None, algorithm=None, region=anywhere.REGION,
            sent=None,
            drop=(), leaf=None, chain=(), role=None, anchor=None):
        """(status, answer)"""
        host = self.w.aws.address
        at = at or datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        key, leaf = key or self.key, leaf or self.leaf
        query = "&".join(f"{k}={sigv4.quote(v)}" for k, v in (("profileArn", self.profile), ("roleArn", role or self.role),
                                                              ("trustAnchorArn", anchor or self.anchor)))
        headers = {"Content-Type": "application/json", "Host": host, "X-Amz-Date": at,
                   "X-Amz-X509": base64.b64encode(pki.der(leaf)).decode()}
        if chain:
            headers["X-Amz-X509-Chain"] = ",".join(base64.b64encode(pki.der(c)).decode() for c in chain)
        names = sorted(n.lower() for n in headers if n not in drop)
        lower = {n.lower(): v for n, v in headers.items()}
        algorithm = algorithm or f"AWS4-X509-{'RSA' if isinstance(key, rsa.RSAPrivateKey) else 'ECDSA'}-SHA256"
        canonical = "\n".join(("POST", "/sessions", query, "".join(f"{n}:{lower[n]}\n" for n in names), ";".join(names),
                               hashlib.sha256(body).hexdigest()))
        scope = f"{at[:8]}/{region}/rolesanywhere/aws4_request"
        text = "\n".join((algorithm, at, scope, hashlib.sha256(canonical.encode()).hexdigest())).encode()
        pad = (padding.PKCS1v15(), hashes.SHA256()) if isinstance(key, rsa.RSAPrivateKey) else (ec.ECDSA(hashes.SHA256()),)
        headers["Authorization"] = (f"{algorithm} Credential={serial or leaf.serial_number}/{scope}, "
                                    f"SignedHeaders={';'.join(names)}, "
                                    f"Signature={key.sign(text, *pad).hex()}")
        status, reply = self.w.send(f"{self.w.aws.url}/sessions?{query}", sent or body, headers)
        return status, json.loads(reply)


def test_roles_anywhere_refuses_each_broken_request():
    with World() as w:
        for key in (pki.ec_key(), pki.rsa_key()):
            ca = pki.Authority("a trust domain's")
            s = Signer(w, ca, key)
            status, reply = s.ask()
            assert status == 201 and reply["credentialSet"][0]["roleArn"] == s.role, reply
            stranger = pki.Authority("another's")
            hour = datetime.timedelta(hours=1)
            middle_key = pki.ec_key()
            middle = ca.leaf(middle_key, ca=True, subject="middle")
            below = pki.Authority("middle", middle_key)
            below.name = middle.subject
            old = "20250101T000000Z"
            rows = [
                ("signed with another key", {"key": type(key) is rsa.RSAPrivateKey and FOREIGN or pki.ec_key()}),
                ("the serial number in hex", {"serial": format(s.leaf.serial_number, "x")}),
                ("another serial number", {"serial": "1"}), ("of last year", {"at": old}),
                ("another region", {"region": "us-east-1"}),
                ("the other algorithm", {"algorithm": "AWS4-X509-ECDSA-SHA256" if isinstance(key, rsa.RSAPrivateKey)
                                         else "AWS4-X509-RSA-SHA256"}),
                ("signed as with a secret", {"algorithm": "AWS4-HMAC-SHA256"}),
                ("another body than was signed", {"sent": b'{"durationSeconds":43200}'}),
                ("the certificate is not signed over", {"drop": ("X-Amz-X509",)}),
                ("the host is not signed over", {"drop": ("Host",)}),
                ("a certificate of another CA", {"leaf": stranger.leaf(key, uri=SUBJECT)}),
                ("another SPIFFE ID", {"leaf": ca.leaf(key, uri=SUBJECT + "2")}),
                ("no SPIFFE ID", {"leaf": ca.leaf(key, names=["app"])}),
                ("an expired certificate", {"leaf": ca.leaf(key, uri=SUBJECT, begin=pki.now() - 2 * hour, life=hour)}),
                ("a certificate of tomorrow", {"leaf": ca.leaf(key, uri=SUBJECT, begin=pki.now() + hour)}),
                ("a CA's certificate", {"leaf": ca.leaf(key, uri=SUBJECT, ca=True)}),
                ("a certificate not for signatures", {"leaf": ca.leaf(key, uri=SUBJECT, signs=False)}),
                ("the CA between is not sent", {"leaf": below.leaf(key, uri=SUBJECT)}),
                ("14 minutes", {"body": b'{"durationSeconds":899}'}),
                ("more than 12 hours", {"body": b'{"durationSeconds":43201}'}),
                ("a session name that the profile does not accept", {"body": b'{"durationSeconds":900,"roleSessionName":"me"}'}),
                ("a role that the profile has not", {"role": w.role}), ("no such trust anchor", {"anchor": s.anchor[:-1] + "x"})]
            wrong = [f"{why}: {said}" for why, said in ((why, s.ask(**how)) for why, how in rows) if said[0] in (200, 201)
                     or "message" not in said[1]]
            assert not wrong, "\n".join(wrong)
            assert s.ask(leaf=below.leaf(key, uri=SUBJECT), chain=[middle])[0] == 201
        print(f"| AWS Roles Anywhere | {len(rows)} requests with one thing broken refused, of each ECDSA and RSA |")


# what tokens open, and what is said on request

def test_keys_of_aws_open_what_they_are_for_and_only_unspoilt():
    with World() as w:
        import botocore.session  # pylint: disable=import-outside-toplevel
        from botocore.exceptions import ClientError  # pylint: disable=import-outside-toplevel
        w.aws.object("bucket", "key", b"content", w.role)
        w.aws.object("bucket", "other", b"content")
        root = w.ask_aws(w.token("sts.amazonaws.com"))[2]
        good = [_text(root, n) for n in ("AccessKeyId", "SecretAccessKey", "SessionToken")]

        def client(service, keys):
            return botocore.session.Session().create_client(
                service, region_name=rig.REGION, endpoint_url=w.aws.url, verify=w.ca_path, aws_access_key_id=keys[0],
                aws_secret_access_key=keys[1], aws_session_token=keys[2])

        def refused(call):
            try:
                call()
            except ClientError as e:
                return e.response["Error"]["Code"]
            raise AssertionError("it was taken")
        assert client("s3", good).get_object(Bucket="bucket", Key="key")["Body"].read() == b"content"
        assert client("sts", good).get_caller_identity()["Arn"].endswith("assumed-role/reader/app@node")
        assert refused(lambda: client("s3", good).get_object(Bucket="bucket", Key="other")) == "AccessDenied"
        assert refused(lambda: client("s3", good).get_object(Bucket="bucket", Key="none")) == "AccessDenied"
        for i, code in ((0, "InvalidClientTokenId"), (1, "SignatureDoesNotMatch"), (2, "InvalidClientTokenId")):
            spoilt = [k if j != i else k[:-1] + ("A" if k[-1] != "A" else "B") for j, k in enumerate(good)]
            assert refused(lambda k=spoilt: client("sts", k).get_caller_identity()) == code, i
        w.aws.sessions[good[0]].expires = 0
        assert refused(lambda: client("sts", good).get_caller_identity()) == "ExpiredToken"
        assert refused(lambda: client("s3", good).get_object(Bucket="bucket", Key="key")) == "ExpiredToken"


def test_tokens_of_google_and_azure_open_what_they_are_for_and_only_in_time():
    with World() as w:
        w.gcp.project("demo", ["one"], w.principal)
        w.gcp.project("secret", ["two"])
        w.gcp.object("bucket", "a/b", b"content", w.principal)
        w.azure.secret("word", "value", w.client)
        w.azure.secret("other", "value")
        google = w.ask_gcp(w.token(w.resource))[2]["access_token"]
        entra = w.ask_azure(w.token("api://AzureADTokenExchange"))[2]["access_token"]
        zone = w.gcp.url + "/compute/v1/projects/{}/zones/europe-west3-a/instances"
        rows = [(zone.format("demo"), google, 200), (zone.format("secret"), google, 403),
                (zone.format("demo"), google + "x", 401),
                (zone.format("demo"), entra, 401), (w.gcp.url + "/storage/v1/b/bucket/o/a%2Fb?alt=media", google, 200),
                (w.gcp.url + "/storage/v1/b/bucket/o/none?alt=media", google, 403),
                (w.azure.url + "/secrets/word?api-version=7.4", entra, 200),
                (w.azure.url + "/secrets/other?api-version=7.4", entra, 403),
                (w.azure.url + "/secrets/word", entra[:-3] + "AAA", 401),
                (w.azure.url + "/secrets/word", google, 401),
                (w.azure.url + "/secrets/word", w.token("https://vault.azure.net"), 401)]
        for url, token, status in rows:
            assert w.send(url, headers={"Authorization": "Bearer " + token})[0] == status, (url, status)
        w.gcp.tokens[google].expires = 0
        assert w.send(zone.format("demo"), headers={"Authorization": "Bearer " + google})[0] == 401
        w.azure.life = -1
        late = w.ask_azure(w.token("api://AzureADTokenExchange"))[2]["access_token"]
        assert w.send(w.azure.url + "/secrets/word", headers={"Authorization": "Bearer " + late})[0] == 401


def test_each_error_is_said_on_request_and_then_no_more():
    with World() as w:
        aws, google, entra = w.token("sts.amazonaws.com"), w.token(w.resource), w.token("api://AzureADTokenExchange")
        for code, status in ERRORS.items():
            w.aws.fail(code)
            assert w.ask_aws(aws)[:2] == (status, code)
        for word, status in OAUTH.items():
            w.gcp.fail(word)
            assert w.ask_gcp(google)[:2] == (status, word)
        bearer = w.ask_gcp(google)[2]["access_token"]
        for word, status in STATUS.items():
            w.gcp.fail_account(word)
            said = w.send(w.gcp.url + "/v1/projects/-/serviceAccounts/app@demo:generateAccessToken", b"{}",
                          {"Authorization": "Bearer " + bearer})
            assert said[0] == status and json.loads(said[1])["error"]["status"] == word
        for number, (_, status) in CODES.items():
            w.azure.fail(number)
            said = w.ask_azure(entra)
            assert said[:2] == (status, number) and said[2]["error_description"].startswith(f"AADSTS{number}: "), said
        for site, ask, token in ((w.aws, w.ask_aws, aws), (w.gcp, w.ask_gcp, google), (w.azure, w.ask_azure, entra)):
            assert ask(token)[0] == 200
            site.instead(web.Answer(503, b"<html>", "text/html", {"Retry-After": "7"}), times=2)
            request = urllib.request.Request(site.url + "/", method="GET")
            for _ in range(2):
                try:
                    urllib.request.urlopen(request, context=w._context, timeout=10)  # pylint: disable=protected-access
                    raise AssertionError("it was answered")
                except urllib.error.HTTPError as e:
                    assert e.code == 503 and e.headers["Retry-After"] == "7"
            assert ask(token)[0] == 200


if __name__ == "__main__":
    case.main(globals())
