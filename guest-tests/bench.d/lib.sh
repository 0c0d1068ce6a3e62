# shellcheck shell=bash disable=SC2034
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

# keeps_up WHAT <RATIOS, one a line: whether their median is at least 1; if not, whether 1 is in its
# 95 % confidence interval, taken from order statistics, which holds for any distribution of ratios.
keeps_up() {
	sort -n | awk -v what="$1" '
		{ v[NR] = $1 }
		END {
			# Probability that at most k ratios are below the true median.
			for (k = 0; k < NR / 2; k++) {
				choose = k ? choose * (NR - k + 1) / k : 1
				likely += choose / 2 ^ NR
				if (likely > 0.025)
					break
			}
			low = v[k > 0 ? k : 1]
			high = v[k > 0 ? NR + 1 - k : NR]
			median = (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2
			verdict = median >= 1 ? "met" : high >= 1 ? "equal" : "MISSED"
			printf "%-44s %8.3f   %.3f to %.3f   %s\n", what, median, low, high, verdict }'
}

ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { print a / b }'
}
