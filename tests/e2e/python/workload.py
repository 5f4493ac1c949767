# SPDX-License-Identifier: Apache-2.0
"""A workload that speaks to a Workload API through PyPI's `spiffe`, as its users do; prints JSON lines, like tests/e2e/go.

Usage: workload.py fetch | source UPDATES | jwt AUDIENCE... | jwt-bundles | jwt-watch UPDATES | validate AUDIENCE TOKEN
       | reflect SERVICE; the address is in SPIFFE_ENDPOINT_SOCKET.
"""
import json
import os
import queue
import sys
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from spiffe import JwtSource, JwtSvid, WorkloadApiClient, X509Source

WAIT = 70  # seconds for anything


def emit(event, **fields):
    print(json.dumps({"event": event, "at": time.time(), **fields}), flush=True)


def svid_fields(svid):
    leaf = svid.leaf
    return {"id": str(svid.spiffe_id), "serial": f"{leaf.serial_number:x}", "chain": len(svid.cert_chain),
            "not_after": leaf.not_valid_after_utc.timestamp()}


def x509_bundles(bundles):
    return {b.trust_domain.name: sorted(f"{ca.serial_number:x}" for ca in b.x509_authorities) for b in bundles}


def jwt_bundles(bundles):
    return {b.trust_domain.name: sorted(b.jwt_authorities) for b in bundles}


def jwt_fields(svid):
    return {"id": str(svid.spiffe_id), "aud": sorted(svid.audience), "expires": svid.expiry, "token": svid.token}


def fetch():
    with WorkloadApiClient(default_timeout=WAIT) as client:
        context = client.fetch_x509_context()
        assert x509_bundles(client.fetch_x509_bundles().bundles) == x509_bundles(context.x509_bundle_set.bundles)
        emit("fetched", svids=[svid_fields(s) for s in context.x509_svids],
             bundles=x509_bundles(context.x509_bundle_set.bundles))


def follow(source, updates, look):
    """What look() sees at first and after each update that the source announces."""
    changed = queue.Queue()
    source.subscribe_for_updates(lambda: changed.put(True))
    for n in range(1, updates + 1):
        emit("update", n=n, **look())
        if n < updates:
            changed.get(timeout=WAIT)


def source(updates):
    with X509Source(timeout_in_seconds=WAIT) as src:
        follow(src, int(updates), lambda: {"svids": [svid_fields(src.svid)], "bundles": x509_bundles(src.bundles)})


def jwt(*audiences):
    with JwtSource(timeout_in_seconds=WAIT) as src:
        svids = src.fetch_svids(set(audiences), timeout=WAIT)
        for svid in svids:
            bundle = src.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
            JwtSvid.parse_and_validate(svid.token, bundle, {audiences[0]})
        emit("jwt", svids=[jwt_fields(s) for s in svids])


def jwt_bundles_now():
    with WorkloadApiClient(default_timeout=WAIT) as client:
        emit("jwt-bundles", bundles=jwt_bundles(client.fetch_jwt_bundles().bundles))


def jwt_watch(updates):
    with JwtSource(timeout_in_seconds=WAIT) as src:
        follow(src, int(updates), lambda: {"bundles": jwt_bundles(src.bundles)})


def validate(audience, token):
    with WorkloadApiClient(default_timeout=WAIT) as client:
        emit("valid", **jwt_fields(client.validate_jwt_svid(token, audience)))


def reflect(service):
    """Which services the endpoint names, and the methods of one, all from server reflection."""
    with grpc.insecure_channel(os.environ["SPIFFE_ENDPOINT_SOCKET"]) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        methods = DescriptorPool(database).FindServiceByName(service).methods
        emit("reflected", services=sorted(database.get_services()), methods=sorted(m.name for m in methods))


def main():
    modes = {"fetch": fetch, "source": source, "jwt": jwt, "jwt-bundles": jwt_bundles_now, "jwt-watch": jwt_watch,
             "validate": validate, "reflect": reflect}
    try:
        modes[sys.argv[1]](*sys.argv[2:])
    except Exception as e:  # pylint: disable=broad-except
        emit("error", kind=type(e).__name__, text=str(e))
        sys.exit(1)


if __name__ == "__main__":
    main()
