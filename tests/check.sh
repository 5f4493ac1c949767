#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the test tiers in order, fast to slow, and adds up their counts. `tests/check.sh [TIER...]`.
#
# A tier is a function below whose command ends with a line "N passed, N failed, N skipped".
# Its whole output is in build/check/TIER.log; a failing tier's last lines are shown.
# STRICT=1: a skip fails, and so does a compiler's warning. T=name: only tests whose name contains it. ALL=1: the slow rest too.
set -u
cd "$(dirname "$0")/.." || exit 2
MAKE=${MAKE:-make}
export STRICT=${STRICT:-} T=${T:-} ALL=${ALL:-}
export CI=${CI:-$STRICT}
TIERS="lint build unit san role e2e attack conformance fuzz sdk vm"
LOGS=build/check
mkdir -p "$LOGS"

tier_lint() { tests/lint/lint.sh; }
tier_build() {
	$MAKE -s -j"$(nproc)" tests && $MAKE -s -j"$(nproc)" SAN=1 tests && $MAKE -s -j"$(nproc)" CC=clang all || return
	[ -z "$ALL" ] || $MAKE -s -j"$(nproc)" YES=1 ARCH=arm64 cross || return
	echo "$((3 + ${ALL:-0})) passed, 0 failed, 0 skipped"
}
tier_unit() { python3 tests/lib/programs.py build/tests/unit build/tests/fault; }
tier_san() {
	AGAIN=300 O=build/san python3 tests/lib/programs.py build/san/tests/unit build/san/tests/fault build/san/tests/role \
		tests/e2e/policy_test.py tests/e2e/cli_test.py tests/e2e/clients_test.py
}
tier_role() { AGAIN=300 python3 tests/lib/programs.py build/tests/role tests/role; }
tier_e2e() { AGAIN=300 python3 tests/lib/programs.py tests/e2e; }
tier_attack() { rm -f "$LOGS"/attack*.json "$LOGS"/attack-table.txt; AGAIN=300 python3 tests/lib/programs.py tests/attack; }
tier_conformance() { AGAIN=300 python3 tests/lib/programs.py tests/conformance; }
tier_fuzz() { $MAKE -s -j"$(nproc)" fuzz; }
tier_sdk() { AGAIN=300 python3 tests/lib/programs.py tests/sdk; }
# run.sh lets two VMs run; the programs side by side keep both places taken. The longest begin.
tier_vm() {
	$MAKE -s -j"$(nproc)" module tests build/tests/vm/cost &&
		TEST_TIMEOUT=3600 AGAIN=900 LANES=3 python3 tests/lib/programs.py \
			tests/vm/attack_test.py tests/vm/evidence_test.sh tests/vm/cloud_test.py tests/vm/module_test.sh tests/vm
}

# Prints "passed failed skipped" of the last summary line in a log.
counts() {
	sed -nE 's/^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?.*/\1 \2 \4/p' "$1" | tail -n 1 |
		awk '{ print $1, $2, ($3 == "" ? 0 : $3) }'
}

total_passed=0 total_failed=0 total_skipped=0
run_tier() {
	local name=$1 log=$LOGS/$1.log start=$SECONDS rc passed failed skipped
	printf '%-12s ' "$name"
	"tier_$name" >"$log" 2>&1 </dev/null
	rc=$?
	read -r passed failed skipped <<<"$(counts "$log")"
	: "${passed:=0}" "${failed:=0}" "${skipped:=0}"
	# A tier that broke before it could count, or that ran nothing, has failed.
	if [ $rc -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
	if [ $((passed + failed + skipped)) -eq 0 ]; then failed=1; fi
	# What a sanitizer cannot run (a process that maps over its own text) ran plain in an earlier tier.
	if [ -n "$STRICT" ] && [ "$name" != san ]; then failed=$((failed + skipped)); fi
	printf '%4d s  %5d passed  %3d failed  %3d skipped\n' $((SECONDS - start)) "$passed" "$failed" "$skipped"
	grep -hE '^ *(skipped: |skip |failed once: )' "$log" | sort -u | head -20
	if [ "$failed" -gt 0 ]; then
		echo "--- $log:"
		grep -nE 'FAIL|FAILED|not ok|error:|Error|runtime error|AddressSanitizer' "$log" | head -40
		tail -n 40 "$log"
		echo "---"
	fi
	total_passed=$((total_passed + passed))
	total_failed=$((total_failed + failed))
	total_skipped=$((total_skipped + skipped))
}

# shellcheck disable=SC2086,SC2048 # lists of words
for tier in ${*:-$TIERS}; do run_tier "$tier"; done
echo
case " $* " in *attack*|*vm*|"  ") cat "$LOGS/attack-table.txt" 2>/dev/null; echo ;; esac
echo "$total_passed passed, $total_failed failed, $total_skipped skipped"
[ "$total_failed" -eq 0 ]
