# README's examples of a machine that is spoken to, saved, moved and forked, exactly as written there.
# arch: x86_64
export XDG_RUNTIME_DIR=$PWD
chmod 700 .
mkdir bin
ln -s "$KINGLET" bin/kinglet
PATH=$PWD/bin:$PATH
cp "$BZIMAGE" vmlinuz

# example TEXT: the block that begins with the line with this text.
example() {
	awk -v text="$1" 'index($0, text) { wanted = 1 } wanted && !NF { exit } wanted' \
		"$GUEST_TESTS/../README.md" | sed 's/^    //'
}

guest_runs <<'END'
modprobe -a virtio_pci virtio_console virtio_balloon
echo 'demo: ready'
read -r line
echo "demo: $line"
END
mv initrd initrd.img
{
	example 'kinglet run vmlinuz --initrd initrd.img --balloon 0 --name demo'
	example "echo '{\"do\":\"info\"}' | socat"
	example 'kinglet snapshot demo saved'
} | sed -n 's/^\$ //p' >lines
cat lines
[ "$(wc -l <lines)" = 12 ] || fail 'other examples than expected'
{
	sed -n 1p lines
	# shellcheck disable=SC2016 # for the inner shell
	echo 'until grep -q "^demo: ready" printed; do sleep 0.2; done'
	# A terminal: check-kvm has one. The machine goes on until all others have spoken to it.
	sed '1d; / console /d; / wait /d; / stop /d; s/ restore saved/& <answer/' lines
	grep ' wait ' lines
	grep ' stop ' lines
	echo 'kinglet stop demo --now; wait'
} >commands
echo 'it is saved' >answer
bash -e commands </dev/null >printed 2>&1 || { cat printed; fail 'the commands'; }
cat printed
for text in '^demo +[0-9]+ +running +1 +256 MiB +vmlinuz$' '^[1-9][0-9]*$' '"state":"running"' \
	'^ *rip +0x' '^demo: it is saved' '^outcome=quit status=0'; do
	grep -qaE "$text" printed || fail "no '$text'"
done

# The saved machine, which waits for its line, moves to another process, and to "another host": one
# with a runtime folder of its own, by an ssh that runs its command there.
mkdir -m 700 host
cat >bin/ssh <<'END'
#!/bin/sh
[ "$1" = host ] && shift && XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR/host exec sh -c "$*"
END
chmod +x bin/ssh
example 'kinglet run --incoming unix:/tmp/there' | sed -n 's/^\$ //p' >lines
cat lines
[ "$(wc -l <lines)" = 3 ] || fail 'other examples of a migration than expected'
{
	echo 'mkfifo line; sleep 1000 >line & kinglet restore saved --name demo <line &'
	echo 'until kinglet info demo >info 2>&1; do sleep 0.2; done'
	sed -n 1p lines
	echo 'until grep -q " 00010000 .* /tmp/there$" /proc/net/unix; do sleep 0.2; done'
	sed 1d lines
	# shellcheck disable=SC2016 # for the inner shell
	echo 'export XDG_RUNTIME_DIR=$XDG_RUNTIME_DIR/host; kinglet info there; kinglet stop there --now'
	echo 'while kinglet info there >info 2>&1; do sleep 0.2; done'
	echo 'kill %1; wait'
} >commands
bash -e commands </dev/null >printed 2>&1 || { cat printed; fail 'the commands of the migration'; }
cat printed
[ "$(grep -c ' ms of them standing still' printed)" -ge 2 ] || fail 'not moved twice'
grep -q '^state  *running' printed || fail 'it does not run there'

{
	cat <<'END'
cd /
modprobe -a virtio_pci virtio_console
until [ "${port-}" ]; do
	for name in /sys/class/virtio-ports/*/name; do
		[ "$(cat "$name")" != kinglet.snapshot ] || port=/dev/$(basename "${name%/name}")
	done
done
mkdir /dev/virtio-ports tests
ln -s "$port" /dev/virtio-ports/kinglet.snapshot # as udev does
printf '#!/bin/sh\necho all packets are right\n' >tests/tcp
printf '#!/bin/sh\necho all blocks are right\n' >tests/disk
chmod +x tests/*
END
	example 'exec 3<>/dev/virtio-ports'
} >guest
guest_runs <guest
mv initrd tests.cpio
example 'kinglet run vmlinuz --initrd tests.cpio' >lines
grep -v '^\$ ' lines >tests.list
sed -n 's/^\$ //p' lines >commands
bash -ex commands </dev/null >printed 2>&1 || { cat printed; fail 'the commands'; }
cat printed
[ "$(grep -ac '^PASS ' printed)" = 3 ] || fail 'not three tests'
grep -a '^2 passed' printed
