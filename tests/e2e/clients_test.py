#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients of other implementations: go-spiffe, the one most used, and rust spiffe, the strictest."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import TRUST_DOMAIN, Agent  # noqa: E402  pylint: disable=wrong-import-position


def one_svid(event, spiffe_id):
    assert event["event"] in ("fetched", "update"), event
    assert [s["id"] for s in event["svids"]] == [spiffe_id], event
    return event["svids"][0]


def serials(events):
    return [e["svids"][0]["serial"] for e in events]


def test_go_spiffe_fetches_its_svid_and_bundle():
    with Agent("go-fetch") as agent:
        alice = agent.program("alice", clients.go())
        spiffe_id = agent.identity("alice", alice)
        agent.start()
        event = agent.one(alice, "fetch")
        svid = one_svid(event, spiffe_id)
        assert 3500 < svid["not_after"] - svid["not_before"] < 3700, svid
        assert list(event["bundles"]) == [TRUST_DOMAIN] and event["bundles"][TRUST_DOMAIN], event
        bundles = agent.one(alice, "bundles")
        assert bundles["bundles"] == event["bundles"], (bundles, event)


def test_rust_spiffe_accepts_the_svid_and_bundle():
    with Agent("rust-fetch") as agent:
        alice = agent.program("alice", clients.rust())
        spiffe_id = agent.identity("alice", alice)
        agent.start()
        events, code = agent.run(alice, "fetch", agent.endpoint)
        assert code == 0 and [e["event"] for e in events] == ["fetched", "bundles"], events
        one_svid(events[0], spiffe_id)
        events, code = agent.run(alice, "source", agent.endpoint, "10", "1")
        assert code == 0, events
        one_svid(events[0], spiffe_id)


def test_two_identities_come_with_the_default_first():
    with Agent("two") as agent:
        both = agent.program("both", clients.go())
        agent.identity("second", both, workload="z/second", more="  hint: internal\n  priority: 1\n")
        agent.identity("first", both, workload="a/first", more="  hint: external\n  priority: 9\n")
        agent.start()
        svids = agent.one(both, "fetch")["svids"]
        assert [s["hint"] for s in svids] == ["external", "internal"], svids
        assert [s["id"] for s in svids] == [f"spiffe://{TRUST_DOMAIN}/a/first", f"spiffe://{TRUST_DOMAIN}/z/second"]


def test_dns_names_are_in_the_svid():
    with Agent("dns") as agent:
        web = agent.program("web", clients.go())
        agent.identity("web", web, more="  svid:\n    x509:\n      dnsNames: [web.internal, www.internal]\n")
        agent.start()
        svid = agent.one(web, "fetch")["svids"][0]
        assert svid["dns"] == ["web.internal", "www.internal"], svid


def test_an_identity_of_2048_bytes_is_issued():
    with Agent("long") as agent:
        app = agent.program("app", clients.go())
        path = "p" * (2048 - len(f"spiffe://{TRUST_DOMAIN}/"))
        spiffe_id = agent.identity("long", app, workload=path)
        assert len(spiffe_id) == 2048
        agent.start()
        one_svid(agent.one(app, "fetch"), spiffe_id)


def test_another_program_of_the_same_user_gets_no_identity():
    with Agent("other") as agent:
        alice = agent.program("alice", clients.go())
        mallory = agent.program("mallory", clients.go())
        spiffe_id = agent.identity("alice", alice)
        agent.start()
        refused = agent.one(mallory, "fetch")
        assert refused["event"] == "error" and refused["code"] == "PermissionDenied", refused
        assert "no identity issued" in refused["text"], refused
        refused = agent.one(mallory, "bundles")
        assert refused["event"] == "error" and refused["code"] == "PermissionDenied", refused
        one_svid(agent.one(alice, "fetch"), spiffe_id)
        decisions = {r["path"]: r for r in agent.records() if r["event"] == "decision"}
        assert decisions[alice]["decision"] == "allow" and decisions[alice]["identities"] == [spiffe_id], decisions
        assert decisions[mallory]["decision"] == "none" and decisions[mallory]["identities"] == [], decisions
        assert [r["spiffe_id"] for r in agent.records() if r["event"] == "issue"] == [spiffe_id]


def test_rust_spiffe_understands_that_it_has_no_identity():
    with Agent("rust-none") as agent:
        mallory = agent.program("mallory", clients.rust())
        agent.start()
        events, code = agent.run(mallory, "fetch", agent.endpoint)
        assert code == 1 and "NoIdentityIssued" in events[-1]["text"], events


def test_clients_of_both_kinds_see_every_rotation():
    with Agent("rotation") as agent:
        programs = {"go": agent.program("go", clients.go()), "rust": agent.program("rust", clients.rust())}
        for name, path in programs.items():
            agent.identity(name, path, x509_ttl="10s")
        agent.start()
        players = [
            agent.play(programs["go"], "watch", "-count", "4", "-for", "40s"),
            agent.play(programs["go"], "source", "-count", "4", "-for", "40s"),
            agent.play(programs["rust"], "source", agent.endpoint, "40", "4"),
        ]
        for player in players:
            assert player.finish(45) == 0, (player.events, player.other)
            updates = player.of("update")
            assert len(set(serials(updates))) == 4, updates
            gaps = [b["seen"] - a["seen"] for a, b in zip(updates, updates[1:])]
            assert all(1.5 < gap < 9.5 for gap in gaps), f"rotations {gaps} s apart with a life of 10 s"
            assert not player.of("watch-error", "withdrawn"), player.events


def test_no_svid_is_handed_out_that_is_about_to_expire():
    with Agent("fresh") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app, x509_ttl="10s")
        agent.start()
        watch = agent.play(app, "stream", "-for", "14s")
        for _ in range(6):
            event = agent.one(app, "fetch")
            left = event["svids"][0]["not_after"] - event["at"]
            assert left > 2, f"an SVID with {left:.1f} s left was handed out"
        watch.finish(20)


def test_two_workloads_speak_mutual_tls():
    with Agent("mtls") as agent:
        server, client = agent.program("server", clients.go()), agent.program("client", clients.go())
        stranger = agent.program("stranger", clients.go())
        ids = {name: agent.identity(name, path) for name, path in
               {"server": server, "client": client, "stranger": stranger}.items()}
        agent.start()
        serving = agent.play(server, "serve", "-peer", ids["client"], "-for", "30s")
        address = serving.wait("listening")[0]["address"]
        greeted = agent.one(client, "dial", "-target", address, "-peer", ids["server"])
        assert greeted["event"] == "greeted" and greeted["text"] == f"hello {ids['client']}", greeted
        refused = agent.one(client, "dial", "-target", address, "-peer", ids["stranger"])
        assert refused["event"] == "error", refused
        refused = agent.one(stranger, "dial", "-target", address, "-peer", ids["server"])
        assert refused["event"] == "error", refused
        assert [e["peer"] for e in serving.of("accepted")] == [ids["client"]], serving.events


def test_mutual_tls_goes_on_across_a_rotation():
    with Agent("mtls-rotation") as agent:
        server, client = agent.program("server", clients.go()), agent.program("client", clients.go())
        ids = {"server": agent.identity("server", server, x509_ttl="10s"),
               "client": agent.identity("client", client, x509_ttl="10s")}
        agent.start()
        serving = agent.play(server, "serve", "-peer", ids["client"], "-for", "40s")
        address = serving.wait("listening")[0]["address"]
        watching = agent.play(client, "watch", "-for", "40s")
        watching.wait("update", 1)
        for rotations in (1, 2, 3):
            watching.wait("update", rotations, seconds=15)
            greeted = agent.one(client, "dial", "-target", address, "-peer", ids["server"])
            assert greeted["event"] == "greeted", greeted


if __name__ == "__main__":
    case.main(globals())
