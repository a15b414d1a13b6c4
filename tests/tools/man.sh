#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Each tool has a man page; the options of --help and of the man page are the same, both list the exit status; bad
# usage is 2 with a line that begins with the tool's name; a file that opens with no purpose has no --version.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

options()
{
	sed 's/\\-/-/g; s/\\f[BRI]//g' | grep -oE -- '(^|[^-a-z0-9])--[a-z][a-z0-9-]*' | grep -oE -- '--[a-z0-9-]+' | sort -u
}

same_options()
{
	local page=$SRC/docs/man/$1.1
	[ -f "$page" ] || { echo "there is no docs/man/$1.1"; return 1; }
	diff <("$BUILD/bin/$1" --help | options) <(options <"$page")
}

# The first codes; a tool that checks something has its own words for 0 and 1
exit_codes()
{
	local text found first=
	for text in "$("$BUILD/bin/$1" --help)" "$(cat "$SRC/docs/man/$1.1")"; do
		found=$(printf '%s' "$text" | tr '\n' ' ' | grep -oE "0 [a-z]+, 1 [a-z ]+, 2 usage") || return 1
		echo "$found"
		[ "${first:=$found}" = "$found" ] || return 1
	done
	case $1 in
	aipu-fwcheck) [ "$first" = "0 compatible, 1 incompatible or failed, 2 usage" ] ;;
	*) [ "$first" = "0 done, 1 failed, 2 usage" ] ;;
	esac
}

bad_option()
{
	local status=0 out
	out=$("$BUILD/bin/$1" --no-such-option 2>&1 >/dev/null </dev/null) || status=$?
	[ "$status" -eq 2 ] || { echo "exit status $status"; return 1; }
	case $out in
	"$1: "*) ;;
	*) echo "$out"; return 1 ;;
	esac
}

# A macro that alternates two fonts runs its arguments together: prose in its line loses the spaces.
no_prose_in_macros()
{
	! sed 's/"[^"]*"/"/g' "$SRC/docs/man/$1.1" | grep -nE '^\.(BR|RB|BI|IB|IR|RI) (.* )?[a-z]+ [a-z]+ [a-z]+( |$)'
}

version()
{
	"$BUILD/bin/$1" --version | grep -Eq "^$1 [0-9]+\.[0-9]+\.[0-9]+"
}

for tool in "$BUILD"/bin/aipu-*; do
	tool=$(basename "$tool")
	tap_ok "$tool: --help and man page name the same options" same_options "$tool"
	tap_ok "$tool: exit status in both" exit_codes "$tool"
	tap_ok "$tool: an unknown option is usage" bad_option "$tool"
	tap_ok "$tool: no sentence in a macro's line" no_prose_in_macros "$tool"
	tap_ok "$tool: --version" version "$tool"
done
tap_done
