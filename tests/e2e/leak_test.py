#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every role, after real work and its normal end, has nothing left on its heap.

The roles of the sanitizer build, in the debug mode that leaves their sandboxes off: LeakSanitizer stops the process with
ptrace and reads /proc, which no cage permits. At its end each says what was lost, and what it forgot to free
(agent/base/leak.h). SVID_LEAK plants a leak, so that this test is known to be able to fail.
"""
import hashlib
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request

os.environ["O"] = os.path.join("build", "san")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import ROLES, ROOT, Agent, free_port, until  # noqa: E402  pylint: disable=wrong-import-position
from token_service import TokenService  # noqa: E402  pylint: disable=wrong-import-position

PROGRAMS = {"svidd", "svid-compile", *ROLES}
CLIENT = os.path.join(ROOT, "build", "bin", "svid")
CONFORMANCE = os.path.join(ROOT, "build", "bin", "svid-conformance")
CLAUSES = os.path.join(ROOT, "conformance", "clauses.tsv")
FOREIGN = "foreign.example"
PORT = free_port()  # of the OIDC documents
CHECK = re.compile(r'role=(\S+) event="leak check" lost=(\d+) blocks=(\d+)')


def launch(agent):
    case.needs(agent.svidd, CLIENT, CONFORMANCE, "/dev/fuse")
    agent.delivery = "fuse"
    agent.extra = ["--debug-sandbox"]
    agent.start(60)


def end(agent):
    """Stops svidd; of each program that looked, what its processes found: what was lost, and blocks not freed."""
    code = agent.stop(30)
    found = {}
    for program, lost, blocks in CHECK.findall(agent.log()):
        found.setdefault(program, set()).add((int(lost), int(blocks)))
    return code, found


def works(agent, program, *words, code=0):
    player = agent.play(program, *words)
    assert player.finish(60) == code, (words, player.said())
    return player.other


def add_foreign(agent):
    folder = os.path.join(agent.top, "foreign")
    os.mkdir(folder)
    subprocess.run([CONFORMANCE, "--make-foreign", folder], check=True)
    for name in os.listdir(folder):
        os.chmod(os.path.join(folder, name), 0o644)
    assert agent.svid("bundle", "set", FOREIGN, os.path.join(folder, FOREIGN + ".json"))[0] == 0
    return folder


def ask_for_everything(agent, known, client, stranger):
    """Both kinds of requests and bad ones, by who has identities and by who has none."""
    foreign, clauses = add_foreign(agent), agent.readable(CLAUSES)
    assert until(lambda: agent.play(client, "fetch", "jwt", "--audience", "a").finish() == 0, 20), "JWT keys"
    for only in ("JWT", "SDS", "WIT", "BAD", "HLT", "X"):
        works(agent, known, "--socket", agent.socket, "--clauses", clauses, "--foreign", foreign, "--wit", "--only", only)
    for words in (["x509"], ["jwt", "--audience", "a"], ["wit"]):
        works(agent, client, "fetch", *words)
        works(agent, stranger, "fetch", *words, code=1)
    for words in (["status"], ["audit"], ["bundle", "list"], ["policy", "show"], ["explain", str(os.getpid())]):
        agent.svid(*words)


def read_everything(agent, reader):
    """The credential tree, by who has an identity and by who has none."""
    own = os.path.join(agent.run_dir, "credentials", "self", "svid")
    assert until(lambda: agent.play(reader, os.path.join(own, "cert.pem")).finish() == 0, 20), "a file of its own"
    for name in ("cert.pem", "key.pem", "bundle.pem", "bundle-map.json", "nothing"):
        works(agent, reader, os.path.join(own, name), code=int(name == "nothing"))
        works(agent, "/bin/cat", os.path.join(own, name), code=1)


def refreshed(agent, service, before):
    """One that comes while an exchange is on its way is that exchange, which the service may have counted already."""
    agent.svid("credentials", "refresh", "our-aws")
    return service.count() > before


def use_clouds(agent, service, client, reader):
    """Exchanges, cached rows, refusals and files of every kind, the OIDC documents, and a svid-cloud that comes back."""
    for kind in ("aws", "gcp", "azure", "jwt"):
        agent.source(f"{kind}-source", service.source(kind))
        agent.credential(f"our-{kind}", "reader", f"{kind}-source")
    own = os.path.join(agent.run_dir, "credentials", "self")
    files = ("env", "aws/config", "aws/credentials", "aws/credentials.json", "aws/web_identity_token", "gcp/credentials.json",
             "gcp/access_token", "gcp/subject_token", "azure/access_token", "azure/federated_token", "jwt/our-jwt")
    for last in ("svid-cloud", None):
        for name in files:
            if not until(lambda n=name: agent.play(reader, os.path.join(own, n)).finish() == 0, 30):
                works(agent, reader, os.path.join(own, name))  # says why not
        service.broken, before = True, service.count()
        assert until(lambda n=before: refreshed(agent, service, n), 20), agent.explain()
        service.broken = False
        for path in ("/keys", "/.well-known/openid-configuration", "/nothing"):
            fetch_oidc(path)
        if last:
            agent.kill(agent.roles(last)[0])
    agent.remove("our-gcp")
    works(agent, client, "fetch", "jwt", "--audience", "https://party.test", code=1)


def fetch_oidc(path):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=20).close()
    except urllib.error.HTTPError as answer:
        answer.close()


def change_everything(agent, client):
    """Documents, an executable's digest, a child that dies, SIGHUP, a bundle that goes."""
    hashed = agent.program("hashed", CLIENT)
    with open(CLIENT, "rb") as f:
        digest = hashlib.sha256(f.read()).hexdigest()
    agent.document("hashed", "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: hashed\nspec:\n"
                   f"  workloadID: hashed\n  selectors:\n    - unix:sha256: {digest}\n")
    assert until(lambda: agent.play(hashed, "fetch", "x509").finish() == 0, 20), "digest"
    agent.remove("hashed")
    agent.document("broken", "no: document\n")
    agent.svid("bundle", "delete", FOREIGN)
    for role in ("svid-keys", "svid-attest", "svid-front"):
        agent.kill(agent.roles(role)[0])
    assert until(lambda: agent.play(client, "fetch", "x509").finish() == 0, 20), "after the death of its siblings"
    assert until(lambda: agent.play(hashed, "fetch", "x509").finish() == 1, 20), "withdrawn"


def test_no_role_leaves_anything_on_its_heap():
    settings = f"  profiles:\n    wit: true\n  oidc:\n    port: {PORT}\n  jwt:\n    issuer: https://oidc.e2e.test\n"
    with TokenService() as service, Agent("leak", more_settings=settings) as agent:
        known, client = agent.program("known", CONFORMANCE), agent.program("client", CLIENT)
        stranger = agent.program("stranger", CLIENT)
        reader = agent.program("reader", "/bin/cat")
        for name, program in {"first": known, "second": known, "client": client, "reader": reader}.items():
            agent.identity(name, program, x509_ttl="10s", more=f"  federatesWith: [{FOREIGN}]\n")
        launch(agent)
        watch = agent.play(client, "watch", "x509", "-o", "json")
        ask_for_everything(agent, known, client, stranger)
        read_everything(agent, reader)
        use_clouds(agent, service, client, reader)
        change_everything(agent, client)
        assert until(lambda: len(watch.events) + len(watch.other) >= 3, 30), watch.said()
        code, found = end(agent)
        assert found == {program: {(0, 0)} for program in PROGRAMS} and code == 0, (code, found)


def test_a_leak_of_either_kind_in_any_program_is_found():
    for first in (0, 1):
        lost = {program: (i + first) % 2 for i, program in enumerate(sorted(PROGRAMS))}
        with Agent("planted", more_settings=f"  oidc:\n    port: {PORT}\n") as agent:
            os.environ["SVID_LEAK"] = ",".join(f"{p}:{'lost' if lost[p] else 'kept'}" for p in PROGRAMS)
            launch(agent)
            del os.environ["SVID_LEAK"]
            assert until(lambda: CHECK.search(agent.log()), 10), "svid-compile's end"
            fetch_oidc("/keys")  # svid-cloud is there
            code, found = end(agent)
            assert found == {program: {(lost[program], 1)} for program in PROGRAMS} and code == 1, (code, found)


if __name__ == "__main__":
    case.main(globals())
