#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Identity by unix:sha256: who gets it, what is shown of it, and what a change of documents or of the file does."""
import hashlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, CALLER_UID, TRUST_DOMAIN, Agent, until  # noqa: E402  pylint: disable=wrong-import-position

SVID = os.path.join(BIN, "svid")


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def another_version(agent, name, tail):
    """A program that does the same and has another digest; old enough that its digest is believed."""
    path = agent.program(name, SVID)
    with open(path, "ab") as f:
        f.write(tail)
    time.sleep(0.1)
    return path


def by_digest(agent, name, path, more=""):
    agent.document(name, f"apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: {name}\nspec:\n"
                   f"  workloadID: {name}\n  selectors:\n    - unix:sha256: {digest_of(path)}\n{more}")
    return f"spiffe://{TRUST_DOMAIN}/{name}"


def run(agent, path, *words):
    done = subprocess.run([path, *words], capture_output=True, check=False, stdin=subprocess.DEVNULL, cwd="/", timeout=60,
                          user=CALLER_UID, group=CALLER_UID, extra_groups=[],
                          env={"SPIFFE_ENDPOINT_SOCKET": agent.endpoint, "PATH": "/usr/bin:/bin"})
    return done.returncode, done.stdout.decode()


def whoami(agent, path):
    return json.loads(run(agent, path, "-o", "json", "whoami")[1])


def identities(facts):
    return [i["spiffe_id"] for i in facts["identities"]]


def test_the_file_with_that_content_has_the_identity_under_any_name():
    with Agent("digest") as agent:
        app, other = another_version(agent, "app", b"1"), another_version(agent, "other", b"2")
        spiffe_id = by_digest(agent, "app", app)
        agent.start()
        facts = whoami(agent, app)
        assert identities(facts) == [spiffe_id] and facts["sha256"]["value"] == digest_of(app), facts
        os.rename(app, app + "-renamed")
        time.sleep(0.1)  # that moved its change time
        facts = whoami(agent, app + "-renamed")
        assert identities(facts) == [spiffe_id], facts
        facts = whoami(agent, other)
        assert identities(facts) == [] and facts["sha256"]["value"] == digest_of(other), facts
        assert run(agent, other, "fetch", "x509")[0] == 1
        records = agent.records()
        assert any(r.get("sha256") == digest_of(other) and r.get("decision") == "none" for r in records), records


def test_nobody_is_hashed_where_no_document_could_match_him():
    with Agent("digest-none") as agent:
        app = another_version(agent, "app", b"1")
        by_digest(agent, "app", app, more="      unix:uid: 4711\n")
        agent.start()
        facts = whoami(agent, app)
        assert identities(facts) == [] and "sha256" not in facts, facts
        assert agent.status()["digests"]["hashed"] == 0, agent.status()


def test_a_new_version_is_another_file():
    with Agent("digest-new") as agent:
        app = another_version(agent, "app", b"1")
        spiffe_id = by_digest(agent, "app", app)
        agent.start()
        assert identities(whoami(agent, app)) == [spiffe_id]
        newer = another_version(agent, "newer", b"22")
        os.rename(newer, app)
        time.sleep(0.1)
        assert identities(whoami(agent, app)) == []
        by_digest(agent, "app", app)
        assert until(lambda: identities(whoami(agent, app)) == [spiffe_id], 5)


def test_who_is_connected_when_a_document_asks_for_digests_comes_again():
    with Agent("digest-later") as agent:
        app = another_version(agent, "app", b"1")
        agent.start()
        watch = subprocess.Popen([app, "-o", "json", "watch"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, user=CALLER_UID,
                                 group=CALLER_UID, extra_groups=[], cwd="/", stdin=subprocess.DEVNULL,
                                 env={"SPIFFE_ENDPOINT_SOCKET": agent.endpoint, "PATH": "/usr/bin:/bin"})
        try:
            time.sleep(0.5)
            spiffe_id = by_digest(agent, "app", app)
            assert until(lambda: identities(whoami(agent, app)) == [spiffe_id], 5)
        finally:
            watch.kill()
            watch.communicate()


def test_explain_hashes_a_process_that_is_not_connected():
    with Agent("digest-explain") as agent:
        sleep = agent.program("sleep", "/bin/sleep")
        time.sleep(0.1)
        spiffe_id = by_digest(agent, "sleep", sleep)
        agent.start()
        idle = subprocess.Popen([sleep, "30"])
        try:
            facts = json.loads(agent.svid("explain", str(idle.pid), "-o", "json")[1])
            assert identities(facts) == [spiffe_id] and facts["sha256"]["value"] == digest_of(sleep), facts
        finally:
            idle.kill()
            idle.wait()


def test_what_was_changed_in_the_moment_before_its_exec_is_told_to_start_again():
    with Agent("digest-fresh") as agent:
        app = another_version(agent, "app", b"1")
        spiffe_id = by_digest(agent, "app", app)
        agent.start()
        for _ in range(20):
            os.chmod(app, 0o755)
            facts = whoami(agent, app)
            if identities(facts) == []:
                break
        if agent.status()["tier"] != "socket":
            assert "start it again" in facts["sha256"]["unknown"], facts
        time.sleep(0.1)
        assert identities(whoami(agent, app)) == [spiffe_id]


if __name__ == "__main__":
    case.main(globals())
