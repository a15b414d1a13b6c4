#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Old and new firmware, libaipu and models: for each combination aipu-fwcheck says what really happens when the device is opened and
# the model is loaded. The libraries are real builds that speak other versions of the contract. tests/guest/fwcheck.sh has the
# half with drivers.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

if [ -n "${SAN:-}" ]; then
	tap_skip "versions" "they are compared alike in every build, and the plain one makes builds of its own for it"
	tap_done
fi
: "${CC:=gcc}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state
unset AIPU_PLUGIN_PATH

# Library and its versions: this build's 1.0, one that grew, one that left 1.0 behind
libraries="old new newest"
directory_of()
{
	case $1 in
	old) echo "$BUILD" ;;
	*) echo "$work/$1" ;;
	esac
}

# build NAME FLAGS: only what is run here
build()
{
	# Not a make of the one that runs this, if one does
	env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$SRC" -j2 CC="$CC" CFLAGS=-O1 CXXFLAGS=-O1 CPPFLAGS="$2" \
		BUILD="$work/$1" "$work/$1/bin/aipu-fwcheck" "$work/$1/bin/aipu-gen" >"$work/log" 2>&1 && return
	tail -n 20 "$work/log"
	return 1
}

# What really happens: exit status 0 loaded, 11 no device, 12 no model
cat >"$work/load.c" <<'T'
#include <stdio.h>
#include "aipu/aipu.h"
#include "aipu/llm.h"

int main(int argc, char **argv)
{
	struct aipu_device_options options = { .firmware = argv[1] };
	struct aipu_message message = { "" };
	struct aipu_device *device;
	struct aipu_llm *llm;

	if (argc != 3 || aipu_device_open(&device, "soft", &options, &message)) {
		puts(message.text);
		return 11;
	}
	if (aipu_llm_open(device, argv[2], NULL, &llm, &message)) {
		puts(message.text);
		aipu_device_close(device);
		return 12;
	}
	aipu_llm_close(llm);
	aipu_device_close(device);
	return 0;
}
T
compile_load()
{
	"$CC" -std=c17 -Wall -Werror -I"$SRC/userspace/include" -I"$SRC/firmware-abi" -o "$work/load" "$work/load.c" \
		-L"$BUILD/lib" -laipu-llm -laipu -Wl,-rpath-link,"$BUILD/lib"
}

# firmware NAME OLDEST NEWEST
firmware()
{
	"$BUILD/bin/aipu-fw" pack --default --abi-oldest "$2" --abi-newest "$3" --key "$SRC/firmware-abi/development.pem" \
		-o "$work/firmware/$1"
}

# model NAME VERSION OLDEST NEWEST [OLDEST NEWEST]
model()
{
	local name=$1
	shift
	mkdir "$work/models/$name" && ln "$work/compiled/tokenizer.model" "$work/models/$name" &&
		/usr/bin/python3 "$SRC/tests/tools/_qpc_contract.py" "$work/compiled/model.qpc" "$work/models/$name/model.qpc" "$@"
}

prepare()
{
	mkdir "$work/firmware" "$work/models" &&
		firmware 0.1-0.8 0.1 0.8 && firmware 1.0 1.0 1.0 && firmware 1.0-1.1 1.0 1.1 && firmware 1.1-1.2 1.1 1.2 &&
		firmware 2.0-2.1 2.0 2.1 && touch "$work/firmware/built-in" || return
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/compiled" >/dev/null 2>&1 &&
		model 0.9 1 0.9 0.9 && model 1.0 1 1.0 1.0 && model 1.1 1 1.1 1.1 && model 1.0-1.2 1 1.0 1.2 && model 2.0 1 2.0 2.0 &&
		model program-1.1 1 1.0 1.2 1.1 1.1 && model program-1.2 1 1.0 1.2 1.2 1.2 && model version-2 2 1.0 1.2 &&
		model version-0 0 1.0 1.2 && model 1.0-damaged 1 1.0 1.0 || return
	printf x | dd of="$work/models/1.0-damaged/model.qpc" bs=1 seek=4100 conv=notrunc 2>/dev/null
}

# really LIBRARY FIRMWARE MODEL: the exit status of loading; what it said goes to $work/really
really()
{
	local lib
	lib=$(directory_of "$1")/lib
	if [ "$2" != built-in ]; then
		LD_LIBRARY_PATH=$lib "$work/load" "$work/firmware/$2" "$work/models/$3" >"$work/really" 2>&1
		return
	fi
	"${lib%/lib}/bin/aipu-gen" --device soft --qpc "$work/models/$3" --prompt "Once" --max-tokens 1 >"$work/really" 2>&1
}

# verdict LIBRARY FIRMWARE MODEL
verdict()
{
	local options=(--device soft --qpc "$work/models/$3")
	[ "$2" = built-in ] || options+=(--firmware "$work/firmware/$2")
	"$(directory_of "$1")/bin/aipu-fwcheck" "${options[@]}" >"$work/verdict" 2>&1
}

# upgrades PATTERN: the verdicts that ask for an upgrade are of these
upgrades()
{
	grep -q "^  upgrade *\($1\): " "$work/verdict"
}

# agree LIBRARY FIRMWARE MODEL: about whether it works, and about what is to blame
agree()
{
	local loaded=0 judged=0
	really "$@" || loaded=$?
	verdict "$@" || judged=$?
	cat "$work/verdict" "$work/really"
	echo "loading: exit status $loaded; aipu-fwcheck: $judged"
	case $loaded in
	0)
		works=$((works + 1))
		[ "$judged" -eq 0 ] && ! upgrades '.*'
		;;
	11) [ "$judged" -eq 1 ] && upgrades 'image\|firmware and libaipu' ;;
	12) [ "$judged" -eq 1 ] && ! upgrades 'image\|firmware and libaipu' && upgrades 'program.*' ;;
	1) [ "$2" = built-in ] && [ "$judged" -eq 1 ] && upgrades 'program.*' ;;
	*) false ;;
	esac
}

# cells LIBRARY: all firmware with all models; *works* counts what did
cells()
{
	local image compiled wrong=0
	works=0 cells=0
	for image in "$work"/firmware/*; do
		for compiled in "$work"/models/*; do
			cells=$((cells + 1))
			agree "$1" "${image##*/}" "${compiled##*/}" >"$work/cell" && continue
			echo "libaipu $1, firmware ${image##*/}, model ${compiled##*/}:"
			cat "$work/cell"
			wrong=$((wrong + 1))
		done
	done
	echo "$wrong of $cells cells disagree, $works work"
	[ "$wrong" -eq 0 ] && [ "$cells" -eq 60 ] && [ "$works" -eq "$2" ]
}

# speaks LIBRARY RANGE
speaks()
{
	"$(directory_of "$1")/bin/aipu-fwcheck" --device soft | tee "$work/out" | grep -q "libaipu .*, contract $2\$" && return
	cat "$work/out"
	return 1
}

tap_ok "a libaipu for 1.0 to 1.1" build new -DAIPU_ABI_CURRENT=0x10001u
tap_ok "a libaipu for 1.1 to 1.2" build newest "-DAIPU_ABI_OLDEST=0x10001u -DAIPU_ABI_CURRENT=0x10002u"
tap_ok "the builds are of these versions" eval 'speaks old 1.0 && speaks new "1.0 to 1.1" && speaks newest "1.1 to 1.2"'
tap_ok "images and models of other versions" prepare
tap_ok "a program that loads" compile_load
# Of 60 each. old: 1.0, 1.0-1.1 and the built-in image with models 1.0 and 1.0-1.2. new: 1.0 with the same two; 1.0-1.1 and the built-in
# one with 1.1 and program-1.1 too; 1.1-1.2 is 1.1 there, so 1.1, 1.0-1.2, program-1.1. newest: 1.0-1.1 is 1.1 there: these
# three; 1.1-1.2 and the built-in one with program-1.2 too.
tap_ok "libaipu for 1.0: 60 combinations" cells old 6
tap_ok "libaipu for 1.0 to 1.1: 60 combinations" cells new 13
tap_ok "libaipu for 1.1 to 1.2: 60 combinations" cells newest 11
tap_done
