#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conformance runner can fail: each flaw of a canned server is noticed by the clauses that are about it."""
import os
import sys

BIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", os.environ.get("O", "build"), "bin")
RUNNER = os.path.join(BIN, "svid-conformance")

os.execv(RUNNER, [RUNNER, "--selftest"]) if os.path.exists(RUNNER) else sys.exit("svid-conformance is not built")
