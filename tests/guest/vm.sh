#!/usr/bin/env bash
# guest test: runs scripts/vm, for minutes
# SPDX-License-Identifier: MIT
# The harness itself, with boots: what COMMAND gets and gives, and what becomes of runs that go wrong.
# What needs no boot is in tests/tools/vm.sh, deaths are in vm_kills.sh.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

vm=$SRC/scripts/vm
work=$(mktemp -d)
# An ordinary user comes by here.
chmod 755 "$work"
[ "$TMPDIR" = /tmp ] || chmod a+x "$TMPDIR"
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work

# run STATUS ARGUMENT...: without cards; leaves out, err
run()
{
	local want=$1 got=0
	shift
	"$vm" --cards 0 "$@" </dev/null >"$work/out" 2>"$work/err" || got=$?
	[ "$got" -eq "$want" ] && return
	echo "exit status $got, expected $want"
	tail -n 40 "$work/err"
	return 1
}

# says TEXT: on stderr
says()
{
	grep -qF -- "$1" "$work/err" && return
	echo "nothing on stderr like: $1"
	cat "$work/err"
	return 1
}

head -c 300000 /dev/urandom >"$work/bytes"
head -c 20000 /dev/urandom >"$work/more"
streams()
{
	run 200 -- sh -c "cat $work/bytes >/dev/stdout & cat $work/more >/dev/stderr; wait; exit 200" &&
		cmp "$work/bytes" "$work/out" && cmp "$work/more" "$work/err"
}
tap_ok "every byte of both streams, and the exit status" streams

# Its kernel does not ask the firmware which interrupts the lines have.
debug_streams()
{
	# shellcheck disable=SC2016
	run 3 --kernel debug -- sh -c 'for i in $(seq 1 300); do echo "line $i, which has to come" >&2; done; exit 3' &&
		[ "$(grep -c "which has to come" "$work/err")" -eq 300 ]
}
tap_ok "many lines of stderr on the debug kernel" debug_streams

large=$work/large$'\xff' # no UTF-8
head -c 20M /dev/urandom >"$large"
head -c 4096 /dev/urandom >"$work/user.img"
sum=$(sha256sum "$large" "$work/user.img")
mkdir "$work/a directory"
disks()
{
	(
		cd "$work/a directory" || exit
		# shellcheck disable=SC2016
		run 0 --disk "$work/user.img" --env MINE=ours --file bash -- sh -c \
			'sha256sum "$1" && echo there >"$1" && sha256sum /dev/vda && pwd && echo $MINE &&
			printf back | dd of=/dev/vda conv=notrunc 2>/dev/null && bash -c "echo \$0" b' \
			- "$large"
	) || return
	sed -i "s#/dev/vda#$work/user.img#" "$work/out"
	[ "$(cat "$work/out")" = "$sum"$'\n'"$work/a directory"$'\n'ours$'\n'b ] &&
		[ "$(head -c 4 "$work/user.img")" = back ] && sha256sum "$large" | grep -qF "${sum%% *}" &&
		return
	cat "$work/out"
	return 1
}
tap_ok "a large file, a disk, the directory, the environment" disks

# The guest's stdout is a terminal, ours is none: nothing is coloured or drawn in place for a file or a pipe.
terminal()
{
	# shellcheck disable=SC2016
	TERM=xterm NO_COLOR=1 run 0 -- sh -c 'echo "$TERM $NO_COLOR"' && [ "$(cat "$work/out")" = "dumb 1" ] &&
		TERM=xterm run 0 --env TERM -- sh -c 'echo "$TERM"' && [ "$(cat "$work/out")" = xterm ] ||
		{ cat "$work/out"; return 1; }
}
tap_ok "TERM is dumb where stdout is no terminal, but with --env" terminal

panics()
{
	run 125 -- sh -c 'echo before; echo c >/proc/sysrq-trigger' && says "ended while COMMAND ran" &&
		says "sysrq triggered crash" && grep -qx before "$work/out"
}
tap_ok "a panic" panics

hangs()
{
	run 125 --timeout 40 -- sh -c 'echo before; sleep 1000' && says "no end after 40 s" &&
		says "the console's last lines" && grep -qx before "$work/out"
}
tap_ok "no end in time" hangs

no_status()
{
	run 125 -- poweroff -f && says "ended while COMMAND ran" && ! says "once more"
}
tap_ok "a machine that switches itself off" no_status

no_boot()
{
	run 125 --append "init=/none rdinit=/none" -- true && says "ended before COMMAND" && says "once more"
}
tap_ok "no boot, twice" no_boot

no_module()
{
	: >"$work/empty.ko"
	run 125 --module "$work/empty.ko" -- echo never && says "module $work/empty.ko" &&
		[ ! -s "$work/out" ]
}
tap_ok "a module that does not load" no_module

splat='echo "<4>WARNING: this is a test" >/dev/kmsg'
splats()
{
	run 125 -- sh -c "$splat" && says "WARNING: this is a test" &&
		run 3 -- sh -c "$splat; exit 3" && says "WARNING: this is a test" &&
		run 0 --allow-splats -- sh -c "$splat"
}
tap_ok "a report of the kernel fails the run, unless it failed itself or may have some" splats

# interrupted SIGNAL STATUS
interrupted()
{
	local got=0 pid
	"$vm" -- sh -c 'echo started; sleep 1000' >"$work/out" 2>"$work/err" &
	pid=$!
	while ! grep -q started "$work/out" && kill -0 $pid 2>/dev/null; do
		sleep 0.2
	done
	kill "-$1" $pid
	wait $pid || got=$?
	[ "$got" -eq "$2" ] && ! compgen -G "$work/aipu-vm-*" && return
	echo "exit status $got"
	cat "$work/err"
	return 1
}
tap_ok "SIGINT: 130, and nothing is left" interrupted INT 130
tap_ok "SIGTERM: 143, and nothing is left" interrupted TERM 143

# The card ends while the guest runs: it goes on, which sees a card that answers nothing. With logs and
# QEMU's control socket, which is asked meanwhile.
card_death()
{
	local got=0 pid child
	"$vm" --allow-card-death --log "$work/log" --qmp "$work/qmp" -- sh -c 'echo started
		cd /sys/bus/pci/devices/0000:01:00.0 && until head -c 2 config | hexdump | grep -q ffff; do
			sleep 0.2
		done; echo gone; exit 6' >"$work/out" 2>"$work/err" &
	pid=$!
	while ! grep -q started "$work/out" && kill -0 $pid 2>/dev/null; do
		sleep 0.2
	done
	/usr/bin/python3 - "$work/qmp" <<'PY' || got=qmp
import socket, sys
qmp = socket.socket(socket.AF_UNIX)
qmp.settimeout(60)
qmp.connect(sys.argv[1])
sys.exit(b"QMP" not in qmp.recv(4096))
PY
	for child in $(cat /proc/$pid/task/$pid/children); do
		[ "$(cat "/proc/$child/comm")" != aipu-emu ] || kill -KILL "$child"
	done
	wait $pid || got=$got$?
	[ "$got" = 06 ] && grep -qx gone "$work/out" && says "aipu-emu of card 0 was killed by SIGKILL" &&
		[ -s "$work/log/card0.trace" ] && [ -e "$work/log/console.log" ] && return
	echo "exit status $got"
	cat "$work/out" "$work/err"
	ls -l "$work/log"
	return 1
}
tap_ok "a card that ends, where it may; logs; QEMU's control socket" card_death

closed()
{
	local got
	got=$("$vm" --cards 0 -- sh -c 'while echo y; do :; done' 2>"$work/err" |
		{ head -n 1; cat <&-; } 2>/dev/null; echo "${PIPESTATUS[0]}")
	[ "$got" = y$'\n'141 ] && return
	echo "$got"
	cat "$work/err"
	return 1
}
tap_ok "nobody reads stdout: 141" closed

# With all its BARs, which the firmware had put where they are.
again()
{
	run 0 --cards 1 --card "--memory 16G" -- sh -c 'cd /sys/bus/pci/devices && card=0000:01:00.0 &&
		cat $card/resource >/before && echo 1 >$card/remove && ! [ -e $card ] &&
		echo 1 >/sys/bus/pci/rescan && cat $card/resource && cmp /before $card/resource'
}
tap_ok "a card that is removed comes back" again

no_logs()
{
	run 125 --log /proc/none/none -- true && says "vm: /proc/none" && ! says Traceback >/dev/null
}
tap_ok "no place for the logs" no_logs

no_streams()
{
	local got=0
	"$vm" --cards 0 -- sh -c "echo lost >&2; exit 5" </dev/null >"$work/out" 2>&- || got=$?
	[ $got -eq 5 ] && [ ! -s "$work/out" ] || { echo "exit status $got"; return 1; }
	got=0
	"$vm" --cards 0 -- echo lost >/dev/full 2>"$work/err" || got=$?
	[ $got -eq 125 ] && says "vm: stdout: No space left"
}
tap_ok "a stream that is closed, one that is full" no_streams

# A shell on a terminal: echo, Ctrl-C reaches the guest, its status is ours.
shell()
{
	timeout 300 /usr/bin/python3 - "$vm" <<'PY'
import os, pty, select, sys, time

pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], ["vm", "--cards", "0"])
seen = b""

def until(text):
    global seen
    end = time.monotonic() + 200
    while text not in seen:
        if time.monotonic() > end or not select.select([terminal], [], [], 1)[0]:
            if time.monotonic() > end:
                sys.exit(f"no {text} in {seen}")
            continue
        try:
            seen += os.read(terminal, 4096)
        except OSError:
            sys.exit(f"ended before {text}: {seen}")
    seen = seen.split(text, 1)[1]

until(b" # ")
os.write(terminal, b"echo $((6 * 7))x\r")
until(b"42x")
os.write(terminal, b"sleep 1000\r")
until(b"sleep 1000\r\n")
time.sleep(1)
os.write(terminal, b"\x03")
until(b" # ")
os.write(terminal, b"exit 9\r")
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(0 if status == 9 else f"exit status {status}")
PY
}
tap_ok "a shell on a terminal" shell

# As an ordinary user whose home is somebody else's, with what this user has fetched
ordinary()
{
	local cache=${XDG_CACHE_HOME:-$HOME/.cache}/aipu
	mkdir "$work/nobody" "$work/cache" && chmod 777 "$work/nobody" || return
	(
		cd "$cache" && set -- debs/qemu* debs/linux-image-6.12* debs/resolve.* kernel/6.12
		cp -al --parents "$@" "$work/cache" 2>/dev/null || cp -a --parents "$@" "$work/cache"
	) || return
	runuser -u nobody -- env TMPDIR="$work/nobody" AIPU_CACHE="$work/cache" "$vm" -- \
		sh -c 'cat /sys/bus/pci/devices/0000:01:00.0/vendor' >"$work/out" 2>"$work/err" &&
		[ "$(cat "$work/out")" = 0x1af4 ] && ! compgen -G "$work/nobody/aipu-vm-*" && return
	cat "$work/out" "$work/err"
	return 1
}
if [ "$(id -u)" -ne 0 ]; then
	tap_skip "an ordinary user" "this one is"
elif ! runuser -u nobody -- test -x "$vm" -a -x "$BUILD/bin/aipu-emu" 2>/dev/null; then
	tap_skip "an ordinary user" "cannot read $SRC"
else
	tap_ok "an ordinary user" ordinary
fi

tap_done
