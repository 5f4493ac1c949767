#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Debian packages that building and testing svidd need. Asks before it installs, unless --yes.
# Usage: deps.sh [--yes] [cross|debug]   with a word: what `make cross` or `make vm-debug` needs besides
#        deps.sh --libraries             names the libraries among them, for agent/dist/cross.sh
set -eu

build="gcc make pkg-config clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libc6-dev linux-libc-dev
	libnghttp2-dev libseccomp-dev libjansson-dev libyaml-dev libprotobuf-c-dev protobuf-c-compiler
	protobuf-compiler libssl-dev libsqlite3-dev libfuse3-dev libexpat1-dev libcurl4-openssl-dev python3 ca-certificates"
check="libclang-rt-14-dev libcmocka-dev liburing-dev qemu-system-x86 cpio xz-utils zstd kmod procps openssl shellcheck universal-ctags
	valgrind git curl python3-venv mandoc zsh"
cross="gcc-aarch64-linux-gnu"
debug="flex bison bc"

yes='' want="$build $check" tools="javac:openjdk-17-jdk-headless mvn:maven node:nodejs npm:npm systemd-sysusers:systemd-standalone-sysusers"
for word; do
	case $word in
	--yes) yes=1 ;;
	--libraries)
		# shellcheck disable=SC2086 # a list of words
		printf '%s\n' $build | grep -- '-dev$' | tr '\n' ' '
		exit 0 ;;
	cross) want=$cross tools= ;;
	debug) want=$debug tools= ;;
	*) echo "deps.sh: unknown word '$word'" >&2; exit 2 ;;
	esac
done

missing=
for p in $want; do
	dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null | grep -q '^ii' || missing="$missing $p"
done
# What another vendor, or systemd itself, may have brought is as good, and Debian's package may not go beside it.
for tool in $tools; do
	command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
[ -n "$missing" ] || exit 0

echo "svidd needs these Debian packages:$missing"
if [ -z "$yes" ]; then
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
