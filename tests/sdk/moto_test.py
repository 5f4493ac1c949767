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
                [os.path.join(rig.VENV, "bin", "moto_server"), "-H", self.address, "-p", "443", "-c", os.path.join(folder, "cert.pem"),
                 "-k", os.path.join(folder, "key.pem")], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
                env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"})
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
        plain = {k: v for k, v in web.items() if k not in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME")}
        for method, env in (("assume-role-with-web-identity", web), ("custom-process", {**plain, "AWS_CONFIG_FILE": own + "/aws/config"}),
                            ("shared-credentials-file", {**plain, "AWS_SHARED_CREDENTIALS_FILE": own + "/aws/credentials"})):
            event = w.once(app, client, "aws", env=env)
            assert event["event"] == "done" and event["method"] == method, (event, moto.said())
            assert event["who"].startswith("arn:aws:sts::123456789012:assumed-role/of-moto/app@"), event
            assert w.once(other, client, "aws", env=env)["event"] == "refused", method
        assert granted[0]["key_id"] in json.dumps(w.once(app, client, "aws", env={**plain, "AWS_CONFIG_FILE": own + "/aws/config"})), granted


def run_script(w, text, moto):
    """What `svid cloud setup aws` printed, run with the real AWS CLI: (exit code, what was said)."""
    tools = os.path.join(w.top, "tools")
    os.mkdir(tools)
    agent = f"--socket {w.agent.endpoint} --admin {w.agent.admin}"
    for name, command in (("aws", f"{sys.executable} -m awscli"), ("svid", f"{os.path.join(rig.BIN, 'svid')} {agent}")):
        with open(os.path.join(tools, name), "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\nexec {command} "$@"\n')
        os.chmod(os.path.join(tools, name), 0o755)
    os.mkdir(os.path.join(tools, "oidc"))
    env = {"PATH": f"{tools}:/usr/bin:/bin", "AWS_ENDPOINT_URL": moto.url, "AWS_CA_BUNDLE": w.ca_path, "AWS_ACCESS_KEY_ID": "an",
           "AWS_SECRET_ACCESS_KEY": "operator", "AWS_DEFAULT_REGION": rig.REGION, "HOME": tools,
           "POLICY_ARN": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}
    done = subprocess.run(["bash", "-euc", text], env=env, cwd=tools, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          stdin=subprocess.DEVNULL, timeout=300)
    return done.returncode, done.stdout.decode(errors="replace"), lambda *words: json.loads(subprocess.run(
        [os.path.join(tools, "aws"), *words, "--output", "json"], env=env, check=True, stdout=subprocess.PIPE, timeout=60).stdout)


def test_what_cloud_setup_prints_is_taken_by_the_cli_and_trusts_the_workload_alone():
    """The commands make a provider and a role in moto's IAM. That role's policy then decides in the STS that verifies."""
    with rig.Rig("setup") as w, Moto(w) as moto:
        app, other = w.python("app"), w.python("other")
        for name, program in (("app", app), ("other", other)):
            w.identity(name, program)
        w.aws_source("aws-source", "arn:aws:iam::123456789012:role/team/reader")
        w.credential("app-aws", "app", "aws-source")
        w.start()
        assert until(lambda: w.aws.count("/", 403), 30, 0.1), (w.aws.log, w.agent.explain())  # there is no such role yet
        code, text, err = w.agent.svid("cloud", "setup", "aws", "aws-source")
        assert code == 0, err
        text, _, last = text.rpartition("# 6. ")
        assert "svid credentials refresh app-aws" in last, text
        code, said, aws = run_script(w, text, moto)
        assert code == 0, said
        provider, = aws("iam", "list-open-id-connect-providers")["OpenIDConnectProviderList"]
        shown = aws("iam", "get-open-id-connect-provider", "--open-id-connect-provider-arn", provider["Arn"])
        assert shown["Url"] in w.issuer.url and shown["ClientIDList"] == ["sts.amazonaws.com"], shown
        role = aws("iam", "get-role", "--role-name", "reader")["Role"]
        assert role["Arn"].endswith("role/team/reader") and role["MaxSessionDuration"] == 3600, role
        trust = role["AssumeRolePolicyDocument"]
        assert trust["Statement"][0]["Principal"]["Federated"] == provider["Arn"], (trust, provider)
        arn = w.aws.role("reader", trust, path="team/")
        code, out, err = w.agent.svid("credentials", "refresh", "app-aws")
        assert code == 0 and [s.subject for s in w.aws.sessions.values()] == [w.spiffe_id("app")], (out, err, w.aws.log)
        w.credential("other-aws", "other", "aws-source")
        assert until(lambda: [r for r in w.agent.records() if r.get("event") == "exchange" and r.get("credential") == "other-aws"], 20, 0.1)
        assert not [s for s in w.aws.sessions.values() if s.subject == w.spiffe_id("other")] and arn == role["Arn"]


if __name__ == "__main__":
    case.main(globals())
