# SPDX-License-Identifier: Apache-2.0
# bash completion for kinglet; generated from the option tables by `make man`.
# shellcheck shell=bash disable=SC2207
_kinglet()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} options
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
		--rng
		--timeout
		--gdb
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
		--verbose"
	local doctor="
		--json
		--fix"
	local common="
		--help
		--version"

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W "run test exec kernel report doctor help version --help --version" -- "$cur"))
		return
	fi
	case ${COMP_WORDS[1]} in
	run) options="$boot $machine $common" ;;
	test) options="$test $suite $boot $machine $common" ;;
	exec) options="$exec $machine $common" ;;
	kernel) options="$common" ;;
	report) options="$common" ;;
	doctor) options="$doctor $common" ;;
	help) options="$common" ;;
	version) options="$common" ;;
	*) return ;;
	esac
	# bash splits at the equals sign: --name = value
	if [[ $cur == "=" ]]; then
		cur=
	elif [[ $prev == "=" ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	case $prev in
	--initrd)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--append)
		return ;;
	--module)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--serial)
		COMPREPLY=($(compgen -W "stdio off" -- "$cur"))
		return ;;
	--console)
		COMPREPLY=($(compgen -W "stdio null off" -- "$cur"))
		return ;;
	--acpi)
		COMPREPLY=($(compgen -W "on off" -- "$cur"))
		return ;;
	--dump-fdt)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--irqchip)
		COMPREPLY=($(compgen -W "on off" -- "$cur"))
		return ;;
	--flat)
		return ;;
	--on-reboot)
		COMPREPLY=($(compgen -W "exit restart" -- "$cur"))
		return ;;
	--cpus)
		return ;;
	--memory)
		return ;;
	--disk)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--net)
		return ;;
	--scsi)
		return ;;
	--vsock)
		return ;;
	--rng)
		COMPREPLY=($(compgen -W "on off" -- "$cur"))
		return ;;
	--timeout)
		return ;;
	--gdb)
		return ;;
	--explain=html)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--trace)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--budget)
		return ;;
	--expect)
		return ;;
	--reject)
		return ;;
	--fail-on)
		COMPREPLY=($(compgen -W "warn bug oops panic" -- "$cur"))
		return ;;
	--retries)
		return ;;
	--symbols)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--report)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--junit)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--list)
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--jobs)
		return ;;
	--root)
		return ;;
	--dir)
		return ;;
	--workdir)
		return ;;
	--env)
		return ;;
	--modules)
		return ;;
	--module)
		return ;;
	--append)
		return ;;
	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
	elif [[ ${COMP_WORDS[1]} == help ]]; then
		COMPREPLY=($(compgen -W "run test exec kernel report doctor help version" -- "$cur"))
	else
		COMPREPLY=($(compgen -f -- "$cur"))
	fi
}
complete -o filenames -F _kinglet kinglet
