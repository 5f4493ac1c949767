#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Like run.sh, on one CPU whose clocks advance by one nanosecond per instruction: what clock_gettime(CLOCK_MONOTONIC)
# measures inside is instructions, user space and kernel together, whatever the host's load. Waiting costs no host time
# but is on the clock: measure work that never waits, more than once, and take the least.
# Usage: icount.sh <6.1|6.12> [run.sh's options] [--] command...
set -eu
[ $# -gt 1 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
version=$1
shift
# The pause lets the kernel finish starting.
VM_SMP=1 VM_SETTLE=5 VM_QEMU='-icount shift=0,sleep=off' \
	exec "$(dirname "$0")/run.sh" "$version" --append 'slub_debug=- clocksource=tsc tsc=reliable' "$@"
