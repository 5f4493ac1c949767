#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what tests/sdk needs into build/sdk, once, with what the registries' own clients fetch.
#   python   python/venv: the token services' library, boto3, AWS CLI, google-auth, azure-identity, moto
#   node     node/: a Node that is new enough for its SDKs, node_modules, client.js
#   go       go/sdk-go
#   java     java/sdk-java.jar and lib/
# Usage: clients.sh python|node|go|java
# shellcheck disable=SC2154 # here, repo and out are set by registries.sh
set -eu
. "$(dirname "$0")/../lib/registries.sh"

case ${1:-} in
python)
	made=$out/python/made
	! is_fresh "$made" "$here/requirements.txt" || exit 0
	venv_build "$out/python" "$here/requirements.txt"
	touch "$made"
	;;
node)
	if ! is_fresh "$out/node/node" "$here/node/package.json" "$here/node/package-lock.json"; then
		node_build "$out/node"
		cp "$out"/node/node_modules/node-linux-*/bin/node "$out/node/node"
	fi
	cmp -s "$here/node/client.js" "$out/node/client.js" || cp "$here/node/client.js" "$out/node/"
	;;
go)
	! is_fresh "$out/go/sdk-go" "$here/go" || exit 0
	go_build "$out/go/sdk-go"
	;;
java)
	! is_fresh "$out/java/sdk-java.jar" "$here/java" || exit 0
	java_build
	;;
*)
	sed -n '4,8s/^# //p' "$0" >&2
	exit 2
	;;
esac
