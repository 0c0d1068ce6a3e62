# kinglet test on Linux guests: their output and the way they end determine verdict, exit status and
# reports.
# cases: outcomes
# cases x86_64: place
check=$GUEST_TESTS/../tests/kvm/check-report
words='console=ttyS0 quiet panic=-1'

# expect_report EXPRESSION...: of the reports json and xml.
expect_report() {
	local wrong
	wrong=$("$check" json xml "$@" 2>&1) && [ -z "$wrong" ] || fail "$wrong"
}

# guest NAME <SCRIPT: makes the file NAME.
guest() {
	guest_runs
	mv initrd "$1"
}

case $case in
outcomes)
	guest ktap <<'END'
cat >/dev/kmsg <<'TAP'
KTAP version 1
1..2
    # Subtest: suite
    1..2
    ok 1 one
    ok 2 two # SKIP not here
ok 1 suite
TAP
# kselftest prints past printk.
printf 'ok 2 - \377\033[1mplain\033[0m\n'
END
	guest oops <<'END'
echo '<0>BUG: kernel NULL pointer dereference, address: 0000000000000000' >/dev/kmsg
echo '<0>---[ end trace 0000000000000000 ]---' >/dev/kmsg
sleep 600
END
	guest panic <<'END'
echo c >/proc/sysrq-trigger
END
	# An old panic message is printed, and the guest powers off normally.
	guest old-log <<'END'
cat <<'LOG'
[    1.234567] Kernel panic - not syncing: an old one
[    1.234568] CPU: 0 PID: 1 Comm: init
LOG
$end -f
END
	# The shell of an initramfs, whose prompt waits forever.
	guest gives-up <<'END'
echo 'ALERT!  /dev/vda1 does not exist.  Dropping to a shell!'
printf '\n(initramfs) ' >/dev/console
sleep 600
END
	cat >list <<END
ktap   $BZIMAGE --initrd ktap --append '$words loglevel=7'
login  $VMLINUX --initrd $INITRD --append '$words' --expect 'This is a shell' --expect '^guest# '
oops   $VMLINUX --initrd oops --append '$words'
panic  $VMLINUX --initrd panic --append '$words'
old    $VMLINUX --initrd old-log --append '$words end=poweroff'
reboot $VMLINUX --initrd old-log --append '$words end=reboot' --expect-reboot
lost   $VMLINUX --initrd gives-up --append '$words'
END
	vm test --list list -j 2 --timeout 300s --report json --junit xml
	cat console
	expect_status 1
	expect_output '^4 passed, 3 failed$'
	expect_output '^PASS ktap outcome=powered-off .*tests=2-passed,1-skipped$'
	expect_output '^PASS login outcome=expected '
	expect_output '^FAIL oops outcome=oops .*"BUG: kernel NULL pointer dereference'
	expect_output '^FAIL panic outcome=panic .*"Kernel panic - not syncing: sysrq triggered crash"'
	expect_output '^PASS old outcome=powered-off '
	expect_output '^PASS reboot outcome=rebooted '
	expect_output '^FAIL lost outcome=boot-failed .*"ALERT!  /dev/vda1 does not exist'
	expect_report '[t["status"] for t in r["tests"]] == [0, 0, 1, 102, 0, 0, 1]' \
		't["tap"]["tests"][0]["tests"][1]["reason"] == "not here"' \
		't["tap"]["tests"][1]["name"] == "\ufffdplain"' \
		'r["tests"][1]["expected"][1]["line"].startswith("guest# ")'
	;;
place)
	# arm64's KVM does not report that a vCPU halts, and no register shows where Linux is
	# loaded.
	idle=1
	[ "$ARCH" = x86_64 ] || words+=' nokaslr' idle=0
	# The kernel's own list of symbols, by a disk: with the addresses of this boot.
	truncate -s 16M map
	guest symbols <<'END'
modprobe -a virtio_pci virtio_blk
until [ -b /dev/vda ]; do
	sleep 0.1
done
cat /proc/kallsyms >/dev/vda
END
	vm test "$BZIMAGE" --initrd symbols --disk map --append "$words" --timeout 300s
	expect_status 0
	tr -d '\0' <map >System.map

	# Another boot, at other addresses. The time until both CPUs sleep is not known in advance.
	guest sleeps <<'END'
echo 'scenario: asleep'
sleep 1000
END
	for seconds in 25 100 400; do
		vm test "$VMLINUX" --initrd sleeps --cpus 2 --append "$words" --symbols System.map \
			--timeout $seconds --report json --junit xml
		cat console
		expect_status 124
		! grep -q 'scenario: asleep' console || break
	done
	expect_report '"scenario: asleep" in t["console"]' 'len(t["vcpus"]) == 2' \
		"not $idle or all(c[\"activity\"] == \"halted\" for c in t[\"vcpus\"])" \
		'all("halt" in c["symbol"] or "idle" in c["symbol"] for c in t["vcpus"])'
	;;
esac
