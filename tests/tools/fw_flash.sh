#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-fw flash, activate, status on the software device: what was flashed runs, now and in the next process; what a device refuses
# it names; what does not come up is fallen back from; and whenever the tool dies, the device starts. The flash is a file in the
# state directory that the runner gives each test.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

fw=$BUILD/bin/aipu-fw
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state
flash=$XDG_STATE_HOME/aipu/soft.flash
key=$SRC/firmware-abi/development.pem

# ends STATUS TEXT COMMAND...: its stdout is one line with the text, and it ends so. stderr is left in $work/err.
ends()
{
	local want=$1 text=$2 got=0
	shift 2
	"$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
	cat "$work/out" "$work/err"
	[ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; return 1; }
	[ "$(wc -l <"$work/out")" -eq 1 ] && grep -qF -- "$text" "$work/out"
}

# quiet COMMAND...: the command succeeds, and the one before it said nothing on stderr
quiet()
{
	"$@" && [ ! -s "$work/err" ]
}

# shows TEXT...: status has all of the texts
shows()
{
	local text
	"$fw" status --device soft >"$work/status" || return 1
	cat "$work/status"
	for text; do
		grep -qF -- "$text" "$work/status" || { echo "no \"$text\""; return 1; }
	done
}

# json PYTHON: true of the object o, which stdin holds
json()
{
	/usr/bin/python3 -c "import json, sys; o = json.load(sys.stdin); sys.exit(0 if ($1) else 1)"
}

# says_json PYTHON COMMAND...
says_json()
{
	local test=$1
	shift
	"$@" >"$work/out" </dev/null
	cat "$work/out"
	json "$test" <"$work/out"
}

# pack NAME OPTION...: an image that is signed as software devices want it
pack()
{
	local name=$1
	shift
	"$fw" pack --key "$key" -o "$work/$name.fw" "$@"
}

# again: slot A runs 1.1.0, as after the first flash
again()
{
	cp "$work/first.flash" "$flash"
}

head -c 300000 /dev/urandom >"$work/payload"
printf 'start: never\n' >"$work/never"
tap_ok "images" pack one --payload "$work/payload" --version 1.1.0 --build one
pack two --payload "$work/payload" --version 1.2.0 --build two
pack never --payload "$work/never" --version 1.3.0

# --- what there is -------------------------------------------------------------------------------------
tap_ok "at first nothing is kept" shows "loaded by the host" "slot A: empty" "slot B: empty"
tap_ok "looking leaves nothing behind" test ! -e "$XDG_STATE_HOME"
tap_ok "a dry run" ends 0 "1.1.0 would be written to slot A and started" "$fw" flash "$work/one.fw" --device soft --dry-run
tap_ok "leaves nothing either" test ! -e "$XDG_STATE_HOME"

# --- what was flashed runs -----------------------------------------------------------------------------
tap_ok "flash" ends 0 "soft: 1.1.0 runs from slot A" "$fw" flash "$work/one.fw" --device soft
tap_ok "says nothing else" quiet true
tap_ok "in the next process too" shows "1.1.0 runs from slot A" '1.1.0 "one", confirmed, runs'
cp "$flash" "$work/first.flash"
tap_ok "once more is nothing to do" ends 0 "runs from slot A already" "$fw" flash "$work/one.fw" --device soft
tap_ok "and changes no byte" cmp "$flash" "$work/first.flash"
tap_ok "written but not activated" ends 0 "is in slot B; aipu-fw activate --slot b" \
	"$fw" flash "$work/two.fw" --device soft --no-activate
tap_ok "it does not run" shows "1.1.0 runs from slot A" '1.2.0 "two", good'
tap_ok "until it is activated" ends 0 "soft: 1.2.0 runs from slot B" "$fw" activate --device soft
tap_ok "an older one is refused" ends 1 "1.2.0 runs, which is newer than 1.1.0" "$fw" flash "$work/one.fw" --device soft
tap_ok "but activate goes back" ends 0 "soft: 1.1.0 runs from slot A" "$fw" activate --device soft --slot a
tap_ok "a newer one in the other slot is not overwritten" ends 1 "slot B holds 1.2.0" \
	"$fw" flash "$work/one.fw" --device soft --slot b
tap_ok "but by force" ends 0 "soft: 1.1.0 runs from slot B" "$fw" flash "$work/one.fw" --device soft --force
tap_ok "the slot that runs is refused" ends 1 "slot B runs and cannot be written" \
	"$fw" flash "$work/two.fw" --device soft --slot b
tap_ok "an empty file" tap_refuses "$fw" 1 "empty" flash /dev/null --device soft

# --- JSON ----------------------------------------------------------------------------------------------
again
tap_ok "status as JSON" says_json "o['schema_version'] == 2 and o['tool'] == 'aipu-fw' and len(o['cards']) == 1 and
	o['cards'][0]['firmware_version'] == '1.1.0' and o['cards'][0]['firmware_source'] == o['cards'][0]['active_slot'] == 'slot_a' and
	o['cards'][0]['board_id'] == o['cards'][0]['slots'][0]['board_id'] == '0x534f4654' and
	[s['slot'] for s in o['cards'][0]['slots']] == ['slot_a', 'slot_b'] and
	[s['state'] for s in o['cards'][0]['slots']] == ['confirmed', 'empty'] and
	[s['can_start'] for s in o['cards'][0]['slots']] == [True, False] and
	o['cards'][0]['slots'][0]['sha256'] == '$("$fw" inspect --json "$work/one.fw" | sed -n 's/.*"sha256": "\(.*\)".*/\1/p')' and
	o['cards'][0]['slots'][1]['version'] is None" "$fw" status --device soft --json
as_shown()
{
	"$fw" status -i soft >"$work/text" && "$fw" status -i soft --json >"$work/json" &&
		"$fw" status --read "$work/json" | diff "$work/text" - && "$fw" status --json --read - <"$work/json" | diff "$work/json" -
}
tap_ok "which is read as it was shown" as_shown
tap_ok "flash as JSON" says_json "o['schema_version'] == 2 and o['results'][0]['result'] == 'running' and
	o['results'][0]['slot'] == 'slot_b' and o['results'][0]['device'] == 'soft' and o['results'][0]['exit_status'] == 0 and
	o['results'][0]['error'] is o['results'][0]['error_text'] is None" "$fw" flash "$work/two.fw" --device soft --json

# --- what the device refuses ---------------------------------------------------------------------------
cp "$work/two.fw" "$work/tampered.fw"
printf '\377\377' | dd of="$work/tampered.fw" bs=1 seek=100000 conv=notrunc 2>/dev/null
head -c 200000 "$work/two.fw" >"$work/truncated.fw"
"$fw" pack -o "$work/unsigned.fw" --payload "$work/payload" --version 1.2.0
pack board --payload "$work/payload" --version 1.2.0 --board 0x1234
pack abi --payload "$work/payload" --version 1.2.0 --abi-oldest 9.0 --abi-newest 9.5
openssl genpkey -algorithm ed25519 -out "$work/other.pem" 2>/dev/null
cp "$work/two.fw" "$work/stranger.fw"
"$fw" sign "$work/stranger.fw" --key "$work/other.pem"

# refused NAME CODE OPTION...: by the device, with this code; what ran goes on
refused()
{
	local name=$1 code=$2
	shift 2
	again
	ends 1 "(error $code); slot B is empty, 1.1.0 runs from slot A" "$fw" flash "$work/$name.fw" --device soft "$@" &&
		shows "1.1.0 runs from slot A" "slot B: empty"
}

# spared NAME TEXT: what the tool knows to be refused is not written
spared()
{
	again
	ends 1 "$2" "$fw" flash "$work/$1.fw" --device soft && cmp "$flash" "$work/first.flash"
}

tap_ok "tampered with" refused tampered 5 --force
tap_ok "truncated" refused truncated 2 --force
tap_ok "for another board" refused board 6 --force
tap_ok "not signed" refused unsigned 7
cp "$work/err" "$work/unsigned.err"
tap_ok "signed by somebody else" refused stranger 7
tap_ok "which is said before" grep -q "warning: .*unsigned.fw is not signed" "$work/unsigned.err"
tap_ok "for a newer contract, by force" refused abi 9 --force
tap_ok "of which there is one warning" test "$(wc -l <"$work/err")" -eq 1
tap_ok "tampered with: spared" spared tampered "do not have the digest"
tap_ok "truncated: spared" spared truncated "the header says"
tap_ok "for another board: spared" spared board "for board 0x00001234, this is soft"
tap_ok "for a newer contract: spared" spared abi "it speaks contract 9.0 to 9.5, this host"
tap_ok "a dry run says so too" ends 1 "it speaks contract 9.0 to 9.5, this host" \
	"$fw" flash "$work/abi.fw" --device soft --dry-run
pack counted --payload "$work/payload" --version 1.2.0 --rollback 3
tap_ok "an anti-rollback counter" ends 0 "1.2.0 runs from slot B" "$fw" flash "$work/counted.fw" --device soft
cp "$flash" "$work/counted.flash"
tap_ok "the one before is below that counter now" shows "1.2.0 runs from slot B" \
	'1.1.0 "one", confirmed, older than the device permits (anti-rollback counter 0)' "confirmed, runs, first at the next reset"
cp "$flash" "$work/counted.flash"
tap_ok "and is not activated" ends 1 "its anti-rollback counter is 0, below 3" "$fw" activate --device soft
tap_ok "nor in a dry run" ends 1 "its anti-rollback counter is 0, below 3" "$fw" activate --device soft --dry-run
tap_ok "which changed no byte" cmp "$flash" "$work/counted.flash"
tap_ok "by force the device decides" ends 1 "fell back: 1.2.0 runs from slot B; 1.1.0 in slot A did not start" \
	"$fw" activate --device soft --force
tap_ok "in JSON as well" says_json "o['cards'][0]['active_slot'] == 'slot_a' and
	[s['can_start'] for s in o['cards'][0]['slots']] == [False, True]" \
	"$fw" status --device soft --json
tap_ok "what cannot start is not said to be next" shows "active, but cannot start" "1.2.0 runs from slot B"
cp "$work/counted.flash" "$flash"
pack late --payload "$work/payload" --version 1.4.0 --rollback 2
tap_ok "rolled back: spared" ends 1 "anti-rollback counter is 2, below 3" "$fw" flash "$work/late.fw" --device soft
tap_ok "no byte is changed" cmp "$flash" "$work/counted.flash"
tap_ok "rolled back" ends 1 "(error 8); slot A is empty, 1.2.0 runs from slot B" \
	"$fw" flash "$work/late.fw" --device soft --force
head -c 3000000 /dev/zero >"$work/big"
pack big --payload "$work/big" --version 1.5.0
tap_ok "larger than a slot, also by force" ends 1 "3000512 bytes, a slot of this device" \
	"$fw" flash "$work/big.fw" --device soft --force

# --- what does not come up -----------------------------------------------------------------------------
again
tap_ok "a trial that never comes up falls back" ends 1 "fell back: 1.1.0 runs from slot A; 1.3.0 in slot B did not start" \
	"$fw" flash "$work/never.fw" --device soft
tap_ok "two tries are left" shows "1.1.0 runs from slot A" "trial, tries left: 1"
tap_ok "the next image takes its place" ends 0 "1.2.0 runs from slot B" "$fw" flash "$work/two.fw" --device soft
rm -f "$flash"
tap_ok "nothing else in flash: the built-in image runs" ends 1 "loaded by the host; 1.3.0 in slot A did not start" \
	"$fw" flash "$work/never.fw" --device soft

# --- whenever the tool dies, the device starts ---------------------------------------------------------
# The Nth write to a file is written by half, then the process is gone, or has a signal.
cat >"$work/cut.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset)
{
	static ssize_t (*next)(int, const void *, size_t, off_t);
	static int calls;
	const char *kill_at = getenv("CUT_KILL"), *signal_at = getenv("CUT_SIGNAL");

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "pwrite");
	calls++;
	if (kill_at && calls == atoi(kill_at)) {
		next(fd, from, bytes / 2, offset);
		raise(SIGKILL);
	}
	if (signal_at && calls == atoi(signal_at))
		raise(SIGINT);
	return next(fd, from, bytes, offset);
}
C
preload=$work/cut.so
case $SAN in
*address*) preload=$(gcc -print-file-name=libasan.so):$preload ;;
*thread*) preload=$(gcc -print-file-name=libtsan.so):$preload ;;
esac

# cut HOW N IMAGE: flashes, and the Nth write ends it; its exit status
cut()
{
	env "CUT_$1=$2" LD_PRELOAD="$preload" "$fw" flash "$work/$3.fw" --device soft >"$work/out" 2>"$work/err" </dev/null
}

# Both slots hold something, so the old image of the second one is lost first
every_write()
{
	local n status
	for ((n = 1; n <= 40; n++)); do
		cp "$work/second.flash" "$flash"
		status=0
		cut KILL "$n" three || status=$?
		[ "$status" -eq 137 ] || break
		"$fw" status --device soft >"$work/status" || return 1
		grep -q '1.2.0 runs from slot B$\|1.2.0 runs from slot B;\|1.3.0 runs from slot A;' "$work/status" || {
			echo "killed at write $n:"
			cat "$work/status"
			return 1
		}
		"$fw" flash "$work/three.fw" --device soft >"$work/out" || { cat "$work/out"; return 1; }
		grep -q '1.3.0 runs from slot A' "$work/out" || { cat "$work/out"; return 1; }
	done
	cat "$work/out"
	echo "$n writes, exit status $status"
	[ "$status" -eq 0 ] && [ "$n" -eq 11 ]
}

interrupted()
{
	local n status started=0
	for ((n = 1; n <= 10; n++)); do
		cp "$work/second.flash" "$flash"
		status=0
		cut SIGNAL "$n" three || status=$?
		cat "$work/out"
		[ "$(wc -l <"$work/out")" -eq 1 ] || return 1
		# The reset goes on, once it has begun
		if [ "$n" -gt 8 ]; then
			[ "$status" -eq 0 ] && grep -q '1.3.0 runs from slot A' "$work/out" || return 1
			continue
		fi
		[ "$status" -eq 130 ] && grep -q 'interrupted: .*1.2.0 runs from slot B' "$work/out" || return 1
		"$fw" status --device soft >"$work/status" || return 1
		cat "$work/status"
		if grep -q 'is activated' "$work/out"; then
			started=$((started + 1))
			grep -q '1.3.0 runs from slot A' "$work/status" || return 1
		else
			grep -q '1.2.0 runs from slot B' "$work/status" || return 1
		fi
	done
	[ "$started" -eq 1 ]
}

pack three --payload "$work/payload" --version 1.3.0
again
"$fw" flash "$work/two.fw" --device soft >/dev/null
cp "$flash" "$work/second.flash"
tap_ok "an interposer compiles" gcc -shared -fPIC -o "$work/cut.so" "$work/cut.c" -ldl
tap_ok "killed in the middle of each write" every_write
tap_ok "interrupted at each write" interrupted

# --- the file ------------------------------------------------------------------------------------------
again
tap_ok "another process keeps the flash" ends 7 "busy: another process keeps its flash; 1.1.0 runs" \
	flock -x "$flash" "$fw" flash "$work/two.fw" --device soft
tap_ok "who only runs is not in its way" flock -x "$flash" "$fw" status --device soft
tap_ok "nothing was changed" cmp "$flash" "$work/first.flash"
tap_ok "without a state directory nothing is kept" ends 1 "keeps no firmware of its own" \
	env -u XDG_STATE_HOME -u HOME "$fw" flash "$work/two.fw" --device soft
tap_ok "for there is no place for it" grep -q "neither XDG_STATE_HOME nor HOME is set" "$work/out"
tap_ok "and status says so" ends 0 "keeps no firmware of its own" env -u XDG_STATE_HOME -u HOME "$fw" status --device soft
tap_ok "and why" grep -q "^aipu-fw: soft: neither XDG_STATE_HOME nor HOME is set" "$work/err"
echo "no flash" >"$flash"
tap_ok "a file that is no flash" ends 1 "its flash cannot be read: $flash: has 9 bytes, which no flash has" "$fw" flash "$work/two.fw" --device soft
tap_ok "status cannot show it" tap_refuses "$fw" 1 "its flash cannot be read: $flash: has 9 bytes" status --device soft
rm "$flash"
for kind in directory pipe; do
	if [ "$kind" = pipe ]; then mkfifo "$flash"; else mkdir "$flash"; fi
	tap_ok "a $kind is no flash" ends 1 "its flash cannot be read: $flash: not a regular file" \
		"$fw" flash "$work/two.fw" --device soft
	tap_ok "nor can status show a $kind" tap_refuses "$fw" 1 "$flash: not a regular file" status --device soft
	rm -r "$flash"
done
again
chmod 400 "$flash"
runner=()
[ "$(id -u)" -ne 0 ] || runner=(setpriv "--bounding-set=-dac_override,-dac_read_search")
if "${runner[@]}" "$fw" --version >/dev/null 2>&1; then
	tap_ok "a file that one may not write" ends 4 "the right to write its flash file $flash" \
		"${runner[@]}" "$fw" flash "$work/two.fw" --device soft
	mkdir "$work/locked"
	chmod 500 "$work/locked"
	tap_ok "a state directory that one may not write" ends 4 "the right to write its flash file $work/locked/state/aipu/soft.flash" \
		"${runner[@]}" env "XDG_STATE_HOME=$work/locked/state" "$fw" flash "$work/two.fw" --device soft
else
	tap_skip "files that one may not write" "root, and setpriv cannot drop the capability to override permissions"
fi
chmod 600 "$flash"

# --- usage ---------------------------------------------------------------------------------------------
tap_ok "no image" tap_refuses "$fw" 2 "IMAGE is missing" flash --device soft
tap_ok "two images" tap_refuses "$fw" 2 "one IMAGE" flash "$work/one.fw" "$work/two.fw"
tap_ok "no such image" tap_refuses "$fw" 1 "$work/none: No such file" flash "$work/none" --device soft
tap_ok "a slot that there is not" tap_refuses "$fw" 2 "a, b or auto" flash "$work/one.fw" --slot c
tap_ok "no seconds" tap_refuses "$fw" 2 "1 to 86400" flash "$work/one.fw" --wait=soon
tap_ok "--device and --all" tap_refuses "$fw" 2 "-i and --all exclude each other" flash "$work/one.fw" --device soft --all
tap_ok "a file and a card" tap_refuses "$fw" 2 "it takes no -i, --device and --all" status --read x -i 0
tap_ok "a file and all cards" tap_refuses "$fw" 2 "it takes no -i, --device and --all" status --read x --all
tap_ok "flash reads no snapshot" tap_refuses "$fw" 2 "unknown option '--read'" flash --read x
tap_ok "an unknown option" tap_refuses "$fw" 2 "unknown option '--fast'" activate --fast
tap_ok "activate takes no image" tap_refuses "$fw" 2 "only options" activate "$work/one.fw"
tap_ok "status takes no image" tap_refuses "$fw" 2 "only options" status "$work/one.fw"
tap_ok "seconds as a word of their own" tap_refuses "$fw" 2 "seconds are given as --wait=5" \
	flash "$work/one.fw" --device soft --wait 5
tap_ok "of activate, too" tap_refuses "$fw" 2 "seconds are given as --wait=5" activate --wait 5 --device soft
tap_ok "a name without letters" tap_refuses "$fw" 2 "--device '': soft or a card's" flash "$work/one.fw" --device ''
tap_ok "no such device" tap_refuses "$fw" 3 "aipu-fw: sofa: no " flash "$work/one.fw" --device sofa
tap_ok "nor to activate" tap_refuses "$fw" 3 "aipu-fw: sofa: no " activate -i sofa
tap_ok "nor in JSON" tap_refuses "$fw" 3 "aipu-fw: sofa: no " flash "$work/one.fw" --device sofa --json
tap_ok "no guess" tap_refuses "$fw" 3 "aipu-fw: auto: no " flash "$work/one.fw" --device auto
tap_ok "one of two is none: none is touched" tap_refuses "$fw" 3 "aipu-fw: sofa: no " flash "$work/one.fw" -i soft -i sofa
tap_ok "named twice it is one" ends 1 "soft: slot B is empty" "$fw" activate -i soft --device soft --dry-run
tap_ok "status of no such device" tap_refuses "$fw" 3 "sofa: no " status --device sofa
tap_exit "a full disk" 1 sh -c '"$1" status --device soft >/dev/full 2>&1' - "$fw"
full()
{
	local status=0
	"$fw" flash "$work/one.fw" --device soft --dry-run >/dev/full 2>"$work/err" || status=$?
	cat "$work/err"
	[ "$status" -eq 1 ] && grep -qx "aipu-fw: cannot write to standard output: No space left on device" "$work/err"
}
rm -rf "$flash"
tap_ok "which is said" full
# Never without --dry-run: where there is a card it would be flashed
if compgen -G '/dev/accel/accel*' >/dev/null; then
	tap_skip "no card" "there are accelerators in this machine"
else
	tap_ok "no card" tap_refuses "$fw" 3 "no card" flash "$work/one.fw" --dry-run
	tap_ok "no card for --all" tap_refuses "$fw" 3 "no card" flash "$work/one.fw" --all --dry-run
	tap_ok "no card for status --all" tap_refuses "$fw" 3 "no card" status --all
	tap_ok "without a card status shows none" tap_refuses "$fw" 3 "no card" status
fi
tap_done
