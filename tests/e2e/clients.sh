#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the workloads of tests/e2e into build/e2e, once: go-workload (go-spiffe) and rust-workload (crate spiffe).
# Usage: clients.sh go|rust
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../.." && pwd)/build/e2e
mkdir -p "$out"

# Whether $1 is newer than every source of folder $2.
is_fresh() { [ -x "$1" ] && [ -z "$(find "$2" -type f -newer "$1")" ]; }

case ${1:-} in
go)
	! is_fresh "$out/go-workload" "$here/go" || exit 0
	go=$("$here/toolchain.sh" go)
	cd "$here/go"
	GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 nice "$go" build -trimpath -ldflags=-s -o "$out/go-workload" .
	;;
rust)
	! is_fresh "$out/rust-workload" "$here/rust" || exit 0
	cargo=$("$here/toolchain.sh" cargo)
	cd "$here/rust"
	CARGO_TARGET_DIR=$out/cargo nice "$cargo" build -q --release --locked
	cp "$out/cargo/release/rust-workload" "$out/rust-workload"
	;;
*)
	sed -n '3,4s/^# //p' "$0" >&2
	exit 2
	;;
esac
