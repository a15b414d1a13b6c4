#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-emu's command line: what it refuses, in one line and with which code; whose socket file it replaces and removes.
# What it says to clients is tested by tests/unit/test_emu_*.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

emu=$BUILD/bin/aipu-emu
work=$(mktemp -d)
socket=$work/socket
server=
trap '[ -z "$server" ] || kill -KILL "$server"; rm -rf "$work"' EXIT

# refuses STATUS PATTERN OPTION...: one line, that says this, and nothing is left behind.
refuses()
{
	local want=$1 pattern=$2 status=0 before out
	shift 2
	before=$(ls -A "$work")
	out=$(timeout 20 "$emu" "$@" 2>&1) || status=$?
	printf '%s\n' "$out" "exit status $status"
	[ "$status" -eq "$want" ] && [[ $out != *$'\n'* ]] && [ "$(ls -A "$work")" = "$before" ] &&
		grep -q -- "^aipu-emu: .*$pattern" <<<"$out"
}

# start and ends run in this shell, whose child the server is, and leave their result in $status.
start()
{
	status=1
	"$emu" --socket "$socket" --memory 1M --cores 1 "$@" </dev/null >"$work/said" 2>&1 &
	server=$!
	local i
	for i in $(seq 400); do
		# Its inode tells it from the file of a server before.
		[ -S "$socket" ] && [ "$(stat -c %i "$socket")" != "${old:-}" ] && status=0 && return
		kill -0 "$server" || return
		sleep 0.05
	done
}

ends()
{
	kill "-$1" "$server"
	wait "$server" 2>/dev/null
	status=$?
	server=
}

# Its last result was this, it said nothing, and its file is gone.
ended()
{
	cat "$work/said"
	[ "$status" -eq "$1" ] && [ ! -e "$socket" ] && [ ! -s "$work/said" ]
}

long=$work/$(printf '%0120d' 0)
tap_ok "a socket is needed" refuses 2 "--socket PATH is expected"
tap_ok "an empty path" refuses 2 "a path is expected" --socket ""
tap_ok "a path too long for a socket" refuses 2 "at most 99 are expected" --socket "$long"
tap_ok "a value is missing" refuses 2 "a value is missing after" --socket
tap_ok "an argument that is no option" refuses 2 "only options are expected" --socket "$socket" "$socket"
for size in 3M 512K 32G 0 1 M 1MM 1T -1G "" 99999999999999999999; do
	tap_ok "--memory '$size'" refuses 2 "power of two from 1M to 16G is expected" --socket "$socket" --memory "$size"
done
tap_ok "--cores 0" refuses 2 "from 1 to 256 is expected" --socket "$socket" --cores 0
tap_ok "--queues 1023" refuses 2 "from 1 to 1022 is expected" --socket "$socket" --queues 1023
tap_ok "--poll-us 10000001" refuses 2 "from 0 to 10000000 is expected" --socket "$socket" --poll-us 10000001
tap_ok "--vectors 2049" refuses 2 "from 1 to 2048 is expected" --socket "$socket" --vectors 2049
tap_ok "--rollback beyond 32 bits" refuses 2 "from 0 to 4294967295 is expected" --socket "$socket" --rollback 4294967296
for range in 1.0 1.0-1.1. 0.0-1.0 2.0-1.9 1.0-1.65536 " 1.0-1.1" 1.0-+1.1; do
	tap_ok "--abi '$range'" refuses 2 "a range of versions from 0.1 on is expected" --socket "$socket" --abi "$range"
done
for serial in x "" 0x 0xg -1 " 1" 1a 0x0x1 18446744073709551616 0x10000000000000000; do
	tap_ok "--serial '$serial'" refuses 2 "--serial '$serial': an integer below 2^64 is expected" --socket "$socket" --serial "$serial"
done
for fault in hang hang@0 hang@1:1 nothing@1 slow-job@1:0 bad-completion@1:3 hang@; do
	tap_ok "--fault $fault" refuses 2 "--fault '$fault': " --socket "$socket" --fault "$fault"
done
many=()
for i in $(seq 17); do many+=(--fault "hang@$i"); done
# No kind of --help is unknown, and nothing but the socket is wrong then
kinds=$("$emu" --help | sed -n 's/^ *\([a-z-]*\)@[A-Z].*/\1/p')
tap_ok "--help has kinds of --fault" test -n "$kinds"
for kind in $kinds; do
	tap_ok "--fault $kind@1 of --help" refuses 2 "--socket PATH is expected" --fault "$kind@1"
done
tap_ok "17 faults" refuses 2 "at most 16 of them are expected" --socket "$socket" "${many[@]}"
tap_ok "a flash that is a directory" refuses 1 "--flash $work: a regular file" --socket "$socket" --flash "$work"
head -c 1000 /dev/zero >"$work/small"
tap_ok "a flash of no size that there is" refuses 1 "64 KiB to 32 MiB" --socket "$socket" --flash "$work/small"
tap_ok "a trace that cannot be written" refuses 1 "--trace $work/none/trace: " --socket "$socket" --trace "$work/none/trace"
tap_ok "a directory that is not there" refuses 1 "No such file or directory" --socket "$work/none/socket"
echo kept >"$work/file"
tap_ok "a file that is no socket" refuses 1 "is no socket" --socket "$work/file"
tap_ok "and it is kept" grep -q kept "$work/file"

start
tap_ok "it listens" test "$status" -eq 0
tap_ok "a second server on the socket" refuses 1 "another server listens there" --socket "$socket"
ends TERM
tap_ok "SIGTERM ends it well" ended 0
start --msi --vectors 3 --queues 1022 --serial 18446744073709551615
tap_ok "it listens again" test "$status" -eq 0
ends INT
tap_ok "SIGINT is an interruption" ended 130
start
ends KILL
tap_ok "one that was killed leaves its file" test -S "$socket"
old=$(stat -c %i "$socket")
start
tap_ok "which the next one replaces" test "$status" -eq 0
rm "$socket"
echo other >"$socket"
ends TERM
tap_ok "it ends where its file is gone" test "$status" -eq 0
tap_ok "and leaves another's in its place" grep -q other "$socket"
tap_done
