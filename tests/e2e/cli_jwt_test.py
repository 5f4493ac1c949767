#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""svid with tokens, watches and foreign bundles: what a person or script gets, against running agents."""
import base64
import json
import os
import signal
import stat
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, TRUST_DOMAIN, Agent, until  # noqa: E402  pylint: disable=wrong-import-position

SVID = os.path.join(BIN, "svid")
NO, USAGE, UNREACHABLE, AGENT, LOCAL = 1, 2, 3, 4, 5
OTHER = "other.test"


def run(agent, *words, stdin="", code=0):
    done = subprocess.run([SVID, "--socket", agent.endpoint, "--admin", agent.admin, *words], capture_output=True, check=False,
                          input=stdin.encode(), timeout=30)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == code, (words, done.returncode, out, err)
    return out, err


def ready(agent):
    """JWT keys are made beside the first answers: RSA takes a moment."""
    assert until(lambda: agent.svid("fetch", "jwt", "--audience", "x")[0] == 0, 20), agent.svid("fetch", "jwt", "--audience", "x")


def other_domain(agent):
    """That agent is of another trust domain than ours."""
    with open(agent.config, encoding="utf-8") as f:
        agent.replace(agent.config, f.read().replace(f"trustDomain: {TRUST_DOMAIN}", f"trustDomain: {OTHER}"))


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Watch:
    """svid watch, its lines as they come."""

    def __init__(self, agent, *words):
        self.process = subprocess.Popen([SVID, "--socket", agent.endpoint, "watch", "-o", "json", *words], cwd="/",
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def wait(self, event, what, seconds=20):
        """The first line of that event of which what() is true; lines before it are forgotten."""
        def look():
            for i, line in enumerate(self.lines):
                if line["event"] == event and what(line):
                    del self.lines[:i + 1]
                    return line
            return None
        found = until(look, seconds)
        assert found, (event, self.lines, self.process.poll())
        return found

    def change(self, word, name, seconds=20):
        return self.wait("update", lambda u: any(c["change"] == word and c["name"] == name for c in u["changes"]), seconds)

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        code = self.process.wait(10)
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.end(signal.SIGKILL)


def test_jwt_svid_is_taken_apart_and_shown_but_for_the_token():
    with Agent("cli-jwt") as agent:
        spiffe_id = agent.identity("cli", SVID)
        agent.start()
        ready(agent)
        text, _ = run(agent, "fetch", "jwt", "--audience", "a", "--audience", "b")
        assert spiffe_id in text and "a, b" in text and "signature" in text and "passed" in text and "RS256" in text and "left" in text, text
        assert "eyJ" not in text, text
        svid = json.loads(run(agent, "fetch", "jwt", "--audience", "a", "-o", "json")[0])["svids"][0]
        assert svid["spiffe_id"] == spiffe_id == svid["claims"]["sub"] and svid["problems"] == [], svid
        assert claims_of(svid["token"])["aud"] == ["a"], svid
        token, _ = run(agent, "fetch", "jwt", "--audience", "a", "-o", "token")
        assert token.count("\n") == 1 and token.count(".") == 2, token
        run(agent, "fetch", "jwt", code=USAGE)
        run(agent, "fetch", "jwt", "--audience", "a", "--spiffe-id", f"spiffe://{TRUST_DOMAIN}/else", code=NO)
        run(agent, "fetch", "jwt", "--audience", "a", "--spiffe-id", spiffe_id)


def test_written_token_is_private_and_has_no_newline():
    with Agent("cli-jwt-file") as agent:
        agent.identity("cli", SVID)
        agent.start()
        ready(agent)
        out = os.path.join(agent.top, "out")
        os.mkdir(out)
        run(agent, "fetch", "jwt", "--audience", "a", "--write", out)
        path = os.path.join(out, "svid.0.jwt")
        with open(path, encoding="ascii") as f:
            token = f.read()
        assert os.listdir(out) == ["svid.0.jwt"] and stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert token.count(".") == 2 and not token.endswith("\n"), token
        run(agent, "fetch", "jwt", "--audience", "a", "--write", "/nonexistent", code=LOCAL)


def test_tokens_are_validated_and_refused_with_the_reason():
    with Agent("cli-validate") as agent:
        spiffe_id = agent.identity("cli", SVID)
        agent.start()
        ready(agent)
        token, _ = run(agent, "fetch", "jwt", "--audience", "me", "-o", "token")
        answer = json.loads(run(agent, "validate", "jwt", "--audience", "me", "-o", "json", stdin=token)[0])
        assert answer["valid"] and answer["spiffe_id"] == spiffe_id and answer["claims"]["aud"] == ["me"], answer
        assert spiffe_id in run(agent, "validate", "jwt", "--audience", "me", "-", stdin=token)[0]
        _, err = run(agent, "validate", "jwt", "--audience", "you", stdin=token, code=NO)
        assert "audience" in err, err
        head, body, signature = token.strip().split(".")
        forged = f"{head}.{body}.{signature[:-6]}AAAAAA"
        out, _ = run(agent, "validate", "jwt", "--audience", "me", "-o", "json", stdin=forged, code=NO)
        assert json.loads(out)["valid"] is False and json.loads(out)["why"], out
        _, err = run(agent, "validate", "jwt", "--audience", "me", token.strip())
        assert "argv" in err and "standard input" in err, err
        run(agent, "validate", "jwt", "--audience", "me", stdin="no token", code=NO)
        run(agent, "validate", "jwt", "--audience", "me", code=USAGE)
        run(agent, "validate", "jwt", stdin=token, code=USAGE)


def test_wit_svid_comes_with_its_key_where_it_is_turned_on():
    with Agent("cli-no-wit") as agent:
        agent.identity("cli", SVID)
        agent.start()
        _, err = run(agent, "fetch", "wit", code=AGENT)
        assert "not implemented" in err and "svid.yaml" in err, err
    with Agent("cli-wit", more_settings="  profiles:\n    wit: true\n") as agent:
        spiffe_id = agent.identity("cli", SVID)
        agent.start()
        assert until(lambda: agent.svid("fetch", "wit")[0] == 0, 20), agent.svid("fetch", "wit")
        out = os.path.join(agent.top, "out")
        os.mkdir(out)
        text, _ = run(agent, "fetch", "wit", "--write", out)
        assert spiffe_id in text and "key bound, signature" in text and "wit+jwt" in text, text
        assert sorted(os.listdir(out)) == ["svid.0.wit", "svid.0.wit.jwk"]
        for name in os.listdir(out):
            assert stat.S_IMODE(os.stat(os.path.join(out, name)).st_mode) == 0o600
        with open(os.path.join(out, "svid.0.wit.jwk"), encoding="utf-8") as f:
            assert "d" in json.load(f)


def test_watch_names_each_change_and_outlives_refusal_and_the_agent():
    with Agent("cli-watch") as agent:
        spiffe_id = agent.identity("cli", SVID, x509_ttl="10s")
        agent.start()
        with Watch(agent, "x509") as watch:
            watch.change("new", spiffe_id)
            renewed = watch.change("changed", spiffe_id)
            assert len(renewed["changes"]) == 1 and "serial" in renewed["changes"][0]["is"], renewed
            agent.remove("cli")
            ended = watch.wait("ended", lambda e: e["status"] == 7)
            assert ended["why"] == "no identity issued" and ended["retry_ms"] > 0, ended
            agent.identity("cli", SVID)
            watch.change("new", spiffe_id)
            agent.stop()
            watch.wait("ended", lambda e: e["status"] != 7)
            agent.start()
            watch.wait("update", lambda u: True)
            assert watch.end() == 0


def test_watch_of_a_jwt_svid_fetches_again_at_half_of_its_life():
    with Agent("cli-watch-jwt") as agent:
        spiffe_id = agent.identity("cli", SVID, more="  svid:\n    jwt:\n      ttl: 10s\n")
        agent.start()
        ready(agent)
        with Watch(agent, "jwt", "--audience", "a") as watch:
            watch.change("new", spiffe_id)
            watch.change("changed", spiffe_id, 15)
            assert watch.end(signal.SIGTERM) == 0


def test_watch_says_what_cannot_be_watched():
    with Agent("cli-watch-no") as agent:
        agent.start()
        run(agent, "watch", "nonsense", code=USAGE)
        run(agent, "watch", "jwt", code=USAGE)
        run(agent, "watch", "wit", code=AGENT)
    run(agent, "watch", "x509", code=UNREACHABLE)


def make_ca(agent, *more):
    path = os.path.join(agent.top, "ca.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    "/dev/null", "-out", path, "-subj", "/O=other", "-days", "2", *more], check=True, capture_output=True)
    return path


def test_foreign_bundle_reaches_who_federates_and_leaves_again():
    with Agent("cli-bundle") as agent:
        agent.identity("cli", SVID, more=f"  federatesWith: [{OTHER}]\n")
        agent.start()
        foreign = f"spiffe://{OTHER}"
        ca = make_ca(agent, "-addext", "keyUsage=critical,keyCertSign", "-addext", f"subjectAltName=URI:{foreign}")
        with Watch(agent, "bundles") as watch:
            watch.change("new", f"bundle of spiffe://{TRUST_DOMAIN}")
            out, _ = run(agent, "bundle", "set", OTHER, ca)
            assert "1 certificate" in out, out
            watch.change("new", f"bundle of {foreign}")
            listed = json.loads(run(agent, "bundle", "list", "-o", "json")[0])["bundles"]
            assert [b["trust_domain"] for b in listed] == [OTHER], listed
            assert foreign in run(agent, "bundle", "show")[0]
            with open(ca, encoding="ascii") as f:
                assert run(agent, "bundle", "show", OTHER, "--format", "pem")[0] == f.read()
            federated = json.loads(run(agent, "fetch", "x509", "-o", "json")[0])["federated_bundles"]
            assert [b["trust_domain"] for b in federated] == [foreign], federated
            files = os.path.join(agent.top, "out")
            os.mkdir(files)
            run(agent, "fetch", "x509", "--write", files)
            assert "federated_bundle.0.0.pem" in os.listdir(files), os.listdir(files)
            run(agent, "bundle", "delete", OTHER)
            watch.change("gone", f"bundle of {foreign}")
            run(agent, "bundle", "delete", OTHER, code=NO)


def test_bad_bundles_change_nothing_and_are_called_what_they_are():
    with Agent("cli-bundle-bad") as agent:
        agent.start()
        ca = make_ca(agent, "-addext", "basicConstraints=critical,CA:FALSE")
        for words, stdin, code, why in (((OTHER, ca), "", NO, "CA"), ((OTHER, "-"), '{"keys":[]}', NO, "delete"),
                                        ((OTHER, "-"), '{"trust_domains":{}}', NO, "map"),
                                        ((OTHER, "-"), "", NO, "empty"), ((OTHER, "/nonexistent"), "", LOCAL, "No such"),
                                        (("Other\x1b[2J", ca), "", USAGE, "trust domain")):
            _, err = run(agent, "bundle", "set", *words, stdin=stdin, code=code)
            assert why in err and "\x1b" not in err and err.count("\n") <= 2, err
        good = make_ca(agent, "-addext", "keyUsage=critical,keyCertSign")
        _, err = run(agent, "bundle", "set", TRUST_DOMAIN, good, code=NO)
        assert "own trust domain" in err, err
        assert json.loads(run(agent, "bundle", "list", "-o", "json")[0])["bundles"] == []


def test_tokens_of_another_trust_domain_are_valid_once_its_bundle_is_set():
    with Agent("cli-ours") as ours, Agent("cli-theirs") as theirs:
        other_domain(theirs)
        theirs.identity("cli", SVID)
        ours.identity("cli", SVID, more=f"  federatesWith: [{OTHER}]\n")
        ours.start()
        theirs.start()
        ready(ours)
        ready(theirs)
        token, _ = run(theirs, "fetch", "jwt", "--audience", "us", "-o", "token")
        run(ours, "validate", "jwt", "--audience", "us", stdin=token, code=NO)
        bundle, _ = run(theirs, "bundle", "show", "--format", "spiffe")
        keys = json.loads(bundle)["keys"]
        assert {k["use"] for k in keys} == {"x509-svid", "jwt-svid"} and all(k["kty"] in ("EC", "RSA") for k in keys), keys
        assert all(len(k["x5c"]) == 1 and "kid" not in k for k in keys if k["use"] == "x509-svid"), keys
        run(ours, "bundle", "set", OTHER, "-", stdin=bundle)
        answer = json.loads(run(ours, "validate", "jwt", "--audience", "us", "-o", "json", stdin=token)[0])
        assert answer["spiffe_id"] == f"spiffe://{OTHER}/cli", answer
        jwks = json.loads(run(ours, "bundle", "show", OTHER, "--format", "jwks")[0])
        assert {k["kid"] for k in jwks["keys"]} == {k["kid"] for k in keys if k["use"] == "jwt-svid"}, jwks
        run(ours, "bundle", "show", "--format", "jwks", code=USAGE)


if __name__ == "__main__":
    case.main(globals())
