#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Certificates as files on a stock kernel: two programs that read by themselves get each its own, cat of the same user an error.

Once with svid.ko (6.1, in sysfs), once under lockdown=integrity (6.12), where the kernel refuses the module and BPF and
FUSE do the same. `attestation: auto`, `delivery: auto`, as an operator gets it. Runs itself in two VMs, each part in its own.
"""
import concurrent.futures
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

BOOTS = {"module": ("6.1", ""), "lockdown": ("6.12", "lockdown=integrity")}
FILE = "self/svid/cert.pem"


def module():
    return os.path.join(TREE, "build/kmod", os.environ["VM"], "svid.ko")


def read(program, path):
    """(content, error text) of a program that prints a file, run as the user of all callers."""
    done = subprocess.run([program, path], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/",
                          user=CALLER_UID, group=CALLER_UID, extra_groups=[], env={"LC_ALL": "C"})
    return done.stdout, done.stderr


def id_in(pem):
    done = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=pem, capture_output=True, text=True,
                          check=False)
    found = re.search(r"URI:(\S+)", done.stdout)
    return found.group(1) if found else f"no certificate: {pem[:60]}"


def each_reads_its_own(agent):
    """Programs are copies of cat under names that the policy knows."""
    programs = {agent.program(name, "/bin/cat"): agent.identity(name, os.path.join(agent.bin, name))
                for name in ("billing", "shipping")}
    agent.delivery = "auto"
    agent.start(60)
    status = agent.status()
    top = status["tree"]["path"]
    assert until(lambda: read(next(iter(programs)), f"{top}/{FILE}")[0], 20), agent.explain()
    for program, spiffe_id in programs.items():
        text, error = read(program, f"{top}/{FILE}")
        assert id_in(text) == spiffe_id, f"{program}: {id_in(text)} {error}"
    text, error = read("/bin/cat", f"{top}/{FILE}")
    assert not text and "Permission denied" in error, f"cat: {text} {error}"
    return status


def test_module_two_programs_read_each_its_own_in_sysfs():
    subprocess.run(["insmod", module()], check=True)
    with Agent("delivery") as agent:
        status = each_reads_its_own(agent)
        assert status["tier"] == "bpf-lsm" and status["tree"]["delivery"] == "sysfs", status
        top = status["tree"]["path"]
        agent.stop()
        assert os.listdir(top) == [], "names without an agent"
        agent.tier = "kmod"  # the same answers from the module's own evidence
        status = each_reads_its_own(agent)
        assert status["tier"] == "kmod" and status["tree"]["delivery"] == "sysfs", status
        agent.stop()
    subprocess.run(["rmmod", "svid"], check=True)
    assert not os.path.exists("/sys/kernel/svid")


def test_lockdown_refuses_the_module_and_bpf_and_fuse_do_it():
    with open("/sys/kernel/security/lockdown", encoding="ascii") as f:
        assert "[integrity]" in f.read()
    done = subprocess.run(["insmod", module()], check=False, capture_output=True, text=True)
    assert done.returncode and not os.path.exists("/sys/module/svid"), "an unsigned module was loaded"
    with Agent("delivery") as agent:
        status = each_reads_its_own(agent)
        assert status["tier"] == "bpf-lsm" and status["tree"]["delivery"] == "fuse", status
        said = agent.svid("doctor")[1]
        assert "lockdown" in said and "integrity" in said, said


def boot(name):
    kernel, append = BOOTS[name]
    run = [os.path.join(HERE, "run.sh"), kernel, "--timeout", "200", "--name", f"delivery-{name}"]
    run += ["--append", append] if append else []
    return subprocess.run([*run, "--", "env", f"T=test_{name}", sys.executable, os.path.abspath(__file__)], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def main():
    if not shutil.which("qemu-system-x86_64"):
        print("skipped: qemu-system-x86 is not installed\n0 passed, 0 failed, 1 skipped")
        return 0
    subprocess.run(["make", "-s", "module"], cwd=TREE, check=True, stdin=subprocess.DEVNULL)
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        for name, done in zip(BOOTS, both.map(boot, BOOTS)):
            text = done.stdout.decode(errors="replace").replace("\r", "")
            found = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped", text, re.M)
            counts = [int(n) for n in found[-1]] if found else [0, 1, 0]
            counts[1] += done.returncode != 0 and not counts[1]
            print(f"--- {name}: Linux {BOOTS[name][0]} {BOOTS[name][1]}\n" + text)
            total = [a + b for a, b in zip(total, counts)]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] else 0


if __name__ == "__main__":
    if os.environ.get("VM"):
        case.main(globals())
    sys.exit(main())
