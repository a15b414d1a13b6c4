#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What aipu-gen --show-stats and aipu-bench say of the device: energy, and memory traffic to the byte, against what the
# container's program reads; null where the device does not tell; not asked for, nothing is read, and no key there. On the software device.
set -u
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

: "${CC:=gcc}"
gen=$BUILD/bin/aipu-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
qpc=$work/demo

setup()
{
	"$BUILD/bin/aipu-compile" "$SRC/models/demo" -o "$qpc" >"$work/log" 2>&1 || { cat "$work/log"; return 1; }
}

# A device that does not tell: the library's answer, and a line for each time it is asked
deaf()
{
	cat >"$work/deaf.c" <<'T'
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include "aipu/manage.h"

int aipu_device_telemetry(struct aipu_device *device, struct aipu_telemetry *telemetry)
{
	int64_t *values = (int64_t *)telemetry;

	(void)device;
	for (size_t i = 0; i < sizeof(*telemetry) / sizeof(*values); i++)
		values[i] = AIPU_UNKNOWN;
	fputs("asked\n", stderr);
	return -EOPNOTSUPP;
}
T
	"$CC" -std=c17 -Wall -Wextra -Werror -shared -fPIC -I"$SRC/userspace/include" -I"$SRC/firmware-abi" \
		-o "$work/deaf.so" "$work/deaf.c"
}

# run TOKENS OUTPUT ARGUMENT...: a generation on the software device; the same text each time
run()
{
	local tokens=$1 out=$2
	shift 2
	"$gen" --device soft --qpc "$qpc" --prompt "Once upon a time" --max-tokens "$tokens" "$@" >"$out" 2>"$work/err" ||
		{ cat "$work/err"; return 1; }
}

with_deaf()
{
	LD_PRELOAD=$work/deaf.so ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} "$@"
}

# check ARGUMENT...: a script on stdin that finds traffic() and stats() ready
check()
{
	cat - >"$work/script"
	{
		cat <<'PY'
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from _traffic import Traffic
traffic = Traffic(sys.argv[2], sys.argv[3])
files = sys.argv[4:]
def load(path):
    return json.load(open(path))
def near(a, b):
    return abs(a - b) <= 1e-9 * abs(b)
KEYS = ("temperature_c", "power_w", "energy_j", "energy_j_per_token", "memory_read_bytes",
        "memory_read_bytes_per_token", "memory_gb_per_s", "memory_peak_gb_per_s", "memory_peak_fraction",
        "memory_peak_source")
PY
		cat "$work/script"
	} >"$work/whole.py"
	python3 "$work/whole.py" "$SRC/tests/tools" "$BUILD/bin/aipu-qpc" "$qpc" "$@"
}

figures()
{
	run 20 "$work/j20" --json --show-stats || return 1
	check "$work/j20" <<'PY'
s = load(files[0])["stats"]
assert all(s[k] is not None for k in KEYS), s
assert s["energy_j"] > 0 and s["power_w"] > 0
assert near(s["energy_j_per_token"], s["energy_j"] / 20)
assert near(s["memory_read_bytes_per_token"], s["memory_read_bytes"] / 20)
# The same time is in both: W / J = GB/s / GB
assert near(s["power_w"] / s["energy_j"], s["memory_gb_per_s"] / (s["memory_read_bytes"] * 1e-9)), s
assert s["memory_peak_source"] == "measured" and s["memory_peak_gb_per_s"] > 0
assert near(s["memory_peak_fraction"], s["memory_gb_per_s"] / s["memory_peak_gb_per_s"])
PY
}

# To the byte, and so twice the tokens are twice the bytes, but for the keys and values of the positions in between
bytes()
{
	local n
	for n in 10 20 30; do run $n "$work/j$n" --json --show-stats || return 1; done
	check "$work/j10" "$work/j20" "$work/j30" <<'PY'
read = []
for tokens, path in zip((10, 20, 30), files):
    j = load(path)
    assert len(j["tokens"]) == tokens and j["finish_reason"] == "length"
    # The prompt's last token is left to the first step
    expected = traffic.decode(len(j["prompt_tokens"]) - 1, tokens)
    read.append(j["stats"]["memory_read_bytes"])
    assert read[-1] == expected, f"{tokens} tokens: {read[-1]} bytes, expected {expected}"
assert read[1] - 2 * read[0] == 10 * 10 * traffic.position_bytes, read
assert read[2] == 3 * (read[1] - read[0]), read
PY
}

lines()
{
	run 9 "$work/text" --show-stats || return 1
	cat "$work/err"
	grep -Eq '^temperature +-?[0-9.]+ C$' "$work/err" && grep -Eq '^power +[0-9.e-]+ W$' "$work/err" &&
		grep -Eq '^energy +[0-9.e-]+ J/token$' "$work/err" &&
		grep -Eq '^memory read +[0-9.e+-]+ GB/s, [0-9.]+ of the peak of [0-9.e+-]+ GB/s \(measured\)$' "$work/err"
}

not_told()
{
	with_deaf run 5 "$work/j" --json --show-stats || return 1
	[ "$(grep -c '^asked$' "$work/err")" -eq 2 ] || { cat "$work/err"; return 1; }
	[ "$(grep -cE '^(temperature|power|energy|memory read) +unknown$' "$work/err")" -eq 4 ] || { cat "$work/err"; return 1; }
	check "$work/j" <<'PY'
s = load(files[0])["stats"]
assert all(s[k] is None for k in KEYS), s
PY
}

# A host that looks late: what aipu_ring_take() gives is what the device has made by then, its times go to stderr; with ANEW the
# clock goes back with every token
late()
{
	cat >"$work/late.c" <<'T'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "aipu/aipu.h"
#include "aipu_job.h"

static uint64_t at;

int aipu_ring_take(struct aipu_ring *ring, struct aipu_token_record *records, uint32_t count)
{
	static int (*take)(struct aipu_ring *, struct aipu_token_record *, uint32_t);
	const struct aipu_result *result;
	void *found = dlsym(RTLD_NEXT, "aipu_ring_take");
	int n;

	memcpy(&take, &found, sizeof(take));
	if (aipu_queue_peek(ring->queue, &result))
		return 0; /* not before all are there */
	n = take(ring, records, count);
	for (int i = 0; i < n; i++) {
		if (getenv("ANEW"))
			records[i].time_ns = 1000000 - 1000 * ++at;
		fprintf(stderr, "token %llu\n", (unsigned long long)records[i].time_ns);
	}
	return n;
}
T
	"$CC" -std=c17 -Wall -Wextra -Werror -shared -fPIC -I"$SRC/userspace/include" -I"$SRC/firmware-abi" \
		-o "$work/late.so" "$work/late.c"
}

with_late()
{
	LD_PRELOAD=$work/late.so ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} "$@"
}

decode_rate()
{
	with_late run 20 "$work/j" --json || return 1
	[ "$(grep -c '^token ' "$work/err")" -eq 20 ] || { cat "$work/err"; return 1; }
	check "$work/j" "$work/err" <<'PY'
s = load(files[0])["stats"]
made = [int(line.split()[1]) for line in open(files[1])]
ms = (made[-1] - made[0]) * 1e-6
assert ms > 0 and near(s["decode_ms"], ms), (s["decode_ms"], ms)
assert near(s["decode_tokens_per_s"], 19e3 / ms), s
PY
}

decode_unknown()
{
	ANEW=1 with_late run 20 "$work/j" --json --show-stats && grep -qx 'decode rate  *unknown' "$work/err" || return 1
	check "$work/j" <<'PY'
s = load(files[0])["stats"]
assert s["decode_ms"] is None and s["decode_tokens_per_s"] is None and s["ttft_ms"] > 0, s
PY
}

not_asked()
{
	with_deaf run 5 "$work/j" --json || return 1
	[ ! -s "$work/err" ] || { cat "$work/err"; return 1; }
	check "$work/j" <<'PY'
s = load(files[0])["stats"]
assert not any(k in s for k in KEYS), s
assert s["decode_ms"] > 0
PY
}

# The cost model of aipu-bench has the matrices; the device counts the other operands too
bench()
{
	"$BUILD/bin/aipu-bench" --device soft --qpc "$qpc" -p 8 -n 16 -r 3 --cores 1 -o json >"$work/bench" || return 1
	check "$work/bench" <<'PY'
prefill, decode = load(files[0])
assert decode["test"] == "tg16" and prefill["test"] == "pp8"
assert decode["bytes_per_token"] == traffic.weights(), (decode["bytes_per_token"], traffic.weights())
rest = sum(traffic.rest(position) for position in range(16))
counted = decode["memory_read_bytes_per_token"] * 16
assert counted == 16 * decode["bytes_per_token"] + rest, (counted, decode["bytes_per_token"], rest)
# One step for all eight tokens: the matrices once
assert decode["bytes_per_token"] * 0.5 < prefill["memory_read_bytes_per_token"] * 8 < 2 * decode["memory_read_bytes_per_token"]
assert prefill["energy_j_per_token"] > 0 and decode["energy_j_per_token"] > 0
PY
}

bench_not_told()
{
	with_deaf "$BUILD/bin/aipu-bench" --device soft --qpc "$qpc" -p 0 -n 8 -r 1 --cores 1 -o json >"$work/bench" \
		2>"$work/err" && check "$work/bench" <<'PY'
line, = load(files[0])
assert line["energy_j_per_token"] is None and line["memory_read_bytes_per_token"] is None
assert line["gb_per_s"] > 0 and line["fraction_of_bandwidth"] > 0
PY
}

tap_ok "the demo model compiles" setup
tap_ok "--show-stats --json: every figure, and they agree with each other" figures
tap_ok "bytes of 10, 20 and 30 tokens: what the program's operands come to" bytes
tap_ok "--show-stats: lines with units" lines
tap_ok "a device that does not tell" deaf
tap_ok "unknown and null" not_told
tap_ok "without --show-stats the device is not asked" not_asked
tap_ok "a host that looks late" late
tap_ok "the decode rate is that at which the device made the tokens, by its clock" decode_rate
tap_ok "unknown and null where that clock goes back" decode_unknown
tap_ok "aipu-bench: counted bytes are those of the cost model and of the other operands" bench
tap_ok "aipu-bench: empty where the device does not tell" bench_not_told
tap_done
