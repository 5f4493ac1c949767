#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one command as root in a VM with a stock Debian kernel on the host's own files, and exits with its code.
# Usage: run.sh <6.1|6.12|debug> [--append "kernel args"] [--timeout S] [--name N] [--] command...
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
	${VM_SETTLE:+sleep "$VM_SETTLE"}
	exec$quoted
	END
}

# Two VMs of a checkout run at a time, whoever starts them: beside a third the floods of tests/attack starve what they should
# only disturb. Descriptor 8 holds the place until the VM is gone; the time limit begins with it.
take_turn() {
	while :; do
		for place in 1 2; do
			exec 8>"$vm/turn.$place"
			if flock -n 8; then return; fi
		done
		sleep 0.2
	done
}

# Without erms and fsrm the kernel copies by words: QEMU takes each byte of a rep movsb for an instruction.
boot() {
	# shellcheck disable=SC2086 # VM_QEMU is a list of options
	exec timeout --foreground -k 5 "$limit" qemu-system-x86_64 \
		-machine q35 -accel "${VM_ACCEL:-tcg}" -cpu "${VM_CPU:-max,-erms,-fsrm}" -smp "${VM_SMP:-2}" -m "${VM_MEMORY:-1024}" ${VM_QEMU:-} \
		-nodefaults -no-user-config -display none -no-reboot \
		-serial "file:$run/log" -serial stdio -serial "file:$run/code" \
		-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=host,mount_tag=host \
		-kernel "$vm/$version/vmlinux" -initrd "$vm/$version/initramfs" \
		-append "$fixed $append -- $run/job $repo" </dev/null
}

# QEMU before 8.1 may run a stale translation of code that the kernel is patching (README.md): a breakpoint that nobody has
# set. While it boots the command has not begun, so another boot takes nothing away from what is tested.
died_while_booting() {
	grep -aqE '\<int3: 0000 \[#1\]' "$log" && ! grep -aq 'Run /init as init process' "$log"
}

# Sets code: what the command gave, if the kernel has nothing to say against it.
judge() {
	code=125
	if [ "$1" -eq 124 ]; then
		code=124
		say "timeout after $limit s; kernel log: $log"
	elif grep -aE -m 1 -A 20 '(WARNING|\<BUG|Oops): |\<BUG |Kernel panic|general protection fault' "$log" >&2; then
		say "bad kernel log: $log"
	elif [ -s "$run/code" ]; then
		code=$(tr -cd 0-9 <"$run/code")
	else
		tail -n 5 "$log" >&2
		say "no result (qemu exit $1); kernel log: $log"
	fi
}

[ $# -gt 1 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
# A machine under load makes the check of the timer's interrupt fail, which is a panic. slub_debug's U only says who allocated
# what was found broken, by a stack trace each time. 6.1 would take hpet for its clock, which is a device to ask.
fixed='console=ttyS0 no_timer_check panic=-1 reboot=t oops=panic panic_on_warn=1 slub_debug=FZP tsc=reliable nowatchdog'
version=$1 name=$1 append='' limit=300
shift
while [ $# -gt 1 ]; do
	case $1 in
	--append) append="$append $2" ;;
	--timeout) limit=$2 ;;
	--name) name=$2 ;;
	*) break ;;
	esac
	shift 2
done
case ${1:-} in
--) shift ;;
-*) say "unknown option $1"; exit 2 ;;
esac
[ $# -gt 0 ] || { say "no command"; exit 2; }

"$here/kernels.sh" "$version"
take_turn
log=$vm/$name.log
run=$(mktemp -d "$vm/run.XXXXXX")
trap 'rm -rf "$run"' EXIT
trap 'kill "$machine"; mv "$run/log" "$log"; exit 130' INT TERM HUP
write_job "$@" >"$run/job"
boots=0
while :; do
	: >"$run/log"
	boot &
	machine=$!
	status=0
	wait "$machine" || status=$?
	mv "$run/log" "$log"
	boots=$((boots + 1))
	if [ $boots -ge 3 ] || ! died_while_booting; then break; fi
	say "the emulator broke the kernel while it booted: once more"
done
judge "$status"
exit "$code"
