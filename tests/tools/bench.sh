#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# aipu-bench from outside: its three formats hold the same lines, figures are there and make sense, bad input is one line.
# No figure is compared with a time.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

bench=$BUILD/bin/aipu-bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
small=(--shape dim=64,hidden=96,layers=2,heads=4,kv_heads=2,vocab=200 -p 16 -n 8 -r 2)

json()
{
	"$bench" "${small[@]}" --cores 1,2 -o json >"$work/j" || return 1
	python3 - "$work/j" <<'PY'
import json, sys
lines = json.load(open(sys.argv[1]))
assert [(l["test"], l["cores"]) for l in lines] == [("pp16", 1), ("tg8", 1), ("pp16", 2), ("tg8", 2)], lines
for l in lines:
    assert l["precision"] == "int8", l
    assert l["schema_version"] == 1 and l["repetitions"] == 2 and l["tokens_per_s"] > 0
    assert l["limit_read_gb_per_s"] > 0 and l["load_ms"] > 0
    # dim 64: q, o 64x64; k, v 32x64; gate, up, down 96x64: of two layers, two operations each
    assert l["operations_per_token"] == 2 * 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 96 * 64), l
    decode = l["test"].startswith("tg")
    assert (l["fraction_of_bandwidth"] is not None) == decode
    assert (l["gb_per_s"] is not None) == decode
    assert (l["gop_per_s"] is not None) != decode
    if decode:
        want = l["tokens_per_s"] * l["bytes_per_token"] / 1e9
        assert abs(l["gb_per_s"] / want - 1) < 1e-6
        assert abs(l["fraction_of_bandwidth"] - l["gb_per_s"] / l["limit_read_gb_per_s"]) < 1e-6
    elif l["limit_int8_gop_per_s"] is not None:
        assert abs(l["fraction_of_peak"] - l["gop_per_s"] / l["limit_int8_gop_per_s"]) < 1e-6
PY
}

table()
{
	"$bench" "${small[@]}" --cores 1 >"$work/t" || return 1
	[ "$(grep -c '^|' "$work/t")" -eq 4 ] && grep -q '| pp16 ' "$work/t" && grep -q '| tg8 ' "$work/t"
}

csv()
{
	"$bench" "${small[@]}" --cores 1 -o csv >"$work/c" || return 1
	python3 - "$work/c" <<'PY'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
assert [(r["test"], r["precision"]) for r in rows] == [("pp16", "int8"), ("tg8", "int8")] and all(None not in r for r in rows), rows
assert rows[1]["fraction_of_bandwidth"] and not rows[0]["fraction_of_bandwidth"]
PY
}

precisions()
{
	local p
	for p in fp32 fp16 int8; do
		"$bench" "${small[@]}" --cores 1 --precision "$p" -p 0 >"$work/t" || return 1
	done
}

compiled()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$work/demo" >/dev/null 2>&1 || return 1
	"$bench" --qpc "$work/demo" -p 32 -n 8 -r 2 --cores 1 >"$work/t" || return 1
	# Five digits before the point, and the columns are still straight.
	grep -q '| pp32 ' "$work/t" && grep -q '| tg8 ' "$work/t" && [ "$(LC_ALL=C.UTF-8 wc -m <"$work/t")" -eq \
		$((4 * $(head -n 1 "$work/t" | LC_ALL=C.UTF-8 wc -m))) ] || { cat "$work/t"; return 1; }
}

tap_ok "json" json
tap_ok "table" table
tap_ok "csv" csv
tap_ok "every precision" precisions
tap_ok "a compiled model" compiled
tap_ok "neither model nor shape" tap_line 2 --shape -- "$bench"
tap_ok "an unknown option" tap_line 2 "aipu-bench: unknown option '--bogus'; see aipu-bench --help" -- "$bench" --bogus
tap_ok "an unknown letter" tap_line 2 "aipu-bench: unknown option '-x'" -- "$bench" -x
tap_ok "an unknown letter before another" tap_line 2 "aipu-bench: unknown option '-x'" -- "$bench" --cores=1 -xp
tap_ok "an option without its value" tap_line 2 "aipu-bench: a value is missing after '-p'" -- "$bench" -p
tap_ok "unknown shape" tap_line 2 "'gpt-9'" -- "$bench" --shape gpt-9
tap_ok "impossible shape" tap_line 2 "dim=7" -- "$bench" --shape dim=7,heads=3
tap_ok "a number of more than 32 bits" tap_line 2 "4294967360" -- "$bench" --shape dim=4294967360
tap_ok "a key given twice" tap_line 2 "dim=64,dim=128" -- "$bench" --shape dim=64,dim=128
tap_ok "model and shape" tap_line 2 "only one" -- "$bench" --shape stories15m --qpc x
tap_ok "precision of a compiled model" tap_line 2 "--precision" -- "$bench" --qpc x --precision fp16
tap_ok "unknown precision" tap_line 2 "'int3'" -- "$bench" --shape stories15m --precision int3
tap_ok "nothing to measure" tap_line 2 "nothing" -- "$bench" --shape stories15m -p 0 -n 0
tap_ok "a bad list" tap_line 2 "'x'" -- "$bench" --shape stories15m --cores 1,x
tap_ok "bad format" tap_line 2 "'xml'" -- "$bench" --shape stories15m -o xml
tap_ok "no such container" tap_line 1 "$work/none" -- "$bench" --qpc "$work/none"
tap_ok "longer than the context" tap_line 1 "context" -- "$bench" --qpc "$work/demo" -p 4096 -n 0
tap_ok "more tokens than the context" tap_line 1 "--n-gen 600" -- "$bench" --qpc "$work/demo" -p 0 -n 600
tap_ok "no such device" tap_line 3 "accel9" -- "$bench" --qpc "$work/demo" --device accel9
tap_done
