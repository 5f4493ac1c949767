#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target for SECONDS_EACH (default 10) from its recorded corpus; two at a time.
# A crash leaves its input in build/fuzz/crash-* and fails the target.
set -u
cd "$(dirname "$0")/../.." || exit 2
SECONDS_EACH=${SECONDS_EACH:-10}
passed=0 failed=0

one() {
	local bin=$1 name corpus seeds
	name=$(basename "$bin")
	corpus=build/fuzz/corpus/$name
	seeds=tests/fuzz/corpus/$name
	mkdir -p "$corpus"
	[ -d "$seeds" ] || seeds=
	"$bin" -max_total_time="$SECONDS_EACH" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="build/fuzz/crash-$name-" "$corpus" $seeds >"build/fuzz/$name.log" 2>&1
}

run_pair() {
	local pids=() names=() i
	for bin in "$@"; do
		one "$bin" &
		pids+=($!) names+=("$bin")
	done
	for i in "${!pids[@]}"; do
		if wait "${pids[$i]}"; then
			passed=$((passed + 1))
			echo "ok   $(basename "${names[$i]}")  $(grep -h 'stat::number_of_executed_units' \
				"build/fuzz/$(basename "${names[$i]}").log" | awk '{ print $2 }') runs"
		else
			failed=$((failed + 1))
			echo "FAIL $(basename "${names[$i]}")"
			tail -n 40 "build/fuzz/$(basename "${names[$i]}").log"
		fi
	done
}

mapfile -t bins < <(ls build/fuzz/tests/fuzz/*_fuzz 2>/dev/null)
for ((i = 0; i < ${#bins[@]}; i += 2)); do run_pair "${bins[@]:i:2}"; done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
