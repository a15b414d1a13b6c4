#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# A generation goes on when the card is reset in its middle: by its function's reset, by suspend, by the driver because the
# card hung or failed; through both doors, two processes at a time. The text is the software device's. A card that fails each
# time is given up. REBUILD_KERNELS: on which kernels.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/../tools/_tap.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# 27 M parameters: most of a second for the text on one core. The prompt takes 60 jobs of four tokens.
prepare()
{
	python3 "$SRC/tests/tools/_slow_model.py" "$work/model" 512 1408 8 5 &&
		cp "$SRC/models/demo/tokenizer.model" "$work/model/" &&
		"$BUILD/bin/aipu-compile" "$work/model" -o "$work/qpc" --ctx-len 900 --prompt-len 4 &&
		printf 'Once upon a time %.0s' {1..40} >"$work/prompt" &&
		"$BUILD/bin/aipu-gen" --device soft --qpc "$work/qpc" --prompt-file "$work/prompt" --temperature 0.8 \
			--seed 7 --max-tokens 600 >"$work/expected" && [ -s "$work/expected" ]
}

# boot KERNEL CASE=CARD-OPTIONS...
boot()
{
	local kernel=$1 cards=() cases=() one
	shift
	for one in "$@"; do
		cards+=("--card" "${#cases[@]}:--memory 128M --cores 1 ${one#*=}")
		cases+=("${one%%=*}")
	done
	"$SRC/scripts/kernel" --modules "$kernel" "$SRC" "$work/$kernel" &&
		"$SRC/scripts/vm" --kernel "$kernel" --timeout 1500 --cards "${#cases[@]}" "${cards[@]}" --module drm \
			--module drm_shmem_helper --file "$work/qpc" --file "$work/prompt" --file "$work/expected" \
			--file "$work/$kernel/aipu_accel.ko" --file "$BUILD/firmware/aipu-soft.fw" --file "$BUILD/bin/aipu-gen" --file "$BUILD/lib/libaipu-drm.so" \
			--file "$SRC/tests/guest/_ok.sh" -- \
			sh "$SRC/tests/guest/_rebuild.sh" "$work/$kernel/aipu_accel.ko" "$BUILD/firmware/aipu-soft.fw" \
			"$BUILD/bin/aipu-gen" "$work" "${cases[@]}" >"$work/out" 2>"$work/err" && return
	echo "exit status $?"
	tail -n 60 "$work/err"
	return 1
}

complete()
{
	tail -n 5 "$work/out"
	tap_whole "$work/out"
}

# Jobs of a run on a fresh card: some 57 clear memory and load the model, 60 compute the prompt, one generates.
all=("resets=" "loading=--fault fatal-error@20" "fatal=--fault fatal-error@85" "hang=--fault hang@86"
	"always=$(printf -- '--fault fatal-error@%s ' {3..18})" "suspend=")

tap_ok "a model and what aipu-gen answers" prepare
for kernel in ${REBUILD_KERNELS:-6.12 debug}; do
	: >"$work/out"
	tap_ok "$kernel: runs" boot "$kernel" "${all[@]}"
	tap_pass_on "$kernel" "$work/out"
	tap_ok "$kernel: came to its end" complete
done
tap_done
