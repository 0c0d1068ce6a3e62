# The guest's memory goes back to the host: what the guest puts into its balloon, and what it says
# is free. Of RAM that is private (inflate) and shared (report).
# cases: inflate report

# mib FIELD: of the running Kinglet's /proc/PID/status.
mib() {
	echo $(($(awk -v field="$1:" '$1 == field { print $2 }' "/proc/$vm/status") / 1024))
}

# await_less MIB: wait until Kinglet's resident memory is that much less than it was at $before.
await_less() {
	local end=$((SECONDS + 120))
	until [ "$(mib VmRSS)" -le $((before - $1)) ]; do
		[ $SECONDS -lt $end ] || fail "$(mib VmRSS) MiB resident, of $before"
		sleep 0.1
	done
	echo "resident: $before MiB, then $(mib VmRSS) MiB"
}

next() {
	echo >&"$keyboard"
}

# await_message REGEX: asks for the statistics until they say so.
await_message() {
	local end=$((SECONDS + 120))
	until grep -qE -- "$1" messages; do
		[ $SECONDS -lt $end ] || fail "no '$1' on standard error"
		kill -USR1 "$vm"
		sleep 0.5
	done
}

case $case in
inflate)
	guest_runs <<'END'
modprobe virtio_pci
kib() {
	awk -v field="$1:" '$1 == field { print $2 }' /proc/meminfo
}
total=$(kib MemTotal)
# await_total KIB
await_total() {
	tries=0
	until [ "$(kib MemTotal)" -eq "$1" ]; do
		[ $((tries += 1)) -le 1200 ]
		sleep 0.1
	done
}
# All that is free has been used once.
mount -t tmpfs -o size=100% none /mnt
dd if=/dev/zero of=/mnt/full bs=1M count=$(($(kib MemFree) / 1024 - 20))
rm /mnt/full
echo 'scenario: full'
read -r _
free=$(kib MemFree)
for _ in 1 2; do
	modprobe virtio_balloon
	await_total $((total - 96 * 1024))
	[ "$(kib MemFree)" -lt $((free - 90 * 1024)) ]
	echo 'scenario: inflated'
	read -r _
	rmmod virtio_balloon
	await_total "$total"
done
END
	vm_start run "$BZIMAGE" --initrd initrd --memory 256M --append "$cmdline" \
		--balloon 96M,free-page-reporting=off,stats=200ms --stats
	await_output 'scenario: full'
	before=$(mib VmRSS)
	next
	await_output 'scenario: inflated'
	await_less 60
	await_message 'virtio-balloon 0: 96 of 96 MiB in the balloon; given back: 96 MiB from it, 0 '
	await_message 'virtio-balloon 0: the guest has 1[0-9]* MiB: [1-9][0-9]* free, '
	next
	next
	;;
report)
	guest_runs <<'END'
modprobe -a virtio_pci virtio_balloon
mount -t tmpfs -o size=100% none /mnt
cd /mnt
dd if=/dev/zero of=full bs=1M count=96
echo 'scenario: full'
read -r _
rm full
echo 'scenario: freed'
read -r _
# What was given back can be used again.
dd if=/dev/urandom of=a bs=1M count=8
for _ in 1 2 3 4 5 6; do
	cat a
done >b
for i in 0 1 2 3 4 5; do
	tail -c +$((i << 23 | 1)) b | cmp -n $((8 << 20)) a -
done
END
	vm_start run "$BZIMAGE" --initrd initrd --memory 256M --append "$cmdline" \
		--balloon 0,stats=200ms --stats --shared-memory
	await_output 'scenario: full'
	before=$(mib VmRSS)
	next
	await_output 'scenario: freed'
	await_less 72
	next
	;;
esac
vm_wait
expect_status 0
# At the end, too.
tail -n 3 messages
tail -n 3 messages | grep -q 'virtio-balloon 0: the guest has [12]'
