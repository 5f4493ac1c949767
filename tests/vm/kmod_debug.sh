#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The module's tests on the debug kernel (debug.sh), which adds: KASAN, lockdep, sleeping in the wrong place, objects freed in
# use (each ends the VM), then failing allocations (fault.c), and at the end kmemleak. `make vm-debug`; no part of
# `make check`: a machine that is emulated and checks itself is slow. Usage: kmod_debug.sh [program...] (of build/tests/vm)
set -u
cd "$(dirname "$0")/../.." || exit 2
if [ $# -eq 0 ]; then
	# What loads and unloads under traffic last: it is slow here.
	for file in tests/vm/*_test.c tests/vm/fault.c; do
		case $file in
		*reload*) last="${last:-} $(basename "$file" .c)" ;;
		*) set -- "$@" "$(basename "$file" .c)" ;;
		esac
	done
	# shellcheck disable=SC2086 # a list
	set -- "$@" ${last:-}
fi

if [ "${1:-}" = --inside ]; then
	shift
	leaks=/sys/kernel/debug/kmemleak
	for program; do
		echo clear >$leaks
		build/tests/vm/"$program"
		[ ! -e /sys/module/svid ] || rmmod svid || echo "[  FAILED  ] rmmod after $program"
		# Objects are looked at when they are five seconds old, and believed at the second sight.
		sleep 6
		for _ in 1 2 3; do echo scan >$leaks; done
		if [ -s $leaks ]; then
			echo "[  FAILED  ] ${program}_leaks"
			head -n 60 $leaks
		else
			echo "[       OK ] ${program}_leaks"
		fi
	done
	exit 0
fi

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "skipped: qemu-system-x86 is not installed"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
# shellcheck disable=SC2046 # a list
make -s build/kmod/debug/svid.ko $(printf 'build/tests/vm/%s ' "$@") || exit 1
mkdir -p build/check
log=build/check/vm-debug.log
# One processor at a time: module_test.sh says why.
VM_ACCEL="${VM_ACCEL:-tcg,thread=single}" tests/vm/run.sh debug --name kmod-debug --timeout "${DEBUG_TIMEOUT:-1800}" -- tests/vm/kmod_debug.sh --inside "$@" >$log 2>&1
rc=$?
passed=$(grep -c '^\[       OK \]' $log)
failed=$(grep -c '^\[  FAILED  \] [a-zA-Z_ ]*.\?$' $log)
# Each program ends with its leaks; a VM that ended before has failed.
[ "$(grep -c '_leaks.\?$' $log)" -eq $# ] || failed=$((failed + 1))
[ $rc -eq 0 ] || [ $failed -gt 0 ] || failed=1
[ $failed -eq 0 ] || tail -n 80 $log
echo "debug kernel $(cat build/vm/debug/release): whole output in $log"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ] && [ "$passed" -gt 0 ]
