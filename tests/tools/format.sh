#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every C and C++ source has the form of .clang-format. Version 14 decides: others break some lines
# differently, and a check that depends on who runs it is none.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

cd "$SRC" || exit 1
format=${CLANG_FORMAT:-}
for f in clang-format-14 clang-format; do
	[ -n "$format" ] || ! command -v $f >/dev/null || format=$f
done

well_formed()
{
	"$format" --dry-run -Werror "$1"
}

found_out()
{
	printf 'int  main( void ) {return 0;}\n' >"$TMPDIR/bad.c"
	cp .clang-format "$TMPDIR/"
	! well_formed "$TMPDIR/bad.c" 2>/dev/null
}

version=$("${format:-false}" --version 2>/dev/null | sed 's/.*version \([0-9]*\).*/\1/')
if [ "$version" != 14 ]; then
	tap_skip format "clang-format 14 decides, here is ${version:-none}"
elif [ -n "${SAN:-}" ]; then
	tap_skip format "the same in every build, checked in the plain one"
else
	tap_ok "bad form is found" found_out
	if git rev-parse --git-dir >/dev/null 2>&1; then
		files=$(git ls-files '*.c' '*.h' '*.cc')
	else
		files=$(find . -path ./build -prune -o -name '*.[ch]' -print -o -name '*.cc' -print)
	fi
	bad=$(printf '%s\n' "$files" | xargs -r "$format" --dry-run -Werror 2>&1 |
		sed -n 's/^\([^: ]*\):[0-9]*:[0-9]*: error.*/\1/p' | sort -u)
	tap_ok "no file of another form" test -z "$bad"
	printf '%s\n' "$bad" | sed '/./s/^/# badly formed (make format mends it): /;/^$/d'
fi
tap_done
