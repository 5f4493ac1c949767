#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""svid in scripts: the files it writes, the forms it prints, and each exit code, against a real svidd."""
import json
import os
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, CALLER_UID, Agent, until  # noqa: E402  pylint: disable=wrong-import-position

SVID = os.path.join(BIN, "svid")
NO, USAGE, UNREACHABLE, LOCAL = 1, 2, 3, 5


def run(agent, path, *words):
    done = subprocess.run([path, *words], capture_output=True, check=False, stdin=subprocess.DEVNULL, cwd="/",
                          user=CALLER_UID, group=CALLER_UID, extra_groups=[], timeout=60,
                          env={"SPIFFE_ENDPOINT_SOCKET": agent.endpoint, "PATH": "/usr/bin:/bin"})
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def with_identity(agent, more=""):
    app = agent.program("app", SVID)
    spiffe_id = agent.identity("app", app, more=more)
    agent.start()
    return app, spiffe_id


def test_written_files_verify_with_openssl_and_the_key_is_private():
    with Agent("fetch") as agent, tempfile.TemporaryDirectory() as directory:
        app, spiffe_id = with_identity(agent, "  svid:\n    x509:\n      dnsNames: [app.e2e.test]\n")
        os.chown(directory, CALLER_UID, CALLER_UID)
        code, out, err = run(agent, app, "fetch", "x509", "--write", directory)
        assert code == 0 and spiffe_id in out and "passed" in out and "app.e2e.test" in out, out + err
        assert "PRIVATE KEY" not in out
        chain, key, bundle = (os.path.join(directory, f) for f in ("svid.0.pem", "svid.0.key", "bundle.0.pem"))
        assert len(os.listdir(directory)) == 3
        assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
        checked = subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile", bundle, chain], capture_output=True,
                                 check=False)
        assert checked.returncode == 0, checked
        publics = [subprocess.run(["openssl", *words], capture_output=True, check=True).stdout
                   for words in (["x509", "-in", chain, "-noout", "-pubkey"], ["pkey", "-in", key, "-pubout"])]
        assert publics[0] == publics[1]
        code, _, err = run(agent, app, "fetch", "x509", "--write", "/nonexistent")
        assert code == LOCAL and "No such file" in err, err


def test_json_and_pem_carry_what_a_program_needs():
    with Agent("forms") as agent:
        app, spiffe_id = with_identity(agent)
        code, out, _ = run(agent, app, "-o", "json", "fetch", "x509")
        svid = json.loads(out)["svids"][0]
        assert code == 0 and svid["spiffe_id"] == spiffe_id and svid["problems"] == [], svid
        assert "BEGIN PRIVATE KEY" in svid["key_pem"] and "BEGIN CERTIFICATE" in svid["chain_pem"]
        code, out, _ = run(agent, app, "-o", "pem", "fetch", "x509")
        assert code == 0 and out.count("BEGIN CERTIFICATE") == 2 and out.count("BEGIN PRIVATE KEY") == 1
        code, out, _ = run(agent, app, "-o", "json", "bundle", "show")
        assert code == 0 and json.loads(out)["bundles"][0]["trust_domain"] == "spiffe://e2e.test"


def test_root_sees_the_bundle_without_an_identity_and_others_do_not():
    with Agent("bundle") as agent:
        agent.start()
        code, out, err = agent.svid("bundle", "show", "-o", "pem")
        assert code == 0 and out.startswith("-----BEGIN CERTIFICATE-----"), err
        code, out, err = run(agent, agent.program("nobody", SVID), "bundle", "show")
        assert code == NO and "no identity issued" in err and not out, err


def test_a_caller_without_identity_is_told_so_and_where_to_look():
    with Agent("refused") as agent:
        agent.start()
        nobody = agent.program("nobody", SVID)
        code, out, err = run(agent, nobody, "fetch", "x509")
        assert code == NO and "no identity issued" in err and "svid whoami" in err and not out, err
        code, out, err = run(agent, nobody, "whoami", "-o", "json")
        about = json.loads(out)
        assert code == 0 and about["identities"] == [] and about["path"]["value"] == nobody, out + err


def test_exit_codes_are_as_help_says():
    with Agent("codes") as agent:
        agent.start()
        for words, want in ((["help"], 0), (["version"], 0), (["status"], 0), (["whoami"], 0), ([], USAGE),
                            (["nonsense\x1b[2J"], USAGE), (["explain"], USAGE), (["explain", "abc"], USAGE),
                            (["status", "-o", "pem"], USAGE), (["explain", "2147483647"], NO)):
            code, out, err = agent.svid(*words)
            assert code == want and "\x1b" not in out + err, (words, code, err)
        nobody = agent.program("nobody", SVID)
        code, _, err = run(agent, nobody, "status", "--admin", agent.admin)
        assert code == UNREACHABLE and "root" in err, err


def test_status_says_no_while_a_document_is_stale():
    with Agent("stale") as agent:
        app, _ = with_identity(agent)
        assert agent.svid("status")[0] == 0
        agent.document("app", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: app\nspec:\n  no: 1\n")
        assert until(lambda: agent.svid("status")[0] == NO, 10), agent.svid("status")
        assert run(agent, app, "fetch", "x509")[0] == 0  # its last good version serves


def test_doctor_looks_where_this_agent_lives():
    with Agent("doctor") as agent:
        agent.start()
        code, out, err = agent.svid("doctor", "-o", "json")
        report = json.loads(out)
        checks = {c["check"]: c for c in report["checks"]}
        assert code == (NO if report["fail"] else 0), err
        assert all(c["todo"] for c in report["checks"] if c["result"] == "fail")
        for name, path in (("socket", agent.socket), ("state-directory", agent.state_dir), ("configuration", agent.config),
                           ("policy-directory", agent.policy_dir)):
            assert checks[name]["result"] == "ok" and path in checks[name]["what"], checks[name]


if __name__ == "__main__":
    case.main(globals())
