#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""svidd on the kernel module: changes of tier, restarts with and without a descriptor store, a svidd that is killed.

Run in a VM by evidence_test.sh, with svid.ko loaded; its lines are those of the provider's tests.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
os.environ.setdefault("SLOW", "6")  # emulation
from agent import BIN, CALLER_UID, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from service import Service  # noqa: E402  pylint: disable=wrong-import-position

SAME = ("path", "pid", "uid", "gid", "comm", "cgroup")
OLD = "started before svidd"
TREE = "/sys/kernel/svid/credentials"


class By:  # pylint: disable=too-few-public-methods
    """A program for Agent.identity()."""

    def __init__(self, key, value):
        self.selectors = {key: value}


def life(agent, tier, program):
    """One svidd in that tier: its decision on the program, which is started in the first one."""
    seen = len(agent.records()) if os.path.exists(agent.audit) else 0

    def decisions():
        return [r for r in agent.records()[seen:] if r["event"] == "decision" and r.get("comm") == "old"]

    agent.tier = tier
    agent.start(60)
    assert agent.status()["tier"] == tier, agent.explain()
    if not agent.players:
        agent.play(program, "watch", "x509", "-o", "json").wait("update", 1, 20)  # one that had no answer yet gives up
    assert until(decisions, 20), f"it did not come: {agent.explain()}"
    agent.stop()
    return decisions()[0]


def change_of_tier_makes_older_processes_scanned_and_nothing_else():
    """A program follows its SVIDs and comes again; it is one identity by its user, another by its arguments."""
    with Agent("tier") as agent:
        program = agent.program("old", os.path.join(BIN, "svid"))
        by_user = agent.identity("by-user", By("unix:uid", CALLER_UID))
        by_argv = agent.identity("by-argv", By("process:cmdline", program))
        first = life(agent, "kmod", program)
        assert sorted(first["identities"]) == [by_argv, by_user] and OLD not in first["flags"], first
        assert not os.path.exists(f"/sys/fs/bpf/svid-{agent.instance}"), "BPF programs run beside the module"
        other = life(agent, "bpf-lsm", program)
        assert other["identities"] == [by_user] and OLD in other["flags"], other
        assert [other[name] for name in SAME] == [first[name] for name in SAME], (first, other)
        again = life(agent, "kmod", program)  # the module has kept its own
        assert sorted(again["identities"]) == [by_argv, by_user] and OLD not in again["flags"], again


def certificate(program):
    """What a program reads of its own, or why not."""
    done = subprocess.run([program, TREE + "/self/svid/cert.pem"], capture_output=True, check=False, timeout=60)
    return done.stdout.decode() or done.stderr.decode()


def reader(agent):
    """A program with an identity that can do nothing but read files."""
    path = agent.program("reader", "/bin/cat")
    agent.identity("reader", path)
    return path


def who_connects_while_svidd_restarts_is_known_afterwards():
    with Service("kept", tier="kmod") as agent:
        agent.delivery = "sysfs"
        cat, fetch = reader(agent), agent.program("fetch", os.path.join(BIN, "svid"))
        agent.identity("fetch", fetch)
        agent.start(60)
        assert {"public", "admin", "module", "tree"} <= set(agent.store), agent.store
        assert agent.stop() == 0
        waiting = agent.play(fetch, "fetch", "x509", "-o", "json", "--timeout", "120")
        assert until(lambda: "self" in os.listdir(TREE), 1), "the tree went with svidd"
        time.sleep(1)  # it has connected
        agent.launch()
        agent.wait_ready(60)
        # emulation may take longer to start than callers are held; a caller without a record is told something else
        assert waiting.finish(120) == 0 or "agent is not ready" in str(waiting.other), waiting.said()
        assert agent.status()["losses"]["records"] == 0, agent.status()["losses"]
        assert "BEGIN CERTIFICATE" in certificate(cat), agent.explain()


def without_a_store_the_next_svidd_begins_anew():
    with Agent("anew", tier="kmod") as agent:
        agent.delivery = "sysfs"
        cat = reader(agent)
        agent.start(60)
        assert "BEGIN CERTIFICATE" in certificate(cat), agent.explain()
        agent.kill(agent.roles("svid-core")[0])
        assert until(lambda: "BEGIN CERTIFICATE" in certificate(cat), 20), certificate(cat)
        agent.kill(agent.process.pid)  # its roles end with it, and the last of them ends the tree
        agent.process.wait()
        agent.start(60)
        assert agent.status()["tree"]["delivery"] == "sysfs"
        assert until(lambda: "BEGIN CERTIFICATE" in certificate(cat), 20), certificate(cat)
        agent.stop()
        assert until(lambda: not os.listdir(TREE), 5), os.listdir(TREE)


def second_svidd_on_the_machine_shows_its_tree_by_fuse():
    with Agent("first", tier="kmod") as first, Agent("second", tier="kmod") as second:
        first.delivery = second.delivery = "auto"
        first.start(60)
        second.start(60)
        tree = second.status()["tree"]
        assert first.status()["tree"]["delivery"] == "sysfs", first.explain()
        assert tree["delivery"] == "fuse" and "another svidd" in tree["notes"][0], tree


def auto_takes_the_module_where_bpf_cannot_work():
    subprocess.run(["mount", "-t", "tmpfs", "none", "/sys/kernel/btf"], check=True)
    try:
        with Agent("auto", tier="auto") as agent:
            cat = reader(agent)
            agent.delivery = "sysfs"
            agent.start(60)
            status = agent.status()
            assert status["tier"] == "kmod", status["tier"]
            assert [note.split(":")[0] for note in status["tier_notes"]] == ["bpf-lsm", "bpf-fentry"], status["tier_notes"]
            assert "BEGIN CERTIFICATE" in certificate(cat), agent.explain()
    finally:
        subprocess.run(["umount", "/sys/kernel/btf"], check=True)


def silenced_hooks_are_no_tier():
    with open("/proc/sys/kernel/ftrace_enabled", "w", encoding="ascii") as switch:
        switch.write("0")
    try:
        with Agent("silent", tier="kmod") as agent:
            agent.launch()
            assert agent.process.wait(60) == 1 and "sysctl kernel.ftrace_enabled=1" in agent.log(), agent.explain()
    finally:
        with open("/proc/sys/kernel/ftrace_enabled", "w", encoding="ascii") as switch:
            switch.write("1")


CHECKS = (change_of_tier_makes_older_processes_scanned_and_nothing_else, who_connects_while_svidd_restarts_is_known_afterwards,
          without_a_store_the_next_svidd_begins_anew, auto_takes_the_module_where_bpf_cannot_work, silenced_hooks_are_no_tier,
          second_svidd_on_the_machine_shows_its_tree_by_fuse)


def main():
    for check in CHECKS:
        word = "[       OK ]"
        try:
            check()
        except AssertionError as wrong:
            word = "[  FAILED  ]"
            print(wrong)
        print(f"{word} {check.__name__}", flush=True)
    print(f"[==========] {len(CHECKS)} test(s) run.")


main()
