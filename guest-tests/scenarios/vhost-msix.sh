# MSI-X, function-level reset, memory decoding and BAR moves while queues that vhost runs carry
# traffic: TCP on a network card and a stream on vsock. Traffic continues after each; at the end
# kicks still go straight to the kernel.
echo=$TOOLS/sockecho
head -c 256K /dev/urandom >data
ip tuntap add dev msix0 mode tap vnet_hdr
ip addr add 10.9.7.1/24 dev msix0
ip link set msix0 up
"$echo" tcp serve 1000 &
"$echo" vsock serve 1000 &

guest_runs "$echo" data <<'END'
set -eu
modprobe -a virtio_pci virtio_net vmw_vsock_virtio_transport
net=$(basename "$(readlink -f /sys/bus/virtio/drivers/virtio_net/virtio*)")
vsock=$(basename "$(readlink -f /sys/bus/virtio/drivers/vmw_vsock_virtio_transport/virtio*)")
net_pci=$(basename "$(readlink -f /sys/bus/virtio/devices/$net/..)")
vsock_pci=$(basename "$(readlink -f /sys/bus/virtio/devices/$vsock/..)")

net_up() {
	until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
	ip addr add 10.9.7.2/24 dev eth0
	ip link set eth0 up
}

# traffic KIND ADDRESS: endless; counts good and bad transfers.
traffic() {
	while true; do
		if /sockecho "$1" connect "$2" 1000 </data 2>/tmp/$1.error | cmp -s - /data; then
			echo >>/tmp/$1.good
		else
			echo >>/tmp/$1.bad
			sleep 0.2
		fi
	done
}

# await_traffic: three more good transfers of each kind.
await_traffic() {
	for kind in tcp vsock; do
		had=$(cat /tmp/$kind.good 2>/dev/null | wc -l)
		for i in $(seq 1 600); do
			[ "$(cat /tmp/$kind.good 2>/dev/null | wc -l)" -lt $((had + 3)) ] || break
			[ "$i" -lt 600 ] || { echo "scenario: no $kind: $(cat /tmp/$kind.error)"; exit 1; }
			sleep 0.1
		done
	done
	echo "scenario: traffic after $1"
}

rebind() {
	echo "$net" >/sys/bus/virtio/drivers/virtio_net/unbind
	echo "$vsock" >/sys/bus/virtio/drivers/vmw_vsock_virtio_transport/unbind
	echo "$net" >/sys/bus/virtio/drivers/virtio_net/bind
	echo "$vsock" >/sys/bus/virtio/drivers/vmw_vsock_virtio_transport/bind
	net_up
}

# byte N VALUE... of a function's configuration space
write_config() {
	function=$1 offset=$2
	shift 2
	printf "$(printf '\\%o' "$@")" |
		dd of=/sys/bus/pci/devices/$function/config bs=1 seek="$offset" conv=notrunc 2>/dev/null
}

bar() {
	sed -n 1p /sys/bus/pci/devices/$1/resource | cut -d' ' -f1
}

net_up
traffic tcp 10.9.7.1 & tcp=$!
traffic vsock 2 & stream=$!
await_traffic start
[ "$(grep -c "$net-\|$vsock-" /proc/interrupts)" -ge 5 ] # each queue has its own vector

for i in $(seq 1 30); do
	for irq in $(sed -n "s/^ *\([0-9]*\):.* \($net\|$vsock\)-.*/\1/p" /proc/interrupts); do
		echo $((i % 2 + 1)) >/proc/irq/$irq/smp_affinity
	done
done
await_traffic 'affinity changes'
[ ! -e /tmp/tcp.bad ] && [ ! -e /tmp/vsock.bad ]

rebind
await_traffic rebind

for i in 1 2; do
	echo 1 >/sys/bus/pci/devices/$net_pci/reset
	echo 1 >/sys/bus/pci/devices/$vsock_pci/reset
	rebind
	await_traffic "reset $i"
done

# A kick that is not decoded is lost, and the driver does not repeat it: hence the restart.
for i in 1 2 3 4 5; do
	for function in $net_pci $vsock_pci; do
		write_config $function 4 4
		write_config $function 4 6
	done
done
rebind
await_traffic 'memory decoding'

# As firmware or a hot-plug driver would: to the end of its window, and back by the rescan.
for function in $net_pci $vsock_pci; do
	before=$(bar $function)
	echo "scenario: BAR of $function at $before"
	echo $function >/sys/bus/pci/drivers/virtio-pci/unbind
	b=$((before + 0x1000000))
	write_config $function 4 4
	write_config $function 16 $((b & 0xf0)) $((b >> 8 & 255)) $((b >> 16 & 255)) \
		$((b >> 24 & 255)) $((b >> 32 & 255)) $((b >> 40 & 255)) 0 0
	write_config $function 4 6
	echo 1 >/sys/bus/pci/devices/$function/remove
done
echo 1 >/sys/bus/pci/rescan
echo "scenario: BARs at $(bar $net_pci) $(bar $vsock_pci)"
net_up
await_traffic 'BAR moves'
kill $tcp $stream
while pidof sockecho >/dev/null; do
	sleep 0.1
done

echo 'scenario: quiet'
read -r _
for i in 1 2 3 4 5; do
	/sockecho tcp connect 10.9.7.1 1000 </data | cmp - /data
	/sockecho vsock connect 2 1000 </data | cmp - /data
done
echo 'scenario: done'
read -r _
END

# Exits that reach Kinglet, under their names on each architecture. On arm64 the console's line is
# among them.
case $ARCH in
x86_64) counter=mmio_exits allowed=0 ;;
aarch64) counter=mmio_exit_user allowed=64 ;;
esac
# The folder's name contains the ID of the thread that created the VM.
user_exits() {
	local tid
	for tid in $(ls "/proc/$vm/task"); do
		cat "/sys/kernel/debug/kvm/$tid-"*/$counter 2>/dev/null || :
	done
}

vm_start run "$BZIMAGE" --initrd initrd --cpus 2 --net tap=msix0,vhost=on --vsock 3 --append "$cmdline"
await_output 'scenario: traffic after start'
fds=$(ls "/proc/$vm/fd")
await_output 'scenario: quiet' 400
before=$(user_exits)
echo >&"$keyboard"
await_output 'scenario: done'
after=$(user_exits)
[ $((after - before)) -le $allowed ] || fail "$((after - before)) accesses to devices went through Kinglet"
[ "$fds" = "$(ls "/proc/$vm/fd")" ] || fail 'fds are not those of the beginning'
echo >&"$keyboard"
vm_wait
expect_status 0
[ ! -s messages ]
ip tuntap del dev msix0 mode tap
