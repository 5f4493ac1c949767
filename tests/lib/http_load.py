# SPDX-License-Identifier: Apache-2.0
"""An HTTP application that answers with what a proxy told it of the client, and a steady load through proxies.

    with App() as app, Load(port) as load: load.wait() ...
    load.check()
"""
import collections
import http.client
import http.server
import threading
import time

from agent import until

WHO = "x-forwarded-client-cert"
KINDS = [("/keep", True), ("/new", True), ("/keep", False), ("/new", False)]  # path, and whether our connection stays
PAUSE = 0.02  # seconds between two requests of a thread


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):  # pylint: disable=invalid-name
        body = self.headers.get(WHO, "").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):  # pylint: disable=arguments-differ
        """A proxy that ends resets its connections: that is no news."""


class App:
    def __enter__(self):
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def get(port, path="/", connection=None):
    """(status, body) of one request; the caller's connection, or one for this request."""
    own = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        own.request("GET", path)
        answer = own.getresponse()
        return answer.status, answer.read().decode()
    finally:
        if not connection:
            own.close()


def said(body):
    """{"Hash": ..., "URI": ...} of what the proxy told."""
    return dict(pair.split("=", 1) for pair in body.split(";") if "=" in pair)


class Load:
    """A thread for each of KINDS; everything that was not a 200 with the client's SPIFFE ID is a failure."""

    def __init__(self, port):
        self.port, self.requests, self.failures = port, collections.Counter(), []
        self.hashes, self.peers = {}, set()  # of the client's certificates: when seen first
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=kind, daemon=True) for kind in KINDS]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(15)

    def _run(self, path, stays):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10) if stays else None
        while not self._over.wait(PAUSE):
            try:
                status, body = get(self.port, path, connection)
            except (OSError, http.client.HTTPException) as wrong:
                status, body = 0, repr(wrong)
            self._count(path, stays, status, body)
        if connection:
            connection.close()

    def _count(self, path, stays, status, body):
        self.requests[(path, stays)] += 1
        who = said(body) if status == 200 else {}
        if "URI" not in who or "Hash" not in who:
            self.failures.append((round(time.monotonic(), 2), path, stays, status, body[:200]))
            return
        self.hashes.setdefault(who["Hash"], time.monotonic())
        self.peers.add(who["URI"])

    def wait(self, more=20):
        """Until each kind made so many more requests."""
        goal = {kind: self.requests[kind] + more for kind in KINDS}
        assert until(lambda: all(self.requests[kind] >= n for kind, n in goal.items()), 30), self.requests

    def check(self):
        """No request failed."""
        assert not self.failures, f"{len(self.failures)} of {sum(self.requests.values())} failed: {self.failures[:4]}"
