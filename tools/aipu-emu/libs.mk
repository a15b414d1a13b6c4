# SPDX-License-Identifier: MIT
LIBS_aipu-emu = -Wl,--start-group $(dm_a) $(fw_a) -Wl,--end-group
