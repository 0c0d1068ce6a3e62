# Sockets between host and guest: streams and packets, connected from either side; again after a
# reboot inside the process; a CID that is taken, no module, no permission. And without MSI: then
# interrupts pass through Kinglet.
# cases: msix nomsi
[ "$case" = msix ] && words= || words='pci=nomsi'
echo=$TOOLS/sockecho
random data 4M
"$echo" vsock serve 1000 &
"$echo" vsock-packet serve 1001 &

guest_runs "$echo" data <<'END'
modprobe -a virtio_pci vmw_vsock_virtio_transport
/sockecho vsock serve 2000 &
/sockecho vsock-packet serve 2001 &
/sockecho vsock connect 2 1000 </data | cmp - /data || exit
/sockecho vsock-packet connect 2 1001 </data | cmp - /data || exit
cat /proc/interrupts
echo 'scenario: ready'
read -r next
[ "$next" != reboot ] || reboot -f
END

await_boot() {
	[ "$(timeout 300 grep -am "$1" 'scenario: ready' \
		<(exec tail -f -n +1 -s 0.1 --pid="$vm" console) | wc -l)" -eq "$1" ]
}

# Several connections at once, of both kinds.
connect_to_guest() {
	local pids=() pid
	"$echo" vsock connect 3 2000 <data | cmp - data &
	pids+=($!)
	"$echo" vsock connect 3 2000 <data | cmp - data &
	pids+=($!)
	"$echo" vsock-packet connect 3 2001 <data | cmp - data &
	pids+=($!)
	for pid in "${pids[@]}"; do wait "$pid"; done
}

vm_start run "$BZIMAGE" --initrd initrd --vsock cid=3 --on-reboot restart --append "$cmdline $words"
await_boot 1
if [ "$case" = msix ]; then expect_output '(PCI|ITS)-MSI.*virtio'; else expect_output '(IO-APIC|GICv3).*virtio'; fi
connect_to_guest
fds=$(ls "/proc/$vm/fd")
[ "$(vhost_workers <(vhost_names))" -gt 0 ] || fail 'no thread of vhost'

echo reboot >&"$keyboard"
await_boot 2
connect_to_guest
[ "$fds" = "$(ls "/proc/$vm/fd")" ] || fail 'its fds are not those of the first boot'
if [ "$case" = nomsi ]; then
	echo off >&"$keyboard"
	vm_wait
	expect_status 0
	exit
fi

status=0
"$KINGLET" run "$BZIMAGE" --vsock 3 </dev/null 2>taken || status=$?
expect_status 101
[ "$(cat taken)" = 'kinglet: vhost-vsock: CID 3 is in use by another guest; give another one' ]
connect_to_guest
echo off >&"$keyboard"
vm_wait
expect_status 0

# /dev/kvm is opened first.
chmod 666 /dev/kvm
cp "$KINGLET" kinglet
chmod 755 .
status=0
setpriv --reuid 65534 --clear-groups ./kinglet run "$BZIMAGE" --vsock 3 </dev/null 2>messages || status=$?
expect_status 101
expect_message '^kinglet: vhost-vsock: /dev/vhost-vsock: Permission denied \('

# Its node is missing, or has no driver.
mv /dev/vhost-vsock /dev/kept
vm run "$BZIMAGE" --vsock 3
mv messages no-node
mknod /dev/vhost-vsock c 10 250
vm run "$BZIMAGE" --vsock 3
mv /dev/kept /dev/vhost-vsock
expect_status 101
expect_message '^kinglet: vhost-vsock: /dev/vhost-vsock: No such device \(modprobe vhost_vsock\)$'
mv no-node messages
expect_message '^kinglet: vhost-vsock: /dev/vhost-vsock: No such file or directory \(the module is loaded, but'
