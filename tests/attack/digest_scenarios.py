# SPDX-License-Identifier: Apache-2.0
"""A8, A18, A19, A24: identity by digest, and sources of facts that fail. As scenarios.py; the document `pinned` is by digest."""
import os
import shutil
import signal
import subprocess
import time

from product import HASHED_UID, OTHER_HASHED_UID, ROOT, SLOW, UID, WAIT_MS, Failed, Player, Product, Skipped
from scenarios import Group, word

HUGE = 900 << 20  # below LIM_DIGEST_FILE
FLOOD = 8
DIGEST_S = 10  # LIM_DIGEST_MS
READ_FILES = 1 << 2  # CAP_DAC_READ_SEARCH, which only hashers have


def said_by(p, seconds=None):
    return word(p.until("thief: ", "caller: ", seconds=seconds))


def run(lab, path, user, **options):
    with lab.play(path, "fetch", user=user, **options) as p:
        return said_by(p)


def granted(lab, path, user=HASHED_UID):
    got = run(lab, path, user)
    if got != "SVID stolen":
        raise Failed(f"control: {path} is not served: {got}")


def fresh_copy(lab, name, of="pinned", size=0, owner=None):
    """A file that was never hashed, old enough to be; nobody but its owner may write it."""
    path = f"{lab.top}/loose/{name}"
    if os.path.exists(path):
        os.unlink(path)
    shutil.copy(lab.path(of), path)
    os.chmod(path, 0o755)
    if size:
        os.truncate(path, size)
    if owner is not None:
        os.chown(path, owner, owner)
    return path


def others_are_served(lab, number):
    """Another user with another file, and callers whose executables nobody hashes."""
    path = fresh_copy(lab, f"other-{number}")
    time.sleep(0.2)
    hurt = []
    with lab.play(path, "fetch", user=OTHER_HASHED_UID) as p:
        got = said_by(p)
        why = lab.record_of(p.process.pid).get("sha256_unknown", "")
    if got != "SVID stolen":
        hurt.append(f"another user's digest ({got} {why})")
    if lab.served() is not None:
        hurt.append("a caller by path")
    os.unlink(path)
    return hurt


def judge(lab, players, rounds=2):
    """While the players have the agent hash, and whatever they get."""
    try:
        hurt = []
        for number in range(rounds):
            hurt += others_are_served(lab, number)
        return f"{hurt[0]} is not served" if hurt else "others served"
    finally:
        for p in players:
            p.end()


def a8_huge(lab):
    files = [fresh_copy(lab, f"huge-{i}", "unpinned", HUGE) for i in range(FLOOD)]
    time.sleep(0.2)
    players = [lab.play(f, "fetch", user=HASHED_UID, wait=10 * WAIT_MS) for f in files for _ in range(3)]
    time.sleep(0.3 * SLOW)
    try:
        return judge(lab, players)
    finally:
        for f in files:
            os.unlink(f)


def a8_again(lab):
    """New processes of one file, one after the other and at once."""
    path = fresh_copy(lab, "again")
    time.sleep(1.2 + 0.3 * SLOW)  # what was changed within a second is not remembered
    before = lab.digests()["hashed"]
    for _ in range(4):
        granted(lab, path)
    players = [lab.play(path, "fetch", user=HASHED_UID) for _ in range(8 if SLOW == 1 else 3)]
    got = {said_by(p) for p in players}
    for p in players:
        p.end()
    hashed = lab.digests()["hashed"] - before
    if got != {"SVID stolen"}:
        return f"callers got {sorted(got)}"
    return "hashed once" if hashed == 1 else f"hashed {hashed} times"


class Fuse:
    """evil's content for whoever executes it, pinned's for the hasher; or no answer to the hasher."""

    def __init__(self, lab, variant=""):
        self.folder = f"{lab.top}/fuse"
        self.app = self.folder + "/app"
        os.makedirs(self.folder, exist_ok=True)
        hasher = lab.ids + 2
        self.player = lab.play("evil", "fuse", user=0, variant=variant, how=self.folder, uid=HASHED_UID, count=hasher,
                               evil=lab.path("unpinned"), trusted=lab.path("pinned"))

    def __enter__(self):
        try:
            if self.player.until("mounted: ") is None:
                raise Failed(f"not mounted: {self.player.lines}")
        except (Failed, Skipped):
            self.player.end()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.folder], check=False, capture_output=True)
        self.player.end()


def a8_hanging(lab):
    with Fuse(lab, "hang") as fuse:
        players = [lab.play(fuse.app, "fetch", user=HASHED_UID, wait=10 * WAIT_MS) for _ in range(4)]
        time.sleep(0.5 * SLOW)
        return judge(lab, players)


def a18_fuse(lab):
    with Fuse(lab) as fuse:
        return run(lab, fuse.app, HASHED_UID, who="thief")


def remote_copy():
    """Made by the VM's parent, where the tree can be written; in the VM it is on a remote file system."""
    return os.path.join(ROOT, "build/attack/pinned")


def prepare():
    path = remote_copy()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy(os.path.join(ROOT, "build/bin/svid-attack"), path)
    with open(path, "ab") as f:
        f.write(b"pinned")


def a18_remote(lab):
    if not os.environ.get("VM"):
        raise Skipped("no remote file system here")
    return run(lab, remote_copy(), HASHED_UID)


def memory_folder(lab):
    """Of the attacker, on a file system that does not stamp what is written through a mapping."""
    folder = f"/dev/shm/{lab.name}"
    os.makedirs(folder, exist_ok=True)
    os.chown(folder, HASHED_UID, HASHED_UID)
    return folder


def a19_mapping(lab):
    folder = memory_folder(lab)
    app = folder + "/app"
    try:
        shutil.copy(lab.path("unpinned"), app)
        os.chmod(app, 0o755)
        os.chown(app, HASHED_UID, HASHED_UID)
        time.sleep(0.2)
        with lab.play(app, "a19-rewrite", user=HASHED_UID, variant="mapping", how=app, trusted=lab.path("pinned")) as p:
            if p.value("stamp: ") != "kept":
                raise Failed(f"the mapping was stamped: {p.lines}")
            return said_by(p)
    finally:
        shutil.rmtree(folder)


def attackers_folder(lab):
    folder = lab.top + "/hashed"
    os.makedirs(folder, exist_ok=True)
    os.chown(folder, HASHED_UID, HASHED_UID)
    return folder


def a19_fresh(lab):
    app = attackers_folder(lab) + "/fresh"
    with lab.play("evil", "a19-fresh", user=HASHED_UID, how=app, evil=lab.path("unpinned"), trusted=lab.path("pinned")) as p:
        return said_by(p)


def a19_cached(lab, delay):
    app = attackers_folder(lab) + "/cached"
    count = 2 if os.environ.get("THIN") else 5
    with lab.play("evil", "a19-cached", user=HASHED_UID, how=app, evil=lab.path("unpinned"), trusted=lab.path("pinned"),
                  delay=delay, count=count) as p:
        if p.until("over: ", seconds=60 * SLOW) is None:
            raise Failed(f"not over: {p.lines}")
        got = {word(line) for line in p.lines if line.startswith("thief: ")}
    return "SVID stolen" if "SVID stolen" in got else sorted(got)[0]


def hashers(lab):
    found = []
    for pid in lab.children("svid-attest"):
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
            caps = [int(line.split()[1], 16) for line in f if line.startswith("CapEff:")]
        if caps == [READ_FILES]:
            found.append(pid)
    return found


def named(lab, p, got, key):
    """The outcome, with whether the audit record says what failed."""
    record = lab.record_of(p.process.pid)
    if got == "no identity" and record.get(key):
        return f"no identity, {key} named"
    return f"{got}, {key} not named"


def a24_digest(lab):
    path = fresh_copy(lab, "unhashed")
    time.sleep(0.2)
    stopped = hashers(lab)
    if len(stopped) < 2:
        raise Failed(f"hashers: {stopped}")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        with lab.play(path, "fetch", user=HASHED_UID, wait=int((DIGEST_S + 3) * 1000 + WAIT_MS)) as p:
            got = said_by(p, DIGEST_S + 5 * SLOW)
            return named(lab, p, got, "sha256_unknown")
    finally:
        for pid in stopped:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass  # it was past its deadline


def a24_names(lab):
    """A second svidd, whose workers may not read the user database."""
    hide = ["unshare", "-m", "sh", "-c", 'cp /etc/passwd "$0" && chmod 600 "$0" && mount --bind "$0" /etc/passwd && exec "$@"',
            lab.top + "/passwd"]
    granted(lab, "named", 1)
    other = Product(lab.tier, os.path.dirname(lab.top), wrap=hide)
    try:
        other.start()
        with other.play("named", "fetch", user=1) as p:
            return named(other, p, said_by(p), "names_unknown")
    finally:
        other.stop()


def a24_cgroup(lab):
    """A group below one that nobody but root may look into."""
    if lab.tier == "socket":
        return "there are no cgroups in socket mode"
    granted(lab, "grouped", UID)
    with Group() as top:
        inner = top + "/inner"
        os.makedirs(inner, exist_ok=True)
        os.chmod(top, 0o700)
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec setpriv --reuid=1000 --regid=1000 --clear-groups "$@"', inner]
        words = [f"socket={lab.socket}", f"wait={WAIT_MS}"]
        try:
            with Player([*enter, lab.path("grouped"), "fetch", *words], user=0) as p:
                return named(lab, p, said_by(p), "cgroup_unknown")
        finally:
            for _ in range(50):
                try:
                    os.rmdir(inner)
                    break
                except OSError:
                    time.sleep(0.1)
