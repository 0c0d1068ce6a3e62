# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# What the groups of bench share. Sourced by bench.

# QEMU, and the package that has it.
qemu=/usr/bin/qemu-system-$ARCH
case $ARCH in
x86_64) package=qemu-system-x86 ;;
aarch64) package=qemu-system-arm ;;
esac

# qemu_command MACHINE MEMORY: sets the array vmm to QEMU with only that and a serial port.
qemu_command() {
	vmm=("$qemu" -M "$1" -accel kvm -cpu host -m "$2" -nodefaults -no-user-config -no-reboot
		-display none -serial stdio)
}

# result VALUE...: append a line for group_report.
result() {
	echo "$*" | tee -a "$TESTBED_OUT/results"
}

# tracing_prepare: sets up the kernel's tracing, in $trace.
trace=/sys/kernel/tracing
tracing_prepare() {
	mountpoint -q $trace || mount -t tracefs tracefs $trace
}

# Copies files that the testbed gets by 9p into its own memory.
make_local() {
	local file
	for file; do
		file=$(realpath "$file")
		cp -p "$file" "$file.local"
		mv -f "$file.local" "$file"
	done
}

# vmms_local [FILE...]: in the testbed, that for the VMMs, and what they load and boot.
vmms_local() {
	local libraries file data
	[ "$where" = inside ] || return 0
	# What ldd does; ldd does not exist for every architecture.
	mapfile -t libraries < <(for file in "$KINGLET" "$qemu"; do
		LD_TRACE_LOADED_OBJECTS=1 "$file"
	done | grep -o '/[^ :]*\.so[^ :]*' | sort -u)
	data=(/usr/share/{qemu,seabios}/*.bin)
	[ -e "${data[0]}" ] || data=()
	make_local "$@" "$KINGLET" "$qemu" /etc/ld.so.cache "${libraries[@]}" "${data[@]}" \
		"$BZIMAGE" "$VMLINUX" "$work/initrd"
}

# median <NUMBERS, one a line
median() {
	sort -n | awk '{ v[NR] = $1 }
		END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# required WHAT VALUE RELATION BOUND
required() {
	awk -v what="$1" -v value="$2" -v relation="$3" -v bound="$4" 'BEGIN {
		met = relation == "<" && value < bound || relation == "<=" && value <= bound ||
			relation == ">=" && value >= bound
		printf "%-44s %8.4g   required %2s %-6g %s\n", what, value, relation, bound,
			met ? "met" : "MISSED" }'
}

# interval <NUMBERS, one a line: their median, and its 95 % confidence interval, taken from order
# statistics, which holds for any distribution. Nothing for nothing: then no bound is met.
interval() {
	sort -g | awk '
		{ v[NR] = $1 }
		END {
			if (!NR)
				exit
			# Probability that at most k of them are below the true median.
			for (k = 0; k < NR / 2; k++) {
				choose = k ? choose * (NR - k + 1) / k : 1
				likely += choose / 2 ^ NR
				if (likely > 0.025)
					break
			}
			low = v[k > 0 ? k : 1]
			high = v[k > 0 ? NR + 1 - k : NR]
			print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, low, high }'
}

# keeps_up WHAT BOUND <RATIOS, one a line: whether their median is at least that; if not, whether it
# is in their interval.
keeps_up() {
	interval | awk -v what="$1" -v bound="$2" '{
		verdict = $1 >= bound ? "met" : $3 >= bound ? "equal" : "MISSED"
		printf "%-52s %8.3f   %.3f to %.3f   required >= %-4g %s\n", what, $1, $2, $3, bound,
			verdict }'
}

# at_most WHAT BOUND <RATIOS, one a line
at_most() {
	interval | awk -v what="$1" -v bound="$2" '{
		printf "%-44s %8.3f   %.3f to %.3f   required <= %-4g %s\n", what, $1, $2, $3, bound,
			$1 <= bound ? "met" : "MISSED" }'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { print a / b }'
}
