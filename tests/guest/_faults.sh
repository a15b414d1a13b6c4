#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/faults.sh: _faults.sh MODULE FIRMWARE AIPU-GEN OVERDUE QPC EXPECTED CASE...
# One card for each CASE, in the order of their PCI addresses. TAP on stdout; what the kernel said, as comments.
module=$1 firmware=$2 gen=$3 overdue=$4 qpc=$5 expected=$6
shift 6
count=0
driver=/sys/bus/pci/drivers/aipu_accel

# ok NAME COMMAND...
ok()
{
	name=$1
	shift
	count=$((count + 1))
	if "$@" >/tmp/why 2>&1; then
		echo "ok $count - $name"
	else
		echo "not ok $count - $name"
		sed 's/^/# /' /tmp/why
	fi
}

# generate CARD: exit status; text in /tmp/text
generate()
{
	timeout 100 "$gen" --device "$1" --qpc "$qpc" --prompt "Once upon a time" --temperature 0 --max-tokens 20 \
		>/tmp/text 2>/tmp/errors
}

right()
{
	generate "$card" && cmp /tmp/text "$expected" && return
	cat /tmp/text /tmp/errors
	return 1
}

# It does not hang, says why in one line, and prints nothing wrong.
fails()
{
	generate "$card"
	status=$?
	cat /tmp/text /tmp/errors
	[ $status -eq 1 ] && [ "$(grep -c . /tmp/errors)" -eq 1 ] && ! grep -qv '^aipu-gen: ' /tmp/errors
}

# state FIELD VALUE [OPERATOR of test]
state()
{
	cat "/sys/kernel/debug/accel/$card/state"
	test "$(sed -n "s/^$1: //p" "/sys/kernel/debug/accel/$card/state")" "${3-=}" "$2"
}

# said TEXT
said()
{
	dmesg | grep "$card" >/tmp/log
	cat /tmp/log
	grep -qF -- "$1" /tmp/log
}

# A coredump of this card that has TEXT
dumped()
{
	for dump in /sys/class/devcoredump/devcd*; do
		[ "$(readlink -f "$dump/failing_device")" = "$(readlink -f /sys/bus/pci/devices/"$card")" ] || continue
		cat "$dump/data"
		grep -qF -- "$1" "$dump/data" && return
	done
	return 1
}

# recovers FAULT TEXT: the run that meets it fails and says so, the device is reset once, the next run is right
recovers()
{
	ok "$1: the run that meets it fails" fails
	ok "$1: the kernel says why" said "$2: resetting the card"
	ok "$1: the next run is right" right
	ok "$1: one reset" state resets 1
	ok "$1: a coredump tells of it" dumped "$2"
}

# unharmed FAULT
unharmed()
{
	ok "$1: a run is right" right
	ok "$1: another too" right
	ok "$1: no reset" state resets 0
}

# The card is driven again after `bound` has come back
bound()
{
	[ -e "/sys/bus/pci/devices/$card/accel" ]
}

# --- one run after the other, in the background, while something is done to the card ---

busy_begin()
{
	rm -f /tmp/stop /tmp/runs
	(
		while [ ! -e /tmp/stop ]; do
			timeout 100 "$gen" --device "$card" --qpc "$qpc" --prompt "Once upon a time" --temperature 1 \
				--seed 3 --max-tokens 400 >/dev/null 2>&1
			echo $? >>/tmp/runs
		done
	) &
	busy=$!
}

busy_end()
{
	touch /tmp/stop
	wait "$busy"
	cat /tmp/runs
	# None was killed by its time limit or by a signal.
	! grep -qv '^[013]$' /tmp/runs
}

# while_busy NAME COMMAND...: three times, in the middle of runs
while_busy()
{
	what=$1
	shift
	busy_begin
	for i in 1 2 3; do
		sleep 0.$((i * 3))
		ok "$what while runs go on, $i" "$@"
	done
	ok "$what: no run hung" busy_end
	ok "$what: the next run is right" right
}

rebind()
{
	echo "$card" >$driver/unbind && echo "$card" >$driver/bind && bound
}

function_reset()
{
	echo 1 >"/sys/bus/pci/devices/$card/reset"
}

remove_rescan()
{
	echo 1 >"/sys/bus/pci/devices/$card/remove" && echo 1 >/sys/bus/pci/rescan && bound
}

# --- the cases: which fault each card has is told in faults.sh ---

case_hang() { recovers "hang" "the card stands still"; }
case_fatal() { recovers "fatal error" "the card failed"; }
case_bad_id() { recovers "completion of no job" "the card completed a job that it does not have"; }
case_reply_status() { recovers "reply of unknown status" "the card answers what it was not asked"; }
case_reply_id() { recovers "reply to no command" "the card answers what it was not asked"; }
case_slow() { unharmed "slow job"; }
case_storm() { unharmed "interrupt storm"; }
case_bad_head() { unharmed "head beyond the ring"; }
case_reply_head() { unharmed "reply with a head beyond the ring"; }
case_slow_boot() { unharmed "slow boot"; }

# The next interrupt may come before the rescue; on a slow machine one may come so late that it counts as lost.
case_lost()
{
	unharmed "lost interrupts"
	ok "lost interrupts: rescued" state rescues 1 -ge
}

case_bad_status()
{
	ok "unknown status: the run that meets it fails" fails
	ok "unknown status: the next run is right" right
	ok "unknown status: no reset" state resets 0
}

case_gone()
{
	ok "gone: the run that meets it fails" fails
	ok "gone: the kernel says why" said "the card does not answer: resetting the card"
	ok "gone: it is given up" said "the card did not come back"
	ok "gone: wedged" state state wedged
	ok "gone: the next run fails too" fails
	ok "gone: it can be unbound" sh -c "echo $card >$driver/unbind"
}

case_boot_failure()
{
	ok "boot failure: not bound" test ! -e "/sys/bus/pci/devices/$card/accel"
	ok "boot failure: the kernel says why" said "the card refused firmware aipu/534f4654.fw"
	echo "$card" >$driver/bind
	ok "boot failure: the second attempt" bound
	ok "boot failure: a run is right" right
}

# The first LOAD after a reset fails.
case_boot_later()
{
	ok "boot failure at a reset: a run before" right
	ok "boot failure at a reset: reset" function_reset
	ok "boot failure at a reset: the kernel says why" said "the card refused firmware aipu/534f4654.fw"
	ok "boot failure at a reset: started by the second attempt" state state ready
	ok "boot failure at a reset: a run is right" right
}

# As far as drivers are concerned the machine sleeps for a second.
sleep_and_wake()
{
	echo 1 >/sys/module/suspend/parameters/pm_test_delay
	echo devices >/sys/power/pm_test && echo freeze >/sys/power/state
}

# The host takes the card out when it reads this line.
case_unplugged()
{
	ok "hot-unplug: a run before" right
	busy_begin
	sleep 0.5
	echo "# take it out"
	for i in $(seq 100); do
		[ -e "/sys/bus/pci/devices/$card" ] || break
		sleep 0.5
	done
	ok "hot-unplug: the kernel let go of it" test ! -e "/sys/bus/pci/devices/$card"
	ok "hot-unplug: no run hung" busy_end
	ok "hot-unplug: no node is left" test ! -e /dev/accel/accel0
}

case_busy()
{
	while_busy "suspend" sleep_and_wake
	while_busy "unbind and bind" rebind
	while_busy "reset of the function" function_reset
	while_busy "sysfs remove and rescan" remove_rescan
}

# A hang, and a reset by somebody else in the second in which it is noticed
case_both()
{
	generate "$card" &
	sleep 1.1
	ok "two resets at once: the other one" function_reset
	wait $!
	ok "two resets at once: a run is right" right
	ok "two resets at once: ready" state state ready
}

# All of the process's memory of the card at once is mapped; it dies by SIGKILL
case_killed()
{
	for i in 1 2 3; do
		generate "$card" &
		sleep 0.$((i * 2))
		kill -9 $!
		wait $!
	done 2>/dev/null
	ok "killed runs: the next run is right" right
	ok "killed runs: no device memory is left" grep -q ', used 0$' "/sys/kernel/debug/accel/$card/memory"
	ok "killed runs: no reset" state resets 0
}

# overdue_ends PATTERN: three jobs with a time limit, the first of which takes longer, end so, one line each
overdue_ends()
{
	node=/dev/accel/$(basename "/sys/bus/pci/devices/$card"/accel/accel*)
	"$overdue" "$node" 100 >/tmp/jobs
	cat /tmp/jobs
	[ "$(grep -cE "$1" /tmp/jobs)" -eq 3 ]
}

# The card comes to it in time: the first, if it was not at its end, is guilty, the others are not.
case_overdue()
{
	ok "overdue job: guilty and innocent" \
		overdue_ends '^job (1 error 0 .* flags 0|1 error -[0-9]+ .* flags 1|[23] error -125 .* flags 2)$'
	ok "overdue job: the kernel says why" said "runs over its time: resetting context"
	ok "overdue job: the next run is right" right
	ok "overdue job: the card was not reset" state resets 0
	ok "overdue job: a coredump tells of it" dumped "a job runs over its time"
}

case_overdue_long()
{
	ok "a context that cannot be reset: guilty and innocent" \
		overdue_ends '^job (1 error -125 .* flags 1|[23] error -125 .* flags 2)$'
	ok "a context that cannot be reset: the kernel says why" said "a context could not be reset: resetting the card"
	ok "a context that cannot be reset: the next run is right" right
	ok "a context that cannot be reset: one reset" state resets 1
}

mkdir -p /lib/firmware/aipu
cp "$firmware" /lib/firmware/aipu/534f4654.fw
insmod "$module" || exit 1
for device in /sys/bus/pci/devices/*; do
	[ "$(cat "$device/vendor" "$device/device" | tr '\n' ' ')" = "0x1af4 0x10f0 " ] || continue
	card=${device##*/}
	"case_$1"
	dmesg | grep "aipu.*$card" | sed 's/^/# /'
	shift
done
ok "unload" rmmod aipu_accel
echo "1..$count"
