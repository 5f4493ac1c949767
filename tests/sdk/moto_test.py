#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""moto's STS as a second AWS, which others wrote: it checks no token, but its answers are as others understood AWS's."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402  pylint: disable=wrong-import-position
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import until  # noqa: E402  pylint: disable=wrong-import-position
from services import pki  # noqa: E402  pylint: disable=wrong-import-position

CLIENT = os.path.join(rig.HERE, "python", "client.py")
ROLE = "arn:aws:iam::123456789012:role/of-moto"


class Moto:
    """A moto server at https://ADDRESS, with a certificate of the rig's CA."""

    def __init__(self, w):
        self.address = w.free_address()
        self.url = f"https://{self.address}"
        key, folder = pki.ec_key(), os.path.join(w.top, "moto")
        os.mkdir(folder, 0o700)
        files = {"key.pem": pki.private_pem(key), "cert.pem": pki.pem(w.authority.leaf(key, addresses=[self.address]))}
        for name, content in files.items():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)
        with open(os.path.join(folder, "log"), "wb") as log:
            self.process = subprocess.Popen(
                [os.path.join(rig.VENV, "bin", "moto_server"), "-H", self.address, "-p", "443", "-c",
                 os.path.join(folder, "cert.pem"),
                 "-k", os.path.join(folder, "key.pem")], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        self.log = os.path.join(folder, "log")

    def is_up(self):
        assert self.process.poll() is None, self.said()
        return "Running on" in self.said()

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def __enter__(self):
        assert until(self.is_up, 60, 0.1), self.said()
        return self

    def __exit__(self, *what):
        self.process.terminate()
        self.process.wait()


def test_an_exchange_with_moto_and_its_keys_in_each_form():
    with rig.Rig("moto") as w, Moto(w) as moto:
        app, other = w.python("app"), w.python("other")
        w.identity("app", app)
        w.source("moto-source", "aws", roleArn=ROLE, endpoint=moto.url, region=rig.REGION)
        w.credential("app-moto", "app", "moto-source", ["/bin/cat", "/usr/bin/cat"])
        w.start()
        client = w.agent.readable(CLIENT)
        granted = until(lambda: [r for r in w.agent.records() if r.get("event") == "exchange" and r["granted"]], 30, 0.1)
        assert granted, (moto.said(), w.agent.explain())
        web, own = w.env("app", AWS_ENDPOINT_URL=moto.url), w.own("app")
        plain = {k: v for k, v in web.items() if k not in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
                                                           "AWS_ROLE_SESSION_NAME")}
        for method, env in (("assume-role-with-web-identity", web),
                            ("custom-process", {**plain, "AWS_CONFIG_FILE": own + "/aws/config"}),
                            ("shared-credentials-file", {**plain, "AWS_SHARED_CREDENTIALS_FILE": own + "/aws/credentials"})):
            event = w.once(app, client, "aws", env=env)
            assert event["event"] == "done" and event["method"] == method, (event, moto.said())
            assert event["who"].startswith("arn:aws:sts::123456789012:assumed-role/of-moto/app@"), event
            assert w.once(other, client, "aws", env=env)["event"] == "refused", method
        assert granted[0]["key_id"] in json.dumps(w.once(app, client, "aws",
                                                         env={**plain, "AWS_CONFIG_FILE": own + "/aws/config"})), granted


if __name__ == "__main__":
    case.main(globals())
