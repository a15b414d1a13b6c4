# SPDX-License-Identifier: MIT
# The recorder stands between the soft transport and every entry of the device model.
LDFLAGS_test_libaipu_recording := $(foreach f,create destroy read32 write32 bar0_bytes memory bus_master \
	reset,-Wl,--wrap=aipu_dm_$(f))
