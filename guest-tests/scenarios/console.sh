# Kinglet on a terminal: raw while it runs, restored afterwards, however it ends; Ctrl-A x; the
# virtio console knows the window's size and is notified of a change.
# cases: quit resize-terminated
guest_runs <<'END'
if [ "$port" = hvc0 ]; then
	modprobe -a virtio_pci virtio_console
	until (: </dev/hvc0) 2>/dev/null; do # its node appears before its driver is ready
		sleep 0.1
	done
	exec <"/dev/$port" >"/dev/$port"
	until [ "$(stty size)" = '30 100' ]; do
		sleep 0.1
	done
	echo 'scenario: 30 100'
	until [ "$(stty size)" = '50 132' ]; do
		sleep 0.1
	done
	echo 'scenario: 50 132'
fi
echo 'scenario: ready'
read -r typed
echo "scenario: <$typed>"
sleep 60
END
case $case in
quit) port=ttyS0 options='' expected=0 ;;
resize-terminated) port=hvc0 options='--console stdio' expected=143 ;;
esac

cat >on-terminal <<END
stty rows 30 cols 100
tty >name
stty -a >before
"$KINGLET" run "$BZIMAGE" --initrd initrd $options --append "$cmdline port=$port" &
echo \$! >pid
fg >/dev/null
echo \$? >status
stty rows 30 cols 100
stty -a >after
END
open_keyboard
script -qefc 'bash -m on-terminal' /dev/null <keys >console {keyboard}>&- &
vm=$!
if [ "$case" != quit ]; then
	await_output 'scenario: 30 100'
	stty -F "$(cat name)" rows 50 cols 132
	await_output 'scenario: 50 132'
fi
await_output 'scenario: ready'
stty -F "$(cat name)" -a | grep -q -- '-icanon' || fail 'the terminal is not raw'
printf 'hello\001\001\r' >&"$keyboard"
await_output 'scenario: <hello.>'
if [ "$case" = quit ]; then
	printf '\001x' >&"$keyboard"
else
	kill "$(cat pid)"
fi
vm_wait
[ "$(cat status)" = "$expected" ] || fail "exit status $(cat status), expected $expected"
expect_same before after
