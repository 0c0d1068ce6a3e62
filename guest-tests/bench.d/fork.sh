# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# SPDX-License-Identifier: Apache-2.0
#
# Group of bench: many machines from one that was saved. The memory that each has for itself.

# shellcheck source=guest-tests/bench.d/state.sh
. "$here/bench.d/state.sh"

group_title='Many machines from one that was saved'
group_testbed= # twenty guests that tick take long where each exit counts
sizes=(128)
forks=20

# fork_all NAME: private memory of each, after all have run for some seconds.
fork_all() {
	local i pid pids=()
	for ((i = 0; i < forks; i++)); do
		start "$1" "${sizes[0]}"
		pids+=("$pid")
	done
	sleep 10
	# Or they take the time of each other, and of what measures.
	kill -STOP "${pids[@]}"
	for pid in "${pids[@]}"; do
		kill -0 "$pid"
		result fork "$1" - "$(awk '/^Private_/ { kib += $2 } END { print kib }' /proc/$pid/smaps)"
	done
	end_all "${pids[@]}"
}

group_run() {
	local name never
	trap 'tail -v -n 20 "$TESTBED_OUT"/*.log >&2' ERR
	set -E
	save_all >&2
	for name in "${names[@]}"; do
		fork_all "$name"
	done >&2
	rm -rf "$store"
}

group_report() {
	printf '%-36s%14s%14s\n' '' Kinglet microvm+rtc
	row "private memory of $forks forks, KiB each" fork 4 - .0f
	echo
	by <(values fork kinglet 4) <(values fork microvm 4) | at_most 'private memory / microvm+rtc' 1
}
