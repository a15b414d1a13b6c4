#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/kernel without a network: what it refuses, what it takes from a cache, what it says when
# there is nothing. tests/guest/kernels.sh uses real kernels.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

if [ -n "${SAN:-}" ]; then
	tap_skip kernel "the same in every build, checked in the plain one"
	tap_done
fi
kernel=$SRC/scripts/kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset AIPU_CACHE
export XDG_CACHE_HOME=$work/cache AIPU_OFFLINE=1

# refuses TEXT ARGUMENT...: as wrong usage
refuses()
{
	tap_refuses "$kernel" 2 "$@"
}

help_text()
{
	"$kernel" --help >"$work/out" && grep -q '^usage: scripts/kernel ' "$work/out" &&
		[ "$(awk 'length > 100' "$work/out" | wc -l)" -eq 0 ]
}

# fails TEXT ARGUMENT...: with status 1, nothing on standard output, and this said
fails()
{
	local text=$1 got=0
	shift
	"$kernel" "$@" </dev/null >"$work/out" 2>"$work/err" || got=$?
	cat "$work/out" "$work/err"
	[ "$got" -eq 1 ] && [ ! -s "$work/out" ] && grep -q -- "$text" "$work/err"
}

# a kernel's directory as a cache has it
entry()
{
	mkdir -p "$1/modules/lib/modules/$2"
	echo "$2" >"$1/release"
	: >"$1/vmlinuz"
	touch -d "$3" "$1"
}

# gives DIRECTORY ARGUMENT...: prints it
gives()
{
	local dir=$1
	shift
	"$kernel" "$@" >"$work/out" 2>"$work/err" </dev/null
	cat "$work/err"
	[ "$(cat "$work/out")" = "$dir" ]
}

mkdir "$work/empty" "$work/mod"
echo 'obj-m := x.o' >"$work/mod/Kbuild"
tap_ok "--help" help_text
tap_ok "no kernel" refuses "KERNEL expected"
tap_ok "unknown kernel" refuses '"6.1"' 6.1
tap_ok "a kernel that is a path" refuses '"../new"' ../new
tap_ok "two kernels" refuses "one KERNEL" 6.12 new
tap_ok "unknown option" refuses '"--all"' --all
tap_ok "--headers without kernel" refuses "wants KERNEL" --headers
tap_ok "--headers of an unknown one" refuses '"old"' --headers old
tap_ok "--modules without directory" refuses "DIR" --modules new
tap_ok "--modules of an unknown one" refuses '"old"' --modules old "$work/mod"
tap_ok "--modules where there are none" refuses "$work/empty" --modules new "$work/empty"
tap_ok "--source outside of it" refuses '"../x"' --source ../x
tap_ok "--source, absolute" refuses '"/etc"' --source /etc

tap_ok "offline and empty: 6.12" fails "none was fetched" 6.12
tap_ok "offline and empty: new" fails "none was fetched" new
tap_ok "offline and empty: source" fails "cannot get linux-source" --source Makefile
tap_ok "offline and empty: modules" fails "none was fetched" --modules 6.12 "$work/mod"
cache=$work/cache/aipu/kernel
entry "$cache/new/a" 7.2.1-amd64 '2 days ago'
entry "$cache/new/b" 7.2.2-amd64 '1 day ago'
tap_ok "offline the newest is taken" gives "$cache/new/b" new
tap_ok "and said so" grep -q 'taking the cached 7.2.2-amd64' "$work/err"
entry "$work/shared/kernel/6.12/c" 6.12.1-amd64 '1 day ago'
AIPU_CACHE=$work/shared tap_ok "from another's cache" gives "$work/shared/kernel/6.12/c" 6.12
tap_ok "what is not there is not taken" fails "none was fetched" 6.12
tap_done
