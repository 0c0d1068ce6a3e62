# A number written to the port kinglet.status is the exit status of a guest that then powers off.
# cases: 0 7 255
guest_runs <<'END'
modprobe -a virtio_pci virtio_console
until port=$(grep -lx kinglet.status /sys/class/virtio-ports/*/name); do
	sleep 0.1
done
echo $wanted >"/dev/$(basename "${port%/name}")"
poweroff -f
END
vm run "$VMLINUX" --initrd initrd --append "$cmdline wanted=$case"
expect_status "$case"
