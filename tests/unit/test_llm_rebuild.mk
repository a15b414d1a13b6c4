# SPDX-License-Identifier: MIT
# A fault of the device model is put in where the soft transport makes one.
LDFLAGS_test_llm_rebuild := -Wl,--wrap=aipu_dm_create
LDFLAGS_test_llm_rebuild_ends := $(LDFLAGS_test_llm_rebuild)
