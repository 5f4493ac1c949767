#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what tests/sdk needs into build/sdk, once, with what the registries' own clients fetch.
#   python   python/venv: the token services' library, boto3, AWS CLI, google-auth, azure-identity, moto
#   node     node/: a Node that is new enough for its SDKs, node_modules, client.js
#   go       go/sdk-go
#   java     java/sdk-java.jar and lib/
# Usage: clients.sh python|node|go|java
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../.." && pwd)/build/sdk
mkdir -p "$out"

# Whether $1 is newer than every source in the other places.
is_fresh() {
	made=$1
	shift
	[ -e "$made" ] && [ -z "$(find "$@" -type f -newer "$made")" ]
}

if [ -w "$out" ]; then # in the VM of tests/vm it is not, and all is there
	exec 9>"$out/lock" # two tests may want the same at once
	flock 9
fi

case ${1:-} in
python)
	made=$out/python/made
	! is_fresh "$made" "$here/requirements.txt" || exit 0
	rm -rf "$out/python" && mkdir -p "$out/python"
	/usr/bin/python3 -m venv "$out/python/venv"
	nice "$out/python/venv/bin/pip" -q install --disable-pip-version-check -r "$here/requirements.txt"
	touch "$made"
	;;
node)
	if ! is_fresh "$out/node/node" "$here/node/package.json" "$here/node/package-lock.json"; then
		rm -rf "$out/node" && mkdir -p "$out/node"
		cp "$here/node/package.json" "$here/node/package-lock.json" "$out/node/"
		(cd "$out/node" && nice npm ci --silent --ignore-scripts --no-audit --no-fund --cache "$out/npm" >&2)
		cp "$out"/node/node_modules/node-linux-*/bin/node "$out/node/node"
	fi
	cmp -s "$here/node/client.js" "$out/node/client.js" || cp "$here/node/client.js" "$out/node/"
	;;
go)
	! is_fresh "$out/go/sdk-go" "$here/go" || exit 0
	go=$("$here/../e2e/toolchain.sh" go)
	cd "$here/go"
	GOTOOLCHAIN=local GOFLAGS=-mod=readonly CGO_ENABLED=0 nice "$go" build -trimpath -ldflags=-s -o "$out/go/sdk-go" .
	;;
java)
	! is_fresh "$out/java/sdk-java.jar" "$here/java" || exit 0
	cd "$here/java"
	rm -rf "$out/java"
	nice mvn -q -B -Dout="$out/java" -Dmaven.repo.local="$out/m2" package >&2
	;;
*)
	sed -n '4,8s/^# //p' "$0" >&2
	exit 2
	;;
esac
