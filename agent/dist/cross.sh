#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make ARCH=arm64 cross` builds against: Debian's libraries, kernel headers and the kernel's types for another
# architecture, fetched through apt into build/cross/ARCH. Nothing is installed, and apt on this machine goes on knowing
# its own architecture only: the other one has lists of its own in there. What is there is left alone. Usage: cross.sh arm64
set -eu
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { echo "usage: make ARCH=arm64 cross" >&2; exit 2; }
arch=$1
kernels='6.1 6.12'

case $arch in
arm64) ;;
*) echo "cross.sh: '$arch' is no architecture of ours, only arm64" >&2; exit 2 ;;
esac
dir=$(cd "$here/../.." && pwd)/build/cross/$arch
stamp=$("$here/deps.sh" --libraries)
[ "$(cat "$dir/ready" 2>/dev/null)" != "$stamp" ] || exit 0

# apt for the other architecture: the machine's sources, and a dpkg that has nothing installed.
target() {
	tool=$1
	shift
	"$tool" -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" \
		-o Dir::Cache="$dir/apt" "$@"
}

depends() { LC_ALL=C target apt-cache depends --important "$1" | awk -v want="$2" '$1 == "Depends:" && $2 ~ want { print $2; exit }'; }

meta_package() {
	case $1 in
	6.1) echo "linux-headers-$arch" ;;
	*) echo "linux-headers-$1-$arch" ;;
	esac
}

unpack() {
	mkdir -p "$2"
	for deb in "$1"/*.deb; do
		dpkg-deb -x "$deb" "$2"
	done
	rm "$1"/*.deb
}

# The static libraries, headers and shared objects that the programs link; links within it must not lead out of it.
libraries() {
	# shellcheck disable=SC2086 # a list
	target apt-get -y --no-install-recommends --download-only install $stamp >/dev/null
	unpack "$dir/apt/archives" "$dir/root.new"
	find "$dir/root.new" -type l -lname '/*' -printf '%p %l\n' | while read -r link to; do
		ln -sfn "$dir/root$to" "$link"
	done
	rm -rf "$dir/root"
	mv -T "$dir/root.new" "$dir/root"
}

# Headers and Module.symvers are the target's; the programs of kbuild are this machine's.
headers() {
	package=$(depends "$(meta_package "$1")" "^linux-headers-$1[.0-9]*")
	[ -n "$package" ] || { echo "cross.sh: apt has no kernel $1 for $arch" >&2; exit 1; }
	(cd "$dir/fetch" && target apt-get download "$package" "$(depends "$package" '-common$')" &&
		apt-get -qq download -o APT::Sandbox::User=root "$(depends "$package" '^linux-kbuild-')")
	unpack "$dir/fetch" "$dir/headers/$1"
	# The package names its other half by an absolute path.
	sed -i "s,/usr/src/,\$(dir \$(lastword \$(MAKEFILE_LIST)))../," "$dir/headers/$1/usr/src/$package/Makefile"
	# Debian gives the types of the kernel's structs since 6.12. With them there, kbuild would want pahole.
	[ ! -e "$dir/headers/$1/usr/src/$package/vmlinux" ] || mv "$dir/headers/$1/usr/src/$package/vmlinux" "$dir/btf"
	ln -sfn "usr/src/$package" "$dir/headers/$1/build"
	echo "${package#linux-headers-}" >"$dir/headers/$1/release"
}

echo "fetching $arch libraries and kernel packages"
rm -rf "$dir"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial" "$dir/fetch"
: >"$dir/apt/status"
target apt-get update
libraries
for kernel in $kernels; do
	headers "$kernel"
done
rm -rf "$dir/fetch" "$dir/apt"
echo "$stamp" >"$dir/ready"
