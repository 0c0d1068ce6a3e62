# The host's commands in docs/vhost.md, and the examples of README.md for the same devices, exactly
# as written there.
# arch: x86_64
# cases: tap bridge scsi vsock direct vhost-user fs readme-net readme-scsi readme-vsock readme-vhost-user

# What the page assumes: programs in $PATH, a kernel, an initramfs.
mkdir bin
ln -s "$KINGLET" bin/kinglet
ln -s "$(dirname "$TOOLS")/vhost-direct" bin/vhost-direct
PATH=$PWD/bin:$PATH
cp "$BZIMAGE" vmlinuz
"$TOOLS/sockecho" vsock serve 1000 &

guest_runs "$TOOLS/sockecho" <<'END'
set -e
modprobe -a virtio_pci virtio_net virtio_scsi sd_mod virtio_blk virtiofs vmw_vsock_virtio_transport
until [ ! -e /sys/bus/virtio/drivers/virtio_scsi/virtio0 ] || [ -e /dev/sda ]; do
	sleep 0.1 # disks are scanned for after modprobe
done
if [ -e /sys/class/net/eth0 ]; then
	# Two guests on a bridge: the lower address waits for the other.
	mac=$(tr : ' ' </sys/class/net/eth0/address)
	ip link set eth0 up
	ip addr add 10.9.0.$((0x${mac##* } % 200 + 20))/24 dev eth0
	ping -c 3 10.9.0.1 >/dev/null && echo 'guest: net'
fi
# disk NODE NAME: what is written to it is read back.
disk() {
	[ -e $1 ] || return 0
	dd if=/dev/urandom of=/data bs=1M count=4
	dd if=/data of=$1
	sync
	echo 3 >/proc/sys/vm/drop_caches
	dd if=$1 bs=1M count=4 | cmp - /data && echo "guest: $2"
}
disk /dev/sda scsi
disk /dev/vda blk
if mount -t virtiofs share /mnt; then
	cmp /mnt/vmlinuz /mnt/copy && echo 'guest: fs'
	umount /mnt
fi
if echo hello | /sockecho vsock connect 2 1000 | grep hello; then
	echo 'guest: vsock'
fi
END
mv initrd initrd.img

# example TEXT: README's example whose comment contains the text, with the commands for root.
example() {
	awk -v text="$1" 'index($0, text) { wanted = 1 } wanted && !NF { exit } wanted' \
		"$GUEST_TESTS/../README.md" | sed -n 's/^    #   //p; s/^    \([^#]\)/\1/p'
}

# try NAME TEXT TIMES: run it; the text must be in its output TIMES times.
try() {
	if [[ $1 == *' '* ]]; then example "$1"; else block "$1"; fi >commands
	[ -s commands ]
	cat commands
	echo "+ block $1"
	bash -e commands </dev/null >printed 2>&1 || { tail -n 20 printed; fail "block $1"; }
	[ "$(grep -ac "$2" printed)" -eq "$3" ] || { tail -n 20 printed; fail "no '$2' in block $1"; }
}

case $case in
tap) try tap 'guest: net' 1 ;;
bridge) try bridge 'guest: net' 2 ;;
scsi)
	try scsi 'guest: scsi' 1
	rmdir /sys/kernel/config/target/vhost # of all targets: the page must not remove it
	;;
vsock) try vsock 'guest: vsock' 1 ;;
direct) try direct 'each as it was sent' 1 ;;
vhost-user) try vhost-user 'guest: blk' 1 ;;
fs)
	cp vmlinuz copy
	try fs 'guest: fs' 1
	;;
readme-vhost-user)
	truncate -s 16M disk.img
	try 'A disk of another process' 'guest: blk' 1
	kill "$(pidof qemu-storage-daemon)"
	;;
readme-net)
	export USER=root
	try "The same in the host's kernel for two CPUs" 'guest: net' 1
	ip link delete tap1
	;;
readme-scsi)
	truncate -s 16M disk.img
	try 'A SCSI disk that the host' 'guest: scsi' 1
	;;
readme-vsock) try 'AF_VSOCK sockets between host' 'guest: vsock' 1 ;;
esac
