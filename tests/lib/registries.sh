#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# registries.sh - sourced by tests/e2e/clients.sh and tests/sdk/clients.sh: how a client is built once, with what its
# registry's own client fetches. $here is the folder of that script, $out the one below build/ with its name.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
out=$repo/build/$(basename "$here")
mkdir -p "$out"

if [ -w "$out" ]; then # in the VM of tests/vm it is not, and all is there
	exec 9>"$out/lock" # two tests may want the same at once
	flock 9
fi

# Whether $1 is newer than every source in the other places.
is_fresh() {
	made=$1
	shift
	[ -e "$made" ] && [ -z "$(find "$@" -type f -newer "$made")" ]
}

# The program of $here/go as $1.
go_build() {
	go=$("$repo/tests/e2e/toolchain.sh" go)
	cd "$here/go"
	GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 nice "$go" build -trimpath -ldflags=-s -o "$1" .
}

# The program of $here/java, with all that it needs, into $out/java.
java_build() {
	cd "$here/java"
	rm -rf "$out/java"
	nice mvn -q -B -Dout="$out/java" -Dmaven.repo.local="$out/m2" package >&2
}

# A new folder $1 with a venv of what $2 asks for.
venv_build() {
	rm -rf "$1" && mkdir -p "$1"
	/usr/bin/python3 -m venv "$1/venv"
	nice "$1/venv/bin/pip" -q install --disable-pip-version-check -r "$2"
}

# $1 becomes a folder with the packages that $here/node locks.
node_build() {
	rm -rf "$1" && mkdir -p "$1"
	cp "$here/node/package.json" "$here/node/package-lock.json" "$1/"
	(cd "$1" && nice npm ci --silent --ignore-scripts --no-audit --no-fund --cache "$out/npm" >&2)
}
