#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/flash.sh: _flash.sh PART MODULE AIPU-FW WORK AIPU-GEN SETPRIV BIN. WORK has images, a model and
# what it answers, and another that answers at length. TAP on stdout.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
part=$1 module=$2 fw=$3 work=$4 gen=$5 setpriv=$6 bin=$7
images=$work/images
host=/lib/firmware/aipu/534f4654.fw

# ends STATUS COMMAND...: it ends so; stdout is in /tmp/out, both are shown where it does not
ends()
{
	want=$1 got=0
	shift
	"$@" >/tmp/out 2>/tmp/err </dev/null || got=$?
	cat /tmp/out /tmp/err
	[ "$got" -eq "$want" ] || { echo "exit status $got, expected $want"; return 1; }
}

# said LINES TEXT...: the one before said so many lines on stdout, and one has each text
said()
{
	cat /tmp/out /tmp/err
	[ "$(wc -l </tmp/out)" -eq "$1" ] || { echo "$1 lines were expected"; return 1; }
	shift
	for text; do
		grep -qF -- "$text" /tmp/out || { echo "no \"$text\""; return 1; }
	done
}

errs()
{
	cat /tmp/out /tmp/err
	grep -qF -- "$1" /tmp/err
}

# shows CARD TEXT...
shows()
{
	one=$1
	shift
	"$fw" status --device "$one" >/tmp/out 2>/tmp/err
	said 3 "$@"
}

generates()
{
	"$gen" --device "$1" --qpc "$work/qpc" --prompt "Once upon a time" --temperature 0 --max-tokens 40 >/tmp/text 2>/tmp/err
	cat /tmp/err
	cmp /tmp/text "$work/expected"
}

user()
{
	"$setpriv" --reuid 1000 --regid 1000 --clear-groups "$@"
}

# It waits for somebody to read its text
stuck()
{
	tries=0
	while ! grep -q pipe_write "/proc/$1/stack"; do
		tries=$((tries + 1))
		[ $tries -lt 3000 ] && kill -0 "$1" || { cat /tmp/gen.err; return 1; }
		sleep 0.02
	done
}

# Without an image of the host nothing but flash is left
no_host_image()
{
	rm -f "$host" && [ ! -e "$host" ]
}

# Nodes of the driver; /dev/accel itself is none
cards()
{
	find /dev/accel -name 'accel[0-9]*' | wc -l
}

# Others than root read them too
mkdir -p /lib/firmware/aipu /tmp/images
cp "$images"/*.fw /tmp/images/
chmod -R a+rX /tmp/images
images=/tmp/images

if [ "$part" = first ]; then
	ok "no driver: flash finds no device" ends 3 "$fw" flash "$images/one.fw" --all
	ok "and says so of each" said 2 "0000:01:00.0: its driver is not loaded" "0000:02:00.0: its driver is not loaded"
	ok "no driver: an index" ends 3 "$fw" flash "$images/one.fw" --device 0
	cp "$images/host.fw" "$host"
	insmod "$module"
	ok "status of both" ends 0 "$fw" status
	ok "nothing is kept yet" said 6 "accel0: 0.9.0 runs, loaded by the host" "accel1: 0.9.0 runs, loaded by the host"
	chmod 600 /dev/accel/accel0 /dev/accel/accel1
	ok "a user who may not open the node" ends 4 user "$fw" flash "$images/one.fw" --device 0
	ok "is told of the group" said 1 "no permission"
	chmod 666 /dev/accel/accel0 /dev/accel/accel1
	ok "a user who may open it sees" ends 0 user "$fw" status --device 0
	ok "but does not flash" ends 4 user "$fw" flash "$images/one.fw" --device 0
	ok "and is told what it takes" said 1 "CAP_SYS_ADMIN"
	ok "two cards are no guess" ends 2 "$fw" flash "$images/one.fw"
	ok "which is said" errs "2 cards: -i CARD or --all"
	ok "all of them" ends 0 "$fw" flash "$images/one.fw" --all
	ok "a line for each" said 2 "accel0: 1.1.0 runs from slot A" "accel1: 1.1.0 runs from slot A"
	ok "once more is nothing to do" ends 0 "$fw" flash "$images/one.fw" --all
	ok "by serial number" ends 0 "$fw" flash "$images/two.fw" --device 000000000000000a
	ok "into the other slot" said 1 "1.2.0 runs from slot B"
	ok "it is kept" shows 0 "1.2.0 runs from slot B" "slot A: 1.1.0" "1.2.0 \"aipu-soft\", confirmed, runs"
	ok "the other card is as it was" shows 1 "1.1.0 runs from slot A" "slot B: empty"
	ok "aipu-gen on it" generates 0
	ok "one of two is refused: both are done" ends 1 "$fw" flash "$images/one.fw" --all
	ok "with a line for each" said 2 "accel0: 1.2.0 runs, which is newer" "accel1: 1.1.0 runs from slot A already"
	ok "back to the one before" ends 0 "$fw" activate --device 0 --slot a
	ok "which runs" said 1 "accel0: 1.1.0 runs from slot A"
	ok "not signed" ends 1 "$fw" flash "$images/unsigned.fw" --device 1
	ok "is refused by the card" said 1 "(error 7); slot B is empty, 1.1.0 runs from slot A"
	ok "for another board, by force" ends 1 "$fw" flash "$images/board.fw" --device 1 --force
	ok "is refused by the card, too" said 1 "(error 6); slot B is empty, 1.1.0 runs from slot A"
	ok "what never comes up" ends 1 "$fw" flash "$images/never.fw" --device 1
	ok "is fallen back from" said 1 "fell back: 1.1.0 runs from slot A; 1.4.0 in slot B did not start" "(error 18)"
	ok "back to what works" ends 0 "$fw" activate --device 1 --slot a
	# Its text goes to a full pipe, so that its job stays in flight: the token ring becomes full, too
	mkfifo /tmp/full
	exec 3<>/tmp/full
	head -c 65536 /dev/zero >&3
	"$gen" --device 1 --qpc "$work/long" --prompt "Once upon a time" --max-tokens 600 >&3 2>/tmp/gen.err &
	gen_pid=$!
	ok "a job that stays in flight" stuck $gen_pid
	ok "jobs run: busy" ends 7 "$fw" flash "$images/two.fw" --device 1 --force
	ok "which says what is next" said 1 "busy: jobs run. Slot B is activated, and the next reset starts 1.2.0"
	ok "and after a bounded wait" ends 7 "$fw" activate --device 1 --slot b --wait=1
	"$fw" activate --device 1 --slot b --wait=300 >/tmp/waited 2>&1 &
	fw_pid=$!
	cat <&3 >/dev/null &
	cat_pid=$!
	ok "the job ends as it would have" wait $gen_pid
	ok "that was waited for" wait $fw_pid
	kill $cat_pid
	exec 3>&-
	ok "then it runs" grep -qx "accel1: 1.2.0 runs from slot B" /tmp/waited
	ok "unload" rmmod aipu_accel
	ok "no image of the host" no_host_image
	insmod "$module"
	ok "bound again, from flash" shows 1 "1.2.0 runs from slot B"
elif [ "$part" = second ]; then
	ok "no image of the host" no_host_image
	insmod "$module"
	ok "card 0 starts from slot A" shows 0 "accel0: 1.1.0 runs from slot A" "1.2.0 \"aipu-soft\", confirmed"
	ok "card 1 starts from slot B" shows 1 "accel1: 1.2.0 runs from slot B"
	ok "aipu-gen on card 0" generates 0
	ok "aipu-gen on card 1" generates 1
elif [ "$part" = recovery ]; then
	cp "$images/host.fw" "$host"
	insmod "$module"
	ok "an image that raises the counter" ends 0 "$fw" flash "$images/seven.fw" --device 0
	ok "the image of the host is warned of" errs "accel0: warning: once it ran, the card refuses $host, which it is recovered with: its anti-rollback counter is 0, below 7; install $images/seven.fw there"
	ok "it runs" said 1 "accel0: 1.6.0 runs from slot A"
	ok "aipu-fwcheck: what runs fits" ends 0 "$bin/aipu-fwcheck" -i 0
	ok "and has a note" grep -q "^  note     image: if nothing in its flash starts, or by reset --recovery, the card needs another one: install firmware with a rollback counter of 7 or more: that of $host is 0" /tmp/out
	ok "no reset into that" ends 1 "$bin/aipu-smi" reset -i 0 --recovery
	ok "which says what is wrong" errs "not reset: --recovery starts it with $host, which the card refuses: its anti-rollback counter is 0, 7 or more is needed"
	ok "it goes on" shows 0 "accel0: 1.6.0 runs from slot A"
	cp "$images/seven.fw" "$host"
	ok "with that image it is recovered" ends 0 "$bin/aipu-smi" reset -i 0 --recovery
	ok "by the host" shows 0 "accel0: 1.6.0 runs, loaded by the host"
	ok "a card that did not boot is told of" ends 1 "$fw" flash "$images/seven.fw" --all
	ok "beside the one that is flashed" said 2 "accel0: 1.6.0 runs from slot B" \
		"0000:02:00.0: its driver did not take it, or was unbound; aipu-smi doctor looks for the reason"
elif [ "$part" = cut ]; then
	insmod "$module"
	all=$(cards) i=1
	while [ $i -le "$all" ]; do
		"$fw" flash "$images/three.fw" --device "$(printf %016x $i)" >"/tmp/out.$i" 2>"/tmp/err.$i" &
		i=$((i + 1))
	done
	wait
	# Whatever is said of a card without power, it is not that the image runs
	not_done()
	{
		cat "/tmp/out.$1" "/tmp/err.$1"
		[ -s "/tmp/out.$1" ] && ! grep -q '1.3.0 runs from' "/tmp/out.$1"
	}
	i=1
	ok "all there" test "$all" -eq 14
	while [ $i -le "$all" ]; do
		ok "card $i: no success is told" not_done $i
		i=$((i + 1))
	done
else
	ok "no image of the host" no_host_image
	insmod "$module"
	# What was activated before the power went starts: two cards for each of the first five writes, of which the fifth does it
	starts()
	{
		runs="1.1.0 runs from slot A;"
		[ "$1" -le 10 ] || runs="1.3.0 runs from slot B;"
		"$fw" status --device "$(printf %016x "$1")" >/tmp/out 2>/tmp/err
		said 3 "$runs"
	}
	all=$(cards) i=1
	while [ $i -le "$all" ]; do
		ok "card $i starts from flash" starts $i
		i=$((i + 1))
	done
	ok "all there" test "$all" -eq 14
	ok "and all are flashed" ends 0 "$fw" flash "$images/three.fw" --all
	ok "a line for each" said 14 "1.3.0 runs from slot"
fi
echo "1..$count"
