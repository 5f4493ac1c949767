#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the debug kernel: Debian's source of 6.1 with debug.config, which looks for what a stock kernel cannot see (KASAN,
# lockdep, kmemleak, failing allocations). Five minutes of two processors and 400 MB, once, in build/vm/debug; then nothing.
# kernels.sh calls it for the version "debug": `run.sh debug -- command` and `make build/kmod/debug/svid.ko` just work.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
dir=$(cd "$here/../.." && pwd)/build/vm/debug
unset ARCH CROSS_COMPILE MAKEFLAGS MFLAGS

! cmp -s "$here/debug.config" "$dir/config" || exit 0
"$here/../../agent/dist/deps.sh" debug
rm -rf "$dir"
mkdir -p "$dir/fetch" "$dir/build"
(cd "$dir/fetch" && apt-get -qq download -o APT::Sandbox::User=root linux-source-6.1 && dpkg-deb -x ./*.deb .)
echo "building a debug kernel from Debian's $(cd "$dir/fetch" && echo linux-source-*.deb)"
tar -C "$dir/fetch" -xJf "$dir/fetch/usr/src/linux-source-6.1.tar.xz"
mv "$dir/fetch/linux-source-6.1" "$dir/source"
rm -rf "$dir/fetch"
cd "$dir/source"
# QEMU starts the kernel by its PVH entry, where there is no memory yet for KASAN to look at; nor is this Xen, which
# that code looks for with a function that KASAN watches.
echo 'KASAN_SANITIZE := n' >>arch/x86/platform/pvh/Makefile
sed -i 's/= xen_cpuid_base()/= 0/' arch/x86/platform/pvh/enlighten.c
KCONFIG_ALLCONFIG="$here/debug.config" make -s O=../build allnoconfig
grep '^CONFIG_' "$here/debug.config" | grep -vxFf ../build/.config && { echo "debug.sh: the kernel has no such setting" >&2; exit 1; }
nice make -s O=../build -j"$(nproc)" KBUILD_BUILD_USER=svid KBUILD_BUILD_HOST=svid vmlinux modules >../build.log 2>&1 ||
	{ tail -n 20 ../build.log >&2; exit 1; }
cp ../build/vmlinux ../build/include/config/kernel.release ..
# What modules are built with stays.
rm -rf Documentation block crypto drivers fs mm net samples sound
cd ../build && rm -rf block crypto drivers fs mm net vmlinux.o ./.tmp_vmlinux*
mv ../kernel.release ../release
cp "$here/debug.config" ../config
