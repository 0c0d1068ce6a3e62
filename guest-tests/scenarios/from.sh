# kinglet test --from: the guest boots once and says by its port that it is ready; each test is a
# copy of it, which reads there what it is to do, and whose verdict is its own.
guest_runs <<'END'
modprobe -a virtio_pci virtio_console
port=
until [ "$port" ]; do
	for name in /sys/class/virtio-ports/*/name; do
		[ "$(cat "$name")" != kinglet.snapshot ] || port=/dev/$(basename "${name%/name}")
	done
done
exec 3<>"$port"
echo ready >&3
read -r answer what number <&3
echo "this one: $answer $what $number"
END
vm run "$BZIMAGE" --initrd initrd --append "$cmdline" --cpus 2 --snapshot ready --snapshot-end
expect_status 0
vm test --from ready -- adds 7
expect_status 0
cat console messages
cat >list <<'END'
one -- adds 1
two -- adds 2
three --reject adds -- adds 3
four --expect 'this one: restored adds 4' -- adds 4
END
vm test --from ready --list list -j 4 --timeout 100s
cat console messages
expect_status 1
expect_output '^PASS one '
expect_output '^PASS two '
expect_output '^FAIL three outcome=rejected'
expect_output '^PASS four outcome=expected'
