# SPDX-License-Identifier: Apache-2.0
"""Google Cloud: the Security Token Service, service-account impersonation, and a few APIs that take its tokens."""
import json
import re
import secrets
import threading
import time
import urllib.parse

from .jose import Refused, RelyingParty, Rules, audiences, encode, public_jwk
from .pki import rsa_key
from .web import Answer, Site

CLOUD, IAM = "https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/iam"
SUBJECT_MAX = 127
DAY = 24 * 3600
UPLOADED = {"kty", "alg", "use", "kid", "n", "e", "x", "y", "crv"}  # members of a key that may be uploaded
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS, JWT, ID = (f"urn:ietf:params:oauth:token-type:{t}" for t in ("access_token", "jwt", "id_token"))
ACCOUNT_CALL = re.compile(r"/v1/projects/-/serviceAccounts/([^/:]+):(generateAccessToken|generateIdToken)")
INSTANCES = re.compile(r"/compute/v1/projects/([^/]+)/(?:zones/([^/]+)|aggregated)/instances")
OBJECT = re.compile(r"/storage/v1/b/([^/]+)/o/([^/]+)")
STATUS = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "INVALID_ARGUMENT": 400, "RESOURCE_EXHAUSTED": 429,
          "UNAVAILABLE": 503, "INTERNAL": 500}
OAUTH = {"invalid_grant": 400, "invalid_request": 400, "invalid_target": 400, "invalid_scope": 400, "unauthorized_client": 400,
         "temporarily_unavailable": 503}


def oauth_error(word, text, status=None, headers=()):
    """As the STS says it."""
    return Answer(status or OAUTH.get(word, 400), {"error": word, "error_description": text}, headers=headers)


def api_error(status, text, headers=()):
    """As Google's APIs say it."""
    code = STATUS[status]
    return Answer(code, {"error": {"code": code, "message": text, "status": status}}, headers=headers)


class Provider:
    """issuer; audiences (default: its own name, with https: or not); uploaded: a key set in place of documents; subject: what
    google.subject is made of: the whole sub, or its path."""

    def __init__(self, name, issuer, allowed, uploaded, subject, enabled=True):
        self.name, self.issuer, self.uploaded, self.subject, self.enabled = name, issuer, uploaded, subject, enabled
        self.audiences = allowed or (name, "https:" + name)
        self.pool = name.rpartition("/providers/")[0].removeprefix("//iam.googleapis.com/")

    def principal(self, subject):
        return f"principal://iam.googleapis.com/{self.pool}/subject/{subject}"


class Token:
    def __init__(self, principal, scopes, expires):
        self.principal, self.scopes, self.expires = principal, scopes, expires


class Gcp(Site):
    """life: seconds of a token, in place of an hour. token_bytes: how long one is."""

    def __init__(self, authority, folder, address):
        self.verifier = RelyingParty(authority, Rules(("RS256", "ES256"), kid=True, life=DAY))
        self.providers, self.accounts, self.tokens = {}, {}, {}
        self.instances, self.objects = {}, {}
        self.life, self.token_bytes = None, 1200
        self._own_key, self._making = None, threading.Lock()
        super().__init__(authority, folder, address)

    @property
    def key(self):
        """Google's own, of id tokens."""
        with self._making:
            self._own_key = self._own_key or rsa_key()
        return self._own_key

    # what an operator sets up

    def provider(self, issuer, allowed=(), uploaded=None, subject="sub", number="1234567890", pool="pool", name="svid"):
        """A provider of a workload identity pool: its resource name."""
        for key in uploaded or ():
            if set(key) - UPLOADED or key.get("use", "sig") != "sig" or "kid" not in key:
                raise ValueError(f"Google does not take this key: {sorted(key)}")
        resource = f"//iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools/{pool}/providers/{name}"
        self.providers[resource] = Provider(resource, issuer, allowed, uploaded, subject)
        return resource

    def account(self, email, *principals, longest=3600):
        """A service account that these principals may be (roles/iam.workloadIdentityUser)."""
        self.accounts[email] = (set(principals), longest)
        return f"serviceAccount:{email}"

    def project(self, name, instances, *members):
        """Compute instances that these members may list."""
        self.instances[name] = (instances, set(members))

    def object(self, bucket, name, content, *members):
        self.objects[(bucket, name)] = (content, set(members))

    def fail(self, word, times=1, headers=()):
        """The next exchanges are answered with that error of the STS."""
        self.instead(oauth_error(word, f"{word} on request", headers=headers), times, lambda r: r.path == "/v1/token")

    def fail_account(self, status, times=1, headers=()):
        """The next impersonations are answered so."""
        self.instead(api_error(status, f"{status} on request", headers), times, lambda r: ACCOUNT_CALL.fullmatch(r.path))

    # requests

    def serve(self, request):
        path = urllib.parse.unquote(request.path)
        if path == "/v1/token":
            return self._exchange(request)
        if path == "/oauth2/v3/certs":
            return Answer(200, {"keys": [public_jwk(self.key, "google")]})
        account, instances, thing = ACCOUNT_CALL.fullmatch(path), INSTANCES.fullmatch(path), OBJECT.fullmatch(request.path)
        if account and request.method == "POST":
            return self._impersonate(request, *account.groups())
        if instances and request.method == "GET":
            return self._list(request, *instances.groups())
        if thing and request.method == "GET":
            return self._read(request, *map(urllib.parse.unquote, thing.groups()))
        return api_error("NOT_FOUND", "Requested entity was not found.")

    def _exchange(self, request):
        if "authorization" in request.headers:
            raise oauth_error("invalid_request", "no Authorization is wanted here", 401)
        f = request.form() if "form" in request.headers.get("content-type", "") else _snake(request.json())
        if f.get("grant_type") != GRANT or f.get("requested_token_type", ACCESS) != ACCESS:
            raise oauth_error("invalid_request", "Invalid value for grant_type or requested_token_type.")
        if f.get("subject_token_type") not in (JWT, ID):
            raise oauth_error("invalid_request", "Invalid value for subject_token_type.")
        provider = self.providers.get(f.get("audience"))
        if not provider or not provider.enabled:
            raise oauth_error("invalid_target", "The target service indicated by the audience parameters is invalid.")
        scopes = f.get("scope", "").split()
        if not scopes or not all(s.startswith("https://www.googleapis.com/auth/") for s in scopes):
            raise oauth_error("invalid_scope", "scope is missing, or has one that is not known")
        subject, expires = self._subject(provider, f.get("subject_token", ""))
        life = min(self.life or 3600, expires - int(time.time()))
        token = self._issue(provider.principal(subject), scopes, life)
        return Answer(200, {"access_token": token, "issued_token_type": ACCESS, "token_type": "Bearer", "expires_in": life})

    def _subject(self, provider, token):
        """(google.subject, exp) of a token that the provider takes."""
        try:
            claims = self.verifier.check(token, provider.issuer, provider.uploaded)
            if not set(audiences(claims)) & set(provider.audiences):
                raise Refused("audience", f"The audience in ID Token [{claims['aud']}] does not match the expected audience.")
        except Refused as e:
            raise oauth_error("invalid_request" if e.kind == "algorithm" else "invalid_grant", str(e)) from None
        subject = claims["sub"]
        if provider.subject == "path":
            subject = subject.removeprefix("spiffe://").partition("/")[2]
        if len(subject.encode()) > SUBJECT_MAX:
            raise oauth_error("invalid_request", "The size of mapped attribute google.subject exceeds the 127 bytes limit.")
        return subject, claims["exp"]

    def _issue(self, principal, scopes, life):
        token = ("ya29.d." + secrets.token_urlsafe(self.token_bytes))[:self.token_bytes]
        self.tokens[token] = Token(principal, scopes, time.time() + life)
        return token

    def _who(self, request, *scopes):
        """The principal of a bearer token with one of the scopes."""
        token = self.tokens.get(request.bearer())
        if not token or token.expires <= time.time():
            raise api_error("UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token.")
        if not set(scopes) & set(token.scopes):
            raise api_error("PERMISSION_DENIED", "Request had insufficient authentication scopes.")
        return token.principal

    def _impersonate(self, request, email, what):
        principal = self._who(request, CLOUD, IAM)
        members, longest = self.accounts.get(email, (set(), 0))
        if principal not in members:  # whether the account is there is not said
            raise api_error("PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource "
                            "(or it may not exist).")
        body = request.json()
        if what == "generateIdToken":
            return self._id_token(email, body)
        scopes, life = body.get("scope"), re.fullmatch(r"(\d+)s", str(body.get("lifetime", "3600s")))
        if not isinstance(scopes, list) or not scopes or not life:
            raise api_error("INVALID_ARGUMENT", "scope or lifetime is missing, or none")
        if not 0 < int(life[1]) <= longest:
            raise api_error("INVALID_ARGUMENT", "The access token lifetime cannot exceed 3600 seconds.")
        seconds = self.life or int(life[1])
        token = self._issue(f"serviceAccount:{email}", scopes, seconds)
        return Answer(200, {"accessToken": token,
                            "expireTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))})

    def _id_token(self, email, body):
        if not isinstance(body.get("audience"), str) or not body["audience"]:
            raise api_error("INVALID_ARGUMENT", "audience is missing")
        at = int(time.time())
        claims = {"iss": "https://accounts.google.com", "aud": body["audience"], "sub": "1" * 21, "iat": at, "exp": at + 3600,
                  **({"email": email, "email_verified": True} if body.get("includeEmail") else {})}
        return Answer(200, {"token": encode(self.key, {"alg": "RS256", "kid": "google", "typ": "JWT"}, claims)})

    # what tokens open

    def _list(self, request, project, zone):
        principal = self._who(request, CLOUD, "https://www.googleapis.com/auth/compute.readonly")
        names, members = self.instances.get(project, ((), set()))
        if principal not in members:
            raise api_error("PERMISSION_DENIED", f"Required 'compute.instances.list' permission for 'projects/{project}'")
        place = f"{self.url}/compute/v1/projects/{project}/zones/europe-west3-a"
        items = [{"kind": "compute#instance", "id": str(i), "name": n, "status": "RUNNING", "zone": place,
                  "networkInterfaces": [],
                  "selfLink": f"{place}/instances/{n}", "machineType": f"{place}/machineTypes/e2-small"}
                 for i, n in enumerate(names, 1)]
        if zone:
            return Answer(200, {"kind": "compute#instanceList", "id": "0", "items": items})
        return Answer(200, {"kind": "compute#instanceAggregatedList", "id": "0",
                            "items": {"zones/europe-west3-a": {"instances": items}}})

    def _read(self, request, bucket, name):
        principal = self._who(request, CLOUD, "https://www.googleapis.com/auth/devstorage.read_only")
        content, members = self.objects.get((bucket, name), (b"", set()))
        if principal not in members:
            raise api_error("PERMISSION_DENIED", f"{principal} does not have storage.objects.get access")
        if dict(request.query_pairs()).get("alt") == "media":
            return Answer(200, content, "application/octet-stream")
        return Answer(200, json.dumps({"kind": "storage#object", "name": name, "bucket": bucket, "size": str(len(content))}))


def _snake(fields):
    """The JSON form of the request has the same members in camelCase."""
    return {re.sub(r"[A-Z]", lambda m: "_" + m[0].lower(), k): v for k, v in fields.items()}
