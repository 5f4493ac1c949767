# SPDX-License-Identifier: Apache-2.0
"""AWS: STS (AssumeRoleWithWebIdentity, GetCallerIdentity), IAM Roles Anywhere, and S3 objects that its keys open."""
import json
import re
import secrets
import string
import time
from xml.sax.saxutils import escape

from . import anywhere, aws_trust, sigv4
from .jose import Refused, RelyingParty, Rules, audiences, claimed_issuer
from .web import Answer, Site, new_id

ACCOUNT = "123456789012"
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SESSION = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
PARAMETER = re.compile(r"Action|Version|RoleArn|RoleSessionName|WebIdentityToken|DurationSeconds|Policy|ProviderId|"
                       r"PolicyArns\.member\.\d+\.arn")
TAGS, SOURCE_IDENTITY = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"
# What each failure of a token is called, and its HTTP status.
OF_TOKEN = {
    "malformed": (400, "InvalidIdentityToken", "The ID Token provided is not a valid JWT."),
    "algorithm": (400, "InvalidIdentityToken", "The ID Token provided is not signed with a supported algorithm."),
    "key": (400, "InvalidIdentityToken", "No OpenIDConnect key matches the token."),
    "signature": (400, "InvalidIdentityToken", "The signature of the token is not valid."),
    "issuer": (400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account for the issuer."),
    "claim": (400, "InvalidIdentityToken", "Missing a required claim, or one of a wrong type."),
    "early": (400, "InvalidIdentityToken", "Token not yet valid."),
    "expired": (400, "ExpiredTokenException", "Token expired: current date/time must be before the expiration date/time."),
    "unreachable": (400, "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider."),
    "audience": (400, "InvalidIdentityToken", "Incorrect token audience."),
}
# What AWS says of itself, for tests that want to hear it: code -> status.
ERRORS = {"IDPCommunicationError": 400, "InvalidIdentityToken": 400, "ExpiredTokenException": 400, "IDPRejectedClaim": 403,
          "AccessDenied": 403, "MalformedPolicyDocument": 400, "PackedPolicyTooLarge": 400, "ValidationError": 400,
          "RegionDisabledException": 403, "Throttling": 400, "RequestLimitExceeded": 503, "TooManyRequestsException": 429,
          "SlowDown": 503, "ServiceUnavailable": 503, "InternalFailure": 500}


def error(code, message, status=None, headers=()):
    """STS's error document."""
    status = status or ERRORS.get(code, 400)
    return Answer(status, f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{"Sender" if status < 500 else "Receiver"}</Type>'
                  f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
                  f"<RequestId>{new_id()}</RequestId></ErrorResponse>", "text/xml", headers)


def s3_error(status, code, message):
    return Answer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
                  f"<Message>{escape(message)}</Message>"
                  f"<RequestId>{new_id()}</RequestId></Error>", "application/xml")


def _rfc3339(at):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


class Role:
    def __init__(self, path, name, trust, longest):
        self.arn, self.name, self.trust, self.longest = f"arn:aws:iam::{ACCOUNT}:role/{path}{name}", name, trust, longest
        self.id = "AROA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(17))


class Session:
    """Keys that were given out."""

    def __init__(self, role, name, expires, subject, tags, source_identity):
        self.key_id = "ASIA" + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))
        self.secret, self.token = secrets.token_urlsafe(30), secrets.token_urlsafe(600)
        self.role, self.name, self.expires, self.subject = role, name, expires, subject
        self.tags, self.source_identity = tags, source_identity
        self.policies, self.duration, self.transitive = (), None, []
        self.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.name}/{name}"

    def xml(self):
        return (f"<Credentials><AccessKeyId>{self.key_id}</AccessKeyId><SecretAccessKey>{self.secret}</SecretAccessKey>"
                f"<SessionToken>{self.token}</SessionToken><Expiration>{_rfc3339(self.expires)}</Expiration></Credentials>")

    def json(self):
        return {"accessKeyId": self.key_id, "secretAccessKey": self.secret, "sessionToken": self.token,
                "expiration": _rfc3339(self.expires)}


class Aws(Site):
    """life: seconds of a session, in place of what was asked for; None: as asked."""

    def __init__(self, authority, folder, address):
        self.verifier = RelyingParty(authority, Rules(ALGORITHMS, ("iss", "sub", "aud", "exp", "iat")))
        self.providers, self.roles, self.sessions, self.objects = {}, {}, {}, {}
        self.anchors, self.profiles = {}, {}
        self.life, self.last_request_id = None, None
        super().__init__(authority, folder, address)

    # what an operator sets up

    def provider(self, issuer, *client_ids):
        """An IAM OIDC provider."""
        self.providers[issuer] = client_ids or ("sts.amazonaws.com",)

    def role(self, name, trust, longest=3600, path=""):
        """A role's ARN."""
        role = Role(path, name, trust, longest)
        self.roles[role.arn] = role
        return role.arn

    def object(self, bucket, key, content, *roles):
        """An S3 object that these roles may read."""
        self.objects[f"/{bucket}/{key}"] = (content, roles)

    def fail(self, code, times=1, status=None, headers=()):
        """The next exchanges are answered with that error."""
        self.instead(error(code, f"{code} on request", status, headers), times,
                     lambda r: r.path == "/" and b"AssumeRoleWithWebIdentity" in r.body)

    # requests

    def serve(self, request):
        if request.path == "/sessions":
            return anywhere.create_session(self, request)
        if request.path != "/":
            return self._s3(request)
        fields = request.form() if request.method == "POST" else dict(request.query_pairs())
        if fields.get("Version") != "2011-06-15":
            return error("InvalidAction", "Version is not known")
        if fields.get("Action") == "AssumeRoleWithWebIdentity":
            return self._assume(request, fields)
        if fields.get("Action") == "GetCallerIdentity":
            return self._caller(request)
        return error("InvalidAction", "Could not find operation")

    def _assume(self, request, fields):
        if "authorization" in request.headers:
            raise error("InvalidAction", "this call is not signed")
        role, duration = self._judge(fields)
        claims = self._claims(fields["WebIdentityToken"])
        aud = claims["azp"] if "azp" in claims else audiences(claims)
        tags, source = self._trusted(role, claims, aud)
        if not 6 <= len(claims["sub"]) <= 255:
            raise error("InvalidIdentityToken", "the subject is too long")
        session = self.grant(role, fields["RoleSessionName"], duration, claims["sub"], tags, source)
        session.policies = (fields.get("Policy"), *(v for k, v in sorted(fields.items()) if k.startswith("PolicyArns")))
        session.duration, session.transitive = duration, _transitive(claims)
        identity = f"<SourceIdentity>{escape(source)}</SourceIdentity>" if source else ""
        return self.answer("AssumeRoleWithWebIdentity", f"{session.xml()}"
                           f"<SubjectFromWebIdentityToken>{escape(claims['sub'])}</SubjectFromWebIdentityToken>"
                           f"<AssumedRoleUser><Arn>{session.arn}</Arn><AssumedRoleId>{role.id}:{session.name}</AssumedRoleId>"
                           f"</AssumedRoleUser><Provider>{escape(claims['iss'])}</Provider>{identity}"
                           f"<Audience>{escape(aud if isinstance(aud, str) else aud[0])}</Audience>")

    def answer(self, action, result):
        self.last_request_id = new_id()
        return Answer(200, f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{result}</{action}Result>'
                      f"<ResponseMetadata><RequestId>{self.last_request_id}</RequestId></ResponseMetadata>"
                      f"</{action}Response>", "text/xml")

    def grant(self, role, name, duration, subject, tags=None, source=None):
        session = Session(role, name, int(time.time()) + (self.life or duration), subject, tags or {}, source)
        self.sessions[session.key_id] = session
        return session

    def _judge(self, fields):
        """Every parameter by itself: (role, seconds)."""
        for name in fields:
            if not PARAMETER.fullmatch(name):
                raise error("ValidationError", f"{name} is not a parameter")
        if not SESSION.fullmatch(fields.get("RoleSessionName", "")):
            raise error("ValidationError", "RoleSessionName must satisfy [\\w+=,.@-]{2,64}")
        if not 4 <= len(fields.get("WebIdentityToken", "")) <= 20000:
            raise error("ValidationError", "WebIdentityToken must have 4 to 20000 characters")
        try:
            duration = int(fields.get("DurationSeconds", "3600"))
        except ValueError:
            duration = 0
        if not 900 <= duration <= 43200:
            raise error("ValidationError", "DurationSeconds must be 900 to 43200")
        self._judge_policies(fields)
        role = self.roles.get(fields.get("RoleArn"))
        if not role:
            raise error("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        if duration > role.longest:
            raise error("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        return role, duration

    @staticmethod
    def _judge_policies(fields):
        policy = fields.get("Policy", "{}")
        try:
            whole = isinstance(json.loads(policy), dict)
        except ValueError:
            whole = False
        if not whole:
            raise error("MalformedPolicyDocument", "This policy contains invalid Json")
        if len(policy) > 2048 or len([n for n in fields if n.startswith("PolicyArns")]) > 10:
            raise error("PackedPolicyTooLarge", "Packed size of session policy and tags is too large")

    def _claims(self, token):
        """Of a token whose issuer is a provider, and whose audience is one of its client ids."""
        try:
            issuer = claimed_issuer(token, self.providers)
            claims = self.verifier.check(token, issuer)
            wanted = [claims["azp"]] if "azp" in claims else audiences(claims)
            if not set(wanted) & set(self.providers[issuer]):
                raise Refused("audience", "no client id of the provider")
        except Refused as e:
            status, code, text = OF_TOKEN[e.kind]
            raise error(code, f"{text} ({e.why})", status) from None
        return claims

    @staticmethod
    def _trusted(role, claims, aud):
        """Tags and source identity, when the role's trust policy allows all that the token asks for."""
        host = claims["iss"].removeprefix("https://")
        tags, source = _tags(claims), claims.get(SOURCE_IDENTITY)
        facts = {f"{host}:sub".lower(): claims["sub"], f"{host}:aud".lower(): aud}
        facts.update({f"aws:requesttag/{k}".lower(): v for k, v in tags.items()})
        actions = ["sts:AssumeRoleWithWebIdentity"] + ["sts:TagSession"] * bool(tags) + ["sts:SetSourceIdentity"] * bool(source)
        if source is not None and (not isinstance(source, str) or not SESSION.fullmatch(source)):
            raise error("InvalidIdentityToken", "the source identity is not one")
        for action in actions:
            if not aws_trust.allows(role.trust, action, ("Federated", f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"), facts):
                raise error("AccessDenied", f"Not authorized to perform {action}")
        return tags, source

    # what keys open

    def _signer(self, request, service):
        """The session whose keys signed; sigv4.Bad."""
        signed = sigv4.Signed(request, 1)
        session = self.sessions.get(signed.id)
        if not session or request.headers.get("x-amz-security-token") != session.token:
            raise sigv4.Bad("InvalidClientTokenId", "The security token included in the request is invalid")
        if signed.service != service:
            raise sigv4.Bad("SignatureDoesNotMatch", f"Credential should be scoped to {service}")
        signed.check(session.secret)
        if session.expires <= time.time():
            raise sigv4.Bad("ExpiredToken", "The security token included in the request is expired")
        return session

    def _caller(self, request):
        try:
            session = self._signer(request, "sts")
        except sigv4.Bad as e:
            return error(e.code, e.text, 403)
        return self.answer("GetCallerIdentity", f"<Arn>{session.arn}</Arn><UserId>{session.role.id}:{session.name}</UserId>"
                           f"<Account>{ACCOUNT}</Account>")

    def _s3(self, request):
        if request.method not in ("GET", "HEAD"):
            return s3_error(405, "MethodNotAllowed", "objects are read here")
        try:
            session = self._signer(request, "s3")
        except sigv4.Bad as e:
            return s3_error(400 if e.code == "ExpiredToken" else 403,
                            {"InvalidClientTokenId": "InvalidToken"}.get(e.code, e.code), e.text)
        content, roles = self.objects.get(request.path, (None, ()))
        if session.role.arn not in roles:
            return s3_error(403, "AccessDenied", "Access Denied")
        return Answer(200, content, "application/octet-stream", {"ETag": '"0"', "x-amz-request-id": new_id()})


def _tags(claims):
    said = claims.get(TAGS, {})
    tags = said.get("principal_tags", {}) if isinstance(said, dict) else None
    if not isinstance(tags, dict) or not all(isinstance(v, list) and len(v) == 1 and isinstance(v[0], str)
                                             for v in tags.values()):
        raise error("InvalidIdentityToken", "session tags are texts, each a list of one")
    if len(tags) > 50 or any(len(k) > 128 or len(v[0]) > 256 for k, v in tags.items()):
        raise error("PackedPolicyTooLarge", "too many tags, or too long ones")
    if not set(_transitive(claims)) <= set(tags):
        raise error("InvalidIdentityToken", "a transitive tag is none of the tags")
    return {k: v[0] for k, v in tags.items()}


def _transitive(claims):
    return claims.get(TAGS, {}).get("transitive_tag_keys", [])
