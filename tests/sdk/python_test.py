#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python SDKs, unmodified from PyPI, with what svidd gives them: boto3, google-auth, azure-identity."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402  pylint: disable=wrong-import-position
import case  # noqa: E402  pylint: disable=wrong-import-position

CLIENT = os.path.join(rig.HERE, "python", "client.py")
CLOUDS = ("aws", "gcp", "azure")


class World(rig.Rig):
    """app and other are Python programs of the same packages; app has access to each cloud."""

    def __init__(self, name, clouds=CLOUDS, **more):
        super().__init__(name, **more)
        self.app, self.other = self.python("app"), self.python("other")
        self.identity("app", self.app)
        self.client = self.agent.readable(CLIENT)
        for cloud in clouds:
            getattr(self, "grant_" + cloud)("app")

    def client_of(self, program, *words, **env):
        return self.play(program, self.client, *words, env=self.env("app", **env))


def test_smoke():
    with World("smoke") as w:
        w.start()
        for words in (("aws",), ("aws-object", "bucket", "key"), ("gcp", "demo"), ("azure", "word")):
            print(w.once(w.app, w.client, *words, env=w.env('app')))
            print(w.once(w.other, w.client, *words, env=w.env('app')))


if __name__ == "__main__":
    case.main(globals())
