# kinglet exec: a program under Debian's kernel, which has virtio as modules, behaves like a program
# on the host: its exit status, separate and binary-safe streams, its files; and errors are
# reported.
# cases: status streams warm
# cases x86_64: files kernels

run_program() { # OPTION... -- PROGRAM ARGUMENT..., with standard input
	echo "+ kinglet exec $*"
	status=0
	"$KINGLET" exec "$BZIMAGE" --modules "${BZIMAGE%/*}" --timeout 120s "$@" \
		>console 2>messages || status=$?
}

expect_silence() {
	[ ! -s messages ] || fail "on standard error: $(cat messages)"
}

# The machines that it keeps for later runs: so that each case boots one itself.
export XDG_CACHE_HOME=$PWD/cache

saved() { # the number of saved machines
	find cache/kinglet/exec -mindepth 2 -name state | wc -l
}

case $case in
status)
	for expected in 0 1 42 137; do
		run_program -- "$BUSYBOX" sh -c "exit $expected" </dev/null
		expect_status $expected
		expect_silence
	done
	run_program -- "$BUSYBOX" sh -c 'kill -9 $$' </dev/null
	expect_status 137
	expect_silence
	# The guest goes down while the program runs.
	run_program -- "$BUSYBOX" sh -c 'poweroff -f; sleep 60' </dev/null
	expect_status 104
	expect_message 'powered off before the program ended'
	run_program -- "$BUSYBOX" sh -c 'echo c >/proc/sysrq-trigger' </dev/null
	expect_status 102
	expect_message 'panic after .*sysrq triggered crash'
	expect_message '^  \| .*Kernel panic - not syncing: sysrq triggered crash'
	;;
streams)
	random input 1M
	run_program -- "$BUSYBOX" sha256sum <input
	expect_status 0
	expect_output "^$(sum input)  -$"
	expect_silence

	# There and back through pipes, to a reader that starts only after more has been written
	# than its pipe holds (64 KiB, and the same again in the guest).
	random input 2M
	mkfifo pipe
	{
		until grep -q waits messages; do
			sleep 0.2
		done
		cat
	} <pipe >back &
	reader=$!
	: >messages
	# shellcheck disable=SC2002 # the pipe is the test
	cat input | {
		"$KINGLET" exec "$BZIMAGE" --modules "${BZIMAGE%/*}" --timeout 120s -- \
			"$BUSYBOX" sh -c 'dd bs=4k count=25 iflag=fullblock 2>/dev/null
				echo waits >&2; cat; echo done >&2; exit 3' >pipe 2>>messages ||
			echo $? >status
	}
	wait $reader
	[ "$(cat status)" = 3 ] || fail "status $(cat status)"
	expect_same input back
	expect_same messages <(printf 'waits\ndone\n')

	# A reader that exits ends the program; unread input does not block the run.
	{
		"$KINGLET" exec "$BZIMAGE" --modules "${BZIMAGE%/*}" --timeout 120s -- \
			"$BUSYBOX" yes <input || echo $? >status
	} | head -n 3 >console
	[ "$(cat status)" = 141 ] || fail "status $(cat status) of yes | head"
	expect_same console <(printf 'y\ny\ny\n')

	# Lost output is a failure, whatever the program's status.
	ln -sf /dev/full console
	run_program -- "$BUSYBOX" echo lost </dev/null
	rm console
	expect_status 101
	expect_message '^kinglet: host error after .* s: standard output: No space left on device$'
	[ "$(wc -l <messages)" = 1 ] || fail "more than one line: $(cat messages)"

	# Streams can be opened again, and remaining processes end with the program.
	run_program -- "$BUSYBOX" sh -c \
		'sleep 1000 & echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin' \
		< <(printf 'a\0b')
	expect_status 0
	expect_same console <(printf 'out\na\0b')
	[ "$(cat messages)" = err ] || fail "standard error: $(cat messages)"
	;;
files)
	mkdir -p root/bin root/etc dir/sub
	cp "$BUSYBOX" root/bin/busybox
	ln root/bin/busybox root/bin/sh
	ln -s busybox root/bin/cat
	echo 'of the root' >root/etc/file
	echo 'of the host' >dir/sub/file
	export HOST_VARIABLE='from here'
	# shellcheck disable=SC2016 # for the guest
	run_program --root root --dir dir:/mnt/a:ro --dir dir:/mnt/b --workdir /etc \
		--env GREETING='hello you' --env HOST_VARIABLE -- sh -c '
			set -e
			export PATH=/bin
			cat file /mnt/a/sub/file
			if echo x 2>/dev/null >/mnt/a/sub/file; then exit 1; fi
			echo changed >/mnt/b/sub/file
			cat /mnt/b/sub/file
			echo "$GREETING, $HOST_VARIABLE, $HOME, $#: $1|$2"
			[ ! -e /.kinglet ]
			[ "$(busybox stat -c %a /)" = 755 ]
			[ "$(busybox stat -c %h /bin/sh)" = 2 ]
		' name 'two words' '' </dev/null
	expect_status 0
	expect_same console - <<-END
		of the root
		of the host
		changed
		hello you, from here, /, 2: two words|
	END
	[ "$(cat dir/sub/file)" = 'of the host' ] || fail 'the host folder was changed'

	run_program --root root -- nonesuch </dev/null
	expect_status 127
	expect_same messages <(echo 'kinglet: exec: nonesuch: No such file or directory')
	run_program --root root -- /etc/file </dev/null
	expect_status 126
	run_program -- ./nonesuch </dev/null
	expect_status 100
	expect_message './nonesuch: No such file or directory'

	# A root that does not fit is refused, or the kernel's error about it is explained, with a
	# sufficient size.
	truncate -s 40M root/large
	run_program --root root --memory 64M -- sh -c 'exit 5' </dev/null
	expect_status 100
	enough=$(sed -n 's/^kinglet: --memory 64M: too little .*; --memory \(.*\)M would do$/\1/p' \
		messages)
	run_program --root root --memory $((enough - 220))M -- sh -c 'exit 5' </dev/null
	expect_status 102
	expect_message '^  \| .*(Initramfs unpacking failed: write error|System is deadlocked on memory)'
	expect_message "^kinglet: --memory .*: the kernel had no room .*; --memory ${enough}M would do$"
	run_program --root root --memory "${enough}M" -- sh -c 'exit 5' </dev/null
	expect_status 5
	;;
kernels)
	# As on a host where Debian's kernel is installed.
	version=$(ls "${BZIMAGE%/*}/lib/modules")
	mkdir -p boot modules /lib/modules
	cp "$BZIMAGE" "boot/vmlinuz-$version"
	touch boot/vmlinuz-1.0
	# shellcheck disable=SC2016 # for the inner shell
	unshare -m bash -c '
		mount --bind boot /boot
		mount --bind "$1" /lib/modules
		"$KINGLET" kernel list
		"$KINGLET" exec --timeout 120s -- "$BUSYBOX" uname -r </dev/null
	' - "${BZIMAGE%/*}/lib/modules" >console 2>messages || fail "$(cat messages)"
	expect_output "^\* /boot/vmlinuz-$version +$version +/lib/modules/$version +nothing$"
	expect_output '^  /boot/vmlinuz-1.0 .* modules, unless virtio is built in$'
	[ "$(tail -n 1 console)" = "$version" ] || fail "ran on $(tail -n 1 console)"

	# No modules, and no virtio without them.
	vm exec "$BZIMAGE" --timeout 120s -- "$BUSYBOX" true
	expect_status 102
	expect_message '^  \| .*kinglet-init: .*: virtio_pci'
	expect_message 'give their folder with --modules DIR'
	;;
warm)
	# The first run saves its machine, the next ones go on from there: with the same results, but
	# with the time of day and random numbers of their own.
	random input 100K
	# shellcheck disable=SC2016 # for the guest
	program='dmesg | sed "/Run .* as init process/q" | sha256sum
		uname -a; sha256sum; cat /proc/uptime; head -c 32 /dev/urandom | sha256sum
		cat /proc/sys/kernel/random/uuid; date +%s >&2; exit 7'
	for way in cold first second third; do
		option=
		[ $way != cold ] || option=--no-cache
		before=$(date +%s)
		started=${EPOCHREALTIME/./}
		run_program $option -- "$BUSYBOX" sh -c "$program" <input
		echo "$way: $((${EPOCHREALTIME/./} - started)) us"
		expect_status 7
		expect_output "^$(sum input)  -$"
		mv console $way
		at=$(cat messages)
		[ "$at" -ge "$before" ] || fail "$way: the time is $at, before $before"
		[ "$at" -le "$(date +%s)" ] || fail "$way: the time is $at, to come"
		[ $way != cold ] || [ ! -e cache ] || fail '--no-cache has saved a machine'
	done
	tail -n 20 cold first second third
	[ "$(saved)" = 1 ] || fail "$(saved) saved machines"
	[ "$(sort -u -k 1,1 <(head -qn 1 first second third) | wc -l)" = 1 ] || fail 'a later run booted'
	[ "$(sed -n 1p cold)" != "$(sed -n 1p first)" ] || fail 'two boots with one log'
	for line in 5 6; do
		[ "$(sed -sn ${line}p cold first second third | sort -u | wc -l)" = 4 ] ||
			fail 'two runs had the same random numbers'
	done

	# Several at once.
	for i in {1..8}; do
		"$KINGLET" exec "$BZIMAGE" --modules "${BZIMAGE%/*}" -- \
			"$BUSYBOX" cat /proc/sys/kernel/random/uuid </dev/null >"fork.$i" &
	done
	wait
	[ "$(cat fork.* | sort -u | wc -l)" = 8 ] || fail 'forks had the same random numbers'

	# A signal and a timeout: as in a new machine.
	run_program -- "$BUSYBOX" sh -c 'kill -9 $$' </dev/null
	expect_status 137
	status=0
	"$KINGLET" exec "$BZIMAGE" --modules "${BZIMAGE%/*}" --timeout 8s -- "$BUSYBOX" sleep 1000 \
		</dev/null >console 2>messages || status=$?
	expect_status 124
	[ "$(saved)" = 0 ] || fail 'a machine that did not end is kept'
	run_program -- "$BUSYBOX" true </dev/null
	[ "$(saved)" = 1 ] || fail "$(saved) saved machines"

	# What is damaged is booted anew, without a word.
	for file in state memory; do
		truncate -s 5000 cache/kinglet/exec/*/$file
		run_program -- "$BUSYBOX" sh -c 'exit 9' </dev/null
		expect_status 9
		expect_silence
		[ "$(saved)" = 1 ] || fail "$(saved) saved machines"
	done
	;;
esac
