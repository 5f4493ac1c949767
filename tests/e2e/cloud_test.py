#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Cloud credentials through a real svidd: who reads which file, what an exchange is made of, and what is left of it."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import until  # noqa: E402  pylint: disable=wrong-import-position
from token_service import ROLE, TokenService, claims  # noqa: E402  pylint: disable=wrong-import-position
from tree import Tree  # noqa: E402  pylint: disable=wrong-import-position

SECRET = {"aws": ("aws/credentials", "aws/credentials.json", "aws/web_identity_token"),
          "gcp": ("gcp/subject_token", "gcp/access_token"), "azure": ("azure/federated_token", "azure/access_token")}
PUBLIC = {"aws": ("aws/config",), "gcp": ("gcp/credentials.json",), "azure": ()}


class Clouds(Tree):
    """A Tree whose alice has a credential of each kind."""

    def __init__(self, name, service, kinds=("aws", "gcp", "azure", "jwt"), **more):
        super().__init__(name, **more)
        self.service, self.clouds = service, [k for k in kinds if k != "jwt"]
        for kind in kinds:
            self.agent.source(f"{kind}-source", service.source(kind))
            self.agent.credential(f"alice-{kind}", "alice", f"{kind}-source")

    def exchanges(self, granted=True):
        return [r for r in self.agent.records() if r.get("event") == "exchange" and r["granted"] == granted]

    def __enter__(self):
        super().__enter__()
        assert until(lambda: len(self.exchanges()) == len(self.clouds), 20), self.agent.explain()
        return self

    def text(self, path, program=None):
        out, err = self.read(program or self.alice, path)
        assert out and not err, (path, err, self.agent.explain())
        return out.decode()


def test_each_cloud_s_files_are_read_by_their_own_workload_and_by_nobody_else():
    with TokenService() as service, Clouds("cloud-own", service) as t:
        own = t.own("alice")
        for kind, files in SECRET.items():
            for file in files:
                places = (f"{own}/alice-{kind}/{file}", f"self/{file}", f"{own}/{file}")
                assert len({t.text(p) for p in places}) == 1, file
                for place in places:
                    for other in (t.bob, "/bin/cat"):
                        out, err = t.read(other, place)
                        assert not out and ("Permission denied" in err or "No such file" in err), (place, out, err)
                out, err = t.read(t.bob, places[0])
                assert "Permission denied" in err, err
        assert json.loads(t.text("self/aws/credentials.json"))["SecretAccessKey"].startswith("aws-secret-")
        assert t.text("self/gcp/access_token").startswith("gcp-token-")
        assert t.text("self/azure/access_token").startswith("azure-token-")
        token = claims(t.text("self/jwt/alice-jwt"))
        assert token["aud"] in ("https://party.test", ["https://party.test"]) and token["sub"] == t.ids["alice"], token
        assert f"AWS_ROLE_ARN={ROLE}\n" in t.text("self/env")
        assert t.service.count() == 3, t.service.asks


def test_what_holds_no_secret_is_for_everybody_under_the_workload_s_own_name():
    with TokenService() as service, Clouds("cloud-public", service) as t:
        for file in ("env", "aws/config", "gcp/credentials.json"):
            mine = t.text(f"{t.own('alice')}/{file}")
            for other in (t.bob, "/bin/cat"):
                assert t.text(f"{t.own('alice')}/{file}", other) == mine, file
                out, err = t.read(other, f"self/{file}")
                assert not out and ("Permission denied" in err or "No such file" in err), (file, out, err)


if __name__ == "__main__":
    case.main(globals())
