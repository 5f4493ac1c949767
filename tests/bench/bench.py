#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: the figures of DESIGN.md 13 that exist by now, svidd against a floor server in the same run.

The floor is svid-bench's canned epoll server: it identifies nobody and answers with bytes of the same length. The
same client asks both, in turns, so that a slow moment of the machine hits both; the ratio is what counts.
"""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from agent import BIN, CALLER_UID, Agent, until  # noqa: E402  (path above)

TOOL = os.path.join(BIN, "svid-bench")
ROUNDS, CONNECTS = 5, 3000
STREAMS, IDENTITIES = 3000, 110
MEMORY_V1, MEMORY_V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"


class MemoryGroup:
    """What svidd and all its roles are charged for, kernel memory included."""

    def __init__(self):
        v1 = os.path.isdir(MEMORY_V1)
        self.path = os.path.join(MEMORY_V1 if v1 else MEMORY_V2, f"svid-bench-{os.getpid()}")
        self.file = "memory.usage_in_bytes" if v1 else "memory.current"
        self.drop = "memory.force_empty" if v1 else "memory.reclaim"
        os.mkdir(self.path)

    def enter(self):
        with open(os.path.join(self.path, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    def leave(self):
        with open(os.path.join(os.path.dirname(self.path), "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    def used(self):
        with open(os.path.join(self.path, self.file), encoding="ascii") as f:
            return int(f.read())

    def remove(self):
        until(lambda: self._try_remove(), 5)

    def _try_remove(self):
        try:
            os.rmdir(self.path)
            return True
        except OSError:
            return False


def bench(path, *words):
    """One run of the load client as the workload's user: its JSON."""
    done = subprocess.run([path, *words], stdout=subprocess.PIPE, check=True, stdin=subprocess.DEVNULL, cwd="/",
                          user=CALLER_UID, group=CALLER_UID, extra_groups=[])
    return json.loads(done.stdout)


def hold(path, socket, n):
    """A client that keeps n streams open until its stdin closes."""
    process = subprocess.Popen([path, "hold", socket, str(n)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
                               user=CALLER_UID, group=CALLER_UID, extra_groups=[])
    line = process.stdout.readline()
    if not line.startswith(b"held"):
        raise SystemExit(f"the client could not hold {n} streams: {line!r}")
    return process


def release(process):
    process.stdin.close()
    process.wait()
    process.stdout.close()


def median(values):
    return sorted(values)[len(values) // 2]


def row(what, floor, ours, goal, unit="µs"):
    ratio = f"{ours / floor:6.1f} x" if floor else "       -"
    floor = f"{floor:9.1f}" if floor else "        -"
    print(f"  {what:<52} {floor} {ours:9.1f} {unit:<5} {ratio}   {goal}")


def connect_rows(agent, client):
    """connect + FetchX509SVID + first message, against a floor that answers with as many bytes."""
    length = bench(client, "connect", agent.socket, "200")["message_bytes"]
    path = os.path.join(agent.top, "floor.sock")
    floor = subprocess.Popen([TOOL, "floor", path, str(length)])
    try:
        until(lambda: os.path.exists(path), 5)
        os.chmod(path, 0o777)
        runs = [(bench(client, "connect", path, str(CONNECTS)), bench(client, "connect", agent.socket, str(CONNECTS)))
                for _ in range(ROUNDS)]
    finally:
        floor.terminate()
        floor.wait()
    for figure, goal in (("p50_us", "2.8 x the floor"), ("p99_us", "300 µs")):
        row(f"connect + FetchX509SVID + first message, {figure[:3]}", median([f[figure] for f, _ in runs]),
            median([o[figure] for _, o in runs]), goal)
    row("the same, rate of one client", median([f["per_s"] for f, _ in runs]), median([o["per_s"] for _, o in runs]),
        "", "/s")


def stream_rows(agent, client, group):
    before = group.used()
    holder = hold(client, agent.socket, STREAMS)
    after = group.used()
    release(holder)
    row(f"one identity, {STREAMS} streams, per further stream", None, (after - before) / STREAMS / 1024, "8 KiB", "KiB")


def many_identities(group):
    with Agent("bench-many", audit="best-effort") as agent:
        clients = []
        for i in range(IDENTITIES):
            path = agent.program(f"w{i}", TOOL)
            agent.identity(f"w{i}", path)
            clients.append(path)
        group.enter()
        try:
            agent.start()
        finally:
            group.leave()
        holders = [hold(path, agent.socket, 2) for path in clients]
        row(f"{IDENTITIES} identities x 2 streams, everything", None, group.used() / (1 << 20), "40 MiB", "MiB")
        for holder in holders:
            release(holder)


def bpf_programs():
    """{id: (name, nanoseconds, calls)} of every program loaded now."""
    out = json.loads(subprocess.run(["bpftool", "-j", "prog", "show"], stdout=subprocess.PIPE, check=True).stdout)
    return {p["id"]: (p.get("name", "?"), p.get("run_time_ns", 0), p.get("run_cnt", 0)) for p in out}


def bpf_rows(agent, client, others):
    """Time per call of this svidd's programs while the client connects, by the kernel's own count."""
    switch = "/proc/sys/kernel/bpf_stats_enabled"

    def totals():
        return {number: row for number, row in bpf_programs().items() if number not in others}

    with open(switch, encoding="ascii") as f:
        was = f.read()
    with open(switch, "w", encoding="ascii") as f:
        f.write("1")
    try:
        before = totals()
        bench(client, "connect", agent.socket, "1000")
        for _ in range(200):
            subprocess.run(["/bin/true"], check=True)
        after = totals()
    finally:
        with open(switch, "w", encoding="ascii") as f:
            f.write(was)
    for number, (name, time, count) in sorted(after.items(), key=lambda item: item[1][0]):
        _, time0, count0 = before.get(number, (name, 0, 0))
        if count - count0 >= 100:
            row(f"BPF program {name}, per call", None, (time - time0) / (count - count0) / 1000, "")


def main():
    group = MemoryGroup()
    try:
        with Agent("bench", audit="best-effort") as agent:
            client = agent.program("client", TOOL)
            agent.identity("client", client)
            others = set(bpf_programs())
            group.enter()
            try:
                agent.start()
            finally:
                group.leave()
            print(f"tier {agent.status()['tier']}, {os.cpu_count()} cores, kernel {os.uname().release}\n")
            print(f"  {'':<52} {'floor':>9} {'svidd':>9} {'':<5} {'ratio':>8}   goal")
            connect_rows(agent, client)
            stream_rows(agent, client, group)
            bpf_rows(agent, client, others)
        many_identities(group)
    finally:
        group.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
