# A network card that passt of Debian 13 carries by vhost-user: TCP and UDP both ways by checksum, the
# driver bound again and the function reset, $times times each, and a killed passt, whose successor
# goes on. Then that and a disk of qemu-storage-daemon through $times reboots and three times as many resets, with
# requests in flight.
# arch: x86_64
ip tuntap add up0 mode tap
ip addr add 10.55.0.2/24 dev up0
ip link set up0 up
ip route add default via 10.55.0.1 dev up0
"$TOOLS/net-check" serve 2000 >/dev/null &
trap 'kill -KILL $(jobs -p) || :; ip link delete up0' EXIT
daemon_start() {
	rm -f /tmp/passt.sock
	newer usr/bin/passt --foreground --quiet --ipv4-only --vhost-user --socket /tmp/passt.sock \
		--tcp-ports 127.0.0.1/8300:3000 &
	daemon=$!
	timeout 60 bash -c 'until [ -S /tmp/passt.sock ]; do sleep 0.1; done'
}
guest_runs "$TOOLS/net-check" <<'END'
modprobe -a virtio_pci virtio_net
up() {
	ip link set eth0 up
	ip addr add 10.55.0.2/24 dev eth0
	ip route add default via 10.55.0.1
}
up
/net-check tcp 10.55.0.1 2000 2
cd /sys/bus/virtio/drivers/virtio_net
device=$(echo virtio*)
for _ in $(seq $times); do
	echo $device >unbind
	echo $device >bind
done
up
/net-check tcp 10.55.0.1 2000 1
cd /sys/bus/pci/drivers/virtio-pci
for device in 0000:*; do
	[ -e $device/virtio*/net ] || continue
	for _ in $(seq $times); do
		echo $device >unbind
		echo 1 >/sys/bus/pci/devices/$device/reset
		echo $device >bind
	done
done
up
/net-check tcp 10.55.0.1 2000 1
/net-check udp 10.55.0.1 2000 300 1400
/net-check serve 3000 &
read -r _
/net-check tcp 10.55.0.1 2000 1
echo 'scenario: all is right'
END
daemon_start
vm_start run "$BZIMAGE" --initrd initrd --append "$cmdline" --net vhost-user=/tmp/passt.sock
await_output serving 100
"$TOOLS/net-check" tcp 127.0.0.1 8300 1
kill -KILL $daemon
wait $daemon || :
daemon_start
echo >&"$keyboard"
vm_wait
cat console messages
expect_status 0
expect_output 'scenario: all is right'
expect_message 'serves it again'

printf 'kinglet\n%.0s' {1..131072} >disk.img
cp disk.img copy
qemu-storage-daemon --blockdev file,node-name=f,filename=disk.img \
	--export vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=socket,writable=on &
await_socket socket
resets_start --net vhost-user=/tmp/passt.sock --disk vhost-user=socket
resets_again "$times"
# QEMU 7.2's daemon may hang up ("Error writing eventfd: Bad file descriptor"): it serves a request in
# flight after its ring has been stopped, and then has no eventfd to say so. It is connected to again.
resets_end 'needs a reset'
expect_same copy disk.img
rm /tmp/passt.sock
