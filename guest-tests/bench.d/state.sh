# shellcheck shell=bash disable=SC2016,SC2034,SC2046,SC2086,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: a saved machine goes on. Time, tests from one snapshot, sizes. For forks, see fork.sh.

group_title='A saved machine goes on'
group_testbed=--icount # single rounds differ by less than what is to be seen
sizes=(128 2048) # MiB
names=(kinglet microvm)
each=10          # tests of a list
lists=${LISTS-10} # from a snapshot, and as many that boot, in turn
limit=180 # seconds that one boot may take

# ---- inside: where the VMMs run ----

# In memory: the data path is measured, not a disk.
store=/dev/shm/kinglet-bench

# qemu_machine MIB share=on|off: sets vmm, whose RAM is a file, and whose monitor is standard input.
qemu_machine() {
	qemu_command microvm,rtc=on,memory-backend=ram "$1"
	vmm[-1]=file:$TESTBED_OUT/microvm.log # instead of stdio
	vmm+=(-object "memory-backend-file,id=ram,size=$1M,mem-path=$store/microvm-$1/memory,$2"
		-monitor stdio -kernel "$BZIMAGE" -initrd "$work/initrd"
		-append 'console=ttyS0 quiet panic=-1 mode=stay')
}

# boot MODE: sets options, what run and test have in common.
boot() {
	options=("$BZIMAGE" --initrd "$work/initrd" --append "console=ttyS0 quiet panic=-1 mode=$1")
}

save_kinglet() {
	local options
	boot save
	timeout $limit "$KINGLET" run "${options[@]}" --memory "$1M" --snapshot "$store/kinglet-$1" \
		--snapshot-end </dev/null >"$TESTBED_OUT/kinglet.log" 2>&1
}

# What is saved is RAM's file as it is, and the rest by a migration that leaves RAM out.
save_microvm() {
	local vmm pid monitor end=$((SECONDS + limit)) dir=$store/microvm-$1
	rm -f "$TESTBED_OUT/microvm.log"
	mkdir "$dir"
	mkfifo "$dir/monitor"
	exec {monitor}<>"$dir/monitor"
	qemu_machine "$1" share=on
	"${vmm[@]}" <&"$monitor" >"$TESTBED_OUT/monitor.log" 2>&1 &
	pid=$!
	until grep -q ready "$TESTBED_OUT/microvm.log" 2>/dev/null; do
		[ $SECONDS -lt $end ] && kill -0 $pid || return 1
		sleep 0.5
	done
	printf '%s\n' 'migrate_set_capability x-ignore-shared on' \
		"migrate \"exec:cat >$dir/state\"" quit >&"$monitor"
	exec {monitor}>&-
	wait $pid
	printf '%s\n' 'migrate_set_capability x-ignore-shared on' \
		"migrate_incoming \"exec:cat $dir/state\"" >"$dir/commands"
	[ -s "$dir/state" ]
}

# start NAME MIB: restores it, to stay; sets pid.
start() {
	local vmm input=/dev/null
	case $1 in
	kinglet) vmm=("$KINGLET" restore "$store/kinglet-$2" --control off -- stay) ;;
	microvm)
		qemu_machine "$2" share=off
		vmm+=(-incoming defer)
		input=$store/microvm-$2/commands
		;;
	esac
	"${vmm[@]}" <"$input" >"$TESTBED_OUT/$1.log" 2>&1 &
	pid=$!
}

end_all() {
	kill -KILL "$@" 2>/dev/null || :
	wait "$@" 2>/dev/null || :
}

# restore_once NAME MIB: the time from exec to the first entry into the guest, and how much of it
# KVM_CREATE_VM took. That waits for the host's timer: so it begins at any time between two ticks.
restore_once() {
	local pid on=1 end=$((SECONDS + 60))
	read -r -t 0.01$((RANDOM % 10)) -u "$never" || :
	echo 0 >$trace/tracing_on
	echo >$trace/trace
	echo 1 >$trace/tracing_on
	start "$1" "$2"
	while read -r on <$trace/tracing_on && [ "$on" = 1 ] && [ $SECONDS -lt $end ]; do
		kill -0 $pid 2>/dev/null || break
		read -r -t 0.05 -u "$never" || :
	done
	end_all $pid
	[ "$on" = 0 ]
	result restore "$1" "$2" "$(awk -v pid=$pid '
		function ms(  i) { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9.]+:$/) return $i * 1000 }
		/ kvm_entry: / { entry = ms() }
		/ sched_process_exec: / && $0 ~ " pid=" pid " " { exec = ms() }
		/ create: / { create = ms() }
		/ created: / && create { created = ms() - create; create = 0 }
		END { printf "%.2f %.2f", entry - exec, created }' $trace/trace)"
}

restore_all() {
	local i name size event
	local events=(sched/sched_process_exec kvm/kvm_entry kinglet/create kinglet/created)
	tracing_prepare
	echo mono >$trace/trace_clock
	# Always true: without a condition, the event that ends a trace is not recorded.
	echo 'traceoff if common_pid != 0' >$trace/events/kvm/kvm_entry/trigger
	echo 'p:kinglet/create kvm_dev_ioctl request=$arg2:x32' >>$trace/kprobe_events
	echo 'r:kinglet/created kvm_dev_ioctl' >>$trace/kprobe_events
	echo 'request == 0xae01' >$trace/events/kinglet/create/filter
	for event in "${events[@]}"; do
		echo 1 >$trace/events/$event/enable
	done
	for ((i = 0; i < 2 * runs; i++)); do
		for name in "${names[@]}"; do
			for size in "${sizes[@]}"; do
				restore_once "$name" "$size"
			done
		done
	done
	echo '!traceoff' >$trace/events/kvm/kvm_entry/trigger
	for event in "${events[@]}"; do
		echo 0 >$trace/events/$event/enable
	done
	echo >$trace/kprobe_events
}

# diff_size MIB: what a snapshot with that as its base writes of RAM, after a second of a guest that idles.
diff_size() {
	local pid base=$store/kinglet-$1
	"$KINGLET" restore "$base" --control "$store/control" -- stay </dev/null \
		>"$TESTBED_OUT/kinglet.log" 2>&1 &
	pid=$!
	until grep -q ready "$TESTBED_OUT/kinglet.log"; do
		sleep 0.1
	done
	sleep 1
	"$KINGLET" snapshot "$store/control" "$store/diff" --diff "$base"
	end_all $pid
	result diff kinglet "$1" $((4 * $(python3 -c '
import itertools, sys
pages = (iter(lambda file=open(name, "rb"): file.read(4096), b"") for name in sys.argv[1:])
print(sum(a != b for a, b in itertools.zip_longest(*pages)))' "$base/memory" "$store/diff/memory")))
}

# test_all HOW ARGUMENT...: a list of tests.
test_all() {
	local begin how=$1
	shift
	begin=${EPOCHREALTIME/./}
	"$KINGLET" test "$@" --list "$store/list" </dev/null >"$TESTBED_OUT/kinglet.log" 2>&1
	result tests "$how" $(((${EPOCHREALTIME/./} - begin) / 1000))
}

# save_all: each size, as each VMM saves it.
save_all() {
	local size name
	: >"$TESTBED_OUT/results"
	exec {never}<> <(:)
	vmms_local
	rm -rf "$store"
	mkdir -m 700 "$store"
	for size in "${sizes[@]}"; do
		save_kinglet "$size"
		save_microvm "$size"
		for name in "${names[@]}"; do
			result size "$name" "$size" $(du -k "$store/$name-$size/memory" | cut -f 1) \
				$(du -k "$store/$name-$size/state" | cut -f 1)
		done
	done
}

group_run() {
	local i options never
	trap 'tail -v -n 20 "$TESTBED_OUT"/*.log >&2' ERR
	set -E
	save_all >&2
	diff_size "${sizes[0]}" >&2
	restore_all >&2
	boot once
	printf 'test-%d\n' $(seq $each) >"$store/list"
	for ((i = 0; i < lists; i++)); do
		test_all from --from "$store/kinglet-${sizes[0]}"
		test_all boot "${options[@]}" --memory "${sizes[0]}M"
	done >&2
	rm -rf "$store"
}

# ---- outside: preparation and report ----

group_prepare() {
	cat >"$work/script" <<-'END'
		[ "$mode" != once ] || exit 0
		if [ "$mode" = save ]; then
			modprobe -a virtio_pci virtio_console
			until [ "$port" ]; do
				for name in /sys/class/virtio-ports/*/name; do
					[ "$(cat "$name" 2>/dev/null)" != kinglet.snapshot ] ||
						port=/dev/$(basename "${name%/name}")
				done
			done
			exec 3<>"$port"
			echo save >&3
			read -r answer mode <&3
			[ "$mode" = stay ] || exit 0
		fi
		echo ready
		while :; do
			sleep 1
		done
	END
	"$here/mkinitrd" "$work/script" >"$work/initrd"
}

# values KIND NAME FIELD [SIZE]
values() {
	awk -v kind="$1" -v name="$2" -v field="$3" -v size="${4-}" '
		$1 == kind && $2 == name && (size == "" || $3 == size) { print $field }' \
		"$TESTBED_OUT/results"
}

# row TITLE KIND FIELD SIZE FORMAT
row() {
	local name
	printf '%-36s' "$1"
	for name in "${names[@]}"; do
		printf "%14$5" "$(values "$2" "$name" "$3" "$4" | median)"
	done
	echo
}

# own_time NAME SIZE: of a restore, but for KVM_CREATE_VM.
own_time() {
	paste <(values restore "$1" 4 "$2") <(values restore "$1" 5 "$2") | awk '{ print $1 - $2 }'
}

# by FIRST SECOND: their ratios, line by line
by() {
	paste -d ' ' "$1" "$2" | awk '{ print $1 / $2 }'
}

group_report() {
	local size
	printf '%-36s' ''
	printf '%14s' Kinglet microvm+rtc
	echo
	for size in "${sizes[@]}"; do
		row "exec to the guest, $size MiB, ms" restore 4 "$size" .1f
		row "of it KVM_CREATE_VM, $size MiB, ms" restore 5 "$size" .1f
		row "saved memory, $size MiB, KiB" size 4 "$size" .0f
		row "saved state, $size MiB, KiB" size 5 "$size" .0f
	done
	printf '%-36s%14s\n' "memory of a diff, ${sizes[0]} MiB, KiB" "$(values diff kinglet 4)"
	printf '%-36s%14.1f\n' "$((each * lists)) tests from a snapshot, s" \
		"$(values tests from 3 | awk '{ ms += $1 } END { print ms / 1000 }')" \
		"$((each * lists)) tests that boot, s" \
		"$(values tests boot 3 | awk '{ ms += $1 } END { print ms / 1000 }')"
	echo
	for size in "${sizes[@]}"; do
		by <(values restore kinglet 4 "$size") <(values restore microvm 4 "$size") |
			at_most "restore / microvm+rtc, $size MiB" 0.1
		by <(own_time kinglet "$size") <(own_time microvm "$size") |
			at_most "both without KVM_CREATE_VM, $size MiB" 0.1
	done
	by <(own_time kinglet "${sizes[1]}") <(own_time kinglet "${sizes[0]}") |
		at_most "restore without it, ${sizes[1]} MiB / ${sizes[0]} MiB" 1.1
	by <(values tests from 3) <(values tests boot 3) | at_most 'tests from a snapshot / that boot' 0.1
}
