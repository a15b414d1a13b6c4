# SPDX-License-Identifier: MIT
# shellcheck shell=sh
# TAP in a guest: sourced by the scripts that run there and number their results, run by none. Needs nothing but sh.
count=0

# ok NAME COMMAND...: a result; what a failing command said follows it
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
