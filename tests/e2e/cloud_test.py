#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cloud credentials through a real svidd: who reads which file, what an exchange is made of, and what is left of it."""
import contextlib
import http.client
import json
import os
import shutil
import socket
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import ROLES, SLOW, Agent, free_port, until  # noqa: E402  pylint: disable=wrong-import-position
from token_service import ROLE, TokenService, claims  # noqa: E402  pylint: disable=wrong-import-position
from tree import Tree, openssl  # noqa: E402  pylint: disable=wrong-import-position

SECRET = {"aws": ("aws/credentials", "aws/credentials.json", "aws/web_identity_token"),
          "gcp": ("gcp/subject_token", "gcp/access_token"), "azure": ("azure/federated_token", "azure/access_token")}
PUBLIC = {"aws": ("aws/config",), "gcp": ("gcp/credentials.json",), "azure": ()}


class Clouds(Tree):
    """A Tree whose alice has a credential of each kind."""

    def __init__(self, name, service, kinds=("aws", "gcp", "azure", "jwt"), **more):
        super().__init__(name, **more)
        self.service, self.clouds = service, [k for k in kinds if k != "jwt"]
        self.agent.settings(more="  jwt:\n    issuer: https://oidc.e2e.test\n")
        for kind in kinds:
            self.agent.source(f"{kind}-source", service.source(kind))
            self.agent.credential(f"alice-{kind}", "alice", f"{kind}-source")

    def exchanges(self, granted=True):
        return [r for r in self.agent.records() if r.get("event") == "exchange" and r["granted"] == granted]

    def __enter__(self):
        super().__enter__()
        assert until(lambda: len(self.exchanges()) == len(self.clouds), 20), self.agent.explain()
        assert until(lambda: len(kept(self) or ()) == len(self.clouds), 10), self.agent.explain()
        return self

    def text(self, path, program=None):
        out, err = self.read(program or self.alice, path)
        assert out and not err, (path, err, self.agent.explain())
        return out.decode()


def test_each_cloud_s_files_are_read_by_their_own_workload_and_by_nobody_else():
    with TokenService() as service, Clouds("cloud-own", service) as t:
        own = t.own("alice")
        for kind, files in SECRET.items():
            for file in files:
                places = (f"{own}/alice-{kind}/{file}", f"self/{file}", f"{own}/{file}")
                assert len({t.text(p) for p in places}) == 1, file
                for place in places:
                    for other in (t.bob, "/bin/cat"):
                        out, err = t.read(other, place)
                        assert not out and ("Permission denied" in err or "No such file" in err), (place, out, err)
                out, err = t.read(t.bob, places[0])
                assert "Permission denied" in err, err
        assert json.loads(t.text("self/aws/credentials.json"))["SecretAccessKey"].startswith("aws-secret-")
        assert t.text("self/gcp/access_token").startswith("gcp-token-")
        assert t.text("self/azure/access_token").startswith("azure-token-")
        token = claims(t.text("self/jwt/alice-jwt"))
        assert token["aud"] in ("https://party.test", ["https://party.test"]) and token["sub"] == t.ids["alice"], token
        assert f"AWS_ROLE_ARN={ROLE}\n" in t.text("self/env")
        assert t.service.count() == 3, t.service.asks


def test_what_holds_no_secret_is_for_everybody_under_the_workload_s_own_name():
    with TokenService() as service, Clouds("cloud-public", service) as t:
        for file in ("env", "aws/config", "gcp/credentials.json"):
            mine = t.text(f"{t.own('alice')}/{file}")
            for other in (t.bob, "/bin/cat"):
                assert t.text(f"{t.own('alice')}/{file}", other) == mine, file
                out, err = t.read(other, f"self/{file}")
                assert not out and ("Permission denied" in err or "No such file" in err), (file, out, err)


def test_the_x509_svid_asks_iam_roles_anywhere():
    with TokenService() as service, Clouds("cloud-anywhere", service, kinds=("awsRolesAnywhere",)) as t:
        assert json.loads(t.text("self/aws/credentials.json"))["SecretAccessKey"] == "aws-secret-1"
        cloud, headers, said = service.asks[0]
        leaf = openssl("x509", "-inform", "DER", "-noout", "-ext", "subjectAltName", text=said["leaf"]).decode()
        assert cloud == "awsRolesAnywhere" and f"URI:{t.ids['alice']}\n" in leaf, leaf
        assert headers["Authorization"].startswith("AWS4-X509-ECDSA-SHA256 Credential="), headers
        assert "region = eu-central-1\n" in t.text("self/aws/config") and "AWS_REGION=eu-central-1\n" in t.text("self/env")
        out, err = t.read(t.alice, "self/aws/web_identity_token")
        assert not out and "No such file" in err, err
        old = t.agent.roles("svid-keys")  # it has the key
        t.agent.kill(old[0])
        another(t, "svid-keys", old)
        refresh(t, "alice-awsRolesAnywhere")
        assert until(lambda: service.count() >= 2, 20), t.agent.explain()
        assert until(lambda: t.read(t.alice, "self/aws/credentials.json")[0].endswith(b"}"), 10)


def refresh(t, name):
    code, _, err = t.agent.svid("credentials", "refresh", name)
    assert code == 0, err


def everything(t):
    """What alice reads in each of the files with a secret that a cloud gave."""
    return {path: t.text(path) for path in ("self/aws/credentials", "self/gcp/access_token", "self/azure/access_token")}


def others(t):
    """Every process of this svidd but svid-cloud."""
    return {role: t.agent.roles(role) for role in ROLES if role != "svid-cloud"}


def another(t, role, old):
    """A process of that role that is none of these."""
    assert until(lambda: t.agent.roles(role) and not set(t.agent.roles(role)) & set(old), 20), (role, t.agent.explain())
    return t.agent.roles(role)


def test_svid_cloud_may_die_as_often_as_it_likes():
    with TokenService() as service, Clouds("cloud-killed", service) as t:
        files, before = everything(t), others(t)
        for _ in range(case.often(20, 100)):
            old = t.agent.roles("svid-cloud")
            t.agent.kill(old[0])
            assert everything(t) == files  # a reader waits for the next one
            assert another(t, "svid-cloud", old) != old
        assert others(t) == before
        assert service.count() == 3, "what was in the cache was asked for again"
        assert claims(t.text("self/jwt/alice-jwt"))["sub"] == t.ids["alice"]


def test_svid_keys_may_die_under_it():
    with TokenService() as service, Clouds("cloud-keys", service) as t:
        files, cloud = everything(t), t.agent.roles("svid-cloud")
        for _ in range(case.often(3, 20)):
            old = t.agent.roles("svid-keys")
            t.agent.kill(old[0])
            assert everything(t) == files
            another(t, "svid-keys", old)
            assert until(lambda: t.read(t.alice, "self/jwt/alice-jwt")[0], 20), t.agent.explain()
        assert t.agent.roles("svid-cloud") == cloud and service.count() == 3
        old = t.agent.roles("svid-cloud")
        for role in ("svid-keys", "svid-cloud"):  # the cache is opened by a svid-keys that is not there yet
            t.agent.kill(t.agent.roles(role)[0])
        another(t, "svid-cloud", old)
        assert until(lambda: t.read(t.alice, "self/aws/credentials")[0], 20), t.agent.explain()


def test_svid_core_and_svidd_may_be_restarted():
    with TokenService() as service, Clouds("cloud-core", service) as t:
        files, old = everything(t), t.agent.roles("svid-cloud")
        t.agent.kill(t.agent.roles("svid-core")[0])
        assert until(lambda: t.read(t.alice, "self/aws/credentials")[0], 20), t.agent.explain()
        another(t, "svid-cloud", old)
        assert everything(t) == files
        assert t.agent.stop() == 0
        t.agent.start()
        assert until(lambda: t.read(t.alice, "self/aws/credentials")[0], 20), t.agent.explain()
        assert everything(t) == files
        assert service.count() == 3, "what was in the cache was asked for again"


def test_a_stop_does_not_wait_for_a_cloud():
    with TokenService() as service, Clouds("cloud-stop", service, kinds=("aws",)) as t:
        service.go.clear()
        t.agent.credential("alice-late", "alice", "aws-source")
        assert until(lambda: service.count() == 2, 20), t.agent.explain()
        began = time.monotonic()
        try:
            assert t.agent.stop() == 0
        finally:
            service.go.set()
        assert time.monotonic() - began < 10 * SLOW


def test_who_loses_a_credential_reads_it_no_more():
    with TokenService() as service, Clouds("cloud-lost", service) as t:
        held = t.popen(t.carol, "-I", "-S", "-c", HELD, os.path.join(t.dir, t.own("alice"), "alice-aws/aws/credentials"))
        assert b"Permission denied" in held.communicate(timeout=20)[0]
        took = {}
        assert until(lambda: kept(t) == ["alice-aws", "alice-azure", "alice-gcp"], 5), kept(t)
        for kind in ("aws", "gcp", "azure", "jwt"):
            path = f"self/jwt/alice-{kind}" if kind == "jwt" else f"{t.own('alice')}/alice-{kind}/{SECRET[kind][0]}"
            t.text(path)
            began = time.monotonic()
            t.agent.remove(f"alice-{kind}")
            assert until(lambda p=path: not t.read(t.alice, p)[0], 10), t.agent.explain()
            took[kind] = time.monotonic() - began
        assert max(took.values()) < 1 * SLOW, took
        assert until(lambda: kept(t) == [], 5), "the row of a credential that is gone is still there"


def kept(t):
    """Credentials in svid-cloud's cache; in a copy of it, for the cache itself is locked. None: copied while it was written."""
    with tempfile.TemporaryDirectory() as top:
        try:
            for name in ("cache.db", "cache.db-wal"):
                shutil.copy(os.path.join(t.agent.state_dir + "-cloud", name), top)
            with contextlib.closing(sqlite3.connect(os.path.join(top, "cache.db"))) as db:
                return [row[0] for row in db.execute("SELECT credential FROM credentials ORDER BY credential")]
        except (OSError, sqlite3.Error):
            return None


HELD = """
import sys
try:
    print(open(sys.argv[1]).read())
except OSError as e:
    print(e.strerror)
"""


def test_each_exchange_is_recorded_with_what_joins_it_to_the_cloud_and_without_a_secret():
    with TokenService() as service, Clouds("cloud-audit", service, kinds=("aws", "gcp")) as t:
        files = everything_of(t, "self/aws/credentials", "self/gcp/access_token", "self/aws/web_identity_token")
        aws = next(r for r in t.exchanges() if r["kind"] == "aws")
        ask = next(a for a in service.asks if a[0] == "aws")
        for name, want in (("credential", "alice-aws"), ("source", "aws-source"), ("spiffe_id", t.ids["alice"]),
                           ("session", ask[1]["RoleSessionName"]), ("jti", ask[2]["jti"]), ("http_status", 200)):
            assert aws[name] == want, (name, aws)
        assert aws["key_id"] in files["self/aws/credentials"] and aws["request_id"].startswith("request-") and aws["kid"], aws
        issued = [r for r in t.agent.records() if r["event"] == "issue" and r.get("jti") == ask[2]["jti"]]
        assert len(issued) == 1, "the JWT-SVID of the exchange has a record of its own"
        with open(t.agent.audit, encoding="utf-8") as f:
            records = f.read()
        for secret in ("aws-secret-", "aws-session-", "gcp-token-", ask[1]["WebIdentityToken"].rsplit(".", 1)[1],
                       files["self/aws/web_identity_token"].rsplit(".", 1)[1]):
            assert secret not in records and secret not in t.agent.log(), secret
        read = [r for r in t.agent.records() if r["event"] == "read" and r["file"].endswith("aws/credentials")]
        assert read and read[0]["spiffe_id"] == t.ids["alice"], read


def everything_of(t, *paths):
    return {path: t.text(path) for path in paths}


def get(port, path):
    """(status, body) of the OIDC listener."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40 * SLOW)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def oidc_settings(port):
    return f"  jwt:\n    issuer: https://oidc.e2e.test\n  oidc:\n    port: {port}\n"


def keys_of(port):
    status, body = get(port, "/keys")
    return json.loads(body)["keys"] if status == 200 else []


def keys_if_any(port):
    """The same of a svid-cloud that may be ending: it takes the requests that it has accepted with it."""
    try:
        return keys_of(port)
    except (OSError, http.client.HTTPException):
        return []


def test_the_oidc_documents_are_served_without_any_credential_and_over_restarts():
    port = free_port()
    with Agent("cloud-oidc", more_settings=oidc_settings(port)) as agent:
        app = agent.program("app", "/bin/cat")
        agent.identity("app", app)
        agent.start()
        assert until(lambda: keys_of(port), 20), agent.explain()
        status, body = get(port, "/.well-known/openid-configuration")
        said = json.loads(body)
        assert status == 200 and said["issuer"] == "https://oidc.e2e.test", said
        assert said["jwks_uri"] == "https://oidc.e2e.test/keys", said
        keys = keys_of(port)
        assert all(k["use"] == "sig" and k["kid"] and k["kty"] in ("RSA", "EC") for k in keys), keys
        assert get(port, "/admin")[0] == 404
        old = agent.roles("svid-cloud")
        agent.kill(old[0])
        assert until(lambda: agent.roles("svid-cloud") != old, 10)
        assert keys_of(port) == keys  # the connection waits in the listener that svidd keeps
        assert agent.roles("svid-cloud") != old
        agent.kill(agent.roles("svid-core")[0])
        assert until(lambda: keys_if_any(port) == keys, 20), agent.explain()
        agent.settings(more=oidc_settings(free_port()))
        assert until(lambda: [p["setting"] for p in agent.status()["restart_needed"]] == ["oidc.port"], 10), agent.status()
        assert keys_of(port) == keys


def test_a_port_that_is_taken_stops_no_identity():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        with Agent("cloud-taken", more_settings=oidc_settings(taken.getsockname()[1])) as agent:
            agent.start()
            assert "the OIDC documents are not served" in agent.log()
            assert [p["setting"] for p in agent.status()["restart_needed"]] == ["oidc.port"], agent.status()
            assert not agent.roles("svid-cloud"), "nobody wants it"


if __name__ == "__main__":
    case.main(globals())
