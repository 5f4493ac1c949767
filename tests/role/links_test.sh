#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each program links what DESIGN.md 1 lets it link and nothing else: the link line is what keeps a
# library's code away from bytes that it must not see. One line per program, counts last.
set -u
cd "$(dirname "$0")/../.." || exit 2
BIN=${BIN:-build/bin}
passed=0 failed=0

# What every program on this platform has.
ALWAYS='libc ld-linux-x86-64 ld-linux-aarch64 libm libpthread libgcc_s'

# needed PROGRAM: library names, "libcrypto.so.3" as "libcrypto". Only the direct ones: what libbpf itself
# needs (libelf, libz) is not the program's choice.
needed() { readelf -d "$BIN/$1" | sed -nE 's/.*\(NEEDED\).*\[([^]]*)\]/\1/p' | sed -E 's/\.so.*//; s/\.so$//'; }

expect() {
	local program=$1 lib bad=''
	shift
	if [ ! -x "$BIN/$program" ]; then bad=' (not built)'; fi
	for lib in $(needed "$program"); do
		case " $ALWAYS $* " in
		*" $lib "*) ;;
		*) bad="$bad $lib" ;;
		esac
	done
	if [ -z "$bad" ]; then passed=$((passed + 1)); echo "ok $program"; return; fi
	failed=$((failed + 1))
	echo "FAIL $program may not link:$bad"
}

# A static-pie program has no library at run time, so look for what it must not contain.
is_static_without() {
	local program=$1 symbol bad=''
	shift
	[ -z "$(needed "$program")" ] || bad=' it is not static'
	for symbol in "$@"; do
		if nm "$BIN/$program" 2>/dev/null | grep -q " [TtWw] $symbol\$"; then bad="$bad $symbol"; fi
	done
	if [ -z "$bad" ]; then passed=$((passed + 1)); echo "ok $program"; return; fi
	failed=$((failed + 1))
	echo "FAIL $program:$bad"
}

expect svidd libbpf
expect svid-core libbpf libsqlite3 libjansson libfuse3 libseccomp
expect svid-attest libcrypto libjansson libseccomp
# It speaks with services outside: no parser of documents, nothing of the kernel's evidence.
expect svid-cloud libcurl libssl libcrypto libjansson libexpat libsqlite3 libseccomp
expect svid-keys libcrypto libseccomp
expect svid libyaml-0 libjansson libnghttp2 libprotobuf-c libcrypto libseccomp
# The front sees every byte of every workload: no way to make keys, to parse YAML, or to start a program.
is_static_without svid-front EVP_PKEY_sign sqlite3_open yaml_parser_parse bpf_prog_load system popen execvp

is_static_without svid-undertaker EVP_PKEY_sign sqlite3_open yaml_parser_parse bpf_prog_load nghttp2_hd_inflate_new system popen execvp

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
