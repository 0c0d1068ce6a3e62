# A snapshot is restored many times at once, each with a disk and a tap of its own beside a disk that
# none writes to: each has its own random numbers and the right time, its kernel knows that it is a
# copy, and it tells the network where it is. rounds: saved and restored again and again.
# cases: forks rounds
export XDG_RUNTIME_DIR=$PWD
chmod 700 .
forks=${FORKS-4} rounds=${ROUNDS-8}
random disk.img 1M
truncate -s 1M own.img

# The emulated host's kernel, which has the driver of the VM generation ID.
install -m 755 "$GUEST_TESTS/guest-init" init
INITRD=$HOST_INITRD guest_runs init <<'END'
modprobe -a virtio_pci virtio_blk virtio_console virtio_net
find_port() {
	port=
	until [ "$port" ]; do
		for name in /sys/class/virtio-ports/*/name; do
			[ "$(cat "$name")" != kinglet.snapshot ] || port=/dev/$(basename "${name%/name}")
		done
	done
}
find_port
until [ -b /dev/vda -a -b /dev/vdb -a -e /sys/class/net/eth0 ]; do
	sleep 0.1
done
[ ! -e /proc/sys/net/ipv6 ] || echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
cat /sys/class/net/eth0/address
sent=$(cat /sys/class/net/eth0/statistics/tx_packets)
head -c 1000000 /dev/urandom >/tmp/noise
noise=$(sha256sum </tmp/noise)
exec 3<>"$port"
dmesg -c >/dev/null
rounds=0
while :; do
	echo save >&3
	read -r answer args <&3
	[ "$answer" = restored ]
	rounds=$((rounds + 1))
	echo "random: $(head -c 16 /dev/urandom | sha256sum)"
	echo "time: $(date +%s)"
	[ "$(sha256sum </tmp/noise)" = "$noise" ]
	[ "$args" = end ] || continue
	break
done
echo 3 >/proc/sys/vm/drop_caches
[ "$(sha256sum </dev/vda)" = "$sum  -" ]
head -c 1m /dev/urandom >/tmp/own
dd if=/tmp/own of=/dev/vdb bs=1M conv=fsync
echo "own: $(sha256sum </tmp/own)"
until [ "$generation" = none ] || dmesg | grep 'crng reseeded due to virtual machine fork'; do
	sleep 0.1
done
until [ "$(cat /sys/class/net/eth0/statistics/tx_packets)" -gt "$sent" ]; do
	sleep 0.1
done
dmesg
echo "scenario: whole after $rounds rounds"
dmesg | must_fail grep -E 'BUG|WARNING|stall|lockup'
END

# Of a device tree, Linux has the driver from 6.10 on only.
[ "$ARCH" = aarch64 ] && generation=none || generation=known

# expect_numbers COUNT FILE...: that many random numbers, each another.
expect_numbers() {
	[ $generation = known ] || return 0
	[ "$(cat "${@:2}" | grep -a '^random:' | sort -u | wc -l)" = "$1" ] ||
		fail 'the same random numbers'
}

add_tap() {
	ip tuntap add "$1" mode tap vnet_hdr
	ip addr add 10.9.0.1/24 dev "$1"
	echo 1 >/proc/sys/net/ipv4/conf/"$1"/arp_accept
	ip link set "$1" up
}

trap 'for tap in /sys/class/net/fork*; do ip link delete "${tap##*/}"; done' EXIT
add_tap fork0
vm run "$HOST_VMLINUX" --initrd initrd --cpus 2 \
	--append "$cmdline generation=$generation sum=$(sum disk.img)" --disk disk.img,readonly \
	--disk own.img --net tap=fork0,vhost=on --snapshot saved.0 --snapshot-end
cat console messages
expect_status 0
mac=$(grep -m 1 -oE '([0-9a-f]{2}:){5}[0-9a-f]{2}' console)

case $case in
forks)
	ip monitor neigh >neighbours &
	monitor=$!
	since=$(date +%s)
	pids=()
	for ((i = 1; i <= forks; i++)); do
		add_tap fork$i
		cp own.img own$i.img
		"$KINGLET" restore saved.0 --disk disk.img,readonly --disk own$i.img \
			--net tap=fork$i,vhost=on -- end </dev/null >console$i 2>messages$i &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || fail "a fork ended with status $?"
	done
	for ((i = 1; i <= forks; i++)); do
		cat console$i messages$i
		expect_time "$since" console$i
		grep -q 'scenario: whole after 1 rounds' console$i
		grep -q "own: $(sum own$i.img)" console$i
		grep "^10.9.0.2 dev fork$i lladdr $mac" neighbours
	done
	kill $monitor
	expect_numbers $forks console[1-9]*
	;;
rounds)
	for ((i = 1; i <= rounds; i++)); do
		since=$(date +%s)
		vm restore saved.$((i - 1)) --snapshot saved.$i --snapshot-end
		expect_status 0
		expect_time "$since"
		rm -r saved.$((i - 1))
		cat console >>all
	done
	vm restore saved.$((i - 1)) -- end
	cat console messages
	expect_status 0
	expect_output "scenario: whole after $((rounds + 1)) rounds"
	expect_numbers $((rounds + 1)) all console
	;;
esac
