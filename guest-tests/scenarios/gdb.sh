# Debian's kernel under gdb, from before its first instruction to its power-off: entry and single
# steps, then Ctrl-C once it runs, both CPUs, and memory at the kernel's own addresses.
#
# On arm64 also breakpoints, in software and hardware, and a watchpoint; the kernel gets its own
# traps (kprobes), and continues without gdb. The CPU of the emulated x86_64 host neither
# virtualises debug registers nor intercepts INT3; tests/kvm/run tests those.
case $ARCH in
x86_64) entry=0x1000... stepped='0x1000[0-9a-f]*' cpu=64-bit tables=cr3 words= ;;
aarch64) entry=0x40000000 stepped='0x4[0-9a-f]*' cpu=EL1 tables=ttbr1_el1 words=probe=yes ;;
esac
guest_runs <<'END'
address_of() {
	sed -n "s/ [A-Za-z] $1\$//p" /proc/kallsyms
}
echo "banner: $(address_of linux_banner)"
echo "code: $(address_of _stext) $(address_of kernel_power_off) $(address_of machine_power_off)"
echo ready
read -r _
if [ "${probe-}" = yes ]; then
	mount -t tracefs tracefs /mnt
	echo 'p:opens do_sys_openat2' >/mnt/kprobe_events
	echo 1 >/mnt/events/kprobes/opens/enable
	cat /proc/uptime
	echo 0 >/mnt/events/kprobes/opens/enable
	echo "probe hits: $(awk '{ print $2 }' /mnt/kprobe_profile)"
fi
END
vm_start run "$VMLINUX" --initrd initrd --cpus 2 --append "$cmdline nokaslr $words" \
	--gdb "$PWD/socket"
await_socket socket
cat >first <<'END'
set pagination off
set confirm off
set debuginfod enabled off
target remote socket
printf "entry 0x%lx\n", $pc
stepi
stepi
printf "stepped 0x%lx\n", $pc
continue
shell touch stopped
info threads
END
[ "$ARCH" = x86_64 ] && symbols=$VMLINUX || symbols= # an Image has none
# shellcheck disable=SC2086 # none, or one
env --default-signal=INT gdb -nx -batch -x first -x later $symbols </dev/null >debugger 2>&1 &
gdb=$!
await_output '^ready'
banner=$(tr -d '\r' <console | sed -n 's/^banner: //p')
read -r text soft hard < <(tr -d '\r' <console | sed -n 's/^code: //p')
{
	cat <<-END
	if \$$tables != 0
		printf "tables set\n"
	end
	END
	[ "$ARCH" = aarch64 ] || printf '%s\n' "x/s 0x$banner" continue
	[ "$ARCH" = x86_64 ] || cat <<-END
	x/2xw 0x$soft + 8
	break *0x$soft
	hbreak *0x$hard
	continue
	printf "soft 0x%lx\n", \$pc
	set var *(unsigned long *)(\$sp - 16) = 44
	watch -l *(unsigned long *)(\$sp - 16)
	printf "frame %lu\n", \$x29
	continue
	printf "watched 0x%lx\n", \$pc
	delete 3
	continue
	printf "hard 0x%lx\n", \$pc
	detach
	END
} >later
kill -s INT "$gdb"
until [ -e stopped ]; do
	kill -0 "$gdb"
	sleep 0.1
done
printf '\r' >&"$keyboard"
wait "$gdb" || fail "gdb: $(<debugger)"
cat debugger
vm_wait
expect_status 0
seen() {
	grep -qE -- "$1" debugger || fail "gdb did not print '$1'"
}
seen "^entry $entry\$"
seen "^stepped $stepped\$"
seen 'received signal SIGINT'
seen "^[* ] 1 .*vCPU 0: (running|halted), $cpu"
seen "^[* ] 2 .*vCPU 1: (running|halted), $cpu"
seen '^tables set$'
if [ "$ARCH" = x86_64 ]; then
	seen '^0xffffffff[0-9a-f]*:.*"Linux version 6'
	seen 'exited normally'
else
	# What the Image has there, after the two instructions that are patched for ftrace. _stext
	# is 64 KiB after its beginning.
	read -ra code < <(od -An -v -t x4 -j $((0x$soft - 0x$text + 65536 + 8)) -N 8 "$VMLINUX")
	seen "^0xffff[0-9a-f]*:[[:space:]]0x${code[0]}[[:space:]]0x${code[1]}\$"
	seen "^soft 0x$soft\$"
	# There the caller's frame and the return address are stored: stp x29, x30, [sp, #-16]!
	[ "${code[1]}" = a9bf7bfd ]
	seen '^Hardware watchpoint 3: '
	seen '^Old value = 44$'
	seen "^New value = $(sed -n 's/^frame //p' debugger)\$"
	seen "^watched 0x$(printf '%x' $((0x$soft + 16)))\$"
	seen "^hard 0x$hard\$"
	expect_output '^probe hits: [1-9]'
	seen 'detached'
fi
[ ! -e socket ]
