#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every requirement of the contract has a test or a reason, and the script that says so can fail.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

check=$SRC/scripts/requirements
tap_ok "every requirement has a test or a reason" "$check"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/spec" "$work/tests"
cat >"$work/spec/spec.md" <<'T'
[ZAP-1] One.

[ZAP-10] Ten. As [ZAP-1] says.
T

# outcome STATUS LINE: of the script on the small spec, with this line in its output.
outcome()
{
	got=$("$check" --spec "$work/spec" --tests "$work/tests")
	status=$?
	[ $status -eq "$1" ] && printf '%s\n' "$got" | grep -q "^$2" && return 0
	printf 'exit status %d:\n%s\n' $status "$got"
	return 1
}

tap_ok "no test at all" outcome 1 "ZAP-1: no test"
echo '/* ZAP-10 */' >"$work/tests/a.c"
tap_ok "ZAP-10 does not stand for ZAP-1" outcome 1 "ZAP-1: no test"
echo 'ZAP-1' >"$work/spec/untested.txt"
tap_ok "a reason must say something" outcome 1 "ZAP-1: untested.txt gives no reason"
echo 'ZAP-1 cannot be seen from outside' >"$work/spec/untested.txt"
tap_ok "a reason will do" outcome 0 "2 requirements, 0 without"
echo '/* ZAP-1 */' >>"$work/tests/a.c"
tap_ok "a reason that a test has overtaken" outcome 1 "ZAP-1: untested.txt says why"
rm "$work/spec/untested.txt"
tap_ok "all tested" outcome 0 "2 requirements, 0 without"
echo '# ZAP-2' >"$work/tests/b.sh"
tap_ok "a test of a requirement that is not there" outcome 1 "ZAP-2: a test names it"
rm "$work/tests/b.sh"
echo '[ZAP-1] Again.' >>"$work/spec/spec.md"
tap_ok "a number given twice" outcome 1 "ZAP-1: numbered twice"
echo >"$work/spec/spec.md"
tap_ok "a spec without requirements" outcome 1 "no numbered requirement"
tap_done
