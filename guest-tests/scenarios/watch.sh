# A Linux guest whose frames the kernel carries, under every kind of observation: the narration
# knows each call, the kernel's phases are seen, and the page shows which backend runs each queue.
case $ARCH in
x86_64) serial=COM1 ;;
aarch64) serial='serial port' ;;
esac
ip tuntap add net0 mode tap vnet_hdr
trap 'ip link delete net0' EXIT
ip addr add 10.9.0.1/24 dev net0
ip link set net0 up

guest_runs <<'END'
modprobe -a virtio_pci virtio_net
ip addr add 10.9.0.2/24 dev eth0
ip link set eth0 up
ping -c 3 10.9.0.1
END
vm run "$BZIMAGE" --initrd initrd --net tap=net0,vhost=on --append "${cmdline/quiet /}" \
	--explain --explain=html page.html --trace trace.json --budget init=1h,driver=1h
tail -n 5 messages
expect_status 0

! grep 'ioctl 0x' messages || fail 'a call without a sentence'
expect_message '^machine TUNSETIFF: fd [0-9]+ is the one queue of the tap net0 from now on'
expect_message '^vCPU 0  VHOST_NET_SET_BACKEND: .*\(/dev/vhost-net\) ring 1: the kernel runs it from now on, on fd [0-9]+ \(tap net0\)  \['
expect_message '^vCPU 0  KVM_IOEVENTFD: .*virtio-net 0 \(notification of queue 1\), signals fd [0-9]+ \(kick of queue 1 of virtio-net 0 at 00:[0-9a-f]+.0\) inside'
expect_message "^vCPU 0  … .*[0-9,]+ more writes to $serial"
expect_message 'run: the kernel prints its banner  \['
expect_message 'run: the kernel starts init  \['

"$KINGLET" report trace.json >console
cat console
expect_output '^\[.*\] [0-9.]+ ms$'
for phase in run device kernel driver init down; do
	expect_output "^$phase +[0-9.]+ +[0-9.]+  "
done
expect_output '^vCPU 0 +[0-9.]+ +[0-9.]+  #'
expect_output "^write to $serial +[0-9]+ "

"$KINGLET" report trace.json --html again.html
cmp page.html again.html

# The data queues need no thread of Kinglet, the control queue does.
for queue in 0 1; do
	grep -A 20 '<h3>virtio-net 0' page.html |
		grep "queue $queue</b><span>write to .*ioeventfd: no exit.*vhost-net<small>in the kernel.*GSI" ||
		fail "queue $queue is not on the page"
done
