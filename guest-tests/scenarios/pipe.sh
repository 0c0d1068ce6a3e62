# Standard input and output as pipes and files: every byte arrives, in both directions, on the
# serial port and on the virtio console.
# cases: ttyS0 hvc0
random typed 64K
case $case in
ttyS0) options=() size=64K ;;
hvc0) options=(--console stdio) size=1M ;;
esac
random printed "$size"
guest_runs printed <<'END'
modprobe -a virtio_pci virtio_console
until (: </dev/$port) 2>/dev/null; do # the node of hvc0 appears before its driver is ready
	sleep 0.1
done
exec <"/dev/$port" >"/dev/$port"
stty raw -echo
echo 'scenario: ready'
head -c 65536 | sha256sum
echo 'scenario: data'
cat /printed
END
# Not console=hvc0: there, ^O and the next byte are SysRq commands to Linux.
vm_start run "$BZIMAGE" --initrd initrd "${options[@]}" --append "$cmdline port=$case"
await_output 'scenario: ready'
cat typed >&"$keyboard"
vm_wait
expect_status 0
expect_output "$(sum typed)"
start=$(grep -abo 'scenario: data' console | cut -d : -f 1)
tail -c "+$((start + 16))" console >arrived
truncate -s "<$(stat -c %s printed)" arrived # the kernel's last messages follow
expect_same printed arrived
