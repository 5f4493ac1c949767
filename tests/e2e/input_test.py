#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around svidd: missing directories, broken settings, full disks, hostile neighbours. Each must
give a clear error or bounded work, and nobody else may notice."""
import contextlib
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, CALLER_UID, CONFORMANCE, ROOT, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from patience import Stopwatch  # noqa: E402  pylint: disable=wrong-import-position


def fetched(agent, program):
    return agent.one(program, "fetch")["event"] == "fetched"


def must_refuse(agent, *words):
    """svidd ends by itself, in time, not with 0, and its log says all the words."""
    process = agent.launch()
    try:
        code = process.wait(15)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"svidd runs on\n{agent.explain()}") from None
    assert code > 0, f"exit {code}\n{agent.explain()}"
    log = agent.log()
    assert all(word in log for word in words), f"{words} not in the log:\n{log}"


def test_a_missing_agent_document_is_named():
    with Agent("no-config") as agent:
        os.unlink(agent.config)
        must_refuse(agent, agent.config)


def test_an_agent_document_without_trust_domain_is_refused():
    with Agent("no-domain") as agent:
        agent.replace(agent.config, "apiVersion: svid/v1alpha1\nkind: Agent\nmetadata:\n  name: agent\nspec: {}\n")
        agent.launch()
        assert until(lambda: agent.process.poll() is not None or "trustDomain" in agent.svid("status", "-o", "json")[1], 15)
        if agent.process.poll() is not None:
            assert agent.process.returncode > 0 and "trustDomain" in agent.log(), agent.explain()


def test_a_missing_policy_directory_is_named():
    with Agent("no-policy") as agent:
        os.rmdir(agent.policy_dir)
        must_refuse(agent, agent.policy_dir)


def test_a_missing_program_is_named():
    with Agent("no-program") as agent:
        empty = os.path.join(agent.top, "programs")
        os.mkdir(empty)
        for name in ("svid-core", "svid-keys", "svid-front", "svid"):
            shutil.copy(os.path.join(BIN, name), empty)
        agent.extra = ["--bin-dir", empty]
        must_refuse(agent, "svid-attest")


def test_a_missing_audit_directory_is_named():
    with Agent("no-audit") as agent:
        agent.audit = os.path.join(agent.top, "nowhere", "audit.jsonl")
        must_refuse(agent, agent.audit)


def test_a_state_directory_that_is_a_file_is_named():
    with Agent("state-file") as agent:
        with open(agent.state_dir, "w", encoding="ascii"):
            pass
        must_refuse(agent, agent.state_dir)


def test_wrong_options_are_usage_errors():
    for argv in (["--nonsense"], ["--ids", "x"], ["--ids"], ["--instance", "../x"], ["--attestation", "magic"]):
        done = subprocess.run([os.path.join(BIN, "svidd"), *argv], capture_output=True, timeout=10, check=False)
        assert done.returncode > 0 and argv[0].encode() in done.stderr, (argv, done)


def test_without_root_it_says_so():
    done = subprocess.run([os.path.join(BIN, "svidd")], capture_output=True, timeout=10, check=False, user=CALLER_UID,
                          group=CALLER_UID, extra_groups=[])
    assert done.returncode > 0 and b"root" in done.stderr, done


def test_socket_attestation_must_be_allowed():
    with Agent("socket") as agent:
        agent.settings(more="  attestation: socket\n")
        must_refuse(agent, "--allow-socket-attestation")


def test_a_tier_that_cannot_work_is_an_error_with_the_next_step():
    if os.path.exists("/dev/svid"):
        case.skip("svid.ko is loaded")
    with Agent("no-module", tier="kmod") as agent:
        must_refuse(agent, "modprobe svid")


def test_a_delivery_that_cannot_work_is_an_error_with_the_next_step():
    if os.path.exists("/dev/svid"):
        case.skip("svid.ko is loaded")
    with Agent("no-sysfs") as agent:
        agent.delivery = "auto"  # svid.yaml decides
        agent.settings(more="  delivery: sysfs\n")
        must_refuse(agent, "modprobe svid")


def test_another_delivery_waits_for_a_restart():
    with Agent("delivery") as agent:
        agent.delivery = "auto"
        agent.settings(more="  delivery: none\n")
        agent.start()
        status = agent.status()
        assert status["tree"]["delivery"] == "none" and not status["restart_needed"], status
        agent.settings(more="  delivery: fuse\n")
        found = until(lambda: agent.status()["restart_needed"], 10)
        assert found == [{"setting": "delivery", "running": "none", "configured": "fuse"}], found


def test_another_trust_domain_over_existing_state_is_refused():
    with Agent("renamed") as agent:
        app = agent.program("app", clients.go())
        spiffe_id = agent.identity("app", app)
        agent.start()
        assert fetched(agent, app)
        agent.stop()
        with open(agent.config, encoding="utf-8") as f:
            text = f.read()
        agent.replace(agent.config, text.replace("e2e.test", "other.test"))
        agent.start()
        status = agent.status()
        errors = [e for e in status["documents"]["errors"] if e["severity"] == "error"]
        assert any("trustDomain" in e["text"] and "e2e.test" in e["text"] for e in errors), errors
        assert agent.one(app, "fetch")["svids"][0]["id"] == spiffe_id
        assert agent.svid("status")[0] != 0


def test_a_second_svidd_of_one_instance_is_refused():
    with Agent("twin") as agent:
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        done = subprocess.run(agent.command(), capture_output=True, timeout=20, check=False, cwd="/")
        assert done.returncode > 0 and agent.run_dir.encode() in done.stderr, done
        assert fetched(agent, app)


@contextlib.contextmanager
def small_disk(path, size):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "none", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=False)


def fill(path):
    with contextlib.suppress(OSError), open(os.path.join(path, "ballast"), "wb", buffering=0) as f:
        while True:
            f.write(b"x" * 4096)


def empty(path):
    os.unlink(os.path.join(path, "ballast"))


def test_a_full_disk_under_the_audit_log_stops_identities_until_there_is_room():
    with Agent("audit-full") as agent, small_disk(os.path.join(agent.top, "log.d"), "256k"):
        disk = os.path.join(agent.top, "log.d")
        agent.audit = os.path.join(disk, "audit.jsonl")
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        assert fetched(agent, app)
        stream = agent.play(app, "stream", "-for", "60s")
        stream.wait("message")
        fill(disk)
        refused = until(lambda: next(iter([e for e in [agent.one(app, "fetch")] if e["event"] == "error"]), None), 10)
        assert refused and refused["code"] == "Unavailable", refused
        assert "audit" in refused["text"], refused
        empty(disk)
        assert until(lambda: fetched(agent, app), 10), agent.explain()
        agent.stop()
        # The record that met the full disk may be cut short; those around it may not.
        with open(agent.audit, encoding="utf-8") as f:
            torn = [line for line in f if not line.endswith("}\n")]
        assert len(torn) <= 1, torn


def test_with_best_effort_audit_a_full_disk_stops_nobody():
    with Agent("audit-best", audit="best-effort") as agent, small_disk(os.path.join(agent.top, "log.d"), "256k"):
        disk = os.path.join(agent.top, "log.d")
        agent.audit = os.path.join(disk, "audit.jsonl")
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        fill(disk)
        for _ in range(20):
            assert fetched(agent, app)
        agent.stop()


def test_a_full_disk_under_the_state_is_named_and_harms_no_stream():
    with Agent("state-full") as agent, small_disk(os.path.join(agent.top, "state"), "1m"):
        os.chmod(agent.state_dir, 0o755)
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        stream = agent.play(app, "stream", "-for", "60s")
        stream.wait("message")
        fill(agent.state_dir)
        late = agent.program("late", clients.go())
        agent.identity("late", late)
        time.sleep(2)
        assert not stream.of("ended"), stream.events
        assert fetched(agent, app), agent.explain()
        empty(agent.state_dir)
        assert until(lambda: fetched(agent, late), 15), agent.explain()
        agent.stop()


def test_starting_on_a_full_disk_is_a_clear_error():
    with Agent("born-full") as agent, small_disk(os.path.join(agent.top, "state"), "64k"):
        fill(agent.state_dir)
        agent.launch()
        app = agent.program("app", clients.go())
        until(lambda: agent.process.poll() is not None or "state" in agent.log(), 15)
        assert re.search(r"full|No space|ENOSPC|state", agent.log()), agent.explain()
        if agent.process.poll() is None and os.path.exists(agent.socket):
            assert not fetched(agent, app)


def served_then_damaged(agent, damage, first=True):
    """An agent that served, stopped, was damaged by damage(state directory) and is started again: its status."""
    app = agent.program("app", clients.go())
    agent.identity("app", app)
    if first:
        agent.start()
        assert fetched(agent, app)
    agent.stop()
    damage(agent.state_dir)
    agent.launch()
    until(lambda: agent.process.poll() is not None or ((agent.status() or {}).get("authority") or {}).get("why"), 15)
    if agent.process.poll() is None:
        refused = agent.one(app, "fetch")
        assert refused["event"] == "error" and refused["code"] == "Unavailable", refused


def test_lost_state_is_set_aside_and_not_replaced_silently():
    def damage(state_dir):
        with open(os.path.join(state_dir, "state.db"), "r+b") as f:
            f.write(b"garbage" * 200)
        for extra in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(state_dir, "state.db" + extra))

    with Agent("lost") as agent:
        served_then_damaged(agent, damage)
        bad = [name for name in os.listdir(agent.state_dir) if name.startswith("state.db.bad")]
        assert bad, os.listdir(agent.state_dir)
        served_then_damaged(agent, lambda state_dir: None, first=False)  # nor by the next start


def test_a_lost_sealing_key_makes_no_new_authority():
    with Agent("unsealed") as agent:
        served_then_damaged(agent, lambda state_dir: os.unlink(os.path.join(state_dir, "sealing.key")))


def hostile_run(name, has_identity):
    case.needs(CONFORMANCE)
    with Agent(name) as agent:
        witness, hostile = agent.program("witness", clients.go()), agent.program("hostile", CONFORMANCE)
        agent.identity("witness", witness)
        if has_identity:
            agent.identity("hostile", hostile)
        agent.start()
        quiet = agent.play(witness, "stream", "-for", "120s")
        quiet.wait("message")
        clauses = agent.readable(os.path.join(ROOT, "conformance", "clauses.tsv"))
        attack = agent.play(hostile, "--socket", agent.socket, "--only", "BAD-", "--clauses", clauses,
                            "--expect", "identity" if has_identity else "none")
        slowest = 0.0
        while attack.process.poll() is None:
            watch = Stopwatch()
            assert fetched(agent, witness)
            slowest = max(slowest, watch.seconds())
            time.sleep(0.2)
        assert attack.finish(1) == 0, attack.other
        assert slowest < 2, f"the witness once waited {slowest:.1f} s"
        assert not quiet.of("ended") and len(quiet.of("message")) == 1, quiet.events


def test_hostile_bytes_of_a_known_caller_harm_nobody_else():
    hostile_run("hostile", True)


def test_hostile_bytes_of_an_unknown_caller_harm_nobody_else():
    hostile_run("stranger", False)


FLOOD = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held = []
for i in range(2000):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(2)
    try:
        s.connect(sys.argv[1])
    except OSError:
        time.sleep(0.01)
        continue
    held.append(s)
print('{"event":"held","n":%d}' % len(held), flush=True)
time.sleep(30)
"""


def test_a_flood_of_idle_connections_harms_nobody_else():
    with Agent("flood") as agent:
        witness = agent.program("witness", clients.go())
        agent.identity("witness", witness)
        agent.start()
        quiet = agent.play(witness, "stream", "-for", "120s")
        quiet.wait("message")
        flood = agent.play("/usr/bin/python3", "-c", FLOOD, agent.socket, user=CALLER_UID + 1)
        flood.wait("held", seconds=60)
        for _ in range(5):
            assert until(lambda: fetched(agent, witness), 5), agent.explain()
        flood.end()
        assert not quiet.of("ended"), quiet.events


if __name__ == "__main__":
    case.main(globals())
