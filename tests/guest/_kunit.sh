#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: _kunit.sh MODULE SUITE...
# Runs in the guest: loads a module with KUnit suites, prints each case as a TAP line of its own and
# what it said as comments, unloads it. Each SUITE must be there and hold a case. Exit status 1 if one
# failed. Called by the scripts that test modules, kunit.sh among them.
set -u
module=$1
shift
debug=/sys/kernel/debug/kunit

# The results vanish with the module.
if ! insmod "$module"; then
	echo "Bail out! $module does not load"
	exit 1
fi
for suite in "$@"; do
	if ! [ -r "$debug/$suite/results" ]; then
		echo "Bail out! no suite $suite in $module"
		exit 1
	fi
	cat "$debug/$suite/results"
	echo "suite-end $suite"
done >/tmp/kunit-results
rmmod "$(basename "$module" .ko)" || {
	echo "Bail out! $module does not unload"
	exit 1
}

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
