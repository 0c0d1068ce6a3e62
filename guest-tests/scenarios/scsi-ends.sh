# No end of a machine leaves a target in configfs: neither power-off, timeout nor a signal. What
# SIGKILL leaves behind, the next Kinglet removes, but nothing of a running one.
config=/sys/kernel/config/target
targets() {
	find "$config" -maxdepth 3 -name 'naa.*' -o -maxdepth 3 -name 'kinglet-*' | wc -l
}
expect_targets() {
	[ "$(targets)" -eq $((2 * $1)) ] || fail "$(find $config -maxdepth 3)"
}
for name in a b c; do
	truncate -s 8M $name.img
done

guest_runs <<'END'
modprobe -a virtio_pci virtio_scsi sd_mod
until [ -b /dev/sda ]; do
	sleep 0.1
done
while :; do
	dd if=/dev/zero of=/dev/sda bs=64k count=64 conv=fsync
	echo 'scenario: written'
	[ "${again-}" = yes ] || break
done
END
expect_targets 0
vm run "$BZIMAGE" --initrd initrd --scsi path=a.img --append "$cmdline"
expect_status 0
expect_targets 0

vm_start run "$BZIMAGE" --initrd initrd --scsi path=a.img --append "$cmdline again=yes"
await_output 'scenario: written'
expect_targets 1
kill -TERM "$vm"
vm_wait
expect_status 143
expect_targets 0

# One runs while another is killed.
"$KINGLET" run "$BZIMAGE" --initrd initrd --scsi path=b.img,readonly --append "$cmdline" \
	</dev/zero >console.b 2>messages.b &
b=$!
vm_start run "$BZIMAGE" --initrd initrd --scsi path=a.img --append "$cmdline again=yes"
await_output 'scenario: written'
kill -STOP $b
kill -KILL "$vm"
vm_wait
expect_status 137
expect_targets 2

# Only listed, then removed on request; the next start removes what the last one left behind.
"$KINGLET" doctor >report || :
grep -q '^degraded *lio *1 target left by runs that were killed, of .*/a.img$' report ||
	fail "$(cat report)"
expect_targets 2
"$KINGLET" doctor --fix >report || :
grep -q '^ok *lio ' report || fail "$(cat report)"
expect_targets 1
vm_start run "$BZIMAGE" --initrd initrd --scsi path=a.img --append "$cmdline again=yes"
await_output 'scenario: written'
kill -KILL "$vm"
vm_wait
expect_targets 2

vm_start run "$BZIMAGE" --initrd initrd --scsi path=c.img --append "$cmdline again=yes"
await_output 'scenario: written'
expect_targets 2
[ ! -s messages ] || fail "$(cat messages)"
kill -INT "$vm"
vm_wait
expect_status 130
expect_targets 1
kill -CONT $b
kill -TERM $b
wait $b || :
expect_targets 0
[ ! -e $config/core/fileio_18763 ]
[ ! -e $config/vhost ]
