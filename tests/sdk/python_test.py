#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python SDKs and the AWS CLI, unmodified from PyPI, with what svidd gives them: boto3, google-auth, azure-identity.

app and other are Python programs with the same packages and the same environment. Only app has an identity.
"""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402  pylint: disable=wrong-import-position
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, until  # noqa: E402  pylint: disable=wrong-import-position

CLIENT = os.path.join(rig.HERE, "python", "client.py")
CLOUDS = ("aws", "gcp", "azure")
LIFE = 15  # seconds of what a cloud gives, where its end is waited for
# What each client does, and what it then says.
ASKS = {"aws": (("aws",), "who"), "s3": (("aws-object", "bucket", "key"), "text"), "gcp": (("gcp", "demo"), "instances"),
        "storage": (("gcp-object", "bucket", "key"), "text"), "azure": (("azure", "word"), "text")}
BRIEF = rig.DELIVERY == "sysfs"  # under emulation, where a client takes half a minute to start
WANT = {"s3": "of s3", "gcp": ["one", "two"], "storage": "of storage", "azure": "of the vault"}


class World(rig.Rig):
    def __init__(self, name, clouds=CLOUDS, **how):
        super().__init__(name)
        self.app, self.other = self.python("app"), self.python("other")
        self.identity("app", self.app)
        self.client = self.agent.readable(CLIENT)
        for cloud in clouds:
            getattr(self, "grant_" + cloud)("app", **how)

    def __enter__(self):
        super().__enter__()
        return self.start()

    def ask(self, program, what, env=None):
        return self.once(program, self.client, *ASKS[what][0], env=env or self.env("app"))

    def wait_for(self, file):
        """The agent has what the cloud gives for this file."""
        def read():
            done = self.cat(self.app, file)
            return done if done.startswith(b"+") else None
        assert until(read, 20, 0.2), self.agent.explain()

    def cat(self, program, file):
        """"+" and what the program reads, or why not."""
        code = ("import sys\ntry:\n print('+' + open(sys.argv[1]).read(), end='')\n"
                "except OSError as e:\n print(e.strerror, end='')")
        return subprocess.run([program.path, "-I", "-c", code, os.path.join(self.own("app"), file)], stdout=subprocess.PIPE,
                              cwd="/",
                              user=CALLER_UID, group=CALLER_UID, extra_groups=[], check=True, timeout=60).stdout

    def cli(self, program, *words, env):
        """Run the AWS CLI: (exit code, what it printed)."""
        done = subprocess.run([program.path, "-m", "awscli", *words, "--output", "json"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd="/", user=CALLER_UID, group=CALLER_UID,
                              extra_groups=[], env={"PATH": "/usr/bin:/bin", **env}, timeout=120, check=False)
        return done.returncode, done.stdout.decode(errors="replace")

    def by_file(self, **more):
        """The environment of an AWS client that is told of a file, and not of a web identity."""
        return {**self.private_ca(), "AWS_DEFAULT_REGION": rig.REGION, **more}


def is_refusal(event):
    """A program that has no identity hears of a file that it may not read; nothing else may be the reason."""
    return event["event"] == "refused" and "Permission denied" in event["why"]


def test_each_sdk_does_its_work_and_no_other_program_can():
    with World("each") as w:
        for what in CLOUDS if BRIEF else ASKS:
            event = w.ask(w.app, what)
            assert event["event"] == "done", (what, event, w.agent.explain())
            if what in WANT:
                assert event[ASKS[what][1]] == WANT[what], event
        for what in CLOUDS[:1] if BRIEF else ASKS:
            assert is_refusal(w.ask(w.other, what)), what
        event = w.ask(w.app, "aws")
        assert event["who"].startswith("arn:aws:sts::123456789012:assumed-role/reader/app@"), event
        assert event["method"] == "assume-role-with-web-identity", event


def test_each_sdk_goes_on_past_an_expiry():
    with World("expiry") as w:
        for site in (w.aws, w.gcp, w.azure):
            site.life = LIFE
        players = {what: w.play(w.app, w.client, *ASKS[what][0], env=w.env("app")) for what in ("aws", "s3", "gcp", "azure")}
        first = {what: p.wait("done", seconds=60)[0] for what, p in players.items()}
        time.sleep(LIFE + 1)
        for key in (first["aws"]["key"], first["s3"]["key"]):
            assert w.aws.sessions[key].expires < time.time(), "nothing expired, so nothing is shown"
        for what, player in players.items():
            event = w.again(player)
            assert event["event"] == "done" and event[ASKS[what][1]] == first[what][ASKS[what][1]], event
            assert all(event.get(m) != first[what].get(m) for m in ("key", "token") if m in event), (event, first[what])


def test_boto3_and_the_cli_by_credential_process():
    """The file aws/config names /bin/cat, which reads for the program that started it."""
    with World("process", clouds=("aws",), helpers=["/bin/cat", "/usr/bin/cat"]) as w:
        w.aws.life = LIFE
        env = w.by_file(AWS_CONFIG_FILE=os.path.join(w.own("app"), "aws/config"))
        w.wait_for("aws/credentials.json")
        player = w.play(w.app, w.client, "aws", env=env)
        first = player.wait("done", seconds=60)[0]
        assert first["method"] == "custom-process", first
        assert w.ask(w.other, "aws", env)["event"] == "refused"
        code, out = w.cli(w.app, "sts", "get-caller-identity", env=env)
        assert code == 0 and json.loads(out)["Arn"] == first["who"], out
        assert not os.path.exists(os.path.join(w.home(), ".aws", "cli", "cache")), "such keys are not written to disk"
        code, out = w.cli(w.other, "sts", "get-caller-identity", env=env)
        assert code != 0 and "Permission denied" in out, out
        expires = w.aws.sessions[first["key"]].expires
        time.sleep(max(0, expires - time.time()) + 1)
        event = w.again(player)
        assert event["event"] == "done" and event["who"] == first["who"] and event["key"] != first["key"], event


def test_roles_anywhere_by_credential_process():
    with World("anywhere", clouds=()) as w:
        role = w.grant_anywhere("app", helpers=["/bin/cat", "/usr/bin/cat"])
        w.aws.life = LIFE
        assert until(lambda: w.aws.count("/sessions", 201), 20), (w.aws.log, w.agent.explain())
        w.wait_for("aws/credentials.json")
        env = {**w.by_file(), **w.variables("app")}
        assert "AWS_CONFIG_FILE" in env and "AWS_WEB_IDENTITY_TOKEN_FILE" not in env, env
        player = w.play(w.app, w.client, "aws", env=env)
        first = player.wait("done", seconds=60)[0]
        assert f"assumed-role/{role.rpartition('/')[2]}/" in first["who"], first
        assert w.ask(w.other, "aws", env)["event"] == "refused"
        time.sleep(max(0, w.aws.sessions[first["key"]].expires - time.time()) + 1)
        event = w.again(player)
        assert event["event"] == "done" and event["key"] != first["key"], event


def test_a_file_of_static_keys_is_for_single_runs():
    """The AWS CLI reads aws/credentials at each run. A boto3 that lives on does not read it again: its keys expire."""
    with World("static", clouds=("aws",)) as w:
        w.aws.life = LIFE
        env = w.by_file(AWS_SHARED_CREDENTIALS_FILE=os.path.join(w.own("app"), "aws/credentials"))
        w.wait_for("aws/credentials")
        player = w.play(w.app, w.client, "aws", env=env)
        first = player.wait("done", seconds=60)[0]
        assert first["method"] == "shared-credentials-file", first
        code, out = w.cli(w.app, "s3api", "get-object", "--bucket", "bucket", "--key", "key", "/dev/null", env=env)
        assert code == 0, out
        code, out = w.cli(w.other, "sts", "get-caller-identity", env=env)
        assert code != 0, out
        time.sleep(max(0, w.aws.sessions[first["key"]].expires - time.time()) + 1)
        event = w.again(player)
        assert event["event"] == "refused" and "ExpiredToken" in event["why"], event
        code, out = w.cli(w.app, "sts", "get-caller-identity", env=env)
        assert code == 0 and json.loads(out)["Arn"] == first["who"], out
        assert w.ask(w.app, "aws", env)["event"] == "done"


def test_the_cli_leaves_the_keys_of_a_web_identity_on_disk():
    """A trap that federation/AWS.md names: whoever reads the CLI's cache has them until they expire, revoked or not."""
    with World("cache", clouds=("aws",)) as w:
        env = w.env("app")
        token = env["AWS_WEB_IDENTITY_TOKEN_FILE"]
        assert w.cli(w.other, "sts", "get-caller-identity", env=env)[0] != 0
        code, out = w.cli(w.app, "sts", "get-caller-identity", env=env)
        assert code == 0, out
        w.agent.remove("app-aws")
        assert until(lambda: not os.path.exists(token), 5)
        for program in (w.app, w.other):  # this version of the CLI looks into its cache by the token, which is gone
            code, out = w.cli(program, "sts", "get-caller-identity", env=env)
            assert code != 0, out
        kept = os.path.join(w.home(), ".aws", "cli", "cache")
        with open(os.path.join(kept, os.listdir(kept)[0]), encoding="utf-8") as f:
            keys = json.load(f)["Credentials"]
        stolen = w.by_file(AWS_ACCESS_KEY_ID=keys["AccessKeyId"], AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"],
                           AWS_SESSION_TOKEN=keys["SessionToken"])
        assert w.ask(w.other, "s3", stolen)["event"] == "done"


def test_a_token_of_12_kB_is_read_whole():
    with World("large", clouds=("gcp",)) as w:
        w.gcp.token_bytes = 12000
        w.agent.svid("credentials", "refresh", "app-gcp")
        token = until(lambda: (lambda t: t if len(t) == 12001 else None)(w.cat(w.app, "gcp/access_token")), 20, 0.2)
        assert token and token[1:].decode() in w.gcp.tokens, w.agent.explain()
        assert w.cat(w.other, "gcp/access_token") == b"Permission denied"


def test_a_workload_without_any_sdk_reads_a_token_and_uses_it():
    with World("raw", clouds=("gcp", "azure")) as w:
        for file, url in (("gcp/access_token", w.gcp.url + "/compute/v1/projects/demo/zones/europe-west3-a/instances"),
                          ("azure/access_token", w.azure.url + "/secrets/word?api-version=7.4")):
            w.wait_for(file)
            words = (w.client, "raw", os.path.join(w.own("app"), file), url)
            event = w.once(w.app, *words, env=w.private_ca())
            assert event["event"] == "done" and (event["reply"].get("value") == "of the vault"
                                                 or len(event["reply"]["items"]) == 2), event
            assert is_refusal(w.once(w.other, *words, env=w.private_ca()))


def test_what_is_recorded_of_an_exchange_leads_to_the_cloud_s_own_record():
    with World("audit") as w:
        def exchanges():
            return {r["credential"]: r for r in w.agent.records() if r.get("event") == "exchange" and r["granted"]}
        assert until(lambda: len(exchanges()) == 3, 20), (w.agent.records(), w.agent.explain())
        text = json.dumps(exchanges())
        session = list(w.aws.sessions.values())[0]
        for known in (session.key_id, session.name, w.aws.last_request_id):
            assert known in json.dumps(exchanges()["app-aws"]), (known, exchanges())
        secrets = [session.secret, session.token, *w.gcp.tokens]
        assert not [s for s in secrets if s in text]
        log = w.agent.log()
        assert not [s for s in secrets if s in log]


if __name__ == "__main__":
    case.main(globals())
