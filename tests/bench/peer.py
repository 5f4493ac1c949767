# SPDX-License-Identifier: Apache-2.0
"""A real spire-server and spire-agent beside svidd, for make bench PEER=spire-agent.

Both programs must be there: on PATH, or in the folder PEER_BIN. Nothing is fetched or built here. They get a join
token, entries of the same shape as svidd's documents (the path of the executable, no digest), and loopback only.
"""
import json
import os
import shutil
import socket
import subprocess
import tempfile

from agent import AgentError, until

NAME = "spire-agent"
DOMAIN = "bench.test"

SERVER = """server {{
    bind_address = "127.0.0.1"
    bind_port = "{port}"
    socket_path = "{top}/server.sock"
    trust_domain = "{domain}"
    data_dir = "{top}/server"
    log_level = "WARN"
}}
plugins {{
    DataStore "sql" {{
        plugin_data {{
            database_type = "sqlite3"
            connection_string = "{top}/server/datastore.sqlite3"
        }}
    }}
    NodeAttestor "join_token" {{
        plugin_data {{}}
    }}
    KeyManager "memory" {{
        plugin_data {{}}
    }}
}}
"""

AGENT = """agent {{
    data_dir = "{top}/agent"
    log_level = "WARN"
    server_address = "127.0.0.1"
    server_port = "{port}"
    socket_path = "{top}/public/api.sock"
    trust_bundle_path = "{top}/bundle.pem"
    trust_domain = "{domain}"
}}
plugins {{
    NodeAttestor "join_token" {{
        plugin_data {{}}
    }}
    KeyManager "memory" {{
        plugin_data {{}}
    }}
    WorkloadAttestor "unix" {{
        plugin_data {{
            discover_workload_path = true
            workload_size_limit = -1
        }}
    }}
}}
"""


def wanted():
    peer = os.environ.get("PEER")
    if peer and peer != NAME:
        raise SystemExit(f"PEER={peer}: only {NAME} is known")
    return bool(peer)


def find(program):
    path = shutil.which(program, path=os.environ.get("PEER_BIN")) or shutil.which(program)
    if not path:
        raise SystemExit(f"PEER={NAME} needs {program} on PATH or in the folder PEER_BIN")
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="svidd-peer-", dir="/tmp")
        os.chmod(self.top, 0o755)
        self.bin, self.socket = os.path.join(self.top, "bin"), os.path.join(self.top, "public", "api.sock")
        for name in ("bin", "server", "agent"):
            os.mkdir(os.path.join(self.top, name))
        self.port, self.processes, self.entries = free_port(), [], []

    def program(self, name, binary):
        path = os.path.join(self.bin, name)
        shutil.copy(binary, path)
        os.chmod(path, 0o755)
        return path

    def identity(self, name, path):
        self.entries.append({"selectors": [{"type": "unix", "value": f"path:{path}"}],
                             "parent_id": f"spiffe://{DOMAIN}/node", "spiffe_id": f"spiffe://{DOMAIN}/{name}"})

    def _config(self, name, text):
        path = os.path.join(self.top, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.format(top=self.top, port=self.port, domain=DOMAIN))
        return path

    def _spawn(self, *words):
        with open(os.path.join(self.top, "log"), "ab") as log:
            self.processes.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.top))

    def _ask(self, *words):
        """Runs spire-server's CLI: its stdout, None when it failed."""
        done = subprocess.run([find("spire-server"), *words, "-socketPath", os.path.join(self.top, "server.sock")],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, stdin=subprocess.DEVNULL)
        return None if done.returncode else done.stdout.decode()

    def start(self, group, client, tool):
        """Server, entries, then the agent in the memory group; returns when client, a copy of tool, is served."""
        self._spawn(find("spire-server"), "run", "-config", self._config("server.conf", SERVER))
        if not until(lambda: self._ask("healthcheck"), 30):
            raise AgentError("spire-server does not start\n" + self.log())
        with open(os.path.join(self.top, "bundle.pem"), "w", encoding="ascii") as f:
            f.write(self._ask("bundle", "show"))
        entries = os.path.join(self.top, "entries.json")
        with open(entries, "w", encoding="utf-8") as f:
            json.dump({"entries": self.entries}, f)
        token = (self._ask("token", "generate", "-spiffeID", f"spiffe://{DOMAIN}/node") or "").split()
        if not token or not self._ask("entry", "create", "-data", entries):
            raise AgentError("spire-server takes no entries\n" + self.log())
        with group:
            self._spawn(find("spire-agent"), "run", "-config", self._config("agent.conf", AGENT), "-joinToken", token[-1])
        if not until(lambda: self._serves(client), 60, every=0.5):
            raise AgentError(f"spire-agent does not serve {os.path.basename(tool)}\n" + self.log())

    def _serves(self, client):
        done = subprocess.run([client, "connect", self.socket, "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False, stdin=subprocess.DEVNULL)
        return done.returncode == 0

    def log(self):
        with open(os.path.join(self.top, "log"), encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-20:])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.top, ignore_errors=True)
