#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The provider's own tests on stock Debian kernels, in every tier that they have; one boot for each kernel.
# They run from build/tests/unit, and `fuse` is the FUSE backend of the credential tree; results come back over a serial port.
set -u
cd "$(dirname "$0")/../.." || exit 2
JOBS=("6.1 lsm fentry kmod svidd fuse" "6.12 lsm fentry kmod tp fuse")
GROUPS_EACH=8 # of tests: provider_life_test has three, provider_test two but for kmod; `svidd` (module_life.py) and `fuse` (tree_fuse_test) are one program

# In the VM. The module is there for its own turn only, and leaves without a word.
in_vm() {
	for tier; do
		echo "==== $tier"
		case $tier in kmod | svidd) insmod "build/kmod/$VM/svid.ko" || exit 1 ;; esac
		case $tier in
		svidd) python3 tests/vm/module_life.py ;;
		fuse) build/tests/unit/tree_fuse_test ;;
		*)
			for t in test change_test life_test flood_test reader_test; do
				SVID_TEST_TIER=$tier "build/tests/unit/provider_$t"
			done
			;;
		esac
		case $tier in kmod | svidd) rmmod svid || echo "[  FAILED  ] rmmod" ;; esac
	done
	exit 0
}
[ "${1:-}" != --in-vm ] || in_vm "${@:2}"

if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "skipped: qemu-system-x86 is not installed"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
mkdir -p build/check
for job in "${JOBS[@]}"; do
	read -r kernel tiers <<<"$job"
	{
		# what the kernel log holds against it counts for the last tier
		# shellcheck disable=SC2086 # a list of tiers
		tests/vm/run.sh "$kernel" --name "evidence-$kernel" --timeout 900 -- tests/vm/evidence_test.sh --in-vm $tiers ||
			echo "[  FAILED  ] machine or kernel log"
	} >"build/check/vm-evidence-$kernel.log" 2>&1 &
done
wait

passed=0 failed=0 skipped=0
for job in "${JOBS[@]}"; do
	read -r kernel tiers <<<"$job"
	log=build/check/vm-evidence-$kernel.log
	for tier in $tiers; do
		part=$(awk -v t="$tier" '/^====/ { on = $2 == t } on' "$log" | tr -d '\r')
		groups=$GROUPS_EACH
		case $tier in svidd | fuse) groups=1 ;; kmod) groups=$((GROUPS_EACH - 1)) ;; esac
		ok=$(grep -c '^\[       OK \]' <<<"$part")
		# A VM that broke before all programs ended has failed.
		[ "$(grep -c '^\[==========\] .* run\.' <<<"$part")" -eq $groups ] || failed=$((failed + 1))
		passed=$((passed + ok))
		failed=$((failed + $(grep -c '^\[  FAILED  \] [a-zA-Z_ ]*$' <<<"$part")))
		skipped=$((skipped + $(grep -c '^\[  SKIPPED \] [a-z_]*$' <<<"$part")))
		echo "Linux $kernel, $tier: $ok ok"
	done
	! grep -q '^\[  FAILED' "$log" || tail -n 60 "$log"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
