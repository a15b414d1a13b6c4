# SPDX-License-Identifier: MIT
# The clock is the test's
LDFLAGS_test_meter := -Wl,--wrap=cli_now_ms
