#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What `make install` puts into /usr/src builds svid.ko by what dkms.conf says, for Debian's kernels; no machine needed. dkms is
# not asked: its part here is to set three variables and to run MAKE[0]. Usage: dkms_test.sh
set -u
cd "$(dirname "$0")/../.." || exit 2
renice -n 10 -p $$ >/dev/null # beside VMs whose tests measure time
passed=0 failed=0
tmp=$(mktemp -d "$PWD/build/dkms.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# expect NAME command...
expect() {
	local name=$1
	shift
	if "$@" >"$tmp/log" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $name"
		tail -n 20 "$tmp/log"
	fi
}

load() {
	# shellcheck disable=SC2034 # dkms.conf uses them
	kernel_source_dir=$PWD/build/kmod/headers/$1/build dkms_tree=$tmp/tree
	# shellcheck source=/dev/null
	. "$source/dkms.conf"
}

takes() { [[ $1 =~ $BUILD_EXCLUSIVE_KERNEL ]]; }
refuses() { ! takes "$1"; }

builds() (
	local dir=$tmp/tree/$PACKAGE_NAME/$PACKAGE_VERSION release
	release=$(cat "build/kmod/headers/$1/release")
	mkdir -p "$(dirname "$dir")" && rm -rf "$dir" && mkdir "$dir" && cp -r "$source" "$dir/build" || exit 1
	(cd "$dir/build" && eval "${MAKE[0]}") || exit 1
	modinfo -F vermagic "$dir/build/${BUILT_MODULE_NAME[0]}.ko" | grep -F "$release " || exit 1
	(cd "$dir/build" && eval "$CLEAN") && ! [ -e "$dir/build/${BUILT_MODULE_NAME[0]}.ko" ]
)

has_settings() {
	local setting
	for setting in $BUILD_EXCLUSIVE_CONFIG; do
		grep -x "$setting=[ym]" "build/kmod/headers/$1/build/.config" || return 1
	done
}

version=$(sed -n 's/^VERSION *= *//p' Makefile)
source=$tmp/install/usr/src/svid-$version
make -s install-kmod DESTDIR="$tmp/install" || exit 1
for kernel in 6.1 6.12; do
	tests/vm/headers.sh "$kernel" || exit 1
	load "$kernel"
	expect "$kernel has the settings that dkms.conf asks for" has_settings "$kernel"
	expect "$kernel is a kernel that dkms.conf takes" takes "$(cat "build/kmod/headers/$kernel/release")"
	expect "the installed source builds for $kernel" builds "$kernel"
done
for kernel in 6.10.3 6.18.44 7.0.1-amd64; do expect "takes $kernel" takes "$kernel"; done
for kernel in 5.10.0-35-amd64 6.0.12 4.19; do expect "does not take $kernel" refuses "$kernel"; done
expect "its version is the Makefile's" test "$PACKAGE_NAME-$PACKAGE_VERSION" = "svid-$version"
expect "modules-load names the module" grep -qx "${BUILT_MODULE_NAME[0]}" "$source/svid.modules-load"
expect "INSTALL.md names the version" grep -qF "$PACKAGE_NAME/$PACKAGE_VERSION" "$source/INSTALL.md"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
