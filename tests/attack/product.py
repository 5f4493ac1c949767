# SPDX-License-Identifier: Apache-2.0
"""One instance of svidd of our own, with the identities that the attacks are after, and the programs that play."""
import hashlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("SVID_BIN", os.path.join(ROOT, "build/bin"))
SLOW = float(os.environ.get("SLOW", "1"))  # an emulated machine: deadlines of the test, not of the product
PROGRAMS = ("svidd", "svid-core", "svid-keys", "svid-attest", "svid-front", "svid-cloud", "svid-undertaker", "svid")
UID = 1000
HASHED_UID, OTHER_HASHED_UID = 1001, 1002  # who is hashed: no document of digests is for anybody else
TRUST_DOMAIN = "attack.test"
WAIT_MS = int(2000 * SLOW)

DOCUMENT = """apiVersion: svid/v1alpha1
kind: WorkloadIdentity
metadata:
  name: {name}
spec:
  workloadID: {name}
  selectors:
    - {selectors}
{more}"""

CREDENTIAL = """apiVersion: svid/v1alpha1
kind: CredentialSource
metadata: {{name: {name}}}
spec: {{jwt: {{audiences: [{name}.test]}}}}
---
apiVersion: svid/v1alpha1
kind: WorkloadCredential
metadata: {{name: {name}}}
spec: {{workloadID: {workload}, credentialSource: {name}, helpers: [{helpers}]}}
"""

AGENT = """apiVersion: svid/v1alpha1
kind: Agent
metadata:
  name: attack
spec:
  trustDomain: {domain}
"""


class Failed(Exception):
    """The attack could not be made as planned, which is not an outcome."""


class Skipped(Exception):
    """This machine cannot do the attack."""


def proc_stat(pid):
    """(comm, parent pid) or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            text = f.read()
    except OSError:
        return None
    comm = text[text.index("(") + 1:text.rindex(")")]
    return comm, int(text[text.rindex(")") + 2:].split()[1])


def processes():
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = proc_stat(name)
            if found:
                yield int(name), found[0], found[1]


def module_file():
    """The kernel module for this kernel; in the VM only."""
    version = os.environ.get("VM", "")
    return os.path.join(ROOT, "build/kmod", version, "svid.ko") if version else None


def load_module():
    subprocess.run(["insmod", module_file()], check=True)


def resume(pids):
    """After SIGSTOP. A front that svid-core gave up meanwhile is gone, which is right."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


class Player:
    """A process of the attack tool. Its lines are the attack's story; the group ends with it."""

    def __init__(self, argv, user=UID, env=None, wrap=(), executable=None):
        self.lines, self.rest = [], b""
        clean = {"PATH": "/usr/bin:/bin"}
        clean.update(env or {})
        ids = {"user": user, "group": user, "extra_groups": []} if user else {}
        self.process = subprocess.Popen([*wrap, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=clean, cwd="/", start_new_session=True,
                                        executable=executable, **ids)

    def _take(self, left):
        fd = self.process.stdout.fileno()
        if not select.select([fd], [], [], max(left, 0))[0]:
            return False
        data = os.read(fd, 65536)
        self.rest += data
        *whole, self.rest = self.rest.split(b"\n")
        self.lines += [w.decode(errors="replace") for w in whole]
        return bool(data)

    def until(self, *starts, seconds=None):
        """The first line that begins so, waiting for it; None at the end of output or of time."""
        end = time.monotonic() + (seconds or 3 * WAIT_MS / 1000 + 3)
        seen = 0
        while True:
            for line in self.lines[seen:]:
                if line.startswith(starts):
                    return line
                if line.startswith("error: "):
                    raise Failed(line)
                if line.startswith("skip: "):
                    raise Skipped(line[6:])
            seen = len(self.lines)
            left = end - time.monotonic()
            if left <= 0 or not self._take(left):
                if seen == len(self.lines):
                    return None

    def go_on(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def value(self, start):
        line = self.until(start)
        if line is None:
            raise Failed(f"no line '{start}'; got {self.lines}")
        return line[len(start):].strip()

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Product:
    """svidd with its children, in a folder and under an instance name of its own."""

    count = 0

    def __init__(self, tier, top, wrap=(), delivery="none"):
        Product.count += 1
        self.delivery = delivery
        self.tier, self.top, self.wrap = tier, os.path.join(top, f"{tier}-{Product.count}"), list(wrap)
        self.ids = 62000 + 10 * Product.count  # svid-keys' locked memory is bounded by user
        self.name = f"attack-{os.getpid()}-{Product.count}"
        self.policy = os.path.join(self.top, "policy.d")
        self.bin, self.sbin = os.path.join(top, "bin"), os.path.join(top, "sbin")
        self.socket = os.path.join(self.top, "run/public/api.sock")
        self.trusted, self.evil = os.path.join(self.bin, "trusted"), os.path.join(self.bin, "evil")
        self.process = self.log = None
        self.tree = {"fuse": os.path.join(self.top, "run/credentials"), "sysfs": "/sys/kernel/svid/credentials"}.get(delivery)
        self.killed = False  # a scenario had svid-core die
        self.words = {}  # options of every player that is not said otherwise
        for d in (self.policy, self.bin, self.sbin, self.top + "/state", self.top + "/loose"):
            os.makedirs(d, exist_ok=True)
        for d in (top, self.top, self.bin, self.sbin):
            os.chmod(d, 0o755)
        os.chown(self.top + "/loose", UID, UID)
        self._programs()
        self._documents()

    def path(self, name):
        return os.path.join(self.bin, name)

    def _programs(self):
        """Copies: a build that goes on meanwhile, or a remote file system (9p in the VM), does not matter."""
        for name in PROGRAMS:
            if not os.path.exists(os.path.join(self.sbin, name)):
                shutil.copy(os.path.join(BIN, name), self.sbin)
        for name in ("trusted", "evil", "args", "strict", "revoked", "named", "grouped", "raised", "helper"):
            if not os.path.exists(self.path(name)):
                shutil.copy(os.path.join(BIN, "svid-attack"), self.path(name))
                os.chmod(self.path(name), 0o755)
        for name, tail in (("pinned", b"pinned"), ("unpinned", b"evil!!")):
            if not os.path.exists(self.path(name)):
                shutil.copy(os.path.join(BIN, "svid-attack"), self.path(name))
                with open(self.path(name), "ab") as f:
                    f.write(tail)

    def credential(self, name, workload, helpers):
        """A token of that workload: <uuid>/jwt/NAME."""
        self._put(name, CREDENTIAL.format(name=name, workload=workload, helpers=helpers))

    def document(self, name, selectors, more=""):
        self._put(name, DOCUMENT.format(name=name, selectors=selectors, more=more))

    def _put(self, name, text):
        path = os.path.join(self.policy, name + ".yaml")
        with open(path + ".new", "w", encoding="ascii") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def _documents(self):
        with open(os.path.join(self.top, "svid.yaml"), "w", encoding="ascii") as f:
            f.write(AGENT.format(domain=TRUST_DOMAIN))
        args = self.path("args")
        self.document("trusted", f"unix:path: {self.trusted}")
        self.document("revoked", f"unix:path: {self.path('revoked')}")
        self.document("raised", f"unix:path: {self.path('raised')}")
        self.document("swap", f"unix:path: {self.top}/loose/app")
        self.document("args", f"{{'unix:path': {args}, 'process:cmdline': '{args} serve --production'}}")
        with open(self.path("pinned"), "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        self.document("pinned", f"{{'unix:uid': [{HASHED_UID}, {OTHER_HASHED_UID}], 'unix:sha256': {digest}}}")
        named, grouped = self.path("named"), self.path("grouped")
        self.document("named", f"{{'unix:path': {named}, 'unix:user': daemon}}")
        self.document("grouped", f"{{'unix:path': {grouped}, 'kernel:cgroup': 'glob:/**'}}")
        if self.tree:
            self.credential("helped", "trusted", f"/bin/cat, {self.path('helper')}")
            self.credential("other", "trusted", "/bin/true")
            self.credential("shelled", "trusted", f"/bin/cat, {os.path.realpath('/bin/sh')}")
        self.document("strict", f"unix:path: {self.path('strict')}", "  require:\n    - not-traced\n")

    def start(self, served=True):
        """And wait until trusted is served; False: or is refused; None: for nothing."""
        argv = [os.path.join(self.sbin, "svidd"), "--config", self.top + "/svid.yaml", "--policy-dir", self.policy,
                "--run-dir", self.top + "/run", "--state-dir", self.top + "/state", "--audit", self.top + "/audit.log",
                "--instance", self.name, "--ids", str(self.ids), "--attestation", self.tier,
                "--delivery", self.delivery]
        if self.tier == "socket":
            argv.append("--allow-socket-attestation")
        self.log = open(os.path.join(self.top, "log"), "ab")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen([*self.wrap, *argv], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, cwd="/", start_new_session=True)
        if served is None:
            return
        if served:
            self.await_served(20 * SLOW)
            return
        end = time.monotonic() + 20 * SLOW
        while time.monotonic() < end and "PermissionDenied" not in (self.served() or ""):
            time.sleep(0.1)

    def await_served(self, seconds):
        """Until the trusted program is served; the seconds it took."""
        begin, last = time.monotonic(), "no socket"
        while time.monotonic() - begin < seconds:
            if self.process.poll() is not None:
                raise Failed(f"svidd ended with {self.process.returncode}:\n{self.tail()}")
            if os.path.exists(self.socket):
                last = self.served()
                if last is None:
                    return time.monotonic() - begin
            time.sleep(0.1)
        raise Failed(f"trusted is not served after {seconds:.0f} s: {last}\n{self.tail()}")

    def served(self):
        """None when the trusted program gets its SVID, else what it got instead."""
        try:
            line = self.fetch("trusted")
        except Failed as e:
            return str(e)
        return None if line == f"got SVID spiffe://{TRUST_DOMAIN}/trusted" else line

    def fetch(self, name, command="fetch", **options):
        with self.play(name, command, **options) as p:
            line = p.until("caller: ")
            return line[8:] if line else f"nothing: {p.lines}"

    def play(self, name, command, user=UID, env=None, wrap=(), **options):
        words = {"socket": self.socket, "trusted": self.trusted, "evil": self.evil, "wait": WAIT_MS, **self.words, **options}
        argv = [self.path(name), command, *(f"{k}={v}" for k, v in words.items())]
        return Player(argv, user=user, env=env, wrap=wrap)

    def digests(self):
        """What svid-core says of its hashing."""
        done = subprocess.run([self.sbin + "/svid", "--admin", self.top + "/run/private/admin.sock", "status", "-o", "json"],
                              stdin=subprocess.DEVNULL, capture_output=True, check=True)
        return json.loads(done.stdout)["digests"]

    def record_of(self, pid):
        """The last audit record of that process."""
        with open(self.top + "/audit.log", encoding="utf-8") as f:
            mine = [r for r in map(json.loads, f) if r.get("pid") == pid]
        return mine[-1] if mine else {}

    def tail(self, n=3000):
        self.log.flush()
        with open(os.path.join(self.top, "log"), "rb") as f:
            return f.read()[-n:].decode(errors="replace")

    def vital(self):
        """The processes whose death is a failure of its own."""
        return self.children("svid-core") + self.children("svid-keys")

    def lost_events(self):
        """How many svid-core says it missed."""
        self.log.flush()
        with open(os.path.join(self.top, "log"), encoding="utf-8", errors="replace") as f:
            return sum(int(n) for n in re.findall(r'event="evidence lost" events=(\d+)', f.read()))

    def descendants(self):
        """{pid: name} of all that svidd started."""
        every = list(processes())
        mine, grew = {self.process.pid}, True
        while grew:
            more = {pid for pid, _, parent in every if parent in mine} - mine
            mine |= more
            grew = bool(more)
        return {pid: name for pid, name, _ in every if pid in mine and pid != self.process.pid}

    def children(self, comm):
        """Pids of our own children with that name."""
        return [pid for pid, name in self.descendants().items() if name == comm[:15]]

    def signal_all(self, comm, number):
        pids = self.children(comm)
        for pid in pids:
            os.kill(pid, number)
        return pids

    def kill(self):
        """svidd and what it started, without a word of farewell."""
        pids = [self.process.pid, *self.descendants()]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10 * SLOW)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None
        subprocess.run([os.path.join(self.sbin, "svidd"), "--instance", self.name, "--remove-pins"], check=False,
                       stdout=self.log, stderr=self.log)
        self.log.close()
