# A busy machine moves between processes.
export XDG_RUNTIME_DIR=$PWD
chmod 700 .
moves=6
guest_runs "$TOOLS/clock-check" <<'END'
modprobe -a virtio_pci
dmesg -c >/dev/null
/clock-check 2000 >/clock &
clock=$!
echo 'scenario: busy'
read -r over
kill $clock
wait $clock
cat /clock
dmesg
echo 'scenario: all is right'
dmesg | must_fail grep -E 'BUG|WARNING|stall|lockup|rror'
END

# move N OPTION...: to a new process, whose machine has that number. Its console is a file of its own.
move() {
	local source=$vm
	mv console "console.$(($1 - 1))"
	mv messages "messages.$(($1 - 1))"
	vm_start run --incoming "unix:at.$1" --name "m$1" "${@:2}"
	until [ -S "at.$1" ]; do
		kill -0 "$vm"
		sleep 0.1
	done
	timeout 60 "$KINGLET" migrate "m$(($1 - 1))" "unix:at.$1" || {
		cat messages*
		fail "move $1"
	}
	wait "$source"
}

vm_start run "$BZIMAGE" --initrd initrd --cpus 4 --append "$cmdline" --name m0
await_output 'scenario: busy'
for ((n = 1; n <= moves; n++)); do
	move "$n"
done
echo over >&"$keyboard"
vm_wait
cat console messages
expect_status 0
expect_output 'scenario: all is right'
