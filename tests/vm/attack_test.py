#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The attacks of tests/attack on stock Debian kernels: bpf-lsm as users get it, bpf-fentry with an LSM list without bpf, kmod.

The tier that users get plays all on the oldest kernel; results come back as lines on their consoles and go into the attack table.
VMS="6.1:bpf-lsm" runs only that one; T as in tests/attack/attack_test.py.
"""
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/attack"))
# pylint: disable=wrong-import-position
import digest_scenarios  # noqa: E402
import scenarios  # noqa: E402
import table  # noqa: E402

# Kernel, tier, where the credential tree is. With sysfs the module is loaded: it may serve the tree alone. The longest begins.
JOBS = [("6.1", "bpf-lsm", "fuse"), ("6.1", "kmod", "sysfs"), ("6.1", "bpf-fentry", "fuse"), ("6.12", "kmod", "sysfs"),
        ("6.12", "bpf-lsm", "sysfs"), ("6.12", "bpf-fentry", "fuse")]
WITHOUT_BPF = "lsm=landlock,lockdown,yama,apparmor"
LIMIT_S = 900
LANES = 2  # at a time: beside a third the floods starve what they should only disturb
SLOW = "6"  # emulation
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped", re.M)


def command(kernel, tier, delivery):
    run = [os.path.join(ROOT, "tests/vm/run.sh"), kernel, "--timeout", str(LIMIT_S), "--name", f"attack-{kernel}-{tier}"]
    if tier == "bpf-fentry":
        run += ["--append", WITHOUT_BPF]
    brief = {} if (kernel, tier) == ("6.1", "bpf-lsm") else {"BRIEF": "1" if kernel == "6.1" else "2"}
    settings = {"TIER": tier, "SLOW": SLOW, "SOCKET": "no", "THIN": "1", "RESULTS": "1", "DELIVERY": delivery,
                "T": os.environ.get("T", ""), "PYTHONDONTWRITEBYTECODE": "1", **brief}
    return [*run, "--", "env", *(f"{k}={v}" for k, v in settings.items()), "python3",
            os.path.join(ROOT, "tests/attack/attack_test.py")]


def play(kernel, tier, delivery):
    """What the machine printed, its exit code, what it counted, and the seconds that all took."""
    begin = time.monotonic()
    done = subprocess.run(command(kernel, tier, delivery), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace").replace("\r", "")
    found = COUNTS.findall(text)
    counts = [int(n) for n in found[-1]] if found else [0, 1, 0]
    if done.returncode and not counts[1]:
        counts[1] = 1
    return text, done.returncode, counts, time.monotonic() - begin


def one(kernel, tier, delivery, total, results, lock):
    text, code, counts, seconds = play(kernel, tier, delivery)
    if counts[1]:  # an emulated machine beside another one: see AGAIN in tests/lib/programs.py
        with lock:
            print(f"{text}\n  failed once: Linux {kernel}, {tier} ({counts[1]})", flush=True)
        text, code, counts, seconds = play(kernel, tier, delivery)
    rows = [json.loads(line[7:]) for line in text.splitlines() if line.startswith("RESULT {")]
    said = [line for line in text.splitlines() if not line.startswith("RESULT ")]
    with lock:
        print(f"--- Linux {kernel}, {tier}: exit {code}, {seconds:.0f} s")
        print("\n".join(line for line in said if not COUNTS.match(line)), flush=True)
        results += rows
        for i in range(3):
            total[i] += counts[i]


def work(jobs, *shared):
    while True:
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return
        one(*job, *shared)


def main():
    if not shutil.which("qemu-system-x86_64"):
        print("skipped: qemu-system-x86 is not installed\n0 passed, 0 failed, 1 skipped")
        return 0
    for kind in ("preload", "library-path"):
        scenarios.fake_library(kind)
    digest_scenarios.prepare()
    subprocess.run(["make", "-s", "module"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    jobs, total, results = queue.Queue(), [0, 0, 0], []
    only = os.environ.get("VMS", "").split()
    for job in JOBS:
        if not only or ":".join(job[:2]) in only:
            jobs.put(job)
    shared = (jobs, total, results, threading.Lock())
    workers = [threading.Thread(target=work, args=shared) for _ in range(LANES)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    table.merge(results)
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not any(total) else 0


if __name__ == "__main__":
    sys.exit(main())
