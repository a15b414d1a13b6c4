#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# How fast a container is loaded through the driver, against copying the file within the guest; run by hand.
set -eu

usage()
{
	cat <<'T'
usage: tests/bench/load.sh [PAIRS [MIB [VM-OPTION...]]]

Loads a container of MIB mebibytes (1024) through the driver and copies the file within the guest,
in PAIRS (5) of turns in one guest, and prints the ratio of the medians; at least half of the speed
of copying is wanted. The copy may stay in the page cache, the load ends when all is in device
memory. How long it takes to read the file and do nothing with it is said too.

Exit status: 0 reached, 1 missed or failed, 2 usage.
T
}

# number NAME VALUE: or the end
number()
{
	[[ $2 =~ ^[1-9][0-9]{0,5}$ ]] && return
	echo "load.sh: $1 '$2': a number from 1 to 999999 is expected; see tests/bench/load.sh --help" >&2
	exit 2
}

[ "${1-}" != --help ] || {
	usage
	exit 0
}
here=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$here/build}
pairs=${1:-5} mib=${2:-1024}
number PAIRS "$pairs"
number MIB "$mib"
shift $(($# < 2 ? $# : 2))
PATH=$PATH:/usr/sbin:/sbin

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A checkpoint of random weights: layers of 196 MiB, in fp32 as they lie in the container
/usr/bin/python3 - "$work/model.bin" "$mib" <<'P'
import array
import random
import struct
import sys

path, mib = sys.argv[1], int(sys.argv[2])
dim, hidden, heads, vocab, positions = 2048, 5632, 32, 1024, 64
per_layer = 4 * dim * dim + 3 * dim * hidden + 2 * dim
layers = max(1, (mib << 20) // (4 * per_layer))
head = dim // heads
floats = vocab * dim + layers * per_layer + dim + 2 * positions * (head // 2)
draw = random.Random(1)
block = array.array("f", (draw.uniform(-0.1, 0.1) for _ in range(1 << 18))).tobytes()
with open(path, "wb") as file:
    file.write(struct.pack("<7i", dim, hidden, layers, heads, heads, vocab, positions))
    left = 4 * floats
    while left:
        left -= file.write(block[:min(left, len(block))])
P
mkdir "$work/root"
"$build/bin/aipu-compile" "$work/model.bin" --tokenizer "$here/models/demo/tokenizer.model" --precision fp32 -o "$work/root/qpc" >/dev/null
rm "$work/model.bin"
bytes=$(stat -c %s "$work/root/qpc/model.qpc")
truncate -s $((3 * bytes + (64 << 20))) "$work/disk"
mke2fs -q -t ext4 -d "$work/root" "$work/disk"
rm -r "$work/root"
"$here/scripts/vm" --driver --disk "$work/disk" --module ext4 --timeout 0 --card "--memory 4G" "$@" --file /bin/cp -- \
	sh "$here/tests/bench/_load.sh" "$build/bin/aipu-gen" "$pairs" | tee "$work/out"
awk -v mib="$((bytes >> 20))" '
	function median(list, n,  i, j, t) {
		for (i = 1; i < n; i++)
			for (j = i + 1; j <= n; j++)
				if (list[j] < list[i]) { t = list[i]; list[i] = list[j]; list[j] = t }
		return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
	}
	$1 == "pair" { n++; load[n] = $2; copy[n] = $3; read[n] = $4 }
	END {
		if (!n) {
			print "load.sh: no pair came to its end"
			exit 1
		}
		l = median(load, n); c = median(copy, n); r = median(read, n)
		printf "load %.0f MiB/s, copy %.0f MiB/s, ratio %.2f; read alone %.0f MiB/s, ratio %.2f (medians of %d, %d MiB)\n",
			mib * 1000 / l, mib * 1000 / c, c / l, mib * 1000 / r, r / l, n, mib
		exit c / l < 0.5
	}' "$work/out"
