# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
#
# For tests/kvm/run: a debugger.

# debugged NAME STATUS PRINTED ADDRESS ARGUMENT... <SCRIPT: gdb runs the script on the payload
# gdb.elf, which ends with STATUS. Each line of PRINTED is a regular expression for something that
# gdb prints. gdb gets a Ctrl-C when the guest prints "waiting".
debugged() {
	local name=$1 want=$2 printed=$3 address=$4 pid gdb line gdb_status=0 problems=''
	shift 4
	selected "$name" || return 0
	{
		printf '%s\n' 'set pagination off' 'set confirm off' 'set debuginfod enabled off' \
			"target remote ${address/#[0-9]/:&}"
		cat
	} >"$work/gdb-script"
	# Here, or what the run before has said is found in them.
	: >"$work/out" 2>"$work/err"
	"$kinglet" run "$payloads/gdb.elf" --gdb "$address" --timeout 60s "$@" </dev/null \
		>"$work/out" 2>"$work/err" &
	pid=$!
	until grep -q 'in gdb: target remote' "$work/err" || ! kill -0 $pid; do
		sleep 0.02
	done 2>/dev/null
	env --default-signal=INT gdb -nx -batch -x "$work/gdb-script" "$payloads/gdb.elf" \
		</dev/null >"$work/gdb" 2>&1 &
	gdb=$!
	until grep -qx waiting "$work/out" || ! kill -0 $pid; do
		sleep 0.02
	done 2>/dev/null
	! grep -qx waiting "$work/out" || kill -s INT $gdb
	wait $gdb || gdb_status=$?
	status=0
	wait $pid || status=$?
	[ $gdb_status -eq 0 ] || problems+="gdb: status $gdb_status"$'\n'
	[ "$status" -eq "$want" ] || problems+="exit status $status, expected $want"$'\n'
	while read -r line; do
		grep -qE -- "$line" "$work/gdb" || problems+="gdb did not print '$line'"$'\n'
	done <<<"$printed"
	[ ! -e "$address" ] || problems+="the socket is still there"$'\n'
	[ -z "$problems" ] || problems+=$(tail -n 30 "$work/gdb" "$work/err")
	verdict "$name" "$problems"
}

# The CPU of the emulated host has no debug registers in guests: there, steps reach the same place.
reach=$'hbreak touch\ncontinue\ndelete' reached='Breakpoint 1, .* in touch'
[ -z "$inside" ] || reach=$'while $pc != (long)touch\nstepi\nend' reached=' in touch'
debugged 'gdb: breakpoint, step, memory, registers' 32 '^\* 1 .*vCPU 0: running, 64-bit
^  2 .*vCPU 1: not started
^rip .*<_start>
^cr0 .*0x80000011
'"$reached"'
in main
^before 42
^after 0xffffffff, .*<touch\+2>
exited with code 040' "$work/gdb-socket" --cpus 2 <<END
info threads
info registers rip cr0
$reach
backtrace
printf "before %d\n", *(int *)&number
stepi
printf "after 0x%x, ", \$eax
output (void (*)())\$pc
set var *(int *)&turns = 10
continue
END
debugged 'gdb: Ctrl-C' 42 'received signal SIGINT
in main
exited with code 052' "$work/gdb-socket" --append wait <<'END'
continue
backtrace
set var *(int *)&released = 1
continue
END
debugged 'gdb: detach' 42 'detached' "$work/gdb-socket" <<END
$reach
detach
END
debugged 'gdb: kill, by a port' 137 'killed' $((20000 + $$ % 10000)) <<'END'
stepi
kill
END
