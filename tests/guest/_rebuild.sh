#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/rebuild.sh: _rebuild.sh MODULE FIRMWARE AIPU-GEN WORK CASE...
# WORK has the compiled model, the prompt, and what is to come out.
# One card for each CASE, in the order of their PCI addresses. TAP on stdout; what the kernel said, as comments.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 firmware=$2 gen=$3 qpc=$4/qpc prompt=$4/prompt expected=$4/expected
shift 4
total=$(wc -c <"$expected")

# begin RUN: in the background; its text in /tmp/text.RUN
begin()
{
	: >"/tmp/text.$1"
	timeout 200 "$gen" --device "$card" --qpc "$qpc" --prompt-file "$prompt" --temperature 0.8 --seed 7 \
		--max-tokens 600 -v >"/tmp/text.$1" 2>"/tmp/errors.$1" &
	eval "pid$1=$!"
}

# rebuilt TIMES RUN [OPERATOR]: the run ended well with the text that it would have had, and says that all was loaded again so
# often
rebuilt()
{
	status=0
	eval "wait \$pid$2" || status=$?
	echo "exit status $status, $(wc -c <"/tmp/text.$2") bytes"
	cat "/tmp/errors.$2"
	times=$(sed -n 's/^resets: .* \([0-9]*\) times$/\1/p' "/tmp/errors.$2")
	[ $status -eq 0 ] && cmp "/tmp/text.$2" "$expected" && test "${times:-0}" "${3--eq}" "$1"
}

# grown RUN BYTES: until it has that much text, but not all
grown()
{
	tries=0
	while [ "$(wc -c <"/tmp/text.$1")" -le "$2" ]; do
		tries=$((tries + 1))
		[ $tries -lt 4000 ] || return 1
		sleep 0.01
	done
}

# in_the_middle COMMAND...: of run 1; there was text before, and there is more to come
in_the_middle()
{
	before=$(wc -c </tmp/text.1)
	grown 1 "$before" && "$@" || return 1
	echo "at byte $before of $total"
	[ "$before" -lt "$total" ]
}

resets()
{
	grep '^resets: ' "/sys/kernel/debug/accel/$card/state"
	[ "$(sed -n 's/^resets: //p' "/sys/kernel/debug/accel/$card/state")" -eq "$1" ]
}

# said TEXT
said()
{
	dmesg | grep "$card" | grep -F -- "$1"
}

# once WHAT COMMAND...: in the middle of a run
once()
{
	what=$1
	shift
	begin 1
	grown 1 0
	ok "$what in the middle of a run" in_the_middle "$@"
	ok "$what: the text goes on" rebuilt 1 1
}

# Two processes at a time
case_resets()
{
	begin 1
	ok "undisturbed" rebuilt 0 1
	begin 1
	begin 2
	grown 1 0
	grown 2 0
	ok "reset in the middle of two runs" in_the_middle function_reset
	ok "once more" in_the_middle function_reset
	ok "the text of one goes on" rebuilt 2 1
	# Both resets may meet one attempt to load it again.
	ok "the text of the other goes on" rebuilt 1 2 -ge
	echo 2 >/proc/sys/kernel/io_uring_disabled
	once "reset, ioctls" function_reset
	echo 0 >/proc/sys/kernel/io_uring_disabled
	ok "no device memory is left" grep -q ', used 0$' "/sys/kernel/debug/accel/$card/memory"
}

# The last one: it resets all cards.
case_suspend() { once "suspend" sleep_and_wake; }

# faulty WHAT TEXT: a fault of the card, also before the model was loaded for the first time
faulty()
{
	begin 1
	ok "$1: the text is right" rebuilt 1 1
	ok "$1: the kernel says why" said "$2: resetting the card"
	ok "$1: one reset" resets 1
}

case_loading() { faulty "fatal error while the model is loaded" "the card failed"; }
case_fatal() { faulty "fatal error in the prompt" "the card failed"; }
case_hang() { faulty "hang in the prompt" "the card stands still"; }

# Not a hang, and one line that says what happened
given_up()
{
	status=0
	timeout 200 "$gen" --device "$card" --qpc "$qpc" --prompt-file "$prompt" --max-tokens 5 \
		>/tmp/text.1 2>/tmp/errors.1 || status=$?
	cat /tmp/text.1 /tmp/errors.1
	[ $status -eq 1 ] && [ ! -s /tmp/text.1 ] && [ "$(wc -l </tmp/errors.1)" -eq 1 ] &&
		grep -q '^aipu-gen: .*reset 4 times' /tmp/errors.1
}

case_always()
{
	ok "a card that fails each time is given up" given_up
	ok "a card that fails each time: four resets" resets 4
}

driver_loads "$module" "$firmware" || exit 1
for card in $(cards_of); do
	"case_$1"
	dmesg | grep "aipu.*$card" | sed 's/^/# /'
	shift
done
ok "unload" rmmod aipu_accel
echo "1..$count"
