#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Shows that the harness can fail: exit codes, timeouts and bad kernel logs come out of the VM as run.sh's exit code, and
# both kernels have the LSM list that the attack tests need. About 40 s. Usage: harness_test.sh
set -u
run=$(dirname "$0")/run.sh
out=$(mktemp)
trap 'rm -f "$out"' EXIT
passed=0
failed=0

# expect NAME CODE PATTERN run.sh-arguments...
expect() {
	name=$1 want=$2 pattern=$3
	shift 3
	"$run" "$@" >"$out" 2>&1
	got=$?
	if [ "$got" -eq "$want" ] && grep -q -e "$pattern" "$out"; then
		echo "PASS $name"
		passed=$((passed + 1))
	else
		echo "FAIL $name: exit $got, want $want and \"$pattern\" in:"
		sed 's/^/    /' "$out"
		failed=$((failed + 1))
	fi
}

for kernel in 6.1 6.12; do
	expect "$kernel has the BPF LSM" 0 ',bpf' "$kernel" -- cat /sys/kernel/security/lsm
	expect "$kernel can be without it" 0 'yama,apparmor\(,ima,evm\)\?$' \
		"$kernel" --append lsm=landlock,lockdown,yama,apparmor -- cat /sys/kernel/security/lsm
	expect "$kernel passes the exit code" 7 'seven' "$kernel" -- sh -c 'echo seven; exit 7'
	expect "$kernel panics: no success" 125 'Kernel panic' "$kernel" -- sh -c 'echo c >/proc/sysrq-trigger'
done
expect "a WARNING is a failure" 125 'bad kernel log' 6.12 -- sh -c 'echo "WARNING: CPU: 0 of a test" >/dev/kmsg'
expect "a hang ends" 124 'timeout after 8 s' 6.12 --timeout 8 -- sh -c 'echo started; exec sleep 100'
expect "the host's files cannot be written" 1 'Read-only' 6.12 -- touch "$run"
expect "arguments arrive whole" 0 "^it's  \\\$HOME\$" 6.12 -- printf '%s\n' "it's  \$HOME"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
