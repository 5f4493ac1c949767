#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cloud credentials in sysfs on a stock kernel with svid.ko: each file is whole for its own workload and EACCES for all others.

Google's access tokens have up to 12 kB, and sysfs gives a page at a time: Node's readFile, which takes a short read of a file
with a size for its end, is the reader that notices. Then boto3, google-auth and azure-identity, unmodified, against the token
services of tests/sdk. One boot; runs itself in the VM.
"""
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
os.environ.setdefault("SLOW", "6")  # emulation
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, ROOT as TREE, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from token_service import ROLE, TokenService, claims  # noqa: E402  pylint: disable=wrong-import-position

KERNEL, LONG = "6.1", 12000
NODE = [os.path.join(TREE, "build/sdk/node/node"), os.path.join(TREE, "build/sdk/node/client.js")]
SECRET = ("aws/credentials", "aws/credentials.json", "aws/web_identity_token", "gcp/subject_token", "gcp/access_token",
          "azure/federated_token", "azure/access_token", "jwt/app-jwt")
PUBLIC = ("aws/config", "gcp/credentials.json", "env")


def run(*argv):
    """(what it printed, what it complained) as the user of all callers."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/", user=CALLER_UID,
                          group=CALLER_UID, extra_groups=[], env={"LC_ALL": "C"})
    return done.stdout, done.stderr


class World:
    """app is a cat and a script of Node that has its identity too; other is a cat without."""

    def __init__(self, service):
        self.agent = Agent("cloud", more_settings="  jwt:\n    issuer: https://issuer.test\n")
        self.app, self.other = (self.agent.program(n, "/bin/cat") for n in ("app", "other"))
        self.script, self.another = ([NODE[0], self.agent.readable(NODE[1])], NODE)
        self.agent.document("app", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: app\nspec:\n"
                            f"  workloadID: app\n  selectors:\n    - unix:path: {self.app}\n    - unix:path: {NODE[0]}\n"
                            f"      process:cmdline: {' '.join(self.script)}\n")
        for kind in ("aws", "gcp", "azure", "jwt"):
            self.agent.source(f"{kind}-source", service.source(kind))
            self.agent.credential(f"app-{kind}", "app", f"{kind}-source")

    def __enter__(self):
        self.agent.__enter__()
        self.agent.delivery = "auto"
        self.agent.start(60)
        status = self.agent.status()
        assert status["tree"]["delivery"] == "sysfs", status
        self.top = status["tree"]["path"]
        self.own, = (os.path.join(self.top, n) for n in os.listdir(self.top) if n != "self")
        return self

    def __exit__(self, *what):
        if what[0] is None:
            self.agent.stop()
        self.agent.__exit__(*what)

    def text(self, file):
        out, err = run(self.app, os.path.join(self.own, file))
        assert out and not err, (file, err, self.agent.explain())
        return out


def each_file_is_its_own_workload_s(w, service):
    token = f"{w.own}/gcp/access_token"
    assert until(lambda: run(w.app, token)[0], 10), f"{run(w.app, token)} {w.agent.explain()}"  # the first key of its life takes a while
    for file in SECRET:
        mine = w.text(file)
        assert mine == run(w.app, f"{w.top}/self/{file}")[0], file
        assert not mine.endswith("\n") or file == "aws/credentials", file
        out, err = run(w.other, f"{w.own}/{file}")
        assert not out and "Permission denied" in err, (file, out, err)
    for file in PUBLIC:
        assert w.text(file) == run(w.other, f"{w.own}/{file}")[0], file
    assert json.loads(w.text("aws/credentials.json"))["SecretAccessKey"].startswith("aws-secret-")
    assert f"AWS_ROLE_ARN={ROLE}\n" in w.text("env") and claims(w.text("jwt/app-jwt"))["sub"] == "spiffe://e2e.test/app"
    assert service.count() == 3, service.asks


def node_reads_a_long_token_whole(w, service):
    n = next(i for i, ask in enumerate(service.asks, 1) if ask[0] == "gcp")
    out, err = run(*w.script, "read", f"{w.own}/gcp/access_token")
    said = json.loads(out or "{}")
    assert said.get("event") == "done", (out, err, w.agent.explain())
    assert said["promised"] == said["called"] == said["sync"] >= LONG and said["same"] and said["size"] == 0, said
    assert said["body"] == service.token("gcp", n), f"{said['promised']} bytes, not those that came"
    out, err = run(*w.another, "read", f"{w.own}/gcp/access_token")
    said = json.loads(out or "{}")
    assert said.get("event") == "refused" and said["code"] == "EACCES", (out, err)


def test_module_cloud_credentials_in_sysfs():
    subprocess.run(["insmod", os.path.join(TREE, "build/kmod", os.environ["VM"], "svid.ko")], check=True)
    with TokenService() as service:
        service.token_bytes = LONG
        with World(service) as w:
            each_file_is_its_own_workload_s(w, service)
            node_reads_a_long_token_whole(w, service)
            w.agent.remove("app-gcp")
            assert until(lambda: not os.path.exists(f"{w.own}/gcp"), 10), "the document is gone, its files are not"
            assert "No such file" in run(w.app, f"{w.own}/gcp/access_token")[1]
        assert os.listdir(w.top) == [], "names without an agent"
    subprocess.run(["rmmod", "svid"], check=True)


def test_module_sdks_read_their_files_in_sysfs():
    subprocess.run(["insmod", os.path.join(TREE, "build/kmod", os.environ["VM"], "svid.ko")], check=True)
    done = subprocess.run([os.path.join(TREE, "build/sdk/python/venv/bin/python"), os.path.join(TREE, "tests/sdk/python_test.py")],
                          env={**os.environ, "DELIVERY": "sysfs", "T": "each_sdk_does"}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    subprocess.run(["rmmod", "svid"], check=True)
    text = done.stdout.decode(errors="replace")
    assert done.returncode == 0 and "\n1 passed, 0 failed, 0 skipped" in text, text


def left_out(why):
    print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
    return 0


def main():
    if not shutil.which("qemu-system-x86_64"):
        return left_out("qemu-system-x86 is not installed")
    for client in ("node", "python"):
        if subprocess.run([os.path.join(TREE, "tests/sdk/clients.sh"), client], stdin=subprocess.DEVNULL, check=False).returncode:
            return left_out(f"the {client} client of tests/sdk cannot be had")
    subprocess.run(["make", "-s", "module"], cwd=TREE, check=True, stdin=subprocess.DEVNULL)
    done = subprocess.run([os.path.join(HERE, "run.sh"), KERNEL, "--timeout", "500", "--name", "cloud", "--", sys.executable,
                           os.path.abspath(__file__)], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace").replace("\r", "")
    print(text)
    found = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped", text, re.M)
    if not found or (done.returncode and found[-1][1] == "0"):
        print(f"0 passed, 1 failed, 0 skipped (run.sh ended with {done.returncode})")
    return done.returncode


if __name__ == "__main__":
    if os.environ.get("VM"):
        case.main(globals())
    sys.exit(main())
