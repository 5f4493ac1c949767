# SPDX-License-Identifier: Apache-2.0
"""Microsoft Entra ID: client credentials with a federated token, and Key Vault secrets that its access tokens open."""
import json
import re
import time

from .jose import Refused, RelyingParty, Rules, claimed_issuer, encode, public_jwk
from .pki import rsa_key
from .web import Answer, Site, new_id

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TOKEN = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
DISCOVERY = re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration")
SECRET = re.compile(r"/secrets/([A-Za-z0-9-]+)/?(?:[0-9a-f]*)")
VAULT = "https://vault.azure.net"
TEXT_MAX = 600  # of issuer, subject and audience
# AADSTS code of each failure: OAuth's word, HTTP status.
CODES = {70021: ("invalid_client", 401), 700211: ("invalid_client", 401), 700212: ("invalid_client", 401),
         700213: ("invalid_client", 401), 700024: ("invalid_client", 401), 700027: ("invalid_client", 401),
         5002738: ("invalid_client", 401), 50166: ("invalid_request", 400), 501661: ("invalid_request", 400),
         90061: ("invalid_request", 400), 700016: ("unauthorized_client", 400), 90002: ("invalid_request", 400),
         70011: ("invalid_scope", 400), 90033: ("temporarily_unavailable", 503), 90055: ("temporarily_unavailable", 429),
         50196: ("invalid_grant", 400), 7000215: ("invalid_client", 401), 900144: ("invalid_request", 400),
         50027: ("invalid_request", 400),
         1001010: ("unauthorized_client", 400)}
OF_TOKEN = {"malformed": 50027, "algorithm": 5002738, "key": 700027, "signature": 700027, "issuer": 700211, "claim": 50027,
            "early": 700024, "expired": 700024, "unreachable": 50166, "audience": 700212, "subject": 700213}


def error(number, text, headers=()):
    """Entra's error document."""
    word, status = CODES[number]
    trace, correlation, at = new_id(), new_id(), time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    return Answer(status, {"error": word, "error_description": f"AADSTS{number}: {text} Trace ID: {trace} "
                           f"Correlation ID: {correlation} "
                           f"Timestamp: {at}", "error_codes": [number], "timestamp": at, "trace_id": trace,
                           "correlation_id": correlation, "error_uri": f"https://login.microsoftonline.com/error?code={number}"},
                  headers=headers)


class App:
    """An application, or user-assigned identity."""

    def __init__(self, tenant, resources):
        self.tenant, self.resources, self.fics = tenant, resources, []


class Azure(Site):
    """life: seconds of a token, in place of an hour."""

    def __init__(self, authority, folder, address):
        self.verifier = RelyingParty(authority, Rules(("RS256",), ("iss", "sub", "aud", "exp"), use=True))
        self.own = RelyingParty(authority, Rules(("RS256",), ("iss", "sub", "aud", "exp", "appid", "tid")))
        self.apps, self.secrets, self.key = {}, {}, rsa_key()
        self.life = None
        super().__init__(authority, folder, address)

    # what an operator sets up

    def app(self, tenant=None, resources=(VAULT,)):
        """(tenant, client id) of a new application that may use these resources."""
        tenant, client = tenant or new_id(), new_id()
        self.apps[client] = App(tenant, resources)
        return tenant, client

    def federate(self, client, issuer, subject, audience="api://AzureADTokenExchange"):
        """A federated identity credential: 20 at most, issuer and subject once."""
        fics = self.apps[client].fics
        longest = max(map(len, (issuer, subject, audience)))
        if len(fics) == 20 or any(f[:2] == (issuer, subject) for f in fics) or longest > TEXT_MAX:
            raise ValueError("Entra does not take this federated credential")
        fics.append((issuer, subject, audience))

    def secret(self, name, value, *clients):
        """A secret in the vault that these applications may read."""
        self.secrets[name] = (value, clients)

    def fail(self, number, times=1, headers=()):
        """The next token requests are answered with that AADSTS code."""
        self.instead(error(number, "On request.", headers), times, lambda r: TOKEN.fullmatch(r.path))

    # requests

    def serve(self, request):
        token, discovery, secret = (kind.fullmatch(request.path) for kind in (TOKEN, DISCOVERY, SECRET))
        if token and request.method == "POST":
            return self._token(request, token[1])
        if discovery:
            return self._discovery(discovery[1])
        if request.path == "/common/discovery/instance":
            return self._instance(request)
        if request.path.endswith("/discovery/v2.0/keys"):
            return Answer(200, {"keys": [public_jwk(self.key, "entra")]})
        if secret and request.method == "GET":
            return self._secret(request, secret[1])
        return Answer(404, {"error": {"code": "NotFound", "message": "nothing is here"}})

    def _discovery(self, tenant):
        base = f"{self.url}/{tenant}"
        return Answer(200, {"token_endpoint": f"{base}/oauth2/v2.0/token",
                            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                            "issuer": f"{base}/v2.0", "jwks_uri": f"{base}/discovery/v2.0/keys", "tenant_region_scope": None,
                            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                            "response_types_supported": ["code", "id_token"], "subject_types_supported": ["pairwise"],
                            "id_token_signing_alg_values_supported": ["RS256"], "scopes_supported": ["openid"]})

    def _instance(self, request):
        return Answer(200, {"tenant_discovery_endpoint": dict(request.query_pairs()).get("authorization_endpoint", "")
                            .replace("/oauth2/v2.0/authorize", "/v2.0/.well-known/openid-configuration"), "api-version": "1.1",
                            "metadata": [{"preferred_network": self.address, "preferred_cache": self.address,
                                          "aliases": [self.address]}]})

    def _token(self, request, tenant):
        f = request.form()
        for name in ("grant_type", "client_id", "scope", "client_assertion", "client_assertion_type"):
            if not f.get(name):
                raise error(900144, f"The request body must contain the following parameter: '{name}'.")
        if f["grant_type"] != "client_credentials" or f["client_assertion_type"] != ASSERTION:
            raise error(50027, "grant_type or client_assertion_type is not supported.")
        app = self._find(tenant, f["client_id"])
        resource = self._resource(app, f["scope"])
        subject = self._check(app, f["client_assertion"])
        at, life = int(time.time()), self.life or 3599
        claims = {"iss": f"{self.url}/{tenant}/v2.0", "aud": resource, "appid": f["client_id"], "tid": tenant, "sub": subject,
                  "iat": at,
                  "nbf": at, "exp": at + life, "uti": new_id()}
        return Answer(200, {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life,
                            "access_token": encode(self.key, {"alg": "RS256", "kid": "entra", "typ": "JWT"}, claims)})

    def _find(self, tenant, client):
        if not any(a.tenant == tenant for a in self.apps.values()):
            raise error(90002, f"Tenant '{tenant}' not found.")
        app = self.apps.get(client)
        if not app or app.tenant != tenant:
            raise error(700016, f"Application with identifier '{client}' was not found in the directory.")
        return app

    @staticmethod
    def _resource(app, scope):
        scopes = [s for s in scope.split() if s not in ("openid", "profile", "offline_access")]
        resource = scopes[0].removesuffix("/.default") if len(scopes) == 1 else ""
        if len(scopes) != 1 or not scopes[0].endswith("/.default"):
            raise error(70011, "The provided value for the input parameter 'scope' is not valid: one resource and /.default is.")
        if resource not in app.resources:
            raise error(1001010, "the application has no permission for this resource.")
        return resource

    def _check(self, app, token):
        """The subject of an assertion that one of the federated credentials fits, exactly."""
        try:
            issuer = claimed_issuer(token, {f[0] for f in app.fics})
            return self._match(app, issuer, self.verifier.check(token, issuer))
        except Refused as e:
            raise error(OF_TOKEN[e.kind], e.why) from None

    @staticmethod
    def _match(app, issuer, claims):
        aud = claims["aud"][0] if isinstance(claims["aud"], list) and len(claims["aud"]) == 1 else claims["aud"]
        fics = [f for f in app.fics if f[0] == issuer and f[1] == claims["sub"]]
        if not fics:
            raise Refused("subject", "No matching federated identity record found for presented assertion subject.")
        if fics[0][2] != aud:
            raise Refused("audience", "No matching federated identity record found for presented assertion audience.")
        return claims["sub"]

    # what tokens open

    def _secret(self, request, name):
        said = {"WWW-Authenticate": f'Bearer authorization="{self.url}/common", resource="{VAULT}"'}
        try:
            claims = self._own(request.bearer() or "")
        except Refused as e:
            return Answer(401, {"error": {"code": "Unauthorized", "message": e.why}}, headers=said)
        value, clients = self.secrets.get(name, (None, ()))
        if claims["appid"] not in clients:
            return Answer(403, {"error": {"code": "Forbidden",
                                          "message": "The user, group or application does not have secrets get permission."}})
        return Answer(200, json.dumps({"value": value, "id": f"{self.url}/secrets/{name}/{'0' * 32}",
                                       "attributes": {"enabled": True}}))

    def _own(self, token):
        """Claims of a token of ours for the vault."""
        if not token:
            raise Refused("malformed", "AKV10000: Request is missing a Bearer or PoP token.")
        issuers = [f"{self.url}/{tenant}/v2.0" for tenant in sorted({a.tenant for a in self.apps.values()})]
        claims = self.own.check(token, claimed_issuer(token, issuers), [public_jwk(self.key, "entra")])
        if claims["aud"] != VAULT:
            raise Refused("audience", "AKV10022: Invalid audience.")
        return claims
