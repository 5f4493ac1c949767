#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches the header packages of the kernels that kernels.sh fetched and unpacks them under build/kmod/headers/<version>
# (nothing is installed); prints nothing when they are there. `make module` calls it. Usage: headers.sh <6.1|6.12|debug>
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$here/../.." && pwd)/build
version=${1:?usage: headers.sh VERSION}
dir=$build/kmod/headers/$version

"$here/kernels.sh" "$version"
if [ "$version" = debug ]; then
	mkdir -p "$dir"
	ln -sfn ../../../vm/debug/build "$dir/build"
	exit 0
fi
release=$(cat "$build/vm/$version/release")
[ "$(cat "$dir/release" 2>/dev/null)" != "$release" ] || exit 0
mkdir -p "$build/kmod/headers"
tmp=$(mktemp -d "$build/kmod/headers/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
kbuild=$(LC_ALL=C apt-cache depends --important "linux-headers-$release" |
	awk '$1 == "Depends:" && $2 ~ /^linux-kbuild-/ { print $2; exit }')
(cd "$tmp" && apt-get -qq download -o APT::Sandbox::User=root "linux-headers-$release" \
	"linux-headers-${release%-amd64}-common" "$kbuild")
for deb in "$tmp"/*.deb; do
	dpkg-deb -x "$deb" "$tmp/root"
done
# The package names its other half by an absolute path.
sed -i "s,/usr/src/,\$(dir \$(lastword \$(MAKEFILE_LIST)))../," "$tmp/root/usr/src/linux-headers-$release/Makefile"
# Type information for the module is made from this by pahole; nobody needs it.
rm -f "$tmp/root/usr/src/linux-headers-$release/vmlinux"
ln -s "usr/src/linux-headers-$release" "$tmp/root/build"
echo "$release" >"$tmp/root/release"
rm -rf "$dir"
mv -T "$tmp/root" "$dir"
echo "headers $version: $release"
