# SPDX-License-Identifier: Apache-2.0
"""HTTPS servers in threads of the test: what came, what is answered, and what is answered instead on request."""
import http.server
import json
import secrets
import ssl
import threading
import time
import traceback
import urllib.parse

BODY_MAX = 1 << 20
PATIENCE = 30  # seconds for one connection to say something


class Answer(Exception):
    """What a server says; raised where what it says ends the matter."""

    def __init__(self, status, body=b"", kind="application/json", headers=()):
        super().__init__(status)
        self.status, self.headers = status, {"Content-Type": kind, **dict(headers)}
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        self.body = body.encode() if isinstance(body, str) else body


class Request:
    """One request; header names are in lower case."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path, _, self.query = target.partition("?")

    def query_pairs(self):
        return urllib.parse.parse_qsl(self.query, keep_blank_values=True)

    def form(self):
        """Fields of a form, each once; an Answer when it is none."""
        if self.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise Answer(415, {"error": "invalid_request", "error_description": "a form is wanted"})
        pairs = urllib.parse.parse_qsl(self.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise Answer(400, {"error": "invalid_request", "error_description": "a field is there twice"})
        return fields

    def json(self):
        try:
            value = json.loads(self.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Answer(400, {"error": {"code": 400, "message": "Invalid JSON payload received.", "status": "INVALID_ARGUMENT"}})
        return value

    def bearer(self):
        """The token of its Authorization header, None without one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token if scheme == "Bearer" and token else None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_MAX))
        body = b""
        while True:
            size = int(self.rfile.readline().partition(b";")[0], 16)
            body += self.rfile.read(size)
            if not self.rfile.readline().strip() and not size:
                return body

    def _serve(self):
        headers = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = headers[name] + "," + value if name in headers else value
        answer = self.server.site.respond(Request(self.command, self.path, headers, self._body()))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request, client_address):
        """In the connection's own thread: a slow handshake holds up nobody."""
        try:
            request.settimeout(PATIENCE)
            tls = self.site.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError) as e:
            self.site.handshakes.append(str(e))
            return
        try:
            _Handler(tls, client_address, self)
        except (OSError, ValueError):
            pass  # the client went away, or spoke no HTTP
        finally:
            tls.close()


class Fault:
    """An answer that is given instead, a number of times, to requests that match."""

    def __init__(self, answer, times, matches):
        self.answer, self.left, self.matches = answer, times, matches


class Site:
    """A server at https://ADDRESS; what it serves is serve() of a subclass."""

    def __init__(self, authority, folder, address, names=()):
        self.address, self.url = address, f"https://{address}"
        self.context = authority.server(folder, address, names)
        self.log, self.handshakes, self.faults, self.mishaps = [], [], [], []
        self.delay = 0
        self.lock = threading.RLock()
        self._server = _Server((address, 443), _Handler)
        self._server.site = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def serve(self, request):
        raise NotImplementedError

    def instead(self, answer, times=1, matches=lambda request: True):
        """Answer so the next time(s), whatever the request is worth."""
        with self.lock:
            self.faults.append(Fault(answer, times, matches))

    def _fault(self, request):
        with self.lock:
            for fault in self.faults:
                if fault.left > 0 and fault.matches(request):
                    fault.left -= 1
                    return fault.answer
        return None

    def respond(self, request):
        if self.delay:
            time.sleep(self.delay)
        answer = self._fault(request)
        if not answer:
            try:
                answer = self.serve(request)
            except Answer as said:
                answer = said
            except Exception:  # pylint: disable=broad-except
                self.mishaps.append(traceback.format_exc())
                answer = Answer(500, b"a mishap in the test's own server")
        with self.lock:
            self.log.append({"at": time.time(), "method": request.method, "path": request.path, "status": answer.status,
                             "agent": request.headers.get("user-agent", "")})
        return answer

    def count(self, path=None, status=None):
        """How many requests there were."""
        with self.lock:
            return len([e for e in self.log if path in (None, e["path"]) and status in (None, e["status"])])


def new_id():
    """As clouds name requests and traces."""
    raw = secrets.token_hex(16)
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
