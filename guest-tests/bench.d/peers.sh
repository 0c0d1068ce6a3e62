# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# For the groups net, user, scsi, disk and fs: one guest for each column, all running throughout the group, with the
# program rates in each. One guest runs one measurement for some seconds, then the next guest runs
# the same, twice RUNS times: so a busy host affects all of them, or one round, which the median
# ignores. Ratios are taken within a round.
#
# A group defines:
#   peers=(NAME...)     its columns; the guest RAM of one whose name ends with -user is shared
#   pairs=(A:B...)      columns of which the first must keep up with the second in every test;
#                       A:B:TEST:BOUND: be BOUND times as fast in that test
#   tests=(TEST...)     its rows: tests of rates
#   counted=(TEST...)   for these it also prints the kernel's counters,
#   per=FIELD unit=...  for each thousand of these
#   drivers='...'       modules that the guest loads
#   devices NAME        adds to the array vmm
# and may define:
#   peers_up, peers_down  host set-up in addition to taps
#   guest_at INDEX        address and port of that guest's rates, as the host reaches it
#   guest_network='...'   commands of the guest that set up its network card
#   guest_folder=PATH     what its rates works in, instead of its disk

memory=128  # MiB
limit=180   # seconds for a guest to boot
seconds=0.5 # for one measurement: short, so that guests take turns often
port=2000
counters='packets userspace-exits exits interrupts wakeups'

# One field of a line of results.
declare -A field=([round]=1 [test]=2 [peer]=3 [operations]=4 [bytes]=5 [seconds]=6 [packets]=7
	[userspace-exits]=8 [exits]=9 [interrupts]=10 [wakeups]=11)

declare -A label=([kinglet]=Kinglet [kinglet-local]='in Kinglet' [kinglet-poll]='poll=50'
	[kinglet-user]='Kinglet user' [kinglet-scsi]='vhost-scsi' [microvm]=microvm [q35]=q35
	[microvm-local]='in microvm' [microvm-user]='microvm user')

declare -A title=(
	[tcp-in]='TCP to the guest, MiB/s' [tcp-out]='TCP from the guest, MiB/s'
	[udp-in]='datagrams to the guest /s' [udp-out]='datagrams from the guest /s'
	[round-trips]='round trips /s'
	[read-random]='4 KiB reads /s, 32 at once' [read-latency]='4 KiB reads /s, one by one'
	[read]='sequential read, MiB/s' [write]='sequential write, MiB/s'
	[make]='files made, as by tar /s' [stat]='files looked at, as by stat /s'
)

# ---- inside: where the VMMs run ----

declare -A pid=()

# command_of INDEX: sets vmm for that column, without the group's devices.
command_of() {
	local cmdline="console=ttyS0 quiet panic=-1 address=10.77.$1.2"
	case ${peers[$1]} in
	kinglet*)
		vmm=("$KINGLET" run "$BZIMAGE" --initrd "$work/initrd" --memory "$memory"
			--append "$cmdline")
		return
		;;
	microvm-user)
		qemu_command microvm,pcie=on,rtc=on,memory-backend=ram "$memory"
		vmm+=(-object "memory-backend-memfd,id=ram,size=${memory}M,share=on")
		;;
	microvm*) qemu_command microvm,pcie=on,rtc=on "$memory" ;;
	q35) qemu_command q35 "$memory" ;;
	esac
	vmm+=(-kernel "$BZIMAGE" -initrd "$work/initrd" -append "$cmdline")
}

# add_card INDEX vhost=on|off
add_card() {
	case ${peers[$1]} in
	kinglet*) vmm+=(--net "tap=bench$1,$2") ;;
	*)
		vmm+=(-netdev "tap,id=net,ifname=bench$1,script=no,downscript=no,$2"
			-device 'virtio-net-pci,netdev=net')
		;;
	esac
}

guest_at() {
	echo "10.77.$1.2 $port"
}

# rates_of INDEX TEST SECONDS LIMIT
rates_of() {
	# shellcheck disable=SC2046 # address and port
	timeout "$4" "$TOOLS/rates" $(guest_at "$1") "$2" "$3"
}

# guest_up INDEX
guest_up() {
	local vmm end=$((SECONDS + limit)) name=${peers[$1]}
	command_of "$1"
	devices "$1"
	ip tuntap add "bench$1" mode tap vnet_hdr
	ip addr add "10.77.$1.1/24" dev "bench$1"
	ip link set "bench$1" up
	"${vmm[@]}" </dev/null >"$TESTBED_OUT/$name.log" 2>&1 &
	pid[$name]=$!
	# Not earlier: a passt whose guest does not answer takes all of the CPU (2023-03-09).
	until grep -qa ready "$TESTBED_OUT/$name.log" &&
		rates_of "$1" "${tests[0]}" 0.01 10 >/dev/null 2>&1; do
		if [ $SECONDS -ge $end ] || ! kill -0 "${pid[$name]}"; then
			return 1
		fi
		sleep 0.5
	done
}

all_down() {
	local status=$? i
	[ $status -eq 0 ] || tail -v -n 25 "$TESTBED_OUT"/*.log >&2
	[ ${#pid[@]} -eq 0 ] || kill -KILL "${pid[@]}" 2>/dev/null || :
	wait 2>/dev/null
	for i in "${!peers[@]}"; do
		ip link del "bench$i" 2>/dev/null || :
	done
	[ "$(type -t peers_down)" != function ] || peers_down
	echo '!hist:keys=common_pid' >$trace/events/kvm/kvm_userspace_exit/trigger
}

# count_now INDEX: reads $counters of the tap, the vCPU threads, the VM and its vhost workers. The
# names of the VM's folder and of the workers contain the ID of the thread that created them.
count_now() {
	local id=${pid[${peers[$1]}]} statistics=/sys/class/net/bench$1/statistics
	local tids
	tids=$(ls "/proc/$id/task")
	# shellcheck disable=SC2046 # a list of words
	awk -v packets="$(($(<"$statistics/rx_packets") + $(<"$statistics/tx_packets")))" '
		FILENAME ~ /hist$/ { gsub(/[{}:]/, " "); exits[$2] = $4; next }
		FILENAME ~ /task/ { userspace += exits[$1]; next }
		FILENAME ~ /status$/ { if (/^voluntary/) wakeups += $2; next }
		{ count[FILENAME] = $1 }
		function of(name,  file, sum) {
			for (file in count)
				if (file ~ "/" name "$")
					sum += count[file]
			return sum + 0
		}
		END { print packets, userspace + 0, of("exits"), of("irq_injections"), wakeups + 0 }' \
		$trace/events/kvm/kvm_userspace_exit/hist /proc/"$id"/task/*/stat \
		$(grep -lxF "$(sed 's/^/vhost-/' <<<"$tids")" /proc/[0-9]*/comm 2>/dev/null |
			sed 's/comm$/status/') \
		$(ls /sys/kernel/debug/kvm/*/{exits,irq_injections} |
			grep -F "$(sed 's,.*,/kvm/&-,' <<<"$tids")")
}

# measure ROUND TEST INDEX. It fails when the guest is gone, which can happen in the emulated host.
measure() {
	local i before after rate
	read -ra before < <(count_now "$3")
	rate=$(rates_of "$3" "$2" "$seconds" 60)
	read -ra after < <(count_now "$3")
	for i in "${!after[@]}"; do
		after[i]=$((after[i] - before[i]))
	done
	result "$1 $2 ${peers[$3]} $rate ${after[*]}"
}

# The emulated host has one CPU. Whether vhost's worker preempts the sender after each packet, or
# after as many as fit, is random, and makes three times the difference of anything else.
let_senders_finish() {
	echo NO_WAKEUP_PREEMPTION >/sys/kernel/debug/sched/features
}

group_run() {
	local round test i
	: >"$TESTBED_OUT/results"
	tracing_prepare
	[ "$where" != inside ] || let_senders_finish
	trap all_down EXIT
	[ "$(type -t peers_up)" != function ] || peers_up
	for i in "${!peers[@]}"; do
		guest_up "$i"
	done
	echo 'hist:keys=common_pid' >$trace/events/kvm/kvm_userspace_exit/trigger
	echo "round test guest operations bytes seconds $counters" >&2
	for ((round = 0; round < 2 * runs; round++)); do
		for test in "${tests[@]}"; do
			# A different one first each time: it runs with the emulator's cold caches.
			for i in "${!peers[@]}"; do
				measure $round "$test" $(((i + round) % ${#peers[@]})) >&2
			done
		done
	done
}

# ---- outside: preparation and report ----

group_prepare() {
	cat >"$work/script" <<-END
		set -e
		modprobe -a virtio_pci virtio_net $drivers
		${guest_network-ip addr add \$address/24 dev eth0
		ip link set eth0 up}
		for disk in /dev/sda /dev/vda; do
			[ ! -b \$disk ] || break
		done
		echo ready
		/rates serve $port ${guest_folder-\$disk}
	END
	"$here/mkinitrd" "$work/script" "$TOOLS/rates" >"$work/initrd"
}

# values TEST PEER EXPRESSION: one per round; an awk expression with the names of the fields.
values() {
	local name expression=$3
	for name in "${!field[@]}"; do
		expression=${expression//<$name>/\$${field[$name]}}
	done
	awk -v test="$1" -v peer="$2" "\$${field[test]} == test && \$${field[peer]} == peer {
		print $expression }" "$TESTBED_OUT/results"
}

# row TITLE TEST EXPRESSION FORMAT
row() {
	local peer
	printf '%-30s' "$1"
	for peer in "${peers[@]}"; do
		printf "%14$4" "$(values "$2" "$peer" "$3" | median)"
	done
	echo
}

rate_of() {
	case $1 in
	tcp* | read | write) echo '<bytes> / <seconds> / 1048576' ;;
	*) echo '<operations> / <seconds>' ;;
	esac
}

group_report() {
	local test pair only bound a b peer name
	printf '%-30s' ''
	for peer in "${peers[@]}"; do
		printf '%14s' "${label[$peer]}"
	done
	echo
	for test in "${tests[@]}"; do
		row "${title[$test]}" "$test" "$(rate_of "$test")" .0f
	done
	for test in "${counted[@]}"; do
		name=${title[$test]%, MiB/s}
		echo "per 1,000 $unit, ${name/ \/s/}:"
		row '  userspace exits' "$test" "1000 * <userspace-exits> / <$per>" .2f
		row '  exits' "$test" "1000 * <exits> / <$per>" .0f
		row '  interrupts' "$test" "1000 * <interrupts> / <$per>" .0f
		row '  wake-ups of vhost' "$test" "1000 * <wakeups> / <$per>" .0f
	done
	echo
	for pair in "${pairs[@]}"; do
		IFS=: read -r a b only bound <<<"$pair"
		for test in ${only:-"${tests[@]}"}; do
			name=${title[$test]%, MiB/s}
			paste <(values "$test" "$a" "$(rate_of "$test")") \
				<(values "$test" "$b" "$(rate_of "$test")") |
				awk '{ print $1 / $2 }' |
				keeps_up "${name/ \/s/}, ${label[$a]} / ${label[$b]}" "${bound:-1}"
		done
	done
}
