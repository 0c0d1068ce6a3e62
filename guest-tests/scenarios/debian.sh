# A whole Debian: systemd boots to the login prompt on the serial port, root logs in and powers it
# off. Its file system is clean afterwards.
# arch: x86_64
cp --sparse=always "$DEBIAN" root.img
vm_start run "$BZIMAGE" --initrd "$INITRD" --memory 512 --disk root.img \
	--append 'console=ttyS0 quiet panic=-1 root=/dev/vda rw'
await_output 'debian login:' 400
printf 'root\r' >&"$keyboard"
await_output 'root@debian'
printf 'echo "failed: <$(systemctl --failed --plain --no-legend)>"; poweroff\r' >&"$keyboard"
vm_wait
expect_status 0
expect_output 'failed: <>'
e2fsck -fn root.img
