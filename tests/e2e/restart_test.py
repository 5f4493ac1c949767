#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients notice when svidd is restarted or replaced by its service manager: one Unavailable, and no more."""
import collections
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, until  # noqa: E402  pylint: disable=wrong-import-position
from service import Service  # noqa: E402  pylint: disable=wrong-import-position

WORKLOADS, STREAMS = 10, 100


def start_crowd(agent):
    """WORKLOADS programs with STREAMS watches each; a watch that ends is opened anew at once."""
    paths = [agent.program(f"app-{i}", clients.go()) for i in range(WORKLOADS)]
    for i, path in enumerate(paths):
        agent.identity(f"app-{i}", path)
    agent.start()
    crowd = [agent.play(path, "stream", "-conns", str(STREAMS), "-again", "20", "-for", "120s") for path in paths]
    for player in crowd:
        player.wait("message", STREAMS, 30)
    return crowd


def check_crowd(crowd, lives):
    """Each stream came back in each life; in between it saw nothing but one Unavailable a life."""
    for player in crowd:
        until(lambda p=player: len(p.of("message")) >= STREAMS * lives, 30)
        came = collections.Counter(e["conn"] for e in player.of("message"))
        away = [conn for conn in range(STREAMS) if came[conn] < lives]
        assert not away, f"did not come back: {[e for e in player.events if e['conn'] in away]}"
        ends = player.of("ended")
        refused = [e for e in ends if e["code"] != "Unavailable"]
        assert not refused, refused[:3]
        each = collections.Counter(e["conn"] for e in ends)
        often = {conn: n for conn, n in each.items() if n > lives - 1}
        assert not often, f"refused in between: {[e for e in ends if e['conn'] in often][:4]}"


def test_a_restart_under_1000_streams_refuses_no_request():
    with Service("restart-crowd") as agent:
        crowd = start_crowd(agent)
        agent.restart()
        check_crowd(crowd, 2)


def test_a_killed_svidd_under_1000_streams_refuses_no_request_afterwards():
    with Service("kill-crowd") as agent:
        crowd = start_crowd(agent)
        agent.kill(agent.process.pid)
        agent.process.wait()
        agent.launch()
        agent.wait_ready()
        check_crowd(crowd, 2)


def test_a_killed_core_under_1000_streams_refuses_no_request_afterwards():
    with Service("core-crowd") as agent:
        crowd = start_crowd(agent)
        agent.kill(agent.roles("svid-core")[0])
        check_crowd(crowd, 2)


def test_callers_that_come_while_svidd_is_away_wait_and_keep_their_evidence():
    with Service("away") as agent:
        app, other = agent.program("app", clients.go()), agent.program("other", clients.go())
        agent.identity("app", app)
        agent.start()
        assert agent.one(app, "fetch")["event"] == "fetched"
        assert agent.stop() == 0
        waiting = agent.play(app, "stream", "-count", "1", "-for", "60s")
        stranger = agent.play(other, "stream", "-count", "1", "-for", "60s")
        time.sleep(0.5)
        assert not waiting.of("message", "ended") and not stranger.of("message", "ended")
        agent.launch()
        agent.wait_ready()
        assert waiting.wait("message", 1, 20)[0]["svids"][0]["id"].endswith("/app")
        assert stranger.wait("ended", 1, 20)[0]["code"] == "PermissionDenied"


def test_a_restarted_svidd_keeps_listener_and_kernel_side():
    with Service("keeps") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        inode = os.stat(agent.socket).st_ino
        holder = agent.play(app, "watch", "-for", "60s")
        holder.wait("update")
        agent.restart()
        assert os.stat(agent.socket).st_ino == inode, "the socket file is another one"
        assert set(agent.store) == {"public", "admin"}, agent.store
        # It started before this svidd did; that it is still known by its path is what pinning is for.
        holder.wait("update", 2, 20)
        if agent.status()["tier"] != "socket":
            assert "reused=1" in agent.log().split("\n[", 1)[-1], agent.explain()


def other_build(agent):
    """A svidd whose BPF programs count as others: one byte of padding in their ELF header differs."""
    with open(os.path.join(BIN, "svidd"), "rb") as f:
        program = bytearray(f.read())
    at = program.index(b"\x7fELF", 4)
    program[at + 15] ^= 1
    path = os.path.join(agent.top, "svidd-next")
    with open(path, "wb") as f:
        f.write(program)
    os.chmod(path, 0o755)
    return path


def test_replaced_programs_keep_the_records_of_older_processes():
    """An upgrade brings other BPF programs. argv never matches for a process that was only scanned."""
    with Service("upgrade") as agent:
        app = agent.program("app", clients.go())
        agent.document("app", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: app\nspec:\n"
                       f"  workloadID: app\n  selectors:\n    - unix:path: {app}\n      process:cmdline: {app} stream\n")
        agent.start()
        if agent.status()["tier"] == "socket":
            case.skip("no kernel evidence here")
        player = agent.play(app, "stream", "-again", "20", "-for", "60s")
        player.wait("message")
        agent.svidd, before = other_build(agent), len(agent.log())
        agent.restart()
        assert "reused=0" in agent.log()[before:], agent.explain()
        player.wait("message", 2, 20)
        assert [e["code"] for e in player.of("ended")] == ["Unavailable"], player.said()


def test_a_switch_to_socket_attestation_needs_the_flag():
    with Service("switch") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.tier = "auto"
        agent.start()
        if agent.status()["tier"] == "socket":
            case.skip("no other tier here")
        agent.settings(more="  attestation: socket\n")
        assert until(lambda: agent.one(app, "fetch")["event"] == "fetched", 5)
        assert agent.status()["tier"] != "socket", "changed while it ran"
        agent.stop()
        argv = agent.command
        agent.command = lambda: [w for i, w in enumerate(argv()) if w != "--attestation" and argv()[i - 1] != "--attestation"]
        agent.launch()
        assert agent.process.wait(20) != 0, "started with socket attestation"
        assert "allow-socket-attestation" in agent.log(), agent.explain()


if __name__ == "__main__":
    case.main(globals())
