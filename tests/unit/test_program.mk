# SPDX-License-Identifier: MIT
# Tests of program/ bring the services of a context themselves (program_rig.h); the mounts that all unit tests link
# bring the real ones. The first definition, the test's, is taken.
$(foreach t,program_exec program_lanes program_verify program_mutants program_work generate_ring,$(eval \
	LDFLAGS_test_$(t) := -Wl,--allow-multiple-definition))
