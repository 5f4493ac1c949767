#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Figures of the evidence in instructions, on a VM whose clock counts them (icount.sh): cost.c. Half a minute.
# Usage: cost_test.sh [6.1|6.12] [kmod|lsm|fentry|tp]...   (6.1 kmod)
set -eu
cd "$(dirname "$0")/../.."
if ! command -v qemu-system-x86_64 >/dev/null; then
	echo "skipped: qemu-system-x86 is not installed"
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi
kernel=${1:-6.1}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- kmod
make -s "build/kmod/$kernel/svid.ko" build/tests/vm/cost
"${CC:-gcc}" -O2 -Wall -static -o build/tests/vm/stamp tests/vm/stamp.c
exec tests/vm/icount.sh "$kernel" --name "cost-$kernel" --timeout 600 -- \
	sh -c "cp build/tests/vm/stamp /tmp && exec build/tests/vm/cost $*"
