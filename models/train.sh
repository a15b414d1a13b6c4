#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Trains the demo model anew and compares it with the committed one: prints both held-out losses,
# exits 1 when they are more than 3 % apart.  For the model's author; no build or test calls it.
#
# usage: models/train.sh [DIR]
#
# DIR (build/demo-model) takes the new model, the training state and the log; a run that was stopped
# goes on from its state.  models/demo is never written: copy the files from DIR to replace it.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../build/demo-model}
python=/usr/bin/python3

if ! "$python" -c 'import sentencepiece, torch' 2>/dev/null; then
	echo "train.sh: $python lacks torch or sentencepiece: apt-get install" \
		"python3-torch python3-sentencepiece libopenblas0-pthread" >&2
	exit 1
fi
case $(readlink -f /usr/lib/*/libblas.so.3) in
*openblas*) ;;
*) echo "train.sh: libblas.so.3 is not OpenBLAS, which makes this several times slower:" \
	"apt-get install libopenblas0-pthread" >&2 ;;
esac

# Without these, glibc gives the memory of every large tensor back and faults it in again.
export MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=4000000000
export MALLOC_TOP_PAD_=200000000
# A second thread waits in OpenBLAS while OpenMP's spin: slower than one.
export OPENBLAS_NUM_THREADS=1

mkdir -p "$out"
exec nice -n 19 "$python" "$here/train.py" --out "$out" --committed "$here/demo"
