# SPDX-License-Identifier: Apache-2.0
"""A13, A23: the credential tree's files in hands that they are not for. As scenarios.py; the lab has a tree, lab.tree."""
import os
import signal
import subprocess
import time
import uuid

from product import SLOW, TRUST_DOMAIN, UID, WAIT_MS, Failed, Player, Skipped, load_module, resume
from scenarios import honest, in_force, soon, thief, word

BUNDLE = "svid/credential-bundle.private-key.pem"  # certificate and key
WAYS = ["read", "pread", "readv", "splice", "sendfile", "private", "shared", "ahead", "uring", "uring-worker", "uring-sqpoll"]
HONEST = {"fuse": ["read", "readv"], "sysfs": ["read", "readv", "splice", "sendfile", "uring", "uring-worker", "uring-sqpoll"]}
OBTAINED = ["inherited", "passed", "stolen"]


def own(lab, name="self", file=BUNDLE):
    """A file of the reader's default identity, or of the identity of that name."""
    if not lab.tree:
        raise Skipped("no credential tree here")
    folder = name if name == "self" else str(uuid.uuid5(uuid.NAMESPACE_URL, f"spiffe://{TRUST_DOMAIN}/{name}"))
    return f"{lab.tree}/{folder}/{file}"


def said(p, start="thief: "):
    return word(p.until(start))


def whose(line):
    """The identity's last part; or the outcome."""
    got = line or ""
    return got.rsplit("/", 1)[1] if "got SVID spiffe://" in got else word(line)


def read(lab, who, path, user=UID, **options):
    with lab.play(who, "tree-read", user=user, file=path, **options) as p:
        return word(p.until("caller: "))


def a13_plain(lab, name):
    """evil of the same user asks for the files of the trusted program, as anybody may try."""
    return read(lab, "evil", own(lab, name))


def a13_cat(lab, name):
    with Player(["/bin/cat", own(lab, name)]) as p:
        p.until("no such line", seconds=2 * SLOW)
        text = "\n".join(p.lines)
    return "SVID stolen" if "-----BEGIN" in text else "refused" if "denied" in text else text[-60:]


def a13_descriptor(lab, obtained, way, name="self"):
    with lab.play("trusted", "a13", variant=obtained, how=way, file=own(lab, name)) as p:
        if "got SVID" not in p.value("before: "):
            raise Failed(f"trusted does not read its own: {p.lines}")
        return said(p)


def a13_exec(lab, variant, way):
    with lab.play("trusted", "a13-exec", variant=variant, how=way, file=own(lab)) as p:
        if "got SVID" not in p.value("before: "):
            raise Failed(f"trusted does not read its own: {p.lines}")
        return said(p)


def a13_helper(lab, variant):
    with lab.play("trusted", "a13-helper", variant=variant, file=own(lab)) as p:
        return said(p)


def a13_by_proc(lab, kind):
    """By way of /proc/PID of the trusted program, which stands there with the file open."""
    path = own(lab)
    with lab.play("trusted", "a23", file=path) as p:
        p.until("at: reading")
        there = f"/proc/{p.process.pid}/root{path}" if kind == "root" else None
        if kind == "fd":
            folder = f"/proc/{p.process.pid}/fd"
            there = next((f"{folder}/{n}" for n in os.listdir(folder) if os.readlink(f"{folder}/{n}") == path), None)
        if there is None:
            raise Failed("no descriptor of it is open")
        return read(lab, "evil", there)


def a13_late(lab):
    """The agent does not look until the reader's process is the trusted program."""
    core = []
    try:
        with lab.play("evil", "a13-late", file=own(lab)) as p:
            p.until("at: begin")
            core = lab.signal_all("svid-core", signal.SIGSTOP)
            p.go_on()
            if p.until("at: replaced") is None:
                raise Failed(f"no stop: {p.lines}")
            resume(core)
            core = []
            p.go_on()
            return thief(p)
    finally:
        resume(core)


def a13_mapping(lab):
    """Who has an identity of its own has the same file self/... open, and mapped, when the trusted program maps it."""
    path = own(lab)
    with lab.play("revoked", "a13-map", file=path) as p:
        p.until("at: mapped")
        with lab.play("trusted", "a13-map", file=path) as q:
            q.until("at: mapped")
            q.go_on()
            q.until("at: looked")
            p.go_on()
            line = p.until("thief: ")
            mine = whose(line)
            q.go_on()
    return "SVID stolen" if mine == "trusted" else "no identity" if mine == "revoked" else mine


def others_own(lab):
    """Two programs of one user read self/: each its own; and each other's by address: neither."""
    for name, other in (("trusted", "revoked"), ("revoked", "trusted")):
        with lab.play(name, "tree-read", file=own(lab)) as p:
            got = whose(p.until("caller: "))
        if got != name:
            return f"{name} reads: {got}"
        got = read(lab, name, own(lab, other))
        if got != "refused":
            return f"{name} reads {other}'s: {got}"
    return "served"


def honest_ways(lab):
    """The file's size is 0, so that nothing gets into the page cache; splice() and asynchronous reads from FUSE stop there."""
    for way in HONEST[lab.delivery]:
        with lab.play("trusted", "tree-read", file=own(lab), how=way) as p:
            got = word(p.until("caller: "))
        if got != "SVID stolen":
            return f"{way}: {got}"
    return "served"


def honest_process(lab, variant):
    with lab.play("trusted", "tree-read", file=own(lab), variant=variant) as p:
        return honest(word(p.until("caller: ")))


def honest_container(lab):
    """Namespaces that root made: a pid namespace, a mount namespace, a sysfs of its own, read-only."""
    path = own(lab)
    sysfs = 'mount -t sysfs -o ro sysfs /sys && ' if lab.tree.startswith("/sys/") else ""
    enter = ["unshare", "-m", "-p", "-n", "-f", "--mount-proc", "sh", "-c", sysfs +
             f'exec setpriv --reuid={UID} --regid={UID} --clear-groups "$@"', "sh"]
    with Player([*enter, lab.trusted, "tree-read", f"file={path}"], user=0) as p:
        return honest(word(p.until("caller: ")))


def userns(lab):
    """The trusted program in a user namespace of the attacker's."""
    with lab.play("trusted", "tree-read", file=own(lab), who="thief", wrap=["unshare", "-U", "-r"]) as p:
        return thief(p)


def over_tree(function, *args):
    """The same attack with a file of the tree read instead of a connection made."""
    def run(lab):
        lab.words = {"ask": own(lab)}
        try:
            return function(lab, *args)
        finally:
            lab.words = {}
    return run


def a14_reads(lab, workers=80 if SLOW == 1 else 20):
    """More readers without identity than may wait at once. How long do others wait, over the tree and over connections?"""
    before = os.path.getsize(lab.top + "/audit.log")
    with lab.play("evil", "tree-flood", file=own(lab), workers=workers) as p:
        if p.until("at: flooding") is None:
            raise Failed(f"no flood: {p.lines}")
        time.sleep(0.7 * SLOW)
        worst = 0
        for _ in range(3):
            begin = time.monotonic()
            got = read(lab, "trusted", own(lab), user=UID + 1)
            if got != "SVID stolen":
                return f"others wait: {got} from the tree"
            worst = max(worst, time.monotonic() - begin)
            # in socket mode nothing is remembered of a caller, and those of one user wait for each other
            got = None if lab.tier == "socket" else lab.served()
            if got is not None:
                time.sleep(0.5 * SLOW)  # while all of them are looked at for the first time, their user's share is used up
                got = lab.served()
            if got is not None:
                return f"others wait: {got}"
        p.go_on()
    grew = os.path.getsize(lab.top + "/audit.log") - before
    return f"others served in {worst * 1000:.0f} ms, 0 held" if grew < 1 << 20 else f"{grew >> 10} KB of audit"


def returned(p, since):
    line = p.until("returned-at: ", seconds=8 * SLOW)
    if line is None:
        return "does not return"
    at, what = line.split(": ", 1)[1].split()
    return f"{what} after {max(0, (int(at) - since) / 1000):.0f} ms"


def reader(lab):
    """sysfs asks in read(), FUSE in open() already."""
    return lab.play("revoked", "a23", file=own(lab, "revoked"), variant="open" if lab.delivery == "fuse" else "")


def back_in_tree(lab, name):
    """The document is back, and so are its files: its program reads them."""
    in_force(lab, name)
    if not soon(lambda: read(lab, name, own(lab, name)) == "SVID stolen", 20 * SLOW):
        raise Failed(f"{name} does not read its own any more\n{lab.tail()}")


def a13_withdrawn(lab, who):
    """Opened in time, read too late: the document was withdrawn, or the process has become another program since."""
    path = os.path.join(lab.policy, "revoked.yaml")
    with lab.play("revoked", "a23", file=own(lab, who)) as p:
        p.until("at: reading")
        os.rename(path, path + ".away")
        try:
            time.sleep(0.5 * SLOW)
            p.go_on()
            got = returned(p, 0)
        finally:
            os.rename(path + ".away", path)
            back_in_tree(lab, "revoked")
    return "SVID stolen" if got.startswith("content") else "refused"


def waiting(lab, p):
    """A reader of `revoked` that waits for its front, which stands still."""
    p.until("at: reading")
    fronts = lab.signal_all("svid-front", signal.SIGSTOP)
    p.go_on()
    time.sleep(min(0.5 * SLOW, 1.5))
    return fronts


def a23(lab, event):
    path = os.path.join(lab.policy, "revoked.yaml")
    fronts, stopped = [], []
    with reader(lab) as p:
        try:
            fronts = waiting(lab, p)
            since = int(time.monotonic() * 1e6)
            if event == "revoked":
                os.rename(path, path + ".away")
            elif event == "killed":
                os.killpg(p.process.pid, signal.SIGKILL)
                p.process.wait()
                return f"gone after {int(time.monotonic() * 1e6 - since) // 1000} ms"
            elif event == "agent":
                stopped = lab.signal_all("svid-core", signal.SIGKILL)
            got = returned(p, since)
        finally:
            resume(fronts)
            if os.path.exists(path + ".away"):
                os.rename(path + ".away", path)
                back_in_tree(lab, "revoked")
    if stopped:
        lab.killed = True
        lab.await_served(20 * SLOW)
    return got


def a23_stop(lab):
    """svidd ends: nobody waits for an agent that is not there any more. Then it is started again."""
    with reader(lab) as p:
        fronts = waiting(lab, p)
        since = int(time.monotonic() * 1e6)
        lab.process.terminate()
        resume(fronts)
        got = returned(p, since)
    lab.stop()
    lab.start()
    return got


def module_leaves(lab):
    """svidd killed, and the module unloaded while somebody waits in a file of it."""
    with reader(lab) as p:
        waiting(lab, p)
        since = int(time.monotonic() * 1e6)
        lab.kill()
        got = returned(p, since)
    done = subprocess.run(["rmmod", "svid"], check=False, capture_output=True, text=True)
    if done.returncode:
        return f"rmmod: {done.stderr.strip()}"
    load_module()
    lab.start()
    return got
