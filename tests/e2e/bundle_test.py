#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bundle documents: what `svid bundle show --format spiffe` publishes, clause by clause, and two agents that know each other by them."""
import base64
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from foreign import openssl  # noqa: E402  pylint: disable=wrong-import-position

USES = {"x509-svid", "jwt-svid"}


def document(agent):
    """The bundle as another operator gets it, once the JWT key is there too."""
    def whole():
        code, out, err = agent.svid("bundle", "show", agent.trust_domain, "--format", "spiffe")
        assert code == 0, err
        keys = json.loads(out)["keys"]
        return out if {key.get("use") for key in keys} == USES else None
    out = until(whole, 20)
    assert out, "no JWT key within 20 s"
    return out


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def check_x509(key):
    """X509-SVID 6.1: one certificate, in plain base64, self-signed, and the key beside it is its own; no kid."""
    assert "kid" not in key and len(key["x5c"]) == 1, key
    der = base64.b64decode(key["x5c"][0], validate=True)
    openssl("x509", "-inform", "DER", "-noout", "-checkend", "0", stdin=der)
    pem = openssl("x509", "-inform", "DER", stdin=der)
    names = openssl("x509", "-noout", "-subject", "-issuer", "-nameopt", "RFC2253", stdin=pem).decode().splitlines()
    assert names[0].split("=", 1)[1] == names[1].split("=", 1)[1], names
    point = openssl("pkey", "-pubin", "-outform", "DER", stdin=openssl("x509", "-noout", "-pubkey", stdin=pem))
    half = {"P-256": 32, "P-384": 48}[key["crv"]]
    assert key["kty"] == "EC" and number(key["x"]) == int.from_bytes(point[-2 * half:-half], "big"), key
    assert number(key["y"]) == int.from_bytes(point[-half:], "big"), key


def check_jwt(key):
    assert key["kid"] and "x5c" not in key, key
    assert key["kty"] in ("RSA", "EC") and not set(key) & {"d", "p", "q", "dp", "dq", "qi"}, key


def test_the_document_keeps_the_clauses_of_a_publisher():
    """TB-4.1.1-1 to TB-4.2.2-1, X509-6.1, JWT-6.1."""
    with Agent("bundle") as agent:
        agent.start()
        bundle = json.loads(document(agent))
        assert set(bundle) <= {"keys", "spiffe_sequence", "spiffe_refresh_hint"}, list(bundle)
        for name in set(bundle) - {"keys"}:
            assert type(bundle[name]) is int and bundle[name] > 0, bundle  # pylint: disable=unidiomatic-typecheck
        for key in bundle["keys"]:
            assert set(key) <= {"kty", "use", "kid", "x5c", "crv", "x", "y", "n", "e", "alg"}, key
            (check_x509 if key["use"] == "x509-svid" else check_jwt)(key)
        kids = [key["kid"] for key in bundle["keys"] if "kid" in key]
        assert len(set(kids)) == len(kids), kids


def test_the_document_stays_while_nothing_changes():
    """TB-4.1.1-3: a restart is no change."""
    with Agent("bundle-stays") as agent:
        agent.start()
        first = document(agent)
        agent.stop()
        agent.start()
        assert document(agent) == first


class Side:
    """One trust domain with one go-spiffe program that knows the other trust domain."""

    def __init__(self, name, other):
        self.agent = Agent(f"side-{name}", trust_domain=f"{name}.test")
        self.program = self.agent.app("app", clients.GO)
        self.spiffe_id = self.agent.identity("app", self.program, more=f"  federatesWith: [{other}.test]\n")
        self.agent.start()

    def learn(self, other):
        path = os.path.join(self.agent.top, "other.json")
        self.agent.replace(path, document(other.agent))
        code, out, err = self.agent.svid("bundle", "set", other.agent.trust_domain, path)
        assert code == 0, (out, err)

    def one(self, *words):
        return self.agent.one(self.program, *words)


def test_two_trust_domains_know_each_other_by_their_documents():
    left, right = Side("left", "right"), Side("right", "left")
    with left.agent, right.agent:
        left.learn(right)
        right.learn(left)
        serving = left.agent.play(left.program, "serve", "-peer", right.spiffe_id, "-for", "30s")
        address = serving.wait("listening")[0]["address"]
        greeted = right.one("dial", "-target", address, "-peer", left.spiffe_id)
        assert greeted["event"] == "greeted" and greeted["text"] == f"hello {right.spiffe_id}", greeted
        token = left.one("jwt", "-audience", "one")["svids"][0]["token"]
        valid = right.one("validate", "-audience", "one", "-token", token)
        assert valid["event"] == "valid" and valid["id"] == left.spiffe_id, valid
        own = left.one("validate", "-audience", "one", "-token", token)
        assert own["event"] == "valid", own


if __name__ == "__main__":
    case.main(globals())
