#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What svid says and prints about cloud credentials, against a real svidd and token services on loopback."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, until  # noqa: E402  pylint: disable=wrong-import-position
from token_service import CLIENT, PROVIDER, ROLE, TENANT, TokenService  # noqa: E402  pylint: disable=wrong-import-position
from tree import Tree  # noqa: E402  pylint: disable=wrong-import-position

ISSUER = "https://issuer.example/e2e"
NO, USAGE = 1, 2
ANYWHERE = {"awsRolesAnywhere": {
    "trustAnchorArn": "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/aaaa",
    "profileArn": "arn:aws:rolesanywhere:eu-central-1:123456789012:profile/bbbb",
    "roleArn": "arn:aws:iam::123456789012:role/team/demo", "endpoint": "https://127.0.0.1:1", "sessionName": True}}


class Clouds(Tree):
    """A Tree with sources of these kinds; alice has a credential of each."""

    def __init__(self, name, service, *kinds, issuer=ISSUER, sources=None):
        super().__init__(name)
        self.service = service
        self.agent.settings(more=f"  jwt:\n    issuer: {issuer}\n" if issuer else "")
        for kind in kinds:
            self.agent.source(f"{kind}-source", (sources or {}).get(kind) or service.source(kind))
            self.agent.credential(f"alice-{kind}", "alice", f"{kind}-source")

    def svid(self, *words, code=0):
        got, out, err = self.agent.svid(*words)
        assert got == code, (words, got, out, err, self.agent.explain())
        return out if code == 0 else out + err

    def json(self, *words, code=0):
        got, out, err = self.agent.svid(*words, "-o", "json")
        assert got == code, (words, got, out, err, self.agent.explain())
        return json.loads(out)

    def credential(self, name):
        """What is said of it now."""
        _, out, _ = self.agent.svid("credentials", name, "-o", "json")
        return json.loads(out) if out else {}

    def wait(self, name, **want):
        assert until(lambda: all(self.credential(name).get(k) == v for k, v in want.items()), 20), (
            want, self.credential(name), self.agent.explain())
        return self.credential(name)


if __name__ == "__main__":
    with TokenService() as service, Clouds("x", service, "aws", "gcp", "azure", "jwt", "awsRolesAnywhere", sources={"awsRolesAnywhere": ANYWHERE}) as t:
        t.wait("alice-gcp", state="ready")
        for words in sys.stdin:
            print("$ svid", words.strip())
            print(*t.agent.svid(*words.split()), sep="\n")
