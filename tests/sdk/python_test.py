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
            getattr(self, "grant_" + cloud)()

    def grant_aws(self):
        self.role = self.aws.role("reader", self.trusts("app"))
        self.aws.object("bucket", "key", b"of s3", self.role)
        self.aws_source("aws-source", self.role)
        self.credential("app-aws", "app", "aws-source")

    def grant_gcp(self):
        provider = self.gcp.provider(self.issuer.url)
        principal = self.gcp.providers[provider].principal(self.spiffe_id("app"))
        member = self.gcp.account("app@demo.iam.gserviceaccount.com", principal)
        self.gcp.project("demo", ["one", "two"], member)
        self.gcp_source("gcp-source", provider, serviceAccount="app@demo.iam.gserviceaccount.com")
        self.credential("app-gcp", "app", "gcp-source")

    def grant_azure(self):
        tenant, client = self.azure.app()
        self.azure.federate(client, self.issuer.url, self.spiffe_id("app"))
        self.azure.secret("word", "of the vault", client)
        self.azure_source("azure-source", tenant, client)
        self.credential("app-azure", "app", "azure-source")

    def client_of(self, program, *words, **env):
        return self.play(program, self.client, *words, env=self.env("app", **env))

    def once(self, program, *words, **env):
        """The one thing that a client said."""
        player = self.client_of(program, *words, **env)
        player.process.stdin.close()
        player.finish(60)
        assert len(player.events) == 1, player.said()
        return player.events[0]


def test_smoke():
    with World("smoke") as w:
        w.start()
        for words in (("aws",), ("aws-object", "bucket", "key"), ("gcp", "demo"), ("azure", "word")):
            print(w.once(w.app, *words))
            print(w.once(w.other, *words))


if __name__ == "__main__":
    case.main(globals())
