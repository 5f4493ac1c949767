# SPDX-License-Identifier: Apache-2.0
"""The workloads of other people's libraries: built once by tests/e2e/clients.sh, skipped where that fails."""
import functools
import os
import subprocess

import case
from agent import CLIENTS, ROOT


@functools.lru_cache
def _build(which):
    script = os.path.join(ROOT, "tests", "e2e", "clients.sh")
    done = subprocess.run([script, which], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=900, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def _client(which):
    code, output = _build(which)
    if code:
        last = (output.strip().splitlines() or [""])[-1]
        case.skip(f"the {which} client cannot be built here: {last}")
    return os.path.join(CLIENTS, f"{which}-workload")


def go():
    return _client("go")


def rust():
    return _client("rust")
