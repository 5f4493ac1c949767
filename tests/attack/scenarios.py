# SPDX-License-Identifier: Apache-2.0
"""The attacks: each function plays one form of one attack against a running Product and tells its outcome in words.

Outcomes (README.md): SVID stolen, no identity, cut, refused, no answer, served, and measured ones.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import time

from product import ROOT, SLOW, UID, WAIT_MS, Failed, Player, Product, Skipped, resume

CUT_MS = 100  # DESIGN.md A4, A22
NOBODY_BURST = 64  # LIM_AUDIT_NOBODY_BURST


def word(line):
    """One of the outcome words for a line of the tool, without its 'who: '."""
    if line is None:
        return "no answer"
    what = line.split(": ", 1)[1]
    if what.startswith("got SVID"):
        return "SVID stolen"
    for start, said in (("PermissionDenied", "no identity"), ("Unavailable", "no answer (Unavailable)"),
                        ("refused", "refused"), ("cut", "cut"), ("nothing", "no answer")):
        if what.startswith(start):
            return said
    return what


def thief(p, seconds=None):
    return word(p.until("thief: ", seconds=seconds))


def simple(lab, command, who="evil", user=UID, **options):
    with lab.play(who, command, user=user, **options) as p:
        return thief(p)


def late(lab, command, **options):
    """The same where the agent looks only when the pid belongs to somebody else: a busy agent, at its worst."""
    core = lab.signal_all("svid-core", signal.SIGSTOP)
    try:
        with lab.play("evil", command, how="early", **options) as p:
            if p.until("at: replaced") is None:
                raise Failed(f"no stop: {p.lines}")
            resume(core)
            p.go_on()
            return thief(p)
    finally:
        resume(core)


def a1(lab, variant, agent="early"):
    options = {"user": 0, "variant": variant, "uid": UID}
    return late(lab, "a1", **options) if agent == "late" else simple(lab, "a1", **options)


def a2(lab, variant, agent="early"):
    return late(lab, "a2", variant=variant) if agent == "late" else simple(lab, "a2", variant=variant)


def with_front_stopped(lab, p, before, after):
    """Between two stops of the tool no front runs: what it would answer, it answers afterwards."""
    if p.until("at: " + before) is None:
        raise Failed(f"no stop at {before}: {p.lines}")
    time.sleep(0.3 * SLOW)  # the decision is made, the front has the connection
    fronts = lab.signal_all("svid-front", signal.SIGSTOP)
    try:
        p.go_on()
        if p.until("at: " + after) is None:
            raise Failed(f"no stop at {after}: {p.lines}")
        time.sleep(0.02)
    finally:
        resume(fronts)
    p.go_on()


def a5(lab):
    with lab.play("trusted", "a5") as p:
        with_front_stopped(lab, p, "connected", "replaced")
        return thief(p)


def a6(lab, delay):
    return simple(lab, "a6", "trusted", delay=delay)


def a6_second(lab):
    return simple(lab, "a6-second", "trusted")


def a3(lab, obtained, way):
    """What the thief got; 'then cut' or 'stays open' when it got something."""
    return read_then(lab, "a3", variant=obtained, how=way)


def read_then(lab, command, **options):
    with lab.play("trusted", command, **options) as p:
        got = thief(p)
        after = p.value("after: ")
    if got != "SVID stolen":
        return got
    return "answer read, then cut" if after.startswith("cut") else "SVID stolen"


def push(lab, name, seconds):
    """Make the agent send the identity's streams something new: its documents change."""
    lab.document(name, f"unix:path: {lab.path(name)}", f"  svid:\n    x509:\n      ttl: {seconds}s\n")


def stream_end(lab, p, event_us):
    """After the event: how long until the connection was closed, or what was stolen from it since."""
    closed = p.value("closed-at: ")
    if closed != "never":
        took = (int(closed) - event_us) / 1000
        p.until("at: pushed")
        p.go_on()
        stolen = thief(p) == "SVID stolen"
        return ("SVID stolen, then closed" if stolen else "closed") + f" after {took:.0f} ms"
    p.until("at: pushed")
    push(lab, "trusted", 1800)
    p.go_on()
    got = thief(p)
    push(lab, "trusted", 3600)
    return got if got == "SVID stolen" else f"stays open, {got}"


def cgroup_root():
    for top in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
        if os.path.exists(top + "/cgroup.procs") and os.path.exists(top + "/cgroup.controllers"):
            return top
    raise Skipped("no cgroup v2")


class Group:
    """A cgroup that is there while it is needed."""

    def __enter__(self):
        self.path = f"{cgroup_root()}/svid-attack-{os.getpid()}"
        os.makedirs(self.path, exist_ok=True)
        return self.path

    def __exit__(self, *_):
        for _ in range(50):
            try:
                os.rmdir(self.path)
                return
            except OSError:
                time.sleep(0.1)


def a4(lab, variant, hung=False):
    gone = variant in ("exit", "exec", "thread-exec")
    user = 0 if variant == "setuid" else UID
    fronts = []
    with Group() as group, lab.play("trusted", "a4-gone" if gone else "a4-changed", user=user,
                                    variant=variant) as p:
        if "got SVID" not in p.value("before: "):
            raise Failed(f"no stream to begin with: {p.lines}")
        p.until("at: streaming")
        try:
            if hung:
                fronts = lab.signal_all("svid-front", signal.SIGSTOP)
            event = int(time.monotonic() * 1e6)
            if variant == "move":
                with open(group + "/cgroup.procs", "w", encoding="ascii") as f:
                    f.write(str(p.process.pid))
            p.go_on()
            if variant != "move":
                event = int(p.value("event-at: "))
            return stream_end(lab, p, event)
        finally:
            resume(fronts)


def honest(said):
    return "served" if said.startswith(("got SVID", "SVID stolen")) else said


def a7(lab, variant):
    return honest(lab.fetch("trusted", variant=variant))


def a7_hidepid(lab):
    """A second svidd, in whose /proc other users' processes are hidden."""
    hide = ["unshare", "-m", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh"]
    other = Product(lab.tier, os.path.dirname(lab.top), wrap=hide)
    try:
        other.start(served=lab.tier != "socket")
        return honest(word("caller: " + other.fetch("trusted")))
    finally:
        other.stop()


def a9(lab, variant):
    padding = ["x" * 40, "y" * 40] if variant != "truncated" else []
    name = lab.path("args")
    env = {"ATTACK_SOCKET": lab.socket}
    if variant == "honest":
        argv = [name, "serve", "--production"]
    elif variant == "truncated":
        argv = [name, "serve", "--production", "x" * 2000]
    elif variant == "argv0":
        argv = [name + " serve --production", "fetch", f"socket={lab.socket}", f"wait={WAIT_MS}"]
    else:
        argv = [name, "argv-lie", f"variant={variant}", f"socket={lab.socket}", f"wait={WAIT_MS}", *padding]
    with Player(argv, env=env, executable=name) as p:
        said = word(p.until("thief: ", "caller: "))
        return "served" if variant == "honest" and said == "SVID stolen" else said


def make_jail(lab):
    """The evil program at the trusted path below a folder of the attacker's, with the libraries it needs."""
    jail = lab.top + "/loose/jail"
    if os.path.isdir(jail):
        return jail
    found = subprocess.run(["ldd", lab.evil], check=True, capture_output=True, text=True).stdout
    libs = [w for line in found.splitlines() for w in line.split() if w.startswith("/")]
    for source, target in [(lab.evil, lab.trusted), *((lib, lib) for lib in libs)]:
        to = jail + target
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(source, to)
    return jail


def a10(lab, variant):
    if variant == "chroot":
        return simple(lab, "a10-chroot", how=make_jail(lab))
    if variant == "outside":
        return simple(lab, "a10-outside")
    return simple(lab, "a10-bind")


def a11(lab, variant):
    if variant != "replaced":
        return simple(lab, "a11", variant=variant, how=lab.top + "/loose")
    # the attacker's program is there first; the administrator puts the real one in its place
    app = lab.top + "/loose/app"
    shutil.copy(lab.evil, app)
    p = Player([app, "victim", f"socket={lab.socket}", f"wait={WAIT_MS}"])
    with p:
        p.until("at: traced")
        shutil.copy(lab.trusted, app + ".new")
        os.rename(app + ".new", app)
        p.go_on()
        return word(p.until("caller: "))


def fake_library(kind):
    """Built once, where the VM sees it too."""
    folder = os.path.join(ROOT, "build/attack")
    path = f"{folder}/{kind}/libnghttp2.so.14"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "preload/evil.c")
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        flags = ["-DSTAND_IN"] if kind == "library-path" else []
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", *flags, "-o", path, source], check=True)
    return path


def loader_of(path):
    found = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    return re.search(r"^\s*(/\S+/ld-\S+)", found, re.M).group(1)


def a12_library(lab, variable, hidden=""):
    lib = fake_library("library-path" if variable == "LD_LIBRARY_PATH" else "preload")
    mine = f"{lab.top}/loose/{variable}"
    os.makedirs(mine, exist_ok=True)
    shutil.copy(lib, mine)
    value = mine if variable == "LD_LIBRARY_PATH" else mine + "/libnghttp2.so.14"
    env = {f"PADDING{i}": "x" * 4000 for i in range(12)} if hidden == "far" else {}
    env.update({variable: value} if hidden != "loader" else {})
    wrap = (loader_of(lab.trusted), "--preload", value) if hidden == "loader" else ()
    with lab.play("trusted", "fetch", env=env, wrap=wrap) as p:
        line = p.until("caller: ")
        if "injected: yes" not in p.lines:
            raise Failed(f"{variable} had no effect: {p.lines}")
        if line and "status" not in line and variable == "LD_LIBRARY_PATH" and "Unknown" in line:
            return "no identity"  # the stand-in library cannot read the status
        return word(line)


def a12_seccomp(lab, command, variant=""):
    lib = fake_library("library-path")
    mine = f"{lab.top}/loose/seccomp"
    os.makedirs(mine, exist_ok=True)
    shutil.copy(lib, mine)
    with lab.play("evil", command, how=mine + "/libnghttp2.so.14", variant=variant) as p:
        line = p.until("caller: ")
        if variant == "honest":
            return "served" if word(line) == "SVID stolen" else word(line)
        if "injected: yes" not in p.lines:
            raise Failed(f"{command} had no effect: {p.lines}")
        # the stand-in library cannot read the status
        return "no identity" if line and "Unknown" in line else word(line)


def a12_trace(lab, variant, name="trusted"):
    with lab.play(name, "victim", variant="stream" if variant.startswith("stream-") else "") as p:
        addr = p.value("buffer: ")
        p.until("at: traced")
        with lab.play("evil", "trace", variant=variant.replace("stream-", ""), pid=p.process.pid, addr=addr) as t:
            if t.until("traced: ") is None:
                raise Failed(f"not traced: {t.lines}")
        if variant.startswith("stream-"):
            push(lab, name, 1800)
        p.go_on()
        line = p.until("caller: ")
        if variant.startswith("stream-"):
            push(lab, name, 3600)
        if p.value("injected: ") != "yes":
            raise Failed("nothing was injected")
        return word(line) + shown_as(lab, p.process.pid)


def shown_as(lab, pid):
    """What a tier cannot see it must say in the audit record."""
    if lab.tier != "bpf-tp":
        return ""
    with open(lab.top + "/audit.log", encoding="utf-8") as f:
        mine = [r for r in map(json.loads, f) if r.get("pid") == pid]
    return ", not enforced" if mine and mine[-1].get("not_enforced") == "not-traced" else ""


def a12_start(lab):
    with lab.play("evil", "trace-start") as p:
        return word(p.until("caller: "))


def a15(lab, variant=""):
    with lab.play("evil", "a15", variant=variant) as p:
        if p.value("exe: ") != "spoofed":
            raise Failed(f"the link was not spoofed: {p.lines}")
        return thief(p)


def a16(lab, variant):
    return simple(lab, "a16", variant=variant)


def a17_personality(lab):
    return simple(lab, "a17-personality", how=make_jail(lab))


def a17(lab, variant):
    if variant == "shared":
        return simple(lab, "a17-shared")
    return late(lab, "a17", variant=variant)


def a17_honest(lab, variant):
    return honest(lab.fetch("trusted", "a17-honest", variant=variant))


def fds_of(pid):
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def a21(lab, variant):
    before = {pid: fds_of(pid) for pid in lab.children("svid-front")}
    with lab.play("trusted", "a21", variant=variant) as p:
        p.until("at: flooded")
        time.sleep(0.2 * SLOW)
        after = {pid: fds_of(pid) for pid in lab.children("svid-front")}
        p.go_on()
        got = thief(p)
    # the connection itself is one
    more = max((after[pid] - before.get(pid, after[pid]) for pid in after), default=0)
    if more > 1:
        return f"{more} descriptors installed"
    return got


def a21_linger(lab, who, variant):
    """Whoever frees the message waits for a TCP socket's peer: is anybody else made to wait with it?"""
    with lab.play(who, "a21-linger", variant=variant, count=int(6 * WAIT_MS / 1000)) as p:
        # how it ends is told by others: the attacker itself may be the one who waits
        p.until("at: flooded", "holding: ", "thief: ", seconds=1.5 * SLOW)
        time.sleep(0.3)
        hurt = [name for name in ("strict", "evil") if lab.fetch(name).startswith("nothing")]
        if "strict" in hurt:
            return "the agent stands still"
        return "callers without identity wait" if hurt else "others served"


def others_served(lab):
    """Who is not part of the flood: (what went wrong or None, milliseconds of the slowest). The last shares its uid: in
    socket mode, where nothing is remembered of a caller, those of one uid wait for each other."""
    slowest = 0
    callers = [("trusted", UID + 1, "got SVID"), ("evil", UID + 1, "PermissionDenied"), ("trusted", UID, "got SVID")]
    for name, user, want in callers[:2] if lab.tier == "socket" else callers:
        begin = time.monotonic()
        got = lab.fetch(name, user=user)
        if not got.startswith(want):
            return f"{name} of uid {user}: {got}", 0
        slowest = max(slowest, (time.monotonic() - begin) * 1000)
    return None, slowest


def a14(lab, variant, count=1500 if SLOW == 1 else 400):
    """A flood by callers without identity. How are the others served meanwhile, and how much did it get to hold?"""
    user = 0 if variant == "subuids" else UID
    with lab.play("evil", "a14", user=user, uid=UID, variant=variant, count=count,
                  delay=int(500 * SLOW), workers=2 if SLOW == 1 else 1) as p:  # an emulated machine has no CPU to spare
        if p.until("at: flooding") is None:
            raise Failed(f"no flood: {p.lines}")
        time.sleep(0.7 * SLOW)
        worst = 0
        for _ in range(3):
            wrong, took = others_served(lab)
            if SLOW > 1 and wrong:
                # svid-core's times (5 s for a canary, decaying penalties) are not slowed down with the emulated machine;
                # a caller that comes again, as every client does, must be served.
                time.sleep(1)
                wrong, took = others_served(lab)
            if wrong:
                return "others wait: " + wrong
            worst = max(worst, took)
        p.go_on()
        held = int(p.value("held: ").split()[0])
    return f"others served in {worst:.0f} ms, {held} held"


def a14_audit(lab):
    """The same, measured by what it makes the agent write: kilobytes, with those of the callers above."""
    path = os.path.join(lab.top, "audit.log")
    before = os.path.getsize(path)
    said = a14(lab, "forks")
    return said if "served in" not in said else f"{(os.path.getsize(path) - before) // 1024} KB of audit"


def a14_revoked(lab):
    """Callers that are another program before anything was decided about them: how many revocations are written a second?"""
    path, begin = os.path.join(lab.top, "audit.log"), time.monotonic()
    before = os.path.getsize(path)
    said = a14(lab, "execs")
    seconds = time.monotonic() - begin
    with open(path, "rb") as f:
        f.seek(before)
        n = f.read().count(b'"event":"revoke"')
    return said if "served in" not in said else f"{max(0, n - NOBODY_BURST) / seconds:.0f} revocations a second"


def a22(lab, how):
    """The front hangs, as one that was taken over would; the identity is withdrawn. How long until the socket closes."""
    path = os.path.join(lab.policy, "revoked.yaml")
    fronts = []
    with lab.play("revoked", "a4-changed", variant="watch", wait=4 * WAIT_MS) as p:
        if "got SVID" not in p.value("before: "):
            raise Failed(f"no stream to begin with: {p.lines}")
        p.until("at: streaming")
        try:
            if how == "hung":
                fronts = lab.signal_all("svid-front", signal.SIGSTOP)
            p.go_on()
            p.until("event-at: ")
            event = int(time.monotonic() * 1e6)
            os.rename(path, path + ".away")
            closed = p.value("closed-at: ")
        finally:
            resume(fronts)
            if os.path.exists(path + ".away"):
                os.rename(path + ".away", path)
    time.sleep(0.5 * SLOW)  # the document is back in force
    return "stays open" if closed == "never" else f"closed after {(int(closed) - event) / 1000:.0f} ms"


def no_identity_within(lab, seconds):
    """The seconds until the trusted program is served no more, or None."""
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if lab.served() is not None:
            return time.monotonic() - begin
        time.sleep(0.1)
    return None


FTRACE = "/proc/sys/kernel/ftrace_enabled"


def a20_silenced(lab):
    if not os.path.exists(FTRACE):
        raise Skipped("no kernel.ftrace_enabled")
    try:
        with open(FTRACE, "w", encoding="ascii") as f:
            f.write("0")
    except PermissionError:
        return "refused to root here"
    try:
        if lab.tier == "bpf-tp":
            attack = a2(lab, "")
            time.sleep(2)
            return f"not affected, {attack}" if lab.served() is None else "silenced"
        took = no_identity_within(lab, 5 * SLOW)
    finally:
        with open(FTRACE, "w", encoding="ascii") as f:
            f.write("1")
    back = lab.await_served(10 * SLOW)
    return "SVID stolen" if took is None else f"no identity after {took:.1f} s, whole again after {back:.1f} s"


def a20_detached(lab):
    pins = f"/sys/fs/bpf/svid-{lab.name}"
    done = 0
    for folder, _, names in os.walk(pins):
        for name in names:
            path = os.path.join(folder, name)
            done += subprocess.run(["bpftool", "link", "detach", "pinned", path], check=False,
                                   capture_output=True).returncode == 0
    if not done:
        return "links cannot be detached while svidd lives"
    took = no_identity_within(lab, 5 * SLOW)
    lab.stop()
    lab.start()
    return "SVID stolen" if took is None else f"no identity after {took:.1f} s, whole again after a restart"


def a20_overrun(lab):
    """svid-core stands still while a holder causes more events than the ring holds; then it goes on."""
    by_ids = lab.tier != "bpf-tp"
    players = [lab.play("trusted", "noisy", user=0 if by_ids else UID, variant="ids" if by_ids else "",
                        count=4500 if by_ids else 1200, uid=UID) for _ in range(1 if by_ids else 4)]
    core = []
    try:
        for p in players:
            if "got SVID" not in p.value("before: "):
                raise Failed(f"no stream to begin with: {p.lines}")
            p.until("at: streaming")
        core = lab.signal_all("svid-core", signal.SIGSTOP)
        for p in players:
            p.go_on()
        for p in players:
            if p.until("noise: ", seconds=60 * SLOW) is None:
                raise Failed("the noise did not end")
        with lab.play("trusted", "fetch", wait=3000) as q:
            time.sleep(0.2 * SLOW)
            resume(core)
            core = []
            first = q.until("caller: ")
        back = lab.await_served(10 * SLOW)
    finally:
        resume(core)
        for p in players:
            p.end()
    lost = lab.lost_events()
    said = "served at once" if first and "got SVID" in first else "no identity"
    return f"{lost} events lost, {said}, whole again after {back:.1f} s"
