#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-fw: the default image is reproducible, what is packed is shown, each spoiled byte is found, exit codes.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

fw=$BUILD/bin/aipu-fw
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# says PATTERN COMMAND...: its output, of both kinds, has this line.
says()
{
	pattern=$1
	shift
	got=$("$@" 2>&1)
	printf '%s\n' "$got" | grep -q -- "$pattern" && return 0
	printf 'no line "%s" in:\n%s\n' "$pattern" "$got"
	return 1
}

# spoil OFFSET: a copy of the image with this byte changed.
spoil()
{
	cp "$work/a.fw" "$work/bad.fw"
	printf '\377' | dd of="$work/bad.fw" bs=1 seek="$1" conv=notrunc 2>/dev/null
}

tap_ok "the default image" "$fw" pack --default -o "$work/a.fw"
tap_ok "is good" "$fw" verify "$work/a.fw"
"$fw" pack --default -o "$work/b.fw"
tap_ok "is the same each time" cmp "$work/a.fw" "$work/b.fw"
tap_ok "is the one that the build made" cmp "$work/a.fw" "$BUILD/firmware/aipu-soft.fw"

printf 'something to run\n' >"$work/payload"
tap_ok "all options" "$fw" pack -o "$work/c.fw" --version 3.4.567 --abi-oldest 0.9 --abi-newest 1.2 \
	--board 0x1234 --rollback 9 --payload "$work/payload" --build "nightly 7"
tap_ok "version" says '"version": "3.4.567"' "$fw" show "$work/c.fw" --json
tap_ok "range" says '"abi_newest": "1.2"' "$fw" show --json "$work/c.fw"
tap_ok "board" says '"board": "0x00001234"' "$fw" show "$work/c.fw" --json
tap_ok "rollback counter" says '"rollback": 9' "$fw" show "$work/c.fw" --json
tap_ok "build" says '^build: *nightly 7$' "$fw" show "$work/c.fw"
tap_ok "payload" says '"payload_bytes": 17' "$fw" show "$work/c.fw" --json
tap_ok "payload is in it" cmp "$work/payload" <(tail -c +513 "$work/c.fw")

spoil 0
tap_ok "magic" says 'not a firmware image' "$fw" verify "$work/bad.fw"
spoil 8
tap_ok "header version" says 'header version' "$fw" verify "$work/bad.fw"
spoil 300
tap_ok "reserved bytes" says 'reserved' "$fw" verify "$work/bad.fw"
spoil 24
tap_ok "a header field" says 'digest' "$fw" verify "$work/bad.fw"
spoil 600
tap_ok "a payload byte" says 'digest' "$fw" verify "$work/bad.fw"
tap_exit "a spoiled image fails" 1 "$fw" verify "$work/bad.fw"
tap_exit "and is not shown" 1 "$fw" show "$work/bad.fw"
head -c 511 "$work/a.fw" >"$work/bad.fw"
tap_ok "shorter than a header" says '511 bytes' "$fw" verify "$work/bad.fw"
head -c 600 "$work/a.fw" >"$work/bad.fw"
tap_ok "shorter than its header says" says 'the header says' "$fw" verify "$work/bad.fw"

tap_exit "no command" 2 "$fw"
tap_exit "unknown command" 2 "$fw" burn
tap_exit "no output" 2 "$fw" pack --default
tap_exit "unknown option" 2 "$fw" pack --fast -o "$work/x.fw"
tap_exit "version out of range" 2 "$fw" pack -o "$work/x.fw" --version 1.2.65536
tap_exit "version zero" 2 "$fw" pack -o "$work/x.fw" --version 0.0.0
tap_exit "range upside down" 2 "$fw" pack -o "$work/x.fw" --abi-oldest 2.0 --abi-newest 1.0
tap_exit "no such payload" 1 "$fw" pack -o "$work/x.fw" --payload "$work/none"
tap_exit "no such directory" 1 "$fw" pack --default -o "$work/none/x.fw"
tap_exit "a full disk" 1 sh -c '"$1" show "$2" --json >/dev/full' - "$fw" "$work/a.fw"
tap_ok "nothing half-written is left" test ! -e "$work/x.fw"
tap_exit "help" 0 "$fw" --help
tap_exit "version of the tool" 0 "$fw" --version
tap_done
