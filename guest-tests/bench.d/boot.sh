# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: the same kernel and initramfs to init; time, exits, memory, size.

group_title='From exec to init, medians'
memory=128 # MiB
limit=180  # seconds that one run may take
names=(kinglet kinglet-elf microvm microvm-rtc pc)
labels=(Kinglet "Kinglet, ELF" microvm "microvm+rtc" pc)

# vmm NAME: sets vmm, the command line of that column.
vmm() {
	local kernel=$BZIMAGE cmdline='console=ttyS0 quiet panic=-1' machine=$1
	case $1 in
	kinglet-elf) kernel=$VMLINUX ;;&
	kinglet*)
		vmm=("$KINGLET" run "$kernel" --initrd "$work/initrd" --memory "$memory"
			--append "$cmdline")
		return
		;;
	microvm-rtc) machine=microvm,rtc=on ;;
	esac
	qemu_command "$machine" "$memory"
	vmm+=(-kernel "$kernel" -initrd "$work/initrd" -append "$cmdline")
}

# ---- inside: where the VMMs run ----

first=$trace/instances/kinglet-bench # a trace that ends with the first KVM_RUN

# The guest's init writes the byte 2 to its console. Seen at the serial port's data register
# (it is no divisor that Linux sets), that ends the main trace.
trace_start() {
	tracing_prepare
	mkdir -p $first
	echo 8192 >$trace/buffer_size_kb
	echo mono | tee $trace/trace_clock >$first/trace_clock
	echo 'traceoff if port == 0x3f8 && val == 2' >$trace/events/kvm/kvm_pio/trigger
	echo 'traceoff if vcpu_id == 0' >$first/events/kvm/kvm_entry/trigger
	echo 1 | tee $trace/events/{sched/sched_process_exec,kvm/kvm_pio,kvm/kvm_userspace_exit}/enable \
		>$first/events/kvm/kvm_entry/enable
}

trace_stop() {
	echo 0 | tee $trace/events/{sched/sched_process_exec,kvm/kvm_pio,kvm/kvm_userspace_exit}/enable \
		>$trace/tracing_on
	echo '!traceoff' >$trace/events/kvm/kvm_pio/trigger
	rmdir $first
	echo 1 >$trace/tracing_on
}

# Files that the testbed has from another machine, by 9p, become its own, in memory.
make_local() {
	local file
	for file; do
		file=$(realpath "$file")
		cp -p "$file" "$file.local"
		mv -f "$file.local" "$file"
	done
}

# private_kib PID: memory of the process that nobody shares, but for mappings of the guest RAM's
# size or more.
private_kib() {
	awk -v ram=$((memory * 1024)) '
		/^Size:/ { counts = $2 < ram }
		/^Private_(Clean|Dirty):/ && counts { kib += $2 }
		END { print kib + 0 }' "/proc/$1/smaps"
}

# What the two traces say of process PID: ms to init, ms to KVM_RUN, userspace exits.
evaluate() {
	awk -v pid="$1" '
		function ms(  i) { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9.]+:$/) return $i * 1000 }
		/ kvm_entry: / { entry = ms() }
		/ sched_process_exec: / && $0 ~ " pid=" pid " " { exec = ms() }
		/ kvm_userspace_exit: / { exits++ }
		/ kvm_pio: / { init = ms() }
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
	# Nothing is started while it runs: "never" is a pipe that nobody writes to.
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
	local i name libraries
	: >"$TESTBED_OUT/results"
	if [ "$where" = inside ]; then
		mapfile -t libraries < <(ldd "$KINGLET" "$qemu" | grep -o '/[^ :]*\.so[^ :]*' | sort -u)
		make_local "$KINGLET" "$qemu" /etc/ld.so.cache "${libraries[@]}" \
			/usr/share/{qemu,seabios}/*.bin "$BZIMAGE" "$VMLINUX" "$work/initrd"
	fi
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

# ---- outside: what is to run, and what came of it ----

group_prepare() {
	mkdir "$work/stage"
	# The kernel unpacks one archive after the other: this /init takes the place of the first.
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

# column NAME FIELD: the median
column() {
	awk -v name="$1" -v field="$2" '$1 == name { print $field }' "$TESTBED_OUT/results" | median
}

stripped_kib() {
	strip -o "$TESTBED_OUT/stripped" "$1"
	stat -c %s "$TESTBED_OUT/stripped" | awk '{ print $1 / 1024 }'
}

# row TITLE VALUE...
row() {
	printf '%-28s' "$1"
	shift
	printf '%14.0f' "$@"
	echo
}

group_report() {
	local name init=() run=() exits=() kib=() size=()
	for name in "${names[@]}"; do
		init+=("$(column "$name" 2)")
		run+=("$(column "$name" 3)")
		exits+=("$(column "$name" 4)")
		kib+=("$(column "$name" 5)")
		case $name in
		kinglet*) size+=("$(stripped_kib "$KINGLET")") ;;
		*) size+=("$(stripped_kib "$qemu")") ;;
		esac
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
	required 'time to init / microvm' "$(ratio "${init[0]}" "${init[2]}")" '<=' 0.7
	required 'time to init / pc' "$(ratio "${init[0]}" "${init[4]}")" '<' 1
	required 'time to KVM_RUN / microvm' "$(ratio "${run[0]}" "${run[2]}")" '<=' 0.2
	required 'userspace exits to init' "${exits[0]}" '<=' 1000
	required 'private memory, KiB' "${kib[0]}" '<' 2048
	required 'stripped binary, KiB' "${size[0]}" '<' 400
}
