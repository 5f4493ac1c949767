#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""svid around its calls: completion in real shells, manual pages, the audit log as it turns, executables explained."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import clients  # noqa: E402  pylint: disable=wrong-import-position
from agent import BIN, ROOT, Agent, until  # noqa: E402  pylint: disable=wrong-import-position

SVID = os.path.join(BIN, "svid")
SVIDD = os.path.join(BIN, "svidd")
NO, USAGE, LOCAL = 1, 2, 5

# What is typed, and what must be (and must not be) among the offers.
COMPLETIONS = (
    (("",), {"fetch", "bundle", "watch", "audit", "completion"}, {"x509", "--socket"}),
    (("bun",), {"bundle"}, {"fetch"}),
    (("fetch", ""), {"x509", "jwt", "wit"}, {"show"}),
    (("--timeout", "5", "bundle", "s"), {"show", "set"}, {"list"}),
    (("watch", ""), {"x509", "jwt-bundles"}, {"fetch"}),
    (("watch", "x509", ""), set(), {"x509", "jwt"}),
    (("fetch", "jwt", "--"), {"--audience", "--spiffe-id", "--write"}, {"--denied", "--exec"}),
    (("status", "--"), {"--admin"}, {"--audience"}),
    (("fetch", "jwt", "-o", ""), {"text", "json", "token"}, {"pem", "spiffe"}),
    (("bundle", "show", "--format", ""), {"pem", "jwks", "spiffe"}, {"token"}),
    (("fetch", "jwt", "--audience", ""), set(), {"x509", "some.yaml"}),
    (("policy", "check", "so"), {"some.yaml"}, set()),
    (("bundle", "set", "td", "so"), {"some.yaml"}, set()),
    (("fetch", "x509", "--write", "so"), {"some.yaml"}, set()),
    (("help", "ex"), {"explain"}, set()),
    (("completion", ""), {"bash", "zsh"}, set()),
    (("credentials", ""), {"refresh"}, {"credentials"}),
    (("credentials", "-"), {"-o", "--help"}, {"--for"}),
    (("credentials", "-o", ""), {"json", "text"}, {"pem"}),
    (("env", "--for", ""), {"sh", "systemd", "compose", "k8s"}, set()),
    (("cloud", ""), {"setup"}, set()),
    (("cloud", "setup", ""), {"aws", "gcp", "azure"}, {"SOURCE"}),
    (("cloud", "setup", "aws", ""), set(), {"aws", "gcp"}),
    (("oidc", "export", "so"), {"some.yaml"}, set()),
)


def svid(*words, code=0, stdin=None):
    done = subprocess.run([SVID, *words], capture_output=True, check=False, input=stdin, timeout=20)
    assert done.returncode == code, (words, done)
    return done.stdout.decode(), done.stderr.decode()


def test_bash_completes_verbs_words_options_and_files():
    script, _ = svid("completion", "bash")
    with tempfile.TemporaryDirectory() as here:
        with open(os.path.join(here, "some.yaml"), "w", encoding="utf-8"):
            pass
        for words, must, must_not in COMPLETIONS:
            ask = 'COMP_WORDS=(svid "$@"); COMP_CWORD=$#; _svid; printf "%s\\n" "${COMPREPLY[@]}"'
            done = subprocess.run(["bash", "-c", script + ask, "bash", *words], capture_output=True, check=False, cwd=here, timeout=10)
            offers = set(done.stdout.decode().split())
            assert must <= offers and not must_not & offers and not done.stderr, (words, offers, done.stderr)


class Zsh:
    """An interactive zsh without anybody's settings, and with our completion."""

    def __init__(self, directory):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {"PATH": os.environ["PATH"], "TERM": "dumb", "PS1": "> ", "HOME": directory})
        self.type(f"fpath=({directory} $fpath); autoload -U compinit; compinit -u -D; echo re''ady\n")
        assert until(lambda: "ready" in self.read(), 15)

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds=0.5):
        text, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                text += os.read(self.fd, 65536)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode(errors="replace"))

    def offers(self, line, must):
        """Whether a tab, and another one, make these words of a line; what there was to see."""
        self.type("\x15")
        self.read(0.2)
        self.type(line + "\t\t")
        said = []
        return until(lambda: said.append(self.read(0.2)) or all(word in "".join(said) for word in must), 5), said

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def test_zsh_completes_verbs_words_options_and_files():
    case.needs("zsh")
    with tempfile.TemporaryDirectory() as here:
        for name, text in (("_svid", svid("completion", "zsh")[0]), ("some.yaml", "")):
            with open(os.path.join(here, name), "w", encoding="utf-8") as f:
                f.write(text)
        zsh = Zsh(here)
        try:
            for line, must in (("svid fetch ", ("x509", "jwt", "wit")), ("svid watch jwt-b", ("jwt-bundles",)),
                               ("svid fetch jwt --aud", ("--audience",)), ("svid bundle show --format sp", ("spiffe",)),
                               ("svid bundle set td so", ("some.yaml",))):
                found, said = zsh.offers(line, must)
                assert found, (line, said)
        finally:
            zsh.close()


def pages():
    options = subprocess.run([SVIDD, "--help"], capture_output=True, check=True).stdout
    return {"svid": svid("help", "--man", "svid")[0], "svid.yaml": svid("help", "--man", "svid.yaml")[0],
            "svid-policy": svid("help", "--man", "svid-policy")[0], "svidd": svid("help", "--man", "svidd", stdin=options)[0]}


def test_manual_pages_are_clean_and_name_everything():
    case.needs("mandoc")
    text = {}
    for name, page in pages().items():
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=page.encode(), capture_output=True, check=False)
        assert lint.returncode == 0, (name, lint.stdout)
        shown = subprocess.run(["mandoc", "-T", "ascii"], input=page.encode(), capture_output=True, check=True).stdout.decode()
        text[name] = re.sub(r".\x08", "", shown)
    verbs = re.findall(r"^  ([a-z][a-z0-9 ]*[a-z0-9])", svid("help")[0].split("\nOptions")[0], re.M)
    assert len(verbs) > 15
    for verb in verbs:
        assert verb.split("  ")[0] in text["svid"], verb
    for word in re.findall(r"--[a-z-]+", subprocess.run([SVIDD, "--help"], capture_output=True, check=True).stdout.decode()):
        assert word in text["svidd"], word
    assert "spec.trustDomain" in text["svid.yaml"] and "unix:path" in text["svid-policy"] and "no-preload" in text["svid-policy"]
    for word in ("CLOUD CREDENTIALS", "spec.aws.roleArn", "spec.helpers", "aws/web_identity_token", "GOOGLE_APPLICATION_CREDENTIALS"):
        assert word in text["svid-policy"], word
    assert "Exit" in text["svid"] or "EXIT STATUS" in text["svid"]
    svid("help", "--man", "nonsense", code=USAGE)


def test_typing_errors_get_a_suggestion():
    for words, meant in ((["statsu"], "svid status"), (["fetch", "x508"], "svid fetch x509"), (["bundel", "show"], "svid bundle show"),
                         (["fetch", "jwt", "--audence", "x"], "--audience"), (["fetch"], "svid help fetch")):
        _, err = svid(*words, code=USAGE)
        assert meant in err.split("\n")[1] and err.count("\n") == 2, (words, err)
    _, err = svid("xyzzy", code=USAGE)
    assert "did you mean" not in err, err
    _, err = svid("whoami", "--denied", code=USAGE)
    assert "--denied" in err and "svid help whoami" in err, err


def record(n, **more):
    return json.dumps({"time": f"2026-11-22T10:00:{n:02}.000Z", "event": "decision", "decision": "allow",
                       "identities": [f"spiffe://td/{n}"], **more}) + "\n"


class Follower:
    def __init__(self, path, *words):
        self.process = subprocess.Popen([SVID, "--admin", "/nonexistent", "audit", "-f", *words, path], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode())

    def has(self, n):
        assert until(lambda: any(f"spiffe://td/{n} " in line + " " or f"spiffe://td/{n}\n" in line for line in self.lines), 10), self.lines

    def end(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(10)
        self.reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


def append(path, text):
    with open(path, "a", encoding="utf-8") as f:
        f.write(text)


def test_audit_is_followed_through_rotation_and_truncation():
    with tempfile.TemporaryDirectory() as here:
        path = os.path.join(here, "audit.jsonl")
        append(path, record(1))
        follower = Follower(path)
        follower.has(1)
        append(path, record(2)[:40])
        time.sleep(0.5)
        append(path, record(2)[40:])
        follower.has(2)
        os.rename(path, path + ".1")
        append(path + ".1", record(3))  # the writer has it open a while yet
        time.sleep(0.5)
        append(path, record(4))
        time.sleep(0.5)
        append(path + ".1", record(5))
        follower.has(3)
        follower.has(4)
        follower.has(5)
        os.truncate(path, 0)
        time.sleep(0.5)
        append(path, record(6))
        follower.has(6)
        assert follower.end() == 0
        assert [line.count("spiffe://") for line in follower.lines] == [1] * len(follower.lines), follower.lines
        ids = [re.search(r"td/(\d)", line)[1] for line in follower.lines]
        assert sorted(ids) == list("123456"), ids  # each once


def test_audit_shows_what_was_asked_for():
    with tempfile.TemporaryDirectory() as here:
        path = os.path.join(here, "audit.jsonl")
        append(path, record(1) + "nonsense\n" + record(2, comm="\x1b[2J") + record(3, decision="none", identities=[]) +
               "x" * 200000 + "\n" + record(4, pid=7))
        out, err = svid("audit", path)
        assert out.count("\n") == 4 and "\x1b" not in out and "pid=7" in out and "no records" in err, (out, err)
        assert svid("audit", path, "--denied")[0].count("\n") == 1
        assert "td/2" in svid("audit", path, "--identity", "spiffe://td/2")[0]
        assert svid("audit", path, "--since", "2026-11-22T10:00:03Z")[0].count("\n") == 2
        rows = [json.loads(line) for line in svid("audit", path, "-o", "json")[0].splitlines()]
        assert len(rows) == 4 and rows[3]["pid"] == 7, rows
        svid("audit", path, "--since", "yesterday", code=USAGE)
        svid("audit", os.path.join(here, "none"), code=LOCAL)


def test_audit_of_an_agent_tells_who_asked():
    with Agent("cli-audit") as agent:
        spiffe_id = agent.identity("cli", SVID)
        agent.start()
        agent.svid("fetch", "x509")
        agent.svid("fetch", "jwt", "--audience", "x")
        code, out, err = agent.svid("audit", "--identity", spiffe_id, "--since", "1h")  # it knows where this agent writes
        assert code == 0 and "decision allow" in out and "issue" in out and "audiences=x" in out and SVID in out, out + err


def test_explain_exec_says_who_a_program_could_be_and_what_else_it_needs():
    with Agent("cli-exec") as agent:
        app = agent.program("app", clients.go())
        link = os.path.join(agent.top, "link")
        os.symlink(app, link)
        spiffe_id = agent.identity("app", app, more="  require: [clean-env]\n")
        agent.identity("other", "/usr/bin/other")
        agent.start()
        code, out, err = agent.svid("explain", "--exec", link, "-o", "json")
        facts = json.loads(out)
        assert code == 0 and [i["spiffe_id"] for i in facts["identities"]] == [spiffe_id], out + err
        with open(app, "rb") as f:
            digest = subprocess.run(["sha256sum"], stdin=f, capture_output=True, check=True).stdout.split()[0].decode()
        assert facts["path"] == app and facts["sha256"] == digest, facts
        assert "clean-env" in json.dumps(facts["documents"]), facts["documents"]
        code, out, _ = agent.svid("explain", "--exec", app)
        assert code == 0 and spiffe_id in out and "clean-env" in out and digest in out, out
        assert agent.svid("explain", "--exec", "/nonexistent")[0] == LOCAL
        assert agent.svid("explain", "--exec", agent.top)[0] == LOCAL
        assert agent.svid("explain", "--exec", app, "1")[0] == USAGE
        assert agent.svid("explain")[0] == USAGE


def test_a_reader_that_leaves_is_no_error_and_a_full_disk_is():
    for target, said in ((None, b""), ("/dev/full", b"svid: cannot write standard output: No space left")):
        reader, writer = os.pipe()
        os.close(reader)
        if target:
            os.close(writer)
            writer = os.open(target, os.O_WRONLY)
        done = subprocess.run([SVID, "help"], stdout=writer, stderr=subprocess.PIPE, check=False, timeout=30)
        os.close(writer)
        assert done.returncode == LOCAL and done.stderr.startswith(said) and bool(done.stderr) == bool(said), done


def test_the_users_of_an_installed_svidd_are_made():
    case.needs("systemd-sysusers")
    with open(os.path.join(ROOT, "agent/parent/roles.c"), encoding="utf-8") as f:
        wanted = set(re.findall(r'\.user = "([a-z-]+)"', f.read()))
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(os.path.join(directory, "etc"))
        done = subprocess.run(["systemd-sysusers", "--root=" + directory, os.path.join(ROOT, "agent/dist/svid.sysusers")],
                              capture_output=True, check=False, timeout=60)
        with open(os.path.join(directory, "etc/passwd"), encoding="utf-8") as f:
            made = {line.split(":")[0] for line in f}
    assert done.returncode == 0 and len(wanted) >= 7 and wanted <= made, (wanted - made, done)


if __name__ == "__main__":
    case.main(globals())
