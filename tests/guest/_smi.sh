#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs in a guest, for tests/guest/smi.sh, which says what is the matter with each card: _smi.sh MODULE FIRMWARE AIPU-GEN AIPU-SMI
# SETPRIV WORK KV; KV: bytes of the model's KV cache. TAP on stdout.
# shellcheck source=tests/guest/_guest.sh
. "${0%/*}/_guest.sh"
module=$1 firmware=$2 gen=$3 smi=$4 setpriv=$5 work=$6 kv=$7
# shellcheck disable=SC2046
set -- $(cards_of)
plain=$1 slow=$2 slower=$3 dying=$4 ailing=$5 stuck=$6

# says STATUS TEXT ARGUMENT...: of aipu-smi
says()
{
	want=$1 text=$2
	shift 2
	got=0
	"$smi" "$@" >/tmp/said 2>&1 || got=$?
	cat /tmp/said
	echo "exit status $got, expected $want; text expected: $text"
	[ $got -eq "$want" ] && grep -qF -- "$text" /tmp/said
}

# field CARD NAME: without its unit
field()
{
	"$smi" -i "$1" --csv "$2" --no-header --no-units 2>/dev/null
}

# is CARD FIELD VALUE [OPERATOR of test]
is()
{
	got=$(field "$1" "$2")
	echo "$2 of $1 is '$got'"
	test "${got:--1}" "${4-=}" "$3"
}

not()
{
	! "$@"
}

# as a user who is in no group: COMMAND...
ordinary()
{
	"$setpriv" --reuid=65534 --regid=65534 --clear-groups "$@"
}

ordinary_says()
{
	want=$1 text=$2
	shift 2
	got=0
	ordinary "$smi" "$@" >/tmp/said 2>&1 || got=$?
	cat /tmp/said
	echo "exit status $got, expected $want; text expected: $text"
	[ $got -eq "$want" ] && grep -qF -- "$text" /tmp/said
}

# --- without the driver -----------------------------------------------------------------------------

# rows COUNT STATE
rows()
{
	"$smi" --csv state,pci_address --no-header >/tmp/rows
	cat /tmp/rows
	[ "$(grep -c "^$2," /tmp/rows)" -eq "$1" ]
}
ok "no driver: six rows" rows 6 "no driver"
ok "no driver: status 5" says 5 "$plain: no driver is bound to it"
ok "no driver: not reset" says 5 "$slow: not reset: no driver" reset
ok "no driver: nobody uses them" says 0 "share: of" ps

driver_loads "$module" "$firmware" || exit 1
# Cards are probed all at once: their nodes are in no order
for at in "/sys/bus/pci/devices/$plain/accel"/accel*; do
	node=/dev/accel/${at##*/}
done
index=${node#/dev/accel/accel}

# --- what there is ----------------------------------------------------------------------------------

named()
{
	for called in "$plain" "${plain#0000:}" "$index" "accel$index" "$node" 00000000000000ab; do
		got=$("$smi" -i "$called" --csv pci_address,serial --no-header)
		[ "$got" = "$plain,00000000000000ab" ] || { echo "-i $called: '$got'"; return 1; }
	done
}

whole()
{
	"$smi" --json >/tmp/json || return 1
	cat /tmp/json
	[ "$(grep -c '"state": "ready"' /tmp/json)" -eq 6 ] && [ "$(grep -c '"driver": "aipu_accel"' /tmp/json)" -eq 6 ] &&
		[ "$(grep -c '"memory_total_bytes": [1-9]' /tmp/json)" -eq 6 ] &&
		[ "$(grep -c '"temperature_mc": [1-9]' /tmp/json)" -eq 6 ] &&
		[ "$(grep -c '"firmware_source": "host"' /tmp/json)" -eq 6 ]
}
ok "six rows that are ready" rows 6 ready
ok "each name means the card" named
ok "JSON has what driver and cards know" whole
ok "a name of none says what there is" says 3 "ab: no such card: there is soft, $plain ($node)" -i ab
ok "live lines" says 0 "$plain  ready" -w 0.1 --count 2 -i "$plain"
ok "nobody uses it" is "$plain" running_jobs 0

# --- an ordinary user -------------------------------------------------------------------------------

ok "no permission: a row, and 4" ordinary_says 4 "$plain  no permission" -i "$plain"
ok "no permission to reset" ordinary_says 4 "$plain: not reset: $node: no permission" reset -i "$plain"
chmod 666 "$node"
ok "who may open it may look" ordinary_says 0 "$plain  ready" -i "$plain"
ok "but not reset" ordinary_says 4 "$plain: $node: a reset needs CAP_SYS_ADMIN" reset -i "$plain"
ok "nor set limits" ordinary_says 4 "limits are set by root" set -i "$plain" --default
ok "and sees no other's processes, which is said" ordinary_says 0 "processes of other users are not shown" ps
chmod 600 "$node"
ok "it was not reset" is "$plain" resets 0

# --- limits -----------------------------------------------------------------------------------------

ok "limit of power" says 0 "$plain: power limit 42.5 W, clock limit" set -i "$plain" --power-limit 42.5
ok "limit of clock, the other stays" says 0 "power limit 42.5 W, clock limit 321 MHz" set -i "$plain" --clock-limit 321
ok "they are shown" is "$plain" clock_limit 321
ok "other cards' are not touched" is "$slow" clock_limit 321 !=
ok "beyond what it can" says 1 "$plain: 4000000000 MHz: beyond what the card can" set -i "$plain" --clock-limit 4000000000
ok "the default" says 0 "$plain: power limit" set -i "$plain" --default
ok "is another one" is "$plain" clock_limit 321 !=

# --- a reset, and what is said of it ----------------------------------------------------------------

# It has looked once, and reads signals since then
watching()
{
	for fd in "/proc/$events/fd"/*; do
		case $(readlink "$fd") in *signalfd*) return ;; esac
	done
	return 1
}

# The reset is told once, whether or not a look fell into it, in which the card says no more than that
happens()
{
	until_ok grep -q " $plain  reset 1, card_resets now $(sed 's/.* -> //' /tmp/said)$" /tmp/events
	kill -INT "$events"
	wait "$events"
	cat /tmp/events
	[ "$(grep -c " $plain  reset " /tmp/events)" -eq 1 ]
}
ok "limits are set" says 0 "power limit 43.5 W, clock limit 654 MHz" set -i "$plain" --clock-limit 654 --power-limit 43.5
"$smi" events -i "$plain" --interval 50 >/tmp/events 2>&1 &
events=$!
ok "events: it looks" until_ok watching
ok "reset: counted by driver and card" says 0 "ready, firmware" reset -i "$plain"
ok "reset: it says how often" grep -q "^$plain: reset in .* resets 0 -> 1, card_resets [0-9]* -> [0-9]*$" /tmp/said
ok "events: the reset" happens
ok "limits hold over it" eval 'is "$plain" clock_limit 654 && is "$plain" power_limit 43.5'
ok "until they are the default again" says 0 "$plain: power limit" set -i "$plain" --default
ok "reset with the host's firmware" says 0 "resets 1 -> 2" reset -i "$plain" --recovery
ok "its firmware is the host's" is "$plain" firmware_source host
ok "a card without firmware of its own" says 1 "$slow: not reset: it keeps no firmware" reset -i "$slow" --recovery

# --- beside a running job ---------------------------------------------------------------------------

# begin CARD: a text in the background
begin()
{
	timeout 300 "$gen" --device "$1" --qpc "$work/qpc" --prompt "Once upon a time" --temperature 0 --max-tokens 20 \
		>/tmp/text 2>/tmp/errors &
	run=$!
}

right()
{
	status=0
	wait "$run" || status=$?
	echo "exit status $status"
	cat /tmp/text /tmp/errors
	[ $status -eq 0 ] && cmp /tmp/text "$work/expected"
}

# Jobs of the one process that has it open, which have ended
ended()
{
	"$smi" ps -i "$1" --json | sed -n 's/.*"jobs_ended": \([0-9]*\).*/\1/p'
}

# The ninth job, with others behind it: it is in no hurry to end
slow_job()
{
	before=$(ended "$1")
	is "$1" running_jobs 1 -ge && sleep 1 && is "$1" running_jobs 1 -ge && [ -n "$before" ] && [ "$(ended "$1")" = "$before" ]
}

process()
{
	"$smi" ps -i "$slow" --json >/tmp/ps
	cat /tmp/ps
	grep -q '"name": "aipu-gen"' /tmp/ps && grep -q "\"device\": \"$slow\"" /tmp/ps && grep -q '"clients": 1,' /tmp/ps &&
		grep -q '"device_bytes": [1-9]' /tmp/ps && grep -q '"host_bytes": [1-9]' /tmp/ps &&
		grep -q '"engine_ns": [1-9]' /tmp/ps && [ "$(grep -c '"pid"' /tmp/ps)" -eq 1 ]
}

nobody()
{
	"$smi" ps -i "$slow" --json >/tmp/ps
	cat /tmp/ps
	grep -q '"processes": \[\]' /tmp/ps
}

begin "$slow"
ok "a job runs" until_ok slow_job "$slow"
ok "reset is refused" says 1 "; --wait waits for them, --force ends them" reset -i "$slow"
ok "as busy" grep -q "^aipu-smi: $slow: busy: [1-9]" /tmp/said
ok "ps: who it is, what it has" process
ok "memory that is used" is "$slow" memory_used 0.0 !=
ok "waiting for too short a time" says 1 " after 0 s; --force ends them" reset -i "$slow" --wait=0
ok "nothing was reset" is "$slow" resets 0
ok "waiting for long enough" says 0 "resets 0 -> 1" reset -i "$slow" --wait=400
ok "the text is right" right
ok "ps: nobody has it any more" nobody

begin "$slower"
ok "another job runs" until_ok slow_job "$slower"
ok "reset by force" says 0 "resets 0 -> 1" reset -i "$slower" --force
ok "the text is right all the same" right

# --- what is in the KV cache -----------------------------------------------------------------------

# It waits for its prompt, so all that it needs of the card is there
caches()
{
	"$smi" ps -i "$plain" --json >/tmp/ps
	cat /tmp/ps
	grep -q "\"device_kv_bytes\": $kv," /tmp/ps && grep -q '"host_kv_bytes": 0,' /tmp/ps
}
columns()
{
	mib=$(awk -v kv="$kv" 'BEGIN { printf "%.1f", kv / 1048576 }')
	"$smi" ps -i "$plain" >/tmp/ps
	cat /tmp/ps
	grep -q 'device MiB  *KV MiB  *host MiB' /tmp/ps && grep -Eq "aipu-gen +$plain +[0-9.]+ +$mib +[0-9.]+ " /tmp/ps
}
mkfifo /tmp/prompt
exec 7<>/tmp/prompt
timeout 300 "$gen" --device "$plain" --qpc "$work/qpc" --prompt-file /tmp/prompt --temperature 0 --max-tokens 20 \
	>/tmp/text 2>/tmp/errors 7>&- &
run=$!
ok "ps: a model's KV cache, to the byte" until_ok caches
ok "and in the table" columns
printf 'Once upon a time' >&7
exec 7>&-
ok "its text is right" right

# --- errors and heat --------------------------------------------------------------------------------

saw()
{
	cat /tmp/events
	grep -q "$1" /tmp/events
}
"$smi" events -i "$ailing" --interval 100 --json >/tmp/events 2>&1 &
events=$!
ok "events: it looks" until_ok watching
begin "$ailing"
ok "a text by a card with errors" right
ok "events: an error that was corrected" until_ok saw '"event":"corrected_errors".*"count":1,"total":1'
ok "events: heat" until_ok saw '"event":"throttle","is":"temperature"'
kill -INT "$events"
interrupted()
{
	status=0
	wait "$events" || status=$?
	echo "exit status $status"
	[ $status -eq 130 ]
}
ok "events: interrupted" interrupted

# --- bound anew while it is looked at ---------------------------------------------------------------

# last FILE LINE: its last line
last()
{
	tail -n 3 "$1"
	[ "$(tail -n 1 "$1")" = "$2" ]
}

ends_like_that()
{
	kill -INT "$watch" "$events"
	wait "$watch" "$events"
	cat /tmp/rows /tmp/events
	# Between driver and node a look may come, and a driver resets a card that it takes
	[ "$(grep -v "^no node$" /tmp/rows | uniq | tr '\n' ' ')" = "ready no driver ready " ] &&
		[ "$(sed "s/^[^ ]*  $plain  //" /tmp/events | grep -v -e "^reset 1, card_resets now [0-9]*$" -e "^state no node$" | tr '\n' ' ')" = \
			"state no driver state ready " ]
}
"$smi" -i "$plain" -w 0.1 --csv state --no-header >/tmp/rows 2>/tmp/errors &
watch=$!
"$smi" events -i "$plain" --interval 50 >/tmp/events 2>&1 &
events=$!
ok "a live view and events: they look" eval 'until_ok last /tmp/rows ready && until_ok watching'
echo "$plain" >/sys/bus/pci/drivers/aipu_accel/unbind
ok "unbound: no driver" until_ok last /tmp/rows "no driver"
ok "events: no driver" until_ok saw "state no driver"
ok "what to type" says 5 "$plain: no driver is bound to it: echo $plain >/sys/bus/pci/drivers/aipu_accel/bind; " -i "$plain"
echo "$plain" >/sys/bus/pci/drivers/aipu_accel/bind
ok "bound: ready" until_ok last /tmp/rows ready
ok "events: ready" until_ok saw "state ready"
ok "nothing else was seen" ends_like_that

# --- a card that does not come back -----------------------------------------------------------------

ok "a reset from which a card does not come back: 6" says 6 "$stuck: " reset -i "$stuck"
ok "is not called a success" not grep -q "ready" /tmp/said
ok "it is shown as wedged" says 6 "$stuck  wedged" -i "$stuck"
ok "the next reset brings it back" says 0 "$stuck: reset in" reset -i "$stuck"
ok "it is ready" is "$stuck" state ready

# --- a card that dies -------------------------------------------------------------------------------

broken()
{
	begin "$dying"
	wait "$run"
	# Each look is some dozens of the accesses that it has left
	"$smi" -i "$dying" -w 0.05 --count 10
	[ $? -eq 6 ]
}
ok "a card dies: 6" until_ok broken
ok "the table has the others too" says 6 "$plain  ready"
ok "its reset fails" says 6 "$dying: " reset -i "$dying"
ok "it is not shown as ready" is "$dying" state ready !=

# --- the driver goes --------------------------------------------------------------------------------

gone()
{
	rmmod aipu_accel && rows 5 "no driver" && rows 1 "not responding"
}
ok "without the driver again" gone
echo "1..$count"
