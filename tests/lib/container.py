#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program as a container runtime does: own mount and pid namespace, a root directory of its own.

container.py [--user-namespace] [--user UID] ROOT BIND... -- PROGRAM [ARGS]

Each BIND is /from:/to, to being inside ROOT and there already. As root the namespaces are the initial user's, as of a
container that a system service starts; --user-namespace is what an unprivileged user can do. Nothing of the machine is left
in the program's sight but ROOT and the binds.
"""
import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 4096, 16384, 1 << 18, 2
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    words = [a.encode() if isinstance(a, str) else a for a in args]
    if getattr(LIBC, name)(*words) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}{args}: {os.strerror(error)}")


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def own_user_namespace():
    uid, gid = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{uid} {uid} 1")
    write("/proc/self/gid_map", f"{gid} {gid} 1")


def enter(root, binds):
    """root becomes the root directory, and the old one is gone."""
    call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)
    call("mount", root, root, None, MS_BIND | MS_REC, None)
    for bind in binds:
        source, _, target = bind.partition(":")
        call("mount", source, root + target, None, MS_BIND, None)
    os.chdir(root)
    call("pivot_root", ".", ".")
    call("umount2", ".", MNT_DETACH)
    os.chdir("/")


def main():
    words = sys.argv[1:]
    program = words[words.index("--") + 1:]
    words = words[:words.index("--")]
    own_user, user = "--user-namespace" in words, None
    if "--user" in words:
        at = words.index("--user")
        user = int(words[at + 1])
        del words[at:at + 2]
    root, *binds = [w for w in words if w != "--user-namespace"]
    if own_user:
        own_user_namespace()
    call("unshare", CLONE_NEWNS | CLONE_NEWPID)
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        sys.exit(os.waitstatus_to_exitcode(status) & 0xff)
    enter(root, binds)
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    os.execve(program[0], program, dict(os.environ))


if __name__ == "__main__":
    main()
