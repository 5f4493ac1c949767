# SPDX-License-Identifier: Apache-2.0
"""Real Envoys with SDS from an agent: their configuration, their processes, and what their admin side says.

A side of mutual TLS is tls(): which certificate, which bundle, whom it accepts. A configuration is made of
server() and client() listeners, all on ports that the kernel chooses; Envoy.port() says which.
"""
import json
import os
import socket
import subprocess
import urllib.request

import clients
from agent import CALLER_UID, until

TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
HTTP = "type.googleapis.com/envoy.extensions."
SAYS_WHO = {"forward_client_cert_details": "SANITIZE_SET", "set_current_client_cert_details": {"uri": True}}


def address(port=0):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


# what is asked of the agent

def source(delta=False):
    return {"resource_api_version": "V3", "initial_fetch_timeout": "60s",
            "api_config_source": {"api_type": "DELTA_GRPC" if delta else "GRPC", "transport_api_version": "V3",
                                  "set_node_on_first_message_only": True,
                                  "grpc_services": [{"envoy_grpc": {"cluster_name": "agent"}}]}}


def secret(name, delta=False):
    return {"name": name, "sds_config": source(delta)}


def matcher(peer):
    """SPIFFE ID, or spiffe://td/ for all of a trust domain."""
    return {"san_type": "URI", "matcher": {"prefix" if peer.endswith("/") else "exact": peer}}


def tls(certificate="default", bundle="ALL", peers=(), delta=False, selector=None):
    """One side of TLS; selector: what chooses the certificate instead; without bundle nobody at the other end is asked."""
    own = {"custom_tls_certificate_selector": selector} if selector else {
        "tls_certificate_sds_secret_configs": [secret(certificate, delta)]}
    if not bundle:
        return own
    accepted = {"match_typed_subject_alt_names": [matcher(peer) for peer in peers]} if peers else {}
    return {**own, "combined_validation_context": {"default_validation_context": accepted,
                                                   "validation_context_sds_secret_config": secret(bundle, delta)}}


def on_demand(mapper, **how):
    """The selector that asks for the certificate when a handshake wants it; mapper: by "sni", or by "static_name"."""
    kind = {"sni": "SNI", "static_name": "StaticName"}[mapper]
    package = "transport_sockets.tls.cert_"
    name = {"name": mapper, "typed_config": {"@type": f"{HTTP}{package}mappers.{mapper}.v3.{kind}", **how}}
    return {"name": "on-demand", "typed_config": {"@type": f"{HTTP}{package}selectors.on_demand_secret.v3.Config",
                                                  "config_source": source(delta=True), "certificate_mapper": name}}


# listeners and clusters

def _listener(name, routes, socket_tls=None, more=None):
    manager = {"@type": HTTP + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": name,
               "http_filters": [{"name": "router", "typed_config": {"@type": HTTP + "filters.http.router.v3.Router"}}],
               "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [
                   {"match": {"prefix": prefix}, "route": {"cluster": cluster}} for prefix, cluster in routes]}]},
               **(more or {})}
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    if socket_tls:
        chain["transport_socket"] = {"name": "tls", "typed_config": socket_tls}
    return {"name": name, "address": address(), "filter_chains": [chain]}


def _cluster(name, endpoint, **more):
    return {"name": name, "type": "STATIC", "connect_timeout": "5s", **more, "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": endpoint}}]}]}}


def _http(**more):
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {"typed_extension_protocol_options": {kind: {"@type": "type.googleapis.com/" + kind, **more}}}


def server(name, upstream_port, common):
    """(listener, clusters): mutual TLS in, plain HTTP to a local port. The peer's certificate is told in a header."""
    typed = {"@type": TLS + "DownstreamTlsContext", "common_tls_context": common,
             "require_client_certificate": "combined_validation_context" in common}
    if "custom_tls_certificate_selector" in common:  # a ticket would skip the selection
        typed.update(disable_stateless_session_resumption=True, disable_stateful_session_resumption=True)
    return (_listener(name, [("/", f"{name}-app")], typed, SAYS_WHO), [_cluster(f"{name}-app", address(upstream_port))])


def client(name, server_port, common):
    """(listener, clusters): plain HTTP in, mutual TLS out; under /new each request has a connection of its own."""
    socket_tls = {"transport_socket": {"name": "tls", "typed_config": {
        "@type": TLS + "UpstreamTlsContext", "common_tls_context": common, "max_session_keys": 0}}}
    once = _http(explicit_http_config={"http_protocol_options": {}},
                 common_http_protocol_options={"max_requests_per_connection": 1})
    clusters = [_cluster(f"{name}-keep", address(server_port), **socket_tls),
                _cluster(f"{name}-new", address(server_port), **socket_tls, **once)]
    return _listener(name, [("/new", f"{name}-new"), ("/", f"{name}-keep")]), clusters


def config(agent_socket, *sides, metadata=None):
    agent = _cluster("agent", {"pipe": {"path": agent_socket}}, **_http(explicit_http_config={"http2_protocol_options": {}}))
    return {"node": {"id": "test", "cluster": "test", "metadata": metadata or {}}, "admin": {"address": address()},
            "static_resources": {"listeners": [listener for listener, _ in sides],
                                 "clusters": [agent, *(cluster for _, clusters in sides for cluster in clusters)]}}


# processes

def install(agent, name):
    """Envoy under a path of its own, so that unix:path tells it from the others."""
    path = os.path.join(agent.bin, name)
    clients.link_or_copy(os.path.join(clients.built("envoy"), "envoy"), path)
    return path


class Envoy:
    """One process; text replaces the configuration of sides. It is ended with the agent that it belongs to."""

    def __init__(self, agent, path, *sides, text=None, metadata=None):
        self.name = os.path.basename(path)
        self.files = os.path.join(agent.top, f"{self.name}-{len(agent.players)}")
        self.said = open(self.files + ".log", "wb")  # pylint: disable=consider-using-with
        agent.replace(self.files + ".yaml", text or json.dumps(config(agent.socket, *sides, metadata=metadata)))
        admin_path = self.files + ".admin"
        with open(admin_path, "wb"):
            os.chown(admin_path, CALLER_UID, CALLER_UID)
        self.process = subprocess.Popen(
            [path, "-c", self.files + ".yaml", "--admin-address-path", admin_path, "--disable-hot-restart", "--concurrency", "1",
             "--log-level", os.environ.get("ENVOY_LOG", "warning")], stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said,
            cwd="/", user=CALLER_UID, group=CALLER_UID, extra_groups=[], env={"PATH": "/usr/bin:/bin"})
        agent.players.append(self)
        self.admin = until(lambda: self._read(admin_path) or self.process.poll() is not None, 20)
        assert self.process.poll() is None and self.admin, self.explain()

    @staticmethod
    def _read(path):
        with open(path, encoding="utf-8") as f:
            return f.read().strip()

    def explain(self):
        with open(self.files + ".log", encoding="utf-8", errors="replace") as f:
            return f"{self.name}, exit {self.process.poll()}:\n{f.read()[-4000:]}"

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.said.close()

    # its admin side

    def ask(self, what):
        try:
            with urllib.request.urlopen(f"http://{self.admin}/{what}", timeout=5) as answer:
                return answer.read().decode()
        except OSError as wrong:
            raise AssertionError(self.explain()) from wrong

    def state(self):
        return json.loads(self.ask("server_info"))["state"]

    def wait_live(self, seconds=20):
        """Every listener and cluster has its secrets."""
        assert until(lambda: self.state() == "LIVE", seconds), self.explain()
        return self

    def port(self, listener):
        for status in json.loads(self.ask("listeners?format=json"))["listener_statuses"]:
            if status["name"] == listener:
                return status["local_address"]["socket_address"]["port_value"]
        raise AssertionError(f"{self.name} has no listener {listener}")

    def certificates(self):
        """Serial numbers of its own certificates and of what it trusts, as far as it has any."""
        found = json.loads(self.ask("certs")).get("certificates", [])
        return {part: sorted({c["serial_number"] for entry in found for c in entry.get(part, []) if c.get("serial_number")})
                for part in ("cert_chain", "ca_cert")}

    def secret(self, name):
        """What came under that name, private keys aside."""
        for found in json.loads(self.ask("config_dump?resource=dynamic_active_secrets")).get("configs", []):
            if found["name"] == name:
                return found["secret"]
        raise AssertionError(f"{self.name} has no secret {name}")

    def stats(self, prefix="sds."):
        lines = self.ask(f"stats?filter=^{prefix.replace('.', '%5C.')}").splitlines()
        return {key: int(value) for key, value in (line.split(": ", 1) for line in lines) if value.isdigit()}

    def updates(self, name):
        """How often a secret has come."""
        return self.stats().get(f"sds.{name.replace('://', '_')}.update_success", 0)

    def rejected(self):
        return {key: n for key, n in self.stats().items() if key.endswith("update_rejected") and n}


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_open(port):
    with socket.socket() as s:
        s.settimeout(2)
        return s.connect_ex(("127.0.0.1", port)) == 0
