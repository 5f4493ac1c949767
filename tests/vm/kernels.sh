#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fetches Debian's 6.1 and 6.12 kernel packages through apt, unpacks them under build/vm (nothing is installed) and makes
# the initramfs. Usage: kernels.sh [6.1|6.12|debug]... (the first two by default; debug.sh makes the third). What is there is
# left alone; run.sh calls this itself.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vm=$(cd "$here/../.." && pwd)/build/vm
modules='virtio_pci 9pnet_virtio 9p overlay fuse'

meta_package() {
	case $1 in
	6.1) echo linux-image-amd64 ;;
	6.12) echo linux-image-6.12-amd64 ;;
	*) echo "kernels.sh: no kernel '$1', only 6.1 and 6.12" >&2; return 2 ;;
	esac
}

# The meta package names the version it stands for; a Debian 13 machine's would be another kernel, hence the prefix.
image_package() {
	LC_ALL=C apt-cache depends --important "$1" 2>/dev/null |
		awk -v prefix="linux-image-$2." '$1 == "Depends:" && index($2, prefix) == 1 { print $2; exit }'
}

field() { od -An -j "$2" -N "$3" -t "u$3" "$1" | tr -d ' '; }

# Boot the ELF inside the bzImage (by its PVH entry): unpacking it under emulation costs seconds at every start.
# Offsets: Documentation/x86/boot.rst; the payload ends with four bytes of its unpacked length.
extract_vmlinux() {
	start=$((($(field "$1" 0x1f1 1) + 1) * 512 + $(field "$1" 0x248 4)))
	tail -c +$((start + 1)) "$1" | head -c $(($(field "$1" 0x24c 4) - 4)) >"$2.packed"
	xz -dc --single-stream "$2.packed" >"$2" 2>/dev/null || zstd -dcq "$2.packed" >"$2"
	rm "$2.packed"
}

fetch() {
	meta=$(meta_package "$1")
	image=$(image_package "$meta" "$1")
	if [ -z "$image" ]; then
		apt-get -qq update
		image=$(image_package "$meta" "$1")
	fi
	if [ -z "$image" ]; then
		echo "kernels.sh: apt has no $meta for $1; both kernels are in bookworm-security" >&2
		return 1
	fi
	tmp=$(mktemp -d "$vm/fetch.XXXXXX")
	(cd "$tmp" && apt-get -qq download -o APT::Sandbox::User=root "$image")
	dpkg-deb -x "$tmp"/*.deb "$tmp/root"
	release=${image#linux-image-}
	depmod -b "$tmp/root" "$release"
	extract_vmlinux "$tmp/root/boot/vmlinuz-$release" "$tmp/root/vmlinux"
	echo "$release" >"$tmp/root/release"
	rm -rf "${vm:?}/$1"
	mv -T "$tmp/root" "$vm/$1"
	rm -r "$tmp"
	echo "vm $1: $image"
}

pack() {
	tree=$(mktemp -d "$vm/pack.XXXXXX")
	mkdir "$tree/modules" "$tree/host"
	"${CC:-cc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -static -o "$tree/init" "$here/init.c"
	: >"$tree/order"
	# shellcheck disable=SC2086 # a list; the debug kernel has all of them built in
	[ "$1" = debug ] || modprobe -d "$vm/$1" -S "$(cat "$vm/$1/release")" -a --show-depends $modules |
		awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$tree/order"
	n=0
	while read -r file; do
		case $file in
		*.xz) xz -dc "$file" ;;
		*) cat "$file" ;;
		esac >"$tree/modules/$n"
		n=$((n + 1))
	done <"$tree/order"
	(cd "$tree" && find . | cpio -o -H newc --quiet) >"$vm/$1/initramfs.new"
	mv "$vm/$1/initramfs.new" "$vm/$1/initramfs"
	rm -r "$tree"
}

is_newer() { [ -n "$(find "$1" -newer "$2" 2>/dev/null)" ] || ! [ -e "$2" ]; }

mkdir -p "$vm"
[ $# -gt 0 ] || set -- 6.1 6.12
case " $* " in
*' debug '*) flock "$vm/lock.debug" "$here/debug.sh" ;; # long: it keeps nobody else waiting
esac
exec 9>"$vm/lock"
flock 9
rm -rf "$vm"/fetch.* "$vm"/pack.*
for version; do
	[ "$version" = debug ] || [ -e "$vm/$version/release" ] || fetch "$version"
	if is_newer "$here/init.c" "$vm/$version/initramfs" || is_newer "$0" "$vm/$version/initramfs"; then
		pack "$version"
	fi
done
