#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Credential documents that change under a real svidd, and helpers[] as SDKs run them. Kind jwt needs no token service."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, until  # noqa: E402  pylint: disable=wrong-import-position
from tree import Tree  # noqa: E402  pylint: disable=wrong-import-position

RELOAD_S = 5  # a change of documents is in force within this
SHELL = os.path.realpath("/bin/sh")

# How SDKs run a credential_process: botocore without a shell; Node, Go, Java and C++ by sh -c.
RUNS = """
import json, subprocess, sys
path = sys.argv[1] + "/" + sys.argv[2]
def text(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **more)
    return done.stdout or "refused" if "denied" in done.stderr or done.stdout else done.stderr
print(json.dumps({"direct": text(["/bin/cat", path]), "shell": text("/bin/cat " + path, shell=True),
                  "twice": text("( /bin/cat " + path + "; true ); true", shell=True)}))
"""


class Tokens(Tree):
    """A Tree; alice and carol have a token each, of sources of their own."""

    def __init__(self, name, helpers=()):
        super().__init__(name)
        for who in ("alice", "carol"):
            self.agent.source(f"{who}-source", {"jwt": {"audiences": [who]}})
            self.agent.credential(f"{who}-token", who, f"{who}-source", **({"helpers": list(helpers)} if helpers else {}))

    def __enter__(self):
        super().__enter__()
        assert until(self.alice_reads, 20), self.agent.explain()
        return self

    def path(self, who):
        return f"{self.own(who)}/jwt/{who}-token"

    def alice_reads(self):
        return self.read(self.alice, self.path("alice"))[0].startswith(b"eyJ")

    def runs(self, file=None):
        return self.python(self.carol, RUNS, file or self.path("carol"))

    def errors(self):
        return [e["text"] for e in self.agent.status()["documents"]["errors"] if e["severity"] == "error"]


def is_token(text):
    return text.startswith("eyJ")


def test_a_helper_reads_for_the_workload_that_runs_it_as_sdks_do():
    with Tokens("helper-direct", ["/bin/cat"]) as t:
        got = t.runs()
        assert is_token(got["direct"]), got
        assert "refused" == got["twice"], got
        # Debian's sh forks once more; others become the command
        assert is_token(got["shell"]) or got["shell"] == "refused", got
        assert is_token(t.runs("self/jwt/carol-token")["direct"])
        reads = [r for r in t.agent.records() if r.get("event") == "read" and r["allowed"] and "for" in r]
        assert reads and reads[-1]["for"]["path"] == t.carol and reads[-1]["path"].endswith("/cat"), reads
        assert reads[-1]["spiffe_id"] == t.ids["carol"], reads
        assert t.runs(t.path("alice"))["direct"] == "refused", "carol's helper, alice's file"
        assert t.runs(f"{t.own('carol')}/svid/key.pem")["direct"] == "refused"


def test_a_shell_may_be_in_between_when_the_document_names_it():
    with Tokens("helper-shell", ["/bin/cat", SHELL]) as t:
        got = t.runs()
        assert is_token(got["direct"]) and is_token(got["shell"]), got
        assert got["twice"] == "refused", "two shells are one too many"


def test_who_is_no_helper_any_more_is_refused_at_once():
    with Tokens("helper-gone", ["/bin/cat"]) as t:
        assert is_token(t.runs()["direct"])
        t.agent.credential("carol-token", "carol", "carol-source")
        assert until(lambda: t.runs()["direct"] == "refused", RELOAD_S), t.agent.explain()
        t.agent.credential("carol-token", "carol", "carol-source", helpers=["/bin/cat"])
        assert until(lambda: is_token(t.runs()["direct"]), RELOAD_S), t.agent.explain()


def test_a_source_that_vanishes_takes_its_credential_along_and_brings_it_back():
    with Tokens("vanish") as t:
        t.agent.remove("alice-source")
        assert until(lambda: "No such file" in t.read(t.alice, t.path("alice"))[1], RELOAD_S), t.agent.explain()
        assert any("there is no CredentialSource alice-source" in e for e in t.errors()), t.errors()
        t.agent.source("alice-source", {"jwt": {"audiences": ["other"]}})
        assert until(t.alice_reads, RELOAD_S), t.agent.explain()
        assert not t.errors()


def test_a_source_that_is_written_wrongly_serves_on_and_is_stale():
    with Tokens("wrong") as t:
        t.agent.source("alice-source", {"jwt": {"audiences": ["alice"]}, "stray": 1})
        assert until(lambda: any("unknown key 'stray'" in e for e in t.errors()), RELOAD_S), t.agent.status()
        stale = t.agent.status()["documents"]["stale"]
        assert ("CredentialSource", "alice-source") in [(s["kind"], s["name"]) for s in stale], stale
        assert t.alice_reads()


def test_a_reserved_name_and_a_missing_issuer_are_refused_with_what_to_do():
    with Tokens("refused") as t:
        t.agent.credential("self", "alice", "alice-source")
        t.agent.source("entra", {"azure": {"tenantID": "t", "clientID": "12345678-1234-1234-1234-123456789abc",
                                           "scope": "https://vault.azure.net/.default"}})
        assert until(lambda: len(t.errors()) == 2, RELOAD_S), t.errors()
        assert any("names in the credential tree already" in e for e in t.errors()), t.errors()
        assert any("set spec.jwt.issuer in svid.yaml" in e for e in t.errors()), t.errors()
        assert t.alice_reads()


BROKEN = """apiVersion: svid/v1alpha1
kind: WorkloadCredential
metadata:
  name: jwt
spec:
  workloadID: web
  credentialSource: nowhere
---
apiVersion: svid/v1alpha1
kind: WorkloadCredential
metadata:
  name: orphan
spec:
  workloadID: web
  credentialSource: nowhere
"""


def test_policy_check_names_file_line_and_column():
    with tempfile.TemporaryDirectory(prefix="svid-check-") as top:
        path = os.path.join(top, "clouds.yaml")
        with open(path, "w", encoding="ascii") as f:
            f.write(BROKEN)
        done = subprocess.run([os.path.join(BIN, "svid"), "policy", "check", top], capture_output=True, text=True, check=False)
        assert done.returncode == 1, done
        assert f"{path}:4:9: error: jwt: metadata.name: 'jwt': svid, aws" in done.stdout, done.stdout
        assert f"{path}:9:1: error: orphan: there is no CredentialSource nowhere" in done.stdout, done.stdout
        assert "2 errors" in done.stdout, done.stdout


if __name__ == "__main__":
    case.main(globals())
