# A busy Linux moves between processes: four CPUs with a timer each, TCP both ways by vhost-net, writes
# to a disk and to a disk of vhost-scsi, vsock, a writer to memory. All data is checked, each load goes
# on after each move. moves: back and forth; ends: a move is cancelled, and either side is killed.
# cases: moves ends
export XDG_RUNTIME_DIR=$PWD
chmod 700 .
cpus=4 moves=6
[ "$ARCH" = x86_64 ] || cpus=2 moves=2
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
trap 'kill $server $echo; ip link delete net0; ip link delete net1; ip link delete br0' EXIT
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
# Until each has been done once more.
all_go_on() {
	for name in $loads; do
		before=$(count rounds.$name)
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
/clock-check 3000 >/clock &
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

# start N WORD...: the machine number N. A host has each tap and CID once.
start() {
	[ ! -e console ] || cat console >>consoles
	[ ! -e messages ] || cat messages >>said
	vm_start run "${@:2}" --name "m$1" --net "tap=net$(($1 % 2)),vhost=on" \
		--vsock "cid=$((3 + $1 % 2))"
}

# wait_for N: the target number N is there.
wait_for() {
	until [ -S "at.$1" ]; do
		kill -0 "$vm"
		sleep 0.1
	done
}

# goes_on N: the guest is whole.
goes_on() {
	echo "$1" >&"$keyboard"
	await_output "scenario: busy $1"
}

start 0 "$BZIMAGE" --initrd initrd --cpus $cpus --append "$cmdline loads=\"$loads\"" \
	--disk disk.img --scsi scsi.img
await_output 'scenario: busy 0'
case $case in
moves)
	for ((n = 1; n <= moves; n++)); do
		source=$vm
		start $n --incoming "unix:at.$n"
		wait_for $n
		timeout 60 "$KINGLET" migrate "m$((n - 1))" "unix:at.$n" || {
			cat messages
			fail "move $n"
		}
		wait "$source"
		goes_on $n
	done
	;;
esac
echo over >&"$keyboard"
vm_wait
cat said consoles console messages
expect_status 0
expect_output 'scenario: all is right'
received=$(sed -n 's/.* packets transmitted, \([0-9]*\) .*/\1/p' console)
sent=$(sed -n 's/\([0-9]*\) packets transmitted.*/\1/p' console)
[ $((sent - received)) -le $moves ] || fail "of $sent pings $received came back"
