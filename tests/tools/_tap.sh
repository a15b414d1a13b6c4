# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# TAP for shell tests: sourced by tests/tools/*.sh, run by none. A test ends with tap_done, which
# prints the plan, so a script that dies on its way is seen to have none.

: "${SRC:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${BUILD:=$SRC/build}"
: "${TMPDIR:=/tmp}"
tap_count=0
tap_bad=0

# tap_ok NAME COMMAND...: passes if the command succeeds; its output is shown only if it fails.
tap_ok()
{
	tap_name=$1
	shift
	tap_count=$((tap_count + 1))
	if tap_out=$("$@" 2>&1); then
		echo "ok $tap_count - $tap_name"
	else
		tap_bad=$((tap_bad + 1))
		echo "not ok $tap_count - $tap_name"
		printf '%s\n' "$tap_out" | sed 's/^/# /'
	fi
}

# tap_exit NAME STATUS COMMAND...: passes if the command ends with that exit status.
tap_exit()
{
	tap_name=$1
	tap_want=$2
	shift 2
	tap_ok "$tap_name" tap_status "$tap_want" "$@"
}

tap_status()
{
	tap_want=$1
	shift
	tap_got=0
	"$@" || tap_got=$?
	[ "$tap_got" -eq "$tap_want" ] || {
		echo "exit status $tap_got, expected $tap_want: $*"
		return 1
	}
}

# tap_skip NAME REASON
tap_skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# tap_refuses PROGRAM STATUS TEXT ARGUMENT...: nothing on stdout, one line on stderr that begins with the
# program's name and has the text, and that exit status. What it said is left in $work/out and $work/err.
tap_refuses()
{
	tap_program=$1 tap_want=$2 tap_text=$3
	shift 3
	tap_got=0
	"$tap_program" "$@" </dev/null >"$work/out" 2>"$work/err" || tap_got=$?
	cat "$work/out" "$work/err"
	[ "$tap_got" -eq "$tap_want" ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
		grep -q "^${tap_program##*/}: " "$work/err" && grep -qF -- "$tap_text" "$work/err"
}

# tap_line STATUS WORD... -- COMMAND...: that exit status, nothing on stdout, one line on stderr that has all of the words. What it said
# is left in $work/out and $work/err.
tap_line()
{
	tap_want=$1 tap_words=() tap_got=0
	shift
	while [ "$1" != -- ]; do
		tap_words+=("$1")
		shift
	done
	shift
	"$@" >"$work/out" 2>"$work/err" </dev/null || tap_got=$?
	cat "$work/out" "$work/err"
	[ "$tap_got" -eq "$tap_want" ] || { echo "exit status $tap_got, expected $tap_want"; return 1; }
	[ ! -s "$work/out" ] || { echo "something on stdout"; return 1; }
	[ "$(grep -c . "$work/err")" -eq 1 ] || { echo "not one line"; return 1; }
	for tap_word in "${tap_words[@]}"; do
		grep -qF -- "$tap_word" "$work/err" || { echo "no '$tap_word'"; return 1; }
	done
}

# tap_whole FILE: a program's TAP is all there: results, and as many as the plan says.
tap_whole()
{
	grep -q '^ok \|^not ok ' "$1" && grep -qx "1\.\.$(grep -c '^ok \|^not ok ' "$1")" "$1"
}

# tap_pass_on NAME FILE: the results of a program's TAP become ours, with NAME before theirs.
tap_pass_on()
{
	while IFS= read -r tap_line; do
		case $tap_line in
		"ok "* | "not ok "*)
			tap_count=$((tap_count + 1))
			case $tap_line in not*) tap_bad=$((tap_bad + 1)) ;; esac
			tap_name=$(sed 's/^.*ok [0-9]* *\(- \)\?//' <<<"$tap_line")
			echo "${tap_line%%ok *}ok $tap_count - $1: $tap_name"
			;;
		"# "*) echo "$tap_line" ;;
		esac
	done <"$2"
}

tap_done()
{
	echo "1..$tap_count"
	[ "$tap_bad" -eq 0 ]
	exit
}
