#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a person gets from `svid`: exit codes, text and JSON, against a running svidd and without one."""
import json
import os
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, TRUST_DOMAIN, Agent, until  # noqa: E402  pylint: disable=wrong-import-position

SVID = os.path.join(BIN, "svid")


def as_json(agent, *words, code=0):
    got, out, err = agent.svid(*words, "-o", "json")
    assert got == code, (words, got, out, err)
    return json.loads(out)


def test_fetch_x509_shows_and_writes_the_svid_of_the_cli_itself():
    with Agent("cli-fetch") as agent:
        spiffe_id = agent.identity("cli", SVID)
        agent.start()
        code, text, _ = agent.svid("fetch", "x509")
        assert code == 0 and spiffe_id in text, text
        svids = as_json(agent, "fetch", "x509")["svids"]
        assert [s["spiffe_id"] for s in svids] == [spiffe_id] and svids[0]["problems"] == []
        out = os.path.join(agent.top, "out")
        os.mkdir(out)
        assert agent.svid("fetch", "x509", "--write", out)[0] == 0
        assert stat.S_IMODE(os.stat(os.path.join(out, "svid.0.key")).st_mode) == 0o600
        checked = subprocess.run(["openssl", "verify", "-CAfile", os.path.join(out, "bundle.0.pem"),
                                  os.path.join(out, "svid.0.pem")], capture_output=True, check=False)
        assert checked.returncode == 0, checked


def test_without_identity_fetch_says_so_and_what_to_do():
    with Agent("cli-none") as agent:
        agent.start()
        code, _, err = agent.svid("fetch", "x509")
        assert code == 1 and "no identity issued" in err and "whoami" in err, (code, err)


def test_whoami_answers_everybody_also_without_identity():
    with Agent("cli-whoami") as agent:
        agent.start()
        facts = as_json(agent, "whoami")
        assert facts["identities"] == [] and facts["path"]["value"] == SVID, facts
        agent.identity("cli", SVID)
        spiffe_id = f"spiffe://{TRUST_DOMAIN}/cli"
        for _ in range(100):
            facts = as_json(agent, "whoami")
            if facts["identities"]:
                break
        assert spiffe_id in json.dumps(facts["identities"]), facts
        code, text, _ = agent.svid("whoami")
        assert code == 0 and spiffe_id in text and SVID in text, text


def test_whoami_is_answered_while_documents_come_into_force():
    """The connection that it asks on ends when its identities change, wherever the call is; the answer is on the next."""
    with Agent("cli-moved") as agent:
        agent.start()
        for wanted in [True, False] * 20:
            if wanted:
                agent.identity("cli", SVID)
            else:
                agent.remove("cli")
            assert until(lambda: bool(as_json(agent, "whoami")["identities"]) == wanted, 10, every=0), wanted


def test_explain_says_of_another_process_what_the_kernel_recorded():
    with Agent("cli-explain") as agent:
        app, other = agent.program("app", clients.go()), agent.program("other", clients.go())
        spiffe_id = agent.identity("app", app)
        agent.start()
        stream = agent.play(app, "stream", "-for", "30s")
        stream.wait("message")
        facts = as_json(agent, "explain", str(stream.process.pid))
        assert spiffe_id in json.dumps(facts["identities"]) and facts["path"]["value"] == app, facts
        denied = agent.play(other, "watch", "-for", "30s")
        denied.wait("watch-error")
        facts = as_json(agent, "explain", str(denied.process.pid))
        assert facts["identities"] == [], facts
        wanted = [s for d in facts["documents"] for x in d["sets"] for s in x["selectors"]]
        assert any(s["key"] == "unix:path" and not s["ok"] and s["found"] == other for s in wanted), facts["documents"]
        code, text, _ = agent.svid("explain", str(denied.process.pid))
        assert code == 0 and text.splitlines()[:3] == ["identities  none", "what is missing:",
                                                       f"  app  unix:path is {other}, not {app}"], text
        code, _, err = agent.svid("explain", "2147483647")
        assert code == 1 and "no such process" in err, err
        assert agent.svid("explain", "x")[0] == 2


def test_explain_of_an_idle_process_shows_the_kernels_record_and_no_invented_zeros():
    with Agent("cli-idle") as agent:
        agent.start()
        idle = subprocess.Popen(["/bin/sleep", "30"])
        try:
            # Popen returns within the exec, a moment before the kernel's tracepoint of it.
            assert until(lambda: as_json(agent, "explain", str(idle.pid))["process"]["observed"] == "exec", 5)
            facts = as_json(agent, "explain", str(idle.pid))
            assert facts["identities"] == [] and facts["process"]["argv"] == ["/bin/sleep", "30"], facts
            assert facts["process"]["observed"] == "exec" and facts["process"]["exec_id"] > 0, facts
            assert facts["executable"]["inode"] == os.stat("/bin/sleep").st_ino, facts
            assert "initial user namespace" in facts["credentials"]["flags"] and facts["credentials"]["uid"] == 0, facts
            old = as_json(agent, "explain", str(os.getpid()))
            assert old["process"]["observed"] == "scan" and "exec_time" not in old["process"], old
        finally:
            idle.kill()
            idle.wait()


def test_status_tells_tier_identities_and_connections():
    with Agent("cli-status") as agent:
        app = agent.program("app", clients.go())
        spiffe_id = agent.identity("app", app)
        agent.start()
        stream = agent.play(app, "stream", "-for", "30s", "-conns", "3")
        stream.wait("message", 3)
        status = as_json(agent, "status")
        assert status["serving"] and status["tier"] != "auto" and status["trust_domain"] == TRUST_DOMAIN, status
        assert spiffe_id in json.dumps(status["identities"]) and status["connections"]["total"] == 3, status
        code, text, _ = agent.svid("status")
        assert code == 0 and status["tier"] in text and spiffe_id in text, text


def test_status_and_doctor_begin_with_what_is_wrong():
    with Agent("cli-first") as agent:
        agent.start()
        assert until(lambda: agent.svid("status")[1].startswith("ok    identities are served\n"), 30), agent.svid("status")
        assert agent.svid("doctor")[1].startswith("identities are served\n"), agent.svid("doctor")
        agent.document("typo", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: typo\nspec:\n  no: 1\n")
        said = "typo.yaml:1:1: spec.workloadID"
        assert until(lambda: said in agent.svid("status")[1].split("\n", 1)[0], 10), agent.svid("status")
        text = agent.svid("doctor")[1].splitlines()
        assert said in text[0] and agent.policy_dir in text[1], text
        assert agent.stop() == 0
        code, out, _ = agent.svid("doctor")
        assert code == 1 and agent.socket in out.split("\n", 1)[0] and "svidd" in out.splitlines()[1], out


def test_status_is_for_root_only():
    with Agent("cli-admin") as agent:
        agent.start()
        done = subprocess.run([SVID, "--admin", agent.admin, "status"], capture_output=True, check=False, timeout=10,
                              user=64190, group=64190, extra_groups=[])
        assert done.returncode == 3 and b"ermission" in done.stderr, done


def test_bundle_show_is_the_bundle_that_clients_get():
    with Agent("cli-bundle") as agent:
        agent.identity("cli", SVID)
        app = agent.program("app", clients.go())
        agent.identity("app", app)
        agent.start()
        serial = agent.one(app, "fetch")["bundles"][TRUST_DOMAIN][0]
        code, text, _ = agent.svid("bundle", "show")
        assert code == 0 and serial in text and TRUST_DOMAIN in text, text
        assert as_json(agent, "bundle", "show")["bundles"][0]["trust_domain"] == f"spiffe://{TRUST_DOMAIN}"


def test_doctor_speaks_of_the_agent_in_use():
    with Agent("cli-doctor") as agent:
        agent.start()
        _, text, _ = agent.svid("doctor")
        assert as_json(agent, "status")["tier"] in text and agent.socket in text, text
        json.loads(agent.svid("doctor", "-o", "json")[1])


def test_policy_check_needs_no_agent_and_names_file_and_line():
    with Agent("cli-check") as agent:
        agent.identity("good", "/usr/bin/good")
        done = subprocess.run([SVID, "policy", "check", agent.policy_dir], capture_output=True, check=False, timeout=10)
        assert done.returncode == 0, done
        agent.document("bad", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: bad\nspec:\n"
                       "  workloadID: bad\n  nonsense: 1\n  selectors:\n    - unix:path: relative\n")
        done = subprocess.run([SVID, "policy", "check", agent.policy_dir], capture_output=True, check=False, timeout=10)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == 1 and "bad.yaml:7" in said and "nonsense" in said and "bad.yaml:9" in said, said


def test_policy_check_of_what_is_not_there_ends_as_help_says():
    for words, code, said in ((["/nonexistent"], 5, b"/nonexistent: No such file"),
                              (["-c", "/nonexistent", "/tmp"], 5, b"/nonexistent"), ([], 2, b"usage:")):
        done = subprocess.run([SVID, "policy", "check", *words], capture_output=True, check=False, timeout=10)
        assert done.returncode == code and said in done.stderr and not done.stdout, (words, done)


def test_the_installed_example_is_good():
    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "agent", "dist", "example.yaml")
    done = subprocess.run([SVID, "policy", "check", example], capture_output=True, check=False, timeout=10)
    assert done.returncode == 0 and b"0 errors, 0 warnings" in done.stdout, done


def test_help_of_each_verb_has_an_example_and_needs_no_agent():
    env = dict(os.environ, SPIFFE_ENDPOINT_SOCKET="tcp://127.0.0.1:1")
    for verb in (["fetch", "x509"], ["whoami"], ["bundle", "show"], ["status"], ["explain"], ["doctor"], ["policy", "check"],
                 ["credentials"], ["credentials", "refresh"], ["env"], ["cloud", "setup"], ["oidc", "export"]):
        texts = [subprocess.run([SVID, *words], capture_output=True, check=False, timeout=10, env=env)
                 for words in (["help", *verb], [*verb, "--help"])]
        assert all(t.returncode == 0 for t in texts) and texts[0].stdout == texts[1].stdout, (verb, texts)
        assert b"svid " + " ".join(verb).encode() in texts[0].stdout.split(b"\n", 1)[1], texts[0].stdout
    done = subprocess.run([SVID, "whoami"], capture_output=True, check=False, timeout=10, env=env)
    assert done.returncode == 2 and b"SPIFFE_ENDPOINT_SOCKET" in done.stderr, done


def test_options_may_come_before_the_verb():
    with Agent("cli-order") as agent:
        agent.identity("good", "/usr/bin/good")
        for argv in (["-o", "json", "policy", "check", agent.policy_dir], ["policy", "check", agent.policy_dir, "-o", "json"]):
            done = subprocess.run([SVID, *argv], capture_output=True, check=False, timeout=10)
            assert done.returncode == 0 and json.loads(done.stdout)["errors"] == 0, (argv, done)


def test_without_an_agent_the_exit_code_and_the_advice_say_so():
    for words in (["whoami"], ["fetch", "x509"], ["bundle", "show"]):
        done = subprocess.run([SVID, "--socket", "unix:///nonexistent/api.sock", *words], capture_output=True, check=False,
                              timeout=10)
        assert done.returncode == 3 and b"/nonexistent/api.sock" in done.stderr and b"svidd" in done.stderr, done
    done = subprocess.run([SVID, "--admin", "/nonexistent/admin.sock", "status"], capture_output=True, check=False, timeout=10)
    assert done.returncode == 3, done


def test_wrong_words_are_usage_errors():
    for words in (["nonsense"], ["fetch"], ["fetch", "x508"], ["policy", "check"], ["-o", "yaml", "whoami"], ["--what"]):
        done = subprocess.run([SVID, *words], capture_output=True, check=False, timeout=10)
        assert done.returncode == 2 and done.stderr, (words, done)


if __name__ == "__main__":
    case.main(globals())
