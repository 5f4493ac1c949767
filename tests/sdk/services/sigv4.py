# SPDX-License-Identifier: Apache-2.0
"""AWS Signature Version 4 as the one who checks it, and its form with a certificate (IAM Roles Anywhere)."""
import datetime
import hashlib
import hmac
import re
import time
import urllib.parse

WINDOW = 15 * 60
AUTHORIZATION = re.compile(r"(\S+) +Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]+)")


class Bad(Exception):
    """Why a signed request is not taken: code, text."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text


def quote(text):
    return urllib.parse.quote(text, safe="-._~")


class Signed:
    """The parts of a signed request."""

    def __init__(self, request, id_parts):
        found = AUTHORIZATION.fullmatch(request.headers.get("authorization", "").strip())
        if not found:
            raise Bad("IncompleteSignature", "Authorization is not that of Signature Version 4")
        self.request, self.algorithm = request, found[1]
        self.names, self.signature = found[3].split(";"), found[4]
        scope = found[2].split("/")
        if len(scope) != id_parts + 4 or scope[-1] != "aws4_request":
            raise Bad("IncompleteSignature", "Credential is not ID/DATE/REGION/SERVICE/aws4_request")
        self.id, (self.date, self.region, self.service) = "/".join(scope[:id_parts]), scope[id_parts:-1]
        self.time = request.headers.get("x-amz-date", "")
        self._judge()

    def _judge(self):
        if self.names != sorted(self.names) or "host" not in self.names:
            raise Bad("IncompleteSignature", "SignedHeaders must be sorted, and host among them")
        unsigned = {"x-amz-date", "x-amz-security-token", "x-amz-content-sha256", "x-amz-x509",
                    "x-amz-x509-chain"} - set(self.names)
        if unsigned & set(self.request.headers):
            raise Bad("IncompleteSignature", f"not signed: {', '.join(sorted(unsigned & set(self.request.headers)))}")
        try:
            at = datetime.datetime.strptime(self.time, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            raise Bad("IncompleteSignature", "X-Amz-Date is missing") from None
        if abs(at - time.time()) > WINDOW or self.time[:8] != self.date:
            raise Bad("SignatureDoesNotMatch", "Signature expired, or not yet current, or of another date")

    def _payload_hash(self):
        said = self.request.headers.get("x-amz-content-sha256")
        real = hashlib.sha256(self.request.body).hexdigest()
        if said in (None, real):
            return real
        if self.service == "s3" and said == "UNSIGNED-PAYLOAD":
            return said
        raise Bad("XAmzContentSHA256Mismatch", "the body is not what was signed")

    def _canonical(self):
        r = self.request
        path = r.path if self.service == "s3" else quote(r.path).replace("%2F", "/")
        query = "&".join(f"{k}={v}" for k, v in sorted((quote(k), quote(v)) for k, v in r.query_pairs()))
        missing = [n for n in self.names if n not in r.headers]
        if missing:
            raise Bad("SignatureDoesNotMatch", f"signed headers are not there: {missing}")
        headers = "".join(f"{n}:{' '.join(r.headers[n].split())}\n" for n in self.names)
        return "\n".join((r.method, path or "/", query, headers, ";".join(self.names), self._payload_hash()))

    def to_sign(self):
        scope = f"{self.date}/{self.region}/{self.service}/aws4_request"
        return "\n".join((self.algorithm, self.time, scope, hashlib.sha256(self._canonical().encode()).hexdigest()))

    def check(self, secret):
        """With the secret access key; Bad when it does not fit."""
        if self.algorithm != "AWS4-HMAC-SHA256":
            raise Bad("IncompleteSignature", f"{self.algorithm} is not taken here")
        key = ("AWS4" + secret).encode()
        for part in (self.date, self.region, self.service, "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        want = hmac.new(key, self.to_sign().encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(want, self.signature):
            raise Bad("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
