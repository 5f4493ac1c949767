#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a change of tier means for processes that are older than it: observed=scan, and nothing else.

Run in a VM by evidence_test.sh, with svid.ko loaded; its lines are those of the provider's tests. A program follows its
SVIDs and comes again after each restart; it is one identity by its user, another by its arguments.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
os.environ.setdefault("SLOW", "6")  # emulation
from agent import BIN, CALLER_UID, Agent, until  # noqa: E402  pylint: disable=wrong-import-position

SAME = ("path", "pid", "uid", "gid", "comm", "cgroup")
OLD = "started before svidd"


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
        agent.play(program, "watch", "x509", "-o", "json")
    assert until(decisions, 20), f"it did not come: {agent.explain()}"
    agent.stop()
    return decisions()[0]


def check():
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


def main():
    word, why = "[       OK ]", ""
    try:
        check()
    except AssertionError as wrong:
        word, why = "[  FAILED  ]", str(wrong)
    if why:
        print(why)
    print(f"{word} change_of_tier_makes_older_processes_scanned_and_nothing_else")
    print("[==========] 1 test(s) run.")


main()
