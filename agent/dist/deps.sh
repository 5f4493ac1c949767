#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Debian packages that building and testing svidd need. Asks before it installs, unless --yes.
set -eu

build="gcc make pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libc6-dev linux-libc-dev
	libnghttp2-dev libseccomp-dev libjansson-dev libyaml-dev libprotobuf-c-dev protobuf-c-compiler
	protobuf-compiler libssl-dev libsqlite3-dev libexpat1-dev libcurl4-openssl-dev python3 ca-certificates"
check="libclang-rt-14-dev libcmocka-dev liburing-dev qemu-system-x86 cpio xz-utils zstd kmod procps openssl shellcheck universal-ctags
	valgrind git curl python3-venv mandoc zsh"

missing=
for p in $build $check; do
	dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"
done
# Languages of clients in tests/e2e: another vendor's package is as good, and Debian's may not go beside it.
for tool in javac:openjdk-17-jdk-headless mvn:maven node:nodejs npm:npm; do
	command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
[ -n "$missing" ] || exit 0

echo "svidd needs these Debian packages:$missing"
if [ "${1:-}" != --yes ]; then
	[ -t 0 ] || { echo "not a terminal: run again with YES=1 to install them" >&2; exit 1; }
	printf 'Install them now? [y/N] '
	read -r answer
	[ "$answer" = y ] || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing >/dev/null
echo "installed."
