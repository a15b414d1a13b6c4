# SPDX-License-Identifier: MIT
# What happens while the soft transport clears a queue's eventfd is the test's to say.
LDFLAGS_test_libaipu_wakeup := -Wl,--wrap=read
