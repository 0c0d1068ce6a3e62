# Two and four pairs of queues while CPUs are hot-plugged and unplugged in the guest, then one CPU
# and one pair: the driver switches pairs on and off, and with them the tap's queues and the
# kernel's threads serve it.
ip tuntap add net0 mode tap vnet_hdr multi_queue
ip tuntap add net1 mode tap vnet_hdr multi_queue
ip addr add 10.9.0.1/24 dev net0
ip addr add 10.9.1.1/24 dev net1
ip link set net0 up
ip link set net1 up
"$TOOLS/net-check" serve 2000 &
server=$!
trap 'kill $server; ip link delete net0; ip link delete net1' EXIT

guest_runs "$TOOLS/net-check" <<'EOF'
set -e
modprobe -a virtio_pci virtio_net
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
ip addr add 10.9.1.2/24 dev eth1
ip link set eth1 up
for card in eth0 eth1; do
	echo "$card: $(ls -d /sys/class/net/$card/queues/rx-* | wc -l) queues"
done
traffic() {
	/net-check tcp 10.9.0.1 2000 4 &
	first=$!
	/net-check tcp 10.9.0.1 2000 4 &
	second=$!
	/net-check tcp 10.9.1.1 2000 4
	/net-check udp 10.9.1.1 2000 300 64
	wait $first
	wait $second
}
traffic
for cpu in 3 2 1; do
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	traffic
done
for cpu in 1 2 3; do
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
done
traffic
# Pairs after the first have carried something.
grep virtio /proc/interrupts
awk '/virtio3-output.[123]/ { for (i = 2; i <= 5; i++) n += $i } END { exit !(n > 100) }' \
	/proc/interrupts
EOF

vm run "$BZIMAGE" --initrd initrd --cpus 4 --append "$cmdline" --net tap=net0,vhost=on,queues=2 \
	--net tap=net1,vhost=on,queues=4
cat console messages
expect_status 0
expect_output '^eth0: 2 queues'
expect_output '^eth1: 4 queues'
