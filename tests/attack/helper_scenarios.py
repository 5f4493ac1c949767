# SPDX-License-Identifier: Apache-2.0
"""A13 with helpers[]: who reads a credential for whom. As scenarios.py; trusted has the credential "helped", whose helpers are
/bin/cat and a program of ours, "shelled" with /bin/cat and the shell, and "other", whose helper is neither."""
import os
import shutil
import time

from product import SLOW, UID, Failed, Player, Skipped
from scenarios import honest, thief
from tree_scenarios import own, whose

FILE = "jwt/helped"
NOT_ITS = [("trusted", "svid/cert.pem"), ("self", "svid/cert.pem"), ("revoked", "svid/key.pem"), ("trusted", "jwt/other"),
           ("self", "jwt/other")]


def run(lab, variant, who="trusted", path=None, file=None, **options):
    with lab.play(who, "helper-run", variant=variant, how=path or lab.path("helper"), file=file or own(lab, "trusted", FILE),
                  **options) as p:
        return thief(p)


def helper(lab, variant):
    return run(lab, variant)


def await_token(lab):
    """A second after the start the keys are there."""
    end = time.monotonic() + 10 * SLOW
    while True:
        with lab.play("trusted", "tree-read", file=own(lab, "trusted", FILE)) as p:
            line = p.until("caller: ")
        if "got SVID" in (line or ""):
            return
        if time.monotonic() > end:
            raise Failed(f"trusted does not read its own: {line}")
        time.sleep(0.1)


def honest_helper(lab, variant):
    """Under the credential's own address, and in self/, which is the starter's."""
    await_token(lab)
    got = []
    for name in ("trusted", "self"):
        path = own(lab, name, "jwt/shelled" if "shell" in variant else FILE)
        if variant in ("cat", "shell", "exec-shell"):
            if os.path.basename(os.path.realpath("/bin/cat")) != "cat":
                raise Skipped("/bin/cat is another program here")
            with lab.play("trusted", "a13-helper", variant=variant.replace("cat", ""), file=path) as p:
                got.append(honest(thief(p)))
        else:
            got.append(honest(run(lab, variant, file=path)))
    return got[0] if got[0] == got[1] else f"{got[0]} by address, {got[1]} by self/"


def by_evil(lab, variant):
    return run(lab, variant, "evil")


def shell_between(lab):
    """The same as the honest one with "shelled"; here the shell is no helper."""
    await_token(lab)
    with lab.play("trusted", "a13-helper", variant="shell", file=own(lab, "trusted", FILE)) as p:
        return thief(p)


def namesake(lab):
    """A copy of the very bytes, under the same name; root's, so that nothing else is wrong with it."""
    folder = os.path.join(lab.top, "bin")
    os.makedirs(folder, exist_ok=True)
    shutil.copy(lab.path("helper"), folder)
    return run(lab, "", path=os.path.join(folder, "helper"))


def mounted_over(lab):
    """In a mount namespace of the attacker's own, evil is where the helper is; trusted's copy there starts it."""
    enter = ["unshare", "-U", "-r", "-m", "sh", "-c", f'mount --bind {lab.evil} {lab.path("helper")} && exec "$@"', "sh"]
    argv = [lab.trusted, "helper-run", f"how={lab.path('helper')}", f"file={own(lab, 'trusted', FILE)}", "wait=3000"]
    with Player([*enter, *argv], user=UID) as p:
        return thief(p)


def other_file(lab, what):
    """That trusted itself reads it is what makes the refusal mean something; the third is another's, who reads it."""
    name, file = what
    await_token(lab)
    path = own(lab, name, file)
    with lab.play("revoked" if name == "revoked" else "trusted", "tree-read", file=path) as p:
        line = p.until("caller: ")
        if "got SVID" not in (line or ""):
            return f"not read by its owner: {whose(line)}"
    return run(lab, "", file=path)
