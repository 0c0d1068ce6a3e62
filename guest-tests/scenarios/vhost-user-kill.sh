# A vhost-user daemon dies by SIGKILL 20 times while four CPUs write and read back; the next one goes on
# with what was in flight, which the inflight region tells: nothing is lost, and nothing is done twice
# (a head that is used twice is a complaint of the driver). Then a reboot in the process.
# arch: x86_64
truncate -s 16M disk.img
# daemon_start LIFE
daemon_start() {
	rm -f socket
	"$TOOLS/recording-disk" socket disk.img 4 "$1" >>daemon.log 2>&1 &
	daemon=$!
	await_socket socket
}
# By turns: a request is taken, served, or used but still recorded (in flight in two of the three).
life() {
	echo $((20 + 7 * $1))
}
daemon_start "$(life 0)"

guest_runs <<'END'
modprobe -a virtio_pci virtio_blk
if head -c 8 /dev/vda | grep -q rebooted; then
	exit 5
fi
work() {
	n=0
	while [ ! -e /tmp/over ]; do
		dd if=/dev/urandom of=/tmp/data.$1 bs=64k count=16
		dd if=/tmp/data.$1 of=/dev/vda bs=64k seek=$(($1 * 64 + n % 4 * 16)) conv=notrunc,fsync
		echo 1 >/proc/sys/vm/drop_caches
		dd if=/dev/vda bs=64k skip=$(($1 * 64 + n % 4 * 16)) count=16 of=/tmp/back.$1
		cmp /tmp/data.$1 /tmp/back.$1 || { echo "scenario: wrong data"; exit 9; }
		n=$((n + 1))
	done
	echo "worker $1: $n rounds"
	[ $n -gt 0 ]
}
for cpu in 0 1 2 3; do
	work $cpu &
	jobs="${jobs-} $!"
done
echo 'scenario: works'
read -r _
touch /tmp/over
for job in $jobs; do wait $job; done
echo 1 >/proc/sys/vm/drop_caches
echo "disk: $(sha256sum </dev/vda)"
read -r _
echo rebooted | dd of=/dev/vda conv=notrunc,fsync
reboot -f
END
vm_start run "$BZIMAGE" --initrd initrd --cpus 4 --disk vhost-user=socket --on-reboot restart \
	--append "$cmdline"
for death in $(seq 20); do
	status=0
	wait $daemon || status=$?
	[ $status = 137 ] || fail "a daemon ended with status $status"
	daemon_start "$([ "$death" = 20 ] && echo 0 || life "$death")"
done
await_output 'scenario: works'
echo >&"$keyboard"
await_output 'disk: '
cat console messages daemon.log
grep -q "disk: $(sum disk.img)" console || fail 'the disk is not what the guest reads'
must_fail grep -q 'wrong data\|not a head\|I/O error' console
must_fail grep -q 'needs a reset' messages
[ "$(grep -c 'were in flight' daemon.log)" -ge 13 ] || fail 'too little was in flight'
echo >&"$keyboard"
vm_wait
expect_status 5
kill $daemon
