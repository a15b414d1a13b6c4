# SPDX-License-Identifier: MIT
LIBS_aipu-fw = $(dm_a)
