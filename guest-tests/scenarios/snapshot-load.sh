# A busy machine is saved: four CPUs with a timer each, TCP both ways by vhost-net, writes to a disk,
# reads from vhost-scsi, vsock. All data is checked by the one that was saved and by the restored
# one. on: it goes on after it was saved; end: it ends, and its TCP connections outlive it.
# cases: on end
export XDG_RUNTIME_DIR=$PWD
chmod 700 .
ip tuntap add net0 mode tap vnet_hdr
ip addr add 10.9.0.1/24 dev net0
ip link set net0 up
"$TOOLS/net-check" serve 2000 >/dev/null &
server=$!
"$TOOLS/sockecho" vsock serve 1000 &
trap 'kill $server; ip link delete net0' EXIT
random data 64K
random scsi.img 1M
truncate -s 64M disk.img

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
failures() {
	cat /failures.$1 2>/dev/null | wc -l
}
write() {
	block=$(cat /sums | wc -l)
	head -c 64k /dev/urandom >/tmp/block
	sha256sum </tmp/block >>/sums
	dd if=/tmp/block of=/dev/vda bs=64k seek=$((block % 1024)) conv=notrunc,fsync
}
read_back() {
	echo 3 >/proc/sys/vm/drop_caches
	block=0
	while read -r sum; do
		[ "$(dd if=/dev/vda bs=64k skip=$block count=1 | sha256sum)" = "$sum" ] || return
		block=$((block + 1))
	done </sums
}
scsi() {
	blockdev --flushbufs /dev/sda
	[ "$(sha256sum </dev/sda)" = "$sum  -" ]
}
vsock() {
	/sockecho vsock connect 2 1000 </data | cmp - /data
}
modprobe -a virtio_pci virtio_net virtio_blk virtio_scsi sd_mod vmw_vsock_virtio_transport
until [ -b /dev/vda -a -b /dev/sda -a -e /sys/class/net/eth0 ]; do
	sleep 0.1
done
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
dmesg -c >/dev/null
touch /sums
mkfifo /silence
exec 4<>/silence
{
	/sockecho vsock connect 2 1000 <&4 || touch /vsock-reset
} &
/clock-check 20000 >/clock &
clock=$!
pids=
for name in write scsi vsock; do
	load $name $name &
	pids="$pids $!"
done
for way in out in; do
	load $way /net-check tcp 10.9.0.1 2000 $mib $way >/dev/null &
	pids="$pids $!"
done
awaited='write scsi vsock'
[ $case = end ] || awaited="$awaited in out"
for name in $awaited; do
	until [ -s /rounds.$name ]; do
		sleep 0.1
	done
done
echo 'scenario: busy'
read -r which
cp /sums /sums.before
if [ $which = restored ]; then
	until [ -e /vsock-reset ]; do
		sleep 0.1
	done
	# Their other ends are with the machine that ran on.
	[ $case = end ] || killall net-check || :
fi
for name in write scsi vsock in out; do
	rm -f /rounds.$name
	until [ -s /rounds.$name ]; do
		sleep 0.1
	done
done
touch /enough
kill $clock
wait $clock || clock=wrong
wait $pids
read_back
echo "time: $(date +%s)"
cat /clock
[ $clock != wrong ]
for name in write scsi vsock in out; do
	echo "scenario: $name: $(cat /rounds.$name | wc -l) rounds, $(failures $name) failures"
done
[ $(failures write)$(failures scsi) = 00 ]
case $which-$case in
restored-on) [ $(failures vsock) -le 1 -a $(failures in) -le 1 -a $(failures out) -le 1 ] ;;
restored-end) [ $(failures vsock) -le 1 -a $(failures in)$(failures out) = 00 ] ;;
source-on) [ $(failures vsock)$(failures in)$(failures out) = 000 -a ! -e /vsock-reset ] ;;
esac
dmesg
echo 'scenario: all is right'
dmesg | must_fail grep -E 'BUG|WARNING|stall|lockup|rror'
END

# check SINCE: the guest ends well, and its time is right.
check() {
	vm_wait
	cat console messages
	expect_status 0
	expect_output 'scenario: all is right'
	expect_time "$1"
}

options=(run "$BZIMAGE" --initrd initrd --cpus 4 --net "tap=net0,vhost=on" --disk disk.img
	--scsi "path=scsi.img,readonly" --vsock cid=3 --name busy)
anew=()
words="$cmdline case=$case sum=$(sum scsi.img)"
case $case in
on)
	vm_start "${options[@]}" --append "$words mib=1"
	await_output 'scenario: busy'
	"$KINGLET" snapshot busy saved
	echo source >&"$keyboard"
	check 0
	# Changed since: but each block that the restored guest knows is as it was.
	anew=(--disk disk.img)
	;;
end)
	# Streams so long that both are in the middle.
	vm_start "${options[@]}" --append "$words mib=6" --snapshot saved \
		--snapshot-on 'scenario: busy' --snapshot-end
	vm_wait
	cat console messages
	expect_status 0
	;;
esac
since=$(date +%s)
vm_start restore saved "${anew[@]}"
echo restored >&"$keyboard"
check "$since"
