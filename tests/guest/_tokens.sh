# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What tests/guest/generate.c has to answer: sourced by the scripts that compare it, run by none.

# tokens_prepare DIR: compiles the demo model to DIR/qpc and writes, for each case, DIR/CASE.arguments (what follows
# FIRMWARE MODEL.QPC on generate's command line) and DIR/CASE.tokens (the line that it must print), both from aipu-gen.
tokens_prepare()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$1/qpc" >"$1/compile.log" 2>&1 || {
		cat "$1/compile.log"
		return 1
	}
	tokens_case "$1" greedy 0 1 40 "Once upon a time" &&
		tokens_case "$1" drawn 0.8 7 40 "Once upon a time" &&
		tokens_case "$1" long 0.9 3 400 "$(tokens_golden)" &&
		[ "$(wc -w <"$1/long.arguments")" -gt 50 ] && grep -q '"finish_reason": "stop"' "$1/long.json"
}

# A story to go on with, of more tokens than one prefill step takes
tokens_golden()
{
	python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["ids"]["text"].split(" The kitten cried")[0])' "$SRC/tests/golden/demo.json"
}

# tokens_case DIR CASE TEMPERATURE SEED MOST PROMPT
tokens_case()
{
	"$BUILD/bin/aipu-gen" --qpc "$1/qpc" --temperature "$3" --seed "$4" --max-tokens "$5" --prompt "$6" --json \
		>"$1/$2.json" || return 1
	python3 - "$1/$2" "$3 $4 $5" <<'PY'
import json
import sys

name, sampling = sys.argv[1:]
with open(name + ".json") as file:
    answer = json.load(file)
with open(name + ".arguments", "w") as file:
    print(sampling, *answer["prompt_tokens"], file=file)
with open(name + ".tokens", "w") as file:
    print(*answer["tokens"], file=file)
PY
}
