#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# A generation goes on when the card is reset in its middle: by its function's reset, by suspend, by the driver because the
# card hung or failed; through both doors, two processes at a time. The text is the software device's. A card that fails each
# time is given up. REBUILD_KERNELS: on which kernels.
set -u
# shellcheck source=tests/guest/_host.sh
. "$(dirname "$0")/_host.sh"

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
	driver_for "$kernel" &&
		runs --kernel "$kernel" --timeout 1500 --cards "${#cases[@]}" "${cards[@]}" "${with_driver[@]}" --file "$work/qpc" \
			--file "$work/prompt" --file "$work/expected" -- \
			sh "$guest/_rebuild.sh" "$work/$kernel/aipu_accel.ko" "$firmware" "$BUILD/bin/aipu-gen" "$work" "${cases[@]}"
}

# Jobs of a run on a fresh card: some 57 clear memory and load the model, 60 compute the prompt, one generates.
all=("resets=" "loading=--fault fatal-error@20" "fatal=--fault fatal-error@85" "hang=--fault hang@86"
	"always=$(printf -- '--fault fatal-error@%s ' {3..18})" "suspend=")

tap_ok "a model and what aipu-gen answers" prepare
for kernel in ${REBUILD_KERNELS:-6.12 debug}; do
	tap_ok "$kernel: runs" boot "$kernel" "${all[@]}"
	results "$kernel"
done
tap_done
