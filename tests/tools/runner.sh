#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The runner must not pass what did not pass: feeds it programs that fail in each way it knows.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# counts NAME "P F S" STATUS: what the runner makes of the program on stdin.
counts()
{
	cat >"$work/case.sh"
	got=$("$SRC/tests/runner" --build "$work/build" --timeout "${limit:-60}" \
		"$work/case.sh" 2>&1)
	status=$?
	printf '%s\n' "$got" >"$work/got"
	last=$(printf '%s\n' "$got" | tail -n 1)
	[ "$last" = "$1" ] && [ "$status" -eq "$2" ] && return 0
	printf 'expected "%s" and exit status %d, got %d:\n%s\n' "$1" "$2" "$status" "$got"
	return 1
}

tap_ok all_pass counts "2 passed, 0 failed, 0 skipped" 0 <<'T'
printf '1..2\nok 1 - a\nok 2 - b\n'
T
tap_ok plan_at_the_end counts "1 passed, 0 failed, 0 skipped" 0 <<'T'
printf 'ok 1 - a\n1..1\n'
T
tap_ok one_fails counts "1 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..2\nok 1 - a\nnot ok 2 - b\n'; exit 1
T
names_it()
{
	grep -A1 '# why, of 300' "$work/got" | grep 'not ok 300 - far' && grep '# and after it' "$work/got" && ! grep 'ok 200 -' "$work/got"
}
tap_ok one_far_from_the_end counts "599 passed, 1 failed, 0 skipped" 1 <<'T'
for i in {1..600}; do [ $i = 300 ] && printf '# why, of 300\nnot ok 300 - far\n# and after it\n' || echo "ok $i - a"; done
echo 1..600; exit 1
T
tap_ok and_why_is_shown names_it
tap_ok failure_with_exit_0 counts "0 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..1\nnot ok 1 - a\n'
T
tap_ok skip_is_no_pass counts "1 passed, 0 failed, 1 skipped" 0 <<'T'
printf '1..2\nok 1 - a\nok 2 - b # SKIP no device\n'
T
tap_ok skip_of_cmocka counts "0 passed, 0 failed, 1 skipped" 0 <<'T'
printf '1..1\n# no such file\nnot ok 1 # SKIP b\n'
T
tap_ok skip_of_all counts "0 passed, 0 failed, 1 skipped" 0 <<'T'
printf '1..0 # SKIP no device\n'
T
tap_ok plan_of_0_without_reason counts "0 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..0\n'
T
tap_ok short_of_plan counts "1 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..3\nok 1 - a\n'
T
tap_ok beyond_plan counts "2 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..1\nok 1 - a\nok 2 - b\n'
T
tap_ok no_plan counts "1 passed, 1 failed, 0 skipped" 1 <<'T'
printf 'ok 1 - a\n'
T
tap_ok no_output counts "0 passed, 1 failed, 0 skipped" 1 <<'T'
exit 0
T
tap_ok numbering_restarts counts "2 passed, 3 failed, 0 skipped" 1 <<'T'
printf '1..1\nok 1 - a\n1..1\nok 1 - b\n'
T
tap_ok exit_status_alone counts "1 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..1\nok 1 - a\n'; exit 3
T
tap_ok crash counts "1 passed, 2 failed, 0 skipped" 1 <<'T'
printf '1..2\nok 1 - a\n'; kill -SEGV $$
T
tap_ok crash_after_the_last counts "1 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..1\nok 1 - a\n'; kill -ABRT $$
T
tap_ok bail_out counts "1 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..1\nok 1 - a\nBail out! no room\n'
T
limit=1
tap_ok hang counts "1 passed, 1 failed, 0 skipped" 1 <<'T'
printf '1..1\nok 1 - a\n'; exec sleep 1000
T
limit=60
tap_ok left_child_is_ended counts "1 passed, 0 failed, 0 skipped" 0 <<'T'
sleep 1000 & printf '1..1\nok 1 - a\n'
T
nothing_to_run()
{
	"$SRC/tests/runner" --build "$work/build" no_such_test >"$work/none"
	[ $? -eq 1 ] && [ "$(tail -n 1 "$work/none")" = "0 passed, 1 failed, 0 skipped" ]
}
tap_ok nothing_to_run nothing_to_run
# A name that is mistyped is no test that passed, and is named.
one_of_two()
{
	printf "printf '1..1\\nok 1 - a\\n'\n" >"$work/case.sh"
	"$SRC/tests/runner" --build "$work/build" "$work/case.sh" no_such_test >"$work/none"
	[ $? -eq 1 ] && [ "$(tail -n 1 "$work/none")" = "1 passed, 1 failed, 0 skipped" ] && grep "'no_such_test'" "$work/none"
}
tap_ok one_of_two_is_none one_of_two
tap_done
