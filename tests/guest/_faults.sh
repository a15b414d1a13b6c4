#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/faults.sh: _faults.sh MODULE FIRMWARE AIPU-GEN OVERDUE QPC EXPECTED CASE...
# One card for each CASE, in the order of their PCI addresses; all of them at once, since most of them wait most of the time.
# TAP on stdout when all have ended; what the kernel said, as comments.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 firmware=$2 gen=$3 overdue=$4 qpc=$5 expected=$6
shift 6
driver=/sys/bus/pci/drivers/aipu_accel

# --- in a case: its card is $card, it stands in a directory of its own, its stdout is its report, 3 the script's ---

# ok NAME COMMAND...: in place of that of _guest.sh; all results are numbered at the end
ok()
{
	name=$1
	shift
	if "$@" >why 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		sed 's/^/# /' why
	fi
}

# run TOKENS [COMMAND...]: the process becomes aipu-gen, or the command that starts it
run()
{
	tokens=$1
	shift
	exec "$@" "$gen" --device "$card" --qpc "$qpc" --prompt "Once upon a time" --temperature 0 --max-tokens "$tokens"
}

# generate: exit status; text in ./text
generate()
{
	(run 20 timeout 100) >text 2>errors
}

right()
{
	generate
	status=$?
	[ $status -eq 0 ] && cmp text "$expected" && return
	cat text errors
	return 1
}

# The last run failed as it should: it did not hang and said why in one line.
failed()
{
	[ "$status" -eq 1 ] && [ "$(grep -c . errors)" -eq 1 ] && ! grep -qv '^aipu-gen: ' errors
}

# One of the next runs does, those before it are right.
fails()
{
	for try in 1 2 3 4 5; do
		right || break
	done
	failed
}

# state FIELD VALUE [OPERATOR of test]
state()
{
	cat "/sys/kernel/debug/accel/$card/state"
	test "$(sed -n "s/^$1: //p" "/sys/kernel/debug/accel/$card/state")" "${3-=}" "$2"
}

resets()
{
	state resets "$@"
}

# said TEXT
said()
{
	dmesg | grep "$card" >log
	cat log
	grep -qF -- "$1" log
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

# until_reset COUNT: runs until the card was reset so often. Who loses his context makes a new one, so all are right, unless
# there were too many resets in a row.
until_reset()
{
	for try in 1 2 3 4 5 6; do
		right || failed || return
		! resets "$1" >/dev/null || return 0
	done
	return 1
}

# recovers FAULTS COUNT TEXT...: that each is a reset, and for what
recovers()
{
	faults=$1 count=$2
	shift 2
	ok "$faults: the runs up to the last are right, or say why not" until_reset "$count"
	for text; do
		ok "$faults: the kernel says $text" said "$text: resetting the card"
	done
	ok "$faults: the next run is right" right
	ok "$faults: one reset each" resets "$count"
	ok "$faults: a coredump tells of the first" dumped "$1"
}

node()
{
	echo "/dev/accel/$(basename "/sys/bus/pci/devices/$card"/accel/accel*)"
}

# --- one run after the other, in the background, while something is done to the card ---

busy_begin()
{
	rm -f stop runs run_errors
	(
		while [ ! -e stop ]; do
			(run 400 timeout 100) >/dev/null 2>>run_errors
			echo $? >>runs
		done
	) &
	busy=$!
	until_ok running >/dev/null
}

# A queue has jobs: a run is under way
running()
{
	grep -qs '^queue' "/sys/kernel/debug/accel/$card/state"
}

# busy_end [STATUSES]: a set of characters
busy_end()
{
	touch stop
	wait "$busy"
	cat runs run_errors
	# None was killed by its time limit or by a signal.
	! grep -qv "^[${1-013}]\$" runs
}

# while_busy NAME COMMAND...: three times, in the middle of runs
while_busy()
{
	what=$1
	shift
	busy_begin
	for i in 1 2 3; do
		sleep 0.$((i * 2))
		ok "$what while runs go on, $i" "$@"
	done
	ok "$what: no run hung" busy_end
	ok "$what: the next run is right" right
}

rebind()
{
	echo "$card" >$driver/unbind && echo "$card" >$driver/bind && bound
}

remove_rescan()
{
	echo 1 >"/sys/bus/pci/devices/$card/remove" && echo 1 >/sys/bus/pci/rescan && until_ok bound
}

# --- the cases: which faults each card has is told in faults.sh ---

case_unharmed()
{
	ok "slow boot: it comes" bound
	for i in 1 2 3; do
		ok "lost and too many interrupts, heads beyond rings, a slow job: run $i is right" right
	done
	ok "unharmed: no reset" resets 0
	# The next interrupt may come before the rescue; on a slow machine one may come so late that it counts as lost.
	ok "lost interrupts: rescued" state rescues 1 -ge
}

case_jobs()
{
	recovers "hang, fatal error, completion of no job" 3 "the card stands still" "the card failed" \
		"the card completed a job that it does not have"
}

case_replies()
{
	recovers "reply of unknown status, reply to no command" 2 "the card answers what it was not asked"
}

# A context that the card refuses to destroy keeps its memory, so it goes with a reset. The first seven commands of a card: IDENTIFY,
# a context and a queue of the kernel's, and two that are made and destroyed.
case_refused()
{
	ok "a context's end is refused: its jobs are right" overdue_ends '^job [123] error 0 status 0 flags 0$'
	ok "a context's end is refused: the kernel says so" \
		until_ok said "a context could not be destroyed: resetting the card"
	ok "a context's end is refused: the next run is right" right
	ok "a context's end is refused: one reset" resets 1
}

# Nothing of it is left but what the host remembers
is_lost()
{
	ok "$1: the kernel says why" said "the card does not answer: resetting the card"
	ok "$1: it is given up" said "the card did not come back"
	ok "$1: wedged" state state wedged
	ok "$1: the next run fails too" fails
	exec 9<>"$(node)"
	ok "$1: it can be unbound, with a file open" sh -c "echo $card >$driver/unbind"
	exec 9>&-
}

case_gone()
{
	ok "gone: the run that meets it fails" fails
	is_lost "gone"
}

# The process that is the card ends in the middle of a run.
case_power_cut()
{
	busy_begin
	until_ok state state wedged >/dev/null
	ok "power cut: no run hung" busy_end
	is_lost "power cut"
}

# The first LOAD fails, and the first one after a reset, and the next comes too late.
case_boot()
{
	until_ok said "the card refused firmware aipu/534f4654.fw" >/dev/null
	ok "boot failure: not bound" test ! -e "/sys/bus/pci/devices/$card/accel"
	ok "boot failure: the kernel says why" said "the card refused firmware aipu/534f4654.fw"
	echo "$card" >$driver/bind
	ok "boot failure: the second attempt" bound
	ok "boot failure: a run is right" right
	dmesg | grep -c "$card.*refused firmware" >refused
	ok "boot failure at a reset: reset" function_reset
	ok "boot failure at a reset: the kernel says why" test "$(dmesg | grep -c "$card.*refused firmware")" -gt "$(cat refused)"
	ok "boot failure at a reset: started by the second attempt" state state ready
	ok "boot failure at a reset: a run is right" right
}

# The host takes the card out when it reads this line.
case_unplugged()
{
	ok "unknown status: the run that meets it fails" fails
	ok "unknown status: the next run is right" right
	ok "unknown status: no reset" resets 0
	busy_begin
	exec 9<>"$(node)"
	node=$(node)
	echo "# take it out" >&3
	ok "hot-unplug: the kernel let go of it" until_ok test ! -e "/sys/bus/pci/devices/$card"
	ok "hot-unplug: no run hung" busy_end
	ok "hot-unplug: no node is left" test ! -e "$node"
	exec 9>&-
}

# A hang, and a reset by somebody else in the second in which it is noticed
case_both()
{
	generate &
	sleep 1.1
	ok "two resets at once: the other one" function_reset
	wait $!
	ok "two resets at once: a run is right" right
	ok "two resets at once: ready" state state ready
}

# All of the process's memory of the card at once is mapped; it dies by SIGKILL
killed_runs()
{
	for i in 1 2 3; do
		run 400 >text &
		sleep 0.$((i * 2))
		kill -9 $!
		wait $!
	done 2>/dev/null
	ok "killed runs: the next run is right" right
	ok "killed runs: no device memory is left" grep -q ', used 0$' "/sys/kernel/debug/accel/$card/memory"
	ok "killed runs: no reset" resets 0
}

# overdue_ends PATTERN: three jobs with a time limit, the first of which takes longer, end so, one line each
overdue_ends()
{
	"$overdue" "$(node)" 100 >ends
	cat ends
	[ "$(grep -cE "$1" ends)" -eq 3 ]
}

# The card comes to it in time: the first, if it was not at its end, is guilty, the others are not.
case_overdue()
{
	ok "overdue job: guilty and innocent" \
		overdue_ends '^job (1 error 0 .* flags 0|1 error -[0-9]+ .* flags 1|[23] error -125 .* flags 2)$'
	ok "overdue job: the kernel says why" said "runs over its time: resetting context"
	ok "overdue job: the next run is right" right
	ok "overdue job: the card was not reset" resets 0
	ok "overdue job: a coredump tells of it" dumped "a job runs over its time"
	killed_runs
}

case_overdue_long()
{
	ok "a context that cannot be reset: guilty and innocent" \
		overdue_ends '^job (1 error -125 .* flags 1|[23] error -125 .* flags 2)$'
	ok "a context that cannot be reset: the kernel says why" said "a context could not be reset: resetting the card"
	ok "a context that cannot be reset: the next run is right" right
	ok "a context that cannot be reset: one reset" resets 1
}

# late_bind: the driver starts the card on one processor, is held up before READY, and meets what the card says on another
late_bind()
{
	insmod "${module%/*}/late/late.ko" || return
	read -r usual </proc/irq/default_smp_affinity
	echo "$card" >$driver/unbind
	echo 2 >/proc/irq/default_smp_affinity
	taskset 1 sh -c "echo $card >$driver/bind"
	echo "$usual" >/proc/irq/default_smp_affinity
	rmmod late && bound
}

# admin PATTERN: of the admin queue's line in debugfs
admin()
{
	grep '^admin: ' "/sys/kernel/debug/accel/$card/state" >line
	cat line
	grep -q "$1" line
}

# What the card says while the driver starts it: an event, then, at the next start, an answer to no command.
case_early()
{
	ok "an event just before READY: bound" late_bind
	# IDENTIFY, a context, a queue, and twice ASYNC_EVENT, of which the second one has no answer yet
	ok "an event just before READY: the next one is asked for" until_ok admin "tail 5, head 4,"
	ok "an answer to no command just before READY: bound" late_bind
	ok "an answer to no command just before READY: the kernel says so" said "an answer that makes no sense"
	ok "an answer to no command just before READY: a second attempt" admin "strange 1\$"
	ok "an answer to no command just before READY: a run is right" right
	ok "an answer to no command just before READY: no reset" resets 0
}

# A card as somebody left it: failed, and with Bus Master on. faults.sh looks in which order the driver took it.
case_left()
{
	device=/sys/bus/pci/devices/$card
	echo "$card" >$driver/unbind
	# BOOT_COMMAND: LOAD, of no bytes
	devmem $(($(sed -n '1s/ .*//p' $device/resource) + 0x10c)) 32 1
	ok "left: with Bus Master on" sh -c "printf '\\6' | dd of=$device/config bs=1 seek=4 conv=notrunc"
	echo "$card" >$driver/bind
	ok "left: it is bound" bound
	ok "left: a run is right" right
}

case_busy()
{
	while_busy "unbind and bind" rebind
	while_busy "reset of the function" function_reset
	while_busy "sysfs remove and rescan" remove_rescan
}

# --- errors on the bus, as the root port would report them ---

# inject CORRECTABLE UNCORRECTABLE (bits 0 to 31 of the registers' status): struct aer_error_inj, see drivers/pci/pcie/aer_inject.c
inject()
{
	bus=${card#*:} device=${card#*:*:}
	bytes="0x${bus%%:*} 0x${device%%.*} 0x${card##*.} 0"
	for word in "$2" "$1" 0 0 0 0 "0x${card%%:*}"; do
		bytes="$bytes $((word & 255)) $((word >> 8 & 255)) $((word >> 16 & 255)) $((word >> 24 & 255))"
	done
	for byte in $bytes; do
		# shellcheck disable=SC2059
		printf "\\$(printf %03o "$byte")"
	done >record
	# In one write
	dd if=record of=/dev/aer_inject bs=32 count=1 conv=notrunc 2>dd.log || { cat dd.log; return 1; }
}

# bus_error NAME CORRECTABLE UNCORRECTABLE TEXT STATUSES: three times while runs go on, which may end with these
bus_error()
{
	dmesg | grep -cF "$4" >before
	busy_begin
	for i in 1 2 3; do
		sleep 0.$((i * 2))
		ok "$1 error on the bus, $i" inject "$2" "$3"
		ok "$1 error on the bus, $i: the kernel is through with it" until_ok more_said "$4" $(($(cat before) + i))
	done
	ok "$1 error on the bus: how the runs ended" busy_end "$5"
	ok "$1 error on the bus: the next run is right" right
}

more_said()
{
	dmesg | grep "$card\|pcieport" >log
	[ "$(grep -cF "$1" log)" -ge "$2" ]
}

case_aer()
{
	bus_error "a correctable" 0x40 0 "PCIe Bus Error: severity=Correct" 0
	bus_error "a non-fatal" 0 0x4000 "device recovery successful" 0
	ok "errors that are not fatal: no reset" resets 0
	# Who calls meanwhile waits, and loses his context: aipu-gen makes a new one.
	bus_error "a fatal" 0 0x40000 "device recovery successful" 0
	ok "fatal errors: a reset each" resets 3
}

# --- the cards ---

# begin CASE CARD
begin()
{
	mkdir "/tmp/$1"
	cd "/tmp/$1" || return
	card=$2
	if [ "$1" = boot ] || until_ok bound >/dev/null; then
		"case_$1"
	else
		ok "$1: the card is driven" false
	fi >report 2>&1
	dmesg | grep "$card" | sed 's/^/# /' >>report
}

exec 3>&1
driver_loads "$module" "$firmware" async_probe=1 || exit 1
cases=$*
pids=
busy_card=
for card in $(cards_of); do
	[ "$1" != busy ] || busy_card=$card
	(begin "$1" "$card") &
	pids="$pids $!"
	shift
done
# shellcheck disable=SC2086
wait $pids
mkdir /tmp/end
cd /tmp/end || exit
{
	if [ -n "$busy_card" ] && ls /sys/bus/virtio/drivers/virtio?iommu/virtio* >/dev/null 2>&1; then
		echo "ok - suspend # SKIP the kernel's own virtio_iommu has no queues after it, and waits for them without end"
	elif [ -n "$busy_card" ]; then
		card=$busy_card
		# All the cards at once, in whatever state they are
		while_busy "suspend" sleep_and_wake
	fi
	ok "unload" rmmod aipu_accel
} >report
for one in $cases end; do
	cat "/tmp/$one/report"
done | awk '/^(not )?ok - / { sub(/ok/, "ok " ++n) } { print } END { print "1.." n }'
