# SPDX-License-Identifier: Apache-2.0
"""An Agent as a service manager runs it: readiness by sd_notify(3), and the descriptor store between two lives.

What systemd does with Type=notify and FileDescriptorStoreMax= is done here for one svidd: FDSTORE=1 messages
are kept by name, and the next svidd gets them as LISTEN_FDS with LISTEN_FDNAMES.
"""
import array
import fcntl
import os
import socket
import subprocess
import threading

from agent import Agent, until

FIRST = 50  # the store's descriptors, out of the way of those that svidd gets
MAX_MESSAGE = 4096

# LISTEN_PID must name svidd itself: the shell that says so becomes it.
BECOME = ('first=3; for fd in $STORE; do eval "exec $first<&$fd $fd<&-"; first=$((first + 1)); done; '
          'unset STORE; export LISTEN_PID=$$; exec "$@"')


class Service(Agent):
    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.store, self.notices, self.ready = {}, [], threading.Event()
        path = os.path.join(self.top, "notify")
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(path)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        while True:
            try:
                text, ancillary, _, _ = self._notify.recvmsg(MAX_MESSAGE, socket.CMSG_SPACE(4 * array.array("i").itemsize))
            except OSError:
                return
            if not text:
                return
            fds = array.array("i")
            for _, _, data in ancillary:
                fds.frombytes(data)
            self._take(dict(line.split("=", 1) for line in text.decode().splitlines()), list(fds))

    def _take(self, said, fds):
        self.notices.append(said)
        name = said.get("FDNAME")
        if "FDSTOREREMOVE" in said and name in self.store:
            os.close(self.store.pop(name))
        if "FDSTORE" in said and fds:
            self.store[name] = fcntl.fcntl(fds[0], fcntl.F_DUPFD_CLOEXEC, FIRST)
        for fd in fds:
            os.close(fd)
        if said.get("READY") == "1":
            self.ready.set()

    def launch(self):
        """Start svidd with what its former life stored; self.ready is set when it says so."""
        self.ready.clear()
        fds = list(self.store.values())
        env = {"PATH": "/usr/bin:/bin", "NOTIFY_SOCKET": os.path.join(self.top, "notify"), "STORE": " ".join(map(str, fds)),
               "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(self.store)}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["bash", "-c", BECOME, "svidd", *self.command()], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", env=env, pass_fds=fds, start_new_session=True)
        return self.process

    def wait_ready(self, seconds=30):
        assert until(lambda: self.ready.is_set() or self.process.poll() is not None, seconds), self.explain()
        assert self.process.poll() is None, self.explain()

    def restart(self):
        """Stop and start, as `systemctl restart` does: the store is all that stays."""
        assert self.stop() == 0, self.explain()
        self.launch()
        self.wait_ready()

    def close(self):
        super().close()
        # Closing alone would leave the thread reading whatever gets the number next.
        self._notify.shutdown(socket.SHUT_RD)
        self._listener.join()
        self._notify.close()
        for fd in self.store.values():
            os.close(fd)
        self.store = {}
