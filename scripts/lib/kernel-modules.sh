# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Headers, and modules built against them: the part of scripts/kernel that compiles. Sourced by it
# alone.
