#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""svidd against the clause table: as a caller with two identities, and as one with none. Each clause counts.

Twice: with the WIT profile off, as it is by default, and on. What the runner signs is of a trust domain whose
bundles it made and `svid bundle set` gave to svidd.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from agent import CONFORMANCE, ROOT, Agent  # noqa: E402  pylint: disable=wrong-import-position

CLAUSES = os.path.join(ROOT, "conformance", "clauses.tsv")
FOREIGN = ("foreign.example", "x509only.example")


def run(agent, program, *words):
    """The runner's lines, and its counts."""
    player = agent.play(program, "--socket", agent.socket, "--clauses", agent.readable(CLAUSES), *words)
    code = player.finish(200)
    print("\n".join(player.other), flush=True)
    found = [re.match(r"(\d+) passed, (\d+) failed, (\d+) skipped", line) for line in player.other]
    counts = [int(n) for n in next(m for m in reversed(found) if m).groups()] if any(found) else [0, 1, 0]
    if code and not counts[1]:
        counts[1] = 1
    return counts


def add_foreign(agent):
    """Folder with the keys of the runner's own trust domains; their bundles are svidd's from now on."""
    folder = os.path.join(agent.top, "foreign")
    os.mkdir(folder)
    subprocess.run([CONFORMANCE, "--make-foreign", folder], check=True)
    for name in FOREIGN:
        code, out, err = agent.svid("bundle", "set", name, os.path.join(folder, name + ".json"))
        if code:
            raise SystemExit(f"svid bundle set {name}: {out} {err}")
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)
    return folder


def with_settings(settings, *words):
    """Both callers' counts."""
    with Agent("conformance", more_settings=settings) as agent:
        known, unknown = agent.program("known", CONFORMANCE), agent.program("unknown", CONFORMANCE)
        more = f"  federatesWith: [{', '.join(FOREIGN)}]\n"
        first = agent.identity("first", known, x509_ttl="20s", more="  hint: external\n  priority: 2\n" + more)
        agent.identity("second", known, x509_ttl="20s", more="  hint: internal\n  priority: 1\n" + more)
        agent.start()
        foreign = add_foreign(agent)
        total = run(agent, known, "--first", first, "--watch", "20", "--foreign", foreign, *words)
        total = [a + b for a, b in zip(total, run(agent, unknown, "--expect", "none", *words))]
        if total[1]:
            print(agent.explain())
        return total


def main():
    plain = with_settings("")
    wit = with_settings("  profiles:\n    wit: true\n", "--wit", "--only", "W")
    total = [a + b for a, b in zip(plain, wit)]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
