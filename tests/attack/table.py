# SPDX-License-Identifier: Apache-2.0
"""The attack table: build/check/attack.json collects outcomes over runs and kernels, attack-table.txt shows them."""
import json
import os
import sys

from product import ROOT

FOLDER = os.path.join(ROOT, "build/check")
COLUMNS = ["socket", "bpf-tp", "bpf-lsm 6.1", "bpf-lsm 6.12", "bpf-fentry 6.1", "bpf-fentry 6.12", "kmod 6.1", "kmod 6.12"]


def merge(results, whole=False):
    """results: [{"case", "text", "spire", "tier", "outcome", "order"}], the newest outcome of a tier wins.

    whole: these are all cases that there are; what a file of earlier has beyond them is dropped.
    """
    os.makedirs(FOLDER, exist_ok=True)
    path = os.path.join(FOLDER, "attack.json")
    try:
        with open(path, encoding="utf-8") as f:
            known = json.load(f)
    except (OSError, ValueError):
        known = {}
    if whole:
        now = {f"{r['case']} {r['text']}" for r in results}
        known = {key: row for key, row in known.items() if key in now}
    for r in results:
        row = known.setdefault(f"{r['case']} {r['text']}", {"outcomes": {}})
        row.update({k: r[k] for k in ("case", "text", "spire", "order")})
        row["outcomes"][r["tier"]] = r["outcome"]
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(known, f, indent=1)
    os.rename(path + ".new", path)
    write(sorted(known.values(), key=lambda row: row["order"]))


def write(rows):
    tiers = {t for row in rows for t in row["outcomes"]}
    order = [c for c in COLUMNS if c in tiers] + sorted(tiers - set(COLUMNS))
    head = ["", "attack", "spire-agent (by its code)", *order]
    lines = [head] + [[r["case"], r["text"], r["spire"], *(r["outcomes"].get(t, "") for t in order)] for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    with open(os.path.join(FOLDER, "attack-table.txt"), "w", encoding="utf-8") as f:
        for line in lines:
            f.write("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() + "\n")


BEGIN, END = "<!-- attack table: python3 tests/attack/table.py writes it from build/check/attack.json -->", "<!-- end -->"


def readme():
    """README's table: of every attack the row that says most, with the outcome of each tier that was run."""
    with open(os.path.join(FOLDER, "attack.json"), encoding="utf-8") as f:
        rows = sorted(json.load(f).values(), key=lambda row: row["order"])
    tiers = [c for c in COLUMNS if any(c in row["outcomes"] for row in rows)]
    first = {}
    for row in rows:
        stolen = "SVID stolen" in row["outcomes"].get("socket", "")
        if row["case"] not in first or (stolen and "SVID stolen" not in first[row["case"]]["outcomes"].get("socket", "")):
            first[row["case"]] = row
    lines = ["| # | attack | spire-agent, by its code | " + " | ".join(tiers) + " |", "|---" * (3 + len(tiers)) + "|"]
    for row in sorted(first.values(), key=lambda row: int(row["case"][1:])):
        cells = [row["case"], row["text"], row["spire"], *(row["outcomes"].get(t, "") for t in tiers)]
        lines.append("| " + " | ".join(cells) + " |")
    path = os.path.join(ROOT, "README.md")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    start, end = text.index(BEGIN), text.index(END)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text[:start] + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + text[end:])


if __name__ == "__main__":
    sys.exit(readme())
