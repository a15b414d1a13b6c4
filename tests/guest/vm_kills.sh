#!/usr/bin/env bash
# guest test: runs scripts/vm
# SPDX-License-Identifier: MIT
# A few kills of each process of a run; tests/qemu/kills does a hundred of each by default.
exec "$(dirname "$0")/../qemu/kills" --count 3
