# SPDX-License-Identifier: Apache-2.0
"""Another trust domain, of a test's own making: an authority, a JWT key, its SPIFFE bundle and tokens.

All with the openssl program: nothing of ours signs here, and nothing of ours is asked whether it is right.
"""
import atexit
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*words, stdin=b""):
    return subprocess.run(["openssl", *words], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


class TrustDomain:
    def __init__(self, name):
        self.name, self.sequence = name, 0
        self.top = tempfile.mkdtemp(prefix="svidd-foreign-", dir="/tmp")
        atexit.register(shutil.rmtree, self.top, ignore_errors=True)
        self.ca_der = self._make_ca()
        self.kids = {}
        self.add_key("first")

    def _path(self, name):
        return os.path.join(self.top, name)

    def _make_ca(self):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                "/O=foreign", "-keyout", self._path("ca.key"), "-out", self._path("ca.pem"), "-addext",
                f"subjectAltName=URI:spiffe://{self.name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-addext", "basicConstraints=critical,CA:TRUE")
        return openssl("x509", "-in", self._path("ca.pem"), "-outform", "DER")

    def add_key(self, kid):
        """Another RSA signing key, published from the next bundle() on."""
        openssl("genrsa", "-out", self._path(kid), "2048")
        modulus = openssl("rsa", "-in", self._path(kid), "-noout", "-modulus").decode().strip().split("=")[1]
        self.kids[kid] = {"kty": "RSA", "kid": kid, "use": "jwt-svid", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}

    def drop_key(self, kid):
        del self.kids[kid]

    def bundle(self, x509=True):
        """Path of a file with the SPIFFE bundle document as it is now."""
        self.sequence += 1
        keys = list(self.kids.values())
        if x509:
            raw = openssl("x509", "-in", self._path("ca.pem"), "-pubkey", "-noout")
            point = openssl("pkey", "-pubin", "-outform", "DER", stdin=raw)[-64:]
            keys.append({"kty": "EC", "crv": "P-256", "use": "x509-svid", "x": b64(point[:32]), "y": b64(point[32:]),
                         "x5c": [base64.b64encode(self.ca_der).decode()]})
        path = self._path("bundle.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"spiffe_sequence": self.sequence, "spiffe_refresh_hint": 300, "keys": keys}, f)
        os.chmod(path, 0o644)
        return path

    def leaf(self, path):
        """(certificate, key): files of an X.509-SVID of spiffe://NAME/PATH."""
        certificate, key, request, rules = (self._path(path + end) for end in (".pem", ".key", ".csr", ".cnf"))
        with open(rules, "w", encoding="utf-8") as f:
            f.write(f"subjectAltName=critical,URI:spiffe://{self.name}/{path}\nbasicConstraints=critical,CA:FALSE\n"
                    "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request,
                "-subj", "/")
        openssl("x509", "-req", "-in", request, "-CA", self._path("ca.pem"), "-CAkey", self._path("ca.key"), "-CAcreateserial",
                "-days", "1", "-extfile", rules, "-out", certificate)
        return certificate, key

    def token(self, kid="first", audience=("one",), **changes):
        """A JWT-SVID of spiffe://NAME/peer; changes replace or (None) remove claims."""
        now = int(time.time())
        claims = {"sub": f"spiffe://{self.name}/peer", "aud": list(audience), "iat": now, "exp": now + 300, **changes}
        claims = {key: value for key, value in claims.items() if value is not None}
        parts = [{"alg": "RS256", "kid": kid, "typ": "JWT"}, claims]
        text = ".".join(b64(json.dumps(part).encode()) for part in parts)
        return text + "." + b64(openssl("dgst", "-sha256", "-sign", self._path(kid), stdin=text.encode()))
