# Debian's kernel under gdb, from before its first instruction to its power-off: entry and single
# steps, then Ctrl-C once it runs, both CPUs, and memory at the kernel's own addresses.
#
# No breakpoints: the CPU of the emulated host has neither debug registers in guests nor a way to
# take INT3 out of them. tests/kvm/run has them.
guest_runs <<'END'
echo "banner: $(sed -n 's/ [A-Za-z] linux_banner$//p' /proc/kallsyms)"
echo ready
read -r _
END
: >console
vm_start run "$VMLINUX" --initrd initrd --cpus 2 --append "$cmdline nokaslr" --gdb "$PWD/socket"
until [ -S socket ]; do
	kill -0 "$vm"
	sleep 0.1
done
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
info threads
END
env --default-signal=INT gdb -nx -batch -x first -x later "$VMLINUX" </dev/null >debugger 2>&1 &
gdb=$!
await_output '^ready'
banner=$(tr -d '\r' <console | sed -n 's/^banner: //p')
cat >later <<END
if \$cr3 != 0
	printf "cr3 set\n"
end
x/s 0x$banner
continue
END
kill -s INT "$gdb"
printf '\r' >&"$keyboard"
wait "$gdb" || fail "gdb: $(<debugger)"
cat debugger
vm_wait
expect_status 0
seen() {
	grep -qE -- "$1" debugger || fail "gdb did not print '$1'"
}
seen '^entry 0x1000[0-9a-f]{3}$'
seen '^stepped 0x1000[0-9a-f]*$'
seen 'received signal SIGINT'
seen '^[* ] 1 .*vCPU 0: (running|halted), 64-bit'
seen '^[* ] 2 .*vCPU 1: (running|halted), 64-bit'
seen '^cr3 set$'
seen '^0xffffffff[0-9a-f]*:.*"Linux version 6'
seen 'exited normally'
[ ! -e socket ]
