#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents change while svidd runs: what callers get, and what a broken or vanished document does."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from patience import Stopwatch  # noqa: E402  pylint: disable=wrong-import-position

RELOAD_S = 5  # a change of documents is in force within this


def has_identity(agent, program, spiffe_id):
    event = agent.one(program, "fetch")
    return event["event"] == "fetched" and spiffe_id in [s["id"] for s in event["svids"]]


def is_denied(agent, program):
    event = agent.one(program, "fetch")
    return event["event"] == "error" and event["code"] == "PermissionDenied"


def test_a_document_that_is_added_serves_the_next_caller():
    with Agent("added") as agent:
        app = agent.program("app", clients.go())
        agent.start()
        assert is_denied(agent, app)
        spiffe_id = agent.identity("app", app)
        assert until(lambda: has_identity(agent, app, spiffe_id), RELOAD_S), agent.svid("status")


def test_a_watch_that_was_denied_recovers_when_its_document_comes():
    with Agent("recovers") as agent:
        app = agent.program("app", clients.go())
        agent.start()
        watching = agent.play(app, "watch", "-for", "30s", "-count", "1")
        assert watching.wait("watch-error")[0]["code"] == "PermissionDenied"
        agent.identity("app", app)
        assert watching.wait("update", seconds=15)


def test_a_document_that_is_removed_ends_its_streams_and_no_others():
    with Agent("removed") as agent:
        app, other = agent.program("app", clients.go()), agent.program("other", clients.go())
        agent.identity("app", app)
        agent.identity("other", other)
        agent.start()
        gone, stays = agent.play(app, "stream", "-for", "30s"), agent.play(other, "stream", "-for", "30s")
        gone.wait("message")
        stays.wait("message")
        agent.remove("app")
        ended = gone.wait("ended", seconds=RELOAD_S)[0]
        assert ended["code"] in ("PermissionDenied", "Unavailable"), ended
        assert until(lambda: is_denied(agent, app), RELOAD_S)
        assert not stays.of("ended") and len(stays.of("message")) == 1, stays.events


def test_a_stream_whose_identities_grow_is_ended_and_attested_afresh():
    with Agent("grows") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        watching = agent.play(app, "watch", "-for", "30s")
        watching.wait("update")
        agent.identity("more", app, workload="more", more="  hint: more\n")
        assert until(lambda: any(len(e["svids"]) == 2 for e in watching.of("update")), 15), watching.events


def test_a_broken_document_keeps_its_last_good_version_and_is_stale():
    with Agent("broken") as agent:
        app, other = agent.program("app", clients.go()), agent.program("other", clients.go())
        spiffe_id = agent.identity("app", app)
        other_id = agent.identity("other", other)
        agent.start()
        stream = agent.play(app, "stream", "-for", "30s")
        stream.wait("message")
        agent.document("app", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: app\nspec:\n"
                       f"  workloadID: app\n  selectors:\n    - unix:path: {app}\n  nonsense: 1\n")
        assert until(lambda: "nonsense" in agent.svid("status", "-o", "json")[1], RELOAD_S), agent.svid("status")
        assert has_identity(agent, app, spiffe_id) and has_identity(agent, other, other_id)
        assert not stream.of("ended"), stream.events
        code, out, _ = agent.svid("status")
        assert "stale" in out and code != 0, (code, out)


def test_a_file_that_does_not_parse_keeps_what_it_had():
    with Agent("unparsed") as agent:
        app = agent.program("app", clients.go())
        spiffe_id = agent.identity("app", app)
        agent.start()
        assert has_identity(agent, app, spiffe_id)
        agent.document("app", "apiVersion: [svid/v1alpha1\nkind: }\n\t- x\n")
        assert until(lambda: "stale" in agent.svid("status")[1], RELOAD_S), agent.svid("status")
        assert has_identity(agent, app, spiffe_id)
        agent.document("app", "")
        assert until(lambda: is_denied(agent, app), RELOAD_S), "a document that is gone from a file that parses stays"


def test_a_stale_document_survives_a_restart():
    with Agent("stale-restart") as agent:
        app = agent.program("app", clients.go())
        spiffe_id = agent.identity("app", app)
        agent.start()
        assert has_identity(agent, app, spiffe_id)
        agent.document("app", "kind: [broken\n")
        assert until(lambda: "stale" in agent.svid("status")[1], RELOAD_S)
        agent.stop()
        agent.start()
        assert has_identity(agent, app, spiffe_id), agent.svid("status")


def test_many_documents_at_once_are_in_force_soon():
    with Agent("many") as agent:
        app = agent.program("app", clients.go())
        agent.start()
        for i in range(500):
            agent.identity(f"filler-{i}", f"/nonexistent/filler-{i}")
        spiffe_id = agent.identity("app", app)
        assert until(lambda: has_identity(agent, app, spiffe_id), 15), agent.svid("status")


def test_a_document_that_others_may_write_is_refused():
    with Agent("writable") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        os.chmod(os.path.join(agent.policy_dir, "app.yaml"), 0o664)
        agent.start()
        assert is_denied(agent, app)
        assert "app.yaml" in agent.svid("status", "-o", "json")[1]


def test_two_documents_for_one_spiffe_id_refuse_one_and_name_both():
    with Agent("twice") as agent:
        app = agent.program("app", clients.go())
        agent.identity("one", app, workload="same")
        agent.identity("two", app, workload="same")
        agent.start()
        assert len(agent.one(app, "fetch")["svids"]) == 1
        errors = agent.svid("status", "-o", "json")[1]
        assert "one" in errors and "two" in errors, errors


def test_garbage_files_of_every_kind_do_no_harm():
    with Agent("garbage") as agent:
        app = agent.program("app", clients.go())
        spiffe_id = agent.identity("app", app)
        agent.document("binary", "\x00\x01\x02\x7f\n")
        agent.document("anchor", "a: &a [1]\nb: [*a, *a, *a]\n")
        agent.document("deep", "[" * 5000)
        agent.document("huge", "# " + "x" * (2 << 20) + "\n")
        agent.document("kind", "apiVersion: svid/v1alpha1\nkind: Nothing\nmetadata:\n  name: x\n")
        agent.document("number", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: 7\nspec: 3\n")
        os.mkdir(os.path.join(agent.policy_dir, "folder.yaml"))
        os.symlink("/dev/zero", os.path.join(agent.policy_dir, "zero.yaml"))
        os.mkfifo(os.path.join(agent.policy_dir, "fifo.yaml"))
        os.symlink("nowhere", os.path.join(agent.policy_dir, "dangling.yaml"))
        watch = Stopwatch()
        agent.start()
        assert until(lambda: has_identity(agent, app, spiffe_id), 10), agent.svid("status")
        assert watch.seconds() < 15
        errors = agent.svid("status", "-o", "json")[1]
        for name in ("binary.yaml", "deep.yaml", "huge.yaml", "kind.yaml", "number.yaml"):
            assert name in errors, f"{name} is not named: {errors}"


# ---- what documents say of JWT-SVIDs, federation and the agent itself; the caller is our own CLI under another name ----

def caller(agent, name="app", more=""):
    program = agent.program(name, os.path.join(BIN, "svid"))
    agent.identity(name, program, more=more)
    return program


def fetch_jwt(agent, program, audience):
    """Exit code and everything said."""
    done = subprocess.run([program, "--socket", agent.endpoint, "fetch", "jwt", "--audience", audience], check=False,
                          capture_output=True, timeout=20, text=True)
    return done.returncode, done.stdout + done.stderr


def audiences(*names):
    return f"  svid:\n    jwt:\n      audiences: [{', '.join(names)}]\n"


def test_an_allow_list_of_audiences_holds_for_the_next_request():
    with Agent("audiences") as agent:
        app = caller(agent, more=audiences("good", "fine"))
        agent.start()
        assert until(lambda: fetch_jwt(agent, app, "good")[0] == 0, 20), fetch_jwt(agent, app, "good")
        code, said = fetch_jwt(agent, app, "bad")
        assert code and "audience not allowed" in said, said
        agent.identity("app", app, more=audiences("bad"))
        assert until(lambda: fetch_jwt(agent, app, "bad")[0] == 0, RELOAD_S), agent.svid("status")
        assert "audience not allowed" in fetch_jwt(agent, app, "good")[1]
        orders = [r for r in agent.records() if r.get("decision") == "jwt"]
        assert {r["why"] for r in orders if not r["allowed"]} >= {"ERR_AUDIENCE"}, orders
        issued = [r for r in agent.records() if r["event"] == "issue" and r.get("kind") == "jwt"]
        assert len({r["jti"] for r in issued}) == len(issued) >= 2, issued


def test_another_attestation_at_run_time_changes_nothing_and_says_so():
    with Agent("attestation") as agent:
        app = caller(agent)
        agent.start()
        tier = agent.status()["tier"]
        agent.settings(more="  attestation: socket\n")

        def waits():
            return [(r["setting"], r["configured"]) for r in agent.status()["restart_needed"]]
        assert until(lambda: ("attestation", "socket") in waits(), RELOAD_S), agent.svid("status")
        assert agent.status()["tier"] == tier
        assert until(lambda: fetch_jwt(agent, app, "a")[0] == 0, 20)
        agent.settings()
        assert until(lambda: not waits(), RELOAD_S), agent.svid("status")


def test_a_foreign_bundle_outlives_a_restart_and_an_older_one_is_refused():
    with Agent("foreign") as agent:
        caller(agent, more="  federatesWith: [other.example]\n")
        agent.start()
        with Agent("other", trust_domain="other.example") as other:
            other.start()
            assert until(lambda: other.status()["authority"]["jwt_keys"], 20)
            bundle = json.loads(other.svid("bundle", "show", "--format", "spiffe")[1])
        path = os.path.join(agent.top, "bundle.json")

        def keep(sequence):
            agent.replace(path, json.dumps({**bundle, "spiffe_sequence": sequence}))
            return agent.svid("bundle", "set", "other.example", path)
        assert keep(7)[0] == 0
        code, _, said = keep(6)
        assert code, said
        agent.stop()
        agent.start()
        listed = json.loads(agent.svid("bundle", "list", "-o", "json")[1])["bundles"]
        assert [(b["trust_domain"], b["sequence"], b["x509_authorities"]) for b in listed] == [("other.example", 7, 1)]
        assert listed[0]["federated_by"] == [f"spiffe://{agent.trust_domain}/app"]


if __name__ == "__main__":
    case.main(globals())
