#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the tools print of the demo model and of a small image is what tests/golden/tools holds, byte for byte: aipu-compile,
# aipu-qpc, aipu-gen, aipu-fw; of aipu-bench all but what it measured. Where a change is meant,
# tests/tools/golden_tools.sh --write writes the files anew. aipu-smi and aipu-fwcheck have theirs in smi.sh and fwcheck.sh.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

golden=$SRC/tests/golden/tools
write=""
[ "${1-}" != --write ] || write=1
bin=$BUILD/bin
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Names as they are typed are in what is printed
cd "$work" || exit 1

# is_golden FILE COMMAND...: prints on stdout what the file has, and nothing on stderr
is_golden()
{
	local file=$1
	shift
	"$@" >out 2>err || { echo "exit status $?"; cat err; return 1; }
	[ ! -s err ] || { cat err; return 1; }
	if [ "$write" ]; then
		mkdir -p "$golden" && cp out "$golden/$file"
	fi
	diff -u "$golden/$file" out
}

# measured COMMAND...: its JSON, with the kind of value in the place of one that was measured
measured()
{
	"$@" >measured.json || return 1
	/usr/bin/python3 - measured.json <<-'T'
		import json, sys

		# Integers that were measured, and what is null where the machine has it not
		MEMORY = ("rss_anon_bytes", "rss_file_bytes")
		MACHINE = ("limit_int8_gop_per_s", "limit_int8_instruction", "fraction_of_peak")

		def kind(key, value):
		    if isinstance(value, dict):
		        return {k: kind(k, v) for k, v in value.items()}
		    if key in MEMORY:
		        assert isinstance(value, int) and value > 0, (key, value)
		        return "bytes"
		    if key in MACHINE:
		        return "as the machine has it"
		    if isinstance(value, float):
		        assert value >= 0, (key, value)
		        return "number"
		    return value

		whole = json.load(open(sys.argv[1]))
		whole = [kind("", one) for one in whole] if isinstance(whole, list) else kind("", whole)
		print(json.dumps(whole, indent=1))
	T
}

# Both streams, one behind the other, without the time that it took
compile()
{
	"$bin/aipu-compile" "$@" >said 2>told || return 1
	sed 's/"compile_ms": [0-9.e+-]*/"compile_ms": T/' said
	sed 's/done in [0-9.]* s/done in T s/' told
}

# Without the version of this build
show()
{
	"$bin/aipu-qpc" show "$@" >shown || return 1
	sed 's/"aipu-compile [0-9][^"]*"/"aipu-compile VERSION"/' shown
}

# Lines without figures: of CSV the first, of a table the heads
bench_heads()
{
	"$bin/aipu-bench" "${small[@]}" -o "$1" >lines || return 1
	head -n "$2" lines
}

image()
{
	printf 'a small payload\n' >payload
	"$bin/aipu-fw" pack -o plain.fw --payload payload --version 3.4.567 --abi-oldest 1.0 --abi-newest 1.2 --board 0x1234 \
		--rollback 9 --build "nightly 7" || return 1
	"$bin/aipu-fw" sign plain.fw --key "$SRC/firmware-abi/development.pem" -o signed.fw
}

small=(--shape dim=64,hidden=96,layers=2,heads=4,kv_heads=2,vocab=200 -p 16 -n 8 -r 1 --cores 1 --device soft)
gen=("$bin/aipu-gen" --qpc demo --device soft --cores 1)
once="Once upon a time"

cp -r "$SRC/models/demo" model
tap_ok "aipu-compile says nothing" is_golden compile.txt compile model -o demo
tap_ok "aipu-compile -v" is_golden compile_verbose.txt compile model -o verbose -v --precision fp16 --batch-size 2 --cores 3
tap_ok "aipu-compile --json" is_golden compile.json compile model -o json --json --precision fp32 --ctx-len 64 --prompt-len 8
tap_ok "aipu-qpc show" is_golden qpc_show.txt show demo
tap_ok "aipu-qpc show --program" is_golden qpc_show_program.txt show demo --program
tap_ok "aipu-qpc show --json" is_golden qpc_show.json show demo --json
tap_ok "aipu-qpc verify" is_golden qpc_verify.txt "$bin/aipu-qpc" verify demo
tap_ok "aipu-gen: the likeliest text" is_golden gen.txt "${gen[@]}" --prompt "$once"
tap_ok "aipu-gen: a drawn one, behind its prompt" is_golden gen_drawn.txt "${gen[@]}" --prompt "$once" --echo \
	--temperature 0.8 --top-k 40 --top-p 0.95 --seed 7
tap_ok "aipu-gen --json" is_golden gen.json measured "${gen[@]}" --prompt "$once" --max-tokens 8 --temperature 1 --seed 5 --json
tap_ok "aipu-bench -o json" is_golden bench.json measured "$bin/aipu-bench" "${small[@]}" -o json
tap_ok "aipu-bench -o csv" is_golden bench.csv bench_heads csv 1
tap_ok "aipu-bench" is_golden bench.txt bench_heads table 2
tap_ok "an image" image
for kind in plain signed; do
	tap_ok "aipu-fw inspect, $kind" is_golden "fw_inspect_$kind.txt" "$bin/aipu-fw" inspect "$kind.fw"
	tap_ok "aipu-fw inspect --json, $kind" is_golden "fw_inspect_$kind.json" "$bin/aipu-fw" inspect "$kind.fw" --json
	tap_ok "aipu-fw verify, $kind" is_golden "fw_verify_$kind.txt" "$bin/aipu-fw" verify "$kind.fw"
done
tap_ok "no file that is not looked at" test "$(find "$golden" -type f | wc -l)" -eq "$((tap_count - 1))"
tap_done
