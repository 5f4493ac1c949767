#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds what tests/sdk needs into build/sdk, once, with what the registries' own clients fetch.
# Usage: clients.sh python      python/venv: the token services' library, boto3, AWS CLI, google-auth, azure-identity, moto
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$(cd "$here/../.." && pwd)/build/sdk
mkdir -p "$out"
exec 9>"$out/lock" # two tests may want the same at once
flock 9

case ${1:-} in
python)
	made=$out/python/made
	[ ! -e "$made" ] || [ -n "$(find "$here/requirements.txt" -newer "$made")" ] || exit 0
	rm -rf "$out/python" && mkdir -p "$out/python"
	/usr/bin/python3 -m venv "$out/python/venv"
	nice "$out/python/venv/bin/pip" -q install --disable-pip-version-check -r "$here/requirements.txt"
	touch "$made"
	;;
*)
	sed -n '4,4s/^# //p' "$0" >&2
	exit 2
	;;
esac
