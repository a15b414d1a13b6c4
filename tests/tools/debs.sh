#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# scripts/debs: what it refuses, what it unpacks, its cache without network, shared, raced for and
# killed. Fetches one small package; without archives that is skipped.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

if [ -n "${SAN:-}" ]; then
	tap_skip debs "the same in every build, checked in the plain one"
	tap_done
fi
debs=$SRC/scripts/debs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset AIPU_CACHE AIPU_OFFLINE
export XDG_CACHE_HOME=$work/cache
suite=bookworm-backports

# refuses TEXT ARGUMENT...: as wrong usage
refuses()
{
	tap_refuses "$debs" 2 "$@"
}

help_text()
{
	"$debs" --help >"$work/out" && grep -q '^usage: scripts/debs ' "$work/out" &&
		[ "$(awk 'length > 100' "$work/out" | wc -l)" -eq 0 ]
}

# fetch: the directory is in $work/out, what was said in $work/err
fetch()
{
	"$debs" fetch "$name" "$suite" "$package" >"$work/out" 2>"$work/err" </dev/null
}

fetched()
{
	fetch || { cat "$work/err"; return 1; }
	cp "$work/out" "$work/first"
	case $(cat "$work/out") in
	"$XDG_CACHE_HOME"/aipu/debs/*/root) ;;
	*) echo "not in the cache: $(cat "$work/out")"; return 1 ;;
	esac
	whole "$(cat "$work/out")"
}

# whole ROOT: has what the package and unpacking put there
whole()
{
	[ -L "$1/lib" ] && [ -d "$1/lib/" ] && [ -d "$1/mnt" ] && [ -s "${1%/root}/packages" ] &&
		compgen -G "$1/usr/share/doc/$package*" >/dev/null
}

# The same directory again, and nothing said: the archives were not asked, or it would complain.
again()
{
	AIPU_OFFLINE=1 fetch && cat "$work/err" && cmp "$work/first" "$work/out" && [ ! -s "$work/err" ]
}

grow_old()
{
	find "$XDG_CACHE_HOME/aipu" -type f -exec touch -d '3 hours ago' {} +
}

offline()
{
	grow_old
	AIPU_OFFLINE=1 fetch
	cat "$work/err"
	cmp "$work/first" "$work/out" && grep -q 'archives cannot be asked' "$work/err"
}

unreachable()
{
	grow_old
	http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 fetch
	cat "$work/err"
	cmp "$work/first" "$work/out"
}

shared()
{
	AIPU_CACHE=$work/cache/aipu XDG_CACHE_HOME=$work/other AIPU_OFFLINE=1 fetch
	cat "$work/err"
	cmp "$work/first" "$work/out" && [ ! -e "$work/other/aipu/debs/$name" ]
}

nothing_there()
{
	! XDG_CACHE_HOME=$work/empty AIPU_OFFLINE=1 fetch && cat "$work/err" &&
		[ ! -s "$work/out" ] && grep -q "cannot get $package" "$work/err"
}

unknown_package()
{
	! "$debs" fetch none "$suite" aipu-no-such-package >"$work/out" 2>"$work/err"
	cat "$work/err"
	[ ! -s "$work/out" ] && grep -q aipu-no-such-package "$work/err"
}

two_at_once()
{
	export XDG_CACHE_HOME=$work/two
	"$debs" fetch "$name" "$suite" "$package" >"$work/a" 2>"$work/a.err" &
	"$debs" fetch "$name" "$suite" "$package" >"$work/b" 2>"$work/b.err" || return 1
	wait $! || return 1
	cat "$work/a.err" "$work/b.err"
	cmp "$work/a" "$work/b" && whole "$(cat "$work/a")" &&
		[ "$(cat "$work/a.err" "$work/b.err" | grep -c ' to fetch$')" -eq 1 ]
}

# Killed at some times, and certainly while it unpacks: whatever has an entry's name is whole, and the
# next run succeeds and leaves nothing of the killed ones.
killed()
{
	local delay entry path
	export XDG_CACHE_HOME=$work/killed
	mkdir "$work/deadly"
	printf '#!/bin/sh\nkill -KILL 0\n' >"$work/deadly/dpkg-deb"
	chmod +x "$work/deadly/dpkg-deb"
	for delay in end 0.1 0.5; do
		path=$PATH
		[ "$delay" != end ] || path=$work/deadly:$PATH
		PATH=$path setsid "$debs" fetch "$name" "$suite" "$package" >/dev/null 2>&1 &
		[ "$delay" = end ] || { sleep "$delay"; kill -KILL -- -$! 2>/dev/null; }
		wait $! 2>/dev/null
		[ "$delay" != end ] || [ -n "$(ls "$XDG_CACHE_HOME/aipu/tmp")" ] ||
			{ echo "not killed while unpacking"; return 1; }
		for entry in "$XDG_CACHE_HOME"/aipu/debs/*/*/; do
			[ ! -e "$entry" ] || whole "${entry}root" || { echo "half: $entry"; return 1; }
		done
	done
	fetch || { cat "$work/err"; return 1; }
	whole "$(cat "$work/out")" || return 1
	[ -z "$(ls "$XDG_CACHE_HOME/aipu/tmp")" ] || { ls -l "$XDG_CACHE_HOME/aipu/tmp"; return 1; }
}

# No home of one's own: TMPDIR, and there only a directory that nobody else made.
foreign_home()
{
	local to=$work/tmp/aipu-cache-$(id -u)
	mkdir -p "$work/tmp"
	: >"$work/nohome"
	# shellcheck disable=SC2030,SC2031
	(
		unset XDG_CACHE_HOME
		export HOME=$work/nohome TMPDIR=$work/tmp
		. "$SRC/scripts/lib/cache.sh"
		[ "$(cache_dir)" = "$to" ] && [ "$(stat -c %a "$to")" = 700 ] || exit 1
		rmdir "$to"
		ln -s "$work" "$to"
		! cache_dir
	)
}

tap_ok "--help" help_text
tap_ok "no command" refuses "tree, fetch or resolve"
tap_ok "unknown command" refuses '"install"' install x bookworm hello
tap_ok "no package" refuses "PACKAGE" fetch x bookworm
tap_ok "a name with a slash" refuses '"../x"' fetch ../x bookworm hello
tap_ok "a name that is an option" refuses '"--x"' fetch --x bookworm hello
tap_ok "a suite with a space" refuses '"a b"' tree x "a b" hello
tap_ok "a package that is an option" refuses '"-y"' tree x bookworm -y
tap_ok "resolve wants one package" refuses "resolve" resolve bookworm a b
tap_ok "a home that cannot be written" foreign_home

name=test
package=linux-image-amd64
why=""
if ! command -v apt-get >/dev/null; then
	why="this system has no apt-get"
elif ! "$debs" resolve "$suite" "$package" >"$work/resolved" 2>"$work/err"; then
	why="the archives cannot be reached: $(head -n 1 "$work/err")"
fi
if [ -n "$why" ]; then
	tap_skip "packages" "$why"
	tap_done
fi
tap_ok "resolve names the newest kernel" grep -q '^linux-image-[0-9]' "$work/resolved"
tap_ok "resolve --version" "$debs" resolve --version "$suite" "$package"
tap_ok "a package is fetched and unpacked" fetched
tap_ok "once" again
tap_ok "offline the old one serves" offline
tap_ok "and with an archive that does not answer" unreachable
tap_ok "another's cache serves without copying" shared
tap_ok "offline and empty: fails" nothing_there
tap_ok "no such package: fails" unknown_package
tap_ok "two at once make it once" two_at_once
tap_ok "killed, nothing half is left" killed
tap_done
