#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Envoy's secrets (SDS) while documents, bundles and settings change, as a scripted client sees it.

The client is `svid-conformance --sds`: it subscribes, ACKs, and prints each answer as a line of JSON. Single requests
are held against the clauses SDS-* in tests/conformance; real Envoys are in envoy_test.py.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import CONFORMANCE, ROOT, SLOW, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from foreign import TrustDomain  # noqa: E402  pylint: disable=wrong-import-position

CLAUSES = os.path.join(ROOT, "conformance", "clauses.tsv")
RELOAD_S = 5  # a change of documents is in force within this
QUIET_S = 1.5  # after a change that concerns somebody else
PERMISSION_DENIED, UNAVAILABLE = 7, 14


def subscribe(agent, program, names, *words, seconds=60):
    return agent.play(program, "--socket", agent.socket, "--sds", names, "--watch", str(seconds), *words)


def first(stream):
    return stream.wait("message")[0]


def secrets(message):
    return {s["name"]: s for s in message["secrets"]}


def answer(agent, program, names, *words):
    """The first answer to a client that waits for one second, None when there is none."""
    stream = subscribe(agent, program, names, *words, seconds=1)
    stream.finish()
    said = stream.of("message")
    return said[0] if said else None


def is_served(agent, program):
    said = answer(agent, program, "default")
    return said is not None and "default" in secrets(said)


def grows(stream):
    """Each answer has a greater version than the one before, and a nonce of its own."""
    said = stream.of("message")
    for before, after in zip(said, said[1:]):
        assert int(before["version"]) < int(after["version"]), stream.said()
    assert len({m["nonce"] for m in said}) == len(said), stream.said()


def quiet(stream, n):
    """The stream lives and has n answers, also a while later."""
    time.sleep(QUIET_S * SLOW)
    assert len(stream.of("message")) == n and not stream.of("ended"), stream.said()


def test_a_document_withdrawn_ends_the_stream_and_one_that_returns_serves_it_again():
    with Agent("sdsgone") as agent:
        app = agent.program("app", CONFORMANCE)
        agent.identity("app", app)
        agent.start()
        streams = [subscribe(agent, app, "default,ROOTCA", *words) for words in ((), ("--delta",))]
        for stream in streams:
            assert secrets(first(stream)).keys() == {"default", "ROOTCA"}, stream.said()
        agent.remove("app")
        for stream in streams:
            ended = stream.wait("ended", seconds=RELOAD_S)[0]
            assert ended["status"] in (PERMISSION_DENIED, UNAVAILABLE), ended
        # Envoy connects again: its names are unanswered, its stream lives; delta says that there is nothing.
        assert until(lambda: not is_served(agent, app), RELOAD_S)
        waiting = subscribe(agent, app, "default,ROOTCA")
        delta = subscribe(agent, app, "default,ROOTCA", "--delta")
        nothing = first(delta)
        assert not nothing["secrets"] and set(nothing["removed"]) == {"default", "ROOTCA"}, nothing
        quiet(delta, 1)
        assert not any(m["secrets"] for m in waiting.of("message")) and not waiting.of("ended"), waiting.said()
        agent.identity("app", app)
        # The connection of a caller whose identities change ends, too; what connects then is served.
        assert until(lambda: waiting.of("ended") or any(m["secrets"] for m in waiting.of("message")), RELOAD_S * 2), waiting.said()
        assert until(lambda: is_served(agent, app), RELOAD_S)
        for stream in (subscribe(agent, app, "default,ROOTCA"), subscribe(agent, app, "default,ROOTCA", "--delta")):
            assert secrets(first(stream)).keys() == {"default", "ROOTCA"}, stream.said()


def test_equal_bytes_are_not_pushed_when_others_rotate_or_documents_change_nothing():
    with Agent("sdsquiet") as agent:
        app, other = agent.program("app", CONFORMANCE), agent.program("other", CONFORMANCE)
        agent.identity("app", app)
        agent.identity("other", other, x509_ttl="10s")
        agent.start()
        mine = [subscribe(agent, app, "default,ROOTCA,ALL", *words) for words in ((), ("--delta",))]
        theirs = subscribe(agent, other, "default,ROOTCA")
        for stream in (*mine, theirs):
            first(stream)
        agent.identity("app", app, more="  # the same, said otherwise\n")
        agent.document("nobody", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: nobody\nspec:\n"
                       "  workloadID: nobody\n  selectors:\n    - unix:path: /no/such/program\n")
        theirs.wait("message", 3, seconds=20)
        for stream in mine:
            quiet(stream, 1)
        grows(theirs)
        for before, after in zip(theirs.of("message"), theirs.of("message")[1:]):
            assert secrets(before)["default"]["digest"] != secrets(after)["default"]["digest"], theirs.said()
            assert secrets(after)["default"]["pair"], after
            assert secrets(before)["ROOTCA"]["digest"] == secrets(after)["ROOTCA"]["digest"], theirs.said()


def test_a_foreign_bundle_comes_and_goes_by_name_and_in_all():
    with Agent("sdsforeign") as agent:
        partner = TrustDomain("partner.example")
        app = agent.program("app", CONFORMANCE)
        agent.identity("app", app, more="  federatesWith: [partner.example]\n")
        agent.start()
        named = "spiffe://partner.example"
        every, alone = subscribe(agent, app, "ALL"), subscribe(agent, app, f"ROOTCA,{named}")
        delta = subscribe(agent, app, f"ROOTCA,{named}", "--delta")
        assert "partner.example" not in secrets(first(every))["ALL"]["text"], every.said()
        assert secrets(first(alone)).keys() == {"ROOTCA"}, alone.said()
        assert first(delta)["removed"] == [named], delta.said()
        code, out, err = agent.svid("bundle", "set", "partner.example", partner.bundle())
        assert code == 0, (out, err)
        assert "partner.example" in secrets(every.wait("message", 2)[1])["ALL"]["text"]
        assert named in secrets(alone.wait("message", 2)[1])
        assert secrets(delta.wait("message", 2)[1]).keys() == {named}
        real = secrets(delta.of("message")[1])[named]["digest"]
        assert agent.svid("bundle", "delete", "partner.example")[0] == 0
        assert "partner.example" not in secrets(every.wait("message", 3)[2])["ALL"]["text"]
        # Who keeps a bundle by its name gets one that trusts nobody in its place.
        gone = secrets(alone.wait("message", 3)[2])
        assert gone[named]["digest"] != real, alone.said()
        last = delta.wait("message", 3)[2]
        assert named in last["removed"] or secrets(last)[named]["digest"] != real, last
        for stream in (every, alone, delta):
            quiet(stream, 3)
            grows(stream)


def test_names_and_form_are_settings_that_hold_for_running_streams():
    with Agent("sdsnames", more_settings="  sds:\n    defaultSVIDName: mine\n    allBundlesName: EVERYBODY\n") as agent:
        app = agent.program("app", CONFORMANCE)
        agent.identity("app", app)
        agent.start()
        stream = subscribe(agent, app, "default,mine,ROOTCA,ALL,EVERYBODY")
        before = secrets(first(stream))
        assert before.keys() == {"mine", "ROOTCA", "EVERYBODY"}, stream.said()
        assert before["ROOTCA"]["kind"] == "validator", before
        agent.settings(more="  sds:\n    validator: plain\n")
        after = secrets(stream.wait("message", 2, seconds=RELOAD_S * 2)[1])
        # Without the validator one trust domain could speak for another, so there is no ALL.
        assert after.keys() == {"default", "ROOTCA"}, stream.said()
        assert after["ROOTCA"]["kind"] == "plain" and "BEGIN CERTIFICATE" in after["ROOTCA"]["text"], after


def test_peers_of_the_document_are_san_matchers_and_follow_it():
    with Agent("sdspeers") as agent:
        app = agent.program("app", CONFORMANCE)
        first_peers = ["spiffe://e2e.test/db", "prefix:spiffe://e2e.test/ns/"]
        agent.identity("app", app, more=f"  sds:\n    peers: {first_peers}\n")
        agent.start()
        state, delta = subscribe(agent, app, "default,ROOTCA,ALL"), subscribe(agent, app, "default,ROOTCA,ALL", "--delta")
        for stream in (state, delta):
            given = secrets(first(stream))
            assert given["ROOTCA"]["peers"] == given["ALL"]["peers"] == first_peers, stream.said()
        agent.identity("app", app, more="  sds:\n    peers: [spiffe://e2e.test/other]\n")
        for stream in (state, delta):
            given = secrets(stream.wait("message", 2, seconds=RELOAD_S * 2)[1])
            assert given["ROOTCA"]["peers"] == given["ALL"]["peers"] == ["spiffe://e2e.test/other"], stream.said()
        assert secrets(delta.of("message")[1]).keys() == {"ROOTCA", "ALL"}, delta.said()
        agent.identity("app", app)
        for stream in (state, delta):
            assert secrets(stream.wait("message", 3, seconds=RELOAD_S * 2)[2])["ROOTCA"]["peers"] == [], stream.said()
            quiet(stream, 3)
            grows(stream)


def test_a_caller_without_identity_gets_the_own_bundle_only_where_settings_say_so():
    with Agent("sdsnobody") as agent:
        app = agent.program("app", CONFORMANCE)
        agent.start()
        refused = answer(agent, app, "default,ROOTCA,ALL")
        assert refused is None or not refused["secrets"], refused
    with Agent("sdsnobody", more_settings="  sds:\n    bundlesWithoutIdentity: true\n") as agent:
        app = agent.program("app", CONFORMANCE)
        agent.start()
        given = answer(agent, app, "default,ROOTCA")
        assert given and secrets(given).keys() == {"ROOTCA"}, given
        # The Workload API's bundles are not SDS': it refuses as before.
        judge = agent.play(app, "--socket", agent.socket, "--clauses", agent.readable(CLAUSES), "--expect", "none", "--only", "WA-5")
        assert judge.finish(60) == 0 and any(" passed, 0 failed" in line for line in judge.other), judge.other


if __name__ == "__main__":
    case.main(globals())
