#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: _kunit.sh MODULE SUITE... [MODULE SUITE...]
# Runs in the guest: loads each MODULE (*.ko), which has KUnit suites, prints each case as a TAP line of its
# own and what it said as comments, unloads it. Each SUITE must be there and hold a case. Exit status 1 if
# one failed. Called by the scripts that test modules, kunit.sh among them.
set -u
debug=/sys/kernel/debug/kunit
module=""

bail()
{
	echo "Bail out! $*"
	exit 1
}

unload()
{
	[ -z "$module" ] || rmmod "$(basename "$module" .ko)" || bail "$module does not unload"
}

# The results vanish with the module.
for argument; do
	case $argument in
	*.ko)
		unload
		module=$argument
		insmod "$module" || bail "$module does not load"
		;;
	*)
		[ -r "$debug/$argument/results" ] || bail "no suite $argument in $module"
		cat "$debug/$argument/results" >>/tmp/kunit-results
		echo "suite-end $argument" >>/tmp/kunit-results
		;;
	esac
done
unload

# Cases are indented by four columns, parameters of one case by eight, the suite itself by none.
awk '
	/^suite-end / {
		if (cases == 0) {
			n++; bad = 1
			print "not ok " n " " $2 ": no case ran"
		}
		cases = 0; suite = ""
		next
	}
	/^    # Subtest: / && suite == "" { suite = $3; next }
	/^    (not )?ok [0-9]+ / {
		line = $0
		sub(/^ */, "", line)
		word = "ok"
		if (line ~ /^not /) { word = "not ok"; bad = 1 }
		sub(/^(not )?ok [0-9]+ (- )?/, "", line)
		n++; cases++
		print word " " n " " suite ": " line
		next
	}
	/^ *(# Totals|# [a-z_0-9]*: pass:|KTAP version|1\.\.|# module:|(not )?ok )/ { next }
	/^ *#? *./ { sub(/^ *#? */, ""); print "# " $0 }
	END { print "1.." n + 0; exit bad }
' /tmp/kunit-results
