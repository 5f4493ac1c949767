#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: the figures of DESIGN.md 13, svidd against a floor server in the same run; PEER=spire-agent: and against one.

The floor is svid-bench's canned epoll server: it identifies nobody and answers with bytes of the same length. The
same client asks all of them, in turns, so that a slow moment of the machine hits all; the ratios are what counts.
"""
import datetime
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from agent import BIN, CALLER_UID, Agent, until  # noqa: E402  (path above)
from foreign import TrustDomain  # noqa: E402  (path above)
import peer as other  # noqa: E402  (path above)

TOOL = os.path.join(BIN, "svid-bench")
ROUNDS, CONNECTS, CALLS, CHECKS, READS = 5, 3000, 20000, 2000, 2000
PEER_SHARE = 10  # a peer that is slow gets so much less to do
STREAMS, IDENTITIES = 3000, 110
SDS_IDENTITIES, PROXIES, SDS_TTL, SDS_WATCH_S = 10, 25, "10s", 12
PARTNER = "partner.example"
MEMORY_V1, MEMORY_V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"


class MemoryGroup:
    """What svidd and all its roles, or the peer, are charged for, kernel memory included."""

    count = 0

    def __init__(self):
        v1 = os.path.isdir(MEMORY_V1)
        MemoryGroup.count += 1
        self.path = os.path.join(MEMORY_V1 if v1 else MEMORY_V2, f"svid-bench-{os.getpid()}-{MemoryGroup.count}")
        self.file = "memory.usage_in_bytes" if v1 else "memory.current"
        os.mkdir(self.path)

    def __enter__(self):
        """What is started inside belongs to the group."""
        self.enter()
        return self

    def __exit__(self, *error):
        self.leave()

    def enter(self):
        with open(os.path.join(self.path, "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    def leave(self):
        with open(os.path.join(os.path.dirname(self.path), "cgroup.procs"), "w", encoding="ascii") as f:
            f.write(str(os.getpid()))

    def used(self):
        """Bytes charged, without clean file pages: whose they are depends on who read a program first."""
        with open(os.path.join(self.path, self.file), encoding="ascii") as f:
            total = int(f.read())
        with open(os.path.join(self.path, "memory.stat"), encoding="ascii") as f:
            stat = {name: int(value) for name, value in (line.split() for line in f)}
        return total - stat.get("inactive_file", 0) - stat.get("active_file", 0)

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


def hold(path, *words):
    """A client that keeps streams open until its stdin closes."""
    process = subprocess.Popen([path, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/",
                               user=CALLER_UID, group=CALLER_UID, extra_groups=[])
    line = process.stdout.readline()
    if not line.startswith(b"held"):
        raise SystemExit(f"the client could not hold its streams, {words}: {line!r}")
    return process


def release(process):
    """What it said at last."""
    process.stdin.close()
    said = process.stdout.read()
    process.wait()
    process.stdout.close()
    return said


def median(values):
    return sorted(values)[len(values) // 2]


def ratio(value, of):
    return f"{value / of:7.1f} x" if of and value else "        -"


def number(value):
    return f"{value:9.1f}" if value else "        -"


def row(what, floor, ours, goal, unit="µs", peer=None):
    more = f" {number(peer)} {ratio(peer, ours)}" if other.wanted() else ""
    print(f"  {what:<52} {number(floor)} {ours:9.1f} {unit:<5} {ratio(ours, floor)}{more}   {goal}", flush=True)


class Floor:
    """The canned server, for messages of that length."""

    def __init__(self, top, length, *words):
        self.socket = os.path.join(top, "floor.sock")
        self.process = subprocess.Popen([TOOL, "floor", self.socket, str(length), *words])

    def __enter__(self):
        until(lambda: os.path.exists(self.socket), 5)
        os.chmod(self.socket, 0o777)
        return self

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()
        os.unlink(self.socket)


def in_turns(client, servers, command, n, *words):
    """{server: the median of each figure}, of ROUNDS runs in which each server has its turn."""
    runs = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, socket in servers.items():
            count = n // PEER_SHARE if name == "peer" else n
            runs[name].append(bench(client, command, socket, str(count), *words))
    return {name: {key: median([one[key] for one in many]) for key in many[0]} for name, many in runs.items()}


def rows(figures, *wanted):
    """One row for each (text, figure, goal, unit)."""
    for what, key, goal, unit in wanted:
        row(what, figures.get("floor", {}).get(key), figures["svidd"][key], goal, unit, figures.get("peer", {}).get(key))


def fetch_rows(agent, client, servers):
    """connect + FetchX509SVID + first message, then unary calls; the floor answers with as many bytes."""
    length = bench(client, "connect", agent.socket, "200")["message_bytes"]
    with Floor(agent.top, length) as floor:
        what = "connect + FetchX509SVID + first message"
        rows(in_turns(client, {"floor": floor.socket, **servers}, "connect", CONNECTS),
             (f"{what}, p50", "p50_us", "2.8 x the floor", "µs"), (f"{what}, p99", "p99_us", "300 µs", "µs"),
             ("the same, rate of one client", "per_s", "", "/s"))
    until(lambda: has_jwt(client, agent.socket), 20)
    length = bench(client, "jwt", agent.socket, "10", "1")["message_bytes"]
    with Floor(agent.top, length, "unary") as floor:
        every = {"floor": floor.socket, **servers}
        rows(in_turns(client, every, "jwt", CALLS, "1"), ("FetchJWTSVID, cached, one connection, p50", "p50_us", "40 µs", "µs"))
        rows(in_turns(client, every, "jwt", CALLS * 2, "8"), ("the same, 8 connections", "per_s", "40 000/s", "/s"))
    rows(in_turns(client, servers, "validate", CHECKS, "1"), ("ValidateJWTSVID, p50", "p50_us", "150 µs", "µs"))


def has_jwt(client, socket):
    try:
        return bench(client, "jwt", socket, "1", "1")
    except subprocess.CalledProcessError:
        return None


def held(client, socket, group):
    """KiB that one of STREAMS streams of one identity costs."""
    before = group.used()
    holder = hold(client, "hold", socket, str(STREAMS))
    after = group.used()
    release(holder)
    return (after - before) / STREAMS / 1024


def many_clients(place, n=IDENTITIES, **identity):
    """n programs, each with an identity, under place.bin."""
    clients = [place.program(f"w{i}", TOOL) for i in range(n)]
    for i, path in enumerate(clients):
        place.identity(f"w{i}", path, **identity)
    return clients


def all_held(clients, socket, group):
    """MiB of everything while each client holds two streams."""
    holders = [hold(path, "hold", socket, "2") for path in clients]
    used = group.used() / (1 << 20)
    for holder in holders:
        release(holder)
    return used


def many_identities(groups):
    peers = None
    with Agent("bench-many", audit="best-effort") as agent:
        clients = many_clients(agent)
        with groups["svidd"]:
            agent.start()
        ours = all_held(clients, agent.socket, groups["svidd"])
    if other.wanted():
        with other.Peer() as peer:
            clients = many_clients(peer)
            peer.start(groups["peer"], clients[-1], TOOL)
            peers = all_held(clients, peer.socket, groups["peer"])
    row(f"{IDENTITIES} identities x 2 streams, everything", None, ours, "40 MiB", "MiB", peers)


def milliseconds(when):
    return datetime.datetime.fromisoformat(when.replace("Z", "+00:00")).timestamp() * 1000


def issues(agent, name):
    """When each X.509-SVID of that identity was put down in the audit log, which is before anybody gets it."""
    return [milliseconds(r["time"]) for r in agent.records()
            if r["event"] == "issue" and r["kind"] == "x509" and r["spiffe_id"].endswith("/" + name)]


def sds_rotations(agent, said):
    """ms from each new SVID to the last of the streams of its identity."""
    took = []
    for i, one in enumerate(said):
        began = issues(agent, f"w{i}")
        for push in json.loads(one)["pushes"]:
            if push["name"] != "default" or push["streams"] != PROXIES:
                raise SystemExit(f"a rotation reached {push['streams']} streams of {push['name']}, not {PROXIES} of default")
            took.append(push["last_ms"] - max(ms for ms in began if ms <= push["first_ms"]))
    return took


def sds_bundle(agent, clients):
    """ms from a foreign bundle, as put down in the audit log, to the last of all streams that have ALL."""
    partner = TrustDomain(PARTNER)
    holders = [hold(path, "sds", agent.socket, str(PROXIES), "ALL") for path in clients]
    code, _, err = agent.svid("bundle", "set", PARTNER, partner.bundle())
    if code:
        raise SystemExit(f"svid bundle set: {err}")
    time.sleep(1)
    pushes = [push for holder in holders for push in json.loads(release(holder))["pushes"]]
    if sum(push["streams"] for push in pushes) != SDS_IDENTITIES * PROXIES:
        raise SystemExit(f"the bundle did not reach every stream: {pushes}")
    began = [milliseconds(r["time"]) for r in agent.records() if r["event"] == "foreign_bundle"]
    return max(push["last_ms"] for push in pushes) - began[-1]


def sds_rows(group):
    """PROXIES Envoys of each of SDS_IDENTITIES, with a stream for `default` and one for `ROOTCA` each, over rotations."""
    words = ("default", "ROOTCA")
    with Agent("bench-sds", audit="best-effort") as agent:
        clients = many_clients(agent, SDS_IDENTITIES, x509_ttl=SDS_TTL, more=f"  federatesWith: [{PARTNER}]\n")
        with group:
            agent.start()
        first = [hold(path, "sds", agent.socket, "1", *words) for path in clients]
        before = group.used()
        holders = [hold(path, "sds", agent.socket, str(PROXIES), *words) for path in clients]
        streams = SDS_IDENTITIES * PROXIES * len(words)
        each = (group.used() - before) / streams / 1024
        time.sleep(SDS_WATCH_S)
        said = [release(holder) for holder in holders]
        for holder in first:
            release(holder)
        took = sds_rotations(agent, said)
        bundle = sds_bundle(agent, clients)
    row(f"{streams} SDS streams, {SDS_IDENTITIES} identities, each beyond fronts", None, each, "12 KiB", "KiB")
    row(f"{len(took)} rotations, new SVID to its last SDS stream, p50", None, median(took), "20 ms", "ms")
    row("the same, the slowest", None, max(took), "20 ms", "ms")
    row(f"a foreign bundle to the last of {SDS_IDENTITIES * PROXIES} streams with ALL", None, bundle, "20 ms", "ms")


def tree_rows(agent, client):
    """A private key over FUSE from open() to close(); the floor is a file of as many bytes in /tmp, which asks nobody."""
    path = os.path.join(agent.run_dir, "credentials", "self", "svid", "key.pem")
    if not os.path.ismount(os.path.join(agent.run_dir, "credentials")):
        raise SystemExit("the credential tree is not mounted")
    length = bench(client, "read", path, "10")["message_bytes"]
    plain = os.path.join(agent.top, "plain")
    agent.replace(plain, "x" * length)
    figures = in_turns(client, {"floor": plain, "svidd": path}, "read", READS)
    rows(figures, ("credential file over FUSE, open to close, p50", "p50_us", "60 µs", "µs"),
         ("the same, p99", "p99_us", "", "µs"))


def cloud_rows():
    """The longest that a reader of a credential waits while a thousand others are refreshed, from svid-cloud's role test."""
    test = os.path.join(os.path.dirname(BIN), "tests", "role", "cloud_figures_test")
    done = subprocess.run([test], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, text=True)
    found = re.search(r"\| round 2: (\d+) exchanges, \d+ reads meanwhile, the slowest ([\d.]+) ms \((\d+) ms", done.stdout)
    row(f"{found[1]} bindings refreshed, the slowest read meanwhile", None, float(found[2]), "", "ms")
    row("the same, without its wait for a CPU", None, float(found[3]), "5 ms", "ms")


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


def one_identity(groups, peer):
    with Agent("bench", audit="best-effort") as agent:
        client = agent.program("client", TOOL)
        agent.identity("client", client)
        agent.delivery = "fuse"
        others = set(bpf_programs())
        with groups["svidd"]:
            agent.start()
        servers = {"svidd": agent.socket}
        if peer:
            peer.identity("client", client)
            peer.start(groups["peer"], client, TOOL)
            servers["peer"] = peer.socket
        print(f"tier {agent.status()['tier']}, {os.cpu_count()} cores, kernel {os.uname().release}\n")
        more = f" {other.NAME:>11} {'of svidd':>7}" if peer else ""
        print(f"  {'':<52} {'floor':>9} {'svidd':>9} {'':<5} {'of floor':>9}{more}   goal")
        fetch_rows(agent, client, servers)
        row(f"one identity, {STREAMS} streams, per further stream", None, held(client, agent.socket, groups["svidd"]), "8 KiB",
            "KiB", held(client, peer.socket, groups["peer"]) if peer else None)
        tree_rows(agent, client)
        bpf_rows(agent, client, others)


def main():
    groups = {"svidd": MemoryGroup(), "peer": MemoryGroup()}
    try:
        if other.wanted():
            with other.Peer() as peer:
                one_identity(groups, peer)
        else:
            one_identity(groups, None)
        many_identities(groups)
        sds_rows(groups["svidd"])
        cloud_rows()
    finally:
        for group in groups.values():
            group.remove()
    return 0


if __name__ == "__main__":
    sys.exit(main())
