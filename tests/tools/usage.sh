#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The command lines of all tools are one family. What is tried comes from each tool's own --help, as completion reads it, so that
# a new tool, command or option is tried without a line here: help, the version, what is unknown, missing, empty, too much, and
# a full disk, which only the results of a new command need a line for.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

if [ -n "${SAN:-}" ]; then
	tap_skip usage "the same in every build, checked in the plain one"
	tap_done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What is written without being asked for stays in here
cd "$work" || exit 1
export HOME=$work XDG_STATE_HOME=$work
# shellcheck source=completions/bash/aipu
. "$SRC/completions/bash/aipu"
columns=100

# Arguments that are numbers, by their name in --help
numbers='(N|T|P|W|MHZ|MS|SECONDS|SIZE|X\.Y(\.Z)?|OLDEST-NEWEST)'

wrong()
{
	echo "$*"
	cat "$work/out" "$work/err"
	bad=1
}

# refused TEXT WORD...: nothing on stdout, one line of the program's that has TEXT (or one of TEXT|TEXT), and exit status 2
refused()
{
	local texts text status=0 said found=""
	IFS='|' read -ra texts <<<"$1"
	shift
	"$@" </dev/null >"$work/out" 2>"$work/err" || status=$?
	mapfile said <"$work/err"
	[ "$status" -eq 2 ] || wrong "exit status $status instead of 2: ${*@Q}"
	[ ! -s "$work/out" ] || wrong "something on stdout: ${*@Q}"
	[ "${#said[@]}" -eq 1 ] && [[ ${said[0]} == *$'\n' ]] || wrong "not one line: ${*@Q}"
	[[ ${said[0]-} == "${1##*/}: "* ]] || wrong "not by its name: ${*@Q}"
	for text in "${texts[@]}"; do
		[ -z "$text" ] || [[ ${said[0]-} != *"$text"* ]] || found=1
	done
	[ "$found" ] || wrong "does not say '${texts[*]}': ${*@Q}"
}

# answers FILE WORD...: exit status 0, nothing on stderr, and on stdout the same as in the file
answers()
{
	local file=$1 status=0
	shift
	"$@" </dev/null >"$work/out" 2>"$work/err" || status=$?
	[ "$status" -eq 0 ] && [ ! -s "$work/err" ] || wrong "exit status $status: ${*@Q}"
	cmp -s "$file" "$work/out" || wrong "not what $file has: ${*@Q}"
}

# narrow FILE: no line is longer than a terminal of $columns, and none has a tab
narrow()
{
	[ -s "$1" ] && ! LC_ALL=C.UTF-8 grep -nE ".{$((columns + 1))}"$'|\t' "$1"
}

# fails_to_write PROGRAM ARGUMENT...: on a full disk; one line says so
fails_to_write()
{
	local status=0
	"$@" </dev/null >/dev/full 2>"$work/err" || status=$?
	: >"$work/out"
	case $1 in
	*/bin/*) [ "$status" -eq 1 ] ;;
	*) [ "$status" -ne 0 ] ;;
	esac || wrong "exit status $status: ${*@Q} >/dev/full"
	grep -qi "No space left on device" "$work/err" && [ "$(wc -l <"$work/err")" -eq 1 ] ||
		wrong "not the one line about it: ${*@Q} >/dev/full"
}

# --- help and version -----------------------------------------------------------------------------

# By -h too, of the tool and of each command, also behind what else stands there
help_of()
{
	local bad=0 command
	"$1" --help >"$work/help" && narrow "$work/help" || bad=1
	grep -q -- '-h\b' "$work/help" || { echo "-h is not in it"; bad=1; }
	for command in "" $(commands "$1"); do
		answers "$work/help" "$1" ${command:+"$command"} --help
		answers "$work/help" "$1" ${command:+"$command"} -h
		[ -z "$command" ] || answers "$work/help" "$1" "$command" operand -h
	done
	return "$bad"
}

# Of the tool, and no short one
version_of()
{
	local bad=0 contract
	contract=$("$BUILD/bin/aipu-gen" --version) || return 1
	echo "${1##*/} ${contract#* }" >"$work/version"
	answers "$work/version" "$1" --version
	refused "-V" "$1" -V
	return "$bad"
}

full_help()
{
	local bad=0
	fails_to_write "$1" --help
	fails_to_write "$1" --version
	return "$bad"
}

commands()
{
	_aipu_help "$1" | sed -n 's/^command|\([^|]*\).*/\1/p'
}

# --- options --------------------------------------------------------------------------------------

# each_option FUNCTION TOOL [COMMAND]: FUNCTION NAME KIND VALUES, with $name and $letter set, for each of them
each_option()
{
	local function=$1 type name letter kind values rest bad=0 tried=0
	shift
	local call=("$@")
	while IFS='|' read -r type name letter kind values rest; do
		[ "$type" = option ] || continue
		tried=$((tried + 1))
		"$function" "${name:-$letter}"
	done < <(_aipu_help "$@")
	[ "$tried" -gt 0 ] || [ ${#call[@]} -gt 1 ] || { echo "no option in ${call[*]} --help"; return 1; }
	return "$bad"
}

# The value is not there, or is nothing; a text may say in --help that it may be empty
missing_value()
{
	case $kind in
	"") return ;;
	esac
	refused "a value is missing after '$1'" "${call[@]}" "$1"
	case $(explained "$1") in
	*"may be empty"*) return ;;
	esac
	refused "$1|${letter:+$letter }" "${call[@]}" "$1" ""
	case $1 in
	--*) refused "$1|${letter:+$letter }" "${call[@]}" "$1=" ;;
	esac
}

# One where none belongs, and nothing behind the = where it may be left out
needless_value()
{
	[ -z "$kind" ] || return
	case $1 in
	--*) ;;
	*) return ;;
	esac
	if grep -qE -- "$1( |=|\[=)?\[" "$work/help"; then
		refused "$1" "${call[@]}" "$1="
	else
		refused "'$1' takes no value" "${call[@]}" "$1=1"
	fi
}

# No such word of a list, no such number
wrong_value()
{
	local value
	[ "$kind" = text ] && { [ -n "$values" ] || grep -qE -- "$1[ =]$numbers( |]|\$)" "$work/help"; } || return
	for value in no-such 1x -1 0x1 " 1" 99999999999999999999999; do
		case $value in
		0x1) [ -z "$values" ] && ! explained "$1" | grep -q ' 0x' || continue ;;
		[1-9]* | " 1") [ -z "$values" ] || continue ;;
		esac
		refused "$1|${letter:+$letter }" "${call[@]}" "$1" "$value"
	done
}

# The lines that explain it: in the list, or in prose
explained()
{
	grep -A1 -E -- "^ +(-[a-z], )?$1 |^[A-Z]+ of $1 " "$work/help"
}

# What only other commands have
foreign_options()
{
	local other name kind
	for other in $(commands "$1"); do
		_aipu_help "$1" "$other"
	done | sed -n 's/^option|\(--[^|]*\)|[^|]*|\([^|]*\)|.*/\1 \2/p' | sort -u >"$work/all"
	_aipu_help "$1" ${2:+"$2"} >"$work/own"
	_aipu_help "$1" >>"$work/own"
	while read -r name kind; do
		grep -q "^option|$name|" "$work/own" || refused "$name" "$@" "$name" ${kind:+value}
	done <"$work/all"
}

of_options()
{
	local bad=0
	"$1" --help >"$work/help"
	each_option missing_value "$@" || bad=1
	each_option needless_value "$@" || bad=1
	each_option wrong_value "$@" || bad=1
	foreign_options "$@"
	return "$bad"
}

unknown_option()
{
	local bad=0
	refused "unknown option '--no-such-option'" "$@" --no-such-option
	refused "unknown option '--no-such-option=1'" "$@" --no-such-option=1
	refused "unknown option '-Z'" "$@" -Z
	refused "unknown option '-Z'" "$@" -Zh
	refused "; see ${1##*/} --help" "$@" --no-such-option
	return "$bad"
}

# --- operands -------------------------------------------------------------------------------------

of_operands()
{
	local bad=0 count
	count=$(_aipu_help "$@" | grep -c '^operand|')
	local words=()
	while [ ${#words[@]} -lt "$count" ]; do
		[ "$count" -eq 0 ] || [ "$#" -eq 1 ] || refused "$2: " "$@" "${words[@]}"
		words+=("operand")
	done
	if [ -n "$(commands "$1")" ] && [ $# -eq 1 ]; then
		refused "unknown command 'one-too-many'" "$@" one-too-many
		refused "unknown command ''" "$@" ""
	else
		refused "'one-too-many'" "$@" "${words[@]}" one-too-many
		refused "''" "$@" "${words[@]}" ""
		[ "$count" -eq 0 ] || refused "''" "$@" ""
	fi
	return "$bad"
}

# --- results on a full disk -----------------------------------------------------------------------

# Each command of each tool that prints results, as one may call it; - for those that print none
results()
{
	local demo=$work/demo image=$work/image.fw
	cat <<-T
		aipu-bench||--shape dim=64,hidden=64,layers=1,heads=2,kv_heads=2,vocab=64 -p 4 -n 2 -r 1
		aipu-bench||--shape dim=64,hidden=64,layers=1,heads=2,kv_heads=2,vocab=64 -p 4 -n 2 -r 1 -o json
		aipu-bench||--shape dim=64,hidden=64,layers=1,heads=2,kv_heads=2,vocab=64 -p 4 -n 2 -r 1 -o csv
		aipu-compile||$SRC/models/demo -o $work/again --force --json
		aipu-emu||-
		aipu-fw|pack|-
		aipu-fw|sign|-
		aipu-fw|inspect|$image
		aipu-fw|inspect|$image --json
		aipu-fw|verify|$image
		aipu-fw|flash|$image --device soft --dry-run
		aipu-fw|flash|$image --device soft --dry-run --json
		aipu-fw|activate|--device soft --dry-run --json
		aipu-fw|status|--device soft
		aipu-fw|status|--device soft --json
		aipu-fwcheck||--device soft
		aipu-fwcheck||--device soft --json
		aipu-gen||--qpc $demo --prompt x --max-tokens 2
		aipu-gen||--qpc $demo --prompt x --max-tokens 2 --json
		aipu-qpc|show|$demo
		aipu-qpc|show|$demo --program
		aipu-qpc|show|$demo --json
		aipu-qpc|verify|$demo
		aipu-smi||--device soft
		aipu-smi||--device soft -q
		aipu-smi||--device soft --json
		aipu-smi||--device soft --csv
		aipu-smi||--device soft -w 0.1 --count 2
		aipu-smi|ps|-
		aipu-smi|reset|--device soft
		aipu-smi|set|--device soft --default
		aipu-smi|events|-
		aipu-smi|doctor|--device soft
		aipu-smi|doctor|--device soft --json
		aipu-smi|report|-o -
	T
}

full_results()
{
	local bad=0 found=0 tool command arguments
	while IFS='|' read -r tool command arguments; do
		[ "$tool" = "$1" ] && [ "$command" = "${2-}" ] || continue
		found=1
		# shellcheck disable=SC2086 # words
		[ "$arguments" = - ] || fails_to_write "$BUILD/bin/$tool" ${command:+"$command"} $arguments
	done < <(results)
	[ "$found" -eq 1 ] || { echo "no line in results() for $*"; return 1; }
	return "$bad"
}

# --- scripts --------------------------------------------------------------------------------------

script_help()
{
	local bad=0
	"$1" --help >"$work/help" && narrow "$work/help" || bad=1
	answers "$work/help" "$1" -h
	fails_to_write "$1" --help
	return "$bad"
}

# Also every option of --help whose value is missing
script_usage()
{
	local bad=0 option
	refused "--no-such-option" "$1" --no-such-option
	refused "-Z" "$1" -Z
	while read -r option _; do
		refused "$option" "$1" "$option"
	done < <("$1" --help | grep -oE -- '--[a-z][a-z-]* [A-Z]+\b' | sort -u)
	return "$bad"
}

# ---------------------------------------------------------------------------------------------------

fixtures()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/demo" &&
		"$BUILD/bin/aipu-fw" pack --default --key "$SRC/firmware-abi/development.pem" -o "$work/image.fw"
}

tap_ok "a model and an image" fixtures
for tool in "$BUILD"/bin/aipu-*; do
	name=${tool##*/}
	tap_ok "$name: --help and -h, of each command" help_of "$tool"
	tap_ok "$name: --version" version_of "$tool"
	tap_ok "$name: full disk" full_help "$tool"
	[ -z "$(commands "$tool")" ] || [ "$name" = aipu-smi ] || tap_ok "$name: a command is missing" tap_refuses "$tool" 2 "a command is missing"
	for command in "" $(commands "$tool"); do
		of=${command:+ $command}
		tap_ok "$name$of: an unknown option" unknown_option "$tool" ${command:+"$command"}
		tap_ok "$name$of: values" of_options "$tool" ${command:+"$command"}
		tap_ok "$name$of: operands" of_operands "$tool" ${command:+"$command"}
		# One that is nothing without a command has no results of its own
		[ -n "$(commands "$tool")" ] && [ "$name" != aipu-smi ] && [ -z "$command" ] ||
			tap_ok "$name$of: results on a full disk" full_results "$name" ${command:+"$command"}
	done
done
for script in "$SRC"/scripts/*; do
	[ -f "$script" ] && [ -x "$script" ] || continue
	tap_ok "scripts/${script##*/}: --help and -h" script_help "$script"
	# scripts/demo builds, and hands on to aipu-gen what it does not know
	[ "${script##*/}" = demo ] || tap_ok "scripts/${script##*/}: an unknown option" script_usage "$script"
done
tap_done
