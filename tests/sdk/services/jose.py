# SPDX-License-Identifier: Apache-2.0
"""JWTs both ways: an issuer whose tokens can be broken at will, and a relying party that fetches OIDC documents.

The relying party knows nothing of svidd: it goes by the discovery document, the key set and the rules of its cloud.
"""
import base64
import json
import ssl
import threading
import time
import urllib.error
import urllib.request

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from .web import Answer, Site

HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"P-256": (ec.SECP256R1, 32), "P-384": (ec.SECP384R1, 48), "P-521": (ec.SECP521R1, 66)}
CURVE_OF = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
FETCH_SECONDS = 5  # of AWS: the documents must be there by then
FETCH_BYTES = 1 << 20
SKEW = 10


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    """Strict: no padding, no foreign characters, no bits beyond the end."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(data) != text:
        raise ValueError("not base64url")
    return data


def b64_number(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


def public_jwk(key, kid, use="sig"):
    """The JWK of a private key's public half."""
    numbers = key.public_key().public_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        jwk = {"kty": "RSA", "n": b64_number(numbers.n), "e": b64_number(numbers.e)}
    else:
        crv = next(c for c, (curve, _) in CURVES.items() if isinstance(key.curve, curve))
        jwk = {"kty": "EC", "crv": crv, "x": b64_number(numbers.x, CURVES[crv][1]), "y": b64_number(numbers.y, CURVES[crv][1])}
    return {**jwk, **({"kid": kid} if kid is not None else {}), **({"use": use} if use else {})}


def sign(key, alg, data):
    """A signature as JWS has it; whether alg suits the key is the caller's affair."""
    digest = HASHES.get(alg[2:], hashes.SHA256)()
    if isinstance(key, rsa.RSAPrivateKey):
        pad = padding.PSS(padding.MGF1(digest), digest.digest_size) if alg.startswith("PS") else padding.PKCS1v15()
        return key.sign(data, pad, digest)
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def encode(key, header, claims):
    head = b64(json.dumps(header).encode()) + "." + b64(json.dumps(claims).encode())
    return head + "." + b64(sign(key, header.get("alg", "RS256"), head.encode()))


class Issuer(Site):
    """An OIDC issuer's public site: two documents, which documents() gives as bytes by path."""

    def __init__(self, authority, folder, address):
        self.documents = dict
        super().__init__(authority, folder, address)

    def serve(self, request):
        body = self.documents().get(request.path)
        return Answer(200, body) if body is not None and request.method == "GET" else Answer(404, b"")

    def publish(self, keys, **more):
        """A discovery document and these keys, in place of an agent's."""
        discovery = {"issuer": self.url, "jwks_uri": self.url + "/keys", "response_types_supported": ["id_token"],
                     "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256", "ES256"], **more}
        said = {"/.well-known/openid-configuration": json.dumps(discovery).encode(), "/keys": json.dumps({"keys": keys}).encode()}
        self.documents = lambda: said


class Refused(Exception):
    """Why a token is not taken. kind: malformed algorithm key signature issuer expired early claim unreachable."""

    def __init__(self, kind, why):
        super().__init__(f"{kind}: {why}")
        self.kind, self.why = kind, why


class Rules:
    """What a cloud demands of every token."""

    def __init__(self, algorithms, needs=("iss", "sub", "aud", "exp", "iat"), kid=False, use=False, life=None):
        self.algorithms, self.needs, self.kid, self.use, self.life = algorithms, needs, kid, use, life


class RelyingParty:
    """Checks tokens of issuers by what they publish; keys are fetched once, and again when a kid is unknown."""

    def __init__(self, authority, rules):
        self.rules = rules
        self._context = ssl.create_default_context(cadata=authority.pem())
        self._keys, self._lock = {}, threading.Lock()

    def _get(self, url):
        if not url.startswith("https://"):
            raise Refused("unreachable", f"{url} is not https")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=self._context)) \
                    .open(url, timeout=FETCH_SECONDS) as reply:
                return json.loads(reply.read(FETCH_BYTES))
        except (urllib.error.URLError, OSError, ValueError) as e:
            raise Refused("unreachable", f"{url}: {e}") from None

    def fetch(self, issuer):
        """The key set of an issuer, by its discovery document."""
        discovery = self._get(issuer + "/.well-known/openid-configuration")
        if discovery.get("issuer") != issuer:
            raise Refused("unreachable", "the discovery document names another issuer")
        keys = self._get(discovery.get("jwks_uri", "")).get("keys")
        if not isinstance(keys, list) or not keys:
            raise Refused("unreachable", "no keys")
        for key in keys:
            if {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key):
                raise Refused("unreachable", "a private key is published")
        return keys[:100]

    def _find(self, issuer, kid):
        with self._lock:
            for again in (False, True):
                if again or issuer not in self._keys:
                    self._keys[issuer] = self.fetch(issuer)
                keys = self._keys[issuer]
                found = [k for k in keys if k.get("kid") == kid] if kid is not None else keys
                if found:
                    return found[0]
        raise Refused("key", f"no key {kid} is published")

    def forget(self):
        """As after its cache time."""
        with self._lock:
            self._keys.clear()

    def check(self, token, issuer, uploaded=None):
        """The claims of a token of that issuer; Refused. uploaded: keys that the owner gave, in place of documents."""
        header, claims, data, signature = self._parts(token)
        if claims.get("iss") != issuer:
            raise Refused("issuer", f"{claims.get('iss')} is not {issuer}")
        kid = header.get("kid")
        if uploaded is None:
            jwk = self._find(issuer, kid)
        else:
            jwk = next((k for k in uploaded if k.get("kid") == kid), None)
            if not jwk:
                raise Refused("key", f"no key {kid} was uploaded")
        if self.rules.use and jwk.get("use") != "sig":
            raise Refused("key", "the key is not for signatures (use)")
        _verify(jwk, header["alg"], data, signature)
        self._times(claims)
        return claims

    def _parts(self, token):
        try:
            head, body, tail = token.split(".")
            header, claims = json.loads(unb64(head)), json.loads(unb64(body))
            signature = unb64(tail)
        except (ValueError, TypeError):
            raise Refused("malformed", "not a JWT") from None
        if not isinstance(header, dict) or not isinstance(claims, dict) or "crit" in header:
            raise Refused("malformed", "not a JWT that is understood")
        if header.get("alg") not in self.rules.algorithms:
            raise Refused("algorithm", f"{header.get('alg')} is none of {', '.join(self.rules.algorithms)}")
        if self.rules.kid and not header.get("kid"):
            raise Refused("malformed", "kid is missing")
        for name in self.rules.needs:
            if name not in claims:
                raise Refused("claim", f"{name} is missing")
        for name in ("exp", "iat", "nbf"):
            if name in claims and (not isinstance(claims[name], int) or isinstance(claims[name], bool)):
                raise Refused("claim", f"{name} is not an integer")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise Refused("claim", "sub is not a text")
        return header, claims, (head + "." + body).encode(), signature

    def _times(self, claims):
        now = time.time()
        if claims["exp"] <= now:
            raise Refused("expired", "exp is past")
        if max(claims.get("iat", 0), claims.get("nbf", 0)) > now + SKEW:
            raise Refused("early", "iat or nbf is in the future")
        if self.rules.life and "iat" in claims and claims["exp"] - claims["iat"] > self.rules.life:
            raise Refused("claim", "its life is too long")


def claimed_issuer(token, known):
    """Which of the known issuers a token says it is from: to be believed after the signature only."""
    try:
        issuer = json.loads(unb64(token.split(".")[1])).get("iss")
    except (ValueError, IndexError, AttributeError):
        raise Refused("malformed", "not a JWT") from None
    if issuer not in known:
        raise Refused("issuer", f"{issuer} is not known")
    return issuer


def audiences(claims):
    """aud as a list of texts."""
    aud = claims["aud"]
    aud = [aud] if isinstance(aud, str) else aud
    if not isinstance(aud, list) or not aud or not all(isinstance(a, str) for a in aud):
        raise Refused("claim", "aud is no list of texts")
    return aud


def _number(text):
    return int.from_bytes(unb64(text), "big")


def _verify(jwk, alg, data, signature):
    """The key's kind must be the algorithm's: an attacker chooses alg."""
    digest = HASHES[alg[2:]]()
    try:
        if alg.startswith("RS") and jwk.get("kty") == "RSA":
            key = rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
            if key.key_size < 2048:
                raise Refused("key", "an RSA key of less than 2048 bits")
            key.verify(signature, data, padding.PKCS1v15(), digest)
            return
        if alg.startswith("ES") and jwk.get("kty") == "EC" and jwk.get("crv") == CURVE_OF[alg]:
            curve, size = CURVES[jwk["crv"]]
            if len(signature) != 2 * size:
                raise Refused("signature", "of a wrong length")
            key = ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curve()).public_key()
            key.verify(utils.encode_dss_signature(int.from_bytes(signature[:size], "big"),
                                                  int.from_bytes(signature[size:], "big")),
                       data, ec.ECDSA(digest))
            return
    except InvalidSignature:
        raise Refused("signature", "does not fit the key") from None
    except (KeyError, ValueError, TypeError) as e:
        raise Refused("key", f"not a key: {e}") from None
    raise Refused("key", f"{alg} does not suit a {jwk.get('kty')} key")
