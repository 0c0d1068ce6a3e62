# SPDX-License-Identifier: Apache-2.0
# bash completion for kinglet; generated from the option tables by `make man`.
# shellcheck shell=bash disable=SC2207,SC2221,SC2222 # two lists have an --append

_kinglet_folders() { COMPREPLY=($(compgen -d -- "$1")); }
_kinglet_files() { COMPREPLY=($(compgen -f -- "$1")); }
_kinglet_words() { COMPREPLY=($(compgen -W "$2" -- "$1")); }

_kinglet_taps()
{
	local flags taps=
	for flags in /sys/class/net/*/tun_flags; do
		flags=${flags%/tun_flags}
		taps+=" ${flags##*/}"
	done
	_kinglet_words "$1" "${taps#\ \*}"
}

_kinglet_machines()
{
	local name
	for name in "${XDG_RUNTIME_DIR-}"/kinglet/*.sock; do
		name=${name##*/} name=${name%.sock}
		[[ $name == *[!A-Za-z0-9_.-]* ]] || echo "$name"
	done
}

# The argument that ends with word $1, as $joined, and its first word, as $first: bash makes words
# of = and : in it.
_kinglet_join()
{
	first=$1 joined=${COMP_WORDS[$1]}
	while ((first > 1)) && [[ ${COMP_WORDS[first]} == [=:] || ${COMP_WORDS[first-1]} == [=:] ]]; do
		joined=${COMP_WORDS[--first]}$joined
	done
}

# What may follow option $1 when its argument is $2 so far, and $cur the last word of that. Fails
# when it takes none.
_kinglet_argument()
{
	local item=${2##*,} keys=
	case $1 in
	--initrd) _kinglet_files "$2" ;;
	--append) ;;
	--module) keys="path= args=" ;;
	--serial) _kinglet_words "$2" "stdio off" ;;
	--console) _kinglet_words "$2" "stdio null off" ;;
	--acpi) _kinglet_words "$2" "on off" ;;
	--dump-fdt) _kinglet_files "$2" ;;
	--irqchip) _kinglet_words "$2" "on off" ;;
	--flat) keys="addr= mode=" ;;
	--on-reboot) _kinglet_words "$2" "exit restart" ;;
	--root) keys="folder= readonly cache= modules=" ;;
	--incoming) ;;
	--cpus) ;;
	--memory) ;;
	--disk) keys="path= readonly copy direct serial= queues= aio= format= vhost-user= reconnect=" ;;
	--net) keys="tap= create fd= mac= vhost= vhostfd= queues= poll= offloads= vhost-user= reconnect= user forward= dns= loopback=" ;;
	--scsi) keys="path= readonly wwpn= queues= workers= format=" ;;
	--vsock) keys="cid=" ;;
	--balloon) keys="size= deflate-on-oom= free-page-reporting= stats=" ;;
	--fs) keys="tag= vhost-user= queues=" ;;
	--share) keys="folder= tag= readonly cache=" ;;
	--device) keys="type= vhost-user= queues= config= reconnect=" ;;
	--vdpa) keys="node=" ;;
	--rng) _kinglet_words "$2" "on off" ;;
	--timeout) ;;
	--gdb) keys="listen= nowait" ;;
	--name) ;;
	--control) ;;
	--snapshot) _kinglet_folders "$2" ;;
	--snapshot-on) ;;
	--explain=html) _kinglet_files "$2" ;;
	--trace) _kinglet_files "$2" ;;
	--budget) keys="init= load= run= device= kernel= driver= down=" ;;
	--expect) ;;
	--reject) ;;
	--fail-on) _kinglet_words "$2" "warn bug oops panic" ;;
	--retries) ;;
	--symbols) _kinglet_files "$2" ;;
	--from) _kinglet_folders "$2" ;;
	--report) _kinglet_files "$2" ;;
	--junit) _kinglet_files "$2" ;;
	--list) _kinglet_files "$2" ;;
	--jobs) ;;
	--root) _kinglet_folders "$2" ;;
	--dir) ;;
	--workdir) ;;
	--env) ;;
	--modules) _kinglet_folders "$2" ;;
	--module) ;;
	--append) ;;
	--diff) ;;
	--downtime) ;;
	--html) _kinglet_files "$2" ;;
	*) return 1 ;;
	esac
	[[ $keys ]] || return 0
	if [[ $item == *=* ]]; then
		set -- "$1,${item%%=*}" "${item#*=}"
	elif [[ $2 != *,* ]]; then
		set -- "$1," "$2"
	else
		set -- "" ""
	fi
	# Those whose names are behind a comma alone belong to the first, which may stand bare.
	case $1 in
	--module,|--module,path) _kinglet_files "$2" ;;
	--flat,mode) _kinglet_words "$2" "16 32 64" ;;
	--root,|--root,folder) _kinglet_folders "$2" ;;
	--root,cache) _kinglet_words "$2" "auto always none" ;;
	--root,modules) _kinglet_folders "$2" ;;
	--disk,|--disk,path) _kinglet_files "$2" ;;
	--disk,aio) _kinglet_words "$2" "uring threads" ;;
	--disk,format) _kinglet_words "$2" "raw" ;;
	--net,|--net,tap) _kinglet_taps "$2" ;;
	--net,vhost) _kinglet_words "$2" "auto on off" ;;
	--net,offloads) _kinglet_words "$2" "on off" ;;
	--net,loopback) _kinglet_words "$2" "on off" ;;
	--scsi,|--scsi,path) _kinglet_files "$2" ;;
	--scsi,format) _kinglet_words "$2" "raw" ;;
	--balloon,deflate-on-oom) _kinglet_words "$2" "on off" ;;
	--balloon,free-page-reporting) _kinglet_words "$2" "on off" ;;
	--share,|--share,folder) _kinglet_folders "$2" ;;
	--share,cache) _kinglet_words "$2" "auto always none" ;;
	*,|"")
		COMPREPLY=($(compgen -P "${cur%"$item"}" -W "$keys" -- "$item"))
		compopt +o filenames 2>/dev/null
		[[ ${COMPREPLY-} != *= ]] || compopt -o nospace 2>/dev/null ;;
	esac
	return 0
}

_kinglet()
{
	local cur=${COMP_WORDS[COMP_CWORD]} options words='' i first joined whole
	local boot="
		--initrd
		--append
		--module
		--serial
		--console
		--acpi
		--dump-fdt
		--irqchip
		--flat
		--on-reboot"
	local root="
		--root"
	local incoming="
		--incoming"
	local machine="
		--cpus
		--memory
		--hugepages
		--shared-memory
		--prefault
		--disk
		--net
		--scsi
		--vsock
		--balloon
		--fs
		--share
		--device
		--vdpa
		--rng
		--timeout
		--gdb
		--name
		--control
		--snapshot
		--snapshot-on
		--snapshot-end
		--snapshot-port
		--stats
		--explain
		--explain=html
		--trace
		--budget
		--dry-run"
	local test="
		--expect
		--reject
		--expect-reboot
		--fail-on
		--retries
		--symbols
		--from
		--verbose"
	local suite="
		--report
		--junit
		--list
		--jobs"
	local exec="
		--root
		--dir
		--workdir
		--env
		--modules
		--module
		--append
		--no-cache
		--verbose"
	local answer="
		--json"
	local stop="
		--now
		--wait"
	local snapshot="
		--diff"
	local migrate="
		--downtime
		--cancel"
	local form="
		--json"
	local report="
		--html"
	local doctor="
		--json
		--fix"
	local common="
		--help
		--version"

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_kinglet_words "$cur" "run test exec restore list info stats pause resume stop resize snapshot migrate wait events console state kernel report doctor help version --help --version"
		return
	fi
	case ${COMP_WORDS[1]} in
	run) options="$boot $root $incoming $machine $common" ;;
	test) options="$test $suite $boot $machine $common" ;;
	exec) options="$exec $machine $common" ;;
	restore) options="$machine $common" ;;
	list) options="$answer $common" ;;
	info) options="$answer $common" words=$(_kinglet_machines) ;;
	stats) options="$answer $common" words=$(_kinglet_machines) ;;
	pause) options="$common" words=$(_kinglet_machines) ;;
	resume) options="$common" words=$(_kinglet_machines) ;;
	stop) options="$stop $common" words=$(_kinglet_machines) ;;
	resize) options="$common" words=$(_kinglet_machines) ;;
	snapshot) options="$snapshot $common" words=$(_kinglet_machines) ;;
	migrate) options="$migrate $common" words=$(_kinglet_machines) ;;
	wait) options="$common" words=$(_kinglet_machines) ;;
	events) options="$common" words=$(_kinglet_machines) ;;
	console) options="$common" words=$(_kinglet_machines) ;;
	state) options="$form $common" words="show" ;;
	kernel) options="$common" words="list" ;;
	report) options="$report $common" ;;
	doctor) options="$doctor $common" ;;
	help) options="$common" words="run test exec restore list info stats pause resume stop resize snapshot migrate wait events console state kernel report doctor help version" ;;
	version) options="$common" ;;
	*) return ;;
	esac
	for ((i = 2; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -- ]] || continue
		# Only exec has files of the host there: its program, and what that works on.
		[[ ${COMP_WORDS[1]} == exec ]] || return
		if ((i == COMP_CWORD - 1)); then
			COMPREPLY=($(compgen -c -- "$cur"))
		else
			_kinglet_files "$cur"
		fi
		return
	done
	_kinglet_join "$COMP_CWORD"
	whole=$joined
	[[ $cur != [=:] ]] || cur=
	if [[ $whole == --*=* ]]; then
		_kinglet_argument "${whole%%=*}" "${whole#*=}" && return
	elif ((first > 2)); then
		_kinglet_join $((first - 1))
		_kinglet_argument "$joined" "$whole" && return
	fi
	if [[ $cur == -* ]]; then
		_kinglet_words "$cur" "$options"
	elif [[ $words && $cur != */* ]]; then
		_kinglet_words "$cur" "$words"
	else
		_kinglet_files "$cur"
	fi
}
complete -o filenames -F _kinglet kinglet
