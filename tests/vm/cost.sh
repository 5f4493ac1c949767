#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Figures of the evidence in instructions, on a VM whose clock counts them (icount.sh): tests/vm/cost.c for every tier.
# Usage: cost.sh [6.1|6.12]
set -eu
cd "$(dirname "$0")/../.."
kernel=${1:-6.1}
make -s "build/kmod/$kernel/svid.ko" build/tests/vm/cost
"${CC:-gcc}" -O2 -Wall -static -o build/tests/vm/stamp tests/vm/stamp.c
exec tests/vm/icount.sh "$kernel" --name "cost-$kernel" --timeout 600 -- \
	sh -c 'cp build/tests/vm/stamp /tmp && exec build/tests/vm/cost lsm fentry kmod'
