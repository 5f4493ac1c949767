#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""svidd against the clause table: as a caller with two identities, and as one with none. Each clause counts."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from agent import CONFORMANCE, ROOT, Agent  # noqa: E402  pylint: disable=wrong-import-position

CLAUSES = os.path.join(ROOT, "conformance", "clauses.tsv")


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


def main():
    with Agent("conformance") as agent:
        known, unknown = agent.program("known", CONFORMANCE), agent.program("unknown", CONFORMANCE)
        first = agent.identity("first", known, x509_ttl="20s", more="  hint: external\n  priority: 2\n")
        agent.identity("second", known, x509_ttl="20s", more="  hint: internal\n  priority: 1\n")
        agent.start()
        total = run(agent, known, "--first", first, "--watch", "20")
        total = [a + b for a, b in zip(total, run(agent, unknown, "--expect", "none"))]
        if total[1]:
            print(agent.explain())
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
