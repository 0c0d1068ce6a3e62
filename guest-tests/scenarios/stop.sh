# A busy or an idle guest is ended by a timeout or a signal, with the status that says so.
# cases: timeout
# cases x86_64: TERM INT
guest_runs <<'END'
echo 'scenario: ready'
[ "$work" != yes ] || while :; do :; done
sleep 600
END
case $case in
timeout)
	vm run "$VMLINUX" --initrd initrd --timeout 3 --append "$cmdline work=no"
	expect_status 124
	expect_message 'timeout after'
	;;
TERM | INT)
	[ "$case" = INT ] && work=yes || work=no
	vm_start run "$VMLINUX" --initrd initrd --cpus 2 --append "$cmdline work=$work"
	await_output 'scenario: ready'
	kill -s "$case" "$vm"
	vm_wait
	expect_status $((128 + $(kill -l "$case")))
	;;
esac
