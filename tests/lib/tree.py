# SPDX-License-Identifier: Apache-2.0
"""An agent with a FUSE credential tree, and programs that read in it."""
import json
import os
import subprocess
import sys
import uuid

import case
from agent import CALLER_UID, Agent, until

PYTHON = os.path.realpath(sys.executable)


def openssl(*words, text=b""):
    return subprocess.run(["openssl", *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


class Tree:
    """An agent with a tree, and two identities: alice and bob are cats, carol is a python."""

    def __init__(self, name, kind=Agent, x509_ttl=None):
        case.needs("/dev/fuse", "openssl")
        self.agent = kind(name)
        self.agent.delivery = "fuse"
        self.dir = os.path.join(self.agent.run_dir, "credentials")
        self.alice, self.bob = (self.agent.program(n, "/bin/cat") for n in ("alice", "bob"))
        self.carol = self.agent.program("carol", PYTHON)
        self.ids = {n: self.agent.identity(n, getattr(self, n), x509_ttl=x509_ttl)
                    for n in ("alice", "bob", "carol")}

    def __enter__(self):
        self.agent.__enter__()
        self.agent.start()
        assert until(lambda: os.path.ismount(self.dir), 10), self.agent.explain()
        return self

    def __exit__(self, *what):
        try:
            if self.agent.process:
                self.agent.stop()
        finally:
            # What a service manager would keep: nobody answers there any more.
            subprocess.run(["umount", "-l", self.dir], stderr=subprocess.DEVNULL, check=False)
            self.agent.__exit__(*what)

    def own(self, name):
        """The directory of an identity: UUIDv5 of its SPIFFE ID."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.ids[name]))

    def popen(self, program, *words, **more):
        more = {"user": CALLER_UID, "group": CALLER_UID, "extra_groups": [], **more}
        return subprocess.Popen([program, *words], cwd="/", stdin=more.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def read(self, program, path, **more):
        """(what it printed, what it complained)"""
        out, err = self.popen(program, os.path.join(self.dir, path), **more).communicate(timeout=20)
        return out, err.decode()

    def python(self, program, code, *words, **more):
        """What a program that is a python printed, as JSON."""
        out, err = self.popen(program, "-I", "-S", "-c", code, self.dir, *words, **more).communicate(timeout=30)
        assert out, err.decode()
        return json.loads(out)
