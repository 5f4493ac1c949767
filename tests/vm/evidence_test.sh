#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The provider's own tests on stock Debian kernels, in the tiers that the build machine's kernel refuses.
# They run from build/tests/unit; results come back over the VM's second serial port.
set -u
cd "$(dirname "$0")/../.." || exit 2
TESTS="build/tests/unit/provider_test; build/tests/unit/provider_change_test; build/tests/unit/provider_flood_test; build/tests/unit/provider_reader_test"
JOBS="6.1:lsm 6.12:fentry"

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "skipped: qemu-system-x86 is not installed"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
mkdir -p build/check
for job in $JOBS; do
	tests/vm/run.sh "${job%:*}" --name "evidence-$job" --timeout 400 -- \
		env "SVID_TEST_TIER=${job#*:}" sh -c "$TESTS" >"build/check/vm-evidence-$job.log" 2>&1 &
done
wait

passed=0 failed=0 skipped=0
for job in $JOBS; do
	log=build/check/vm-evidence-$job.log
	# A VM that broke before all programs ended has failed (the second has two groups).
	[ "$(grep -c '^\[==========\] .* run\.' "$log")" -eq 5 ] || failed=$((failed + 1))
	passed=$((passed + $(grep -c '^\[       OK \]' "$log")))
	failed=$((failed + $(grep -c '^\[  FAILED  \] [a-z_]*.\?$' "$log")))
	skipped=$((skipped + $(grep -c '^\[  SKIPPED \] [a-z_]*.\?$' "$log")))
	grep -q '^\[  FAILED' "$log" && tail -n 60 "$log"
	echo "Linux ${job%:*}, bpf-${job#*:}: $(grep -c '^\[       OK \]' "$log") ok"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
