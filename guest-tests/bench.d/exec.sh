# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: kinglet exec, which boots a kernel once.

group_title='One program under a kernel: exec -- true, medians'
group_testbed=--icount # single rounds differ by less than what is to be seen
names=(cold first warm)
labels=('booted (--no-cache)' 'booted and saved' 'from a saved machine')

# ---- inside: where Kinglet runs ----

# run_once NAME: result NAME MS
run_once() {
	local begin option=
	case $1 in
	cold) option=--no-cache ;;
	first) rm -rf "$XDG_CACHE_HOME/kinglet/exec" ;;
	esac
	begin=${EPOCHREALTIME/./}
	timeout 180 "$KINGLET" exec "$BZIMAGE" --modules "$modules" $option -- "$work/busybox" true \
		</dev/null >"$TESTBED_OUT/log" 2>&1
	result "$1" $(((${EPOCHREALTIME/./} - begin) / 1000))
}

group_run() {
	local i name modules=${BZIMAGE%/*}
	: >"$TESTBED_OUT/results"
	# In memory: a disk is not measured.
	rm -rf /dev/shm/kinglet-bench
	export XDG_CACHE_HOME=/dev/shm/kinglet-bench
	mkdir -m 700 "$XDG_CACHE_HOME"
	for ((i = 0; i < runs; i++)); do
		for name in "${names[@]}"; do
			run_once "$name" >&2
		done
	done
	du -k "$XDG_CACHE_HOME"/kinglet/exec/*/* >"$TESTBED_OUT/size"
	rm -rf "$XDG_CACHE_HOME"
}

# ---- outside: preparation and report ----

group_prepare() {
	cp "$("$here/assets" busybox)" "$work/busybox"
}

values() {
	awk -v name="$1" '$1 == name { print $2 }' "$TESTBED_OUT/results"
}

group_report() {
	local i
	for i in 0 1 2; do
		printf '%-28s%10.0f ms\n' "${labels[i]}" "$(values "${names[i]}" | median)"
	done
	printf '%-28s%10.0f KiB\n' 'a saved machine' \
		"$(awk '{ kib += $1 } END { print kib }' "$TESTBED_OUT/size")"
	echo
	paste <(values warm) <(values cold) | awk '{ print $1 / $2 }' |
		at_most 'from a saved machine / booted' 0.15
}
