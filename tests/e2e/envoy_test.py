#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real Envoys with SVIDs over SDS: HTTP -> Envoy A -> mutual TLS -> Envoy B -> an application.

Each Envoy is the unmodified binary under a path of its own, which is what policy knows it by. Rotation under load
takes 15 s here, and with ALL=1 70 s, in which the authority's root changes as well.
"""
import contextlib
import os
import socket
import ssl
import sys
import time
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import case  # noqa: E402  pylint: disable=wrong-import-position
import envoy  # noqa: E402  pylint: disable=wrong-import-position
from agent import ROOT, TRUST_DOMAIN, Agent, until  # noqa: E402  pylint: disable=wrong-import-position
from envoy import Envoy  # noqa: E402  pylint: disable=wrong-import-position
from foreign import TrustDomain  # noqa: E402  pylint: disable=wrong-import-position
from http_load import App, Load, get, said  # noqa: E402  pylint: disable=wrong-import-position
from service import Service  # noqa: E402  pylint: disable=wrong-import-position
from patience import Stopwatch  # noqa: E402  pylint: disable=wrong-import-position

A, B, C = (f"spiffe://{TRUST_DOMAIN}/envoy-{name}" for name in "abc")
FORMS = [types.SimpleNamespace(name="sotw", delta=False), types.SimpleNamespace(name="delta", delta=True)]
VALIDATORS = [types.SimpleNamespace(name=name) for name in ("spiffe", "plain", "bundle-map")]
BUNDLES = [types.SimpleNamespace(name="sotw", delta=False, validator="spiffe", bundle="ALL"),
           types.SimpleNamespace(name="delta", delta=True, validator="spiffe", bundle="ALL"),
           types.SimpleNamespace(name="map", delta=True, validator="bundle-map", bundle="ALL"),
           types.SimpleNamespace(name="plain", delta=False, validator="plain", bundle="ROOTCA")]
METADATA = [({"disable_spiffe_cert_validation": True}, "plain"), ({"disable_spiffe_cert_validation": "true"}, "plain"),
            ({"spiffe_bundle_map": True}, "bundle-map"), ({}, "spiffe")]
EXPIRED = 10 + 30 + 5  # seconds; an SVID of 10 s


@contextlib.contextmanager
def world(name, kind=Agent, ttl=None, more="", settings=""):
    """An agent that knows two Envoys by their paths, and an application for B to stand before."""
    with kind(name, more_settings=settings) as agent, App() as app:
        agent.path = {n: envoy.install(agent, f"envoy-{n}") for n in "abc"}
        agent.app = app
        agent.identity("envoy-a", agent.path["a"], x509_ttl=ttl)
        agent.identity("envoy-b", agent.path["b"], x509_ttl=ttl, more=more)
        agent.start()
        yield agent


def start_b(agent, **tls):
    tls.setdefault("peers", [A])
    return Envoy(agent, agent.path["b"], envoy.server("in", agent.app.port, envoy.tls(**tls))).wait_live()


def start_a(agent, b, path=None, **tls):
    tls.setdefault("peers", [B])
    return Envoy(agent, path or agent.path["a"], envoy.client("out", b.port("in"), envoy.tls(**tls))).wait_live()


def check_passes(a):
    """A request on a new connection comes through, and B tells the application that it is A's."""
    status, body = get(a.port("out"), "/new")
    assert status == 200 and said(body)["URI"] == A and said(body)["By"] == B, (status, body, a.explain())


def check_content(*envoys):
    for each in envoys:
        assert not each.rejected(), (each.name, each.rejected(), each.explain())


def call(port, certificate=None, server_name=None, authority=None):
    """What a client of our own gets of an Envoy's TLS port: the server's certificate, checked where an authority is
    given, after an answer with 200; OSError when refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
    if authority:
        context.load_verify_locations(cadata=authority)
    if certificate:
        context.load_cert_chain(*certificate)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        with context.wrap_socket(plain, server_hostname=server_name) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")
            answer = s.recv(4096)
            if not answer:
                raise ConnectionResetError("closed without an answer")
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            return s.getpeercert()


def is_refused(*words, **more):
    try:
        call(*words, **more)
        return False
    except TimeoutError:
        raise
    except OSError:
        return True


def own_authority(agent):
    code, out, err = agent.svid("bundle", "show", "--format", "pem")
    assert code == 0, err
    return out


# mutual TLS

@case.each(FORMS, globals())
def rotation_under_load_fails_no_request(form):
    seconds = case.often(15, 70)
    with world("load", settings="  x509: {ttl: 10s, caTTL: 60s}\n") as agent:
        b = start_b(agent, delta=form.delta)
        a = start_a(agent, b, delta=form.delta)
        check_passes(a)
        serials, roots = set(), set()
        with Load(a.port("out")) as load:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(1)
                now = b.certificates()
                serials.update(now["cert_chain"])
                roots.update(now["ca_cert"])
            load.wait(5)
        load.check()
        assert load.peers == {A}, load.peers
        least = seconds // 7  # an SVID of 10 s is replaced after half of its life
        assert len(load.hashes) > least and len(serials) > least, (len(load.hashes), serials)
        check_content(a, b)
        if case.ALL:
            assert len(roots) > 1, roots
        else:  # its bytes did not change: no reason to send it again
            assert (a.updates("ALL"), b.updates("ALL")) == (1, 1), (a.stats(), b.stats())


@case.each(FORMS, globals())
def every_name_of_a_secret_works(form):
    with world("names") as agent:
        b = start_b(agent, certificate=B, bundle="ROOTCA", delta=form.delta)
        a = start_a(agent, b, certificate=A, bundle=f"spiffe://{TRUST_DOMAIN}", delta=form.delta)
        check_passes(a)
        check_content(a, b)
        assert a.updates(A) == 1 and b.updates("ROOTCA") == 1, (a.stats(), b.stats())


def form_of(found):
    """In which of the forms of spec.sds.validator a bundle came."""
    context = found["validation_context"]
    if "trusted_ca" in context:
        return "plain"
    config = context["custom_validator_config"]["typed_config"]
    return "bundle-map" if "trust_bundles" in config else "spiffe"


@case.each(VALIDATORS, globals())
def validator_of_the_settings_is_taken_by_envoy(validator):
    with world("validator", settings=f"  sds: {{validator: {validator.name}}}\n") as agent:
        b = start_b(agent, bundle="ROOTCA")
        a = start_a(agent, b, bundle="ROOTCA" if validator.name == "plain" else "ALL")
        check_passes(a)
        check_content(a, b)
        assert form_of(b.secret("ROOTCA")) == validator.name, b.secret("ROOTCA")


def test_an_envoy_says_in_its_node_how_it_wants_bundles():
    with world("node") as agent:
        tls = envoy.tls(bundle="ROOTCA", peers=[A])
        for metadata, expected in METADATA:
            b = Envoy(agent, agent.path["b"], envoy.server("in", agent.app.port, tls), metadata=metadata)
            assert form_of(b.wait_live().secret("ROOTCA")) == expected, (metadata, b.secret("ROOTCA"))
            check_passes(start_a(agent, b))


def test_names_of_the_settings_replace_the_usual_ones():
    with world("own-names", settings="  sds: {defaultSVIDName: me, defaultBundleName: us, allBundlesName: everybody}\n") as agent:
        b = start_b(agent, certificate="me", bundle="us")
        a = start_a(agent, b, certificate="me", bundle="everybody")
        check_passes(a)


def test_peers_of_policy_are_the_peers_that_envoy_accepts():
    with world("peers", more=f"  sds: {{peers: ['{A}']}}\n") as agent:
        agent.identity("envoy-c", agent.path["c"], workload="more/c")
        b = start_b(agent, peers=[])
        a = start_a(agent, b)
        c = start_a(agent, b, path=agent.path["c"])
        check_passes(a)
        assert get(c.port("out"), "/new")[0] == 503
        agent.identity("envoy-b", agent.path["b"], more=f"  sds: {{peers: ['{A}', 'prefix:spiffe://{TRUST_DOMAIN}/more/']}}\n")
        assert until(lambda: get(c.port("out"), "/new")[0] == 200, 20), b.explain()
        check_passes(a)
        check_content(a, b, c)


def documented():
    """The two YAML texts of workloadapi/ENVOY.md: the policy, and Envoy's configuration."""
    with open(os.path.join(ROOT, "workloadapi", "ENVOY.md"), encoding="utf-8") as f:
        return [block.split("```")[0] for block in f.read().split("```yaml\n")[1:]]


def test_configuration_of_the_documentation_works_as_it_is_printed():
    policy, text = documented()
    with Agent("pasted", trust_domain="example.org") as agent, App() as app:
        path = envoy.install(agent, "envoy")
        agent.document("envoy", policy.replace("/usr/bin/envoy", path))
        agent.start()
        ports = {"9901": 0, "8080": 0, "8443": envoy.free_port(), "9000": app.port}
        text = text.replace("/run/svid/public/api.sock", agent.socket)
        for number, port in ports.items():
            assert f"port_value: {number}}}" in text
            text = text.replace(f"port_value: {number}}}", f"port_value: {port}}}")
        both = Envoy(agent, path, text=text).wait_live()
        status, body = get(both.port("out"))
        assert status == 200 and said(body)["By"] == said(body)["URI"] == "spiffe://example.org/envoy", (status, body)
        assert '"uri": "spiffe://example.org/envoy"' in both.ask("certs"), both.ask("certs")
        check_content(both)


# identities that are not there, or not any more

def test_an_envoy_without_policy_gets_nothing_until_it_has_one():
    with world("stranger") as agent:
        b = start_b(agent, peers=[A, C])
        c = Envoy(agent, agent.path["c"], envoy.client("out", b.port("in"), envoy.tls(peers=[B])),
                  envoy.server("in", agent.app.port, envoy.tls()))
        time.sleep(2)
        assert c.state() != "LIVE" and not envoy.is_open(c.port("in")), c.explain()
        assert c.certificates() == {"cert_chain": [], "ca_cert": []}, c.ask("certs")
        assert (c.updates("default"), c.updates("ALL")) == (0, 0), c.stats()
        agent.identity("envoy-c", agent.path["c"], x509_ttl="10s")
        c.wait_live()
        status, body = get(c.port("out"), "/new")
        assert status == 200 and said(body)["URI"] == C, (status, body)
        # What Envoy holds it keeps, but nothing renews it.
        agent.remove("envoy-c")
        assert until(lambda: get(c.port("out"), "/new")[0] == 503, EXPIRED, 0.5), c.certificates()
        agent.identity("envoy-c", agent.path["c"])
        assert until(lambda: get(c.port("out"), "/new")[0] == 200, 20, 0.2), c.explain()
        check_content(b, c)


@case.each(FORMS, globals())
def a_restart_of_the_agent_under_load_fails_no_request(form):
    with world("away", kind=Service, ttl="30s") as agent:
        b = start_b(agent, delta=form.delta)
        a = start_a(agent, b, delta=form.delta)
        with Load(a.port("out")) as load:
            load.wait()
            before = len(load.hashes)
            agent.restart()
            # New life, new keys: both have fetched again when another certificate arrives.
            assert until(lambda: len(load.hashes) > before and b.updates("default") > 1, 25), (a.stats(), b.stats())
            load.wait()
        load.check()
        check_content(a, b)


def test_killed_roles_under_load_fail_no_request():
    with world("killed", ttl="30s") as agent:
        b = start_b(agent)
        a = start_a(agent, b, delta=True)
        with Load(a.port("out")) as load:
            for role in ("svid-front", "svid-keys", "svid-core"):
                before, of_b = len(load.hashes), b.updates("default")
                for pid in agent.roles(role):
                    agent.kill(pid)
                if role != "svid-front":  # after which the same certificates may come
                    assert until(lambda n=before, m=of_b: len(load.hashes) > n and b.updates("default") > m, 25), agent.explain()
                load.wait()
        load.check()
        check_content(a, b)


# another trust domain

@case.each(BUNDLES, globals())
def a_foreign_peer_is_accepted_while_its_bundle_is_set(how):
    foreign = TrustDomain("foreign.test")
    peer, document = foreign.leaf("peer"), foreign.bundle()
    with world("foreign", more="  federatesWith: [foreign.test]\n", settings=f"  sds: {{validator: {how.validator}}}\n") as agent:

        def listener(name, bundle):
            tls = envoy.tls(bundle=bundle, peers=[A, "spiffe://foreign.test/"], delta=how.delta)
            return envoy.server(name, agent.app.port, tls)

        def keep(*words):
            code, _, err = agent.svid("bundle", *words)
            assert code == 0, err

        keep("set", "foreign.test", document)
        b = Envoy(agent, agent.path["b"], listener("in", how.bundle), listener("foreign", "spiffe://foreign.test")).wait_live()
        a = start_a(agent, b, bundle="ROOTCA", delta=how.delta)
        ports = [b.port("foreign")] + ([b.port("in")] if how.bundle == "ALL" else [])
        for port in ports:
            call(port, peer)
        keep("delete", "foreign.test")
        for port in ports:
            assert until(lambda port=port: is_refused(port, peer), 10), b.ask("certs")
        check_passes(a)
        keep("set", "foreign.test", document)
        for port in ports:
            assert until(lambda port=port: not is_refused(port, peer), 10), b.ask("certs")
        agent.identity("envoy-b", agent.path["b"])  # the bundle is kept, but not for B any more
        for port in ports:
            assert until(lambda port=port: is_refused(port, peer), 10), b.ask("certs")
        check_passes(a)
        check_content(a, b)


# secrets on demand

def test_secrets_on_demand_are_answered_name_by_name():
    with world("on-demand", ttl="10s") as agent:
        by_sni, alien = (envoy.tls(bundle=None, selector=selector) for selector in (
            envoy.on_demand("sni", default_value=B), envoy.on_demand("static_name", name=A)))
        mutual = envoy.tls(peers=[A], selector=envoy.on_demand("static_name", name=B))
        b = Envoy(agent, agent.path["b"], *(envoy.server(name, agent.app.port, common) for name, common in (
            ("by-sni", by_sni), ("alien", alien), ("in", mutual)))).wait_live()
        check_passes(start_a(agent, b, delta=True))
        authority = own_authority(agent)

        def server(name=None):
            got = call(b.port("by-sni"), server_name=name, authority=authority)
            return dict(got["subjectAltName"])["URI"], got["serialNumber"]

        first = server("default")
        assert first[0] == B and server()[0] == B, first
        watch = Stopwatch()
        assert is_refused(b.port("by-sni"), server_name="unknown") and is_refused(b.port("alien"))
        assert watch.seconds() < 4, "an unknown name waited for a time-out"
        assert until(lambda: server("default")[1] != first[1], 15), "no rotation"
        assert server("default")[0] == B and is_refused(b.port("by-sni"), server_name="unknown")
        # A name becomes known: the next handshake that asks for it has it.
        later = f"spiffe://{TRUST_DOMAIN}/later"
        assert is_refused(b.port("by-sni"), server_name=later)
        agent.identity("later", agent.path["b"])
        assert until(lambda: not is_refused(b.port("by-sni"), server_name=later), 15), b.explain()
        assert server(later)[0] == later
        check_content(b)


if __name__ == "__main__":
    case.main(globals())
