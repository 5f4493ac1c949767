#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One workload in each language that people use, all asked the same: go-spiffe, rust spiffe, PyPI spiffe, grpc-js, java-spiffe.

T=java or T=rotation runs some of them. What only one library can do is in clients_test.py.
"""
import base64
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, TRUST_DOMAIN, Agent  # noqa: E402  pylint: disable=wrong-import-position
from foreign import TrustDomain  # noqa: E402  pylint: disable=wrong-import-position

EVERY = case.each(clients.ALL, globals())
INTERPRETED = case.each([clients.PYTHON, clients.NODE, clients.JAVA], globals())


class World:
    """An agent and one program of that client, which has an identity."""

    def __init__(self, client, what, x509_ttl=None, more="", settings=""):
        self.client = client
        self.agent = Agent(f"{client.name}-{what}", more_settings=settings)
        self.program = self.agent.app("app", client)
        self.spiffe_id = self.agent.identity("app", self.program, x509_ttl=x509_ttl, more=more)

    def __enter__(self):
        self.agent.start()
        return self

    def __exit__(self, *error):
        return self.agent.__exit__(*error)

    def command(self, *words):
        return self.client.command(self.agent.endpoint, *words)

    def play(self, *words):
        return self.agent.play(self.program, *self.command(*words))

    def ask(self, *words, env=()):
        """Every event of one run."""
        events, _ = self.agent.run(self.program, *self.command(*words), seconds=45, env=env)
        assert events, f"{self.client.name} {words} said nothing"
        return events

    def one(self, kind, *words):
        events = self.ask(*words)
        assert events[0]["event"] == kind, events
        return events[0]


def ids(event):
    return [svid["id"] for svid in event["svids"]]


def parts(token):
    return [json.loads(base64.urlsafe_b64decode(part + "===")) for part in token.split(".")[:2]]


# X.509

@EVERY
def gets_its_svid_and_bundle(client):
    with World(client, "fetch") as w:
        event = w.one("fetched", "fetch")
        assert ids(event) == [w.spiffe_id], event
        assert client is clients.RUST or list(event["bundles"]) == [TRUST_DOMAIN], event


def test_every_client_sees_every_rotation():
    """Side by side, for the time that three rotations take is the same."""
    with Agent("rotation") as agent:
        programs = {client: agent.app(client.name, client) for client in clients.ALL}
        for client, program in programs.items():
            agent.identity(client.name, program, x509_ttl="10s")
        agent.start()
        players = [agent.play(program, *client.command(agent.endpoint, "source", "3"))
                   for client, program in programs.items()]
        for player in players:
            assert player.finish(45) == 0, player.said()
            updates = player.of("update")
            assert len({u["svids"][0]["serial"] for u in updates}) == 3, updates
            assert not player.of("watch-error", "withdrawn", "error"), player.said()


@EVERY
def returns_after_a_restart_of_svidd(client):
    with World(client, "restart") as w:
        player = w.play("source", "2")
        player.wait("update", 1, 20)
        w.agent.stop()
        w.agent.start()
        assert player.finish(45) == 0, player.said()
        first, second = player.of("update")
        assert ids(first) == ids(second) == [w.spiffe_id], player.said()
        assert first["svids"][0]["serial"] != second["svids"][0]["serial"], "a new life of svidd makes new keys"


@EVERY
def without_identity_is_told_so(client):
    world = World(client, "none")
    world.agent.remove("app")
    with world as w:
        said = str(w.ask("fetch"))
        assert "no identity issued" in said or "NoIdentityIssued" in said, said


# another program of the same interpreter

@INTERPRETED
def another_script_of_the_same_interpreter_gets_nothing(client):
    with World(client, "script") as w:
        other = w.agent.app("other", client)
        events, code = w.agent.run(other, *w.command("fetch"), seconds=45)
        assert code != 0 and events[0]["event"] == "error", events
        assert ids(w.one("fetched", "fetch")) == [w.spiffe_id]


@INTERPRETED
def code_from_the_environment_costs_the_identity(client):
    """clean-env: the interpreter is the right one and so is the script, but somebody else's code would run in it."""
    foreign = {"python": {"PYTHONPATH": "/tmp"}, "node": {"NODE_OPTIONS": "--no-warnings"},
               "java": {"JDK_JAVA_OPTIONS": "-Dfoo=bar"}}[client.name]
    with World(client, "env", more="  require: [clean-env]\n") as w:
        assert ids(w.one("fetched", "fetch")) == [w.spiffe_id]
        events = w.ask("fetch", env=foreign)
        assert events[-1]["event"] == "error", events


# JWT

@EVERY
def gets_jwt_svids_that_its_library_accepts(client):
    with World(client, "jwt") as w:
        event = w.one("jwt", "jwt", "one", "two")
        assert ids(event) == [w.spiffe_id], event
        svid = event["svids"][0]
        assert set(svid["aud"]) == {"one", "two"}, svid
        header, claims = parts(svid["token"])
        assert set(header) == {"alg", "kid", "typ"} and header["alg"] == "RS256" and header["typ"] == "JWT", header
        assert claims["sub"] == w.spiffe_id and claims["exp"] - claims["iat"] == 300 and claims["jti"], claims
        bundles = w.one("jwt-bundles", "jwt-bundles")["bundles"]
        assert header["kid"] in bundles[TRUST_DOMAIN], (header, bundles)


@EVERY
def has_the_agent_validate_tokens(client):
    with World(client, "validate") as w:
        token = w.one("jwt", "jwt", "one")["svids"][0]["token"]
        valid = w.one("valid", "validate", "one", token)
        assert valid["id"] == w.spiffe_id and valid["aud"] == ["one"], valid
        for audience, text in (("two", token), ("one", token[:-8] + "AAAAAAAA"), ("one", "no.token")):
            assert w.ask("validate", audience, text)[-1]["event"] == "error", (audience, text)


@EVERY
def follows_a_foreign_trust_domain(client):
    """Its bundle comes, changes and goes while the client watches; its tokens are valid while it is there."""
    foreign = TrustDomain("foreign.test")
    with World(client, "foreign", more="  federatesWith: [foreign.test]\n") as w:
        token = foreign.token()
        assert w.ask("validate", "one", token)[-1]["event"] == "error", "no bundle yet"
        player = w.play("jwt-watch", "4")
        player.wait("update", 1, 20)
        set_bundle(w.agent, foreign)
        player.wait("update", 2)
        assert w.one("valid", "validate", "one", token)["id"] == "spiffe://foreign.test/peer"
        foreign.add_key("second")
        set_bundle(w.agent, foreign)
        player.wait("update", 3)
        code, out, err = w.agent.svid("bundle", "delete", "foreign.test")
        assert code == 0, (out, err)
        assert player.finish(20) == 0, player.said()
        seen = [sorted(u["bundles"].get("foreign.test", [])) for u in player.of("update")]
        assert seen == [[], ["first"], ["first", "second"], []], seen
        assert w.ask("validate", "one", token)[-1]["event"] == "error", "its bundle is gone"


def set_bundle(agent, foreign, **how):
    code, out, err = agent.svid("bundle", "set", foreign.name, foreign.bundle(**how))
    assert code == 0, (out, err)


def every_client_sees_jwt_keys_follow_each_other():
    """Side by side: a key is in the bundle before anything is signed with it, and stays while such a token lives."""
    with Agent("jwt-rotation", more_settings="  jwt:\n    keyTTL: 60s\n    ttl: 10s\n") as agent:
        programs = {client: agent.app(client.name, client) for client in clients.ALL}
        for client, program in programs.items():
            agent.identity(client.name, program)
        agent.start()
        players = {client: agent.play(program, *client.command(agent.endpoint, "jwt-watch", "2"))
                   for client, program in programs.items()}
        for client, player in players.items():
            player.wait("update", 1, 20)
        signed = []
        while any(player.process.poll() is None for player in players.values()):
            event = agent.one(programs[clients.GO], *clients.GO.command(agent.endpoint, "jwt", "one"))
            assert event["event"] == "jwt", event
            signed.append((event["seen"], parts(event["svids"][0]["token"])[0]["kid"]))
            time.sleep(0.5)
        for client, player in players.items():
            assert player.finish(1) == 0, player.said()
            updates = player.of("update")
            for seen, kid in signed:
                known = [u for u in updates if u["seen"] <= seen]
                assert not known or kid in known[-1]["bundles"][TRUST_DOMAIN], (client.name, kid, updates)


if case.ALL:  # a minute, the shortest life that a JWT key may have
    test_every_client_sees_jwt_keys_follow_each_other = every_client_sees_jwt_keys_follow_each_other


def test_java_caches_jwt_svids_by_their_issue_time():
    with World(clients.JAVA, "cached") as w:
        event = w.one("jwt", "jwt-cached", "one")
        assert event["same"] and event["svids"][0]["issued"] > 0, event


def test_go_bundle_source_knows_the_foreign_trust_domain():
    foreign = TrustDomain("foreign.test")
    with World(clients.GO, "bundle-source", more="  federatesWith: [foreign.test]\n") as w:
        set_bundle(w.agent, foreign)
        event = w.agent.one(w.program, "bundle-source", "-target", "foreign.test")
        assert event["x509"] == 1 and event["kids"] == ["first"], event
        event = w.agent.one(w.program, "bundle-source", "-target", TRUST_DOMAIN)
        assert event["x509"] == 1 and event["kids"], event


def test_python_finds_the_services_by_reflection():
    with World(clients.PYTHON, "reflect") as w:
        event = w.one("reflected", "reflect", "SpiffeWorkloadAPI")
        assert {"SpiffeWorkloadAPI", "grpc.health.v1.Health"} <= set(event["services"]), event
        assert {"FetchX509SVID", "FetchJWTSVID", "FetchJWTBundles", "ValidateJWTSVID"} <= set(event["methods"]), event


def test_the_tests_that_rust_spiffe_brings_pass():
    """Its crate has live tests, for two identities of example.org that know a foreign trust domain.

    All of them but test_custom_endpoint, which wants a socket at a fixed path of the machine.
    """
    with open(clients.built("rust-tests") + "/built", encoding="utf-8") as f:
        tests = f.read().split()
    foreign = TrustDomain("example-federated.org")
    with Agent("rust-own", trust_domain="example.org") as agent:
        placed = [agent.program(os.path.basename(path), path) for path in tests]
        for name, priority in (("myservice", 2), ("myservice2", 1)):
            agent.document(name, "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n"
                           f"  name: {name}\nspec:\n  workloadID: {name}\n  selectors:\n    - unix:path: {placed}\n"
                           f"  priority: {priority}\n  hint: {name}\n  federatesWith: [example-federated.org]\n")
        agent.start()
        set_bundle(agent, foreign)
        for path in placed:
            done = subprocess.run([path, "--ignored", "--skip", "test_custom_endpoint"], stdout=subprocess.PIPE, cwd="/",
                                  stderr=subprocess.STDOUT, timeout=120, check=False, user=CALLER_UID, group=CALLER_UID,
                                  extra_groups=[], env={"SPIFFE_ENDPOINT_SOCKET": agent.endpoint})
            assert done.returncode == 0, done.stdout.decode(errors="replace")[-4000:]


if __name__ == "__main__":
    case.main(globals())
