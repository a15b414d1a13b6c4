#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-gen as its users see it: what is on stdout, exit codes, one clear line for bad input. Uses the demo model,
# so it needs nothing but the build.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

gen=$BUILD/bin/aipu-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
qpc=$work/demo

setup()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$qpc" --precision int8 >"$work/log" 2>&1 || cat "$work/log"
	[ -f "$qpc/model.qpc" ]
}

field()
{
	python3 -c 'import json,sys
v = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."):
    v = v[k]
print(json.dumps(v))' "$1" "$2"
}

repeats()
{
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --temperature 0.8 --seed 7 --max-tokens 40 >"$work/a" || return 1
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --temperature 0.8 --seed 7 --max-tokens 40 --cores 1 >"$work/b" || return 1
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --temperature 0.8 --seed 8 --max-tokens 40 >"$work/c" || return 1
	[ -s "$work/a" ] && cmp "$work/a" "$work/b" && ! cmp -s "$work/a" "$work/c"
}

echoes()
{
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 12 >"$work/a" || return 1
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 12 --echo >"$work/b" || return 1
	printf 'Once upon a time' | cat - "$work/a" | cmp - "$work/b"
}

from_file()
{
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 12 >"$work/a" || return 1
	printf 'Once upon a time' | "$gen" --qpc "$qpc" --prompt-file - --max-tokens 12 | cmp "$work/a" -
}

json_object()
{
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 12 --json >"$work/j" 2>"$work/err" || return 1
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 12 >"$work/a" || return 1
	[ ! -s "$work/err" ] || return 1
	python3 - "$work/j" "$work/a" <<'PY'
import json, sys
j = json.load(open(sys.argv[1]))
assert j["text"] == open(sys.argv[2]).read(), "text differs from the plain output"
assert j["prompt"] == "Once upon a time" and j["finish_reason"] == "length"
assert len(j["tokens"]) == 12 and j["prompt_tokens"][0] == 1 and j["schema_version"] == 1
s = j["stats"]
for k in ("load_ms", "tokenize_ms", "prefill_ms", "ttft_ms", "decode_ms", "decode_tokens_per_s"):
    assert s[k] > 0, k
assert s["rss_anon_bytes"] > 0 and s["weights_bytes"] > 1000000 and s["kv_bytes"] > 0
assert s["rebuilds"] == 0
assert j["seed"] is None
PY
}

unknown_is_null()
{
	"$gen" --qpc "$qpc" --prompt "" --max-tokens 1 --json >"$work/j" || return 1
	[ "$(field "$work/j" stats.decode_tokens_per_s)" = null ] &&
		[ "$(field "$work/j" stats.prefill_ms)" = null ] &&
		[ "$(field "$work/j" finish_reason)" = '"length"' ]
}

memory_is_bounded()
{
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 200 --json >"$work/j" || return 1
	python3 - "$work/j" <<'PY'
import json, sys
s = json.load(open(sys.argv[1]))["stats"]
assert s["rss_anon_bytes"] <= s["kv_bytes"] + (64 << 20), s
assert s["rss_file_bytes"] <= s["weights_bytes"] + (64 << 20), s
PY
}

closed_pipe()
{
	local status
	"$gen" --qpc "$work/slowq" --prompt "Once upon a time" --temperature 1 --seed 1 2>"$work/err" | head -c 5 >/dev/null
	status=${PIPESTATUS[0]}
	[ "$status" -eq 141 ] || { echo "exit status $status"; return 1; }
	[ ! -s "$work/err" ]
}

full_disk()
{
	local status=0
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 5 >/dev/full 2>"$work/err" || status=$?
	[ "$status" -eq 1 ] && grep -q "standard output" "$work/err"
}

# A model that takes seconds for its context: 100 M parameters of a sparse file, all zero.
slow_model()
{
	python3 "$SRC/tests/tools/_slow_model.py" "$work/slow" 1024 2816 8 0 || return 1
	cp "$SRC/models/demo/tokenizer.model" "$work/slow/"
	"$BUILD/bin/aipu-compile" "$work/slow" -o "$work/slowq"
}

# interrupted SIGNAL [--json]: the signal comes when there is text, or with --json (which says nothing until the end)
# when -v has said that the model is loaded
interrupted()
{
	local signal=$1 pid status=0 i
	shift
	[ "${1-}" != --json ] || set -- --json -v
	mkfifo "$work/fifo"
	"$gen" --qpc "$work/slowq" --prompt "Once" --temperature 1 --seed 3 "$@" >"$work/fifo" 2>"$work/err" &
	pid=$!
	exec 8<"$work/fifo"
	rm "$work/fifo"
	if [ "${1-}" = --json ]; then
		for i in $(seq 300); do
			grep -q '^memory:' "$work/err" && break
			sleep 0.1
		done
		sleep 0.3
	else
		head -c 10 <&8 >/dev/null
	fi
	kill -s "$signal" "$pid"
	cat <&8 >"$work/rest"
	exec 8<&-
	wait "$pid" || status=$?
	[ "$status" -eq 130 ] || { echo "exit status $status, expected 130"; cat "$work/err"; return 1; }
	[ "$(grep -cv '^[a-z]*: ' "$work/err")" -eq 0 ] || { cat "$work/err"; return 1; }
	if grep -q '^aipu-gen:' "$work/err"; then
		cat "$work/err"
		return 1
	fi
	[ "${1-}" != --json ] || [ "$(field "$work/rest" finish_reason)" = '"abort"' ]
}

verbose_lines()
{
	"$gen" --qpc "$qpc" --prompt "Once" --max-tokens 2 -v >"$work/a" 2>"$work/err" || return 1
	grep -q '^device:   soft' "$work/err" && grep -q '^firmware: .*in range' "$work/err" &&
		grep -q '^model: ' "$work/err" && grep -q '^memory: .*free' "$work/err"
}

stats_lines()
{
	"$gen" --qpc "$qpc" --prompt "Once upon a time" --max-tokens 9 --show-stats >"$work/a" 2>"$work/err" || return 1
	grep -q 'decode rate .*tokens/s' "$work/err" && grep -q '^answer .* 9 tokens, length$' "$work/err" || return 1
	"$gen" --qpc "$qpc" --prompt "" --max-tokens 1 --show-stats >"$work/a" 2>"$work/err" || return 1
	grep -q '^prompt .* 1 token$' "$work/err" && grep -q '^answer .* 1 token, length$' "$work/err"
}

# interrupted_prompt SIGNAL: it comes while the prompt is read from a pipe that nobody writes to
interrupted_prompt()
{
	local pid status=0 i
	mkfifo "$work/fifo"
	: >"$work/err" # what it waits for below is no line of before
	exec 8<>"$work/fifo"
	"$gen" --qpc "$qpc" --prompt-file - -v <&8 8>&- >"$work/out" 2>"$work/err" &
	pid=$!
	# After this line it reads, sooner or later; the end is the same
	for i in $(seq 600); do
		grep -q '^memory:' "$work/err" && break
		sleep 0.1
	done
	kill -s "$1" "$pid"
	wait "$pid" || status=$?
	exec 8>&-
	rm "$work/fifo"
	cat "$work/err"
	[ "$status" -eq 130 ] && [ ! -s "$work/out" ] && ! grep -q '^aipu-gen:' "$work/err" && return
	echo "exit status $status, expected 130 and no error"
	return 1
}

help_is_complete()
{
	"$gen" --help >"$work/help" || return 1
	for option in qpc prompt prompt-file max-tokens temperature top-k top-p min-p seed echo device cores \
		show-stats json verify verbose version help; do
		grep -q -- "--$option" "$work/help" || { echo "--$option is not in --help"; return 1; }
	done
	"$gen" --version | grep -Eq '^aipu-gen [0-9]+\.[0-9]+\.[0-9]+ \(contract [0-9]+\.[0-9]+\)$'
}

truncated()
{
	cp -r "$qpc" "$work/short"
	truncate -s -8192 "$work/short/model.qpc"
	tap_line 1 "model.qpc" -- "$gen" --qpc "$work/short" --prompt x
}

flipped()
{
	rm -rf "$work/flip"
	cp -r "$qpc" "$work/flip"
	python3 - "$work/flip/model.qpc" "$1" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2])); b = f.read(1); f.seek(int(sys.argv[2])); f.write(bytes([b[0] ^ 4]))
PY
	shift
	tap_line "$@"
}

# Offset of the middle of the largest section: the weights
weights_offset()
{
	python3 - "$qpc/model.qpc" <<'PY'
import struct, sys
data = open(sys.argv[1], "rb").read(4096)
best = (0, 0)
for i in range(60):
    kind, flags, offset, size = struct.unpack_from("<IIQQ", data, 256 + 64 * i)
    if kind == 4:
        best = (offset, size)
print(best[0] + best[1] // 2)
PY
}

closed_stdout()
{
	local status=0
	"$gen" --qpc "$qpc" --prompt x --max-tokens 3 "$@" >&- 2>"$work/err" || status=$?
	[ "$status" -eq 1 ] && [ "$(grep -c . "$work/err")" -eq 1 ] && grep -q "standard output" "$work/err"
}

nul_byte()
{
	printf 'ab\0cd' >"$work/nul"
	tap_line 1 "NUL byte at 2" -- "$gen" --qpc "$qpc" --prompt-file "$work/nul"
}

fifo_tokenizer()
{
	cp -r "$qpc" "$work/piped"
	rm "$work/piped/tokenizer.model"
	mkfifo "$work/piped/tokenizer.model"
	tap_line 1 "not a regular file" -- timeout 20 "$gen" --qpc "$work/piped" --prompt x
}

long_prompt=$(printf 'word %.0s' $(seq 600))

tap_ok "the demo model compiles" setup
tap_ok "--help names every option, --version the versions" help_is_complete
tap_ok "same seed same text, whatever the cores; another seed another text" repeats
tap_ok "--echo puts the prompt before the answer" echoes
tap_ok "--prompt-file - reads standard input" from_file
tap_ok "--json is one object with the same text" json_object
tap_ok "what is unknown is null" unknown_is_null
tap_ok "memory: anonymous at most KV + 64 MiB, file at most weights + 64 MiB" memory_is_bounded
tap_ok "-v says device, firmware, model, memory" verbose_lines
tap_ok "--show-stats goes to stderr" stats_lines
tap_ok "--verify passes on a good container" "$gen" --qpc "$qpc" --prompt x --max-tokens 1 --verify
tap_ok "a full disk is one line and 1" full_disk
tap_ok "a slow model compiles" slow_model
tap_ok "a closed pipe ends it with 141" closed_pipe
tap_ok "Ctrl-C while generating: 130, no noise" interrupted INT
tap_ok "SIGTERM while generating: 130, no noise" interrupted TERM
tap_ok "Ctrl-C with --json: finish_reason is abort" interrupted INT --json
tap_ok "Ctrl-C while the prompt is read: 130, no noise" interrupted_prompt INT
tap_ok "SIGTERM while the prompt is read: 130, no noise" interrupted_prompt TERM
tap_ok "an unknown option" tap_line 2 "aipu-gen: unknown option '--bogus'; see aipu-gen --help" -- "$gen" --bogus
tap_ok "an unknown letter" tap_line 2 "aipu-gen: unknown option '-x'" -- "$gen" -x
tap_ok "an option without its value" tap_line 2 "aipu-gen: a value is missing after '--seed'" -- "$gen" --seed
tap_ok "no --qpc" tap_line 2 --qpc -- "$gen" --prompt x
tap_ok "no prompt" tap_line 2 --prompt -- "$gen" --qpc "$qpc"
tap_ok "a stray argument" tap_line 2 "'stray'" -- "$gen" --qpc "$qpc" --prompt x stray
tap_ok "a bad number" tap_line 2 --max-tokens "'12x'" "integer" -- "$gen" --qpc "$qpc" --prompt x --max-tokens 12x
tap_ok "a number out of range" tap_line 2 --top-p "'1.5'" "from 0 to 1" -- "$gen" --qpc "$qpc" --prompt x --top-p 1.5
tap_ok "no such device" tap_line 3 accel7 -- "$gen" --qpc "$qpc" --prompt x --device accel7
tap_ok "no such container" tap_line 1 "$work/none" -- "$gen" --qpc "$work/none" --prompt x
tap_ok "prompt longer than the context says both numbers" tap_line 1 512 tokens -- "$gen" --qpc "$qpc" --prompt "$long_prompt"
tap_ok "prompt that is not UTF-8" tap_line 1 UTF-8 -- "$gen" --qpc "$qpc" --prompt $'a\xffb'
tap_ok "prompt with a NUL byte" nul_byte
tap_ok "prompt without end" tap_line 1 "more than" -- "$gen" --qpc "$qpc" --prompt-file /dev/zero
tap_ok "both kinds of prompt" tap_line 2 "only one" -- "$gen" --qpc "$qpc" --prompt x --prompt-file y
tap_ok "empty --qpc" tap_line 2 --qpc -- "$gen" --qpc "" --prompt x
tap_ok "the container's file instead of its directory" tap_line 1 "directory" -- "$gen" --qpc "$qpc/model.qpc" --prompt x
tap_ok "closed standard output" closed_stdout
tap_ok "closed standard output, --json" closed_stdout --json
tap_ok "a FIFO as tokenizer" fifo_tokenizer
tap_ok "truncated container" truncated
tap_ok "bit flipped in the header: found by its digest" flipped 40 1 "header" -- "$gen" --qpc "$work/flip" --prompt x
tap_ok "bit flipped in the section table: found by the header's digest" flipped 300 1 "digest" -- "$gen" --qpc "$work/flip" --prompt x
tap_ok "bit flipped in the model description: found by its section's digest" flipped 4100 1 "digest" -- "$gen" --qpc "$work/flip" --prompt x
tap_ok "bit flipped in the weights: found by --verify" flipped "$(weights_offset)" 1 "WEIGHTS" -- "$gen" --qpc "$work/flip" --prompt x --verify
tap_done
