#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The demo model's files belong together, and the stories' parser knows a story from none. What the
# model computes is compared elsewhere; this needs neither torch nor a build.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

if ! command -v python3 >/dev/null; then
	tap_skip "the demo model's files belong together" "python3 is not installed"
	tap_done
fi

export PYTHONDONTWRITEBYTECODE=1
demo=$SRC/models/demo
golden=$SRC/tests/golden

# about KEY...: one value of demo.json.
about()
{
	python3 -c 'import functools, json, operator, sys
print(functools.reduce(operator.getitem, sys.argv[2:], json.load(open(sys.argv[1]))))' \
		"$golden/demo.json" "$@"
}

# digest_is FILE DIGEST
digest_is()
{
	echo "$2  $1" | sha256sum --check --status
}

small_enough()
{
	size=$(stat -c %s "$demo/model.safetensors")
	echo "$size bytes"
	[ "$size" -lt 4000000 ]
}

# accepted [--dialogues]: what the generator writes, the parser accepts.
accepted()
{
	python3 "$SRC/models/stories.py" "$@" --json --count 200 --seed 11 |
		python3 "$SRC/models/stories.py" "$@" --check -
}

# refused SED-SCRIPT: a story that the script changed does not parse.
refused()
{
	python3 "$SRC/models/stories.py" --count 1 --seed 11 >"$TMPDIR/story"
	sed "$1" "$TMPDIR/story" >"$TMPDIR/changed"
	cat "$TMPDIR/changed"
	! cmp -s "$TMPDIR/story" "$TMPDIR/changed" &&
		! python3 "$SRC/models/stories.py" --check "$TMPDIR/changed"
}

tap_ok "the golden logits are of this model.safetensors" \
	digest_is "$demo/model.safetensors" "$(about model_safetensors_sha256)"
tap_ok "the golden ids are of this tokenizer.model" \
	digest_is "$demo/tokenizer.model" "$(about tokenizer_model_sha256)"
tap_ok "the golden logits are whole" \
	digest_is "$golden/demo_logits.f32" "$(about logits sha256)"
tap_ok "there are as many golden ids as demo.json says" \
	[ "$(wc -l <"$golden/demo_ids.txt")" = "$(about ids count)" ]
tap_ok "model.safetensors is under 4 MB" small_enough
tap_ok "generated stories parse" accepted
tap_ok "generated dialogues parse" accepted --dialogues
tap_ok "a cut story does not parse" refused 's/[^ ]* [^ ]*$//'
tap_ok "a story that goes on does not parse" refused 's/$/ The end./'
tap_ok "a story with a word twice does not parse" refused 's/ a / a a /'
tap_ok "a story with another name half-way does not parse" refused 's/^\(.*\)\b[A-Z][a-z]* /\1Zelda /'
tap_done
