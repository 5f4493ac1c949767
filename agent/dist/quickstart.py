#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make quickstart: svidd in the foreground with all its state under build/quickstart, and one screen that shows it.

Each line of the screen is something that was just seen to happen; a line that is not true is marked and the exit
code is 1. With a terminal svidd stays up until ^C; without one everything is removed at once.
"""
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, "build/bin")
HERE = os.path.join(ROOT, "build/quickstart")
INSTANCE = "quickstart"
IDS = "64200"  # numeric users of the roles: nothing has to be made in /etc/passwd
TRUST_DOMAIN = "quickstart.test"

AGENT = f"""apiVersion: svid/v1alpha1
kind: Agent
metadata:
  name: quickstart
spec:
  trustDomain: {TRUST_DOMAIN}
"""
POLICY = """apiVersion: svid/v1alpha1
kind: WorkloadIdentity
metadata:
  name: {name}
spec:
  workloadID: {name}
  selectors:
    - unix:uid: {uid}
      unix:path: {path}
"""


# A JWT-SVID in a file, for another service that takes one: no cloud is needed to see it.
CREDENTIAL = """---
apiVersion: svid/v1alpha1
kind: CredentialSource
metadata: {name: partner}
spec:
  jwt: {audiences: [https://partner.test]}
---
apiVersion: svid/v1alpha1
kind: WorkloadCredential
metadata: {name: partner-token}
spec: {workloadID: reporter, credentialSource: partner}
"""


def workload_uid():
    """nobody, unless this checkout lies where only root can go."""
    path = ROOT
    while path != "/":
        if not os.stat(path).st_mode & 0o001:
            return 0
        path = os.path.dirname(path)
    return 65534


UID = workload_uid()
SOCKET = os.path.join(HERE, "run/public/api.sock")
ADMIN = os.path.join(HERE, "run/private/admin.sock")


def path_of(name):
    return os.path.join(HERE, "bin", name)


def lay_out():
    shutil.rmtree(HERE, ignore_errors=True)
    for name in ("bin", "policy.d", "run", "state"):
        os.makedirs(os.path.join(HERE, name))
    for name in ("payments", "other"):
        shutil.copy(os.path.join(BIN, "svid"), path_of(name))
    # The attacker execs a trusted program that then just lives on: the attack tool under a trusted name.
    for name in ("ledger", "intruder"):
        shutil.copy(os.path.join(BIN, "svid-attack"), path_of(name))
    with open(os.path.join(HERE, "svid.yaml"), "w", encoding="ascii") as f:
        f.write(AGENT)
    shutil.copy("/bin/cat", path_of("reporter"))
    for name in ("payments", "ledger", "reporter"):
        with open(os.path.join(HERE, f"policy.d/{name}.yaml"), "w", encoding="ascii") as f:
            f.write(POLICY.format(name=name, uid=UID, path=path_of(name)))
    with open(os.path.join(HERE, "policy.d/partner.yaml"), "w", encoding="ascii") as f:
        f.write(CREDENTIAL)


def svidd_command(*more):
    return [os.path.join(BIN, "svidd"), "--instance", INSTANCE, *more]


def start():
    log = open(os.path.join(HERE, "svidd.log"), "wb")
    return subprocess.Popen(
        svidd_command("--config", os.path.join(HERE, "svid.yaml"), "--policy-dir", os.path.join(HERE, "policy.d"),
                      "--run-dir", os.path.join(HERE, "run"), "--state-dir", os.path.join(HERE, "state"),
                      "--audit", os.path.join(HERE, "audit.jsonl"), "--ids", IDS),
        stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def run(program, *args, uid=None):
    ids = {"user": uid, "group": uid, "extra_groups": []} if uid else {}
    return subprocess.run([program, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                          env={"SPIFFE_ENDPOINT_SOCKET": "unix://" + SOCKET, "PATH": "/usr/bin:/bin"}, timeout=30,
                          cwd="/", check=False, **ids)


def admin(*args):
    return run(os.path.join(BIN, "svid"), "--admin", ADMIN, *args)


def as_json(done):
    try:
        return json.loads(done.stdout)
    except ValueError:
        return {}


def wait_ready(process):
    for _ in range(200):
        if process.poll() is not None:
            return {}
        status = as_json(admin("-o", "json", "status"))
        if status.get("whole") and status.get("authority"):
            return status
        time.sleep(0.1)
    return {}


class Screen:
    def __init__(self):
        self.true = True

    def head(self, text):
        print(f"\n{text}")

    def line(self, what, text, true=True):
        self.true = self.true and true
        mark = "" if true else "   <- this is not as it should be"
        print(f"  {what:<22} {text}{mark}")


def outcome(done):
    """The last line that the attack tool printed: what the asking process got."""
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def recorded(answer):
    """What the kernel recorded of a caller, in one line."""
    path = answer.get("path", {})
    return (f"pid {answer.get('process', {}).get('pid', '?')}, uid {answer.get('credentials', {}).get('uid', '?')}, "
            f"executable inode {answer.get('executable', {}).get('inode', '?')} = {path.get('value', path)}")


def claims(token):
    """What a JWT says, {} when it is none."""
    try:
        body = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}


def read_token(path):
    """What the reporter reads; the first RSA key of a new authority takes a moment."""
    for _ in range(100):
        done = run(path_of("reporter"), path, uid=UID)
        if done.returncode == 0:
            break
        time.sleep(0.1)
    return done.stdout.decode(errors="replace")


def show_file(screen, status):
    screen.head("A credential as a file, here a token for https://partner.test; AWS, Google and Azure alike")
    tree = as_json(admin("-o", "json", "credentials")).get("tree")
    if not tree:
        screen.line("not on this machine", "; ".join(status.get("tree_notes", [])) or "?", bool(status.get("tree_notes")))
        return
    path = os.path.join(tree, "self/jwt/partner-token")
    screen.line("the file", os.path.relpath(path, ROOT) if path.startswith(ROOT) else path)
    token = read_token(path)
    told = claims(token)
    screen.line("its workload reads", f"{len(token)} bytes: sub {told.get('sub', token.strip())}",
                told.get("sub") == f"spiffe://{TRUST_DOMAIN}/reporter" and "https://partner.test" in told.get("aud", ""))
    done = run("/bin/cat", path, uid=UID)
    said = done.stdout.decode(errors="replace").strip()
    screen.line("cat, the same user", said.rsplit(": ", 1)[-1], done.returncode != 0 and said.endswith("Permission denied"))


def stays_in_foreground():
    return sys.stdin.isatty() and sys.stdout.isatty()


def show(screen, status):
    screen.head("How callers are identified on this kernel")
    screen.line("tier", status.get("tier", "?"), bool(status.get("tier")))
    for note in status.get("tier_notes", []):
        name, _, why = note.partition(": ")
        screen.line(f"not {name}", why)

    screen.head(f"A workload, {os.path.relpath(path_of('payments'), ROOT)}, asks for its X.509-SVID")
    done = run(path_of("payments"), "-o", "json", "fetch", "x509", uid=UID)
    svid = (as_json(done).get("svids") or [{}])[0]
    want = f"spiffe://{TRUST_DOMAIN}/payments"
    screen.line("it gets", f"{svid.get('spiffe_id', done.stdout.decode(errors='replace').strip())}",
                svid.get("spiffe_id") == want)
    screen.line("valid until", str(svid.get("not_after", "?")), "not_after" in svid)
    who = as_json(run(path_of("payments"), "-o", "json", "whoami", uid=UID))
    screen.line("the kernel recorded", recorded(who), bool(who))

    screen.head(f"The same bytes under another name, {os.path.relpath(path_of('other'), ROOT)}, the same user")
    done = run(path_of("other"), "fetch", "x509", uid=UID)
    said = (done.stdout.decode(errors="replace").strip().splitlines() or [""])[0]
    screen.line("it gets", said.rsplit(": ", 1)[-1], done.returncode == 1 and "no identity issued" in said)
    who = as_json(run(path_of("other"), "-o", "json", "whoami", uid=UID))
    screen.line("the kernel recorded", recorded(who), bool(who))

    screen.head("The attack: connect, fork, the parent execs the trusted program, the child asks")
    target = ["socket=" + SOCKET, "trusted=" + path_of("ledger"), "evil=" + path_of("intruder")]
    text = outcome(run(path_of("ledger"), "fetch", *target, uid=UID))
    screen.line("ledger, by itself", text, f"spiffe://{TRUST_DOMAIN}/ledger" in text)
    text = outcome(run(path_of("intruder"), "a2", *target, uid=UID))
    screen.line("the intruder's child", text, bool(text) and "spiffe://" not in text)

    show_file(screen, status)

    stays = stays_in_foreground()
    screen.head("Try next, in another terminal" if stays else "In a terminal svidd goes on running; try there")
    svid_path = os.path.relpath(os.path.join(BIN, "svid"), ROOT)
    for command in (f"{svid_path} --admin {os.path.relpath(ADMIN, ROOT)} status",
                    f"{svid_path} --admin {os.path.relpath(ADMIN, ROOT)} credentials",
                    f"{svid_path} --admin {os.path.relpath(ADMIN, ROOT)} doctor"):
        print(f"  {command}")


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def on_signal(number, frame):
    """A terminal that is closed ends it as ^C does: svidd must not stay behind."""
    raise KeyboardInterrupt


def main():
    os.chdir(ROOT)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    lay_out()
    process = start()
    screen = Screen()
    try:
        status = wait_ready(process)
        if not status:
            print("svidd did not become ready. Its log:")
            with open(os.path.join(HERE, "svidd.log"), encoding="utf-8", errors="replace") as f:
                print(f.read()[-4000:])
            return 1
        show(screen, status)
        if stays_in_foreground():
            print("\nsvidd is running; ^C stops it and removes everything.")
            process.wait()
    except KeyboardInterrupt:
        print()
    finally:
        stop(process)
        subprocess.run(svidd_command("--remove-pins"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if screen.true:
            shutil.rmtree(HERE, ignore_errors=True)
    return 0 if screen.true else 1


if __name__ == "__main__":
    sys.exit(main())
