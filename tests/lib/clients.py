# SPDX-License-Identifier: Apache-2.0
"""The workloads of other people's libraries: built once by tests/e2e/clients.sh, skipped where that fails.

A client says how its program is installed, started and told from others, as an operator would: a binary by its
path; a script by its interpreter, its arguments as of exec and its user. Their modes have the same names, with
another way to pass words: command() knows it.
"""
import functools
import os
import shutil
import subprocess

import case
from agent import CALLER_UID, CLIENTS, ROOT


@functools.lru_cache
def _build(which):
    script = os.path.join(ROOT, "tests", "e2e", "clients.sh")
    done = subprocess.run([script, which], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=900, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def built(which):
    """Path of what clients.sh makes for that name."""
    code, output = _build(which)
    if code:
        last = (output.strip().splitlines() or [""])[-1]
        case.skip(f"the {which} client cannot be built here: {last}")
    return os.path.join(CLIENTS, which)


def go():
    return built("go") + "-workload"


def rust():
    return built("rust") + "-workload"


def link_or_copy(source, target):
    """Folders of clients are tens of MB: the same file under another name is as good."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class Program:
    """What runs, and the selectors that name it."""

    def __init__(self, argv, selectors):
        self.argv, self.selectors = argv, selectors

    def __repr__(self):
        return " ".join(self.argv)


class Go:
    name = "go"

    def install(self, folder, name):
        path = os.path.join(folder, name)
        shutil.copy(go(), path)
        os.chmod(path, 0o755)
        return Program([path], {"unix:path": path})

    def command(self, socket, mode, *words):  # pylint: disable=unused-argument
        flags = {"source": ["-count"], "jwt-watch": ["-count"], "validate": ["-audience", "-token"]}
        if mode == "jwt":
            return [mode, "-audience", ",".join(words)]
        pairs = zip(flags.get(mode, []), words)
        return [mode, "-for", "80s", *(word for pair in pairs for word in pair)]


class Rust:
    name = "rust"

    def install(self, folder, name):
        path = os.path.join(folder, name)
        shutil.copy(rust(), path)
        os.chmod(path, 0o755)
        return Program([path], {"unix:path": path})

    def command(self, socket, mode, *words):
        return [mode, socket, *(["80"] if mode in ("source", "jwt-watch") else []), *words]


class Interpreted:
    """A program whose executable is not its own: who it is stands in its arguments."""

    def __init__(self, name, script, launcher):
        self.name, self.script, self.launcher = name, script, launcher

    def install(self, folder, name):
        place = os.path.join(folder, name)
        shutil.copytree(built(self.name), place, symlinks=True, copy_function=link_or_copy)
        argv = [*self.launcher(place), os.path.join(place, self.script)]
        return Program(argv, {"unix:path": os.path.realpath(argv[0]), "process:cmdline": " ".join(argv),
                              "unix:uid": CALLER_UID})

    def command(self, socket, mode, *words):  # pylint: disable=unused-argument
        return [mode, *words]


def _which(name):
    return shutil.which(name, path="/usr/local/bin:/usr/bin:/bin") or case.skip(f"{name} is not installed")


GO, RUST = Go(), Rust()
PYTHON = Interpreted("python", "workload.py", lambda place: [os.path.join(place, "venv/bin/python")])
NODE = Interpreted("node", "workload.js", lambda _: [_which("node")])
JAVA = Interpreted("java", "java-workload.jar", lambda _: [_which("java"), "-jar"])
ALL = [GO, RUST, PYTHON, NODE, JAVA]
