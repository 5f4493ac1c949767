# SPDX-License-Identifier: Apache-2.0
"""What processes may share or be started in: descriptors, namespaces, set-uid programs, overlayfs. As scenarios.py."""
import os
import shutil
import signal
import subprocess
import time

from product import HASHED_UID, SLOW, UID, WAIT_MS, Failed, Player, Product, Skipped
from scenarios import Group, fake_library, honest, late, read_then, simple, stream_end, thief, with_front_stopped, word


def a2_vfork_late(lab):
    return late(lab, "a2", variant="vfork", delay=500)


def a2_files(lab):
    return late(lab, "a2-files")


def a2_setuid(lab):
    """The process becomes a set-uid program of another user, which its starter cannot trace."""
    return late(lab, "a2", trusted=raised(lab))


def a3_ring(lab, how):
    return read_then(lab, "a3-ring", how=how)


def a4_shared(lab, variant):
    command = "a4-files" if variant == "files" else "a4-gone"
    with Group(), lab.play("trusted", command, variant=variant) as p:
        if "got SVID" not in p.value("before: "):
            raise Failed(f"no stream to begin with: {p.lines}")
        p.until("at: streaming")
        p.go_on()
        return stream_end(lab, p, int(p.value("event-at: ")))


def a5_thread(lab):
    with lab.play("trusted", "a5", variant="thread") as p:
        with_front_stopped(lab, p, "connected", "replaced")
        return thief(p)


def a5_setuid(lab):
    """The asker becomes a set-uid program of another user: image and credentials change in one call."""
    with lab.play("trusted", "a5", evil=raised(lab, "evil")) as p:
        with_front_stopped(lab, p, "connected", "replaced")
        return thief(p)


def raised(lab, of="raised"):
    """A set-uid program of another user; `raised` has an identity by its path."""
    path = lab.path("raised") if of == "raised" else f"{lab.bin}/raised-{of}"
    if not os.path.exists(path):
        shutil.copy(lab.path(of), path)
    os.chown(path, HASHED_UID, HASHED_UID)
    os.chmod(path, 0o4755)
    return path


def honest_setuid(lab):
    raised(lab)
    with lab.play("raised", "fetch") as p:
        said = word(p.until("caller: "))
        record = lab.record_of(p.process.pid)
    if lab.tier != "socket" and record.get("uid") != HASHED_UID:
        return f"{said}, as uid {record.get('uid')}"
    return honest(said)


def setuid_traced(lab):
    """A set-uid program executed under a tracer is not raised, and was traced."""
    with lab.play("evil", "trace-start", trusted=raised(lab)) as p:
        return word(p.until("caller: "))


def honest_thread(lab, variant):
    """A program that a thread executed, whose first thread may have ended before."""
    with lab.play("evil", "thread-start", variant=variant) as p:
        return honest(word(p.until("caller: ")))


def leaderless(lab):
    """/proc/PID/exe of a process whose first thread has ended names nothing: no path, so no identity by path."""
    return honest(lab.fetch("trusted", "leaderless"))


def a1_namesake(lab):
    with lab.play("trusted", "hold", delay=int(3000 * SLOW)) as p:
        p.until("holding: ")
        return simple(lab, "a1-namesake", pid=p.process.pid)


def await_inside(product):
    """Until a caller in the namespaces that this svidd was started in is served."""
    end, got = time.monotonic() + 20 * SLOW, "no socket"
    while time.monotonic() < end:
        core = product.children("svid-core")
        if core and os.path.exists(product.socket):
            enter = ["nsenter", "-t", str(core[0]), "-p", "-m", "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
            words = [product.trusted, "fetch", f"socket={product.socket}", f"wait={WAIT_MS}"]
            with Player([*enter, *words], user=0) as p:
                got = word(p.until("caller: "))
        if got == "SVID stolen":
            return
        time.sleep(0.1)
    raise Failed(f"control: a caller inside is not served: {got}\n{product.tail()}")


def k18_outside(lab):
    """A second svidd in a pid namespace of its own: who is outside of it has no number there, as nobody and everybody."""
    other = Product(lab.tier, os.path.dirname(lab.top), wrap=["unshare", "-p", "-f", "--mount-proc", "--kill-child"])
    try:
        other.start(served=None)
        await_inside(other)
        with other.play("trusted", "fetch", who="thief") as p:
            return thief(p)
    finally:
        other.signal_all("svidd", signal.SIGTERM)  # unshare passes none on
        other.stop()


def a10_overlay(lab):
    layer = f"{lab.top}/loose/layer"
    os.makedirs(layer, exist_ok=True)
    shutil.copy(lab.evil, layer + "/trusted")
    return simple(lab, "a10-overlay", how=layer)


def library_of(program, name):
    found = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return next(w for line in found.splitlines() if name in line for w in line.split() if w.startswith("/"))


def a10_library(lab):
    mine = f"{lab.top}/loose/library"
    os.makedirs(mine, exist_ok=True)
    shutil.copy(fake_library("library-path"), mine)
    lib = os.path.realpath(library_of(lab.trusted, "libnghttp2"))
    with lab.play("evil", "a10-library", how=lib, evil=mine + "/libnghttp2.so.14") as p:
        line = p.until("caller: ")
        if "injected: yes" not in p.lines:
            raise Failed(f"the library was not loaded: {p.lines}")
        return "no identity" if line and "Unknown" in line else word(line)


class Overlay:
    """What a container engine makes: an overlayfs of root's, here with layers that a user may write."""

    def __init__(self, lab, owner):
        self.top = f"{lab.top}/overlay"
        self.lower, self.upper, self.merged = (f"{self.top}/{name}" for name in ("lower", "upper", "merged"))
        for folder in (self.top, self.lower, self.upper, self.top + "/work", self.merged):
            os.makedirs(folder, exist_ok=True)
        for folder in (self.lower, self.upper):
            os.chown(folder, owner, owner)

    def __enter__(self):
        layers = f"lowerdir={self.lower},upperdir={self.upper},workdir={self.top}/work"
        done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self.merged], check=False,
                              capture_output=True, text=True)
        if done.returncode:
            raise Skipped(f"no overlayfs here: {done.stderr.strip()}")
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.merged], check=False, capture_output=True)
        shutil.rmtree(self.top, ignore_errors=True)


def put(source, target, owner=None):
    shutil.copy(source, target)
    os.chmod(target, 0o755)
    if owner is not None:
        os.chown(target, owner, owner)


def by_digest(lab, path):
    with lab.play(path, "fetch", user=HASHED_UID) as p:
        return word(p.until("caller: "))


def honest_overlay(lab):
    """An executable of a lower layer by its digest, as in a container's root file system."""
    with Overlay(lab, 0) as o:
        put(lab.path("pinned"), o.lower + "/app")
        time.sleep(0.2)
        return honest(by_digest(lab, o.merged + "/app"))


def a19_overlay(lab, layer):
    """pinned is hashed; then its owner writes evil into the same inode, below the overlay, and executes it above."""
    with Overlay(lab, HASHED_UID) as o:
        below = f"{o.lower if layer == 'lower' else o.upper}/app"
        put(lab.path("pinned"), below, HASHED_UID)
        time.sleep(1.3)  # it may be remembered now
        for _ in range(2):
            got = by_digest(lab, o.merged + "/app")
            if got != "SVID stolen":
                raise Failed(f"control: pinned on an overlay is not served: {got}")
        with open(lab.path("unpinned"), "rb") as f:
            text = f.read()
        with open(below, "r+b") as f:
            f.write(text)
        time.sleep(0.2)  # settled at exec
        got = {by_digest(lab, o.merged + "/app") for _ in range(3)}
        return "SVID stolen" if "SVID stolen" in got else sorted(got)[0]


def a19_copied_up(lab):
    """evil runs from a lower layer; then opening it for writing copies it up, and the upper copy becomes pinned's."""
    with Overlay(lab, HASHED_UID) as o:
        put(lab.path("unpinned"), o.lower + "/app", HASHED_UID)
        time.sleep(0.2)
        with lab.play(o.merged + "/app", "victim", user=HASHED_UID) as p:
            p.until("at: traced")
            with open(lab.path("pinned"), "rb") as f:
                text = f.read()
            try:
                with open(o.merged + "/app", "r+b") as f:
                    f.write(text)
            except OSError:
                put(lab.path("pinned"), o.upper + "/app", HASHED_UID)  # busy: below the overlay then
            p.go_on()
            return word(p.until("caller: "))
