#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `make install` puts down is enough to build a program and to run a tool, from any prefix, and
# `make uninstall` takes it all away. Installs what is built; builds nothing in the build directory.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

: "${CC:=gcc}"
cd "$SRC" || exit 1
stage=$TMPDIR/stage
prefix=/opt/aipu
mk()
{
	make -s BUILD="$BUILD" PREFIX="$prefix" DESTDIR="$stage" "$@"
}

pc()
{
	PKG_CONFIG_LIBDIR="$stage$prefix/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$stage" pkg-config "$@"
}

# A program of a user: only installed headers and libraries. Runs without a device.
cat >"$TMPDIR/user.c" <<'T'
#include <aipu/aipu.h>
#include <aipu/llm.h>
#include <stdio.h>

int main(void)
{
	struct aipu_device *device;
	struct aipu_message message = { "" };

	if (aipu_device_open(&device, "no-such-device", NULL, &message) == 0 || !message.text[0])
		return 1;
	puts(aipu_version());
	return 0;
}
T

compile_user()
{
	# shellcheck disable=SC2046,SC2086
	$CC -std=c17 -Wall -Wextra -Werror ${SAN:+-fsanitize=$SAN} -o "$TMPDIR/user" "$TMPDIR/user.c" \
		$(pc --cflags --libs aipu-llm aipu)
}

run_user()
{
	out=$(LD_LIBRARY_PATH="$stage$prefix/lib" "$TMPDIR/user") || return
	[ "$out" = "$(pc --modversion aipu)" ] || { echo "library $out, pkg-config another"; return 1; }
}

# The tree moved elsewhere: nothing in it may name the build directory or the prefix.
run_tool()
{
	"$stage$prefix/bin/$1" --version
}

# completes TOOL: by the files that bash and fish find by the tool's name, and by the one that zsh finds
completes()
{
	local share=$stage$prefix/share
	[ -f "$share/zsh/site-functions/_aipu" ] || return 1
	PATH=$stage$prefix/bin:$PATH bash -c '. "$1/bash-completion/completions/$2" && complete -p "$2" &&
		COMP_WORDS=("$2" --vers) COMP_CWORD=1 && _aipu_complete && [ "${COMPREPLY[*]}" = --version ]' _ "$share" "$1" ||
		return 1
	[ -f "$share/fish/vendor_completions.d/$1.fish" ] || return 1
	! command -v fish >/dev/null || [ "$(PATH=$stage$prefix/bin:$PATH XDG_DATA_DIRS=$share XDG_CONFIG_HOME=$TMPDIR XDG_DATA_HOME=$TMPDIR fish -c 'complete -C "$argv[1] --vers"' "$1" |
		cut -f1)" = --version ] || return 1
	! command -v zsh >/dev/null || [ "$(zsh -fc 'fpath=($1/zsh/site-functions $fpath) && autoload -U compinit &&
		compinit -u -D && print -r -- "$_patcomps[(i)aipu-*] $_postpatcomps[aipu-*]"' _ "$share")" = " _aipu" ]
}

no_build_path()
{
	! grep -rlF -e "$BUILD/" "$stage$prefix/bin" "$stage$prefix/lib/pkgconfig" &&
		! readelf -d "$stage$prefix"/bin/* "$stage$prefix"/lib/*.so "$stage$prefix"/lib/aipu/*.so |
		grep -E 'R(UN)?PATH.*/' | grep -v 'ORIGIN'
}

soft_device()
{
	cat >"$TMPDIR/soft.c" <<'T'
#include <aipu/aipu.h>
#include <stdio.h>

int main(void)
{
	struct aipu_device *device;
	struct aipu_message message = { "" };
	int err = aipu_device_open(&device, "soft", NULL, &message);

	if (err)
		return printf("%d: %s\n", err, message.text), 1;
	aipu_device_close(device);
	return 0;
}
T
	# shellcheck disable=SC2046,SC2086
	$CC -std=c17 ${SAN:+-fsanitize=$SAN} -o "$TMPDIR/soft" "$TMPDIR/soft.c" \
		$(pc --cflags --libs aipu) && LD_LIBRARY_PATH="$stage$prefix/lib" "$TMPDIR/soft"
}

# refused GOAL VARIABLE=DIRECTORY: one line that names the variable, and nothing is made, there or here.
refused()
{
	! make -s BUILD="$BUILD" DESTDIR="$stage" "$2" "$1" >"$TMPDIR/said" 2>&1 || return
	cat "$TMPDIR/said"
	[ "$(wc -l <"$TMPDIR/said")" -eq 1 ] && grep -q "${2%%=*}=.* has a space" "$TMPDIR/said" &&
		[ ! -e "$TMPDIR/pre" ] && [ ! -e "fix$$" ]
}

# The guide's program: as it is printed there, with warnings as errors.
guide_program()
{
	sed -n '/^```c$/,/^```$/{/^```/d;p}' docs/guide.md >"$TMPDIR/story.c"
	[ -s "$TMPDIR/story.c" ] || { echo "no program in docs/guide.md"; return 1; }
	# shellcheck disable=SC2046,SC2086
	$CC -std=c17 -Wall -Wextra -Werror ${SAN:+-fsanitize=$SAN} -o "$TMPDIR/story" "$TMPDIR/story.c" \
		$(pc --cflags --libs aipu-llm)
}

story()
{
	LD_LIBRARY_PATH="$stage$prefix/lib" "$TMPDIR/story" "$@"
}

# The program of the driver's guide, for which the guest has a card
driver_program()
{
	sed -n '/^```c$/,/^```$/{/^```/d;p}' docs/uapi.md >"$TMPDIR/uapi.c"
	[ -s "$TMPDIR/uapi.c" ] || { echo "no program in docs/uapi.md"; return 1; }
	# shellcheck disable=SC2046
	$CC -std=c17 -Wall -Wextra -Werror -o "$TMPDIR/uapi" "$TMPDIR/uapi.c" $(pc --cflags aipu) \
		$(pkg-config --cflags libdrm) -luring
}

# What it prints is what aipu-gen prints, but for the space that follows bos.
guide_program_runs()
{
	"$stage$prefix/bin/aipu-compile" models/demo -o "$TMPDIR/demo-qpc" >/dev/null || return
	story "$TMPDIR/demo-qpc" "Once upon a time" >"$TMPDIR/answer" &&
		"$stage$prefix/bin/aipu-gen" --qpc "$TMPDIR/demo-qpc" --prompt "Once upon a time" \
			--temperature 0.8 --top-p 0.95 --seed 1 >"$TMPDIR/expected" || return
	cat "$TMPDIR/answer"
	[ "$(wc -w <"$TMPDIR/answer")" -ge 10 ] &&
		[ "$(tr -d ' \n' <"$TMPDIR/answer")" = "$(tr -d ' \n' <"$TMPDIR/expected")" ]
}

guide_program_fails()
{
	! said=$(story "$TMPDIR/none" x 2>&1) && [[ $said = "story: "*none* ]]
}

# build_refused [GOAL]: one line, and nothing is made
build_refused()
{
	! make -s BUILD="$TMPDIR/pre fix" "$@" >"$TMPDIR/said" 2>&1 || return
	cat "$TMPDIR/said"
	[ "$(wc -l <"$TMPDIR/said")" -eq 1 ] && grep -qF "BUILD=\"$TMPDIR/pre fix\" has a space in it" "$TMPDIR/said" &&
		[ ! -e "$TMPDIR/pre" ] && [ ! -e "$TMPDIR/pre fix" ]
}

# Each name of a document in what is installed leads to one
documents()
{
	local at=$stage$prefix/share/doc/aipu name
	for name in README.md docs/guide.md docs/firmware.md firmware-abi/spec.md firmware-abi/numerics.md; do
		cmp "$name" "$at/$name" || return 1
	done
	gunzip -cf "$stage$prefix"/share/man/man1/*.1 | sed 's/\\-/-/g' | grep -oE '\b(docs|firmware-abi)/[a-z_-]+\.[a-z]+' | sort -u >"$TMPDIR/names"
	[ -s "$TMPDIR/names" ] || return 1
	while read -r name; do
		[ -f "$at/$name" ] || { echo "no $name"; return 1; }
	done <"$TMPDIR/names"
}

# The key that the software device takes
installed_key()
{
	"$stage$prefix/bin/aipu-fw" pack --default --key "$stage$prefix/share/doc/aipu/firmware-abi/development.pem" \
		-o "$TMPDIR/image.fw" && cmp "$TMPDIR/image.fw" "$BUILD/firmware/aipu-soft.fw"
}

tap_ok "a build directory with a space is refused" build_refused
tap_ok "also by other goals" build_refused tests
for goal in install install-files uninstall; do
	tap_ok "$goal: a prefix with a space is refused" refused $goal "PREFIX=$TMPDIR/pre fix$$"
done
tap_ok "so is such a staging directory" refused install-files "DESTDIR=$TMPDIR/pre fix$$"
tap_ok "install into a staging directory" mk install-files
tap_ok "headers and libraries are enough for a program" compile_user
tap_ok "the program runs" run_user
tap_ok "the installed library finds and boots the software device" soft_device
tap_ok "the guide's program compiles against what is installed" guide_program
if [ -f models/demo/config.json ] && [ -x "$stage$prefix/bin/aipu-compile" ]; then
	tap_ok "it prints an answer" guide_program_runs
else
	tap_skip "it prints an answer" "no models/demo or no aipu-compile"
fi
tap_ok "it says why it cannot" guide_program_fails
tap_ok "so does the program of the driver's guide" driver_program
for tool in "$stage$prefix"/bin/*; do
	name=${tool##*/}
	tap_ok "$name --version from the staging directory" run_tool "$name"
	tap_ok "$name is completed by what is installed" completes "$name"
done
tap_ok "every man page of a tool is installed" \
	sh -c "for p in docs/man/*.1; do [ ! -e \$p ] || [ -f '$stage$prefix/share/man/man1/'\${p##*/} ] || exit 1; done"
tap_ok "documents are where man pages and documents name them" documents
tap_ok "so is the development key" installed_key
if command -v readelf >/dev/null; then
	tap_ok "nothing names the build directory" no_build_path
else
	tap_skip "nothing names the build directory" "no readelf"
fi
tap_ok "uninstall" mk uninstall
tap_ok "nothing is left" test -z "$(find "$stage" ! -type d)"
tap_ok "nor a directory of documents" test ! -e "$stage$prefix/share/doc/aipu"
tap_done
