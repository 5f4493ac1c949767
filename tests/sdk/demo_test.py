#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the product promises, from beginning to end: no access, grant, list instances, another process refused, revoke, refused.

Both times are measured and printed: from the document to the first answer of the API, from its removal to the first refusal.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402  pylint: disable=wrong-import-position
import case  # noqa: E402  pylint: disable=wrong-import-position
from patience import Stopwatch  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, until  # noqa: E402  pylint: disable=wrong-import-position

CLIENT = os.path.join(rig.HERE, "python", "client.py")
REVOKED_S = 1  # what the product says: no read a second after the document is gone


class Demo(rig.Rig):
    """app and other are Python programs; only app has an identity. list_by() is how a program lists the instances."""

    def __init__(self, name):
        super().__init__(name)
        self.app, self.other = self.python("app"), self.python("other")
        self.identity("app", self.app)
        self.client, self.said = self.agent.readable(CLIENT), ""

    def __enter__(self):
        super().__enter__()
        return self.start()

    def tokens(self, program):
        """Whether it reads an access token."""
        code = "import sys\ntry:\n print(len(open(sys.argv[1]).read()), end='')\nexcept OSError:\n pass"
        return subprocess.run([program.path, "-I", "-c", code, os.path.join(self.own("app"), "gcp/access_token")],
                              stdout=subprocess.PIPE, cwd="/", user=CALLER_UID, group=CALLER_UID, extra_groups=[], check=True,
                              timeout=60).stdout != b""


def play(w, by, listing):
    """The story, with one way of listing: listing(program) is the names, None when it is refused."""
    assert listing(w.app) is None, "nothing was granted"
    start = time.monotonic()
    w.grant_gcp("app")
    assert until(lambda: w.tokens(w.app), 20, 0.02), w.agent.explain()
    granted = time.monotonic() - start
    assert listing(w.app) == ["one", "two"], (w.said, w.gcp.log[-5:])
    assert listing(w.other) is None and not w.tokens(w.other), "another program of the same user and the same environment"
    start, watch = time.monotonic(), Stopwatch()
    w.agent.remove("app-gcp")
    assert until(lambda: not w.tokens(w.app), 10, 0.01), w.agent.explain()
    revoked, counted = time.monotonic() - start, watch.seconds()
    assert listing(w.app) is None
    assert counted < REVOKED_S, f"{counted:.2f} s"
    print(f"| demo, {by} | access {granted:.2f} s after the document came, none {revoked:.2f} s after it went |")


def test_the_demo_with_google_s_own_library():
    with Demo("demo") as w:
        def listing(program):
            file = os.path.join(w.own("app"), "gcp/credentials.json")
            env = {**w.private_ca(), "GOOGLE_APPLICATION_CREDENTIALS": file}
            event = w.once(program, w.client, "gcp", "demo", env=env)
            return event["instances"] if event["event"] == "done" else None
        play(w, "google-auth", listing)


def test_the_demo_with_a_plain_http_client():
    with Demo("plain") as w:
        def listing(program):
            url = w.gcp.url + "/compute/v1/projects/demo/zones/europe-west3-a/instances"
            event = w.once(program, w.client, "raw", os.path.join(w.own("app"), "gcp/access_token"), url, env=w.private_ca())
            return [i["name"] for i in event["reply"]["items"]] if event["event"] == "done" else None
        play(w, "a plain HTTP client", listing)


def test_the_demo_with_gcloud():
    """As the product description has it: the identity is the interpreter that runs gcloud. An extra: reported, not required."""
    gcloud = rig.which("gcloud")
    if not gcloud:
        print("| demo, gcloud | not installed here |")
        return
    with Demo("gcloud") as w:
        def listing(program):
            env = {**w.private_ca(), "PATH": "/usr/bin:/bin", "CLOUDSDK_PYTHON": program.path, "CLOUDSDK_CORE_PROJECT": "demo",
                   "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": os.path.join(w.own("app"), "gcp/access_token"),
                   "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": w.gcp.url + "/compute/v1/", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
                   "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE": w.ca_path, "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
                   "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true"}
            done = subprocess.run([gcloud, "compute", "instances", "list", "--format=value(name)"], env=env, cwd="/", timeout=120,
                                  user=CALLER_UID, group=CALLER_UID, extra_groups=[], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            w.said = done.stderr.decode(errors="replace")
            return done.stdout.decode().split() if done.returncode == 0 else None
        play(w, "gcloud", listing)


if __name__ == "__main__":
    case.main(globals())
