# 256 MiB through TCP each way, with checksum and segmentation offloads; less, because the emulated
# host is slow at it, without offloads, and with jumbo frames.
ip tuntap add net0 mode tap vnet_hdr
ip tuntap add net1 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev net0
ip addr add 10.9.1.1/24 dev net1
ip link set net0 up
ip link set net1 mtu 9000 up
"$TOOLS/net-check" serve 2000 &
server=$!
trap 'kill $server; ip link delete net0; ip link delete net1' EXIT

guest_runs "$TOOLS/net-check" <<'EOF'
set -e
modprobe -a virtio_pci virtio_net
for card in /sys/class/net/eth*; do
	echo "features of ${card##*/}: $(cat $card/device/features) mtu $(cat $card/mtu)"
done
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
ip addr add 10.9.1.2/24 dev eth1
ip link set eth1 up
/net-check tcp 10.9.0.1 2000 256
ping -c 2 -s 8972 10.9.1.1
/net-check udp 10.9.1.1 2000 500 8900
/net-check tcp 10.9.1.1 2000 32
ip link set eth1 mtu 1500
/net-check tcp 10.9.1.1 2000 16
EOF

vm run "$BZIMAGE" --initrd initrd --append "$cmdline" --net tap=net0,vhost=on \
	--net tap=net1,vhost=on,offloads=off
cat console messages
expect_status 0
expect_output '^features of eth0: 11...1.1...1...1.* mtu 1500'
expect_output '^features of eth1: 00...1.0...0...1.* mtu 9000'
