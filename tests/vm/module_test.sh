#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# svid.ko on stock Debian kernels: every program of tests/vm, which loads the module, plays svidd, svid-core and their
# callers, and unloads it. Two boots for each kernel; a warning in its log, or a slab written past its end, fails the test.
# T=name: only programs whose name contains it, all where none does (T may mean this script).
set -u
cd "$(dirname "$0")/../.." || exit 2
KERNELS="6.1 6.12"
ALL=$(for f in tests/vm/*_test.c; do basename "$f" .c; done)
PROGRAMS=$(grep -e "${T:-}" <<<"$ALL" || echo "$ALL")

# In the VM.
in_vm() {
	for program; do
		"build/tests/vm/$program"
		[ ! -e /sys/module/svid ] || rmmod svid || echo "[  FAILED  ] rmmod after $program"
	done
	exit 0
}
[ "${1:-}" != --in-vm ] || in_vm "${@:2}"

# QEMU before 8.1 may keep a translation of code that another processor of the VM wrote meanwhile. Where that is a breakpoint
# of a probe being set, the kernel runs into nothing. So what loads the module under traffic has processors that take turns.
both() {
	local crowd reload
	crowd=$(tr ' ' '\n' <<<"$PROGRAMS" | grep -v reload)
	reload=$(tr ' ' '\n' <<<"$PROGRAMS" | grep reload)
	# shellcheck disable=SC2086 # lists of programs
	[ -z "$crowd" ] || tests/vm/run.sh "$1" --name "module-$1" --timeout 500 -- tests/vm/module_test.sh --in-vm $crowd ||
		echo "[  FAILED  ] machine or kernel log"
	# shellcheck disable=SC2086
	[ -z "$reload" ] || VM_ACCEL=tcg,thread=single \
		tests/vm/run.sh "$1" --name "reload-$1" --timeout 500 -- tests/vm/module_test.sh --in-vm $reload ||
		echo "[  FAILED  ] machine or kernel log"
}

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "skipped: qemu-system-x86 is not installed"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
# shellcheck disable=SC2046,SC2086 # a list of programs
make -s module $(printf 'build/tests/vm/%s ' $PROGRAMS) || exit 1
mkdir -p build/check
for kernel in $KERNELS; do
	both "$kernel" >"build/check/vm-module-$kernel.log" 2>&1 &
done
wait

passed=0 failed=0 skipped=0
for kernel in $KERNELS; do
	log=build/check/vm-module-$kernel.log
	text=$(tr -d '\r' <"$log")
	# A VM that broke before all programs ended has failed.
	[ "$(grep -c '^\[==========\] .* run\.' <<<"$text")" -eq "$(wc -w <<<"$PROGRAMS")" ] || failed=$((failed + 1))
	# So has a program whose tests never began: its setup failed, which cmocka counts as nothing.
	failed=$((failed + $(grep -cE '^\[=+\] (.* )?0 test\(s\) run\.' <<<"$text")))
	ok=$(grep -c '^\[       OK \]' <<<"$text")
	passed=$((passed + ok))
	failed=$((failed + $(grep -c '^\[  FAILED  \] [a-zA-Z_ ]*$' <<<"$text")))
	skipped=$((skipped + $(grep -c '^\[  SKIPPED \] [a-z_]*$' <<<"$text")))
	! grep -qE '^\[  FAILED|^vm (module|reload)' <<<"$text" || tail -n 60 "$log"
	echo "Linux $kernel: $ok ok"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
