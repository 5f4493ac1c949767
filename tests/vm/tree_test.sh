#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The credential tree of svid.ko on stock Debian kernels: the programs below, which play the agent and its
# readers. A warning in the kernel log, or a slab found written after its end, ends the VM and fails the test.
set -u
cd "$(dirname "$0")/../.." || exit 2
PROGRAMS="tree_test tree_reader_test tree_stress_test"
KERNELS="6.1 6.12"

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "skipped: qemu-system-x86 is not installed"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
make -s module || exit 1
job=
for program in $PROGRAMS; do
	make -s "build/tests/vm/$program" || exit 1
	job="$job build/tests/vm/$program;"
done
mkdir -p build/check
for kernel in $KERNELS; do
	tests/vm/run.sh "$kernel" --name "tree-$kernel" --timeout 400 -- sh -c "$job" >"build/check/vm-tree-$kernel.log" 2>&1 &
done
wait

passed=0 failed=0
for kernel in $KERNELS; do
	log=build/check/vm-tree-$kernel.log
	# A VM that broke before all programs ended has failed.
	[ "$(grep -c '^\[==========\] .* run\.' "$log")" -eq 3 ] || failed=$((failed + 1))
	passed=$((passed + $(grep -c '^\[       OK \]' "$log")))
	failed=$((failed + $(grep -c '^\[  FAILED  \] [a-z_]*.\?$' "$log")))
	grep -qE '^\[  FAILED|^vm tree' "$log" && tail -n 60 "$log"
	echo "Linux $kernel: $(grep -c '^\[       OK \]' "$log") ok; $(grep -a 'longest wait' "$log" | tr -d '\r')"
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
