#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Roots and JWT keys follow each other under a running agent: watchers see each step, nothing is ever refused."""
import base64
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402
from agent import BIN, Agent, until  # noqa: E402

SVID = os.path.join(BIN, "svid")
LIFE = 60  # seconds of a root and of a JWT key: the shortest that svid.yaml takes
ACTIVE = LIFE * 5 / 6  # when the next one signs


def bundle(agent):
    """(kids of roots in order, kids of JWT keys) as published now."""
    code, out, err = agent.svid("bundle", "show", "--format", "spiffe")
    assert code == 0, err
    keys = json.loads(out)["keys"]
    return ([k["x5c"][0] for k in keys if k["use"] == "x509-svid"], [k["kid"] for k in keys if k["use"] == "jwt-svid"])


def header_of(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token_of(agent, audience):
    code, out, err = agent.svid("fetch", "jwt", "--audience", audience, "-o", "token")
    assert code == 0, err
    return out.strip()


def watch(agent, what):
    """What a watcher of bundles is told: one line of JSON for each update, in a file."""
    out = open(os.path.join(agent.top, what), "w+", encoding="utf-8")  # pylint: disable=consider-using-with
    return out, subprocess.Popen([SVID, "--socket", agent.endpoint, "watch", what, "-o", "json"], stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.DEVNULL)


def updates(watcher):
    out, process = watcher
    assert process.poll() is None, "a watch ended"
    process.terminate()
    process.wait()
    out.seek(0)
    lines = [json.loads(line)["event"] for line in out]
    out.close()
    assert set(lines) <= {"update", "end"}, lines
    return lines.count("update")


def test_roots_and_jwt_keys_follow_each_other_and_nothing_is_refused():
    more = f"  x509: {{ttl: 10s, caTTL: {LIFE}s}}\n  jwt: {{ttl: 10s, keyTTL: {LIFE}s}}\n"
    with Agent("rotation", more_settings=more) as agent:
        agent.identity("cli", SVID)
        agent.start()
        assert until(lambda: agent.svid("fetch", "jwt", "--audience", "x")[0] == 0, 20), agent.explain()
        start, first_roots, first_kids = time.monotonic(), *bundle(agent)
        watchers = [watch(agent, "bundles"), watch(agent, "jwt-bundles")]
        published, signed = {}, []  # when a JWT key was seen first; (when, kid) of each token
        most, audience = 0, 0
        while time.monotonic() - start < case.often(ACTIVE + 4, 2 * LIFE + 10):
            now = time.monotonic() - start
            roots, kids = bundle(agent)
            for kid in kids:
                published.setdefault(kid, now)
            most = max(most, len(roots))
            audience += 1  # a new one each time, so that the front has none in its cache
            token = token_of(agent, f"a{audience}")
            signed.append((now, header_of(token)["kid"]))
            assert agent.svid("validate", "jwt", "--audience", f"a{audience}", token)[0] == 0, agent.explain()
            code, _, err = agent.svid("fetch", "x509")  # which checks the chain against the bundle
            assert code == 0, err
            time.sleep(0.5)
        used = sorted({kid for _, kid in signed}, key=[kid for _, kid in signed].index)
        assert len(used) >= case.often(2, 4) and used[0] in first_kids, used
        assert most >= 2, most
        for kid in used[1:]:
            lead = min(at for at, k in signed if k == kid) - published[kid]
            assert lead > LIFE / 3 - 3, (kid, lead)
        assert bundle(agent)[0][0] != first_roots[0]  # the one that signs comes first
        for watcher in watchers:  # made, prepared, active
            assert updates(watcher) >= 3
        status = agent.status()["authority"]
        assert status["state"] == "ready", status


if __name__ == "__main__":
    case.main(globals())
