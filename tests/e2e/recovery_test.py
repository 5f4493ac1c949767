#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients notice when a part of svidd dies, restarts or stops."""
import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import SLOW, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from patience import Stopwatch  # noqa: E402  pylint: disable=wrong-import-position

KILLS = 100
VICTIMS = 8  # an identity waits up to 1 s for its next front, so they take turns


def fetched(agent, program):
    event = agent.one(program, "fetch")
    return event if event["event"] == "fetched" else None


def start_pair(agent, ttl=None):
    """Two workloads: one whose role is going to be killed, one that must not notice."""
    victim, witness = agent.program("victim", clients.go()), agent.program("witness", clients.go())
    agent.identity("victim", victim, x509_ttl=ttl)
    agent.identity("witness", witness, x509_ttl=ttl)
    agent.start()
    return victim, witness


def connections(agent):
    """Connections of each front, as svidd counts them; its pids must be those of its own children."""
    fronts = {f["pid"]: f["connections"] for f in agent.status()["fronts"]}
    return {pid: fronts[pid] for pid in agent.roles("svid-front") if pid in fronts}


def open_stream(agent, program):
    """A stream of the program, and the front that took it: the one that has a connection more than before."""
    before = connections(agent)
    stream = agent.play(program, "stream", "-for", "300s")
    stream.wait("message")
    after = connections(agent)
    return stream, [pid for pid, n in after.items() if n > before.get(pid, 0)]


def test_a_restart_keeps_the_authority():
    with Agent("restart") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        before = agent.one(app, "fetch")
        assert before["event"] == "fetched", before
        agent.stop()
        agent.start()
        after = agent.one(app, "fetch")
        assert after["event"] == "fetched", after
        assert before["bundles"] == after["bundles"], (before, after)
        assert before["svids"][0]["serial"] != after["svids"][0]["serial"]


def test_a_clean_stop_drains_with_unavailable():
    with Agent("drain") as agent:
        app, none = agent.program("app", clients.go()), agent.program("none", clients.go())
        agent.identity("app", app)
        agent.start()
        stream = agent.play(app, "stream", "-for", "30s", "-conns", "8")
        stream.wait("message", 8)
        idle = agent.play(none, "stream", "-for", "30s")
        assert idle.wait("ended")[0]["code"] == "PermissionDenied"
        watch = Stopwatch()
        assert agent.stop() == 0, agent.log()
        ends = stream.wait("ended", 8)
        assert {e["code"] for e in ends} == {"Unavailable"}, ends
        assert watch.seconds() < 5 * SLOW, "a drain of more than 5 s"
        assert not any("error reading from server: EOF" in e["text"] for e in ends), f"cut, not drained: {ends[0]}"


def test_a_watch_survives_a_restart():
    with Agent("watch-restart") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        watching = agent.play(app, "watch", "-for", "60s")
        watching.wait("update")
        agent.stop()
        agent.start()
        watching.wait("update", 2, seconds=15)
        assert not watching.of("watch-ended"), watching.events


def test_after_core_is_killed_clients_are_served_within_a_second():
    with Agent("core") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        before = fetched(agent, app)
        for _ in range(case.often(5, 20)):
            core = agent.roles("svid-core")
            assert len(core) == 1, core
            stream = agent.play(app, "stream", "-for", "30s")
            stream.wait("message")
            agent.kill(core[0])
            watch = Stopwatch()
            ended = stream.wait("ended", seconds=2)[0]
            assert ended["code"] == "Unavailable", ended
            after = until(lambda: fetched(agent, app), 10)
            took = watch.seconds()
            assert after and after["bundles"] == before["bundles"], (before, after)
            assert took < 1 * SLOW, f"served again after {took:.2f} s"


def test_killing_fronts_is_noticed_by_their_identities_only():
    with Agent("front") as agent:
        names = ["witness"] + [f"victim-{i}" for i in range(VICTIMS)]
        paths = {name: agent.program(name, clients.go()) for name in names}
        for name, path in paths.items():
            agent.identity(name, path)
        agent.start()
        quiet, kept = open_stream(agent, paths["witness"])
        for i in range(KILLS):
            stream, serving = open_stream(agent, paths[names[1 + i % VICTIMS]])
            assert len(serving) == 1 and not set(serving) & set(kept), (i, serving, kept)
            agent.kill(serving[0])
            ended = stream.wait("ended", seconds=3)[0]
            assert ended["code"] == "Unavailable", (i, ended)
        assert not quiet.of("ended") and len(quiet.of("message")) == 1, quiet.events
        for name in names:
            assert until(lambda path=paths[name]: fetched(agent, path), 3), f"{name} is not served again"


def test_a_front_that_is_killed_is_replaced_within_seconds():
    with Agent("front-again") as agent:
        victim, _ = start_pair(agent)
        for i in range(10):
            _, serving = open_stream(agent, victim)
            agent.kill(serving[0])
            assert until(lambda: fetched(agent, victim), 3), f"kill {i}: not served again"
            until(lambda: not any(connections(agent).values()), 2)


def kill_role_often(agent, role, quiet):
    for i in range(KILLS):
        pids = until(lambda: agent.roles(role), 5)
        assert pids, f"no {role} after kill {i}\n{agent.explain()}"
        for pid in pids:
            agent.kill(pid)
        until(lambda gone=pids: not set(gone) & set(agent.roles(role)), 2)
    assert not quiet.of("ended"), quiet.events


def test_killing_attest_disturbs_no_stream():
    with Agent("attest") as agent:
        victim, witness = start_pair(agent)
        quiet, _ = open_stream(agent, witness)
        kill_role_often(agent, "svid-attest", quiet)
        assert until(lambda: fetched(agent, victim), 15), "nobody new is attested"
        assert len(quiet.of("message")) == 1, quiet.events


def test_killing_keys_disturbs_no_stream_and_keeps_the_authority():
    with Agent("keys") as agent:
        victim, witness = start_pair(agent)
        before = fetched(agent, victim)
        quiet, _ = open_stream(agent, witness)
        kill_role_often(agent, "svid-keys", quiet)
        after = until(lambda: fetched(agent, victim), 15)
        assert after and after["bundles"] == before["bundles"], (before, after)


def test_rotation_goes_on_after_keys_is_killed():
    with Agent("keys-rotation") as agent:
        victim, _ = start_pair(agent, ttl="10s")
        watching = agent.play(victim, "watch", "-for", "60s")
        watching.wait("update")
        for pid in agent.roles("svid-keys"):
            agent.kill(pid)
        seen = len(watching.of("update"))
        watching.wait("update", seen + 1, seconds=15)
        assert not watching.of("watch-error"), watching.events


def test_when_svidd_itself_is_killed_nobody_keeps_running():
    with Agent("parent") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        stream = agent.play(app, "stream", "-for", "30s")
        stream.wait("message")
        mine = [pid for role in ("svid-core", "svid-keys", "svid-attest", "svid-front") for pid in agent.roles(role)]
        agent.kill(agent.process.pid)
        agent.process.wait()
        assert stream.wait("ended", seconds=5)[0]["code"] == "Unavailable"
        assert until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in mine), 5), "a role survives svidd"
        agent.start()
        assert fetched(agent, app)


def test_a_front_that_hangs_harms_nobody_else():
    with Agent("hang") as agent:
        victim, witness = start_pair(agent)
        stream, serving = open_stream(agent, victim)
        assert len(serving) == 1, serving
        agent.kill(serving[0], signal.SIGSTOP)
        try:
            for _ in range(5):
                assert until(lambda: fetched(agent, witness), 5)
        finally:
            agent.kill(serving[0], signal.SIGCONT)
        assert not stream.of("ended"), stream.events
        assert until(lambda: fetched(agent, victim), 5)


def test_two_instances_do_not_meet():
    with Agent("one") as one, Agent("two") as two:
        app, other = one.program("app", clients.go()), two.program("app", clients.go())
        one.identity("app", app)
        two.identity("app", other)
        one.start()
        two.start()
        first, second = fetched(one, app), fetched(two, other)
        assert first and second and first["bundles"] != second["bundles"]
        two.stop()
        assert fetched(one, app)


def test_many_clients_at_once_are_all_served():
    with Agent("crowd") as agent:
        programs = [agent.program(f"app-{i}", clients.go()) for i in range(6)]
        for i, path in enumerate(programs):
            agent.identity(f"app-{i}", path)
        agent.start()
        players = [agent.play(path, "stream", "-conns", "50", "-for", "60s") for path in programs]
        threads = [threading.Thread(target=p.wait, args=("message", 50, 30)) for p in players]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for i, p in enumerate(players):
            ids = {e["svids"][0]["id"] for e in p.of("message")}
            assert len(p.of("message")) == 50 and len(ids) == 1 and ids.pop().endswith(f"/app-{i}"), p.other


if __name__ == "__main__":
    case.main(globals())
