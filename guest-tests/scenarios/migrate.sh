# A busy Linux moves between processes: four CPUs with a timer each, TCP both ways by vhost-net, writes
# to a disk and to a disk of vhost-scsi, vsock, a writer to memory. All data is checked, each load goes
# on after each move. moves: back and forth; ends: a move is cancelled, and either side is killed:
# one process has the machine, which is whole. For more of them by hand: MOVES=50, or ENDS="target
# cancel ...", with a LIMIT of 100 seconds for each.
# cases: moves
# cases x86_64: ends
export XDG_RUNTIME_DIR=$PWD
chmod 700 .
cpus=4 moves=${MOVES:-2} ends=${ENDS:-cancel target source}
[ "$ARCH" = x86_64 ] || cpus=2
loads='write scsi memory vsock in out'
ip link add br0 type bridge
ip addr add 10.9.0.1/24 dev br0
ip link set br0 up
for tap in net0 net1; do
	ip tuntap add $tap mode tap vnet_hdr
	ip link set $tap master br0 up
done
"$TOOLS/net-check" serve 2000 >/dev/null &
server=$!
"$TOOLS/sockecho" vsock serve 1000 &
echo=$!
trap 'kill -KILL $server $echo $(jobs -p) || :; for link in net0 net1 br0; do ip link delete $link; done' EXIT
random data 64K
truncate -s 64M disk.img scsi.img

guest_runs "$TOOLS"/{net-check,sockecho,clock-check} data <<'END'
# load NAME COMMAND...: until there is /enough. Counts rounds and failures by a line each.
load() {
	name=$1
	shift
	until [ -e /enough ]; do
		if "$@"; then
			echo >>/rounds.$name
		else
			echo >>/failures.$name
		fi
	done
}
count() {
	cat /$1 2>/dev/null | wc -l
}
write() {
	block=$(count sums.$1)
	head -c 64k /dev/urandom >/tmp/block.$1
	sha256sum </tmp/block.$1 >>/sums.$1
	dd if=/tmp/block.$1 of=/dev/$1 bs=64k seek=$((block % 1024)) conv=notrunc,fsync
}
# The last ones, which no later one has overwritten.
read_back() {
	blockdev --flushbufs /dev/$1
	block=$(count sums.$1)
	tail -n 1000 /sums.$1 >/sums.last
	block=$((block - $(count sums.last)))
	while read -r sum; do
		[ "$(dd if=/dev/$1 bs=64k skip=$((block % 1024)) count=1 | sha256sum)" = "$sum" ] || return
		block=$((block + 1))
	done </sums.last
}
memory() {
	sum=$(head -c 1M /dev/urandom | tee /tmp/noise | sha256sum)
	[ "$(sha256sum </tmp/noise)" = "$sum" ]
}
vsock() {
	/sockecho vsock connect 2 1000 </data | cmp - /data
}
# Until each has been done once more. Which one has not is a failure's first question.
all_go_on() {
	for name in $loads; do
		before=$(count rounds.$name)
		echo "scenario: wait for $name"
		until [ $(count rounds.$name) -gt $before ]; do
			sleep 0.1
		done
	done
}
modprobe -a virtio_pci virtio_net virtio_blk virtio_scsi sd_mod vmw_vsock_virtio_transport
until [ -b /dev/vda -a -b /dev/sda -a -e /sys/class/net/eth0 ]; do
	sleep 0.1
done
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
dmesg -c >/dev/null
/clock-check 20000 >/clock &
clock=$!
ping 10.9.0.1 >/pings &
pings=$!
load write write vda &
load scsi write sda &
load memory memory &
load vsock vsock &
for way in out in; do
	load $way /net-check tcp 10.9.0.1 2000 1 $way >/dev/null &
done
all_go_on
last=0
echo 'scenario: busy 0'
while read -r moves; do
	[ $moves != over ] || break
	all_go_on
	echo "scenario: busy $moves"
	last=$moves
done
touch /enough
kill $clock
wait $clock || clock=wrong
kill -INT $pings
wait
cat /clock
tail -n 3 /pings
for name in $loads; do
	echo "scenario: $name: $(count rounds.$name) rounds, $(count failures.$name) failures"
done
dmesg
[ $clock != wrong ]
[ $(count failures.write)$(count failures.scsi)$(count failures.memory) = 000 ]
[ $(count failures.in)$(count failures.out) = 00 ]
[ $(count failures.vsock) -le $last ]
read_back vda
read_back sda
echo 'scenario: all is right'
dmesg | must_fail grep -E 'BUG|WARNING|stall|lockup|rror'
END

# start N WORD...: a process for the machine, number N, which has the console console.N. A host has
# each tap and CID once.
declare -A pids keyboards
start() {
	rm -f console messages
	ln -s "console.$1" console
	ln -s "messages.$1" messages
	vm_start run "${@:2}" --name "m$1" --net "tap=net$(($1 % 2)),vhost=on" \
		--vsock "cid=$((3 + $1 % 2))"
	pids[$1]=$vm
	keyboards[$1]=$keyboard
}

# use N: that process has the machine.
use() {
	ln -snf "console.$1" console
	ln -snf "messages.$1" messages
	vm=${pids[$1]}
	keyboard=${keyboards[$1]}
	has=$1
}

boot() {
	start "$1" "$BZIMAGE" --initrd initrd --cpus $cpus --append "$cmdline loads=\"$loads\"" \
		--disk disk.img --scsi scsi.img
	await_output 'scenario: busy 0'
	has=$1
}

# expect_target N: begins a process for the machine to move to.
expect_target() {
	start "$1" --incoming "unix:at.$1"
	await_socket "at.$1"
}

# Rounds are slow in the emulated host, but it is fast when the guest stands still.
migrate() {
	timeout 100 "$KINGLET" migrate "m$has" "unix:at.$1" --downtime 3s
}

# The guest is whole.
tokens=0
goes_on() {
	tokens=$((tokens + 1))
	echo "$tokens" >&"$keyboard"
	await_output "scenario: busy ${tokens}[^0-9]"
}

# try N WHAT: something happens while the machine moves to process N, or before, or after. Then has
# says who has it, or is empty: it has died with its process.
try() {
	local target=$1 source=$has status=0 command
	expect_target "$target"
	migrate "$target" &
	command=$!
	sleep "$((RANDOM % 8)).$((RANDOM % 10))"
	case $2 in
	cancel) "$KINGLET" migrate "m$source" --cancel || : ;;
	target) kill -KILL "${pids[$target]}" || : ;;
	source) kill -KILL "${pids[$source]}" || : ;;
	esac
	wait $command || status=$?
	echo "$2: the move ended with $status"
	use "$target"
	case $2-$status in
	cancel-0 | source-0) ;;
	target-0) has= ;;
	source-*)
		tokens=$((tokens + 1))
		echo $tokens >&"$keyboard"
		until grep -qa "scenario: busy ${tokens}[^0-9]" console; do
			kill -0 "$vm" 2>/dev/null || {
				has=
				break
			}
			sleep 0.2
		done
		;;
	*)
		wait "$vm" || :
		use "$source"
		! grep -q 'stands still' messages || "$KINGLET" resume "m$source"
		;;
	esac
}

case $case in
moves)
	boot 0
	for ((n = 1; n <= moves; n++)); do
		expect_target $n
		migrate $n || {
			cat messages*
			fail "move $n"
		}
		wait "${pids[$has]}"
		use $n
		goes_on
	done
	;;
ends)
	boot 0
	n=0
	for what in $ends; do
		[ -n "$has" ] || boot $((++n))
		n=$((n + 1 + (n + has) % 2))
		try $n "$what"
		[ -z "$has" ] || goes_on
	done
	[ -n "$has" ] || boot $((++n))
	;;
esac
echo over >&"$keyboard"
vm_wait
cat console.* messages.*
expect_status 0
expect_output 'scenario: all is right'
received=$(sed -n 's/.* packets transmitted, \([0-9]*\) .*/\1/p' console)
sent=$(sed -n 's/\([0-9]*\) packets transmitted.*/\1/p' console)
[ "$case" = ends ] || [ $((sent - received)) -le $moves ] || fail "of $sent pings $received came back"
# Targets that killed processes had.
"$KINGLET" doctor --fix >/dev/null || :
