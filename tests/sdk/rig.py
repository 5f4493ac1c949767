# SPDX-License-Identifier: Apache-2.0
"""Three clouds of a test's own, and an agent with documents for them.

    import rig                                   # runs this test again under the interpreter that has what it needs
    with rig.Rig("boto3") as r:
        app = r.python("app")                    # an interpreter of its own: an identity by its path
        r.identity("app", app)                   # or r.agent.program(NAME, BINARY), or clients.Program(argv, selectors)
        r.grant_aws("app")
        r.start()
        event = r.once(app, script, "aws", env=r.env("app"))
        r.aws.life = 20                          # sessions that expire soon; r.gcp.life, r.azure.life likewise

The clouds listen on loopback addresses of this process alone, port 443, with certificates of a CA that is made here.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "lib")]
VENV = os.path.join(ROOT, "build", "sdk", "python", "venv")


def _enter():
    """Go on under the venv's interpreter; where it cannot be made, say so and end."""
    if os.path.realpath(sys.prefix) == os.path.realpath(VENV):
        return
    done = subprocess.run([os.path.join(HERE, "clients.sh"), "python"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600, check=False)
    if done.returncode:
        print(done.stdout.decode(errors="replace")[-2000:])
        print("skipped: all: the packages of tests/sdk/requirements.txt cannot be had\n"
              + ("0 passed, 1 failed, 0 skipped" if os.environ.get("STRICT") else "0 passed, 0 failed, 1 skipped"))
        sys.exit(1 if os.environ.get("STRICT") else 0)
    python = os.path.join(VENV, "bin", "python")
    os.execv(python, [python, *sys.argv])  # by its first argument it knows that it is the venv's


_enter()

import json  # noqa: E402  pylint: disable=wrong-import-position
import shutil  # noqa: E402  pylint: disable=wrong-import-position
import tempfile  # noqa: E402  pylint: disable=wrong-import-position
import time  # noqa: E402  pylint: disable=wrong-import-position
import uuid  # noqa: E402  pylint: disable=wrong-import-position

import case  # noqa: E402  pylint: disable=wrong-import-position
from agent import CALLER_UID, Agent, Lines, until  # noqa: E402  pylint: disable=wrong-import-position
from patience import Stopwatch  # noqa: E402  pylint: disable=wrong-import-position
from services import anywhere, aws_trust  # noqa: E402  pylint: disable=wrong-import-position
from services.aws import ACCOUNT, Aws  # noqa: E402  pylint: disable=wrong-import-position
from services.azure import Azure  # noqa: E402  pylint: disable=wrong-import-position
from services.gcp import Gcp  # noqa: E402  pylint: disable=wrong-import-position
from services.jose import Issuer  # noqa: E402  pylint: disable=wrong-import-position
from services.pki import Authority  # noqa: E402  pylint: disable=wrong-import-position

REGION = "eu-central-1"
DELIVERY = os.environ.get("DELIVERY", "fuse")  # or sysfs: in the VM, with the module (tests/vm/cloud_test.py)
SYSFS = "/sys/kernel/svid/credentials"


def which(name):
    """A tool of the machine that the programs under test may run, or None."""
    return shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")


class Clouds:
    """A CA, an issuer's site, and the three clouds."""
    count = 0

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="sdk-", dir="/tmp")
        os.chmod(self.top, 0o755)
        self.authority = Authority()
        self.ca_path = os.path.join(self.top, "ca.pem")
        with open(self.ca_path, "w", encoding="ascii") as f:
            f.write(self.authority.pem())
        self.issuer, self.aws, self.gcp, self.azure = (kind(self.authority, self.top, self.free_address())
                                                       for kind in (Issuer, Aws, Gcp, Azure))

    @classmethod
    def free_address(cls):
        """A loopback address that nobody else has: of this process, and each once."""
        cls.count += 1
        return f"127.{100 + os.getpid() // 250 % 100}.{1 + os.getpid() % 250}.{1 + cls.count % 254}"

    def close(self):
        sites = (self.issuer, self.aws, self.gcp, self.azure)
        for site in sites:
            site.close()
        mishaps = [m for site in sites for m in site.mishaps]
        assert not mishaps, "\n".join(mishaps)
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.top, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.close()


class Python:
    """An interpreter under a path of its own, with the packages of the venv: what it runs is told from others by unix:path."""

    def __init__(self, folder, name):
        home = os.path.join(folder, name)
        own = os.path.realpath("/usr/bin/python3")
        lib = next(n for n in os.listdir(os.path.join(VENV, "lib")) if n.startswith("python3"))
        os.makedirs(os.path.join(home, "bin"))
        os.makedirs(os.path.join(home, "lib", lib))
        self.path = os.path.join(home, "bin", "python3")
        shutil.copy(own, self.path)
        os.chmod(self.path, 0o755)
        with open(os.path.join(home, "pyvenv.cfg"), "w", encoding="ascii") as f:
            f.write(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {lib.removeprefix('python')}\n")
        os.symlink(os.path.join(VENV, "lib", lib, "site-packages"), os.path.join(home, "lib", lib, "site-packages"))
        self.argv, self.selectors = [self.path], {"unix:path": self.path}

    def __repr__(self):
        return self.path


class Rig(Clouds):
    """The clouds, and an agent whose issuer is self.issuer."""

    def __init__(self, name, settings=""):
        if DELIVERY == "fuse":
            case.needs("/dev/fuse")
        super().__init__()
        self.agent = Agent(f"sdk-{name}", more_settings=f"  jwt:\n    issuer: {self.issuer.url}\n{settings}")
        self.agent.delivery = DELIVERY
        self.tree = SYSFS if DELIVERY == "sysfs" else os.path.join(self.agent.run_dir, "credentials")
        self.issuer.documents = self._documents
        for site in (self.aws,):
            site.provider(self.issuer.url)

    def close(self):
        try:
            self.agent.close()
        finally:
            super().close()

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.agent.explain())
            for site in (self.issuer, self.aws, self.gcp, self.azure):
                print(f"{type(site).__name__} was asked: {site.log[-20:]} {site.handshakes[-5:]}")
        self.close()

    def start(self):
        try:
            self.agent.start()
            assert until(lambda: self.agent.status()["tree"]["path"] == self.tree, 10), self.agent.explain()
        except BaseException:
            self.close()  # in a with statement's beginning nobody else would
            raise
        return self

    def _documents(self):
        """The issuer's two documents as `svid oidc export` writes them, now."""
        place = tempfile.mkdtemp(prefix="oidc-", dir=self.top)  # each request of its own: they may be at the same time
        code, out, err = self.agent.svid("oidc", "export", place)
        assert code == 0, (out, err)
        documents = {}
        for folder, _, files in os.walk(place):
            for file in files:
                with open(os.path.join(folder, file), "rb") as f:
                    documents["/" + os.path.relpath(os.path.join(folder, file), place)] = f.read()
        return documents

    # documents of the agent

    def spiffe_id(self, workload):
        return f"spiffe://{self.agent.trust_domain}/{workload}"

    def identity(self, name, program, **how):
        """A WorkloadIdentity for a program; its SPIFFE ID."""
        return self.agent.identity(name, program, **how)

    def source(self, name, kind, more="", **spec):
        """A CredentialSource of that kind, with the private CA."""
        lines = "".join(f"    {k}: {json.dumps(v)}\n" for k, v in spec.items())
        ca = "".join(f"    {line}\n" for line in self.authority.pem().splitlines())
        self.agent.document(name, f"apiVersion: svid/v1alpha1\nkind: CredentialSource\nmetadata:\n  name: {name}\nspec:\n"
                            f"  {kind}:\n{lines}  caBundle: |\n{ca}{more}")

    def aws_source(self, name, role, **spec):
        self.source(name, "aws", roleArn=role, endpoint=self.aws.url, region=REGION, **spec)

    def gcp_source(self, name, provider, **spec):
        self.source(name, "gcp", oidcProviderId=provider, stsEndpoint=self.gcp.url + "/v1/token", iamEndpoint=self.gcp.url,
                    **spec)

    def azure_source(self, name, tenant, client, scope="https://vault.azure.net/.default", **spec):
        self.source(name, "azure", tenantID=tenant, clientID=client, scope=scope, authority=self.azure.url, **spec)

    def credential(self, name, workload, source, helpers=()):
        """A WorkloadCredential."""
        more = f"  helpers: {json.dumps(list(helpers))}\n" if helpers else ""
        self.agent.document(name, f"apiVersion: svid/v1alpha1\nkind: WorkloadCredential\nmetadata:\n  name: {name}\nspec:\n"
                            f"  workloadID: {workload}\n  credentialSource: {source}\n{more}")

    def trusts(self, workload, **how):
        """The trust policy of a role for that workload."""
        return aws_trust.web_identity(ACCOUNT, self.issuer.url, self.spiffe_id(workload), **how)

    # access, both sides of it: what an operator sets up at the cloud and here

    def grant_aws(self, workload, helpers=(), **spec):
        """A role that reads s3://bucket/key; its ARN."""
        role = self.aws.role("reader", self.trusts(workload))
        self.aws.object("bucket", "key", b"of s3", role)
        self.aws_source("aws-source", role, **spec)
        self.credential(f"{workload}-aws", workload, "aws-source", helpers)
        return role

    def grant_anywhere(self, workload, helpers=(), **spec):
        """The same by IAM Roles Anywhere; the agent runs already, for the trust anchor is its CA."""
        code, out, err = self.agent.svid("bundle", "show", "-o", "pem")
        assert code == 0, err
        anchor, profile, (role,) = anywhere.set_up(
            self.aws, ACCOUNT, out, {"anywhere": lambda arn: aws_trust.roles_anywhere(arn, self.spiffe_id(workload))})
        self.aws.object("bucket", "key", b"of s3", role)
        self.source("anywhere-source", "awsRolesAnywhere", trustAnchorArn=anchor, profileArn=profile, roleArn=role,
                    endpoint=self.aws.url, **spec)
        self.credential(f"{workload}-anywhere", workload, "anywhere-source", helpers)
        return role

    def grant_gcp(self, workload, email="app@demo.iam.gserviceaccount.com", **spec):
        """A service account that lists the instances of project demo and reads bucket/key."""
        provider = self.gcp.provider(self.issuer.url)
        member = self.gcp.account(email, self.gcp.providers[provider].principal(self.spiffe_id(workload)))
        self.gcp.project("demo", ["one", "two"], member)
        self.gcp.object("bucket", "key", b"of storage", member)
        self.gcp_source("gcp-source", provider, serviceAccount=email, **spec)
        self.credential(f"{workload}-gcp", workload, "gcp-source")
        return member

    def grant_azure(self, workload, **spec):
        """An application that reads the secret `word` of the vault; (tenant, client id)."""
        tenant, client = self.azure.app()
        self.azure.federate(client, self.issuer.url, self.spiffe_id(workload))
        self.azure.secret("word", "of the vault", client)
        self.azure_source("azure-source", tenant, client, **spec)
        self.credential(f"{workload}-azure", workload, "azure-source")
        return tenant, client

    # programs under test

    def python(self, name):
        return Python(self.agent.bin, name)

    def own(self, workload):
        """A workload's directory in the tree."""
        return os.path.join(self.tree, str(uuid.uuid5(uuid.NAMESPACE_URL, self.spiffe_id(workload))))

    def variables(self, workload):
        """What the tree says a workload is to set: its file env, which everybody may read."""
        def read():
            try:
                with open(os.path.join(self.own(workload), "env"), encoding="utf-8") as f:
                    return f.read()
            except OSError:
                return None
        text = until(read, 20)
        assert text is not None, f"no env of {workload}\n{self.agent.explain()}"
        return dict(line.split("=", 1) for line in text.splitlines())

    def private_ca(self):
        """What tells each SDK of the private CA and of the endpoints here: with the real clouds none of it is there."""
        return {"AWS_ENDPOINT_URL": self.aws.url, "AWS_CA_BUNDLE": self.ca_path, "AWS_EC2_METADATA_DISABLED": "true",
                "REQUESTS_CA_BUNDLE": self.ca_path, "SSL_CERT_FILE": self.ca_path, "NODE_EXTRA_CA_CERTS": self.ca_path,
                "GOOGLE_CLOUD_PROJECT": "demo", "NO_GCE_CHECK": "true", "VAULT_URL": self.azure.url, "GCP_URL": self.gcp.url,
                "HOME": self.home()}

    def home(self):
        """A home directory of the programs under test."""
        path = os.path.join(self.top, "home")
        if not os.path.isdir(path):
            os.mkdir(path)
            os.chown(path, CALLER_UID, CALLER_UID)
        return path

    def env(self, workload, **more):
        """The environment of a client."""
        return {**self.private_ca(), **self.variables(workload), **more}

    def play(self, program, *words, env=()):
        """Start a client, which prints JSON lines and takes lines."""
        argv = [*getattr(program, "argv", [program]), *words]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/",
                                   user=CALLER_UID, group=CALLER_UID, extra_groups=[], env={"PATH": "/usr/bin:/bin", **dict(env)})
        player = Lines(process)
        self.agent.players.append(player)
        return player

    def once(self, program, *words, env=(), seconds=60):
        """The one event of a client that is asked once."""
        player = self.play(program, *words, env=env)
        player.process.stdin.close()
        player.finish(seconds)
        assert len(player.events) == 1, player.said()
        return player.events[0]

    @staticmethod
    def again(player, seconds=60):
        """Have a client that runs do it once more: what it says."""
        before = len(player.events)
        player.process.stdin.write(b"again\n")
        player.process.stdin.flush()
        watch = Stopwatch()
        while len(player.events) == before and player.process.poll() is None and watch.seconds() < seconds:
            time.sleep(0.05)
        assert len(player.events) > before, player.said()
        return player.events[before]
