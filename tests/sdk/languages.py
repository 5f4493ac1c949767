# SPDX-License-Identifier: Apache-2.0
"""Clients of the clouds' SDKs in Node, Go and Java: how each is built, installed, started and told from others.

A client says how an operator would name its workload: a binary by its path; a script by its interpreter, its arguments
as of exec and its user. "other" is the same program under another name, without an identity.
"""
import functools
import os
import shutil
import subprocess

import rig
import case
from rig import until

SDK = os.path.join(rig.ROOT, "build", "sdk")
CLOUDS = ("aws", "gcp", "azure")
EXPIRY = 9  # seconds of what the token services give in tests of an expiry


@functools.lru_cache
def _build(which):
    done = subprocess.run([os.path.join(rig.HERE, "clients.sh"), which], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=900, check=False)
    return done.returncode, done.stdout.decode(errors="replace")


def built(which):
    """Folder of what clients.sh makes for that name."""
    code, output = _build(which)
    if code:
        last = (output.strip().splitlines() or [""])[-1]
        case.skip(f"the {which} client of tests/sdk cannot be built here: {last}")
    return os.path.join(SDK, which)


class Program:
    """What runs, and the selectors that name it."""

    def __init__(self, argv, selectors):
        self.argv, self.selectors = argv, selectors

    def __repr__(self):
        return " ".join(self.argv)


def interpreted(argv):
    """A program whose executable is not its own: who it is stands in its arguments."""
    return Program(argv, {"unix:path": os.path.realpath(argv[0]), "process:cmdline": " ".join(argv), "unix:uid": rig.CALLER_UID})


def _place(folder, source, name):
    path = os.path.join(folder, name)
    try:
        os.link(source, path)
    except OSError:
        shutil.copy(source, path)
    return path


class Go:
    name, modes = "go", ("aws", "process", "gcp", "gcp-auth", "azure")

    def install(self, r):
        """(the workload, the same program that is not it)"""
        binary = os.path.join(built("go"), "sdk-go")
        return tuple(Program([path], {"unix:path": path}) for path in (r.agent.program(n, binary) for n in ("app", "other")))


class Node:
    """Not the machine's Node, which may be too old for these SDKs: the one that npm brings."""
    name, modes = "node", ("aws", "process", "gcp", "azure")

    def install(self, r):
        source, place = built("node"), r.agent.bin
        node = _place(place, os.path.join(source, "node"), "node")
        os.symlink(os.path.join(source, "node_modules"), os.path.join(place, "node_modules"))
        return tuple(interpreted([node, _place(place, os.path.join(source, "client.js"), f"{n}.js")]) for n in ("app", "other"))


class Java:
    name, modes = "java", ("aws", "process", "gcp", "azure")

    def install(self, r):
        source, place = built("java"), r.agent.bin
        os.symlink(os.path.join(source, "lib"), os.path.join(place, "lib"))
        java = [os.path.realpath(shutil.which("java") or case.skip("java is not installed")), "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1", f"-Djavax.net.ssl.trustStore={self._trust(r)}", "-jar"]
        return tuple(interpreted([*java, _place(place, os.path.join(source, "sdk-java.jar"), f"{n}.jar")]) for n in ("app", "other"))

    @staticmethod
    def _trust(r):
        """The private CA as Java takes it; a JKS opens without a password, which would be an argument."""
        store = os.path.join(r.top, "trust.jks")
        subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", r.ca_path, "-keystore", store, "-storetype",
                        "JKS", "-storepass", "changeit"], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        return store


class World(rig.Rig):
    """app is a client in that language, with access to each cloud; other is its like without an identity.

    A mode is what the client is asked; "process" is aws with its keys by credential_process.
    """

    def __init__(self, client, what, helpers=(), life=None):
        super().__init__(f"{client.name}-{what}")
        try:
            self._variables = None
            self.app, self.other = client.install(self)
            self.identity("app", self.app)
            for cloud in CLOUDS:
                getattr(self, cloud).life = life
            self.grant_aws("app", helpers=helpers)
            self.grant_gcp("app")
            self.grant_azure("app")
        except BaseException:
            self.close()
            raise

    def refusals(self, file):
        """How many readers of that file were sent away, by the audit log."""
        return sum(1 for r in self.agent.records() if r["event"] == "read" and not r["allowed"] and r["file"].endswith("/" + file))

    def _env_of(self, mode):
        """As of the first start: a workload's environment does not change."""
        self._variables = self._variables or self.env("app")
        # aws-sdk-go-v2 asks the STS of AWS itself when only AWS_ENDPOINT_URL is there.
        env = {**self._variables, "AWS_ENDPOINT_URL_STS": self.aws.url}
        if mode == "process":
            del env["AWS_WEB_IDENTITY_TOKEN_FILE"]
            env["AWS_CONFIG_FILE"] = os.path.join(self.own("app"), "app-aws/aws/config")
        return env

    def _words(self, mode):
        google = f"{self.gcp.url}/storage/v1/b/bucket/o/key?alt=media"
        return {"aws": ["aws", "bucket", "key"], "process": ["aws", "bucket", "key"], "gcp": ["gcp", google],
                "gcp-auth": ["gcp-auth", google],
                "azure": ["azure", "https://vault.azure.net/.default", f"{self.azure.url}/secrets/word?api-version=7.4"]}[mode]

    def client(self, program, mode):
        """A client that runs on, and the first thing that it said."""
        player = self.play(program, *self._words(mode), env=self._env_of(mode))
        assert until(lambda: player.events or player.process.poll() is not None, 60) and player.events, player.said()
        return player, player.events[0]

    def asked_once(self, program, mode):
        return self.once(program, *self._words(mode), env=self._env_of(mode))
