#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A workload in a container: own mount and pid (and user) namespace, own root directory, only the socket's directory mounted.

A container of the initial user, as a runtime makes it, is known by its path in there and what the kernel says of it. In a
user namespace of its own a program could be anything under any path: there no path counts, other selectors do.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, ROOT, Agent  # noqa: E402  pylint: disable=wrong-import-position

RUNNER = ["/usr/bin/python3", os.path.join(ROOT, "tests", "lib", "container.py")]
ENV = {"SPIFFE_ENDPOINT_SOCKET": "unix:///run/svid/api.sock"}


class Container:
    """A root directory with one program, /app, and how to run it in there."""

    def __init__(self, agent, selectors, own_user=False):
        self.agent, self.selectors, self.own_user = agent, selectors, own_user
        self.root = os.path.join(agent.top, "root")
        os.makedirs(os.path.join(self.root, "run", "svid"))
        clients.GO.install(self.root, "app")
        words = ["--user-namespace"] if own_user else ["--user", str(CALLER_UID)]
        public = os.path.dirname(agent.socket)
        runner = RUNNER[:1] + [agent.readable(RUNNER[1])]
        self.argv = [*runner, *words, self.root, f"{public}:/run/svid", "--", "/app"]

    def play(self, *words):
        return self.agent.play(self, *words, user=CALLER_UID if self.own_user else 0, env=ENV)

    def one(self, *words):
        player = self.play(*words)
        player.finish(20)
        assert player.events, player.said()
        return player.events[-1]


def ids(event):
    return [svid["id"] for svid in event.get("svids", [])]


def test_a_container_of_the_initial_user_gets_its_identity():
    with Agent("container") as agent:
        app = Container(agent, {"unix:path": "/app", "kernel:mount_namespace": "trusted", "kernel:root": "changed"})
        spiffe_id = agent.identity("app", app)
        agent.start()
        assert ids(app.one("fetch")) == [spiffe_id]
        assert ids(app.one("jwt", "-audience", "one")) == [spiffe_id]
        records = [r for r in agent.records() if r["event"] == "decision"]
        assert {r["path"] for r in records} == {"/app"}, records


def test_a_container_is_not_taken_for_the_machine():
    with Agent("container-host") as agent:
        app = Container(agent, {"unix:path": "/app", "kernel:mount_namespace": "initial"})
        agent.identity("app", app)
        agent.start()
        assert app.one("fetch")["code"] == "PermissionDenied"


def test_a_container_sees_a_restart_through_its_mounted_directory():
    with Agent("container-restart") as agent:
        app = Container(agent, {"unix:path": "/app"})
        agent.identity("app", app)
        agent.start()
        player = app.play("source", "-count", "2", "-for", "40s")
        player.wait("update", 1)
        agent.stop()
        agent.start()
        assert player.finish(45) == 0, player.said()


def test_in_a_user_namespace_of_its_own_no_path_counts():
    with Agent("userns-path") as agent:
        app = Container(agent, {"unix:path": "/app"}, own_user=True)
        agent.identity("app", app)
        agent.start()
        refused = app.one("fetch")
        assert refused.get("code") == "PermissionDenied", refused


def test_in_a_user_namespace_of_its_own_the_kernels_word_counts():
    with Agent("userns-uid") as agent:
        app = Container(agent, {"unix:uid": CALLER_UID, "kernel:user_namespace": "other", "kernel:root": "changed"},
                        own_user=True)
        spiffe_id = agent.identity("app", app)
        agent.start()
        assert ids(app.one("fetch")) == [spiffe_id]


if __name__ == "__main__":
    case.main(globals())
