# A machine moves while it writes to a disk of qemu-storage-daemon and has a network by passt: what the
# daemon writes to memory is in its log. Each side has daemons of its own, on one image.
# arch: x86_64
export XDG_RUNTIME_DIR=$PWD
chmod 700 .
ip tuntap add up0 mode tap
ip addr add 10.55.0.2/24 dev up0
ip link set up0 up
ip route add default via 10.55.0.1 dev up0
"$TOOLS/net-check" serve 2000 >/dev/null &
trap 'kill -KILL $(jobs -p) || :; ip link delete up0' EXIT
truncate -s 64M disk.img
daemon_start() {
	qemu-storage-daemon \
		--blockdev "file,node-name=f,filename=disk.img,locking=off" \
		--export "vhost-user-blk,id=e,node-name=f,addr.type=unix,addr.path=socket.$1,writable=on" &
	await_socket "socket.$1"
}
guest_runs "$TOOLS/net-check" <<'END'
modprobe -a virtio_pci virtio_blk virtio_net
ip link set eth0 up
ip addr add 10.55.0.3/24 dev eth0
/net-check tcp 10.55.0.1 2000 1
# Reads by the daemon go to memory that has been sent already.
load() {
	block=0
	until [ -e /enough ]; do
		head -c 64k /dev/urandom >/block
		dd if=/block of=/dev/vda bs=64k seek=$((block % 512)) conv=notrunc,fsync
		echo 3 >/proc/sys/vm/drop_caches
		dd if=/dev/vda bs=64k skip=$((block % 512)) count=1 | cmp - /block || echo >>/failures
		block=$((block + 1))
		echo $block >/blocks
	done
}
load &
until [ -s /blocks ]; do
	sleep 0.1
done
echo 'scenario: busy'
read -r _
before=$(cat /blocks)
until [ $(cat /blocks) -gt $((before + 2)) ]; do
	sleep 0.1
done
touch /enough
wait
[ ! -e /failures ]
# The connections of the first passt are over; new ones pass.
/net-check tcp 10.55.0.1 2000 1
sha256sum </dev/vda
echo 'scenario: all is right'
END
# As in scenario migrate.
start() {
	rm -f console messages
	ln -s "console.$1" console
	ln -s "messages.$1" messages
	daemon_start "$1"
	vm_start run "${@:2}" --name "m$1"
}
start 0 "$BZIMAGE" --initrd initrd --append "$cmdline" --net user --disk vhost-user=socket.0
source=$vm
await_output 'scenario: busy'
start 1 --incoming unix:at --net user --disk vhost-user=socket.1
await_socket at
timeout 100 "$KINGLET" migrate m0 unix:at --downtime 3s || {
	cat messages.*
	fail 'it did not move'
}
wait "$source"
echo >&"$keyboard"
vm_wait
cat console.* messages.*
expect_status 0
expect_output 'scenario: all is right'
expect_output "^$(sum disk.img)"
