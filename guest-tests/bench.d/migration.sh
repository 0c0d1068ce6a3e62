# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: a running machine moves to another process. Time, downtime, bytes.

group_title='A running machine moves to another process'
names=(kinglet microvm)
memory=256          # MiB
loads=(0 1024 4096) # KiB/s that the guest rewrites, of 32 MiB
limit=180           # seconds that a boot, or a move, may take

# ---- inside: where the VMMs run ----

# In memory: sockets, and what the guests and the VMMs say.
store=/dev/shm/kinglet-bench
stops=$trace/instances/kinglet-bench # a trace that ends when the guest runs at the target
declare -A pid place monitor
started=0

# start NAME OPTION...: sets pid; place, the folder with what belongs to that process; and monitor, an
# fd.
start() {
	local vmm fd name=$1
	shift
	place[$name]=$store/$((++started))
	mkdir "${place[$name]}"
	case $name in
	kinglet) vmm=("$KINGLET" run --control "${place[$name]}/control") ;;
	microvm)
		qemu_command microvm,rtc=on $memory
		vmm+=(-name debug-threads=on -monitor stdio)
		vmm[-5]=file:${place[$name]}/console # instead of stdio
		mkfifo "${place[$name]}/control"
		exec {fd}<>"${place[$name]}/control"
		monitor[$name]=$fd
		;;
	esac
	case $name in
	kinglet) "${vmm[@]}" "$@" </dev/null >"${place[$name]}/console" 2>"${place[$name]}/log" & ;;
	microvm) "${vmm[@]}" "$@" <&"${monitor[$name]}" >"${place[$name]}/log" 2>&1 & ;;
	esac
	pid[$name]=$!
}

# until_true COMMAND...: within the limit, without starting a process to wait.
until_true() {
	local end=$((SECONDS + limit))
	until "$@"; do
		[ $SECONDS -lt $end ] && ! read -r -t 0.1 -u "$never" || return
	done
}

says() {
	grep -q "$2" "${place[$1]}/console" 2>/dev/null
}

boot() {
	local append="console=ttyS0 quiet panic=-1 rate=$2"
	case $1 in
	kinglet)
		start "$1" "$BZIMAGE" --initrd "$work/initrd" --memory ${memory}M --append "$append"
		;;
	microvm) start "$1" -kernel "$BZIMAGE" -initrd "$work/initrd" -append "$append" ;;
	esac
	until_true says "$1" ready
}

# What the target waits with.
expect() {
	case $1 in
	kinglet) start "$1" --incoming "unix:$2" ;;
	microvm)
		start "$1" -kernel "$BZIMAGE" -initrd "$work/initrd" -append "rate=$load" \
			-incoming "unix:$2"
		;;
	esac
	until_true test -S "$2"
}

# vcpu PID: its thread.
vcpu() {
	local task
	task=$(grep -lE '^(CPU 0/KVM|vcpu)' /proc/"$1"/task/*/comm)
	task=${task%/comm}
	echo "${task##*/}"
}

# From the moment that the source connects.
trace_start() {
	echo 0 >$stops/tracing_on
	echo >$stops/trace
	echo >$trace/trace
	echo "traceoff if common_pid != $1" >$stops/events/kvm/kvm_entry/trigger
	echo 'hist:keys=common_pid:vals=bytes if bytes > 0' >$trace/events/kinglet/wire/trigger
	echo 1 >$stops/tracing_on
}

# Milliseconds to the guest's first instruction at the target, and from its last at the source (its
# thread may enter KVM again, but not the guest); bytes, both ways.
trace_evaluate() {
	awk -v tid="$1" '
		function ms(  i) { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9.]+:$/) return $i * 1000 }
		/ connects: / { begin = ms() }
		/ kvm_entry: / { go = ms(); stopped = 0 }
		/ kvm_userspace_exit: / && $0 ~ "-" tid " " && !stopped++ { stop = ms() }
		/hitcount:/ { bytes += $NF }
		END { printf "%.1f %.1f %d", go - begin, go - stop, bytes }' \
		$trace/trace $stops/trace $trace/events/kinglet/wire/hist
}

trace_stop() {
	echo '!hist:keys=common_pid:vals=bytes' >$trace/events/kinglet/wire/trigger
	echo "!traceoff if common_pid != $1" >$stops/events/kvm/kvm_entry/trigger
}

has_moved() {
	local on
	read -r on <$stops/tracing_on
	[ "$on" = 0 ]
}

# move NAME: the machine goes to another process, which is what runs then.
move() {
	local old=${pid[$1]} from=${place[$1]} to=${monitor[$1]-} tid numbers
	tid=$(vcpu "$old")
	expect "$1" "$from/there"
	trace_start "$tid"
	case $1 in
	kinglet) "$KINGLET" migrate "$from/control" "unix:$from/there" 2>"$from/rounds" ;;
	microvm) echo "migrate -d unix:$from/there" >&"$to" ;;
	esac
	until_true has_moved
	case $1 in
	microvm)
		printf 'info migrate\nquit\n' >&"$to"
		exec {to}>&-
		;;
	esac
	wait "$old"
	numbers=$(trace_evaluate "$tid")
	trace_stop "$tid"
	until_true says "$1" '^[0-9]'
	rm -rf "$from"
	result "$1" "$load" "$numbers"
}

tracing_begin() {
	tracing_prepare
	mkdir -p $stops
	echo 64 | tee $trace/buffer_size_kb >$stops/buffer_size_kb
	echo mono | tee $trace/trace_clock >$stops/trace_clock
	# shellcheck disable=SC2016 # it is the kernel's
	printf '%s\n' 'r:kinglet/wire unix_stream_sendmsg bytes=$retval:s64' \
		'p:kinglet/connects unix_stream_connect' >$trace/kprobe_events
	echo 1 >$trace/events/kinglet/connects/enable
	echo 1 >$stops/events/kvm/kvm_entry/enable
	echo 1 >$stops/events/kvm/kvm_userspace_exit/enable
}

tracing_end() {
	echo 0 >$trace/events/kinglet/connects/enable
	echo >$trace/kprobe_events
	rmdir $stops
}

group_run() {
	local i name load never
	trap 'tail -v -n 20 $store/*/{console,log} >&2' ERR
	set -E
	: >"$TESTBED_OUT/results"
	exec {never}<> <(:)
	vmms_local
	rm -rf $store
	mkdir -m 700 $store
	tracing_begin
	for load in "${loads[@]}"; do
		for name in "${names[@]}"; do
			boot "$name" "$load"
			kill -STOP "${pid[$name]}"
		done
		for ((i = 0; i < runs; i++)); do
			for name in "${names[@]}"; do
				kill -CONT "${pid[$name]}"
				move "$name"
				kill -STOP "${pid[$name]}"
			done
		done
		for name in "${names[@]}"; do
			kill -KILL "${pid[$name]}"
			wait "${pid[$name]}" 2>/dev/null || :
		done
	done >&2
	tracing_end
	rm -rf $store
}

# ---- outside: preparation and report ----

group_prepare() {
	# shellcheck disable=SC2016
	echo 'exec /dirtier 32 "$rate"' >"$work/script"
	"$here/mkinitrd" "$work/script" "$TOOLS/dirtier" >"$work/initrd"
}

# values NAME LOAD FIELD
values() {
	awk -v name="$1" -v load="$2" -v field="$3" '
		$1 == name && $2 == load { print $field }' "$TESTBED_OUT/results"
}

# row TITLE FIELD LOAD SCALE
row() {
	local name
	printf '%-36s' "$1"
	for name in "${names[@]}"; do
		values "$name" "$3" "$2" | median | awk -v scale="$4" '{ printf "%14.1f", $1 / scale }'
	done
	echo
}

group_report() {
	local load field title=('' '' '' 'total time' downtime bytes)
	printf '%-36s' ''
	printf '%14s' Kinglet microvm+rtc
	echo
	for load in "${loads[@]}"; do
		row "$load KiB/s: total time, ms" 3 "$load" 1
		row "$load KiB/s: downtime, ms" 4 "$load" 1
		row "$load KiB/s: bytes, MiB" 5 "$load" 1048576
	done
	echo
	for load in "${loads[@]}"; do
		for field in 3 4 5; do
			paste -d ' ' <(values kinglet "$load" $field) <(values microvm "$load" $field) |
				awk '{ print $1 / $2 }' |
				at_most "${title[field]} / microvm+rtc, $load KiB/s" 1
		done
	done
}
