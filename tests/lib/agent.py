# SPDX-License-Identifier: Apache-2.0
"""One svidd of a test's own: its documents, its roles, its programs under test, and what it said.

    with Agent("rotation") as agent:
        alice = agent.program("alice", GO_WORKLOAD)
        agent.identity("alice", alice, x509_ttl="10s")
        agent.start()
        lines = agent.run(alice, "fetch")

Everything lives in one directory under /tmp and in /sys/fs/bpf/svid-NAME. Only processes that were
started here are ever signalled. O names the build folder, TIER the attestation.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from patience import MOST, Stopwatch

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("O", "build"))
BIN = os.path.join(BUILD, "bin")
CLIENTS = os.path.join(ROOT, "build", "e2e")
GO_WORKLOAD = os.path.join(CLIENTS, "go-workload")
RUST_WORKLOAD = os.path.join(CLIENTS, "rust-workload")
CONFORMANCE = os.path.join(BIN, "svid-conformance")
TRUST_DOMAIN = "e2e.test"
SLOW = float(os.environ.get("SLOW", "1"))
CALLER_UID = 64190  # programs under test
# The roles are IDS_BASE ... IDS_BASE + 6, of each test process its own: RLIMIT_NPROC counts by user.
IDS_BASE = 20000 + os.getpid() % 4000 * 8
ROLES = ("svid-core", "svid-keys", "svid-attest", "svid-front", "svid-undertaker", "svid-cloud")


class AgentError(Exception):
    """svidd did not do what the test needs before it can test anything."""


def until(condition, seconds, every=0.02):
    """The first true value of condition(), or its last value when the time is over."""
    watch = Stopwatch()
    while True:
        value = condition()
        if value or watch.seconds() > seconds * SLOW:
            return value
        time.sleep(every)


def ended(process, seconds):
    """Its exit code, None when it has not ended when the time is over."""
    watch = Stopwatch()
    while watch.seconds() <= seconds * SLOW:
        try:
            return process.wait(0.2)
        except subprocess.TimeoutExpired:
            pass
    return None


def free_port():
    """One of loopback that nobody has now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            text = f.read()
    except OSError:
        return None
    return int(text[text.rindex(")") + 2:].split()[1])


def program_of(pid):
    """Name of a live process's program, None for a zombie or nobody."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return None


class Lines:
    """A program under test that prints JSON lines; they are read as they come, with the time they came."""

    def __init__(self, process):
        self.process = process
        self.events, self.other = [], []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            with self._more:
                if isinstance(event, dict):
                    event["seen"] = time.monotonic()
                    self.events.append(event)
                else:
                    self.other.append(line.decode(errors="replace").rstrip())
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def of(self, *kinds):
        with self._more:
            return [e for e in self.events if e.get("event") in kinds]

    def wait(self, kind, count=1, seconds=10):
        """At least count events of that kind; AssertionError with everything said when they do not come."""
        watch = Stopwatch()
        with self._more:
            while True:
                found = [e for e in self.events if e.get("event") == kind]
                if len(found) >= count:
                    return found
                if watch.seconds() > seconds * SLOW or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"{len(found)} of {count} '{kind}' events; got {self.said()}")
                self._more.wait(0.2)

    def said(self):
        """What it said, short enough to be read."""
        first = f"{len(self.events) - 20} events, then " if len(self.events) > 20 else ""
        return f"{first}{self.events[-20:]} {self.other[-20:]}"

    def finish(self, seconds=10):
        """Exit code, after everything was read."""
        code = ended(self.process, seconds)
        if code is None:
            raise AssertionError(f"did not end within {seconds} s: {self.said()}")
        self._reader.join(5)
        return code

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()


class Agent:
    count = 0

    def __init__(self, name="e2e", audit="required", tier=None, more_settings="", trust_domain=TRUST_DOMAIN):
        Agent.count += 1
        self.instance = f"{name}-{os.getpid()}-{Agent.count}"[:32]
        self.trust_domain = trust_domain
        self.tier = tier or os.environ.get("TIER", "auto")
        self.top = tempfile.mkdtemp(prefix=f"svidd-{name}-", dir="/tmp")
        os.chmod(self.top, 0o755)
        self.policy_dir, self.bin = os.path.join(self.top, "policy.d"), os.path.join(self.top, "bin")
        self.state_dir = os.path.join(self.top, "state")
        self.config, self.audit = os.path.join(self.top, "svid.yaml"), os.path.join(self.top, "audit.jsonl")
        self.log_path = os.path.join(self.top, "log")
        self.run_dir = os.path.join(self.top, "run")
        self.socket = os.path.join(self.run_dir, "public", "api.sock")
        self.admin = os.path.join(self.run_dir, "private", "admin.sock")
        self.endpoint = "unix://" + self.socket
        self.svidd = os.path.join(BIN, "svidd")
        self.extra = []
        self.delivery = "none"  # nothing is mounted unless a test wants it
        self.process, self.players = None, []
        for d in (self.policy_dir, self.bin):
            os.mkdir(d)
        self.settings(audit, more_settings)

    # documents

    def settings(self, audit="required", more=""):
        self.replace(self.config, "apiVersion: svid/v1alpha1\nkind: Agent\nmetadata:\n  name: agent\nspec:\n"
                    f"  trustDomain: {self.trust_domain}\n  audit: {audit}\n{more}")

    def document(self, name, text):
        """A policy file, written aside and renamed, as tools do."""
        self.replace(os.path.join(self.policy_dir, name + ".yaml"), text)

    def remove(self, name):
        os.unlink(os.path.join(self.policy_dir, name + ".yaml"))

    def identity(self, name, program, workload=None, x509_ttl=None, more=""):
        """A WorkloadIdentity for a program: a path, or what self.app() placed. Its SPIFFE ID."""
        workload = workload or name
        svid = f"  svid:\n    x509:\n      ttl: {x509_ttl}\n" if x509_ttl else ""
        selectors = getattr(program, "selectors", {"unix:path": program})
        lines = "".join(f"      {key}: {value}\n" for key, value in selectors.items())
        self.document(name, f"apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: {name}\nspec:\n"
                      f"  workloadID: {workload}\n  selectors:\n    - {lines.lstrip()}{svid}{more}")
        return f"spiffe://{self.trust_domain}/{workload}"

    def source(self, name, spec):
        """A CredentialSource; its spec is an object."""
        self.document(name, f"apiVersion: svid/v1alpha1\nkind: CredentialSource\nmetadata:\n  name: {name}\nspec: {json.dumps(spec)}\n")

    def credential(self, name, workload, source, **more):
        """A WorkloadCredential for what identity() named."""
        spec = {"workloadID": workload, "credentialSource": source, **more}
        self.document(name, f"apiVersion: svid/v1alpha1\nkind: WorkloadCredential\nmetadata:\n  name: {name}\nspec: {json.dumps(spec)}\n")

    @staticmethod
    def replace(path, text):
        """The file has the new text at once, or the old one."""
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    # svidd

    def command(self):
        argv = [self.svidd, "--bin-dir", BIN, "--config", self.config, "--policy-dir", self.policy_dir, "--run-dir",
                self.run_dir, "--state-dir", self.state_dir, "--audit", self.audit, "--instance", self.instance,
                "--ids", str(IDS_BASE), "--attestation", self.tier, "--delivery", self.delivery, *self.extra]
        if self.tier == "socket":
            argv.append("--allow-socket-attestation")
        return argv

    def launch(self):
        """Start svidd without waiting for anything."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            start_new_session=True)
        return self.process

    def start(self, seconds=30):
        self.launch()
        if not until(lambda: self.process.poll() is not None or self.is_ready(), seconds):
            raise AgentError(f"svidd is not ready after {seconds} s\n{self.explain()}")
        if self.process.poll() is not None:
            raise AgentError(f"svidd ended with {self.process.returncode}\n{self.explain()}")
        return self

    def is_ready(self):
        """Evidence whole, documents and authority loaded; a test that wants it earlier calls launch()."""
        return os.path.exists(self.socket) and (self.status() or {}).get("serving")

    def stop(self, seconds=15):
        """SIGTERM to svidd alone, which drains; its exit code."""
        if self.process is None:
            return None
        self.process.terminate()
        code = ended(self.process, seconds)
        if code is None:
            self._kill_all()
            why = self.explain()
        self.process = None
        if code is None:
            raise AgentError(f"svidd did not stop within {seconds} s\n{why}")
        return code

    def _kill_all(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self):
        for player in self.players:
            player.end()
        if self.process is not None:
            try:
                self.stop()
            except AgentError:
                pass
        if os.path.exists(os.path.join(BIN, "svidd")):
            subprocess.run([os.path.join(BIN, "svidd"), "--instance", self.instance, "--remove-pins"], check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.delivery != "none":  # of a svidd that was killed
            subprocess.run(["umount", "-q", "-l", os.path.join(self.run_dir, "credentials")], check=False,
                           stderr=subprocess.DEVNULL)
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.top, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.explain())
        self.close()

    def log(self):
        try:
            with open(self.log_path, "rb") as f:
                return f.read().decode(errors="replace")
        except OSError:
            return ""

    def explain(self):
        """What a person wants to see when a test failed."""
        state = "never started" if self.process is None else f"exit {self.process.poll()}"
        return f"--- {self.instance} ({state}), last of its log:\n" + "\n".join(self.log().splitlines()[-40:]) + "\n---"

    # what the CLI says

    def svid(self, *words, timeout=10):
        """Runs our own CLI against this agent: (exit code, stdout, stderr)."""
        done = subprocess.run([os.path.join(BIN, "svid"), "--socket", self.endpoint, "--admin", self.admin, *words],
                              capture_output=True, timeout=timeout * SLOW * MOST, check=False, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def status(self):
        """The status document, None while there is none."""
        try:
            _, out, _ = self.svid("status", "-o", "json")
            return json.loads(out)
        except (ValueError, subprocess.TimeoutExpired, FileNotFoundError):
            return None

    def records(self):
        """Audit records so far."""
        with open(self.audit, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    # roles

    def roles(self, name):
        """Pids of this svidd's live children (of any generation) that run that program."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                parents[int(entry)] = parent_of(int(entry))
        mine = {self.process.pid}
        grew = True
        while grew:
            more = {pid for pid, parent in parents.items() if parent in mine} - mine
            mine |= more
            grew = bool(more)
        return sorted(pid for pid in mine if program_of(pid) == name)

    def kill(self, pid, number=signal.SIGKILL):
        """Signals one process, which must be this svidd's or one of its roles."""
        assert pid == self.process.pid or program_of(pid) in ROLES, f"{pid} is not ours"
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    # programs under test

    def program(self, name, binary):
        """A copy of a binary under a name of its own, so that unix:path tells it from others."""
        path = os.path.join(self.bin, name)
        shutil.copy(binary, path)
        os.chmod(path, 0o755)
        return path

    def readable(self, path):
        """A copy of a file where programs under test may read it."""
        copy = os.path.join(self.bin, os.path.basename(path))
        shutil.copy(path, copy)
        os.chmod(copy, 0o644)
        return copy

    def app(self, name, client):
        """A client (tests/lib/clients.py) installed under a name of its own, as self.program() does for one binary."""
        return client.install(self.bin, name)

    def play(self, program, *words, user=CALLER_UID, env=()):
        """Start a program under test in the background."""
        argv = getattr(program, "argv", [program])
        process = subprocess.Popen([*argv, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, cwd="/", user=user, group=user, extra_groups=[],
                                   env={"SPIFFE_ENDPOINT_SOCKET": self.endpoint, "PATH": "/usr/bin:/bin", **dict(env)})
        player = Lines(process)
        self.players.append(player)
        return player

    def run(self, program, *words, seconds=20, user=CALLER_UID, env=()):
        """Run a program under test to its end: its events, then its exit code."""
        player = self.play(program, *words, user=user, env=env)
        code = player.finish(seconds)
        return player.events, code

    def one(self, program, *words, seconds=20, env=()):
        """The last event of a run: what a test that wants one answer looks at."""
        player = self.play(program, *words, env=env)
        player.finish(seconds)
        assert player.events, f"{program} {words} said no event, but {player.other[-20:]}"
        return player.events[-1]
