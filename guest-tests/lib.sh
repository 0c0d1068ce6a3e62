# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# For scenarios/*.sh: run Kinglet and check the result. A scenario is run by run-scenarios with bash
# -eE in an empty folder; it fails with the first command that fails. It can use:
#
#   $KINGLET            the binary under test
#   $BZIMAGE, $VMLINUX  Debian's cloud kernel, as bzImage and as ELF
#   $TOOLS              the folder of programs built from guest-tests/tools
#   $INITRD             an initramfs that prints a greeting and powers off (with shell=no)
#   $BUSYBOX            a static busybox
#   $IMAGES             third-party boot images, for the scenario images
#   $DEBIAN             an image of Debian with systemd, for the scenario debian
#   $VDPA               a folder of the emulated host's modules for vDPA, for the scenario vdpa
#   $HOST_VMLINUX, $HOST_INITRD  the emulated host's kernel and initramfs, for snapshot-forks
#   $DAEMONS            programs of Debian 13, for newer
#   $case               the case to run
#
# After vm, or vm_start and vm_wait: $status is Kinglet's exit status, the file console
# what the guest printed (standard output), the file messages standard error.

set -eEuo pipefail
trap 'echo "failed: line $LINENO: $BASH_COMMAND"' ERR

# How often what must work again and again is done: TIMES=20, for more by hand.
times=${TIMES:-5}
cmdline="console=ttyS0 quiet panic=-1 shell=no times=$times"

fail() {
	echo "failed: $*"
	exit 1
}

# must_fail COMMAND: `set -e` does not see that "! COMMAND" is false. After a pipe, too.
must_fail='must_fail() {
	if "$@"; then
		echo "failed: this succeeded: $*"
		exit 1
	fi
}'
eval "$must_fail"

# guest_runs [FILE...] <SCRIPT: creates the file initrd, whose guest runs the script and has the
# files in /. The script can use must_fail, ends with the first command that fails, and its exit
# status becomes the guest's (see guest-init).
guest_runs() {
	{
		echo 'set -eu'
		echo "$must_fail"
		cat
	} >script
	"$GUEST_TESTS/mkinitrd" script "$@" >initrd
}

# vm ARGUMENT...: run Kinglet to its end, with nothing to read on standard input.
vm() {
	echo "+ kinglet $*"
	status=0
	"$KINGLET" "$@" </dev/null >console 2>messages || status=$?
}

# vm_start ARGUMENT...: the same in the background; data written to descriptor $keyboard arrives on
# its standard input. A background job of a shell would ignore SIGINT.
vm_start() {
	echo "+ kinglet $* &"
	open_keyboard
	: >console 2>messages # here, or what the guest before has printed may be found in them
	env --default-signal=INT,QUIT "$KINGLET" "$@" <keys >console 2>messages {keyboard}>&- &
	vm=$!
}

vm_wait() {
	status=0
	wait "$vm" || status=$?
}

# resets_start ARGUMENT...: the bare-metal guest "resets", which resets its devices in three ways and
# then waits. resets_again N: it reboots and does so again, N times. resets_end [BAD]: it ends; in
# its messages nothing matches BAD.
resets_start() {
	local guest
	guest=$(dirname "$TOOLS")/payloads/resets
	[ -e "$guest.elf" ] && guest+=.elf || guest+=.img # as on x86_64, or on arm64
	vm_start run "$guest" --memory 16M --rng off --console off --on-reboot restart "$@"
	await_output works
}

resets_again() {
	local i
	for ((i = 0; i < $1; i++)); do
		: >console
		printf r >&"$keyboard"
		await_output works
	done
}

resets_end() {
	printf q >&"$keyboard"
	vm_wait
	cat console messages
	expect_status 0
	must_fail grep "${1-needs a reset\|warning}" messages
}

open_keyboard() {
	rm -f keys
	mkfifo keys
	exec {keyboard}<>keys
}

# vhost_workers FILE: counts the host's threads whose name is in FILE, as created by vhost_names:
# the vhost workers of the running Kinglet, each named "vhost-TID".
vhost_names() {
	ls "/proc/$vm/task" | sed 's/^/vhost-/'
}

vhost_workers() {
	{ cat /proc/[0-9]*/comm 2>/dev/null || :; } | grep -cxFf "$1" || :
}

# await_output REGEX [SECONDS]: wait until the running guest has printed it.
await_output() {
	local end=$((SECONDS + ${2-300})) running=yes
	until grep -qaE -- "$1" console; do # not a pipe into grep: a prompt is not a complete line
		[ -n "$running" ] && [ $SECONDS -lt $end ] || fail "no '$1' on the console"
		kill -0 "$vm" 2>/dev/null || running=
		sleep 0.2
	done
}

# newer PROGRAM ARGUMENT...: runs a program of $DAEMONS, whose C library is not the host's. exec, so
# that in the background $! is the program.
newer() {
	exec "$DAEMONS/usr/lib64/ld-linux-x86-64.so.2" --library-path "$DAEMONS/usr/lib/x86_64-linux-gnu" \
		"$DAEMONS/$1" "${@:2}"
}

# await_socket PATH: until a process accepts connections there. The file is there before that.
await_socket() {
	local end=$((SECONDS + 60))
	until [ -S "$1" ] && grep -q " 00010000 .*[ /]$1\$" /proc/net/unix; do
		[ $SECONDS -lt $end ] || fail "no process listens at $1"
		sleep 0.1
	done
}

# block NAME: the commands that docs/vhost.md has below the mark "tried: NAME".
block() {
	awk -v mark="<!-- tried: $1 -->" '
		$0 == mark { wanted = 1 }
		wanted && /^```/ { if (inside) exit; inside = 1; next }
		inside' "$GUEST_TESTS/../docs/vhost.md"
}

# random FILE SIZE; sum FILE: sha256, for comparison with a guest's.
random() {
	head -c "$2" /dev/urandom >"$1"
}

sum() {
	sha256sum "$1" | cut -c 1-64
}

expect_status() {
	[ "$status" -eq "$1" ] || fail "exit status $status, expected $1"
}

expect_output() {
	grep -qaE -- "$1" console || fail "no '$1' on the console"
}

expect_message() {
	grep -qaE -- "$1" messages || fail "no '$1' on standard error"
}

# expect_time SINCE [FILE]: in a console's last line "time: SECONDS", the guest's clock was right: it
# printed that after the host's time SINCE, and before now. On arm64 it is late after more than ten
# seconds in a file (docs/state.md): then only that it has gone on is known.
expect_time() {
	local time since=$1
	[ "$ARCH" = x86_64 ] || since=0
	time=$(sed -nE 's/^time: ([0-9]+).*/\1/p' "${2-console}" | tail -n 1)
	[ "$time" -ge $((since - 1)) ] && [ "$time" -le $(($(date +%s) + 1)) ] ||
		fail "${2-console}: time $time, between $1 and $(date +%s)"
}

expect_same() {
	cmp "$1" "$2" || fail "$1 and $2 differ"
}
