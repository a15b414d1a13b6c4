#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-compile and aipu-qpc as their users see them: what they leave on disk, exit codes, one clear line for what cannot
# be compiled, nothing left behind by what fails. Uses the demo model; a large one is made as a file with a hole.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

compile=$BUILD/bin/aipu-compile
qpc=$BUILD/bin/aipu-qpc
demo=$SRC/models/demo
work=$(mktemp -d)
trap 'umount "$work/small" "$work/readonly" 2>/dev/null; rm -rf "$work"' EXIT

# Nothing but what is named after the directory stands in it, hidden files included.
only()
{
	local directory=$1
	shift
	[ "$(find "$directory" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort | xargs)" = "$*" ] ||
		{ find "$directory" -mindepth 1 -maxdepth 1; return 1; }
}

default_name()
{
	mkdir "$work/names" && cd "$work/names" || return 1
	"$compile" "$demo" && "$compile" "$demo/" --precision fp16 --prompt-len 8 --ctx-len 128 \
		--batch-size 2 --cores 3 --name other || return 1
	only . demo-32pl-512cl-1bs-int8 other-8pl-128cl-2bs-3c-fp16 || return 1
	only demo-32pl-512cl-1bs-int8 generation_config.json model.qpc specializations.json tokenizer.model &&
		cmp demo-32pl-512cl-1bs-int8/tokenizer.model "$demo/tokenizer.model"
}

quiet()
{
	"$compile" "$demo" -o "$work/quiet" >"$work/out" 2>&1 && [ ! -s "$work/out" ]
}

reproducible()
{
	(cd / && "$compile" "$demo" -o "$work/a" --threads 1) || return 1
	sleep 1
	cp -r "$demo" "$work/demo" && "$compile" "$work/demo" -o "$work/b" --threads 3 || return 1
	diff -r "$work/a" "$work/b"
}

json_output()
{
	"$compile" "$demo" -o "$work/json" --json --precision fp16 | python3 -c '
import json, os, sys
d = json.load(sys.stdin)
assert d["schema_version"] == 1 and d["precision"] == "fp16" and d["kv_precision"] == "fp16", d
assert d["bytes"] == os.stat(d["output"] + "/model.qpc").st_size, d
s = json.load(open(d["output"] + "/specializations.json"))["specializations"]
assert [x["seq_len"] for x in s] == [32, 1] and s[0]["ctx_len"] == 512, s'
}

force()
{
	"$compile" "$demo" -o "$work/force" || return 1
	tap_line 1 "$work/force" "exists already; --force" -- "$compile" "$demo" -o "$work/force" --precision fp16 || return 1
	"$qpc" show "$work/force" | grep -q int8 || return 1
	"$compile" "$demo" -o "$work/force" --precision fp16 --force || return 1
	"$qpc" show "$work/force" | grep -q fp16 || return 1
	! find "$work" -name '*.tmp*' | grep .
}

force_spares_others()
{
	mkdir "$work/mine" && echo precious >"$work/mine/thesis" || return 1
	tap_line 1 "not a QPC directory" "thesis" -- "$compile" "$demo" -o "$work/mine" --force || return 1
	# Not even from a directory that holds a container too, nor through a link
	"$compile" "$demo" -o "$work/mixed" && mv "$work/mine/thesis" "$work/mixed/" || return 1
	tap_line 1 "thesis" -- "$compile" "$demo" -o "$work/mixed" --force || return 1
	ln -s "$work/mixed" "$work/link" && tap_line 1 "not a QPC directory" -- "$compile" "$demo" -o "$work/link" --force &&
		[ "$(cat "$work/mixed/thesis")" = precious ] && "$qpc" verify "$work/mixed"
}

no_tokenizer()
{
	mkdir "$work/notok" && cp "$demo"/*.json "$demo"/model.safetensors "$work/notok/" || return 1
	tap_line 1 "notok/tokenizer.model: tokenizer missing" --tokenizer -- "$compile" "$work/notok" -o "$work/x" &&
		tap_line 1 "nowhere: tokenizer missing" -- "$compile" "$work/notok" -o "$work/x" --tokenizer nowhere &&
		"$compile" "$work/notok" -o "$work/withtok" --tokenizer "$demo/tokenizer.model" &&
		[ ! -e "$work/x" ] || return 1
	echo '{}' >"$work/notok/tokenizer.json"
	tap_line 1 "notok/tokenizer.model: tokenizer missing" "tokenizer.json beside it is not read" -- \
		"$compile" "$work/notok" -o "$work/x"
}

# What people have of a model besides: it is told by name, not by a number in what is no header.
other_formats()
{
	printf 'GGUF\3\0\0\0' >"$work/m.gguf" && printf 'GGUF%0100d' 3 >"$work/long.gguf" &&
		printf 'PK\3\4%0100d' 0 >"$work/pytorch_model.bin" || return 1
	tap_line 1 "m.gguf: a GGUF file" "Hugging Face directory" -- "$compile" "$work/m.gguf" -o "$work/x" &&
		tap_line 1 "long.gguf: a GGUF file" -- "$compile" "$work/long.gguf" -o "$work/x" &&
		tap_line 1 "pytorch_model.bin: a file of PyTorch" -- "$compile" "$work/pytorch_model.bin" -o "$work/x" &&
		tap_line 1 "name the directory" -- "$compile" "$demo/model.safetensors" -o "$work/x" &&
		tap_line 1 "name the directory" -- "$compile" "$demo/config.json" -o "$work/x" &&
		mkdir "$work/nothing" &&
		tap_line 1 "nothing/config.json: No such file" "a Hugging Face directory" -- "$compile" "$work/nothing" -o "$work/x" &&
		tap_line 1 "model.qpc: No such file" "a directory that aipu-compile made" -- "$qpc" show "$demo"
}

# Looked at before anything is written: what would only fail when the model is loaded
wrong_tokenizer()
{
	local tiny=$work/tiny
	printf 'no tokenizer at all\n' >"$work/text.model"
	tap_line 1 "text.model: not a sentencepiece model" -- "$compile" "$demo" -o "$work/x" --tokenizer "$work/text.model" ||
		return 1
	# Three pieces as llama2.c keeps them: the longest's length; score, length, bytes of each
	python3 -c '
import struct, sys
pieces = [b"<unk>", b"a", b"bc"]
open(sys.argv[1], "wb").write(struct.pack("<i", 5) + b"".join(struct.pack("<fi", 0, len(p)) + p for p in pieces))
' "$work/tok3.bin" || return 1
	tap_line 1 "tok3.bin: is in llama2.c's format" "tok3.model" -- \
		"$compile" "$demo" -o "$work/x" --tokenizer "$work/tok3.bin" || return 1
	printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n' >"$work/pointer.model"
	tap_line 1 "pointer.model: a git-lfs pointer" -- "$compile" "$demo" -o "$work/x" --tokenizer "$work/pointer.model" ||
		return 1
	[ ! -e "$work/x" ] && zero_model "$tiny-less" 40 && zero_model "$tiny-more" 40000 || return 1
	tap_line 1 "the model's vocabulary is 40: the tokenizer of another model" -- \
		"$compile" "$tiny-less" -o "$work/x" --tokenizer "$demo/tokenizer.model" || return 1
	[ ! -e "$work/x" ] && tap_line 0 "warning" "the model's vocabulary is 40000" -- \
		"$compile" "$tiny-more" -o "$work/padded" --tokenizer "$demo/tokenizer.model" &&
		"$qpc" verify "$work/padded" >/dev/null
}

# zero_model FILE VOCABULARY: a llama2.c checkpoint of one small layer, all zero
zero_model()
{
	python3 -c '
import struct, sys
d, h, v, s = 32, 32, int(sys.argv[2]), 16
floats = v * d + d + 4 * d * d + d + 3 * d * h + d + s * d // 2
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<7i", d, h, 1, 2, 2, v, s))
    f.truncate(28 + 4 * floats)' "$1" "$2"
}

# Neither a descriptor too few nor a compile that was killed leaves anything for long.
leftovers()
{
	local dead
	mkdir "$work/left" || return 1
	for n in 4 5 6 7; do
		(ulimit -n $n; "$compile" "$demo" -o "$work/left/x") >/dev/null 2>&1 && rm -r "$work/left/x"
		only "$work/left" || { echo "with $n descriptors"; return 1; }
	done
	sleep 0 &
	dead=$!
	wait "$dead"
	mkdir "$work/left/.x.$dead.tmp" "$work/left/.x.$$.tmp" "$work/left/.other.$dead.tmp" \
		"$work/left/.x.$dead.tmp.mine" || return 1
	touch "$work/left/.x.$dead.tmp/model.qpc"
	"$compile" "$demo" -o "$work/left/x" &&
		only "$work/left" "$(printf '%s\n' ".other.$dead.tmp" ".x.$$.tmp" ".x.$dead.tmp.mine" x | sort | xargs)"
}

other_architecture()
{
	mkdir "$work/other" && cp "$demo"/model.safetensors "$demo/tokenizer.model" "$work/other/" || return 1
	sed 's/"llama"/"qwen2"/' "$demo/config.json" >"$work/other/config.json"
	tap_line 1 "model_type is qwen2: only llama" -- "$compile" "$work/other" -o "$work/x" && [ ! -e "$work/x" ]
}

# A tmpfs of one megabyte: the container has two.
disk_full()
{
	local got=0
	"$compile" "$demo" -o "$work/small/x" >"$work/out" 2>"$work/err" || got=$?
	[ "$got" -eq 1 ] && [ "$(grep -c . "$work/err")" -eq 1 ] && grep -q "small/x/model.qpc: cannot write it: No space left" "$work/err" &&
		only "$work/small"
}

# The same where nothing can be mounted: files may not grow beyond 1 MiB.
file_limit()
{
	mkdir "$work/limit" || return 1
	tap_line 1 "limit/x/model.qpc: cannot write it: File too large" -- prlimit --fsize=1048576 "$compile" "$demo" -o "$work/limit/x" && only "$work/limit"
}


# A checkpoint of TinyLlama's shape, all zero: a header and a hole
big_model()
{
	mkdir -p "$work/big" && cp "$demo/tokenizer.model" "$work/big/" && python3 - "$work/big" <<'EOF'
import json, struct, sys
V, L, D, H, Q, K = 32000, 22, 2048, 5632, 2048, 256
tensors, end = {}, 0
def add(name, *shape):
    global end
    size = 2
    for n in shape:
        size *= n
    tensors[name + ".weight"] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
    end += size
for name, shape in (("model.embed_tokens", (V, D)), ("lm_head", (V, D)), ("model.norm", (D,))):
    add(name, *shape)
for i in range(L):
    for name, shape in (("input_layernorm", (D,)), ("post_attention_layernorm", (D,)),
                        ("self_attn.q_proj", (Q, D)), ("self_attn.k_proj", (K, D)), ("self_attn.v_proj", (K, D)),
                        ("self_attn.o_proj", (D, Q)), ("mlp.gate_proj", (H, D)), ("mlp.up_proj", (H, D)),
                        ("mlp.down_proj", (D, H))):
        add("model.layers.%d.%s" % (i, name), *shape)
header = json.dumps(tensors).encode()
with open(sys.argv[1] + "/model.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(header)) + header)
    f.truncate(8 + len(header) + end)
json.dump(dict(model_type="llama", hidden_size=D, intermediate_size=H, num_hidden_layers=L, num_attention_heads=32,
               num_key_value_heads=4, vocab_size=V, max_position_embeddings=2048), open(sys.argv[1] + "/config.json", "w"))
EOF
}

# The issue's bound on anonymous memory, enforced by the kernel
big_in_512m()
{
	prlimit --data=536870912 "$compile" "$work/big" -o "$work/bigout" || return 1
	rm -rf "$work/bigout"
}

# A compile that is interrupted once its temporary directory stands
interrupted()
{
	local signal=$1 pid got=0 i
	mkdir -p "$work/int" || return 1
	# A background job of a script ignores SIGINT unless it is told otherwise.
	env --default-signal=INT "$compile" "$work/big" -o "$work/int/x" --threads 1 2>"$work/err" &
	pid=$!
	for i in $(seq 300); do
		[ -n "$(find "$work/int" -name 'model.qpc')" ] && break
		sleep 0.02
	done
	kill -s "$signal" "$pid"
	wait "$pid" || got=$?
	[ "$got" -eq 130 ] || { echo "exit status $got after $i looks"; return 1; }
	grep -q interrupted "$work/err" && only "$work/int"
}

flip()
{
	cp -r "$work/a" "$work/$1" && printf '\377' |
		dd of="$work/$1/model.qpc" bs=1 seek="$2" conv=notrunc status=none
}

damage()
{
	local weights
	weights=$("$qpc" show "$work/a" --json | python3 -c '
import json, sys
print([s["offset"] for s in json.load(sys.stdin)["sections"] if s["kind"] == "weights"][0])') || return 1
	"$qpc" verify "$work/a" | grep -q undamaged || return 1
	"$qpc" verify "$work/a/model.qpc" >"$work/out" || return 1
	flip f1 100 && tap_line 1 "header's digest" -- "$qpc" verify "$work/f1" || return 1
	flip f2 8200 && tap_line 1 "digest of section PROGRAM" -- "$qpc" verify "$work/f2" || return 1
	flip f3 $((weights + 5)) && tap_line 1 "section WEIGHTS do not match" -- "$qpc" verify "$work/f3" || return 1
	cp -r "$work/a" "$work/f4" && truncate -s -5000 "$work/f4/model.qpc" &&
		tap_line 1 truncated -- "$qpc" verify "$work/f4" || return 1
	flip f5 8 && tap_line 1 "container version 255" "upgrade the runtime" -- "$qpc" verify "$work/f5" || return 1
	tap_line 1 "No such file" -- "$qpc" verify "$work/nowhere"
}

show()
{
	"$qpc" show "$work/a" --program | grep -q 'attention.*kv+0x0' || return 1
	"$qpc" show "$work/a" --json --program | python3 -c '
import json, sys
d = json.load(sys.stdin)
p = d["programs"][0]
assert d["model"]["layers"] == 4 and d["model"]["stop_ids"], d["model"]
assert [e["name"] for e in p["entries"]] == ["prefill", "decode", "logits"]
assert len(p["code"]) == p["instructions"] and len(p["tensor_table"]) == p["tensors"]
assert d["source"]["source"] == "huggingface"'
}

# The reading end is closed before anything is written.
closed_pipe()
{
	python3 -c '
import os, subprocess, sys
r, w = os.pipe()
os.close(r)
sys.exit(subprocess.run(sys.argv[1:], stdout=w).returncode != 141)' "$qpc" show "$work/a"
}

usage()
{
	tap_line 2 "MODEL is missing" -- "$compile" &&
		tap_line 2 "unknown option '--frob'" -- "$compile" --frob "$demo" &&
		tap_line 2 "unknown option '-x'" -- "$compile" -vx "$demo" &&
		tap_line 2 "missing after '--ctx-len'" -- "$compile" "$demo" --ctx-len &&
		tap_line 2 "missing after '-o'" -- "$compile" "$demo" -o &&
		tap_line 2 "unknown option '--frob'" -- "$qpc" show --frob &&
		tap_line 2 "one MODEL" -- "$compile" "$demo" more &&
		tap_line 2 "int8, fp16 or fp32" -- "$compile" "$demo" --precision int4 &&
		tap_line 2 "with --precision fp32 the KV cache is fp32" -- "$compile" "$demo" --precision fp32 --kv-precision fp16 &&
		tap_line 2 "--prompt-len '0'" -- "$compile" "$demo" --prompt-len 0 &&
		tap_line 2 "--batch-size 'x'" -- "$compile" "$demo" --batch-size x &&
		tap_line 2 "--name" -- "$compile" "$demo" --name a/b &&
		tap_line 1 "--ctx-len 1024 is longer than the model's context, 512" -- "$compile" "$demo" --ctx-len 1024 &&
		tap_line 1 "--prompt-len 64 is longer than the context, 32" -- "$compile" "$demo" --prompt-len 64 --ctx-len 32 &&
		tap_line 2 "MODEL ''" -- "$compile" '' &&
		tap_line 2 "--tokenizer ''" -- "$compile" "$demo" --tokenizer '' &&
		tap_line 2 "'': a directory or a file" -- "$qpc" show '' &&
		tap_line 1 "No such file" -- "$compile" "$work/nowhere" &&
		tap_line 1 "No such file" -- "$compile" "$demo" -o "$work/nowhere/x" &&
		tap_line 2 "show or verify" -- "$qpc" dance "$work/a" &&
		tap_line 2 "verify: unknown option '--json'" -- "$qpc" verify --json "$work/a"
}

help_and_version()
{
	"$compile" --help | grep -q -- '--kv-precision' && "$compile" --version | grep -q '^aipu-compile [0-9]' &&
		"$qpc" --help | grep -q verify && "$qpc" --version | grep -q '^aipu-qpc [0-9]'
}

tap_ok "default directory and its files" default_name
tap_ok "no output without a terminal" quiet
tap_ok "the same bytes from anywhere, with any number of threads" reproducible
tap_ok "--json" json_output
tap_ok "--force replaces a QPC directory" force
tap_ok "--force replaces nothing else" force_spares_others
tap_ok "tokenizer missing" no_tokenizer
tap_ok "models in other formats" other_formats
tap_ok "tokenizer of another format or another model" wrong_tokenizer
tap_ok "nothing is left without descriptors, nor after a kill" leftovers
tap_ok "another architecture" other_architecture
tap_ok "usage errors" usage
tap_ok "help and version" help_and_version
tap_ok "aipu-qpc show" show
tap_ok "aipu-qpc verify names the check that fails" damage
tap_ok "closed pipe" closed_pipe
tap_ok "file size limit: nothing is left" file_limit
mkdir "$work/small" "$work/readonly"
if mount -t tmpfs -o size=1m none "$work/small" 2>/dev/null; then
	tap_ok "disk full: nothing is left" disk_full
	umount "$work/small"
else
	tap_skip "disk full: nothing is left" "cannot mount a tmpfs here"
fi
if mount -t tmpfs -o ro none "$work/readonly" 2>/dev/null; then
	tap_ok "read-only file system" tap_line 1 "Read-only file system" -- "$compile" "$demo" -o "$work/readonly/x"
	umount "$work/readonly"
else
	tap_skip "read-only file system" "cannot mount a tmpfs here"
fi
chmod 555 "$work/readonly"
if [ "$(id -u)" -ne 0 ]; then
	tap_ok "read-only directory" tap_line 4 "Permission denied" -- "$compile" "$demo" -o "$work/readonly/x"
elif chmod 755 "$work" && setpriv --reuid=65534 --clear-groups test -x "$compile" -a -r "$demo/config.json" 2>/dev/null; then
	tap_ok "read-only directory" tap_line 4 "Permission denied" -- \
		setpriv --reuid=65534 --clear-groups "$compile" "$demo" -o "$work/readonly/x"
else
	tap_skip "read-only directory" "root writes everywhere and cannot become another user here"
fi
if [ "$(df --output=avail -k "$work" | tail -1)" -lt 2500000 ]; then
	tap_skip "1.1 G parameters, interrupted" "less than 2.5 GB free in ${TMPDIR}"
	tap_skip "1.1 G parameters under prlimit" "less than 2.5 GB free in ${TMPDIR}"
else
	big_model
	tap_ok "Ctrl-C: exit 130, nothing is left" interrupted INT
	tap_ok "SIGTERM: exit 130, nothing is left" interrupted TERM
	if [ -n "${SAN:-}" ]; then
		tap_skip "1.1 G parameters under prlimit" "sanitizers reserve more than that"
	else
		tap_ok "1.1 G parameters within 512 MiB of anonymous memory" big_in_512m
	fi
fi
tap_done
