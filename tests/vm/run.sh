#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one command as root in a VM with a stock Debian kernel on the host's own files, and exits with its code.
# Usage: run.sh <6.1|6.12> [--append "kernel args"] [--timeout S] [--name N] [--] command...
# Exit codes of its own: 2 usage, 124 timeout, 125 no result or a bad kernel log. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
vm=$repo/build/vm

say() { echo "vm $name: $*" >&2; }

quote() { printf '%s\n' "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"; }

# The command as a shell script: argv survives whatever it holds, and the working directory is the caller's.
write_job() {
	quoted=
	for arg; do
		quoted="$quoted $(quote "$arg")"
	done
	cat <<-END
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=dumb VM=$version
	cd $(quote "$PWD") || exit 125
	exec$quoted
	END
}

boot() {
	# shellcheck disable=SC2086 # VM_QEMU is a list of options
	timeout --foreground -k 5 "$limit" qemu-system-x86_64 \
		-machine q35,accel=tcg -cpu max -smp "${VM_SMP:-2}" -m "${VM_MEMORY:-1024}" ${VM_QEMU:-} \
		-nodefaults -no-user-config -display none -no-reboot \
		-serial "file:$run/log" -serial stdio -serial "file:$run/code" \
		-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=host,mount_tag=host \
		-kernel "$vm/$version/vmlinux" -initrd "$vm/$version/initramfs" \
		-append "console=ttyS0 panic=-1 reboot=t oops=panic panic_on_warn=1 slub_debug=FZPU nowatchdog $append -- $run/job $repo" \
		</dev/null
}

[ $# -gt 1 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
version=$1 name=$1 append='' limit=300
shift
while [ $# -gt 0 ]; do
	case $1 in
	--append) append=$2; shift 2 ;;
	--timeout) limit=$2; shift 2 ;;
	--name) name=$2; shift 2 ;;
	--) shift; break ;;
	-*) say "unknown option $1"; exit 2 ;;
	*) break ;;
	esac
done
[ $# -gt 0 ] || { say "no command"; exit 2; }

"$here/kernels.sh" "$version"
run=$(mktemp -d "$vm/run.XXXXXX")
trap 'rm -rf "$run"' EXIT
trap 'exit 130' INT TERM
write_job "$@" >"$run/job"
status=0
boot || status=$?
log=$vm/$name.log
mv "$run/log" "$log" 2>/dev/null || :

if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
	say "timeout after $limit s; kernel log: $log"
	exit 124
fi
if grep -aE 'WARNING: |BUG[: ]|Oops|Kernel panic|general protection fault' "$log" >&2; then
	say "bad kernel log: $log"
	exit 125
fi
if ! [ -s "$run/code" ]; then
	tail -n 5 "$log" >&2
	say "no result (qemu exit $status); kernel log: $log"
	exit 125
fi
exit "$(tr -cd 0-9 <"$run/code")"
