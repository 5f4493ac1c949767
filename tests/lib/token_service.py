# SPDX-License-Identifier: Apache-2.0
"""Token services of AWS, Google and Azure on loopback, behind a private CA, for tests of the agent itself.

They answer in each cloud's shape and keep what they were asked; whether a token is right is the matter of tests/sdk.
"""
import atexit
import base64
import datetime
import http.server
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

ROLE = "arn:aws:iam::123456789012:role/demo"
ANYWHERE = "arn:aws:rolesanywhere:eu-central-1:123456789012:"
PROVIDER = "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/pool/providers/svidd"
CLIENT = "11111111-2222-3333-4444-555555555555"
TENANT = "66666666-7777-8888-9999-000000000000"
SCOPE = "https://vault.azure.net/.default"
STS = ('<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult>'
       "<SubjectFromWebIdentityToken>{sub}</SubjectFromWebIdentityToken><Audience>{aud}</Audience><AssumedRoleUser>"
       "<Arn>arn:aws:sts::123456789012:assumed-role/demo/{session}</Arn><AssumedRoleId>AROA:{session}</AssumedRoleId>"
       "</AssumedRoleUser><Credentials><AccessKeyId>ASIA{n:016}</AccessKeyId><SecretAccessKey>aws-secret-{n}</SecretAccessKey>"
       "<SessionToken>aws-session-{n}</SessionToken><Expiration>{expires}</Expiration></Credentials>"
       "</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>request-{n}</RequestId></ResponseMetadata>"
       "</AssumeRoleWithWebIdentityResponse>")


def openssl(*words):
    subprocess.run(["openssl", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def claims(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):  # pylint: disable=arguments-differ
        pass

    def answer(self, status, text, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        try:
            self.wfile.write(text.encode())
        except OSError:  # whoever asked does not wait any more
            self.close_connection = True

    def create_session(self):
        """IAM Roles Anywhere: the X.509-SVID is in the header, and signs."""
        service = self.server.service
        leaf = base64.b64decode(self.headers["X-Amz-X509"])
        n = service.asked("awsRolesAnywhere", dict(self.headers), {"leaf": leaf})
        keys = {"accessKeyId": f"ASIA{n:016}", "secretAccessKey": f"aws-secret-{n}", "sessionToken": f"aws-session-{n}",
                "expiration": service.expires()}
        self.answer(201, json.dumps({"credentialSet": [{"assumedRoleUser": {"arn": ROLE, "assumedRoleId": "AROA:x"},
                                                        "credentials": keys, "roleArn": ROLE}], "subjectArn": "arn:x"}))

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.startswith("/sessions?"):
            self.create_session()
            return
        form = {k: v[0] for k, v in urllib.parse.parse_qs(body).items()}
        service = self.server.service
        cloud = "aws" if "Action" in form else "gcp" if self.path == "/v1/token" else "azure"
        token = form.get("WebIdentityToken") or form.get("subject_token") or form.get("client_assertion")
        n = service.asked(cloud, form, claims(token))
        service.go.wait(60)
        if service.broken:
            self.answer(503, "{}")
        elif cloud == "aws":
            self.answer(200, STS.format(n=n, sub=claims(token)["sub"], aud=claims(token)["aud"],
                                        session=form["RoleSessionName"], expires=service.expires()),
                        "text/xml")
        else:
            self.answer(200, json.dumps({"access_token": service.token(cloud, n), "token_type": "Bearer",
                                         "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                                         "expires_in": service.life}))


class TokenService:
    """One server for all clouds: self.asks are (cloud, form, claims) in the order they came."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="svidd-sts-", dir="/tmp")
        atexit.register(shutil.rmtree, self.top, ignore_errors=True)
        self.asks, self.life, self.broken, self.lock = [], 3600, False, threading.Lock()
        self.token_bytes = 0  # of an access token at least
        self.go = threading.Event()  # clear it, and answers wait
        self.go.set()
        self.ca = self._make_ca()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads, self.server.service = True, self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.top, "leaf.pem"), os.path.join(self.top, "leaf.key"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.server.shutdown()
        self.server.server_close()

    def _make_ca(self):
        path = {n: os.path.join(self.top, n) for n in ("ca.key", "ca.pem", "leaf.key", "leaf.csr", "leaf.pem", "ext")}
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/O=sts",
                "-keyout", path["ca.key"], "-out", path["ca.pem"], "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=sts",
                "-keyout", path["leaf.key"], "-out", path["leaf.csr"])
        with open(path["ext"], "w", encoding="ascii") as f:
            f.write("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        openssl("x509", "-req", "-in", path["leaf.csr"], "-CA", path["ca.pem"], "-CAkey", path["ca.key"], "-days", "2",
                "-extfile", path["ext"], "-out", path["leaf.pem"])
        with open(path["ca.pem"], encoding="ascii") as f:
            return f.read()

    def asked(self, cloud, form, said):
        with self.lock:
            self.asks.append((cloud, form, said))
            return len(self.asks)

    def token(self, cloud, n):
        """An access token; no part of a long one is like another."""
        token = f"{cloud}-token-{n}"
        for i in range(max(0, self.token_bytes - len(token) + 5) // 6):
            token += f".{i:05}"
        return token

    def expires(self):
        return datetime.datetime.fromtimestamp(time.time() + self.life, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def count(self, cloud=None):
        with self.lock:
            return sum(1 for ask in self.asks if cloud in (None, ask[0]))

    def source(self, kind):
        """spec of a CredentialSource that comes here."""
        spec = {"aws": {"aws": {"roleArn": ROLE, "region": "eu-central-1", "endpoint": self.url}},
                "awsRolesAnywhere": {"awsRolesAnywhere": {"trustAnchorArn": ANYWHERE + "trust-anchor/1", "roleArn": ROLE,
                                                          "profileArn": ANYWHERE + "profile/1", "endpoint": self.url}},
                "gcp": {"gcp": {"oidcProviderId": PROVIDER, "stsEndpoint": self.url + "/v1/token"}},
                "azure": {"azure": {"tenantID": TENANT, "clientID": CLIENT, "scope": SCOPE, "authority": self.url}},
                "jwt": {"jwt": {"audiences": ["https://party.test"]}}}[kind]
        return {**spec, "caBundle": self.ca}
