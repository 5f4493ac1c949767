#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The credential tree over FUSE: who reads what, what passes on and what does not, restarts, and withdrawal.

Workloads are copies of cat and python under names of their own: unix:path tells them apart, and a cat that is not one
of them is anybody. The same in sysfs is tests/vm.
"""
import json
import os
import signal
import subprocess
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from foreign import TrustDomain  # noqa: E402  pylint: disable=wrong-import-position
from service import Service  # noqa: E402  pylint: disable=wrong-import-position
from tree import PYTHON, Tree, openssl  # noqa: E402  pylint: disable=wrong-import-position

SVID = ("cert.pem", "key.pem", "bundle.pem", "credential-bundle.private-key.pem", "bundle-map.json")


def test_each_program_reads_its_own_files_and_cat_reads_nothing():
    with Tree("tree-own") as t:
        for name in ("alice", "bob"):
            files = {}
            for file in SVID:
                files[file], complaint = t.read(getattr(t, name), f"self/svid/{file}")
                assert files[file] and not complaint, f"{name} {file}: {complaint}\n{t.agent.explain()}"
                assert files[file] == t.read(getattr(t, name), f"{t.own(name)}/svid/{file}")[0]
            said = openssl("x509", "-noout", "-ext", "subjectAltName", text=files["cert.pem"]).decode()
            assert f"URI:{t.ids[name]}\n" in said, said
            assert openssl("x509", "-noout", "-pubkey", text=files["cert.pem"]) == openssl("pkey", "-pubout", text=files["key.pem"])
            assert files["credential-bundle.private-key.pem"] == files["key.pem"] + files["cert.pem"]
            bundle = os.path.join(t.agent.top, "bundle.pem")
            with open(bundle, "wb") as f:
                f.write(files["bundle.pem"])
            openssl("verify", "-CAfile", bundle, "-partial_chain", text=files["cert.pem"])
            keys = json.loads(files["bundle-map.json"])["trust_domains"][t.agent.trust_domain]["keys"]
            assert keys and all(k["use"] == "x509-svid" and len(k["x5c"]) == 1 for k in keys), keys
        for file in SVID:
            for path in (f"self/svid/{file}", f"{t.own('alice')}/svid/{file}", f"{t.own('bob')}/svid/{file}"):
                out, complaint = t.read("/bin/cat", path)
                assert not out and "Permission denied" in complaint, (path, out, complaint)
        out, complaint = t.read(t.alice, f"{t.own('bob')}/svid/key.pem")
        assert not out and "Permission denied" in complaint, (out, complaint)
        out, complaint = t.read(t.alice, "self/svid/nothing")
        assert not out and "No such file" in complaint, (out, complaint)


def test_in_socket_attestation_a_reader_is_who_proc_says():
    t = Tree("tree-socket")
    t.agent.tier = "socket"
    with t:
        for name in ("alice", "bob"):
            file, complaint = t.read(getattr(t, name), "self/svid/cert.pem")
            assert file and not complaint, f"{name}: {complaint}\n{t.agent.explain()}"
            assert file == t.read(getattr(t, name), f"{t.own(name)}/svid/cert.pem")[0]
        for program, path in (("/bin/cat", "self"), (t.alice, t.own("bob"))):
            out, complaint = t.read(program, f"{path}/svid/key.pem")
            assert not out and "Permission denied" in complaint, (program, out, complaint)


def test_names_are_for_everybody_and_files_have_no_size():
    with Tree("tree-names") as t:
        want = {"self", *(t.own(n) for n in t.ids)}
        assert set(os.listdir(t.dir)) == want, os.listdir(t.dir)
        for d in want:
            assert os.listdir(os.path.join(t.dir, d)) == ["svid"]
            assert sorted(os.listdir(os.path.join(t.dir, d, "svid"))) == sorted(SVID)
        listed = subprocess.run(["ls", "-lR", t.dir], user=CALLER_UID, group=CALLER_UID, extra_groups=[], cwd="/",
                                stdout=subprocess.PIPE, check=True).stdout.decode()
        assert listed.count("-r--r--r--") == 4 * len(SVID), listed
        for d in want:
            for file in SVID:
                assert os.stat(os.path.join(t.dir, d, "svid", file)).st_size == 0


PASS_ON = """
import json, os, subprocess, sys
path = sys.argv[1] + "/self/svid/key.pem"
def attempt(fd):
    try:
        return len(os.pread(fd, 65536, 0))
    except OSError as e:
        return e.strerror
fd = os.open(path, os.O_RDONLY)
said = {"mine": attempt(fd)}
r, w = os.pipe()
if os.fork() == 0:
    os.write(w, str(attempt(fd)).encode())
    os._exit(0)
os.close(w)
said["child"] = os.read(r, 100).decode()
os.wait()
os.set_inheritable(fd, True)
cat = subprocess.run(["/bin/cat"], stdin=fd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
said["cat"] = cat.stdout.decode() + cat.stderr.decode()
again = subprocess.run([sys.executable, "-I", "-S", "-c", "import os\\ntry:\\n print(len(os.pread(0, 9, 0)))\\n"
                        "except OSError as e:\\n print(e.strerror)"], stdin=fd, stdout=subprocess.PIPE)
said["same program"] = again.stdout.decode().strip()
r, w = os.pipe()
if os.fork() == 0: # a fork of the identified process is it, as its own open() shows
    os.write(w, str(attempt(os.open(path, os.O_RDONLY))).encode())
    os._exit(0)
os.close(w)
said["child by itself"] = os.read(r, 100).decode()
print(json.dumps(said))
"""


def test_a_descriptor_is_of_no_use_to_anybody_else():
    """A13: a fork, a program that was run with it, and the same program once more."""
    with Tree("tree-passed") as t:
        said = t.python(t.carol, PASS_ON)
        assert said["mine"] > 100, said
        assert said["child"] == "Permission denied", said
        assert said["cat"].endswith("Permission denied\n") and "KEY" not in said["cat"], said
        assert said["same program"] == "Permission denied", said
        assert said["child by itself"] == str(said["mine"]), said


HOLD = """
import json, os, sys, time
fd = os.open(sys.argv[1] + "/self/svid/cert.pem", os.O_RDONLY)
os.pread(fd, 65536, 0)
open(sys.argv[2], "w").close()
while os.path.exists(sys.argv[2]):
    time.sleep(0.02)
def attempt(f):
    try:
        return f()
    except OSError as e:
        return e.strerror
print(json.dumps({"held": attempt(lambda: len(os.pread(fd, 65536, 0))),
                  "open": attempt(lambda: len(os.read(os.open(sys.argv[1] + "/self/svid/cert.pem", os.O_RDONLY), 65536)))}))
"""


class Holding:
    """carol has a file open; ended() lets her read on, and open once more."""

    def __init__(self, t):
        self.flag = os.path.join(t.agent.bin, "held")
        os.chmod(t.agent.bin, 0o777)
        self.process = t.popen(t.carol, "-I", "-S", "-c", HOLD, t.dir, self.flag)
        assert until(lambda: os.path.exists(self.flag), 10), self.process.communicate()

    def ended(self):
        os.unlink(self.flag)
        out, err = self.process.communicate(timeout=20)
        assert out, err.decode()
        return json.loads(out)


def test_mount_and_open_files_outlive_svid_core():
    with Tree("tree-core") as t:
        held, mount = Holding(t), os.stat(t.dir).st_dev
        for _ in range(3):
            old = t.agent.roles("svid-core")[0]
            t.agent.kill(old)
            out, complaint = t.read(t.alice, "self/svid/cert.pem")  # it waits for the next one
            assert out and not complaint, (complaint, t.agent.explain())
            assert t.agent.roles("svid-core") != [old]
        assert os.stat(t.dir).st_dev == mount
        out, complaint = t.read("/bin/cat", "self/svid/cert.pem")
        assert not out and "Permission denied" in complaint
        said = held.ended()
        assert said["held"] == said["open"] > 100, said


def test_readers_who_wait_when_svid_core_dies_are_answered():
    with Tree("tree-waiting") as t:
        core = t.agent.roles("svid-core")[0]
        t.agent.kill(core, signal.SIGSTOP)
        readers = [t.popen(t.alice, os.path.join(t.dir, "self/svid/cert.pem")) for _ in range(10)]
        time.sleep(0.3)
        t.agent.kill(core)
        for reader in readers:
            out, err = reader.communicate(timeout=20)
            assert out.startswith(b"-----BEGIN"), err


def test_the_tree_outlives_svidd_in_the_store_of_its_service_manager():
    with Tree("tree-store", Service) as t:
        held, mount = Holding(t), os.stat(t.dir).st_dev
        t.agent.restart()
        assert os.path.ismount(t.dir) and os.stat(t.dir).st_dev == mount
        out, complaint = t.read(t.alice, "self/svid/cert.pem")
        assert out and not complaint, complaint
        said = held.ended()
        assert said["held"] == said["open"] > 100, said


def test_nothing_is_left_mounted_at_the_end():
    t = Tree("tree-end")
    with t:
        assert os.path.ismount(t.dir)
        assert t.agent.stop() == 0
        assert not os.path.ismount(t.dir)


def test_who_lost_its_identity_reads_no_more():
    with Tree("tree-lost") as t:
        held, gone = Holding(t), t.own("carol")
        start = time.monotonic()
        t.agent.remove("carol")
        assert until(lambda: gone not in os.listdir(t.dir), 5)
        took = time.monotonic() - start
        said = held.ended()
        assert said == {"held": "Permission denied", "open": "Permission denied"}, said
        assert took < 2, f"{took:.1f} s"
        assert t.read(t.alice, "self/svid/cert.pem")[0]


def test_each_decision_is_recorded():
    with Tree("tree-audit") as t:
        assert t.read(t.alice, "self/svid/key.pem")[0]
        t.read("/bin/cat", f"{t.own('bob')}/svid/key.pem")
        records = until(lambda: [r for r in t.agent.records() if "svid/key.pem" in json.dumps(r)], 5)
        assert any(t.ids["alice"] in json.dumps(r) for r in records), records
        refused = [r for r in records if t.ids["alice"] not in json.dumps(r)]
        assert refused and all("KEY" not in json.dumps(r) for r in records), records


def test_go_spiffe_takes_every_file_of_its_own_and_of_a_partner():
    with Tree("tree-go") as t:
        partner, app = TrustDomain("partner.example"), t.agent.program("app", clients.go())
        code, _, err = t.agent.svid("bundle", "set", "partner.example", partner.bundle())
        assert code == 0, err
        spiffe_id = t.agent.identity("app", app, more="  federatesWith: [partner.example]\n")
        assert until(lambda: str(uuid.uuid5(uuid.NAMESPACE_URL, spiffe_id)) in os.listdir(t.dir), 10)
        said = t.agent.one(app, "files", "-dir", os.path.join(t.dir, "self/svid"))
        assert said["event"] == "files" and said["id"] == spiffe_id and said["authorities"] == 1, said
        assert sorted(said["trust_domains"]) == sorted([t.agent.trust_domain, "partner.example"]), said


def is_in_memory(pid, text):
    """Whether a process has these bytes anywhere where it could read them."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            begin, end = (int(n, 16) for n in line.split()[0].split("-"))
            try:
                mem.seek(begin)
                if text in mem.read(end - begin):
                    return True
            except (OSError, ValueError, OverflowError):
                pass  # [vvar] and what is mapped beyond its end
    return False


def test_a_private_key_passes_through_svid_core_unread():
    with Tree("tree-unread") as t:
        key = t.read(t.alice, "self/svid/key.pem")[0]
        body = key.splitlines()[1]
        assert len(body) == 64 and t.read(t.alice, "self/svid/cert.pem")[0]
        pids = {pid: name for name in ("svid-core", "svid-front", "svid-attest") for pid in t.agent.roles(name)}
        held = {name for pid, name in pids.items() if is_in_memory(pid, body)}
        assert not held, held  # and a front keeps keys, but none as text
        there = [pid for pid, name in pids.items() if name == "svid-core" and is_in_memory(pid, t.ids["alice"].encode())]
        assert there, "nothing is found at all"


def test_a_new_read_has_the_new_certificate():
    with Tree("tree-rotation", x509_ttl="10s") as t:
        first = t.read(t.alice, "self/svid/cert.pem")[0]
        assert first and until(lambda: t.read(t.alice, "self/svid/cert.pem")[0] not in (b"", first), 15, 0.2)


CONTAINED = """
set -e
mount -t tmpfs none /mnt && mkdir /mnt/tree && mount --bind "$1" /mnt/tree
exec setpriv --reuid=%d --regid=%d --clear-groups "$2" /mnt/tree/self/svid/cert.pem
""" % (CALLER_UID, CALLER_UID)


def test_readers_in_containers_see_their_own_through_a_bind_mount():
    case.needs("unshare", "setpriv")
    with Tree("tree-container") as t:
        for program, served in ((t.alice, True), ("/bin/cat", False)):
            done = subprocess.run(["unshare", "--pid", "--fork", "--mount", "sh", "-c", CONTAINED, "sh", t.dir, program],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
            assert done.stdout.startswith(b"-----BEGIN") == served, (program, done)
            assert served or b"Permission denied" in done.stderr, done


def test_a_decision_that_hangs_holds_up_nobody_else_and_ends():
    with Tree("tree-hang") as t:
        assert t.read(t.alice, "self/svid/cert.pem")[0]
        front = t.agent.roles("svid-front")
        for pid in front:
            t.agent.kill(pid, signal.SIGSTOP)
        time.sleep(1.2)  # what it made a moment ago is given again without it
        start = time.monotonic()
        waiting = [t.popen(t.alice, os.path.join(t.dir, "self/svid/cert.pem")) for _ in range(4)]
        time.sleep(0.5)
        assert all(w.poll() is None for w in waiting)
        assert t.read("/bin/cat", f"{t.own('bob')}/svid/key.pem")[1].endswith("Permission denied\n")
        assert os.listdir(t.dir) and t.agent.status()["serving"]
        assert time.monotonic() - start < 3
        waiting[0].kill()
        waiting[0].communicate(timeout=2)
        for w in waiting[1:]:
            out, err = w.communicate(timeout=20)
            assert not out or out.startswith(b"-----BEGIN"), err  # in its time, or when another front took over
        assert time.monotonic() - start < 8
        for pid in front:
            t.agent.kill(pid, signal.SIGCONT)
        assert until(lambda: t.read(t.alice, "self/svid/cert.pem")[0], 10)


if __name__ == "__main__":
    case.main(globals())
