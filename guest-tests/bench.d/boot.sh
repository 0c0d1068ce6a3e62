# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: the same kernel and initramfs to init; time, exits, memory, size.

group_title='From exec to init, medians'
memory=128 # MiB
limit=180  # seconds that one run may take

# The columns. The guest's init writes the byte 2 to its console: the event that shows it, and the
# filter for that byte at a serial port's data register (2 is not a divisor that Linux sets).
case $ARCH in
x86_64)
	names=(kinglet kinglet-elf microvm microvm-rtc pc)
	labels=(Kinglet "Kinglet, ELF" microvm "microvm+rtc" pc)
	init_event=kvm_pio
	is_init='port == 0x3f8 && val == 2'
	;;
aarch64)
	names=(kinglet virt)
	labels=(Kinglet virt)
	init_event=kvm_mmio
	is_init='(gpa == 0x10000000 || gpa == 0x9000000) && val == 2' # Kinglet, QEMU
	;;
esac

# BASELINE: another Kinglet, such as that of the tree before a change; a column more.
if [ -n "${BASELINE-}" ]; then
	names+=(baseline)
	labels+=(baseline)
fi

# binary NAME: what that column runs.
binary() {
	case $1 in
	baseline) echo "$BASELINE" ;;
	kinglet*) echo "$KINGLET" ;;
	*) echo "$qemu" ;;
	esac
}

# vmm NAME: sets vmm, the command line of that column.
vmm() {
	local kernel=$BZIMAGE cmdline='quiet panic=-1' serial=ttyS0 machine=$1
	case $1 in
	kinglet-elf) kernel=$VMLINUX ;;&
	kinglet* | baseline)
		vmm=("$(binary "$1")" run "$kernel" --initrd "$work/initrd" --memory "$memory"
			--append "console=$serial $cmdline")
		return
		;;
	microvm-rtc) machine=microvm,rtc=on ;;
	virt) serial=ttyAMA0 machine=virt,gic-version=host ;;
	esac
	qemu_command "$machine" "$memory"
	vmm+=(-kernel "$kernel" -initrd "$work/initrd" -append "console=$serial $cmdline")
}

# ---- inside: where the VMMs run ----

first=$trace/instances/kinglet-bench # a trace that ends with the first KVM_RUN
events=(sched/sched_process_exec "kvm/$init_event" kvm/kvm_userspace_exit)

# The main trace ends with init's byte.
trace_start() {
	local event
	tracing_prepare
	mkdir -p $first
	echo 8192 >$trace/buffer_size_kb
	echo mono | tee $trace/trace_clock >$first/trace_clock
	echo "traceoff if $is_init" >$trace/events/kvm/$init_event/trigger
	# Always true: without a condition, the event that ends a trace is not recorded.
	echo 'traceoff if common_pid != 0' >$first/events/kvm/kvm_entry/trigger
	for event in "${events[@]}"; do
		echo 1 >$trace/events/$event/enable
	done
	echo 1 >$first/events/kvm/kvm_entry/enable
}

trace_stop() {
	local event
	for event in "${events[@]}"; do
		echo 0 >$trace/events/$event/enable
	done
	echo 0 >$trace/tracing_on
	echo '!traceoff' >$trace/events/kvm/$init_event/trigger
	rmdir $first
	echo 1 >$trace/tracing_on
}

# private_kib PID: private memory of the process, except mappings of the guest RAM's size or more.
private_kib() {
	awk -v ram=$((memory * 1024)) '
		/^Size:/ { counts = $2 < ram }
		/^Private_(Clean|Dirty):/ && counts { kib += $2 }
		END { print kib + 0 }' "/proc/$1/smaps"
}

# Results of the two traces for process PID: ms to init, ms to KVM_RUN, userspace exits.
evaluate() {
	awk -v pid="$1" '
		function ms(  i) { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9.]+:$/) return $i * 1000 }
		/ kvm_entry: / { entry = ms() }
		/ sched_process_exec: / && $0 ~ " pid=" pid " " { exec = ms() }
		/ kvm_userspace_exit: / { exits++ }
		/ kvm_(pio|mmio): / { init = ms() }
		END { printf "%.1f %.1f %d", init - exec, entry - exec, exits }' $first/trace $trace/trace
}

# run_once NAME: to init, measure, kill. Fails when init was not reached.
run_once() {
	local on=1 pid vmm end=$((SECONDS + limit)) result=
	vmm "$1"
	echo 0 >$trace/tracing_on
	echo | tee $trace/trace >$first/trace
	echo 1 | tee $trace/tracing_on >$first/tracing_on
	"${vmm[@]}" </dev/null >/dev/null 2>"$TESTBED_OUT/messages" &
	pid=$!
	# Waits without starting a process: "never" is a pipe without a writer.
	while read -r on <$trace/tracing_on && [ "$on" = 1 ] && [ $SECONDS -lt $end ]; do
		kill -0 $pid 2>/dev/null || break
		read -r -t 0.2 -u "$never" || :
	done
	[ "$on" = 1 ] || result="$(evaluate $pid) $(private_kib $pid)"
	kill -KILL $pid 2>/dev/null || :
	wait $pid 2>/dev/null || :
	[ -n "$result" ] && result "$1 $result"
}

group_run() {
	local i name
	: >"$TESTBED_OUT/results"
	vmms_local ${BASELINE:+"$BASELINE"}
	exec {never}<> <(:)
	trace_start
	echo 'VMM, ms to init, ms to KVM_RUN, userspace exits, KiB' >&2
	for ((i = 0; i < runs; i++)); do
		for name in "${names[@]}"; do
			run_once "$name" >&2 || {
				echo "$name did not reach init; once more" >&2
				run_once "$name" >&2
			} || {
				cat "$TESTBED_OUT/messages" >&2
				return 1
			}
		done
	done
	trace_stop
}

# ---- outside: preparation and report ----

group_prepare() {
	mkdir "$work/stage"
	# The kernel unpacks one archive after the other: this /init replaces the first.
	cat >"$work/stage/init" <<-'END'
		#!/bin/busybox sh
		printf '\002'
		exec /bin/busybox sleep 1000
	END
	chmod 755 "$work/stage/init"
	(
		cat "$INITRD"
		cd "$work/stage" || exit
		find . | cpio -o -H newc -R 0:0 --quiet
	) >"$work/initrd"
}

# values NAME FIELD: one a run
values() {
	awk -v name="$1" -v field="$2" '$1 == name { print $field }' "$TESTBED_OUT/results"
}

# column NAME FIELD: the median
column() {
	values "$1" "$2" | median
}

stripped_kib() {
	"$strip" -o "$TESTBED_OUT/stripped" "$1"
	stat -c %s "$TESTBED_OUT/stripped" | awk '{ print $1 / 1024 }'
}

# row TITLE VALUE...
row() {
	printf '%-28s' "$1"
	shift
	printf '%14.0f' "$@"
	echo
}

# Run by run, the baseline's figure by Kinglet's: more than 1 is better than the baseline.
against_baseline() {
	local i title=('' '' 'ms to init' 'ms to KVM_RUN' exits 'private memory')
	for i in 2 3 4 5; do
		paste -d ' ' <(values kinglet $i) <(values baseline $i) | awk '{ print $2 / $1 }' |
			keeps_up "baseline / Kinglet, ${title[i]}" 1
	done
}

group_report() {
	local name file init=() run=() exits=() kib=() size=()
	for name in "${names[@]}"; do
		init+=("$(column "$name" 2)")
		run+=("$(column "$name" 3)")
		exits+=("$(column "$name" 4)")
		kib+=("$(column "$name" 5)")
		file=$(binary "$name")
		[ "$file" != "$qemu" ] || file=$root$qemu
		size+=("$(stripped_kib "$file")")
	done
	printf '%-28s' ''
	printf '%14s' "${labels[@]}"
	echo
	row 'exec to init, ms' "${init[@]}"
	row 'exec to first KVM_RUN, ms' "${run[@]}"
	row 'userspace exits to init' "${exits[@]}"
	row 'private memory, KiB' "${kib[@]}"
	row 'stripped binary, KiB' "${size[@]}"
	echo
	case $ARCH in
	x86_64)
		required 'time to init / microvm' "$(ratio "${init[0]}" "${init[2]}")" '<=' 0.7
		required 'time to init / pc' "$(ratio "${init[0]}" "${init[4]}")" '<' 1
		required 'time to KVM_RUN / microvm' "$(ratio "${run[0]}" "${run[2]}")" '<=' 0.2
		;;
	aarch64)
		required 'time to init / virt' "$(ratio "${init[0]}" "${init[1]}")" '<' 1
		required 'time to KVM_RUN / virt' "$(ratio "${run[0]}" "${run[1]}")" '<=' 0.2
		;;
	esac
	required 'userspace exits to init' "${exits[0]}" '<=' 1000
	required 'private memory, KiB' "${kib[0]}" '<' 2048
	required 'stripped binary, KiB' "${size[0]}" '<' 640
	[ -z "${BASELINE-}" ] || against_baseline
}
